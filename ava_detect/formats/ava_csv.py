"""AVA's csv format, read and written: one row per person and action, as the official evaluator reads it.

``video_id,timestamp,x1,y1,x2,y2,action_id[,score or person_id]``: the timestamp in seconds of the movie, boxes xyxy as
fractions of the frame. Column 8 is a score in detections and a person id in ground truth.

Shapes: N people on a keyframe, C actions, R rows of a table.
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
from ava_detect.formats.keyframe_writer import BoolArray, WriteKeyframe, kept_scores
from ava_detect.storage.local_files import atomic_path
from ava_detect.structures import ActionDetections
from ava_detect.structures.labels import NO_ACTION

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
    """Format a timestamp as AVA's files do.

    Args:
        seconds: Time in seconds.

    Returns:
        At least four digits: ``0902`` for a whole second, else with up to six decimals (``0902.5``).
    """
    whole = round(seconds)
    if abs(seconds - whole) < 5e-7:
        return f"{whole:04d}"
    return f"{seconds:011.6f}".rstrip("0")


@contextmanager
def ava_csv_writer(path: str | Path, *, start_seconds: float = 0.0) -> Iterator[WriteKeyframe]:
    """Write an AVA csv keyframe by keyframe, atomically: it exists once the block has ended without an error.

    Each person gets one row per action, or per chosen score. Numbers are written in the shortest form that reads back
    as the same float32.

    Args:
        path: The file to write.
        start_seconds: The position of the video's start in the movie, in seconds (900 for AVA's trimmed files); added
            to every timestamp.

    Yields:
        A function that appends one keyframe.
    """
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")

        def write(keyframe: ActionDetections, kept: BoolArray | None = None, /) -> None:
            timestamp, is_kept = (
                format_timestamp(keyframe.timestamp_seconds + start_seconds),
                kept_scores(keyframe, kept),
            )
            for box, scores, chosen in zip(keyframe.boxes_fraction, keyframe.action_scores, is_kept, strict=True):
                corners = [str(value) for value in box]
                for action_id, score in zip(keyframe.action_ids[chosen], scores[chosen], strict=True):
                    rows.writerow([keyframe.video_id, timestamp, *corners, str(action_id), str(score)])

        yield write


def write_ava_csv(
    path: str | Path,
    detections: Iterable[ActionDetections] | AvaTable,
    *,
    start_seconds: float = 0.0,
    min_score: float = 0.0,
) -> None:
    """Write detections, or a table that ``read_ava_csv`` returned, as an AVA csv, atomically.

    Args:
        path: The file to write. For a table, the file is gzipped if the name ends in ``.gz``.
        detections: Keyframes, written as by ``ava_csv_writer``; or a table, written as by ``write_ava_table``.
        start_seconds: The position of the video's start in the movie, in seconds; added to the timestamps of
            keyframes. Must be 0 for a table, whose timestamps already count from the start of the movie.
        min_score: Smallest action score of keyframes to write, in 0..1. Must be 0 for a table.

    Raises:
        ValueError: If a setting is given with a table, or a row of the table has both a score and a person id.

    Example:
        >>> write_ava_csv("copy.csv", read_ava_csv("detections.csv"))
    """
    if isinstance(detections, AvaTable):
        if start_seconds or min_score:
            raise ValueError(
                "start_seconds and min_score are settings for ActionDetections, and a table is written as it is; "
                f"leave them at 0, got {start_seconds} and {min_score}"
            )
        write_ava_table(path, detections)
        return
    with ava_csv_writer(path, start_seconds=start_seconds) as write:
        for keyframe in detections:
            write(keyframe, keyframe.action_scores >= min_score)


def write_ava_table(path: str | Path, table: AvaTable) -> None:
    """Write a table as an AVA csv, atomically; see ``ava_table_writer``.

    Args:
        path: The file to write; gzipped if the name ends in ``.gz``.
        table: The rows, written in their order.

    Raises:
        ValueError: If a row has both a score and a person id.
    """
    with ava_table_writer(path) as write:
        write(table)


@contextmanager
def ava_table_writer(path: str | Path) -> Iterator[Callable[[AvaTable], None]]:
    """Write an AVA csv table by table, atomically: it exists once the block has ended without an error.

    A row that only lists its keyframe gets 2 columns; other rows get 7, and an eighth for a score or a person id.
    Numbers are written in the shortest form that reads back as the same float64, timestamps with up to six decimals. A
    person id below -1 (an id that was text in the file it was read from) is written as that number.

    Args:
        path: The file to write; gzipped if the name ends in ``.gz``.

    Yields:
        A function that appends the rows of a table in their order. It raises ``ValueError`` if a row has both a score
        and a person id.
    """
    with atomic_path(path) as temporary, temporary.open("wb") as raw:
        # Without a modification time in the gzip header, the same table gives the same bytes.
        gzip_file = gzip.GzipFile("", "wb", fileobj=raw, mtime=0) if str(path).endswith(".gz") else None
        file = gzip_file or raw

        def write(table: AvaTable) -> None:
            if (both := ~np.isnan(table.scores) & (table.person_ids != -1)).any():
                raise ValueError(
                    f"row {int(both.argmax())} has a score and a person id, and an AVA csv has one column for the two; "
                    "drop one of them"
                )
            for start in range(0, len(table), _ROWS_PER_WRITE):
                file.write(_csv_text(table[start : start + _ROWS_PER_WRITE]))

        yield write
        if gzip_file:
            gzip_file.close()


def _csv_text(table: AvaTable) -> bytes:
    """Format R rows as csv text, column by column with pyarrow: millions of rows take seconds."""
    # Columns 1-2: format each distinct video id and timestamp once, then look up the text of each row.
    video_texts = pa.array([_quoted(video_id) for video_id in table.video_ids], pa.string())
    seconds, second_index = np.unique(table.timestamps_seconds, return_inverse=True)  # second_index [R]
    second_texts = pa.array([format_timestamp(value) for value in seconds], pa.string())
    keyframe = [video_texts.take(pa.array(table.video_index)), second_texts.take(pa.array(second_index))]  # 2 x [R]
    # Columns 3-7: the corners and the action, which is an empty cell where the row has none.
    corners = [pa.array(column).cast(pa.string()) for column in table.boxes_fraction.T.copy()]  # 4 x [R]
    actions = _text_unless(table.action_ids == NO_ACTION, pa.array(table.action_ids), "")
    seven_columns = pc.binary_join_element_wise(*keyframe, *corners, actions, ",")
    # Column 8: the score or the person id, null where the row has neither.
    scores = _text_unless(np.isnan(table.scores), pa.array(table.scores), None)
    persons = _text_unless(table.person_ids == -1, pa.array(table.person_ids), None)
    last = pc.coalesce(scores, persons)
    # Joining with a null gives a null: those rows keep their seven columns.
    rows = pc.coalesce(pc.binary_join_element_wise(seven_columns, last, ","), seven_columns)
    # Rows that only list their keyframe have two columns.
    two_columns = pc.and_(pa.array(table.is_keyframe_only), pc.is_null(last))
    rows = pc.if_else(two_columns, pc.binary_join_element_wise(*keyframe, ","), rows)
    return "".join(f"{row}\n" for row in rows.to_pylist()).encode()


def _text_unless(absent: np.ndarray, values: pa.Array, otherwise: str | None) -> pa.Array:
    """Format numbers ``[R]`` as text, with ``otherwise`` where ``absent`` ``[R]`` is True."""
    return pc.if_else(pa.array(absent), pa.scalar(otherwise, pa.string()), values.cast(pa.string()))


def _quoted(text: str) -> str:
    """Format one csv cell, quoted where csv requires it."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow([text])
    return line.getvalue()
