from __future__ import annotations

import re

import numpy as np
import pytest

from ava_detect.structures import ActionDetections, Clip, ClipSettings, Frame, PersonBoxes


def two_people() -> ActionDetections:
    return ActionDetections(
        "movie",
        3.0,
        np.array([[0, 0, 0.5, 1], [0.5, 0, 1, 1]]),
        np.array([0.9, 0.4]),
        np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]),
        track_ids=np.array([7, 8]),
    )


def test_person_boxes_choose_and_filter():
    people = PersonBoxes([[0, 0, 1, 1], [1, 1, 2, 2], [2, 2, 3, 3]], [0.9, 0.3, 0.5])
    assert people.boxes_xyxy.dtype == np.float32
    assert people.above(0.5).scores.tolist() == [np.float32(0.9), 0.5]
    assert people[[2, 0]].boxes_xyxy[:, 0].tolist() == [2, 0]
    assert len(people[1:]) == 2
    assert len(PersonBoxes.empty()) == 0
    assert repr(people[1:2]) == "PersonBoxes(n=1, scores=[0.30000001192092896])"


def test_a_threshold_given_as_a_python_float_keeps_a_score_that_equals_it():
    assert len(PersonBoxes([[0, 0, 1, 1]], [0.3]).above(0.3)) == 1


@pytest.mark.parametrize(
    ("boxes", "scores", "message"),
    [
        ([[0, 0, 1, 1]], [0.5, 0.6], "1 boxes but 2 scores"),
        ([[0, 0, 1]], [0.5], r"boxes_xyxy must have shape \[N, 4\], got \[1, 3\]"),
        ([[0, 0, 1, 1]], [[0.5]], r"scores must have shape \[N\], got \[1, 1\]"),
        ([[0, 0, np.nan, 1]], [0.5], "finite"),
        ([[0, 0, 1, 1]], [np.inf], "finite"),
    ],
)
def test_person_boxes_refuse_what_does_not_fit(boxes, scores, message):
    with pytest.raises(ValueError, match=message):
        PersonBoxes(boxes, scores)


def test_action_detections_number_their_actions_from_one():
    detections = two_people()
    assert detections.action_ids.tolist() == [1, 2, 3]
    second = detections[1:]
    assert second.track_ids.tolist() == [8]
    assert second.person_scores.tolist() == [np.float32(0.4)]
    assert second.action_scores.shape == (1, 3)
    assert repr(detections) == (
        "ActionDetections('movie', t=3s, people=2, boxes_fraction=[2, 4], action_scores=[2, 3])"
    )


def test_an_empty_keyframe_has_its_columns():
    empty = ActionDetections.empty("movie", 2.0)
    assert (len(empty), empty.action_scores.shape, empty.action_ids[-1]) == (0, (0, 80), 80)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"person_scores": [0.9]}, "2 boxes, 1 person scores and 2 rows"),
        ({"action_scores": [0.1, 0.2]}, r"action_scores must have shape \[N, C\]"),
        ({"action_ids": [1, 2]}, "3 score columns but 2 action ids"),
        ({"track_ids": [1]}, r"track_ids must have shape \[2\]"),
        ({"action_scores": [[0, 0, np.nan], [0, 0, 0]]}, "movie, second 3: boxes and scores must be finite"),
    ],
)
def test_action_detections_refuse_what_does_not_fit(changes, message):
    good = {name: getattr(two_people(), name) for name in two_people().__dataclass_fields__}
    with pytest.raises(ValueError, match=message):
        ActionDetections(**{**good, **{name: np.array(value) for name, value in changes.items()}})


def test_clip_knows_its_size():
    clip = Clip(np.zeros((4, 6, 8, 3), np.uint8), 1.5, 2, num_padded=1)
    assert (len(clip), clip.height, clip.width) == (4, 6, 8)
    assert repr(clip) == "Clip(t=1.500s, frames=[4, 6, 8, 3], padded=1)"
    with pytest.raises(ValueError, match="uint8"):
        Clip(np.zeros((4, 6, 8, 3), np.float32), 0, 0)
    with pytest.raises(ValueError, match="outside the clip's 4 frames"):
        Clip(np.zeros((4, 6, 8, 3), np.uint8), 0, 4)


def test_a_frame_is_a_picture():
    with pytest.raises(ValueError, match=r"image must be uint8 \[H, W, 3\], got uint8 \[4, 4\]"):
        Frame(np.zeros((4, 4), np.uint8))


def test_a_clip_of_the_recipe_spans_two_seconds():
    assert ClipSettings().span_seconds == pytest.approx(64 / 30)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"num_frames": 0}, "num_frames must be from 1 to 1024, got 0"),
        ({"num_frames": 10**9}, "num_frames must be from 1 to 1024, got 1000000000"),
        ({"sampling_rate": 0}, "sampling_rate must be from 1 to 1000, got 0"),
        ({"sampling_fps": float("nan")}, "sampling_fps must be from 0.1 to 1000, got nan"),
        ({"sampling_fps": float("inf")}, "sampling_fps must be from 0.1 to 1000, got inf"),
        ({"short_side": -1}, "short_side must be from 1 to 4096, got -1"),
        ({"mean": (123.7, 116.3, 103.5)}, "mean must be from 0 to 1, got (123.7, 116.3, 103.5)"),
        ({"std": (float("nan"), 1, 1)}, "std must be from 0.0001 to 1, got (nan, 1, 1)"),
        ({"std": (0.2, 0, 0.2)}, "std must be from 0.0001 to 1, got (0.2, 0, 0.2)"),
        ({"num_frames": 1024, "sampling_fps": 0.1}, "lasts 20,480 s, more than 3,600 s; lower num_frames or"),
        ({"sampling": "pts"}, "sampling is 'time' or 'frames', got 'pts'"),
    ],
)
def test_clip_settings_out_of_range_are_refused(setting, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        ClipSettings(**setting)
