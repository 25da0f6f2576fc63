"""AVA's csv: what is read, what is refused and in which words, and that writing and reading agree."""

from __future__ import annotations

import csv
import gzip
import io
import resource
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ava_detect.errors import FormatError
from ava_detect.formats import ava_csv_reader
from ava_detect.formats.ava_csv import (
    AvaTable,
    format_timestamp,
    iter_ava_csv,
    read_ava_csv,
    write_ava_csv,
    write_ava_table,
)
from ava_detect.formats.ava_csv_header import LastColumn
from ava_detect.structures import ActionDetections
from ava_detect.structures.labels import GREATEST_ACTION_ID, NO_ACTION

ROW = "v,0902,0.1,0.2,0.5,0.9,12,0.75"


def file_with(folder: Path, content: str | bytes, name: str = "rows.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def same(a: AvaTable, b: AvaTable) -> bool:
    names = ("video_index", "timestamps_seconds", "boxes_fraction", "action_ids", "scores", "person_ids")
    return a.video_ids == b.video_ids and all(
        np.array_equal(getattr(a, name), getattr(b, name), equal_nan=True) for name in names
    )


def test_a_row_of_each_column_as_typed_in(tmp_path: Path) -> None:
    table = read_ava_csv(file_with(tmp_path, f"{ROW}\nw,902.5,0,0,1,1,80,1e-3\nv,903,0,0,1,1,7,-inf\n"))
    assert table.video_ids == ("v", "w")
    assert table.video_index.tolist() == [0, 1, 0]
    assert table.timestamps_seconds.tolist() == [902.0, 902.5, 903.0]
    assert table.boxes_fraction[0].tolist() == [0.1, 0.2, 0.5, 0.9]
    assert table.action_ids.tolist() == [12, 80, 7]
    assert table.scores.tolist() == [0.75, 0.001, -np.inf]
    assert table.person_ids.tolist() == [-1, -1, -1]
    assert table.boxes_fraction.dtype == np.float64
    assert repr(table) == "AvaTable(rows=3, videos=2)"


@pytest.mark.parametrize(
    "text",
    [
        f"\ufeff{ROW}\n",
        f"{ROW}\r\n",
        f"{ROW}\r",
        ROW,
        f"{ROW}\n\n",
        f"\n\n{ROW}\n   \n",
        f"video_id,timestamp,x1,y1,x2,y2,action_id,score\n{ROW}\n",
        f"\n\ufeffvid,middle_frame_timestamp,xmin,ymin,xmax,ymax,label,conf\n{ROW}\n",
        "v, 0902, 0.1, 0.2, 0.5, 0.9, 12, 0.75\n",
        "v,+902,0.1,0.2,.5,9e-1,12.0,+.75\n",
        '"v",902.0,"0.1",0.2,0.5,0.9,12,0.75\n',
    ],
    ids=[
        "bom",
        "crlf",
        "cr",
        "no_end",
        "blank_end",
        "blanks",
        "header",
        "other_header",
        "spaces",
        "spellings",
        "quotes",
    ],
)
def test_what_a_person_means_is_read(tmp_path: Path, text: str) -> None:
    expected = AvaTable.from_columns(["v"], [902], [[0.1, 0.2, 0.5, 0.9]], [12], [0.75])
    assert same(read_ava_csv(file_with(tmp_path, text)), expected)


def test_gzip_is_known_by_its_content(tmp_path: Path) -> None:
    expected = read_ava_csv(file_with(tmp_path, f"{ROW}\n"))
    assert same(read_ava_csv(file_with(tmp_path, gzip.compress(f"{ROW}\n".encode()), "packed.csv")), expected)
    assert same(read_ava_csv(file_with(tmp_path, f"{ROW}\n", "plain.csv.gz")), expected)


def test_empty_files_have_no_rows(tmp_path: Path) -> None:
    for text in ("", "\n", "\ufeff", "video_id,timestamp\n"):
        assert len(read_ava_csv(file_with(tmp_path, text))) == 0


def test_rows_of_different_width_and_meaning(tmp_path: Path) -> None:
    path = file_with(tmp_path, "v,0902\nv,0903,0,0,1,1,12\nv,0904,0,0,1,1,12,3\nv,0905,0,0,1,1,,3\nv,0906,0,0,1,1,9,\n")
    table = read_ava_csv(path, last_column="person_id")
    assert table.is_keyframe_only.tolist() == [True, False, False, False, False]
    assert table.action_ids.tolist() == [NO_ACTION, 12, 12, NO_ACTION, 9]
    assert table.person_ids.tolist() == [-1, -1, 3, 3, -1]
    assert np.isnan(table.scores).all()


def test_proposals_without_an_action_take_the_fast_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(ava_csv_reader.RowParser, "parse")
    table = read_ava_csv(file_with(tmp_path, "v,0902,0,0,1,1,,0.9\nv,0902,0,0,1,1,,0.8\n"))
    assert table.action_ids.tolist() == [NO_ACTION, NO_ACTION]
    assert table.scores.tolist() == [0.9, 0.8]


def test_person_ids_that_are_text_stay_apart(tmp_path: Path) -> None:
    lines = [
        f"v,0902,0,0,1,1,12,{person}" for person in ("1_", "1", "x", "1_", "-2", "", "-1", "3.0", "-1.0", "9" * 19)
    ]
    table = read_ava_csv(file_with(tmp_path, "\n".join(lines)), last_column="person_id")
    assert table.person_ids.tolist() == [-2, 1, -3, -2, -4, -1, -1, 3, -1, -5]


def test_video_ids_are_verbatim(tmp_path: Path) -> None:
    ids = ["-5KQ66BBWC4", "a b", " a b ", "_x.y-z", "vidéo", "视频 ١", 'quote "q"', "comma, id"]
    text = io.StringIO()
    csv.writer(text).writerows([[video, "0902", "0", "0", "1", "1", "12", "0.5"] for video in ids])
    assert read_ava_csv(file_with(tmp_path, text.getvalue())).video_ids == tuple(ids)


REFUSED = {
    "wrong_width": (
        "v,1,0,0,1,1,12,0.5,extra",
        "line 2: 9 columns, expected video_id,timestamp,x1,y1,x2,y2,action_id[,",
    ),
    "one_column": ("v", "line 2: 1 column, expected"),
    "tabs": ("v\t1\t0\t0\t1\t1\t12\t0.5", "separated by tabs, use commas"),
    "semicolons": ("v;1;0;0;1;1;12;0.5", "separated by semicolons, use commas"),
    "text_corner": ("v,1,0,abc,1,1,12,0.5", "line 2: column 4 (y1) is 'abc', which is no number"),
    "empty_corner": ("v,1,0,,1,1,12,0.5", "line 2: column 4 (y1) is empty; give a number"),
    "empty_score": ("v,1,0,0,1,1,12,", "line 2: column 8 (score) is empty; give a number"),
    "nan_score": ("v,1,0,0,1,1,12,NaN", "line 2: the score is 'NaN'; give a number, or leave column 8 out"),
    "nan_time": ("v,nan,0,0,1,1,12,0.5", "line 2: the timestamp is 'nan'; give finite seconds"),
    "infinite_time": ("v,1e999,0,0,1,1,12,0.5", "line 2: the timestamp is '1e999'; give finite seconds"),
    "text_action": ("v,1,0,0,1,1,run,0.5", "line 2: column 7 (action_id) is 'run'; give a whole number"),
    "fractional_action": ("v,1,0,0,1,1,12.5,0.5", "line 2: column 7 (action_id) is '12.5'; give a whole number"),
    "hexadecimal_action": ("v,1,0,0,1,1,0x1F,0.5", "line 2: column 7 (action_id) is '0x1F'; give a whole number"),
    "negative_action": ("v,1,0,0,1,1,-1,0.5", "line 2: column 7 (action_id) is '-1'; give a whole number from 0 to"),
    "huge_action": (
        "v,1,0,0,1,1,1000001,0.5",
        "column 7 (action_id) is '1000001'; give a whole number from 0 to 1000000",
    ),
    "vast_action": (f"v,1,0,0,1,1,1{'0' * 30},0.5", "line 2: column 7 (action_id) is '1000000"),
    "underscore_time": (
        "v,1_000,0,0,1,1,12,0.5",
        "line 2: column 2 (timestamp) is '1_000', which is no number; write it",
    ),
    "underscore_score": (
        "v,1,0,0,1,1,12,0_1",
        "line 2: column 8 (score) is '0_1', which is no number; write it with the",
    ),
    "arabic_time": (
        "v,١٢,0,0,1,1,12,0.5",
        "line 2: column 2 (timestamp) is '١٢', which is no number; write it with the",
    ),
    "full_width_corner": (
        "v,1,０,0,1,1,12,0.5",
        "line 2: column 3 (x1) is '０', which is no number; write it with the",
    ),
    "arabic_action": ("v,1,0,0,1,1,١٢,0.5", "line 2: column 7 (action_id) is '١٢'; give a whole number"),
    "empty_video": (",1,0,0,1,1,12,0.5", "line 2: column 1 (video_id) is empty; give the name of the video"),
    "blank_video": ("  ,1,0,0,1,1,12,0.5", "line 2: column 1 (video_id) is empty; give the name of the video"),
    "nul_video": ("v\0,1,0,0,1,1,12,0.5", "line 2: column 1 (video_id) is 'v\\x00', which holds a NUL character"),
    "cut_row": (
        "v,1,0,0,1,1",
        "line 2: 6 columns, and the rows with a box before it have more than 6; was this row cut",
    ),
    "open_quote": ('"v,1,0,0,1,1,12,0.5', "line 2: a quoted cell does not end properly"),
    "header_below": ("video_id,timestamp,x1,y1,x2,y2,action_id,score", "column 2 (timestamp) is 'timestamp', which"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_wrong_is_refused_by_file_line_and_cell(tmp_path: Path, case: str) -> None:
    bad, message = REFUSED[case]
    path = file_with(tmp_path, f"{ROW}\n{bad}\n{ROW}\n")
    with pytest.raises(FormatError) as error:
        read_ava_csv(path)
    assert str(error.value).startswith(f"{path}, line 2: ")
    assert message in str(error.value)


@pytest.mark.parametrize("cell", ["0x1F", "0X1f", " 0x1F", '"0x1F"'])
@pytest.mark.parametrize("last", ["", ",0.5"])
def test_a_hexadecimal_action_is_refused_by_both_readers_of_a_block(tmp_path: Path, cell: str, last: str) -> None:
    """pyarrow would read 31."""
    row = "v,1,0,0,1,1,12" + last
    path = file_with(tmp_path, f"{row}\nv,1,0,0,1,1,{cell}{last}\n{row}\n")
    with pytest.raises(FormatError, match=r"line 2: column 7 \(action_id\) is '.*'; give a whole number"):
        read_ava_csv(path)


def test_a_hexadecimal_person_id_is_text_and_a_video_id_is_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = file_with(tmp_path, "v,1,0,0,1,1,12,31\nv,1,0,0,1,1,12,0x1F\n")
    assert read_ava_csv(people, last_column="person_id").person_ids.tolist() == [31, -2]
    monkeypatch.delattr(ava_csv_reader.RowParser, "parse")
    for last in ("", ",0.5"):
        videos = file_with(tmp_path, f"0x1F,1,0,0,1,1,312{last}\nb0x1F,1,0,0,1,1,12{last}\n")
        assert read_ava_csv(videos).video_ids == ("0x1F", "b0x1F")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PAR1....", "this is a Parquet file"),
        (b"PK\x03\x04zip", "this is a zip archive or an Excel sheet"),
        ("v,1\n".encode("utf-16"), "this is UTF-16 text"),
        (b"v,1\n\xe9,2\n", "line 2: the text is not UTF-8"),
        (gzip.compress(ROW.encode())[:-9], "cannot be read"),
        (b"\x1f\x8bnot gzip at all", "cannot be read"),
        (b"Dear reader,\nthis is a letter.\n", r"line 1: column 2 \(timestamp\) is empty"),
        (bytes(range(256)) * 8, "line 2: the text is not UTF-8"),
    ],
    ids=["parquet", "zip", "utf16", "latin1", "cut_gzip", "false_gzip", "letter", "binary"],
)
def test_what_is_no_csv_gets_a_sentence(tmp_path: Path, content: bytes, message: str) -> None:
    path = file_with(tmp_path, content)
    with pytest.raises(FormatError, match=message) as error:
        read_ava_csv(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_files_and_folders_get_a_sentence(tmp_path: Path) -> None:
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(FormatError, match="cannot be read"):
            read_ava_csv(path)


def test_a_header_that_names_other_columns_is_refused(tmp_path: Path) -> None:
    path = file_with(tmp_path, "video_id,timestamp,x1,y1,x2,y2,action_id,person_id\nv,1,0,0,1,1,12,3\n")
    assert len(read_ava_csv(path, last_column="person_id")) == 1
    with pytest.raises(FormatError, match="line 1: the header calls column 8 'person_id' where 'score' is expected"):
        read_ava_csv(path)


def test_last_column_is_checked() -> None:
    with pytest.raises(ValueError, match="last_column must be 'score' or 'person_id', got 'persons'"):
        read_ava_csv("x.csv", last_column="persons")  # type: ignore[arg-type]


def test_pieces_and_lines_agree_over_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks smaller than a line, lines of every form, and still the right rows and the right line number."""
    lines = [f"video{i % 7},{900 + i},0.{i:03d},0,1,1,{1 + i % 80},0.{i + 1}" for i in range(300)]
    lines[50] = "video1,0950"
    lines[51] = ""
    path = file_with(tmp_path, "\n".join(lines))
    whole = read_ava_csv(path)
    for size in (16, 100, 1000):
        monkeypatch.setattr(ava_csv_reader, "_BLOCK_BYTES", size)
        pieces = list(iter_ava_csv(path))
        assert len(pieces) > 5
        assert same(AvaTable.concatenate(pieces), whole)
        assert [whole.video_ids[i] for i in whole.video_index] == [
            p.video_ids[i] for p in pieces for i in p.video_index
        ]
    path.write_text("\n".join([*lines[:250], "video1,x,0,0,1,1,1,0.5", *lines[250:]]))
    with pytest.raises(FormatError, match=r"line 251: column 2 \(timestamp\) is 'x'"):
        read_ava_csv(path)


def test_a_file_without_line_ends_is_given_up_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ava_csv_reader, "_BLOCK_BYTES", 1 << 10)
    monkeypatch.setattr(ava_csv_reader, "_LONGEST_LINE_BYTES", 1 << 20)
    with pytest.raises(FormatError, match="line 1: no line end within 1 MB"):
        read_ava_csv(file_with(tmp_path, b"x" * (3 << 20)))


def only_row_by_row(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ava_csv_reader, "find_runs", lambda buffer, start, stop: None)
    patch.setattr(ava_csv_reader._BlockReader, "_read_columns", lambda self, block: None)


cells = st.one_of(
    st.floats(allow_nan=False, width=64).map(repr),
    st.sampled_from(["", " ", "12", "12.0", "+3", "nan", "inf", "0_5", "abc", '"', "1e5", " 7 ", "007", "é", "-0.0"]),
)
lines_of_cells = st.lists(st.lists(cells, min_size=1, max_size=9).map(",".join), max_size=5)


@settings(max_examples=150, deadline=None)
@given(lines=lines_of_cells, last_column=st.sampled_from(["score", "person_id"]))
def test_both_readers_agree(tmp_path_factory: pytest.TempPathFactory, lines: list[str], last_column: str) -> None:
    """Whatever the fast parser accepts, the careful one reads as the same numbers; else there is a sentence."""
    path = file_with(tmp_path_factory.getbasetemp(), "v,1,0,0,1,1,12,1\n" + "\n".join(lines), "fuzz.csv")
    outcomes: list[AvaTable | str] = []
    for only_careful in (False, True):
        with pytest.MonkeyPatch.context() as patch:
            if only_careful:
                only_row_by_row(patch)
            try:
                outcomes.append(read_ava_csv(path, last_column=last_column))  # type: ignore[arg-type]
            except FormatError as error:
                outcomes.append(str(error))
    fast, careful = outcomes
    assert fast == careful if isinstance(careful, str) else isinstance(fast, AvaTable) and same(fast, careful)


finite = st.floats(allow_nan=False, allow_infinity=False, width=64)
table_rows = st.lists(
    st.tuples(
        st.text(
            st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\u2028\u2029\x85\ufeff"),
            min_size=1,
            max_size=5,
        ).filter(str.strip),
        st.integers(0, 10**7).map(lambda milliseconds: milliseconds / 1000),
        st.tuples(finite, finite, finite, finite),
        st.one_of(st.just(NO_ACTION), st.integers(0, 80), st.just(GREATEST_ACTION_ID)),
        st.one_of(st.just(np.nan), finite),
    ),
    max_size=20,
)


@settings(max_examples=100, deadline=None)
@given(rows=table_rows, name=st.sampled_from(["table.csv", "table.csv.gz"]))
def test_a_written_table_reads_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, float, tuple[float, ...], int, float]], name: str
) -> None:
    columns = tuple(zip(*rows, strict=True)) or ((),) * 5
    table = AvaTable.from_columns(columns[0], columns[1], columns[2], columns[3], columns[4])
    path = tmp_path_factory.getbasetemp() / name
    write_ava_table(path, table)
    assert same(read_ava_csv(path), table)


def test_the_text_of_a_written_table(tmp_path: Path) -> None:
    nan_box = [np.nan] * 4
    table = AvaTable.from_columns(
        ["v", "v", "w,x", "v"],
        [902, 902.5, 3, 4],
        [[0, 0.25, 0.5, 1], nan_box, [0.1, 0.2, 0.3, 0.4], [0, 0, 1, 1]],
        [12, NO_ACTION, NO_ACTION, 0],
        [0.75, np.nan, 0.9, np.nan],
        [-1, -1, -1, 4],
    )
    write_ava_table(tmp_path / "t.csv", table)
    assert (tmp_path / "t.csv").read_text() == (
        'v,0902,0,0.25,0.5,1,12,0.75\nv,0902.5\n"w,x",0003,0.1,0.2,0.3,0.4,,0.9\nv,0004,0,0,1,1,0,4\n'
    )
    both = AvaTable.from_columns(["v"], [1], [[0, 0, 1, 1]], [1], [0.5], [3])
    with pytest.raises(ValueError, match="row 0 has a score and a person id"):
        write_ava_table(tmp_path / "t.csv", both)
    assert (tmp_path / "t.csv").read_text().startswith("v,0902"), "the older file stays when writing fails"


@settings(max_examples=100, deadline=None)
@given(rows=table_rows, name=st.sampled_from(["copy.csv", "copy.csv.gz"]))
def test_what_was_read_can_be_written_and_gives_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, float, tuple[float, ...], int, float]], name: str
) -> None:
    columns = tuple(zip(*rows, strict=True)) or ((),) * 5
    folder = tmp_path_factory.getbasetemp()
    write_ava_table(folder / f"first_{name}", AvaTable.from_columns(*columns))
    write_ava_csv(folder / name, read_ava_csv(folder / f"first_{name}"))
    assert (folder / name).read_bytes() == (folder / f"first_{name}").read_bytes()


@settings(max_examples=100, deadline=None)
@given(lines=lines_of_cells, last_column=st.sampled_from(["score", "person_id"]))
def test_any_readable_file_keeps_its_rows_when_it_is_written_again(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], last_column: LastColumn
) -> None:
    """All columns are equal; timestamps are written with six decimals."""
    folder = tmp_path_factory.getbasetemp()
    try:
        table = read_ava_csv(file_with(folder, "v,1,0,0,1,1,12,1\n" + "\n".join(lines)), last_column=last_column)
    except FormatError:
        return
    write_ava_csv(folder / "again.csv", table)
    again = read_ava_csv(folder / "again.csv", last_column=last_column)
    assert np.allclose(again.timestamps_seconds, table.timestamps_seconds, rtol=0, atol=6e-7)
    assert same(replace(again, timestamps_seconds=table.timestamps_seconds), table)


def test_rows_of_every_width_keep_their_columns_when_they_are_written_again(tmp_path: Path) -> None:
    text = "v,0902\nv,0902,0.25,0.5,0.75,1,12\nw,0903.5,0,0,1,1,,\nw,0903.5,nan,nan,nan,nan,,7\nw,0904,0,0,1,1,3,a b\n"
    table = read_ava_csv(file_with(tmp_path, text), last_column="person_id")
    write_ava_csv(tmp_path / "again.csv", table)
    assert (tmp_path / "again.csv").read_text().splitlines() == [
        "v,0902",
        "v,0902,0.25,0.5,0.75,1,12",
        "w,0903.5,0,0,1,1,",
        "w,0903.5,nan,nan,nan,nan,,7",
        "w,0904,0,0,1,1,3,-2",
    ]
    assert same(read_ava_csv(tmp_path / "again.csv", last_column="person_id"), table)


@pytest.mark.parametrize("setting", [{"start_seconds": 900}, {"min_score": 0.5}])
def test_settings_for_detections_are_refused_with_a_table(tmp_path: Path, setting: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="start_seconds and min_score are settings for ActionDetections"):
        write_ava_csv(tmp_path / "t.csv", AvaTable.empty(), **setting)
    assert not list(tmp_path.iterdir())


def test_gzip_bytes_do_not_depend_on_the_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = AvaTable.from_columns(["v"], [1], [[0, 0, 1, 1]], [1], [0.5])
    write_ava_table(tmp_path / "a.csv.gz", table)
    monkeypatch.setattr(time, "time", lambda: 1.0)
    write_ava_table(tmp_path / "b.csv.gz", table)
    assert (tmp_path / "a.csv.gz").read_bytes() == (tmp_path / "b.csv.gz").read_bytes()


def test_timestamps_are_spelled_as_ava_does() -> None:
    assert [format_timestamp(s) for s in (2, 902, 902.5, 902.0000001, 12345, 0.04)] == [
        "0002",
        "0902",
        "0902.5",
        "0902",
        "12345",
        "0000.04",
    ]


def test_detections_in_memory_equal_their_csv(tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    keyframes = [
        ActionDetections(f"v{i % 3}", i * 0.5, generator.random((n, 4)), generator.random(n), generator.random((n, 5)))
        for i, n in enumerate((2, 0, 3, 1))
    ]
    write_ava_csv(tmp_path / "d.csv", keyframes, start_seconds=900, min_score=0.3)
    table = AvaTable.from_detections(keyframes, start_seconds=900, min_score=0.3)
    assert 5 < len(table) < 30
    assert same(table, read_ava_csv(tmp_path / "d.csv"))
    assert len(AvaTable.from_detections([])) == 0


def test_tables_check_their_columns_and_can_be_cut() -> None:
    table = AvaTable.from_columns(["a", "b", "a"], [1, 2, 3], np.zeros((3, 4)), [1, 2, 3])
    assert table[np.array([2, 0])].action_ids.tolist() == [3, 1]
    assert len(table[1:]) == 2
    joined = AvaTable.concatenate([table[1:2], table])
    assert joined.video_ids == ("a", "b")
    assert [joined.video_ids[i] for i in joined.video_index] == ["b", "a", "b", "a"]
    with pytest.raises(ValueError, match=r"scores must have shape \[1\], got \[2\]"):
        AvaTable.from_columns(["a"], [1], [[0, 0, 1, 1]], [1], [0.5, 0.5])
    with pytest.raises(ValueError, match=r"boxes_fraction must have shape \[1, 4\], got \[2, 4\]"):
        AvaTable.from_columns(["a"], [1], np.zeros((2, 4)))


@pytest.mark.slow
def test_a_bad_row_at_the_end_of_a_large_file_is_found_in_time_and_memory(tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    lines = "".join(
        f"video{i % 9},{902 + i % 800:04d},0.{i % 999:03d},0.1,0.5,0.9,{1 + i % 80},0.{i:05d}\n" for i in range(20_000)
    )
    copies = (400 << 20) // len(lines) + 1
    with path.open("w") as file:
        for _ in range(copies):
            file.write(lines)
        file.write("video1,0902,0.1,0.1,0.5,oops,12,0.5\n")
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(
        FormatError, match=rf"line {copies * 20_000 + 1}: column 6 \(y2\) is 'oops', which is no number"
    ):
        for _ in iter_ava_csv(path):
            pass
    assert time.process_time() - start < 60
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB on Linux
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit < 200 << 20
