"""Csv files of boxes as projects write their own."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from round_trip import Row

from ava_detect.errors import FormatError
from ava_detect.structures.labels import LabelMap

BOX = (0.1, 0.25, 0.5, 0.75)
ONE = [Row("movie", 2.0, BOX, 12, 3)]
OWN = 'label { name: "jump" label_id: 1 }\nlabel { name: "hide" label_id: 2 }\n'


@pytest.mark.parametrize(
    "text",
    [
        "movie,0002,0.1,0.25,0.5,0.75,12,3\n",
        "movie.mp4,2,0.1,0.25,0.5,0.75,12.0,3.0\r\n",
        "video_id,timestamp,x1,y1,x2,y2,action_id,person_id\nmovie,2,0.1,0.25,0.5,0.75,12,3\n",
        "track;action;y2;x2;y1;x1;video\n".replace("video", "video;t") + "3;stand;0.75;0.5;0.25;0.1;movie;2\n",
        "# by hand\nvideo\ttime\txmin\tymin\txmax\tymax\tlabel\tpid\nmovie\t00:00:02\t0.1\t0.25\t0.5\t0.75\tStand\t3\n",
        "video,ms,x1,y1,x2,y2,class_id,class_name,object_id\nmovie,2000,0.1,0.25,0.5,0.75,12,stand,3\n",
        "video,frame,x1_px,y1_px,x2_px,y2_px,action,id,person_id\nmovie,20,32,60,160,180,12,,3\n",
        "video,frame,x,y,w,h,action,person_id\nmovie,20,32,60,128,120,12,3\n",
        "video,frame_number,cx,cy,w,h,action,person_id\nmovie,20,0.3,0.5,0.4,0.5,12,3\n",
        "video,timestamp,xmin,ymin,xmax,ymax,img_w,img_h,action,person_id\nmovie,2,64,120,320,360,640,480,stand,3\n",
        "movie,2,32,60,160,180,12,3\n",
        "image,x1,y1,x2,y2,action,person_id\nmovie/0002.jpg,0.1,0.25,0.5,0.75,12,3\n",
        "image,x1,y1,x2,y2,action,person_id\nmovie/movie_000021.jpg,0.1,0.25,0.5,0.75,12,3\n",
    ],
)
def test_every_habit_is_the_same_row(imported, movies: Path, text: str) -> None:
    summary, rows = imported(text, videos=movies)
    assert (summary.sources, rows, summary.new_actions) == (("csv",), ONE, ())


def test_a_gzipped_file_of_ava(imported, tmp_path: Path) -> None:
    """Times of the movie stay, whatever its start; without any video; the map has all of AVA's actions."""
    text = "5KQ,0902,0.1,0.25,0.5,0.75,12,3\n5KQ,0902,0.1,0.25,0.5,0.75,80,3\n5KQ,0903\n"
    summary, rows = imported(gzip.compress(text.encode()), name="ava.csv.gz", start_seconds=900)
    assert rows[:2] == [Row("5KQ", 902.0, BOX, 12, 3), Row("5KQ", 902.0, BOX, 80, 3)]
    assert rows[2][:2] == ("5KQ", 903.0) and (tmp_path / "gt.csv").read_text().endswith("5KQ,0903\n")
    assert (summary.num_keyframes, summary.num_boxes, summary.num_rows) == (2, 1, 3)
    assert LabelMap.from_pbtxt(tmp_path / "label_map.pbtxt") == LabelMap.ava()


def test_ids_from_zero_become_those_of_the_label_map(imported, tmp_path: Path, write) -> None:
    text = "movie,2,0.1,0.25,0.5,0.75,0,3\nmovie,3,0.1,0.25,0.5,0.75,1,3\n"
    summary, rows = imported(text, label_map=write(OWN, "own.pbtxt"))
    assert [row.action_id for row in rows] == [1, 2] and "count from 0" in summary.note
    assert not (tmp_path / "label_map.pbtxt").exists(), "the given one is sufficient"
    summary, rows = imported(text)
    assert [row.action_id for row in rows] == [0, 1] and not summary.note and len(summary.new_actions) == 2
    assert LabelMap.from_pbtxt(tmp_path / "label_map.pbtxt").name(1) == "action 1", "0 is no id of AVA, so 1 is not its"


