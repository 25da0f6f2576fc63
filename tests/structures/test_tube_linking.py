from __future__ import annotations

import numpy as np
import pytest

from ava_detect.structures.frame_tubes import FrameTube
from ava_detect.structures.tube_linking import TubeLinking, link_boxes

BOX = np.array([10.0, 10, 30, 50])
APART = BOX + np.array([40, 0, 40, 0])
SHORT = TubeLinking(min_length=3)


def linked(frames, settings=SHORT) -> list[FrameTube]:
    """Tubes of ``{frame: [(box, score), ...]}``."""
    rows = ((n, np.array([b for b, _ in boxes]), np.array([s for _, s in boxes])) for n, boxes in frames.items())
    return list(link_boxes("v", 3, rows, settings))


def test_two_people_are_two_tubes_with_the_mean_of_their_scores():
    tubes = linked({n: [(BOX + n, 0.9 - n / 10), (APART, 0.4)] for n in range(1, 5)})
    assert [(tube.video_id, tube.action_id, tube.frames.tolist()) for tube in tubes] == [("v", 3, [1, 2, 3, 4])] * 2
    assert [tube.score for tube in tubes] == pytest.approx([0.65, 0.4])
    np.testing.assert_allclose(tubes[0].boxes_xyxy, [BOX + n for n in range(1, 5)])


def test_a_gap_is_interpolated_or_ends_the_tube():
    frames = {n: [(BOX + n, 0.5)] for n in (1, 2, 3, 6, 7, 8)}
    whole = linked(frames, TubeLinking(max_gap=3, min_length=3))
    assert [tube.frames.tolist() for tube in whole] == [list(range(1, 9))]
    np.testing.assert_allclose(whole[0].boxes_xyxy, [BOX + n for n in range(1, 9)])
    cut = linked(frames, TubeLinking(max_gap=2, min_length=3))
    assert [tube.frames.tolist() for tube in cut] == [[1, 2, 3], [6, 7, 8]]


@pytest.mark.parametrize(("max_gap", "number"), [(1, 2), (2, 1)])
def test_a_tube_ends_after_so_many_frames_with_boxes_elsewhere(max_gap, number):
    frames = {n: [(APART if n == 4 else BOX, 0.5)] for n in range(1, 8)}
    assert len(linked(frames, TubeLinking(max_gap=max_gap, min_length=3))) == number


def test_a_box_that_repeats_a_better_one_has_its_score_lowered():
    """IoU 20 x 41 of 22 x 41 pixels: the second score becomes 0.8 (1 - 20 / 22)."""
    tubes = linked({n: [(BOX, 0.9), (BOX + np.array([1, 0, 1, 0]), 0.8)] for n in range(1, 4)})
    assert [tube.score for tube in tubes] == pytest.approx([0.9, 0.8 * (1 - 20 / 22)])


def test_the_best_tube_chooses_first_and_takes_the_best_box():
    """Both tubes fit both boxes of frame 2."""
    near = BOX + np.array([6, 0, 6, 0])
    tubes = linked(
        {1: [(BOX, 0.9), (near, 0.2)], 2: [(BOX, 0.3), (near, 0.6)], 3: [(near, 0.6), (BOX, 0.3)]},
        TubeLinking(min_length=3, min_iou=0.4),
    )
    assert [tube.score for tube in tubes] == pytest.approx([(0.9 + 0.6 + 0.6) / 3, (0.2 + 0.3 + 0.3) / 3])


def test_short_and_weak_tubes_are_dropped_and_few_boxes_kept():
    assert linked({1: [(BOX, 0.9)], 2: [(BOX, 0.9)]}) == []
    assert linked({n: [(BOX, 0.004)] for n in range(1, 9)}) == []
    many = {n: [(BOX + 60 * k, 0.5 + k / 100) for k in range(14)] for n in range(1, 4)}
    assert sorted(tube.score for tube in linked(many)) == pytest.approx([0.5 + k / 100 for k in range(4, 14)])


def test_settings_and_tubes_out_of_range_are_refused():
    with pytest.raises(ValueError, match="max_gap"):
        TubeLinking(max_gap=0)
    for frames, boxes, what in (
        ([], np.empty((0, 4)), "at least one frame"),
        ([1, 1], np.tile(BOX, (2, 1)), "ascend"),
        ([1], np.tile(BOX, (2, 1)), "shape"),
        ([1], np.full((1, 4), np.nan), "finite"),
    ):
        with pytest.raises(ValueError, match=what):
            FrameTube("v", 0, np.array(frames, np.int64), boxes)
