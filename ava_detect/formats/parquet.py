"""Parquet: one typed row per person and action, with names and kinds, for pandas, DuckDB and Spark."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ava_detect.storage.local_files import atomic_path
from ava_detect.structures import ActionDetections
from ava_detect.structures.labels import LabelMap

_ROWS_PER_GROUP = 1 << 17
_TEXT = pa.dictionary(pa.int32(), pa.string())
SCHEMA = pa.schema(
    [
        ("video_id", _TEXT),
        ("timestamp_seconds", pa.float64()),
        ("track_id", pa.int64()),
        *((corner, pa.float32()) for corner in ("x1", "y1", "x2", "y2")),
        ("person_score", pa.float32()),
        ("action_id", pa.int32()),
        ("action_name", _TEXT),
        ("action_kind", _TEXT),
        ("action_score", pa.float32()),
    ]
)


@contextmanager
def parquet_writer(
    path: str | Path, label_map: LabelMap, *, min_score: float = 0.0, note: str = ""
) -> Iterator[Callable[[ActionDetections], None]]:
    """Yield a function that appends one keyframe; the file has its name once the block ended well.

    ``min_score``: actions below it get no row. ``note`` goes into the file's metadata. Rows are written in groups, so
    memory does not grow with the video.
    """
    schema = SCHEMA.with_metadata({"ava_detect.note": note} if note else None)
    waiting: list[pa.Table] = []
    with atomic_path(path) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as file:

        def flush() -> None:
            if waiting:
                file.write_table(pa.concat_tables(waiting).unify_dictionaries().combine_chunks().cast(schema))
                waiting.clear()

        def write(keyframe: ActionDetections) -> None:
            waiting.append(keyframe_to_table(keyframe, label_map, min_score=min_score))
            if sum(map(len, waiting)) >= _ROWS_PER_GROUP or len(waiting) >= 1024:
                flush()

        yield write
        flush()


def write_parquet(path: str | Path, detections: Iterable[ActionDetections], label_map: LabelMap) -> None:
    """Write keyframes to a file, atomically."""
    with parquet_writer(path, label_map) as write:
        for keyframe in detections:
            write(keyframe)


def add_metadata(path: str | Path, metadata: Mapping[str, str]) -> None:
    """Write a Parquet file again, atomically, with more in its metadata."""
    with atomic_path(path) as temporary, pq.ParquetFile(path) as before:
        schema = before.schema_arrow.with_metadata({**(before.schema_arrow.metadata or {}), **metadata})
        with pq.ParquetWriter(temporary, schema, compression="zstd") as file:
            for group in range(before.num_row_groups):
                file.write_table(before.read_row_group(group).replace_schema_metadata(schema.metadata))


def keyframe_to_table(keyframe: ActionDetections, label_map: LabelMap, *, min_score: float = 0.0) -> pa.Table:
    """The rows of one keyframe: people in their order, actions in column order."""
    people, columns = np.nonzero(keyframe.action_scores >= min_score)
    ids = keyframe.action_ids[columns]
    actions = {action.id: action for action in label_map}
    rows = len(people)
    tracks = pa.nulls(rows, pa.int64()) if keyframe.track_ids is None else pa.array(keyframe.track_ids[people])
    return pa.table(
        [
            pa.array([keyframe.video_id] * rows, _TEXT),
            pa.array(np.full(rows, keyframe.timestamp_seconds)),
            tracks,
            *(pa.array(corner[people]) for corner in keyframe.boxes_fraction.T),
            pa.array(keyframe.person_scores[people]),
            pa.array(ids.astype(np.int32)),
            pa.array([actions[i].name if i in actions else None for i in ids.tolist()], _TEXT),
            pa.array([actions[i].kind.value if i in actions else None for i in ids.tolist()], _TEXT),
            pa.array(keyframe.action_scores[people, columns]),
        ],
        schema=SCHEMA,
    )
