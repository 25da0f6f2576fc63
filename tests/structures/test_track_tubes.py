"""Tubes of people that are tracked."""

from __future__ import annotations

import numpy as np
import pytest

from ava_detect.structures import ActionDetections
from ava_detect.structures.frame_numbers import FrameNumbers
from ava_detect.structures.track_tubes import TrackTubes, tubes_of_tracks

NUMBERS = FrameNumbers(25)
BOX = np.array([10.0, 10, 30, 50])
PLAIN = TrackTubes(smoothing_seconds=0)


def keyframe(frame, people, tracks=None):
    """``people``: a box and the scores of actions 3 and 4 of each."""
    boxes, scores = np.array([box for box, _ in people]), np.array([own for _, own in people])
    seconds = float(NUMBERS.seconds(frame))
    return ActionDetections("v", seconds, boxes, scores.max(axis=1), scores, np.array([3, 4]), tracks)


def test_people_are_linked_whatever_they_do():
    """Someone does action 3 on frames 1 to 4, then action 4; another action's box does not start another person."""
    frames = [keyframe(n, [(BOX + n, (0.9, 0.0) if n < 5 else (0.0, 0.8))]) for n in range(1, 9)]
    tubes = list(tubes_of_tracks(frames, NUMBERS, PLAIN))
    assert [(tube.action_id, tube.frames.tolist()) for tube in tubes] == [(3, [1, 2, 3, 4]), (4, [5, 6, 7, 8])]
    assert [tube.score for tube in tubes] == pytest.approx([0.9, 0.8])
    np.testing.assert_allclose(tubes[1].boxes_xyxy, [BOX + n for n in range(5, 9)])


def test_frames_without_the_person_are_interpolated():
    frames = [keyframe(n, [(BOX + n, (0.9, 0.0))]) for n in (1, 2, 7, 8)]
    (tube,) = tubes_of_tracks(frames, NUMBERS, PLAIN)
    np.testing.assert_allclose(tube.boxes_xyxy, [BOX + n for n in range(1, 9)])
    assert len(list(tubes_of_tracks(frames, NUMBERS, TrackTubes(smoothing_seconds=0, max_gap=4)))) == 2


def test_tracks_that_are_known_stay():
    """Two people on one place: their ids tell them apart."""
    frames = [keyframe(n, [(BOX, (0.9, 0.0)), (BOX, (0.5, 0.0))], np.array([7, 9])) for n in (1, 2, 3)]
    assert [tube.score for tube in tubes_of_tracks(frames, NUMBERS, PLAIN)] == pytest.approx([0.9, 0.5])
