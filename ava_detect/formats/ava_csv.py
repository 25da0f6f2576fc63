"""AVA's csv, both ways: one row per person and action, as the official evaluator reads it.

``video_id,timestamp,x1,y1,x2,y2,action_id[,score or person_id]``: the timestamp in seconds of the movie, boxes as
fractions of the frame. Detections carry a score in column 8, ground truth a person id.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ava_detect.formats.ava_csv_reader import iter_ava_csv, read_ava_csv
from ava_detect.formats.ava_table import AvaTable
from ava_detect.storage.local_files import atomic_path
from ava_detect.structures import ActionDetections

__all__ = [
    "AvaTable",
    "ava_csv_writer",
    "ava_table_writer",
    "format_timestamp",
    "iter_ava_csv",
    "read_ava_csv",
    "write_ava_csv",
    "write_ava_table",
]

_ROWS_PER_WRITE = 1 << 18


def format_timestamp(seconds: float) -> str:
    """AVA's spelling: ``0902`` for a whole second, else up to six decimals (``0902.5``)."""
    whole = round(seconds)
    if abs(seconds - whole) < 5e-7:
        return f"{whole:04d}"
    return f"{seconds:011.6f}".rstrip("0")


@contextmanager
def ava_csv_writer(
    path: str | Path, *, start_seconds: float = 0.0, min_score: float = 0.0
) -> Iterator[Callable[[ActionDetections], None]]:
    """Yield a function that appends one keyframe; the file has its name once the block ended well.

    Every person gets a row for each action whose score is at least ``min_score``. ``start_seconds``: where in the movie
    the file starts (900 for the usual trimmed AVA files); it is added to every timestamp. Numbers are written in the
    shortest form that reads back as the same float32.
    """
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")

        def write(keyframe: ActionDetections) -> None:
            timestamp = format_timestamp(keyframe.timestamp_seconds + start_seconds)
            for box, scores in zip(keyframe.boxes_fraction, keyframe.action_scores, strict=True):
                corners = [str(value) for value in box]
                for action_id, score in zip(keyframe.action_ids, scores, strict=True):
                    if score >= min_score:
                        rows.writerow([keyframe.video_id, timestamp, *corners, str(action_id), str(score)])

        yield write


def write_ava_csv(
    path: str | Path,
    detections: Iterable[ActionDetections],
    *,
    start_seconds: float = 0.0,
    min_score: float = 0.0,
) -> None:
    """Write detections as an AVA csv, atomically. See ``ava_csv_writer`` for the meaning of the settings."""
    with ava_csv_writer(path, start_seconds=start_seconds, min_score=min_score) as write:
        for keyframe in detections:
            write(keyframe)


def write_ava_table(path: str | Path, table: AvaTable) -> None:
    """Write a table as an AVA csv, atomically. See ``ava_table_writer``."""
    with ava_table_writer(path) as write:
        write(table)


@contextmanager
def ava_table_writer(path: str | Path) -> Iterator[Callable[[AvaTable], None]]:
    """Yield a function that appends a table to an AVA csv; the file has its name once the block ended well.

    Rows keep their order; the file is gzipped when ``path`` ends in ``.gz``.
    A row gets 2 columns where it only lists its keyframe, else 7, and an eighth for its score or person id.
    Numbers are written in the shortest form that reads back as the same float64. A person id below -1, which
    stands for a text that the table no longer knows, is written as that number.
    The function raises ``ValueError`` when a row has both a score and a person id.
    """
    with atomic_path(path) as temporary, temporary.open("wb") as raw:
        # No time of writing in the gzip header: the same table gives the same bytes.
        packed = gzip.GzipFile("", "wb", fileobj=raw, mtime=0) if str(path).endswith(".gz") else None
        file = packed or raw

        def write(table: AvaTable) -> None:
            if (both := ~np.isnan(table.scores) & (table.person_ids != -1)).any():
                raise ValueError(
                    f"row {int(both.argmax())} has a score and a person id, and an AVA csv has one column for the two; "
                    "drop one of them"
                )
            for start in range(0, len(table), _ROWS_PER_WRITE):
                file.write(_csv_text(table[start : start + _ROWS_PER_WRITE]))

        yield write
        if packed:
            packed.close()


def _csv_text(table: AvaTable) -> bytes:
    """The rows as csv text, column by column, so that millions of rows take seconds."""
    video_texts = pa.array([_quoted(video_id) for video_id in table.video_ids], pa.string())
    seconds, which = np.unique(table.timestamps_seconds, return_inverse=True)
    second_texts = pa.array([format_timestamp(value) for value in seconds], pa.string())
    keyframe = [video_texts.take(pa.array(table.video_index)), second_texts.take(pa.array(which))]
    corners = [pa.array(column).cast(pa.string()) for column in table.boxes_fraction.T.copy()]
    actions = _text_unless(table.action_ids == 0, pa.array(table.action_ids), "")
    full = pc.binary_join_element_wise(*keyframe, *corners, actions, ",")
    scores = _text_unless(np.isnan(table.scores), pa.array(table.scores), None)
    persons = _text_unless(table.person_ids == -1, pa.array(table.person_ids), None)
    last = pc.coalesce(scores, persons)
    rows = pc.coalesce(pc.binary_join_element_wise(full, last, ","), full)
    rows = pc.if_else(pa.array(table.lists_only), pc.binary_join_element_wise(*keyframe, ","), rows)
    return "".join(f"{row}\n" for row in rows.to_pylist()).encode()


def _text_unless(absent: np.ndarray, values: pa.Array, otherwise: str | None) -> pa.Array:
    return pc.if_else(pa.array(absent), pa.scalar(otherwise, pa.string()), values.cast(pa.string()))


def _quoted(text: str) -> str:
    """A cell as csv spells it."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow([text])
    return line.getvalue()
