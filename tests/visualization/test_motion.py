"""Between keyframes: boxes by hand at any moment, and which frame a constant rate shows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from ava_detect.errors import AvaDetectError
from ava_detect.structures import ActionDetections, Frame
from ava_detect.visualization.motion import TrackInterpolator, at_constant_rate

A = (0.1, 0.2, 0.3, 0.8)
A_LATER = (0.5, 0.2, 0.7, 0.6)
B = (0.6, 0.1, 0.9, 0.9)


def keyframe(time: float, people: dict[int, tuple[float, ...]], video: str = "v") -> ActionDetections:
    """People by track id; the first action's score is the keyframe's time / 10, to tell keyframes apart."""
    n = len(people)
    scores = np.full((n, 2), time / 10, np.float32)
    boxes = np.array(list(people.values()), np.float32).reshape(n, 4)
    return ActionDetections(video, time, boxes, np.ones(n, np.float32), scores, track_ids=np.array([*people], np.int64))


def shown(interpolator: TrackInterpolator, time: float) -> dict[int, list[float]]:
    people = interpolator.at(time)
    if people is None:
        return {}
    assert people.track_ids is not None and people.timestamp_seconds == time
    return {int(i): np.round(box, 4).tolist() for i, box in zip(people.track_ids, people.boxes_fraction, strict=True)}


def test_a_person_on_both_keyframes_moves_in_a_straight_line() -> None:
    interpolator = TrackInterpolator([keyframe(1, {7: A}), keyframe(2, {9: B, 7: A_LATER})], 1.0)
    assert shown(interpolator, 1.0) == {7: pytest.approx(A)}
    assert shown(interpolator, 1.25) == {7: pytest.approx((0.2, 0.2, 0.4, 0.75))}
    assert shown(interpolator, 1.5)[7] == pytest.approx((0.3, 0.2, 0.5, 0.7)), "the mean"
    assert shown(interpolator, 1.75)[7] == pytest.approx((0.4, 0.2, 0.6, 0.65))
    assert shown(interpolator, 2.0)[7] == pytest.approx(A_LATER)


def test_actions_are_those_of_the_nearer_keyframe() -> None:
    interpolator = TrackInterpolator([keyframe(1, {7: A}), keyframe(2, {7: A})], 1.0)
    scores = [interpolator.at(t) for t in (1.1, 1.49, 1.5, 1.9)]
    assert [round(float(s.action_scores[0, 0]), 2) for s in scores if s] == [0.1, 0.1, 0.2, 0.2]


def test_a_person_on_one_keyframe_is_held_for_half_the_spacing() -> None:
    interpolator = TrackInterpolator([keyframe(1, {7: A}), keyframe(2, {9: B}), keyframe(3, {})], 1.0)
    assert [list(shown(interpolator, t)) for t in (0.4, 0.5, 1.4, 1.6, 2.4, 2.6, 3.0)] == [
        [],
        [7],
        [7],
        [9],
        [9],
        [],
        [],
    ]


def test_across_a_gap_in_the_keyframes_no_person_is_held_longer_than_usual() -> None:
    """Files without rows for empty keyframes have such holes; the person left, no one knows when."""
    interpolator = TrackInterpolator([keyframe(1, {7: A}), keyframe(9, {8: A})], 1.0)
    assert [list(shown(interpolator, t)) for t in (1.5, 1.6, 5.0, 8.4, 8.5, 9.5, 9.6)] == [
        [7],
        [],
        [],
        [],
        [8],
        [8],
        [],
    ]


def test_close_keyframes_hold_only_to_the_middle() -> None:
    interpolator = TrackInterpolator([keyframe(1.0, {7: A}), keyframe(1.2, {9: B})], 1.0)
    assert [list(shown(interpolator, t)) for t in (1.09, 1.11)] == [[7], [9]]


def test_no_keyframes() -> None:
    assert TrackInterpolator([], 1.0).at(0.0) is None


def test_keyframes_are_read_one_ahead() -> None:
    read: list[int] = []

    def stream() -> Iterator[ActionDetections]:
        for t in range(100):
            read.append(t)
            yield keyframe(t, {})

    interpolator = TrackInterpolator(stream(), 1.0)
    interpolator.at(2.5)
    assert read == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (keyframe(1, {}), "v: keyframe at 1 s after the one at 1 s; give keyframes in the order of their time"),
        (keyframe(2, {}, "w"), "detections of 'v' and of 'w' in one drawing; draw each video with its own"),
    ],
)
def test_keyframes_that_cannot_be_one_video_in_order(second: ActionDetections, message: str) -> None:
    with pytest.raises(AvaDetectError, match=message):
        TrackInterpolator([keyframe(1, {}), second], 1.0).at(5)


def played(times: list[float], fps: float) -> list[int]:
    """Which of the frames each tick shows, by its number."""
    frames = [Frame(np.full((2, 2, 3), i, np.uint8), t) for i, t in enumerate(times)]
    ticks = list(at_constant_rate(frames, fps))
    np.testing.assert_allclose([f.timestamp_seconds for f in ticks], times[0] + np.arange(len(ticks)) / fps)
    return [int(f.image[0, 0, 0]) for f in ticks]


@pytest.mark.parametrize(
    ("times", "fps", "expected"),
    [
        ([0, 0.1, 0.2, 0.3], 10, [0, 1, 2, 3]),
        ([0, 0.1, 0.5, 0.6], 10, [0, 1, 1, 1, 1, 2, 3]),
        ([0, 0.02, 0.04, 0.06, 0.08, 0.1], 25, [0, 2, 4, 5]),
        ([5.0, 5.1, 5.2], 20, [0, 0, 1, 1, 2]),
        ([0, 0.104, 0.196, 0.301], 10, [0, 1, 2, 3]),
    ],
    ids=["constant", "a long frame", "twice too fast", "twice too slow, late start", "jitter"],
)
def test_ticks_by_hand(times: list[float], fps: float, expected: list[int]) -> None:
    assert played(times, fps) == expected


def test_frames_out_of_order_are_refused() -> None:
    with pytest.raises(AvaDetectError, match=r"frame at 0.5 s after the one at 1 s; give frames in the order"):
        played([0, 1, 0.5], 10)


def test_no_person_is_carried_across_a_cut() -> None:
    """A cut at 1.3 s: until then the keyframe at 1, then that at 2, each held for half a second, and no box between."""
    interpolator = TrackInterpolator([keyframe(1, {7: A}), keyframe(2, {7: A_LATER})], 1.0, [1.3])
    assert shown(interpolator, 1.25) == {7: pytest.approx(A)}
    assert shown(interpolator, 1.3) == {}, "0.7 s before the next keyframe"
    assert shown(interpolator, 1.5) == {7: pytest.approx(A_LATER)}
    assert shown(interpolator, 2.0) == {7: pytest.approx(A_LATER)}


def test_between_two_cuts_no_person_is_known() -> None:
    interpolator = TrackInterpolator([keyframe(1, {7: A}), keyframe(2, {7: A})], 1.0, [0.5, 1.4, 1.6])
    assert shown(interpolator, 1.39) and shown(interpolator, 1.5) == {} and shown(interpolator, 1.6)


def test_a_cut_on_a_keyframe_belongs_to_that_keyframe() -> None:
    interpolator = TrackInterpolator(
        [keyframe(1, {7: A}), keyframe(2, {7: A_LATER}), keyframe(3, {7: A_LATER})], 1.0, [2.0]
    )
    assert shown(interpolator, 1.4) == {7: pytest.approx(A)}
    assert shown(interpolator, 1.6) == {}
    assert shown(interpolator, 2.1) == {7: pytest.approx(A_LATER)}
