"""The choices that make one constructor the whole family: lateral fusions, values by pathway, sizes."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from tolerances import relative_to_largest

from ava_detect.models.laterals import Lateral, LateralSettings
from ava_detect.models.slowfast import NonLocalSettings, SlowFast

SMALL = {"depths": (1, 1, 1, 1), "width": 8}
KINDS, MERGES = ("conv", "time_to_channel", "sample"), ("concat", "sum")
# One slow channel of 10 and 20; one fast channel counting 0..7: eight frames, alpha 4.
SLOW = torch.tensor([10.0, 20.0]).view(1, 1, 2, 1, 1)
FAST = torch.arange(8.0).view(1, 1, 8, 1, 1)


def lateral_of(**settings) -> Lateral:
    """A connection of one slow and one fast channel, four fast frames a slow one."""
    return Lateral(1, 1, alpha=4, settings=LateralSettings(**settings))


def fused(lateral: Lateral) -> list:
    with torch.inference_mode():
        return lateral.eval()(SLOW, FAST)[0, :, :, 0, 0].tolist()


def test_time_to_channel_packs_alpha_frames_into_channels():
    lateral = lateral_of(kind="time_to_channel")
    assert fused(lateral) == [[10, 20], [0, 4], [1, 5], [2, 6], [3, 7]]
    assert (lateral.out_channels, len(lateral.state_dict())) == (5, 0)


def test_sampling_takes_one_frame_in_alpha():
    lateral = lateral_of(kind="sample")
    assert fused(lateral) == [[10, 20], [0, 4]]
    assert (lateral.out_channels, len(lateral.state_dict())) == (2, 0)


def test_a_sum_of_equal_channels_needs_no_weights():
    """As in the paper, whose alpha is 1 / beta: alpha * beta * C channels are C."""
    slow = SLOW.expand(1, 4, 2, 1, 1)
    lateral = Lateral(4, 1, alpha=4, settings=LateralSettings(kind="time_to_channel", merge="sum"))
    assert lateral(slow, FAST)[0, :, :, 0, 0].tolist() == [[10, 24], [11, 25], [12, 26], [13, 27]]
    assert len(lateral.state_dict()) == 0
    assert fused(lateral_of(kind="sample", merge="sum")) == [[10, 24]]


def test_a_sum_of_other_channels_goes_through_a_1x1x1_convolution():
    lateral = lateral_of(kind="time_to_channel", merge="sum")
    with torch.no_grad():
        lateral.match.weight.copy_(torch.tensor([1.0, 0, 0, 10]).view(1, 4, 1, 1, 1))
    assert fused(lateral) == [[10 + 0 + 30, 20 + 4 + 70]]
    assert list(lateral.state_dict()) == ["match.weight"]


def test_the_strided_convolution_with_and_without_norm():
    """A kernel of ones: frames -1..1 and 3..5 give 0 + 1 and 3 + 4 + 5; the ReLU cuts what a negative kernel gives."""
    plain = lateral_of(fusion_ratio=1, fusion_kernel=3, norm=False)
    torch.nn.init.constant_(plain.conv.weight, -1)
    assert fused(plain) == [[10, 20], [-1, -12]]
    assert list(plain.state_dict()) == ["conv.weight"]
    normed = lateral_of(fusion_ratio=1, fusion_kernel=3)
    torch.nn.init.constant_(normed.conv.weight, -1)
    assert fused(normed) == [[10, 20], [0, 0]]
    torch.nn.init.ones_(normed.conv.weight)
    normed.bn.running_mean.fill_(1)
    normed.bn.eps = 0
    assert fused(normed) == [[10, 20], [0, 11]]


@pytest.mark.parametrize(("kind", "merge"), list(product(KINDS, MERGES)))
def test_every_fusion_of_table_5b_runs_and_learns(kind, merge):
    backbone = SlowFast(**SMALL, lateral=LateralSettings(kind=kind, merge=merge))
    for module in backbone.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            torch.nn.init.ones_(module.weight)
    slow, fast = backbone(torch.randn(2, 3, 8, 40, 56))
    assert (slow.shape, fast.shape) == ((2, 256, 2, 3, 4), (2, 32, 8, 3, 4))
    slow.square().mean().backward()
    # The slow output learns from the fast pathway through every lateral connection.
    assert backbone.get_submodule("res4.fast.block0").a.conv.weight.grad.abs().sum() > 0


def test_values_by_pathway():
    backbone = SlowFast(
        **SMALL,
        dilations={"slow": (1, 1, 1, 2), "fast": (1, 1, 1, 1)},
        temporal_kernels={"slow": (3, 1, 1, 1, 3), "fast": (7, 5, 3, 3, 1)},
        num_temporal={"slow": (1, 1, 1, 0), "fast": (1, 1, 1, 1)},
    )
    assert backbone.get_submodule("res5.slow.block0").b.conv.dilation == (1, 2, 2)
    assert backbone.get_submodule("res5.fast.block0").b.conv.dilation == (1, 1, 1)
    kernels = {
        pathway: [
            backbone.stem[pathway].conv.kernel_size[0],
            *(backbone.get_submodule(f"res{s}.{pathway}.block0").a.conv.kernel_size[0] for s in (2, 3, 4, 5)),
        ]
        for pathway in ("slow", "fast")
    }
    assert kernels == {"slow": [3, 1, 1, 1, 1], "fast": [7, 5, 3, 3, 1]}


@pytest.mark.parametrize(("strides", "expected"), [((1, 2, 2, 1), 16), ((1, 2, 2, 2), 32), ((1, 1, 2, 1), 8)])
def test_the_feature_stride_follows_from_the_strides(strides, expected):
    backbone = SlowFast(**SMALL, strides=strides).eval()
    assert backbone.feature_stride == expected
    with torch.inference_mode():
        slow, _ = backbone(torch.zeros(1, 3, 4, 96, 64))
    assert slow.shape[3:] == (96 // expected, 64 // expected)


def test_nonlocal_pool_by_stage():
    backbone = SlowFast(
        **SMALL,
        non_local=NonLocalSettings({"slow": {3: [0]}, "fast": {4: [0]}}, pool={"fast": {4: (2, 1, 1)}}),
    )
    assert backbone.get_submodule("res3.slow.nonlocal0").pool.kernel_size == (1, 2, 2)
    assert backbone.get_submodule("res4.fast.nonlocal0").pool.kernel_size == (2, 1, 1)


@pytest.mark.parametrize(("height", "width"), [(33, 97), (50, 75), (16, 16)])
def test_clips_of_one_batch_do_not_see_each_other_at_any_size(height, width):
    non_local = NonLocalSettings({"slow": {2: [0]}}, pool={"slow": {2: [1, 1, 1]}})
    backbone = SlowFast(**SMALL, non_local=non_local).eval()
    for module in backbone.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            torch.nn.init.ones_(module.weight)
    clips = torch.randn(2, 3, 8, height, width, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        together = backbone(clips)
        alone = [backbone(clip[None]) for clip in clips]
    for p, features in enumerate(together):
        expected = torch.cat([outputs[p] for outputs in alone])
        # A batch of two sums in another order than a batch of one, and the non-local block enlarges the difference.
        torch.testing.assert_close(features, expected, **relative_to_largest(expected, 1e-4))
