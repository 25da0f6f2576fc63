from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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


# UMT's README: a span of 300 frames; the fifth is one step nearer to the keyframe than the fourth.
SPAN_300 = (-132, -94, -57, -19, 18, 56, 93, 131)


def test_the_default_offsets_by_hand():
    assert ClipSettings(num_frames=8, sampling_rate=4).offsets == (-16, -12, -8, -4, 0, 4, 8, 12)
    # An odd span, 5 * 3 = 15: 7 steps before the keyframe. The middle frame is not exactly on it.
    odd = ClipSettings(num_frames=5, sampling_rate=3)
    assert (odd.offsets, odd.keyframe_index) == ((-7, -4, -1, 2, 5), 2)
    one = ClipSettings(num_frames=1, sampling_rate=1)
    assert (one.offsets, one.keyframe_index) == ((0,), 0)


@given(st.integers(1, 64), st.integers(1, 16))
def test_by_default_the_keyframe_is_the_frame_in_the_middle(num_frames, sampling_rate):
    settings = ClipSettings(num_frames=num_frames, sampling_rate=sampling_rate)
    first = -(num_frames * sampling_rate // 2)
    assert settings.offsets == tuple(range(first, first + num_frames * sampling_rate, sampling_rate))
    assert settings.keyframe_index == num_frames // 2
    assert settings.span_seconds == num_frames * sampling_rate / 30
    assert settings.frames_per_second == 30 / sampling_rate
    assert settings.seconds_before_keyframe == num_frames * sampling_rate // 2 / 30


def test_offsets_of_the_families_by_hand():
    umt = ClipSettings(num_frames=8, sampling_fps=25, frame_offsets=tuple(range(-29, 28, 8)))
    assert umt.offsets == (-29, -21, -13, -5, 3, 11, 19, 27)
    assert umt.keyframe_index == 4  # 3 steps away; frame 3 is 5 away
    assert umt.span_seconds == 64 / 25
    assert umt.frames_per_second == 25 / 8
    assert umt.seconds_before_keyframe == 29 / 25
    videomae = ClipSettings(num_frames=16, sampling_fps=25, frame_offsets=tuple(range(-31, 30, 4)))
    assert (videomae.keyframe_index, videomae.span_seconds) == (8, 64 / 25)
    irregular = ClipSettings(num_frames=8, sampling_fps=25, frame_offsets=SPAN_300)
    assert (irregular.offsets, irregular.keyframe_index) == (SPAN_300, 4)
    # 263 steps between the first and the last of eight frames.
    assert irregular.span_seconds == pytest.approx(8 * 263 / 7 / 25)


@given(st.sets(st.integers(-500, 500), min_size=1, max_size=40).filter(lambda s: min(s) <= 0 <= max(s)))
def test_the_keyframe_is_the_nearest_frame(chosen):
    offsets = tuple(sorted(chosen))
    settings = ClipSettings(num_frames=len(offsets), frame_offsets=offsets)
    assert settings.offsets == offsets
    distances = [abs(offset) for offset in offsets]
    assert distances.index(min(distances)) == settings.keyframe_index


def test_offsets_from_a_list_are_those_of_a_tuple():
    listed = ClipSettings(num_frames=3, frame_offsets=[-2, 0, 5])
    assert listed == ClipSettings(num_frames=3, frame_offsets=(-2, 0, 5))
    assert hash(listed) == hash(ClipSettings(num_frames=3, frame_offsets=(-2, 0, 5)))


@pytest.mark.parametrize(
    ("offsets", "message"),
    [
        ((-8, 0, 0, 8), "frame_offsets must be ascending, each once, got -8, 0, 0, 8"),
        ((8, 4, 0, -4), "frame_offsets must be ascending, each once, got 8, 4, 0, -4"),
        ((1, 2, 3, 4), "frame_offsets must have 0, the keyframe, between the first and the last, got 1 to 4"),
        ((-9, -6, -3, -1), "frame_offsets must have 0, the keyframe, between the first and the last, got -9 to -1"),
        ((-4, 0, 4), "frame_offsets names 3 frames and num_frames is 4; make them equal"),
        ((), "frame_offsets names 0 frames and num_frames is 4; make them equal"),
        ((-4, 0, 4, 8.0), "frame_offsets are whole numbers of steps of the sampling grid, got -4, 0, 4, 8.0"),
        (range(20), "frame_offsets names 20 frames"),
        ((-(10**6), 0, 1, 2), "lasts 44,445 s, more than 3,600 s; narrow frame_offsets, or raise sampling_fps"),
    ],
)
def test_impossible_offsets_are_refused(offsets, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        ClipSettings(num_frames=4, frame_offsets=offsets)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"num_frames": 0}, "num_frames must be from 1 to 1024, got 0"),
        ({"long_side": "ceil"}, "long_side is 'floor' or 'round', got 'ceil'"),
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
