"""Runs of rows that begin alike: found where they are, and each cell read as the other readers read it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ava_detect.errors import FormatError
from ava_detect.formats import ava_csv_reader
from ava_detect.formats.ava_csv import AvaTable, read_ava_csv
from ava_detect.formats.ava_csv_runs import MARGIN_BYTES, RowRuns, find_runs

A = "vid,0902,0.1,0.2,0.5,0.9"
B = "vid,0902,0.1,0.2,0.5,0.91"  # longer than A
C = "vid,0902,0.1,0.2,0.5,0.8"  # as long as A, and other at its end
D = "wid,0902,0.1,0.2,0.5,0.8"  # as long, and other at its beginning


def runs_of(text: str, around: bytes = b",") -> RowRuns | None:
    """The runs of a text between margins that try to be taken for a part of it."""
    margin = around * MARGIN_BYTES
    return find_runs(bytearray(margin + text.encode() + margin), MARGIN_BYTES, MARGIN_BYTES + len(text.encode()))


def test_runs_by_hand() -> None:
    rows = [f"{A},1,0.5", f"{A},80,0.25", f"{B},1,1e-05", f"{C},9,0.012345678901234567", f"{D},9,1", f"{D},9,1"]
    runs = runs_of("\n".join(rows) + "\n")
    assert runs is not None
    assert runs.lengths.tolist() == [2, 1, 1, 2]
    assert [line.rstrip() for line in bytes(runs.heads).decode().splitlines()] == [A, B, C, D]
    assert runs.second_last.to_pylist() == ["1", "80", "1", "9", "9", "9"]
    assert runs.last.to_pylist() == ["0.5", "0.25", "1e-05", "0.012345678901234567", "1", "1"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"{A},1,0.5",
        f"{A},1,0.5\r\n",
        '"vid",0902,0,0,1,1,1,0.5\n',
        f"{A},1,0.5\n\n{A},1,0.5\n",
        "vid\n",
        "vid,0902\n",
        f"{A},1,0.{'5' * 40}\n",
        f"{'v' * 2 * MARGIN_BYTES}{A},1,0.5\n",
    ],
    ids=["empty", "no_end", "crlf", "quote", "blank", "one_cell", "two_cells", "long_score", "long_id"],
)
def test_text_that_is_not_plain_is_left_to_others(text: str) -> None:
    assert runs_of(text) is None


def test_detections_of_a_person_take_this_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(ava_csv_reader._BlockReader, "_read_columns")
    rows = [f"v{p // 2},0902,0.{p},0.2,0.5,0.9,{a},0.{a:04d}" for p in range(4) for a in range(1, 81)]
    (tmp_path / "d.csv").write_text("\n".join([*rows, ""]))
    table = read_ava_csv(tmp_path / "d.csv")
    assert table.video_ids == ("v0", "v1")
    assert table.video_index.tolist() == [0] * 160 + [1] * 160
    assert table.boxes_fraction[:, 0].tolist() == [0.0] * 80 + [0.1] * 80 + [0.2] * 80 + [0.3] * 80
    assert table.action_ids.tolist() == [*range(1, 81)] * 4
    assert table.scores.tolist() == [float(f"0.{a:04d}") for a in range(1, 81)] * 4
    (tmp_path / "g.csv").write_text(f"{A},12,7\n{A},80,7\n")
    assert read_ava_csv(tmp_path / "g.csv", last_column="person_id").person_ids.tolist() == [7, 7]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (f"{A},12,nan", "line 81: the score is 'nan'"),
        (f"{A},12,", "line 81: column 8 (score) is empty"),
        (f"{A},12.5,0.5", "line 81: column 7 (action_id) is '12.5'"),
        (f"{A},0.9,12,0.5", "line 81: 9 columns"),
        ("vid,0902,0.1,0.2,0.5,12,0.5", "line 81: column 7 (action_id) is '0.5'"),
        ("vid,0902,0.1,x,0.5,0.9,12,0.5", "line 81: column 4 (y1) is 'x'"),
    ],
)
def test_a_bad_row_in_a_run_is_refused_by_line_and_cell(tmp_path: Path, bad: str, message: str) -> None:
    rows = [f"{A},{a},0.{a:04d}" for a in range(1, 81)]
    (tmp_path / "d.csv").write_text("\n".join([*rows, bad, *rows, ""]))
    with pytest.raises(FormatError) as error:
        read_ava_csv(tmp_path / "d.csv")
    assert message in str(error.value)


beginnings = st.sampled_from(
    [
        A,
        B,
        C,
        D,
        f"{A}0",
        "w,0902,0,0,1,1",
        "w,902.0,0,0,1,1",
        "é,1,0,0,1,1",
        "v x,1,0,.5,1e0,+1",
        "v,1,nan,0,1,1",
        "v,1,0,0,1",
    ]
)
actions = st.sampled_from(["1", "80", "0012", "-3", "", "12.0", " 7"])
last_cells = st.one_of(
    st.floats(allow_nan=False).map(repr),
    st.floats(0, 1, width=32).map(str),
    st.integers(0, 10**6).map(str),
    st.sampled_from(["0.5", "1e-05", "-0.0", "inf", "nan", "", " 0.5", "0.5 ", "0_5", "+1", "007"]),
)
plain_rows = st.lists(st.tuples(beginnings, actions, last_cells).map(",".join), min_size=1, max_size=8)


@settings(max_examples=200, deadline=None)
@given(rows=plain_rows, last_column=st.sampled_from(["score", "person_id"]))
def test_it_agrees_with_the_other_readers(
    tmp_path_factory: pytest.TempPathFactory, rows: list[str], last_column: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "runs.csv"
    path.write_text("\n".join([*rows, ""]), encoding="utf-8")
    outcomes: list[AvaTable | str] = []
    for with_runs in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            if not with_runs:
                patch.setattr(ava_csv_reader, "find_runs", lambda buffer, start, stop: None)
            try:
                outcomes.append(read_ava_csv(path, last_column=last_column))  # type: ignore[arg-type]
            except FormatError as error:
                outcomes.append(str(error))
    found, expected = outcomes
    if isinstance(expected, str):
        assert found == expected
        return
    assert isinstance(found, AvaTable)
    assert found.video_ids == expected.video_ids
    for name in ("video_index", "timestamps_seconds", "boxes_fraction", "action_ids", "scores", "person_ids"):
        a, b = getattr(found, name), getattr(expected, name)
        assert a.dtype == b.dtype
        assert np.array_equal(a, b, equal_nan=True)
