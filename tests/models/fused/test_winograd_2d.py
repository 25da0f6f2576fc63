"""Winograd's form of a 3 x 3 convolution along both axes, against the convolution."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerances import WINOGRAD_CONVOLUTION
from torch.nn import functional

from ava_detect.models.fused import conv as fused_conv
from ava_detect.models.fused.winograd_2d import WinogradConv2D


@given(
    height=st.integers(1, 14),
    width=st.integers(1, 14),
    dilation=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    batch=st.integers(1, 3),
    scaled=st.booleans(),
    relu=st.booleans(),
    seed=st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_any_size_gives_the_convolution(height, width, dilation, batch, scaled, relu, seed):
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(5, 4, 3, 3, generator=generator, dtype=torch.float64)
    bias = torch.randn(5, generator=generator, dtype=torch.float64)
    scale = torch.rand(5, generator=generator, dtype=torch.float64) + 0.5 if scaled else None
    maps = torch.randn(batch, 4, height, width, generator=generator).contiguous(memory_format=torch.channels_last)
    multiplied = weight if scale is None else weight * scale.view(-1, 1, 1, 1)
    expected = functional.conv2d(maps.double(), multiplied, bias, 1, dilation, dilation)
    expected = expected.relu() if relu else expected
    with torch.inference_mode():
        result = WinogradConv2D(weight, bias, scale=scale, dilation=dilation)(maps, relu=relu)
    assert result.is_contiguous(memory_format=torch.channels_last)
    # The sums of both axes each cost two bits.
    torch.testing.assert_close(result.double(), expected, rtol=0, atol=4 * WINOGRAD_CONVOLUTION)


def test_without_the_fused_operations_the_products_are_the_same(monkeypatch):
    monkeypatch.setattr(fused_conv, "has_fused_ops", lambda device, dtype: False)
    weight, bias = torch.randn(3, 2, 3, 3, dtype=torch.float64), torch.randn(3, dtype=torch.float64)
    maps = torch.randn(2, 2, 9, 6).contiguous(memory_format=torch.channels_last)
    expected = functional.conv2d(maps.double(), weight, bias, padding=1)
    with torch.inference_mode():
        result = WinogradConv2D(weight, bias, dilation=(1, 1))(maps, relu=False)
    torch.testing.assert_close(result.double(), expected, rtol=0, atol=4 * WINOGRAD_CONVOLUTION)


def test_one_serves_maps_of_several_sizes():
    weight, bias = torch.randn(3, 2, 3, 3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
    conv = WinogradConv2D(weight, bias, dilation=(1, 1))
    for height, width in ((8, 5), (5, 8), (8, 5)):
        maps = torch.randn(1, 2, height, width).contiguous(memory_format=torch.channels_last)
        expected = functional.conv2d(maps.double(), weight, bias, padding=1)
        with torch.inference_mode():
            torch.testing.assert_close(conv(maps, relu=False).double(), expected, rtol=0, atol=4 * WINOGRAD_CONVOLUTION)
