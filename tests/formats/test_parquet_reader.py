"""Parquet tables as rows: what fits, and the sentence for what does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ava_detect.errors import FormatError
from ava_detect.formats import parquet_reader
from ava_detect.formats.ava_csv import AvaTable
from ava_detect.formats.parquet_reader import is_parquet_file, iter_parquet

COLUMNS: dict[str, Any] = {
    "video_id": ["v", "w", "v"],
    "timestamp_seconds": [1.0, 2.5, 3.0],
    "x1": pa.array([0.1, 0.2, 0.3], pa.float32()),
    "y1": [0.0, 0.0, 0.0],
    "x2": [1, 1, 1],
    "y2": [1.0, 1.0, 1.0],
    "action_id": [12, 80, 12],
}


def write(folder: Path, **changes: Any) -> Path:
    columns = {name: values for name, values in (COLUMNS | changes).items() if values is not None}
    pq.write_table(pa.table(columns), folder / "rows.parquet")
    return folder / "rows.parquet"


def read(path: Path, **settings: float) -> AvaTable:
    return AvaTable.concatenate(list(iter_parquet(path, **settings)))


def test_columns_of_any_number_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_reader, "_ROWS_PER_PIECE", 2)
    path = write(tmp_path, score=[0.5, 1.0, -1.0], person_id=[3, 4, 5], more=["a", "b", "c"])
    table = read(path, start_seconds=900)
    assert [table.video_ids[i] for i in table.video_index] == ["v", "w", "v"]
    assert table.timestamps_seconds.tolist() == [901.0, 902.5, 903.0]
    assert table.boxes_fraction[:, 0].tolist() == [0.1, 0.2, 0.3], "float32 is read as its shortest decimal"
    assert table.boxes_fraction[:, 2].tolist() == [1, 1, 1]
    assert table.scores.tolist() == [0.5, 1.0, -1.0]
    assert table.person_ids.tolist() == [3, 4, 5]
    assert is_parquet_file(path)
    assert not is_parquet_file(tmp_path)


def test_scores_and_persons_may_be_absent(tmp_path: Path) -> None:
    table = read(write(tmp_path))
    assert np.isnan(table.scores).all()
    assert (table.person_ids == -1).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x1": None, "action_id": None}, "no column x1, action_id; the file has video_id, timestamp_seconds, y1"),
        ({"action_id": [1, None, 2]}, "column action_id has 1 empty cells; every row needs a value"),
        ({"video_id": ["v", None, None]}, "column video_id has 2 empty cells"),
        ({"x1": ["a", "b", "c"]}, "column x1 holds string, numbers are expected"),
        (
            {"score": [0.5, float("nan"), 0.5]},
            "row 2: column score holds nan, a number from -1e+09 to 1e+09",
        ),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = write(tmp_path, **changes)
    with pytest.raises(FormatError) as error:
        read(path)
    assert str(error.value).startswith(str(path)) and message in str(error.value)


def test_a_damaged_file_gets_a_sentence(tmp_path: Path) -> None:
    path = write(tmp_path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(FormatError, match="the Parquet file cannot be read"):
        read(path)
    with pytest.raises(FormatError, match="the Parquet file cannot be read"):
        read(tmp_path / "none.parquet")
