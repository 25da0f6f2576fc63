from __future__ import annotations

import pytest
import torch

from ava_detect.models.blocks import Bottleneck
from ava_detect.models.heads import ClassificationHead, ProjectionHead, clip_scores, detection_scores
from ava_detect.models.nonlocal_block import NonLocalBlock
from ava_detect.models.slowfast import NonLocalSettings, SlowFast, slow_frame_indices


def test_slow_frames_by_hand():
    # Quoted: recipe of PySlowFast's pack_pathway_output (torch.linspace, truncated).
    assert slow_frame_indices(32, 4) == [0, 4, 8, 13, 17, 22, 26, 31]
    assert slow_frame_indices(64, 4) == [0, 4, 8, 12, 16, 21, 25, 29, 33, 37, 42, 46, 50, 54, 58, 63]
    assert slow_frame_indices(4, 4) == [0]
    assert slow_frame_indices(5, 1) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("num_frames", "alpha"), [(32, 4), (64, 4), (32, 8), (64, 8), (16, 4), (8, 2), (128, 4)])
def test_slow_frames_equal_torch_linspace(num_frames, alpha):
    expected = torch.linspace(0, num_frames - 1, num_frames // alpha).long().tolist()
    assert slow_frame_indices(num_frames, alpha) == expected


def test_slow_frames_by_stride_are_mmaction2s():
    assert slow_frame_indices(32, 8, "stride") == [0, 8, 16, 24]
    # Quoted: mmaction2 picks them by nearest interpolation with scale factor 1 / 8.
    clip = torch.arange(32.0).view(1, 1, 32, 1, 1).expand(1, 3, 32, 1, 1)
    nearest = torch.nn.functional.interpolate(clip, mode="nearest", scale_factor=(1 / 8, 1.0, 1.0))
    backbone = SlowFast(depths=(1, 1, 1, 1), width=8, alpha=8, slow_frames="stride")
    assert torch.equal(backbone.split(clip)[0], nearest)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (50, 75), (33, 97)])
