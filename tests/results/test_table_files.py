"""Parquet and csv files of results that were edited, cut or swapped: read as they are, or refused with the row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from people import detections

from ava_detect.errors import FormatError
from ava_detect.formats.parquet import write_parquet
from ava_detect.results.results_file import name_actions, open_results
from ava_detect.results.saved import read_saved_results
from ava_detect.results.saved_run import open_run
from ava_detect.structures.labels import LabelMap

BOXES = [(0.1, 0.2, 0.3, 0.8), (0.5, 0.2, 0.6, 0.8)]
ROWS = 320  # two people on two keyframes, 80 actions each


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    path = tmp_path_factory.mktemp("whole") / "a.parquet"
    actions = [{12: 0.9}, {48: 0.3}]
    keyframes = [detections(BOXES, actions, video_id="a", seconds=float(t), track_ids=[1, 2]) for t in range(2)]
    write_parquet(path, keyframes, LabelMap.ava())
    return pq.read_table(path)


def with_value(table: pa.Table, column: str, row: int, value: Any, kind: pa.DataType | None = None) -> pa.Table:
    """The table with one other value, in a column of the type ``kind`` or of its own."""
    values = table[column].to_pylist()
    values[row] = value
    index = table.schema.get_field_index(column)
    return table.set_column(index, column, pa.array(values, kind or table.schema.field(column).type))


EDITED: dict[str, tuple[str, Any, pa.DataType | None, str]] = {
    "id null": ("video_id", None, None, "column video_id has 1 empty cells"),
    "time null": ("timestamp_seconds", None, None, "column timestamp_seconds has 1 empty cells"),
    "time NaN": ("timestamp_seconds", float("nan"), None, "row 8: column timestamp_seconds holds nan"),
    "time 1e300": ("timestamp_seconds", 1e300, None, r"row 8: column timestamp_seconds holds 1e\+300"),
    "time as text": ("timestamp_seconds", None, pa.null(), "timestamp_seconds"),
    "box NaN": ("x1", float("nan"), None, "row 8: column x1 holds nan"),
    "box in pixels": ("x2", 300.0, None, "row 8: boxes"),
    "box reversed": ("x2", 0.05, None, "row 8: boxes are x1,y1,x2,y2 with x1 <= x2"),
    "action null": ("action_id", None, None, "column action_id has 1 empty cells"),
    "action beyond 32 bits": ("action_id", 2**40, pa.int64(), "row 8: column action_id holds 1099511627776"),
    "action -1": ("action_id", -1, None, "row 8: column action_id holds -1, a whole number from 0"),
    "action 1000001": ("action_id", 1000001, None, "row 8: column action_id holds 1000001"),
    "action 1.5": ("action_id", 1.5, pa.float64(), "row 8: column action_id holds 1.5, a whole number"),
    "score NaN": ("action_score", float("nan"), None, "row 8: column action_score holds nan"),
    "score 1e300": ("action_score", 1e300, pa.float64(), "row 8: column action_score holds"),
    "score 2": ("action_score", 2.0, None, "row 8: scores lie in 0..1, got 2"),
    "track null": ("track_id", None, None, "row 8: track_id is empty, and 319 other rows have one"),
    "track -3": ("track_id", -3, None, "row 8: track ids are numbers from 0"),
    "track of another": ("track_id", 2, None, "a has person 2 twice at 0 s"),
    "person score NaN": ("person_score", float("nan"), None, "row 8: person scores are numbers from 0 to 1, got nan"),
    "person score null": ("person_score", None, None, "row 8: person scores"),
}


@pytest.mark.parametrize("case", EDITED)
def test_a_value_that_no_run_writes_is_refused_with_its_column(table: pa.Table, tmp_path: Path, case: str) -> None:
    column, value, kind, message = EDITED[case]
    edited = table.drop_columns([column]) if kind == pa.null() else with_value(table, column, 7, value, kind)
    pq.write_table(edited, tmp_path / "a.parquet")
    with pytest.raises(FormatError, match=rf"a\.parquet[,:] .*{message}"):
        list(read_saved_results(tmp_path / "a.parquet"))


def test_columns_of_another_type_are_refused(table: pa.Table, tmp_path: Path) -> None:
    for column in ("track_id", "person_score", "action_name"):
        index = table.schema.get_field_index(column)
        pq.write_table(table.set_column(index, column, pa.array([["x"]] * ROWS)), tmp_path / "a.parquet")
        with pytest.raises(FormatError, match=r"a\.parquet"):
            list(read_saved_results(tmp_path / "a.parquet"))


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_a_file_of_a_video_without_people_is_no_people(table: pa.Table, tmp_path: Path, suffix: str) -> None:
    """A table has no row of such a video."""
    path = tmp_path / f"a.{suffix}"
    if suffix == "parquet":
        pq.write_table(table[:0], path)
    else:
        path.touch()
    label_map, _ = name_actions({}, None)
    assert len(open_results(path).people("a", label_map)) == 0


def test_the_file_of_another_video_is_not_taken_for_one_without_people(table: pa.Table, tmp_path: Path) -> None:
    pq.write_table(table, tmp_path / "b.parquet")
    results = open_results(tmp_path / "b.parquet")
    with pytest.raises(FormatError, match=r"b\.parquet holds no results of b, only of a; is it the file of another"):
        results.people("b", LabelMap.ava())


def test_two_files_with_results_of_one_video_are_refused(table: pa.Table, tmp_path: Path) -> None:
    for name in ("a.parquet", "copy.parquet"):
        pq.write_table(table, tmp_path / name)
    with pytest.raises(FormatError, match=r"copy\.parquet and .*a\.parquet both hold results of a; give one"):
        open_run(tmp_path)


def test_a_name_of_a_column_that_is_no_utf8_is_refused_with_the_file(table: pa.Table, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(table, path)
    path.write_bytes(path.read_bytes().replace(b"person_score", b"\x80erson_score"))
    with pytest.raises(FormatError, match=r"a\.parquet"):
        list(read_saved_results(path))


@given(data=st.data())
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_damage_is_read_or_refused_with_the_file(table: pa.Table, tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(table, path)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.sampled_from([len(content), len(content) // 2]))])
    try:
        list(read_saved_results(path))
    except FormatError as error:
        assert str(path) in str(error) and str(error).isprintable()
