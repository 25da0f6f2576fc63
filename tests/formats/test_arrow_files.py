"""What pyarrow reads belongs to pyarrow, so its threads never need Python's lock to let go of it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from ava_detect.formats import ava_csv_reader
from ava_detect.formats.arrow_files import native_copy, number_column, text_column
from ava_detect.formats.ava_csv import read_ava_csv


@pytest.mark.parametrize(
    "data", [b"", b"one,two\n", memoryview(b"xone,twox")[1:-1], np.arange(12, dtype=np.uint8).reshape(3, 4)]
)
def test_a_copy_holds_the_bytes(data):
    assert native_copy(data).read() == bytes(data)


def test_a_copy_does_not_hold_its_source():
    source = bytearray(b"one,two")
    copy = native_copy(memoryview(source))
    source += b"more"  # a bytearray whose memory is in use cannot be resized
    source[:] = bytes(len(source))
    assert copy.read() == b"one,two"


@pytest.mark.parametrize(
    "values",
    [
        np.arange(7, dtype=np.int64)[::2],
        np.array([], np.float32),
        np.array([1.5, -0.0], np.float64),
        np.arange(6, dtype=np.int32).reshape(2, 3)[:, 1],
    ],
)
def test_a_column_of_numbers_is_that_of_pyarrow(values):
    column = number_column(values)
    column.validate(full=True)
    assert column.equals(pa.array(values)) and column.type == pa.array(values).type


@pytest.mark.parametrize("texts", [["a", "b", "a", None, "ä"] * 3, [], [None, None], ["x"] * 9, ["", "y"]])
def test_a_column_of_texts_is_that_of_pyarrow(texts):
    column = text_column(texts)
    column.validate(full=True)
    expected = pa.array(texts, pa.dictionary(pa.int32(), pa.string()))
    assert column.type == expected.type and column.equals(expected) and column.null_count == expected.null_count


def test_the_csv_parser_gets_nothing_but_copies(tmp_path, monkeypatch):
    copies, parsed = [], []
    parse = ava_csv_reader.pa_csv.read_csv

    def copy(data):
        copies.append(native_copy(data))
        return copies[-1]

    def read_csv(file, **options):
        parsed.append(file)
        return parse(file, **options)

    monkeypatch.setattr(ava_csv_reader, "native_copy", copy)
    monkeypatch.setattr(ava_csv_reader.pa_csv, "read_csv", read_csv)
    (tmp_path / "found.csv").write_text("a,1,0.1,0.1,0.5,0.5,12,0.9\na,1,0.1,0.1,0.5,0.5,14,0.8\n")
    assert len(read_ava_csv(tmp_path / "found.csv")) == 2
    assert parsed and all(any(file is one for one in copies) for file in parsed)
