from __future__ import annotations

import os
import pickle

import numpy as np
import pytest

from ava_detect.errors import ConfigError, FormatError
from ava_detect.formats.ava_table import AvaTable
from ava_detect.formats.tube_pickles import (
    read_tube_annotations,
    read_tube_detections,
    write_detected_boxes,
    write_detected_tubes,
    write_tube_annotations,
)

ROWS = np.array([[2, 10, 10, 30, 50], [1, 11, 10, 31, 50]], np.float32)
TRUTH = {
    "labels": ["jump", "throw"],
    "gttubes": {"jump/a": {np.int64(0): [ROWS], 1: []}, "b": {1: [ROWS, ROWS]}},
    "nframes": {"jump/a": 40, "b": 30},
    "train_videos": [["b"], []],
    "test_videos": [["jump/a"], ["b", "jump/a"]],
    "resolution": {"jump/a": (240, 320), "b": (np.int32(100), 200)},
}


def write(path, content, protocol=4):
    path.write_bytes(pickle.dumps(content, protocol))
    return path


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_ground_truth_is_read(tmp_path, protocol):
    truth = read_tube_annotations(write(tmp_path / "gt.pkl", TRUTH, protocol))
    assert [(action.id, action.name) for action in truth.label_map] == [(0, "jump"), (1, "throw")]
    assert {video: len(tubes) for video, tubes in truth.tubes.items()} == {"jump/a": 1, "b": 2}
    (tube,) = truth.tubes_of(["jump/a"])
    assert (tube.action_id, tube.frames.tolist()) == (0, [1, 2])
    assert tube.boxes_xyxy.tolist() == [[11, 10, 31, 50], [10, 10, 30, 50]]
    assert truth.test_videos(2) == ("b", "jump/a")
    assert (truth.num_frames["b"], truth.resolutions["b"]) == (30, (100, 200))
    assert [tube.video_id for tube in truth.tubes_of(truth.test_videos(2))] == ["b", "b", "jump/a"]
    with pytest.raises(ConfigError, match="`split` is a number from 1 to 2 for this data set, got 3"):
        truth.test_videos(3)


def test_what_is_written_is_what_is_read(tmp_path):
    truth = read_tube_annotations(write(tmp_path / "gt.pkl", TRUTH))
    write_tube_annotations(tmp_path / "again.pkl", truth)
    content = pickle.loads((tmp_path / "again.pkl").read_bytes())
    assert content["labels"] == TRUTH["labels"]
    assert content["test_videos"] == TRUTH["test_videos"]
    np.testing.assert_array_equal(content["gttubes"]["b"][1][1], ROWS[::-1])
    assert read_tube_annotations(tmp_path / "again.pkl").resolutions == truth.resolutions


