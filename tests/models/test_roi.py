"""RoI pooling worked by hand on a 5x5 ramp, whose value at (row, column) is 5 * row + column."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.ops import roi_align

from ava_detect.models.roi import RoIPool, bin_weights, share_of_cells

RAMP = torch.arange(25, dtype=torch.float32).view(1, 1, 1, 5, 5)
BOX = torch.tensor([[0.0, 1.0, 1.0, 3.0, 3.0]])
# Two frames with their peaks in different cells.
PEAKS = torch.zeros(1, 1, 2, 4, 4)
PEAKS[0, 0, 0, 1, 1] = PEAKS[0, 0, 1, 2, 2] = 1
WHOLE = torch.tensor([[0.0, 0.0, 0.0, 4.0, 4.0]])


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
    pool = RoIPool(resolution=4, feature_stride=1, aligned=True)
    assert pool([PEAKS], WHOLE).item() == pytest.approx(0.5)


def test_features_of_the_pathways_are_concatenated_and_boxes_choose_their_clip():
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


def test_temporal_max_keeps_what_a_mean_would_halve():
    pool = RoIPool(resolution=4, feature_stride=1, temporal_pool="max")
    assert pool([PEAKS], WHOLE).item() == pytest.approx(1)


@pytest.mark.parametrize("rule", ["mean", "max"])
def test_pooling_each_pathway_is_pooling_the_stretched_concatenation(rule):
    """mmaction2 stretches slow features (nearest) to the fast length, and pools both side by side."""
    generator = torch.Generator().manual_seed(1)
    slow, fast = (torch.randn(2, c, t, 5, 6, generator=generator) for c, t in ((4, 2), (3, 8)))
    rois = torch.tensor([[0.0, 8, 8, 60, 70], [1.0, 0, 0, 96, 80]])
    ordered_map = torch.cat([torch.nn.functional.interpolate(slow, (8, 5, 6)), fast], dim=1)
    pool = RoIPool(resolution=8, temporal_pool=rule, with_global=True)
    both, one = pool([slow, fast], rois), pool([ordered_map], rois)
    torch.testing.assert_close(both, one)
    assert both.shape == (2, 14)
    assert pool.num_features([4, 3]) == 14


def test_the_whole_map_stands_beside_each_box_of_its_clip():
    """The ramp 0..24 in 5x5 bins is itself, so the greatest is 24; the second clip's is twice as large."""
    clips = torch.cat([RAMP, 2 * RAMP])
    rois = torch.tensor([[1.0, 0, 0, 1, 1], [0.0, 0, 0, 1, 1]])
    pooled = RoIPool(resolution=5, feature_stride=1, with_global=True)([clips], rois)
    assert pooled[:, 1].tolist() == [48, 24]
    halves = RoIPool(resolution=1, feature_stride=1, with_global=True)([clips], rois)
    assert halves[:, 1].tolist() == [24, 12]  # one bin is the mean of the map


@pytest.mark.parametrize("bins", [1, 5, 8])
@pytest.mark.parametrize("cells", [1, 3, 8, 16, 22])
def test_the_whole_map_is_averaged_as_by_an_adaptive_pool(cells, bins):
    """mmaction2 uses torch's; an adaptive pool's bins overlap where the cells do not divide."""
    values = torch.randn(2, 1, cells, generator=torch.Generator().manual_seed(cells))
    expected = torch.nn.functional.adaptive_avg_pool1d(values, bins)
    shares = share_of_cells(cells, bins, torch.device("cpu"))
    torch.testing.assert_close(values @ shares.mT, expected)


BOXES = {
    "partly outside": [-40.0, -30.0, 30.0, 50.0],
    "beyond the right edge": [90.0, 10.0, 160.0, 60.0],
    "tiny": [20.0, 20.0, 20.5, 20.25],
    "touching the edges": [0.0, 0.0, 97.0, 33.0],
    "zero area": [10.0, 10.0, 10.0, 10.0],
    "wholly outside": [300.0, 300.0, 320.0, 330.0],
}


@pytest.mark.parametrize("aligned", [True, False])
def test_odd_boxes_pool_to_finite_numbers_and_leave_the_others_alone(aligned):
    """Frames of 33x97 pixels: a map of 3x7 cells."""
    generator = torch.Generator().manual_seed(2)
    features = [torch.rand(2, 3, 2, 3, 7, generator=generator)]
    rois = torch.tensor([[float(i % 2), *box] for i, box in enumerate(BOXES.values())])
    pool = RoIPool(aligned=aligned, with_global=True)
    pooled = pool(features, rois)
    assert torch.isfinite(pooled).all()
    alone = torch.cat([pool(features, roi[None]) for roi in rois])
    torch.testing.assert_close(pooled, alone)
    by_name = dict(zip(BOXES, pooled[:, :3], strict=True))
    assert (by_name["wholly outside"] == 0).all()
    assert (by_name["zero area"] == 0).all() == aligned
    assert (by_name["partly outside"] > 0).all()


