"""Writing Parquet: one typed row per person and action, with action names and kinds, for pandas, DuckDB and Spark.

Shapes: N people on a keyframe, C actions, R rows (the pairs of person and action that are written).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ava_detect.formats.arrow_files import number_column, open_native, text_column
from ava_detect.formats.keyframe_writer import BoolArray, WriteKeyframe, kept_scores
from ava_detect.storage.local_files import atomic_path
from ava_detect.structures import ActionDetections
from ava_detect.structures.labels import LabelMap

#: Key of the warning in a file's metadata.
NOTE_KEY = "ava_detect.note"
_ROWS_PER_GROUP = 1 << 17
_MAX_TABLES_PER_GROUP = 1024
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
def parquet_writer(path: str | Path, label_map: LabelMap, *, note: str = "") -> Iterator[WriteKeyframe]:
    """Write a Parquet file keyframe by keyframe, atomically: it exists once the block has ended without an error.

    Rows are written in groups, so memory does not grow with the video.

    Args:
        path: The file to write.
        label_map: The source of the action names and kinds.
        note: A warning written into the file's metadata (``NOTE_KEY``); empty: none.

    Yields:
        A function that appends one keyframe; a person without a chosen score gets no row.
    """
    schema = SCHEMA.with_metadata({NOTE_KEY: note} if note else None)
    buffered: list[pa.Table] = []
    with (
        atomic_path(path) as temporary,
        open_native(temporary, "wb") as stream,
        pq.ParquetWriter(stream, schema, compression="zstd") as file,
    ):

        def flush() -> None:
            if buffered:
                # Each keyframe has its own dictionaries of texts; a row group needs common ones.
                file.write_table(pa.concat_tables(buffered).unify_dictionaries().combine_chunks().cast(schema))
                buffered.clear()

        def write(keyframe: ActionDetections, kept: BoolArray | None = None, /) -> None:
            buffered.append(keyframe_to_table(keyframe, label_map, kept))
            if sum(map(len, buffered)) >= _ROWS_PER_GROUP or len(buffered) >= _MAX_TABLES_PER_GROUP:
                flush()

        yield write
        flush()


def write_parquet(path: str | Path, detections: Iterable[ActionDetections], label_map: LabelMap) -> None:
    """Write keyframes to a file, atomically.

    Args:
        path: The file to write.
        detections: The keyframes, written in their order with all actions.
        label_map: The source of the action names and kinds.
    """
    with parquet_writer(path, label_map) as write:
        for keyframe in detections:
            write(keyframe)


def add_metadata(path: str | Path, metadata: Mapping[str, str]) -> None:
    """Add entries to the metadata of a Parquet file by rewriting it, atomically.

    Args:
        path: The file to rewrite.
        metadata: The entries; they replace existing ones of the same name.
    """
    with atomic_path(path) as temporary, open_native(path) as source, pq.ParquetFile(source) as original:
        added = {name.encode(): value.encode() for name, value in metadata.items()}
        schema = original.schema_arrow.with_metadata({**(original.schema_arrow.metadata or {}), **added})
        with open_native(temporary, "wb") as stream, pq.ParquetWriter(stream, schema, compression="zstd") as file:
            for group in range(original.num_row_groups):
                file.write_table(original.read_row_group(group).replace_schema_metadata(schema.metadata))


def keyframe_to_table(keyframe: ActionDetections, label_map: LabelMap, kept: BoolArray | None = None) -> pa.Table:
    """Convert a keyframe to rows.

    Args:
        keyframe: The keyframe.
        label_map: The source of the action names and kinds; both are null for an action that it lacks.
        kept: bool ``[N, C]``, which scores to keep; None for all.

    Returns:
        A table of ``SCHEMA`` with one row per person and action: people in their order, actions in column order.
    """
    people, columns = np.nonzero(kept_scores(keyframe, kept))  # person and score column of each row: [R], [R]
    ids = keyframe.action_ids[columns]  # [R]
    actions = {action.id: action for action in label_map}
    rows = len(people)
    tracks = pa.nulls(rows, pa.int64()) if keyframe.track_ids is None else number_column(keyframe.track_ids[people])
    return pa.table(
        [
            text_column([keyframe.video_id] * rows),
            number_column(np.full(rows, keyframe.timestamp_seconds)),
            tracks,
            *(number_column(corner[people]) for corner in keyframe.boxes_fraction.T),
            number_column(keyframe.person_scores[people]),
            number_column(ids.astype(np.int32)),
            text_column([actions[i].name if i in actions else None for i in ids.tolist()]),
            text_column([actions[i].kind.value if i in actions else None for i in ids.tolist()]),
            number_column(keyframe.action_scores[people, columns]),
        ],
        schema=SCHEMA,
    )
