"""Rows that are no person boxes are refused with the file and the line in which they are."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from ava_detect.errors import FormatError
from ava_detect.formats.ava_csv import AvaTable, read_ava_csv
from ava_detect.formats.row_checks import are_scores_ids, check_boxes

GOOD = "v,0902,0,0,1,1,,0.5"
FAULTS = {
    "v,0903,10,20,30,40,,0.5": "boxes are fractions of the frame, 0..1, got [10.0, 20.0, 30.0, 40.0]",
    "v,0903,0,0,nan,1,,0.5": "boxes are fractions of the frame, 0..1, got [0.0, 0.0, nan, 1.0] in v at 903 s",
    "v,0903,0.5,0,0.4,1,,0.5": "boxes are x1,y1,x2,y2 with x1 <= x2 and y1 <= y2, got [0.5, 0.0, 0.4, 1.0] in v",
    "v,0903,0,0,1,1,,1.01": "scores lie in 0..1, got 1.01 in v at 903 s; HINT",
    "v,0903,0,0,1,1,,-inf": "scores lie in 0..1, got -inf in v at 903 s; HINT",
}


@pytest.mark.parametrize("row", FAULTS)
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("before", [[], ["video_id,timestamp,x1,y1,x2,y2,action_id,score"], ["", ""]])
def test_the_first_wrong_row_is_named_by_its_line(tmp_path: Path, row: str, packed: bool, before: list[str]) -> None:
    text = "\n".join([*before, GOOD, "", "v,0904", row, row, GOOD]).encode()
    path = tmp_path / "boxes.csv"
    path.write_bytes(gzip.compress(text) if packed else text)
    with pytest.raises(FormatError) as error:
        check_boxes(read_ava_csv(path), path, ids_hint="HINT")
    assert str(error.value).startswith(f"{path}, line {len(before) + 4}: {FAULTS[row]}")


def test_what_is_right_passes() -> None:
    nan = [np.nan] * 4
    table = AvaTable.from_columns(
        ["v"] * 4,
        [1, 2, 3, 4],
        [[0, 0, 1, 1], [-0.1, 0, 1.2, 1], [0.5, 0.5, 0.5, 0.7], nan],
        scores=[0, 1, 0.5, np.nan],
    )
    check_boxes(table, "boxes.csv", ids_hint="")
    check_boxes(AvaTable.empty(), "boxes.csv", ids_hint="")


def test_other_files_have_no_lines() -> None:
    table = AvaTable.from_columns(["v"], [1], [[0, 0, 1, 1]], scores=[2])
    for name, place in (("boxes.json", ""), ("boxes.parquet", ", row 1")):
        with pytest.raises(FormatError, match=rf"^{name}{place}: scores lie in 0\.\.1, got 2 in v at 1 s$"):
            check_boxes(table, name)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([0, 1, 1], [True, False, False]),
        ([0, 0, np.nan], [True, True, False]),
        ([1, 1, np.nan], [False, False, False]),
        ([0, 0.5, 1], [False, False, False]),
        ([np.nan] * 3, [False, False, False]),
    ],
)
def test_scores_that_number_the_people(scores: list[float], expected: list[bool]) -> None:
    table = AvaTable.from_columns(["v"] * 3, [1, 1, 2], [[0, 0, 1, 1]] * 3, scores=scores)
    assert are_scores_ids(table).tolist() == expected
    # The scores of actions may all be 0 or 1.
    check_boxes(table, "results.csv")
