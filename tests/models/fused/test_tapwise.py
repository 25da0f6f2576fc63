"""The tapwise form of a convolution against the convolution."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import backbone_of_published_width
from tolerances import BF16_FEATURES, CONVOLUTION
from torch.nn import functional

from ava_detect.models.fused import tapwise
from ava_detect.models.fused.backbone import FusedSlowFast
from ava_detect.models.fused.tapwise import TapwiseConv, pays


@given(
    length=st.integers(1, 9),
    across=st.integers(1, 6),
    batch=st.integers(1, 3),
    relu=st.booleans(),
    seed=st.integers(0, 99),
)
@settings(max_examples=30, deadline=None)
def test_any_size_gives_the_convolution(length, across, batch, relu, seed):
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(5, 4, 3, 1, generator=generator, dtype=torch.float64)
    bias = torch.randn(5, generator=generator, dtype=torch.float64)
    maps = torch.randn(batch, 4, length, across, generator=generator).contiguous(memory_format=torch.channels_last)
    expected = functional.conv2d(maps.double(), weight, bias, padding=(1, 0))
    expected = expected.relu() if relu else expected
    with torch.inference_mode():
        result = TapwiseConv(weight, bias, dtype=torch.float32)(maps, relu=relu)
    assert result.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(result.double(), expected, rtol=0, atol=CONVOLUTION)


def test_it_is_used_where_it_pays(monkeypatch):
    monkeypatch.setattr(tapwise, "has_fused_ops", lambda device, dtype: True)
    large = torch.zeros(256, 256, 3, 1)
    assert pays(large, (1, 1), torch.bfloat16)
    assert not pays(large, (1, 1), torch.float32)
    assert not pays(large, (2, 1), torch.bfloat16)
    assert not pays(torch.zeros(256, 256, 3, 3), (1, 1), torch.bfloat16)
    assert not pays(torch.zeros(128, 256, 3, 1), (1, 1), torch.bfloat16)
    monkeypatch.setattr(tapwise, "has_fused_ops", lambda device, dtype: False)
    assert not pays(large, (1, 1), torch.bfloat16)


@pytest.mark.bf16
def test_a_network_of_published_width_has_it_and_is_near():
    backbone = backbone_of_published_width()
    fused = FusedSlowFast(backbone, torch.bfloat16)
    assert isinstance(fused._later_stages[-1][0]._a._conv, TapwiseConv)  # type: ignore[union-attr]
    clip = torch.randn(2, 3, 16, 48, 64)
    with torch.inference_mode():
        for theirs, ours in zip(backbone(clip), fused(clip), strict=True):
            assert (ours.float() - theirs).abs().max() < BF16_FEATURES * theirs.abs().max()
