"""Tubes as rows of an AVA csv and back: exactly, and by the rules of the module."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tube_files import FPS, HEIGHT, LABELS, WIDTH, data_set, tube

from ava_detect.errors import FormatError
from ava_detect.formats.ava_csv import read_ava_csv, write_ava_table
from ava_detect.formats.ava_table import AvaTable
from ava_detect.formats.tube_tables import (
    labels_by_name,
    plain_decimals,
    rows_of_annotations,
    to_fractions,
    to_pixels,
    tubes_of_rows,
)
from ava_detect.structures.frame_numbers import FrameNumbers
from ava_detect.structures.labels import Action, LabelMap

NUMBERS = FrameNumbers(FPS)
IDS = {label: label + 1 for label in LABELS.ids}
BACK = {id_: label for label, id_ in IDS.items()}
SINGLE = st.floats(-2000, 4000, width=32)
DECIMAL = st.integers(-(10**9), 10**9).map(lambda number: number / 10**6)


@given(st.lists(st.tuples(*[st.one_of(SINGLE, DECIMAL)] * 4), min_size=1, max_size=5), st.integers(1, 8000))
def test_pixels_come_back_to_the_bit(boxes, side):
    boxes, index, sizes = np.array(boxes, np.float64), np.zeros(len(boxes), np.int32), {"v": (side, side + 1)}
    there = to_fractions(boxes, ("v",), index, sizes)
    assert to_pixels(there, ("v",), index, sizes).tolist() == boxes.tolist()


@given(st.lists(st.integers(-(10**6), 2 * 10**6).map(lambda number: number / 10**6), min_size=4, max_size=4))
def test_fractions_of_six_decimals_come_back_to_the_bit(box):
    boxes, index, sizes = np.array([box]), np.zeros(1, np.int32), {"v": (1080, 1921)}
    assert to_fractions(to_pixels(boxes, ("v",), index, sizes), ("v",), index, sizes).tolist() == boxes.tolist()


def test_only_rounding_errors_are_removed():
    values = np.array([0.1 + 1e-15, 1 / 3, float(np.float32(1 / 3)) * (1 + 2**-52), 0.0, -7.0])
    assert plain_decimals(values).tolist() == [0.1 + 1e-15, 1 / 3, float(np.float32(1 / 3)), 0.0, -7.0]


def same(one, other):
    key = [(t.video_id, t.action_id, t.frames.tolist(), t.boxes_xyxy.tolist()) for t in one]
    return key == [(t.video_id, t.action_id, t.frames.tolist(), t.boxes_xyxy.tolist()) for t in other]


def test_tubes_come_back_through_a_file(tmp_path):
    """Also tubes that overlap, that leave frames out, and in their order."""
    box = (0.1, 33.3, float(np.float32(96.7)), 239.0)
    with_gap = tube(action=2, first=3, last=9)
    with_gap = type(with_gap)("jump/a", 2, with_gap.frames[[0, 1, 5]], with_gap.boxes_xyxy[[0, 1, 5]])
    before = data_set(tube(action=2), tube(box=box), tube(box=box, last=12), with_gap, tube("train/c", 1, 40, 40))
    rows = rows_of_annotations(before, NUMBERS, IDS)
    write_ava_table(tmp_path / "rows.csv", rows)
    read = read_ava_csv(tmp_path / "rows.csv", last_column="person_id")
    after = tubes_of_rows(read, BACK, NUMBERS, before.resolutions)
    assert list(after) == list(before.tubes)
    for video_id, tubes in before.tubes.items():
        assert same(after[video_id], tubes)
    # Every frame is listed, so that detections on any count: 40 of each video.
    frames = {(read.video_ids[v], s) for v, s in zip(read.video_index.tolist(), read.timestamps_seconds, strict=True)}
    assert len(frames) == 3 * 40
    assert int(read.is_keyframe_only.sum()) == 20 + 40 + 39


def table(*rows):
    """Rows of second, action id, person id of video ``v``."""
    seconds, actions, people = zip(*rows, strict=True)
    boxes = np.tile([0.1, 0.1, 0.5, 0.5], (len(rows), 1))
    return AvaTable.from_columns(["v"] * len(rows), seconds, boxes, actions, person_ids=people)


def frames_of(rows, labels=BACK):
    return [(t.action_id, t.frames.tolist()) for t in tubes_of_rows(table(*rows), labels, FrameNumbers(1), None)["v"]]


def test_a_tube_ends_where_the_person_is_there_without_the_action():
    rows = [(s, 1, 5) for s in (0, 1, 3, 4)]
    assert frames_of(rows) == [(0, [1, 2, 4, 5])]  # nobody is labelled at second 2
    assert frames_of([*rows, (2, 2, 5)]) == [(0, [1, 2]), (0, [4, 5]), (1, [3])]
    assert frames_of([*rows, (2, 2, 6)]) == [(0, [1, 2, 4, 5]), (1, [3])]  # somebody else
    # Actions that do not count still say that the person is there.
    assert frames_of([*rows, (2, 77, 5)]) == [(0, [1, 2]), (0, [4, 5])]


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        ([(0, 1, 5), (1, 1, -1)], "video 'v', second 1: the row has no person id"),
        ([(0, 1, 5), (1.5, 1, 5)], "second 1.5: at 1 frames a second this lies between two frames; `fps`"),
        ([(0, 1, 5), (0, 1, 5)], "second 0: person and action 1 are given twice on one frame"),
    ],
)
def test_what_is_no_tube_is_named(rows, what):
    with pytest.raises(FormatError, match=re.escape(what)):
        frames_of(rows)


def test_a_video_without_size_and_frame_0_are_named():
    before = data_set(tube())
    with pytest.raises(FormatError, match="video 'jump/a': its height and width are unknown"):
        rows_of_annotations(type(before)(**{**vars(before), "resolutions": {}}), NUMBERS, IDS)
    with pytest.raises(FormatError, match="video 'jump/a': a tube has frame 0; frames count from 1"):
        rows_of_annotations(data_set(tube(first=0)), NUMBERS, IDS)
    assert before.resolutions["jump/a"] == (HEIGHT, WIDTH)


def test_labels_are_matched_by_name():
    given_map = LabelMap((Action(7, "throw"), Action(9, "sit")))
    assert labels_by_name(LABELS, given_map) == {7: 1}
