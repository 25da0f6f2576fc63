"""What can be wrong in the rows of ground truth, proposals and exclusions; column by column, millions in seconds."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ava_detect.datasets.checks.report import PLACES_SHOWN, Finding
from ava_detect.evaluation.keyframes import IntArray
from ava_detect.formats.ava_csv import AvaTable
from ava_detect.formats.ava_table import LARGEST_FRACTION

BoolArray = npt.NDArray[np.bool_]

AVA_START_SECONDS = 900.0
AVA_SECONDS = (902.0, 1798.0)  # annotations/ava_included_timestamps_v2.2.txt
_ROUNDING = 1e-3  # AVA's boxes have three decimals


class RowFindings:
    """Collects which rows of one file are wrong, and finds the lines of the first few when all are known."""

    def __init__(self, split: str, path: str, table: AvaTable) -> None:
        self.table = table
        self._split = split
        self._path = path
        self._found: list[tuple[str, int, str, list[tuple[int, str]]]] = []

    def add(self, kind: str, wrong: BoolArray, detail: Callable[[int], str], *, unit: str = "row") -> None:
        """Note the rows of a mask ``[R]``; ``detail`` says of a row what is wrong."""
        rows = np.flatnonzero(wrong)
        if len(rows):
            first = [(int(row), detail(int(row))) for row in rows[:PLACES_SHOWN]]
            self._found.append((kind, len(rows), unit, first))

    def keyframe(self, row: int) -> str:
        """A row's video and second, for people."""
        return f"{self.table.video_ids[self.table.video_index[row]]}, second {self.table.timestamps_seconds[row]:g}"

    def findings(self) -> list[Finding]:
        """All that was noted."""
        wanted = [row for *_, first in self._found for row, _ in first]
        lines = line_numbers(self._path, wanted, len(self.table)) if wanted else {}
        return [
            Finding(kind, self._split, count, unit, tuple(self._place(row, detail, lines) for row, detail in first))
            for kind, count, unit, first in self._found
        ]

    def _place(self, row: int, detail: str, lines: dict[int, int]) -> str:
        line = f", line {lines[row]}" if row in lines else ""
        return f"{self._path}{line}: {self.keyframe(row)}: {detail}"


def line_numbers(path: str | Path, rows: Iterable[int], num_rows: int) -> dict[int, int]:
    """The lines, from 1, on which rows of an AVA csv of ``num_rows`` rows stand; none for a json file.

    The reader passes over blank lines and at most one header: whatever more lines there are than rows.
    """
    if Path(path).suffix.lower() == ".json":
        return {}
    wanted = set(rows)
    near = wanted | {row + 1 for row in wanted}
    line_of: dict[int, int] = {}
    count = 0
    with Path(path).open("rb") as raw:
        packed = raw.peek(2).startswith(b"\x1f\x8b")
        binary: Any = gzip.GzipFile(fileobj=raw) if packed else raw
        for number, text in enumerate(io.TextIOWrapper(binary, encoding="utf-8-sig", errors="replace"), 1):
            if text.strip():
                if count in near:
                    line_of[count] = number
                count += 1
    header = count - num_rows
    return {row: line_of[row + header] for row in wanted}


def check_ground_truth(
    rows: RowFindings, *, known_ids: Iterable[int], starts_seconds: npt.NDArray[np.float64], keys: IntArray
) -> None:
    """Note what is wrong in ground truth.

    ``starts_seconds`` ``[V]``: where in its movie each video starts. ``keys`` ``[R]``: the rows' ``KeyframeKeys``.
    """
    table = rows.table
    boxed = ~table.lists_only
    check_boxes(rows, boxed)
    seconds = table.timestamps_seconds
    starts = starts_seconds[table.video_index] if len(table) else seconds
    ava = starts == AVA_START_SECONDS
    outside = (seconds < starts) | ava & ((seconds < AVA_SECONDS[0]) | (seconds > AVA_SECONDS[1]))
    rows.add("second-outside", outside, lambda row: f"the video starts at second {starts[row]:g}")
    unknown = boxed & (table.action_ids != 0) & ~np.isin(table.action_ids, list(known_ids))
    rows.add("unknown-action", unknown, lambda row: f"action {table.action_ids[row]}")
    rows.add("box-without-action", boxed & (table.action_ids == 0), lambda row: "no action")
    _check_persons(rows, keys)
    copies = boxed & repeats(pd.DataFrame({"key": keys, **_corners(table), "action": table.action_ids}))
    rows.add("duplicate-row", copies, lambda row: f"action {table.action_ids[row]} again, {_box(table, row)}")


def check_proposals(rows: RowFindings) -> None:
    """Note what is wrong in a detector's boxes."""
    scores = rows.table.scores
    check_boxes(rows, ~rows.table.lists_only)
    rows.add("score-outside", (scores < 0) | (scores > 1), lambda row: f"score {scores[row]:g}")


def check_boxes(rows: RowFindings, boxed: BoolArray) -> None:
    """Note boxes that are none, or lie outside the frame. ``boxed``: the rows that have a box."""
    table = rows.table
    corners = table.boxes_fraction
    low, high = corners.min(axis=1, initial=np.inf), corners.max(axis=1, initial=-np.inf)
    pixels = boxed & (high > LARGEST_FRACTION)  # training refuses these; nearer ones are cut at the frame
    outside = boxed & ~pixels & ((low < -_ROUNDING) | (high > 1 + _ROUNDING))
    # A comparison with NaN is false, so that a corner which is no number has no area either.
    degenerate = boxed & ~((corners[:, 0] < corners[:, 2]) & (corners[:, 1] < corners[:, 3]))
    for kind, wrong in (("box-in-pixels", pixels), ("box-outside-frame", outside), ("box-degenerate", degenerate)):
        rows.add(kind, wrong, lambda row: _box(table, row))


def repeats(columns: pd.DataFrame) -> BoolArray:
    """Bool ``[R]``: the rows that equal an earlier one in every column."""
    hashes = pd.util.hash_pandas_object(columns, index=False)
    # Only rows that share a hash can be equal: comparing those alone takes a third of the time.
    suspects = columns[hashes.duplicated(keep=False)]
    result = np.zeros(len(columns), np.bool_)
    result[suspects.index[suspects.duplicated()]] = True
    return result


def _check_persons(rows: RowFindings, keys: IntArray) -> None:
    table = rows.table
    named = table.person_ids != -1
    if named.any():
        rows.add("row-without-person", ~named & ~table.lists_only, lambda row: "no person id")
    people = pd.DataFrame({"key": keys, "person": table.person_ids})
    first_of_box = named & ~repeats(people.assign(**_corners(table)))
    people_of_boxes = people[first_of_box].reset_index(drop=True)
    second_box = np.zeros(len(table), np.bool_)
    second_box[np.flatnonzero(first_of_box)[repeats(people_of_boxes)]] = True
    rows.add(
        "person-with-two-boxes", second_box, lambda row: f"person {_person(table, row)} also has {_box(table, row)}"
    )


def _corners(table: AvaTable) -> dict[str, npt.NDArray[np.float64]]:
    return {name: table.boxes_fraction[:, place] for place, name in enumerate(("x1", "y1", "x2", "y2"))}


def _box(table: AvaTable, row: int) -> str:
    return "box " + ",".join(f"{corner:g}" for corner in table.boxes_fraction[row])


def _person(table: AvaTable, row: int) -> str:
    """A person's id; one that was text is known by the row only."""
    person = int(table.person_ids[row])
    return str(person) if person >= 0 else "of this name"