def test_names_of_actions_and_people(imported, tmp_path: Path) -> None:
    """Several in a cell; names that AVA lacks get ids after its own; people with names are numbered."""
    text = "video,time,x1,y1,x2,y2,action,person\nm,1,0.1,0.25,0.5,0.75,stand|juggle,Eva\nm,1,0,0,1,1,none,7\n"
    summary, rows = imported(text)
    assert rows == [Row("m", 1, (0, 0, 1, 1), -1, 7), Row("m", 1, BOX, 12, 8), Row("m", 1, BOX, 81, 8)]
    assert summary.new_actions == ("juggle",)
    own = [(action.id, action.name) for action in LabelMap.from_pbtxt(tmp_path / "label_map.pbtxt")]
    assert own == [(12, "stand"), (81, "juggle")]
    imported(text.replace("stand|juggle", "hop|juggle"))
    own = [(action.id, action.name) for action in LabelMap.from_pbtxt(tmp_path / "label_map.pbtxt")]
    assert own == [(1, "hop"), (2, "juggle")], "names of which AVA has none count from 1"


def test_frames_from_one(imported, movies: Path) -> None:
    """The last frame of fifty is 50 for those who count from 1."""
    text = "video,frame,x1,y1,x2,y2,action\nmovie,21,0.1,0.25,0.5,0.75,12\nmovie,50,0.1,0.25,0.5,0.75,12\n"
    _, rows = imported(text, videos=movies)
    assert [row.seconds for row in rows] == [2.0, 4.9]


def test_scores_and_other_columns_are_named(imported) -> None:
    summary, _ = imported("video,time,x1,y1,x2,y2,action,score,mood\nm,1,0.1,0.25,0.5,0.75,12,0.5,good\n")
    assert summary.dropped == {"values of the column 'mood'": 1, "scores": 1}
    summary, rows = imported("m,1,0.1,0.25,0.5,0.75,12,0.75\n")
    assert summary.dropped == {"scores": 1} and rows[0].person == -1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "m,1,0.1,0.25,0.5,0.75,12\nm,2,0.1,x,0.5,0.75,12\n",
            r"labels, line 2: the cell y1 is a finite number, got 'x'",
        ),
        ("m,1,0.1,nan,0.5,0.75,12\n", r"line 1: the cell y1 is a finite number, got 'nan'"),
        ("m,1,0.1,0.25,0.5,0.75,12\n\nm,2,0.1,0.25\n", r"line 3: 4 columns, expected video_id,timestamp"),
        ("m,1,0.5,0.25,0.1,0.75,12\n", r"line 1: boxes are x1,y1,x2,y2 with x1 <= x2"),
        ("m,soon,0.1,0.25,0.5,0.75,12\n", r"line 1: the timestamp is a finite number, got 'soon'"),
        (",1,0.1,0.25,0.5,0.75,12\n", r"line 1: the video is empty"),
        ("m,1,0.1,0.25,0.5,0.75,9999999\n", r"line 1: the action is 9999999; ids are whole numbers up to 1000000"),
        ("video,time,x1,y1,x2,y2,action\nm,1,0.1,0.25,0.5,0.75\n", r"line 2: 6 cells, and the header names 7"),
        ("video,time,x1,y1,x2,y2,action\nm,1,,,,,12\n", r"line 2: an action without a box"),
        ("video,time,x1,xmin,y1,x2,y2,action\nm,1,0,0,0,1,1,1\n", r"columns 3 and 4 'x1' and 'xmin', and both mean x1"),
        ('m,1,0.1,0.25,0.5,0.75,"12\n', r"the csv cannot be read \(unexpected end of data\)"),
        ("m,1,32,60,160,180,12\n", r"line 1: the video 'm' is needed \(boxes are in its pixels\).*give the folder"),
        (
            "video,frame,x1,y1,x2,y2,action\nmovie,51,0,0,1,1,12\n",
            r"line 2: the frame is '51', and the video has 50 frames",
        ),
    ],
)
def test_a_bad_row_is_named(imported, movies: Path, text: str, message: str) -> None:
    videos = movies if "frame" in text else None
    with pytest.raises(FormatError, match=message):
        imported(text, source="csv", videos=videos)