def test_feature_maps_have_stride_16(height, width):
    backbone = SlowFast(depths=(1, 1, 1, 1), width=8).eval()
    with torch.inference_mode():
        slow, fast = backbone(torch.zeros(2, 3, 8, height, width))
    expected = (-(-height // 16), -(-width // 16))
    assert tuple(slow.shape) == (2, 8 * 8 * 4, 2, *expected)
    assert tuple(fast.shape) == (2, 8 * 4, 8, *expected)
    assert backbone.out_channels == [256, 32]


def test_the_clip_must_divide_by_alpha():
    with pytest.raises(ValueError, match="a clip of 10 frames does not divide by alpha=4"):
        SlowFast(depths=(1, 1, 1, 1), width=8)(torch.zeros(1, 3, 10, 32, 32))


def test_slow_only_has_one_pathway_and_no_laterals():
    backbone = SlowFast(pathways=("slow",), alpha=1, depths=(1, 1, 1, 1), width=8).eval()
    clip = torch.randn(1, 3, 4, 32, 32)
    with torch.inference_mode():
        (features,) = backbone(clip)
    assert tuple(features.shape) == (1, 256, 4, 2, 2)
    assert not any("lateral" in name for name in backbone.state_dict())
    assert backbone.split(clip)[0] is clip


def test_temporal_kernels_of_the_first_blocks_only():
    backbone = SlowFast(depths=(1, 1, 3, 1), num_temporal=(1, 1, 2, 1), width=8)
    kernels = [block.a.conv.kernel_size[0] for block in backbone.get_submodule("res4.slow")]
    assert kernels == [3, 3, 1]
    assert backbone.get_submodule("res2.slow.block0").a.conv.kernel_size[0] == 1
    assert backbone.get_submodule("res2.fast.block0").a.conv.kernel_size[0] == 3


def test_a_fresh_residual_branch_is_silent():
    """PySlowFast starts the last BN of every block at 0, so that a block begins as its shortcut."""
    block = SlowFast(depths=(2, 1, 1, 1), width=8).eval().get_submodule("res2.slow.block1")
    assert isinstance(block, Bottleneck)
    x = torch.rand(1, 32, 2, 4, 4)
    torch.testing.assert_close(block(x), x)
    nonlocal_block = NonLocalBlock(8).eval()
    torch.nn.init.zeros_(nonlocal_block.bn.weight)
    torch.testing.assert_close(nonlocal_block(x[:, :8]), x[:, :8])


def test_gradients_reach_every_parameter():
    # Wide enough that no tensor has only dead channels, whatever the seed (12 of 12 tried; at width 8, 9 of 12).
    backbone = SlowFast(depths=(2, 1, 1, 1), width=16, non_local=NonLocalSettings({"slow": {3: [0]}}))
    for module in backbone.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            torch.nn.init.ones_(module.weight)
    slow, fast = backbone(torch.randn(2, 3, 8, 32, 32))
    (slow.square().mean() + fast.square().mean()).backward()
    without = [name for name, p in backbone.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert without == []


def test_nonlocal_dot_product_by_hand():
    """One channel pair, two positions: out = x + sum over positions of theta_i phi_j g_j / 2."""
    block = NonLocalBlock(2, pool=(1, 1, 1)).eval()
    with torch.no_grad():
        for conv, weights in ((block.theta, [1.0, 0.0]), (block.phi, [0.0, 1.0]), (block.g, [1.0, 1.0])):
            conv.weight.copy_(torch.tensor(weights).view(1, 2, 1, 1, 1))
            conv.bias.zero_()
        block.out.weight.copy_(torch.tensor([1.0, 0.0]).view(2, 1, 1, 1, 1))
        block.out.bias.zero_()
        block.bn.eps = 0.0
    x = torch.tensor([[1.0, 2.0], [3.0, 5.0]]).view(1, 2, 1, 1, 2)  # channel 0: 1, 2; channel 1: 3, 5
    # theta = 1, 2; phi = 3, 5; g = 4, 7. Position 0: (1*3*4 + 1*5*7) / 2 = 23.5; position 1 twice that.
    with torch.inference_mode():
        result = block(x).view(2, 2)
    torch.testing.assert_close(result, torch.tensor([[24.5, 49.0], [3.0, 5.0]]))


def test_groups_of_a_nonlocal_block_see_only_themselves():
    torch.manual_seed(0)
    block = NonLocalBlock(4, pool=(1, 1, 1), groups=2).eval()
    torch.nn.init.ones_(block.bn.weight)
    x = torch.rand(2, 4, 4, 2, 3)
    with torch.inference_mode():
        grouped = block(x)
        block.groups = 1
        halves = torch.cat([block(x[:, :, :2]), block(x[:, :, 2:])], dim=2)
        assert not torch.allclose(block(x), halves)
    torch.testing.assert_close(grouped, halves)
    block.groups = 3
    with pytest.raises(ValueError, match="4 frames do not divide into 3 groups"):
        block(x)


def test_the_background_class_has_a_row_and_no_column():
    head = ProjectionHead(2, 3, background_class=True).eval()
    assert head.projection.weight.shape == (4, 2)
    pooled = torch.tensor([[1.0, -2.0]])
    with torch.inference_mode():
        torch.testing.assert_close(head(pooled), head.projection(pooled)[:, 1:])
    assert (head.num_classes, head(pooled).shape) == (3, (1, 3))


def test_with_the_background_in_the_softmax_the_logits_are_relative_to_its_row():
    head = ProjectionHead(2, 3, background_class=True, score="softmax_with_background").eval()
    pooled = torch.randn(4, 2, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        rows = head.projection(pooled)
        torch.testing.assert_close(head(pooled), rows[:, 1:] - rows[:, :1])
        scores = detection_scores(head(pooled), torch.ones(4), head.score)
    torch.testing.assert_close(scores, rows.softmax(dim=1)[:, 1:])
    with pytest.raises(ValueError, match="softmax_with_background needs the row of the background_class"):
        ProjectionHead(2, 3, score="softmax_with_background")


def test_a_head_with_a_hidden_layer_by_hand():
    """hidden = relu([x0 - x1 + 1, x0 + x1 - 4]) of (3, 2) is (2, 1), and of (1, 4) is (0, 1)."""
    head = ProjectionHead(2, 2, mlp=True, background_class=True).eval()
    with torch.no_grad():
        head.hidden.weight.copy_(torch.tensor([[1.0, -1.0], [1.0, 1.0]]))
        head.hidden.bias.copy_(torch.tensor([1.0, -4.0]))
        head.projection.weight.copy_(torch.tensor([[9.0, 9.0], [1.0, 10.0], [-1.0, 2.0]]))
        head.projection.bias.copy_(torch.tensor([9.0, 0.5, 0.25]))
    with torch.inference_mode():
        logits = head(torch.tensor([[3.0, 2.0], [1.0, 4.0]]))
    assert logits.tolist() == [[12.5, 0.25], [10.5, 2.25]]


def test_a_hidden_layer_keeps_the_size_of_the_features_at_first():
    """He initialisation: the mean square of features after a ReLU stays what it is, so the logits start alike."""
    torch.manual_seed(0)
    features = torch.randn(64, 512).relu()
    with torch.inference_mode():
        hidden = ProjectionHead(512, 3, mlp=True).hidden(features).relu()
    assert hidden.square().mean().item() == pytest.approx(features.square().mean().item(), rel=0.1)


def test_fully_convolutional_head_by_hand():
    head = ClassificationHead([1], 2, pool_sizes=[(1, 2, 2)]).eval()
    with torch.no_grad():
        head.projection.weight.copy_(torch.tensor([[1.0], [-1.0]]))
    # A 2x3 map has two 2x2 windows, of means 1 and 3.
    features = torch.tensor([[0.0, 2.0, 4.0], [0.0, 2.0, 4.0]]).view(1, 1, 1, 2, 3)
    with torch.inference_mode():
        logits = head([features])
    torch.testing.assert_close(logits.view(2, 2), torch.tensor([[1.0, -1.0], [3.0, -3.0]]))
    expected = (torch.tensor([1.0, 3.0]) * 2).sigmoid().mean()
    torch.testing.assert_close(clip_scores(logits, "softmax")[0, 0], expected)
    torch.testing.assert_close(clip_scores(logits, "sigmoid")[0, 0], torch.tensor([1.0, 3.0]).sigmoid().mean())
    # pytorchvideo's: the mean of the logits themselves, (1 + 3) / 2 and its negative.
    torch.testing.assert_close(clip_scores(logits, "none"), torch.tensor([[2.0, -2.0]]))


def test_a_map_smaller_than_the_pool_is_refused():
    with pytest.raises(ValueError, match=r"\(1, 2, 2\) is smaller than the pool \(1, 7, 7\)"):
        ClassificationHead([1], 2, pool_sizes=[(1, 7, 7)])([torch.zeros(1, 1, 1, 2, 2)])
    with pytest.raises(ValueError, match="2 pathways need as many pool_sizes, got 1"):
        ClassificationHead([1, 1], 2, pool_sizes=[None])