def test_detected_tubes_and_boxes_come_back(tmp_path):
    truth = read_tube_annotations(write(tmp_path / "gt.pkl", TRUTH))
    videos = truth.test_videos(2)
    scored = {0: [("b", 0.5, np.column_stack([ROWS, [0.4, 0.6]]))], 1: []}
    tubes = read_tube_detections(write(tmp_path / "tubes.pkl", scored), truth.label_map, videos)
    assert [(tube.video_id, tube.action_id, tube.score) for tube in tubes] == [("b", 0, 0.5)]
    write_detected_tubes(tmp_path / "out.pkl", tubes, truth.label_map)
    (again,) = read_tube_detections(tmp_path / "out.pkl", truth.label_map, videos)
    np.testing.assert_array_equal(again.boxes_xyxy, tubes[0].boxes_xyxy)
    rows = np.array([[1, 3, 0, 0.9, 1, 2, 3, 4], [0, 5, 1, 0.8, 5, 6, 7, 8]])
    boxes = read_tube_detections(write(tmp_path / "boxes.pkl", rows), truth.label_map, videos)
    assert isinstance(boxes, AvaTable)
    assert [boxes.video_ids[index] for index in boxes.video_index] == ["jump/a", "b"]
    write_detected_boxes(tmp_path / "rows.pkl", boxes, videos)
    np.testing.assert_array_equal(pickle.loads((tmp_path / "rows.pkl").read_bytes()), rows)
    with pytest.raises(FormatError, match="video 'b' is not among the 1 videos of the split"):
        write_detected_boxes(tmp_path / "rows.pkl", boxes, ["jump/a"])


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"labels": None}, "another form"),
        ({"labels": [1, 2]}, "a name is text, got 1"),
        ({"gttubes": {"a": {7: [ROWS]}}}, "labels count from 0 to 1, got 7"),
        ({"gttubes": {"a": {0: [ROWS[:, :4]]}}}, r"video 'a', label 0: a tube is rows of frame.*\[2, 4\]"),
        ({"gttubes": {"a": {0: [ROWS + np.nan]}}}, "video 'a', label 0: a tube has a value that is no finite number"),
        ({"gttubes": {"a": {0: [ROWS[[0, 0]]]}}}, "video 'a', label 0: the frames of a tube ascend"),
        ({"gttubes": [1]}, "another form"),
        ({"resolution": {"a": 5}}, "another form"),
    ],
)
def test_ground_truth_of_another_form_is_refused(tmp_path, changes, what):
    path = write(tmp_path / "gt.pkl", TRUTH | changes)
    with pytest.raises(FormatError, match=rf"gt\.pkl: .*{what}"):
        read_tube_annotations(path)


class _Runs:
    def __reduce__(self):
        return exec, ("print('this must not be run')",)  # Ray puts a print of its own in place of Python's


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (_Runs(), r"it names builtins\.exec.*nothing in it was run"),
        ([1, 2], "got a list"),
        ({"labels": []}, "another form"),
        ({0: [("a", "high", ROWS)]}, "another form"),
        ({9: [("a", 0.5, ROWS)]}, "labels count from 0 to 1, got 9"),
        (np.zeros((2, 7)), r"got an array of shape \[2, 7\]"),
        (np.array([[5.0, 1, 0, 1, 1, 1, 2, 2]]), "row 0 is of video 5 and label 0; the split has videos 0 to 0"),
        (np.array([[0.5, 1, 0, 1, 1, 1, 2, 2]]), r"row 0 is of video 0\.5"),
    ],
)
def test_detections_of_another_form_are_refused(tmp_path, capsys, content, what):
    label_map = read_tube_annotations(write(tmp_path / "gt.pkl", TRUTH)).label_map
    path = write(tmp_path / "found.pkl", content)
    with pytest.raises(FormatError, match=rf"found\.pkl.*({what})"):
        read_tube_detections(path, label_map, ["a"])
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("size", "what"), [(0, "is empty"), (3 << 30, "damaged or incomplete pickle data")])
def test_a_file_of_nothing_is_refused_without_being_read(tmp_path, size, what):
    path = tmp_path / "gt.pkl"
    path.touch()
    os.truncate(path, size)
    with pytest.raises(FormatError, match=rf"gt\.pkl.*{what}"):
        read_tube_annotations(path)


def test_large_arrays_outlive_the_file(tmp_path):
    rows = np.column_stack([np.arange(1, 2001), np.tile([1.0, 2, 3, 4], (2000, 1))])
    path = write(tmp_path / "gt.pkl", TRUTH | {"gttubes": {"b": {0: [rows]}}})
    (tube,) = read_tube_annotations(path).tubes["b"]
    path.unlink()
    assert len(tube) == 2000
    np.testing.assert_array_equal(tube.boxes_xyxy, rows[:, 1:])


def test_a_truncated_pickle_and_a_missing_key_are_named(tmp_path):
    path = write(tmp_path / "gt.pkl", TRUTH)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(FormatError, match="damaged or incomplete pickle data"):
        read_tube_annotations(path)
    write(path, {key: value for key, value in TRUTH.items() if key != "nframes"})
    with pytest.raises(FormatError, match="it lacks nframes"):
        read_tube_annotations(path)
