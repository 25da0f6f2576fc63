"""Checks of the rows of ground truth, proposals and exclusions, column by column: millions of rows take seconds.

Shapes: R rows of a file, V videos.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt
import pandas as pd

from ava_detect.datasets.checks.report import PLACES_SHOWN, Finding
from ava_detect.evaluation.keyframes import IntArray
from ava_detect.formats.ava_csv import AvaTable
from ava_detect.formats.ava_table import LARGEST_FRACTION
from ava_detect.formats.row_checks import BoolArray, are_scores_ids, is_outside_scores, line_numbers
from ava_detect.structures.labels import NO_ACTION

AVA_START_SECONDS = 900.0
AVA_SECONDS = (902.0, 1798.0)  # annotations/ava_included_timestamps_v2.2.txt
_ROUNDING = 1e-3  # AVA's boxes have three decimals


class RowFindings:
    """Collects the wrong rows of one file, then finds the line numbers of the first few in one pass.

    Attributes:
        table: The rows of the file.
    """

    def __init__(self, split: str, path: str, table: AvaTable, *, counted_by: str = "second") -> None:
        """Start without findings.

        Args:
            split: The split's name in the report.
            path: The file.
            table: Its rows.
            counted_by: What the timestamps are, ``second`` or ``frame``.
        """
        self.table = table
        self._counted_by = counted_by
        self._split = split
        self._path = path
        # Of each finding: kind, count, unit, and (row, description) of the first few.
        self._found: list[tuple[str, int, str, list[tuple[int, str]]]] = []

    def add(self, kind: str, wrong: BoolArray, detail: Callable[[int], str], *, unit: str = "row") -> None:
        """Add a finding, unless no row is wrong.

        Args:
            kind: The kind of finding, a key of ``KINDS``.
            wrong: bool ``[R]``, the wrong rows.
            detail: Describes the fault of one row.
            unit: What each row counts as, in the singular.
        """
        rows = np.flatnonzero(wrong)
        if len(rows):
            first = [(int(row), detail(int(row))) for row in rows[:PLACES_SHOWN]]
            self._found.append((kind, len(rows), unit, first))

    def keyframe(self, row: int) -> str:
        """Write the keyframe of a row as text.

        Args:
            row: The row, from 0.

        Returns:
            Its video and second, or frame.
        """
        video = self.table.video_ids[self.table.video_index[row]]
        return f"{video}, {self._counted_by} {self.table.timestamps_seconds[row]:g}"

    def findings(self) -> list[Finding]:
        """Return all findings, with the line numbers of the rows that they show."""
        wanted = [row for *_, first in self._found for row, _ in first]
        lines = line_numbers(self._path, wanted, len(self.table)) if wanted else {}
        return [
            Finding(kind, self._split, count, unit, tuple(self._location(row, detail, lines) for row, detail in first))
            for kind, count, unit, first in self._found
        ]

    def _location(self, row: int, detail: str, lines: dict[int, int]) -> str:
        line = f", line {lines[row]}" if row in lines else ""
        return f"{self._path}{line}: {self.keyframe(row)}: {detail}"


def check_ground_truth(
    rows: RowFindings, *, known_ids: Iterable[int], starts_seconds: npt.NDArray[np.float64], keys: IntArray
) -> None:
    """Add the faults of ground-truth rows.

    Args:
        rows: The rows, and where the findings go.
        known_ids: The ids of the actions that exist.
        starts_seconds: float64 ``[V]``, the start of each video in seconds of its movie.
        keys: int64 ``[R]``, the keyframe of each row as a key of ``KeyframeKeys``.
    """
    table = rows.table
    boxed = ~table.is_keyframe_only  # [R], the others only list a keyframe
    check_row_boxes(rows, boxed)
    # Seconds before the video starts; of AVA's movies, also seconds outside the annotated part.
    seconds = table.timestamps_seconds
    starts = starts_seconds[table.video_index] if len(table) else seconds  # [R]
    ava = starts == AVA_START_SECONDS
    outside = (seconds < starts) | ava & ((seconds < AVA_SECONDS[0]) | (seconds > AVA_SECONDS[1]))
    rows.add("second-outside", outside, lambda row: f"the video starts at second {starts[row]:g}")
    unknown = boxed & (table.action_ids != NO_ACTION) & ~np.isin(table.action_ids, list(known_ids))
    rows.add("unknown-action", unknown, lambda row: f"action {table.action_ids[row]}")
    rows.add("box-without-action", boxed & (table.action_ids == NO_ACTION), lambda row: "no action")
    _check_persons(rows, keys)
    copies = boxed & repeats(pd.DataFrame({"key": keys, **_corners(table), "action": table.action_ids}))
    rows.add("duplicate-row", copies, lambda row: f"action {table.action_ids[row]} again, {box_text(table, row)}")


def check_proposals(rows: RowFindings) -> None:
    """Add the faults of a detector's boxes.

    Args:
        rows: The rows, and where the findings go.
    """
    scores = rows.table.scores
    check_row_boxes(rows, ~rows.table.is_keyframe_only)
    rows.add("score-outside", is_outside_scores(rows.table), lambda row: f"score {scores[row]:g}")
    rows.add("score-is-id", are_scores_ids(rows.table), lambda row: f"score {scores[row]:g}")


def check_row_boxes(rows: RowFindings, boxed: BoolArray) -> None:
    """Add boxes in pixels, boxes outside the frame, and boxes without area.

    Args:
        rows: The rows, and where the findings go.
        boxed: bool ``[R]``, the rows that have a box.
    """
    table = rows.table
    corners = table.boxes_fraction  # [R, 4]
    low, high = corners.min(axis=1, initial=np.inf), corners.max(axis=1, initial=-np.inf)  # [R] each
    pixels = boxed & (high > LARGEST_FRACTION)  # training refuses these and clips smaller ones to the frame
    outside = boxed & ~pixels & ((low < -_ROUNDING) | (high > 1 + _ROUNDING))
    # Comparisons with NaN are false, so that a box with a NaN corner counts as degenerate too.
    degenerate = boxed & ~((corners[:, 0] < corners[:, 2]) & (corners[:, 1] < corners[:, 3]))
    for kind, wrong in (("box-in-pixels", pixels), ("box-outside-frame", outside), ("box-degenerate", degenerate)):
        rows.add(kind, wrong, lambda row: box_text(table, row))


def repeats(columns: pd.DataFrame) -> BoolArray:
    """Find rows that equal an earlier row in every column.

    Args:
        columns: The columns to compare, R rows.

    Returns:
        bool ``[R]``, true for every copy but not for the first of equal rows.
    """
    hashes = pd.util.hash_pandas_object(columns, index=False)
    # Only rows with equal hashes can be equal: comparing those alone takes a third of the time.
    suspects = columns[hashes.duplicated(keep=False)]
    result = np.zeros(len(columns), np.bool_)
    result[suspects.index[suspects.duplicated()]] = True
    return result


def _check_persons(rows: RowFindings, keys: IntArray) -> None:
    """Add rows that lack a person id among others that have one, and persons with two boxes on one keyframe."""
    table = rows.table
    named = table.person_ids != -1  # [R]
    if named.any():
        rows.add("row-without-person", ~named & ~table.is_keyframe_only, lambda row: "no person id")
    persons = pd.DataFrame({"key": keys, "person": table.person_ids})
    # Keep one row per (keyframe, person, box); a (keyframe, person) that then repeats has a second box.
    first_of_box = named & ~repeats(persons.assign(**_corners(table)))  # [R]
    persons_of_boxes = persons[first_of_box].reset_index(drop=True)
    second_box = np.zeros(len(table), np.bool_)
    second_box[np.flatnonzero(first_of_box)[repeats(persons_of_boxes)]] = True
    rows.add(
        "person-with-two-boxes", second_box, lambda row: f"person {_person(table, row)} also has {box_text(table, row)}"
    )


def _corners(table: AvaTable) -> dict[str, npt.NDArray[np.float64]]:
    return {name: table.boxes_fraction[:, column] for column, name in enumerate(("x1", "y1", "x2", "y2"))}


def box_text(table: AvaTable, row: int) -> str:
    """Write the box of a row as text.

    Args:
        table: The rows.
        row: The row, from 0.

    Returns:
        Its corners.
    """
    return "box " + ",".join(f"{corner:g}" for corner in table.boxes_fraction[row])


def _person(table: AvaTable, row: int) -> str:
    """Write a person's id; the reader replaces ids that are text by negative numbers, which mean nothing to a user."""
    person = int(table.person_ids[row])
    return str(person) if person >= 0 else "of this name"
