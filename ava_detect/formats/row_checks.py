"""Faults of rows that are no error of the format: boxes in pixels, reversed sides, ids in place of scores.

The evaluator takes such rows as the official scripts do. Everything else that reads boxes refuses them here.

Shapes: R rows of a file.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ava_detect.errors import FormatError, shown
from ava_detect.formats.ava_table import AvaTable
from ava_detect.formats.proposal_pickles import is_pickle_file

BoolArray = npt.NDArray[np.bool_]


def check_boxes(table: AvaTable, path: str | Path, *, ids_hint: str | None = None) -> None:
    """Refuse rows that are no person boxes in fractions of the frame with scores in 0..1.

    Args:
        table: The rows of the file; those that only list a keyframe are passed over.
        path: The file, for the message.
        ids_hint: What to do where the scores of people may be person ids, for the message. None for scores of actions,
            of which all may be 0 or 1.

    Raises:
        FormatError: A box is in pixels, has a corner that is no number or has reversed sides, or a score is not in 0..1
            or may be a person id. The message names the file, the line of a csv or the row of a Parquet file, the
            video and the second.
    """
    x1, y1, x2, y2 = table.boxes_fraction.T  # [R] each
    _refuse(
        table,
        path,
        table.is_in_pixels,
        lambda row: (
            f"boxes are fractions of the frame, 0..1, got {_box(table, row)}",
            "divide x by the frame's width and y by its height",
        ),
    )
    _refuse(
        table,
        path,
        (x1 > x2) | (y1 > y2),
        lambda row: (
            f"boxes are x1,y1,x2,y2 with x1 <= x2 and y1 <= y2, got {_box(table, row)}",
            "is it x, y, width and height, or in another order?",
        ),
    )
    _refuse(
        table,
        path,
        is_outside_scores(table),
        lambda row: (f"scores lie in 0..1, got {table.scores[row]:g}", ids_hint),
    )
    if ids_hint is not None:
        _refuse(
            table,
            path,
            are_scores_ids(table),
            lambda row: (
                f"the score is {table.scores[row]:g}",
                f"all scores of the file are 0 or 1, as if they were person ids: {ids_hint}; if they are scores, leave "
                "out the boxes of score 0",
            ),
        )


def is_outside_scores(table: AvaTable) -> BoolArray:
    """Find scores that are no probabilities.

    Args:
        table: R rows.

    Returns:
        bool ``[R]``, true for a score below 0 or above 1, infinity included; false for a row without a score.
    """
    return (table.scores < 0) | (table.scores > 1)


def are_scores_ids(table: AvaTable) -> BoolArray:
    """Find scores that may be person ids: no detector gives only 0 and 1, and people are numbered from 0.

    Args:
        table: R rows.

    Returns:
        bool ``[R]``, true for the scores of 0 of a file in which all scores are 0 or 1; else false.
    """
    has_score = ~np.isnan(table.scores)
    is_zero = table.scores == 0
    only_whole = bool((is_zero | (table.scores == 1) | ~has_score).all())
    return is_zero if only_whole else np.zeros(len(table), np.bool_)


def line_numbers(path: str | Path, rows: Iterable[int], num_rows: int) -> dict[int, int]:
    """Find the lines of some rows of a csv.

    The readers skip blank lines and at most one header: one more line than rows means a header.

    Args:
        path: The csv, plain or gzipped; a json, Parquet or pickle file has no lines of rows.
        rows: The rows, from 0.
        num_rows: Number of rows in the file.

    Returns:
        The line number, from 1, of each row; empty for a json, Parquet or pickle file.
    """
    if Path(path).suffix.lower() in (".json", ".parquet") or is_pickle_file(path):
        return {}
    wanted = set(rows)
    # Whether there is a header is known only at the end: keep the line of the next row too.
    near = wanted | {row + 1 for row in wanted}
    line_of: dict[int, int] = {}
    count = 0  # lines that are not blank
    with Path(path).open("rb") as raw:
        is_gzip = raw.peek(2).startswith(b"\x1f\x8b")
        binary: Any = gzip.GzipFile(fileobj=raw) if is_gzip else raw
        for number, text in enumerate(io.TextIOWrapper(binary, encoding="utf-8-sig", errors="replace"), 1):
            if text.strip():
                if count in near:
                    line_of[count] = number
                count += 1
    header = count - num_rows  # 0 or 1 lines
    return {row: line_of[row + header] for row in wanted}


def _refuse(table: AvaTable, path: str | Path, wrong: BoolArray, describe: Any) -> None:
    """Raise for the first row of ``wrong`` ``[R]``; ``describe(row)`` returns what was got, and what to try."""
    if not wrong.any():
        return
    row = int(wrong.argmax())
    line = line_numbers(path, [row], len(table)).get(row)
    got, advice = describe(row)
    place = f"in {shown(table.video_ids[table.video_index[row]])} at {table.timestamps_seconds[row]:g} s"
    where = shown(path)
    if line is not None:
        where += f", line {line}"
    elif Path(path).suffix.lower() != ".json":
        where += f", row {row + 1}"
    raise FormatError(f"{where}: {got} {place}" + (f"; {advice}" if advice else ""))


def _box(table: AvaTable, row: int) -> str:
    return str(table.boxes_fraction[row].tolist())
