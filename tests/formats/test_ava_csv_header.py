"""Headers of csv are read: columns by their names in any order, and names that mean something else are refused."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ava_detect.errors import FormatError
from ava_detect.formats import ava_csv_reader
from ava_detect.formats.ava_csv import AvaTable, read_ava_csv
from ava_detect.formats.ava_csv_header import LastColumn, header_columns, looks_like_header

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases" / "faults" / "csv_headers"
VALUES = {
    "video_id": "v",
    "timestamp": "0902",
    "x1": "0.1",
    "y1": "0.2",
    "x2": "0.5",
    "y2": "0.9",
    "action_id": "12",
    "score": "0.75",
    "person_id": "7",
}
SYNONYMS = {
    "video_id": ["video", "video_name", "Video ID", "vid", "movie", "clip_name"],
    "timestamp": [
        "time",
        "second",
        "seconds",
        "time_s",
        "time (s)",
        "timestamp_seconds",
        "t",
        "middle_frame_timestamp",
    ],
    "x1": ["xmin", "x_min", "left", "X1", "bbox_x1", "xtl", "x1_norm"],
    "y1": ["ymin", "y_min", "top", "Y Min", "bbox_y1", "ytl", "normalized_y1"],
    "x2": ["xmax", "x_max", "right", "box_x2", "xbr", "xMax"],
    "y2": ["ymax", "y_max", "bottom", "bbox-y2", "ybr", "yMax"],
    "action_id": ["action", "action_label", "label", "class_id", "label_id"],
    "score": ["conf", "confidence", "prob", "Score"],
    "person_id": ["track_id", "person", "entity_id", "tracklet_id"],
}


def write(folder: Path, header: str, *rows: str) -> Path:
    path = folder / "rows.csv"
    path.write_text("\n".join([header, *rows, ""]), encoding="utf-8")
    return path


def check_values(table: AvaTable, last_column: LastColumn = "score", *, rows: int = 1) -> None:
    assert [table.video_ids[i] for i in table.video_index] == ["v"] * rows
    assert table.timestamps_seconds.tolist() == [902.0] * rows
    assert table.boxes_fraction.tolist() == [[0.1, 0.2, 0.5, 0.9]] * rows
    assert table.action_ids.tolist() == [12] * rows
    assert table.person_ids.tolist() == [7 if last_column == "person_id" else -1] * rows
    np.testing.assert_array_equal(table.scores, [0.75 if last_column == "score" else np.nan] * rows)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), last_column=st.sampled_from(["score", "person_id"]), quoted=st.booleans())
def test_columns_in_any_order_and_under_any_known_name_are_read_alike(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, last_column: LastColumn, quoted: bool
) -> None:
    columns = data.draw(
        st.permutations([name for name in VALUES if name not in {"score", "person_id"} - {last_column}])
    )
    names = [data.draw(st.sampled_from([name, *SYNONYMS[name]])) for name in columns]
    row = ",".join(f'"{VALUES[name]}"' if quoted else VALUES[name] for name in columns)
    path = write(tmp_path_factory.getbasetemp(), ",".join(names), row, row)
    check_values(read_ava_csv(path, last_column=last_column), last_column, rows=2)


def test_reordered_columns_are_parsed_as_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(ava_csv_reader.RowParser, "parse")
    path = write(tmp_path, "time,video,label,conf,ymin,xmin,ymax,xmax", "902,v,12,0.75,0.2,0.1,0.9,0.5")
    check_values(read_ava_csv(path))


def test_of_score_and_person_id_the_asked_one_is_read(tmp_path: Path) -> None:
    header = "video_id,timestamp,x1,y1,x2,y2,action_id,score,person_id"
    path = write(tmp_path, header, "v,0902,0.1,0.2,0.5,0.9,12,0.75,7")
    check_values(read_ava_csv(path), "score")
    check_values(read_ava_csv(path, last_column="person_id"), "person_id")


def test_a_header_may_leave_columns_out(tmp_path: Path) -> None:
    table = read_ava_csv(write(tmp_path, "video_id,timestamp,x1,y1,x2,y2,score", "v,0902,0.1,0.2,0.5,0.9,0.75"))
    assert (table.action_ids.tolist(), table.scores.tolist()) == ([-1], [0.75])
    table = read_ava_csv(write(tmp_path, "timestamp,video_id", "0902,v"))
    assert (table.video_ids, table.timestamps_seconds.tolist()) == (("v",), [902.0])
    assert table.is_keyframe_only.all()


def test_corners_that_count_from_zero(tmp_path: Path) -> None:
    check_values(read_ava_csv(write(tmp_path, "video,t,x0,y0,x1,y1,label,score", "v,902,0.1,0.2,0.5,0.9,12,0.75")))


def test_rows_are_as_long_as_the_header_says(tmp_path: Path) -> None:
    usual = "video_id,timestamp,x1,y1,x2,y2,action_id,score"
    path = write(tmp_path, usual, "v,0902,0.1,0.2,0.5,0.9,12,0.75", "v,0903", "v,0904,0,0,1,1,12")
    assert read_ava_csv(path).is_keyframe_only.tolist() == [False, True, False]
    short = "video_id,timestamp,x1,y1,x2,y2,action_id"
    with pytest.raises(FormatError, match="line 2: 8 columns, and the header names 7: video_id,timestamp,x1"):
        read_ava_csv(write(tmp_path, short, "v,0902,0.1,0.2,0.5,0.9,12,0.75"))
    with pytest.raises(FormatError, match="line 3: 7 columns, and the header names 8: timestamp,video_id,x1"):
        other = "timestamp,video_id,x1,y1,x2,y2,action_id,score"
        read_ava_csv(write(tmp_path, other, "902,v,0.1,0.2,0.5,0.9,12,0.75", "902,v,0.1,0.2,0.5,0.9,12"))


REFUSED = {
    "video_name,frame_idx,x1,y1,x2,y2,action_label,score": "column 2 'frame_idx', which is a frame number, not a time",
    "video,frame,x1,y1,x2,y2,action,score": "column 2 'frame', which is a frame number, not a time",
    "video,Frame No.,x1,y1,x2,y2,action,score": "column 2 'Frame No.', which is a frame number, not a time",
    "video,image_id,x1,y1,x2,y2,action,score": "column 2 'image_id', which is a frame number, not a time",
    "video,time_ms,x1,y1,x2,y2,action,score": "column 2 'time_ms', which is not in seconds",
    "video_id,timestamp,x,y,w,h,action_id,score": "column 3 'x', which is a point of a box given by its size",
    "video_id,timestamp,left,top,width,height,action_id,score": "column 5 'width', which is the size of a box",
    "video_id,timestamp,x1,y1,w,h,action_id,score": "column 5 'w', which is the size of a box",
    "video_id,timestamp,bbox_x,bbox_y,bbox_w,bbox_h,action_id,score": "column 3 'bbox_x', which is a point of a box",
    "video_id,timestamp,cx,cy,w,h,action_id,score": "column 3 'cx', which is the centre of a",
    "video_id,timestamp,x_center,y_center,width,height,label,score": "column 3 'x_center', which is the centre of a",
    "video_id,timestamp,x1_px,y1_px,x2_px,y2_px,label,score": "column 3 'x1_px', which is in pixels",
    "视频,时间,x1,y1,x2,y2,动作,分数": "column 1 '视频', which is the name of no known column",
    "video_id,timestamp,x1,y1,x2,y2,action_id,split": "column 8 'split', which is the name of no known column",
    ",video_id,timestamp,x1,y1,x2,y2,action_id,score": "column 1 nothing at all, which is the name of no known column",
    "video_id,timestamp,x1,y1,x2,y2,label,action_id": "columns 7 and 8 'label' and 'action_id', and both mean action",
    "video_id,timestamp,x1,y1,x2,action_id,score": "names no column y2; it needs video_id,timestamp,x1,y1,x2,y2",
    "video_id,x1,y1,x2,y2,action_id,score": "names no column timestamp; it needs video_id,timestamp",
    "0,1,2,3,4,5,6,7": "column 1 '0', which is the name of no known column",
    "timestamp,second": "columns 1 and 2 'timestamp' and 'second', and both mean timestamp",
    "video_id,timestamp,x1,y1,x2,y2,track_id,label": "column 7 'track_id' where 'score' is expected",
}


@pytest.mark.parametrize("header", REFUSED)
def test_a_header_that_names_something_else_is_refused_naming_the_column(tmp_path: Path, header: str) -> None:
    path = write(tmp_path, header, ",".join(["0.5"] * (header.count(",") + 1)))
    with pytest.raises(FormatError) as error:
        read_ava_csv(path)
    assert str(error.value).startswith(f"{path}, line 1: the header ")
    assert REFUSED[header] in str(error.value)


def test_names_are_shown_without_control_characters_and_in_part(tmp_path: Path) -> None:
    with pytest.raises(FormatError) as error:
        read_ava_csv(write(tmp_path, f"video_id,time,x1,y1,x2,y2,action,sc\x1bre{'e' * 10_000}", "v,1,0,0,1,1,1,1"))
    assert "\x1b" not in str(error.value) and len(str(error.value)) < 1000


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("video_id,timestamp", True),
        ("视频,时间", True),
        ("v,nan,a", False),
        ("v,-inf", False),
        ("v,0902,a,b", False),
        ("v,x,.5", False),
        ("v,x,١٢", False),
        ("v", False),
        ("v,", False),
        ("0,1,2,3,4,5,6,7", True),
        ("0,1", False),
    ],
)
def test_what_is_a_header(line: str, expected: bool) -> None:
    assert looks_like_header(line.split(",")) == expected


def test_no_two_columns_share_a_name() -> None:
    for one, other in itertools.combinations(SYNONYMS, 2):
        assert not {*SYNONYMS[one], one} & {*SYNONYMS[other], other}
    standard = header_columns(["video_id", "timestamp", "x1", "y1", "x2", "y2", "action_id", "score"], "score")
    assert sorted(standard) == [2, 6, 7, 8]


@pytest.mark.skipif(not CASES.is_dir(), reason=f"the cases are not there ({CASES})")
def test_headers_that_people_wrote() -> None:
    """The cases that were read as something else without a word."""
    boxes = {
        "harmless_other_names": [0.1, 0.2, 0.3, 0.9],
        "xmin_xmax": [0.1, 0.5, 0.4, 0.9],
        "ymin_xmin": [0.4, 0.1, 0.9, 0.5],
        "track_before_label": [0.1, 0.4, 0.5, 0.9],
    }
    refused = {"frame_idx": "frame_idx", "xywh": "x", "cxcywh": "cx", "chinese_header": "视频"}
    assert {path.stem for path in CASES.glob("*.csv")} == {*boxes, *refused}
    for name, box in boxes.items():
        assert read_ava_csv(CASES / f"{name}.csv", last_column="person_id").boxes_fraction.tolist() == [box]
    for name, column in refused.items():
        with pytest.raises(FormatError, match=rf"{name}\.csv, line 1: the header calls column \d '{column}'"):
            read_ava_csv(CASES / f"{name}.csv", last_column="person_id")
