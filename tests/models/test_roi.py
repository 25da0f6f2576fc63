"""RoI pooling worked by hand on a 5x5 ramp, whose value at (row, column) is 5 * row + column."""

from __future__ import annotations

import pytest
import torch

from ava_detect.models.roi import RoIPool

RAMP = torch.arange(25, dtype=torch.float32).view(1, 1, 1, 5, 5)
BOX = torch.tensor([[0.0, 1.0, 1.0, 3.0, 3.0]])


def test_aligned_bins_by_hand():
    # The box [1, 3] lies, half a cell earlier, at [0.5, 2.5]; bins of 0.5 have their centres at 0.75, 1.25, 1.75, 2.25.
    centres = torch.tensor([0.75, 1.25, 1.75, 2.25])
    expected = 5 * centres[:, None] + centres[None, :]
    pool = RoIPool(resolution=4, feature_stride=1, aligned=True)
    torch.testing.assert_close(pool.align(RAMP, BOX)[0, 0], expected)
    assert pool(([RAMP]), BOX).item() == pytest.approx(5 * 2.25 + 2.25)


def test_unaligned_bins_by_hand():
    centres = torch.tensor([1.25, 1.75, 2.25, 2.75])
    pool = RoIPool(resolution=4, feature_stride=1, aligned=False)
    torch.testing.assert_close(pool.align(RAMP, BOX)[0, 0], 5 * centres[:, None] + centres[None, :])


def test_the_feature_stride_scales_the_box():
    small, large = RoIPool(resolution=2, feature_stride=1), RoIPool(resolution=2, feature_stride=16)
    scaled = BOX * torch.tensor([1.0, 16, 16, 16, 16])
    torch.testing.assert_close(large.align(RAMP, scaled), small.align(RAMP, BOX))


def test_time_is_averaged_before_space_is_maximised():
    # Two frames with their peaks in different cells: the mean of each peak is 0.5, and so is the maximum.
    frames = torch.zeros(1, 1, 2, 4, 4)
    frames[0, 0, 0, 1, 1] = frames[0, 0, 1, 2, 2] = 1
    whole = torch.tensor([[0.0, 0.0, 0.0, 4.0, 4.0]])
    pool = RoIPool(resolution=4, feature_stride=1, aligned=True)
    assert pool([frames], whole).item() == pytest.approx(0.5)


def test_pathways_stand_side_by_side_and_boxes_choose_their_clip():
    slow = torch.stack([torch.full((2, 1, 4, 4), 1.0), torch.full((2, 1, 4, 4), 2.0)])
    fast = torch.stack([torch.full((1, 3, 4, 4), 5.0), torch.full((1, 3, 4, 4), 6.0)])
    rois = torch.tensor([[1.0, 0, 0, 4, 4], [0.0, 0, 0, 4, 4], [1.0, 1, 1, 2, 2]])
    pooled = RoIPool(feature_stride=1)([slow, fast], rois)
    torch.testing.assert_close(pooled, torch.tensor([[2.0, 2, 6], [1, 1, 5], [2, 2, 6]]))


def test_no_box_gives_no_row():
    assert tuple(RoIPool()([torch.zeros(1, 3, 2, 4, 4)], torch.zeros(0, 5)).shape) == (0, 3)


def test_a_box_without_area_pools_to_nothing_when_aligned():
    # Worked out for the peers too: the aligned rule does not widen a box, the older one widens it to a cell.
    point = torch.tensor([[0.0, 2.0, 2.0, 2.0, 2.0]])
    assert RoIPool(feature_stride=1, aligned=True)([RAMP], point).item() == 0
    assert RoIPool(feature_stride=1, aligned=False)([RAMP], point).item() > 0


def test_half_precision_features_are_pooled_in_single():
    assert RoIPool()([RAMP.bfloat16()], BOX).dtype == torch.float32