side = st.tuples(st.floats(-60, 200, width=32), st.floats(-60, 200, width=32))


@given(
    boxes=st.lists(st.tuples(st.integers(0, 1), side, side), max_size=5),
    cells=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    resolution=st.integers(1, 8),
    aligned=st.booleans(),
    clips=st.integers(1, 2),
)
def test_bins_are_those_of_torchvision(boxes, cells, resolution, aligned, clips):
    """For any box: small, huge, outside, over an edge, without area; for maps of one cell, too."""
    features = torch.rand(clips, 3, 2, *cells, generator=torch.Generator().manual_seed(1))
    rows = [[clip % clips, min(xs), min(ys), max(xs), max(ys)] for clip, xs, ys in boxes]
    rois = torch.tensor(rows, dtype=torch.float32).reshape(-1, 5)
    expected = roi_align(features.mean(2), rois, resolution, 1 / 16, sampling_ratio=0, aligned=aligned)
    ours = RoIPool(resolution=resolution, aligned=aligned).align(features, rois)
    # A bin is a weighted mean of up to a few hundred samples in 0..1, in float32 and another order.
    torch.testing.assert_close(ours, expected, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("clips", [1, 2])
def test_the_gradient_is_that_of_torchvision(clips):
    generator = torch.Generator().manual_seed(3)
    features = torch.rand(clips, 4, 3, 8, 10, generator=generator, requires_grad=True)
    rois = torch.tensor([[0.0, 8, 8, 60, 70], [clips - 1.0, 0, 0, 96, 80], [0.0, -9, 3, 11, 140]])
    weight = torch.rand(3, 4, 7, 7, generator=generator)
    expected = roi_align(features.mean(2), rois, 7, 1 / 16, sampling_ratio=0, aligned=True)
    ours = RoIPool().align(features, rois)
    (theirs,) = torch.autograd.grad((expected * weight).sum(), features)
    (mine,) = torch.autograd.grad((ours * weight).sum(), features)
    torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)


def test_a_box_inside_out_pools_to_nothing():
    assert RoIPool(feature_stride=1)([RAMP], torch.tensor([[0.0, 4.0, 4.0, 1.0, 1.0]])).item() == 0


def test_a_side_by_hand():
    # 4 cells into 2 bins of 2 points each: at 0.5 - 0.5 and 1.5 - 0.5 in the first bin, 2 and 3 in the second.
    whole = bin_weights(torch.zeros(1), torch.full((1,), 4.0), cells=4, bins=2, aligned=True)
    torch.testing.assert_close(whole, torch.tensor([[[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]]]))
    # One bin of one point at 1.25: three quarters of cell 1, one quarter of cell 2.
    part = bin_weights(torch.tensor([0.75]), torch.tensor([1.75]), cells=4, bins=1, aligned=False)
    torch.testing.assert_close(part, torch.tensor([[[0, 0.75, 0.25, 0]]]))


def test_autocast_does_not_coarsen_the_bins():
    features = torch.rand(1, 3, 2, 5, 5, generator=torch.Generator().manual_seed(4))
    with torch.autocast("cpu", torch.bfloat16):
        inside = RoIPool(feature_stride=1)([features], BOX)
    assert torch.equal(inside, RoIPool(feature_stride=1)([features], BOX))


def test_many_boxes_are_pooled_in_parts_with_the_same_numbers(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    features = [torch.rand(2, 6, 2, 5, 7, generator=generator), torch.rand(2, 3, 4, 5, 7, generator=generator)]
    corners = torch.rand(150, 2, 2, generator=generator).sort(dim=1).values * 80
    rois = torch.cat([torch.arange(150.0).remainder(2)[:, None], corners.flatten(1)], dim=1)
    whole, sizes = RoIPool(), []
    monkeypatch.setattr("ava_detect.models.roi._BOXES_AT_ONCE", 1000)
    expected = whole(features, rois)
    monkeypatch.undo()
    align = RoIPool.align
    monkeypatch.setattr(RoIPool, "align", lambda *arguments: sizes.append(len(arguments[2])) or align(*arguments))
    assert torch.equal(whole(features, rois), expected)
    assert max(sizes) <= 64 and sum(sizes) == 2 * 150
