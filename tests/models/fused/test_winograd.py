"""Winograd's form of a convolution along time against the convolution."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import backbone_of_published_width
from tolerances import CONVOLUTION, FP32_FEATURES, WINOGRAD_CONVOLUTION, relative_to_largest
from torch.nn import functional

from ava_detect.models.fused import conv as fused_conv
from ava_detect.models.fused import winograd
from ava_detect.models.fused.backbone import FusedSlowFast
from ava_detect.models.fused.winograd import WinogradConv, pays
from ava_detect.models.fused.winograd_2d import WinogradConv2D


def test_four_results_of_six_inputs_by_hand():
    """Taps 1, 2, 3 over 1, 0, 2, 0, 0, 4, zeros around: two tiles, the second half empty."""
    weight = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64).view(1, 1, 3, 1)
    maps = torch.tensor([1.0, 0.0, 2.0, 0.0, 0.0, 4.0]).view(1, 1, 6, 1)
    with torch.inference_mode():
        result = WinogradConv(weight, torch.tensor([0.5], dtype=torch.float64))(maps, relu=False)
    # Result i is 1 x[i - 1] + 2 x[i] + 3 x[i + 1] + 0.5.
    expected = torch.tensor([2.5, 7.5, 4.5, 2.5, 12.5, 8.5])
    torch.testing.assert_close(result.flatten(), expected, rtol=0, atol=CONVOLUTION)


@given(
    length=st.integers(1, 23),
    across=st.integers(1, 6),
    dilation=st.integers(1, 3),
    batch=st.integers(1, 3),
    scaled=st.booleans(),
    relu=st.booleans(),
    expected_length=st.sampled_from([None, 4, 8]),
    inputs_at_once=st.sampled_from([1, 300, 1 << 22]),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_any_size_gives_the_convolution(
    length, across, dilation, batch, scaled, relu, expected_length, inputs_at_once, seed
):
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(5, 4, 3, 1, generator=generator, dtype=torch.float64)
    bias = torch.randn(5, generator=generator, dtype=torch.float64)
    scale = torch.rand(5, generator=generator, dtype=torch.float64) + 0.5 if scaled else None
    maps = torch.randn(batch, 4, length, across, generator=generator).contiguous(memory_format=torch.channels_last)
    multiplied = weight if scale is None else weight * scale.view(-1, 1, 1, 1)
    expected = functional.conv2d(maps.double(), multiplied, bias, 1, (dilation, 0), (dilation, 1))
    expected = expected.relu() if relu else expected
    with torch.inference_mode(), pytest.MonkeyPatch.context() as patch:
        # As few as one position at a time, several, or all.
        patch.setattr(winograd, "_INPUTS_AT_ONCE", inputs_at_once)
        conv = WinogradConv(weight, bias, scale=scale, dilation=dilation, length=expected_length)
        result = conv(maps, relu=relu)
    assert result.is_contiguous(memory_format=torch.channels_last)
    # Eight results at a time lose two bits more than four.
    atol = WINOGRAD_CONVOLUTION * (4 if expected_length == 8 else 1)
    torch.testing.assert_close(result.double(), expected, rtol=0, atol=atol)


def test_positions_are_computed_in_parts_within_the_limit(monkeypatch):
    """One tile of 10 products of 4 channels has 40 inputs a position: 20 positions have 800, in three parts."""
    monkeypatch.setattr(winograd, "_INPUTS_AT_ONCE", 300)
    conv = WinogradConv(torch.zeros(5, 4, 3, 1), torch.zeros(5), length=8)
    positions = []
    products = conv._conv

    def counted(maps, *, relu):
        positions.append(maps.shape[3])
        return products(maps, relu=relu)

    monkeypatch.setattr(conv, "_conv", counted)
    counted.bias = products.bias  # type: ignore[attr-defined]
    with torch.inference_mode():
        conv(torch.zeros(1, 4, 8, 20).contiguous(memory_format=torch.channels_last), relu=True)
    assert positions == [7, 7, 6]


def test_one_serves_maps_of_several_lengths():
    weight, bias = torch.randn(3, 2, 3, 1, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
    conv = WinogradConv(weight, bias)
    for length in (8, 5, 8):
        maps = torch.randn(1, 2, length, 4).contiguous(memory_format=torch.channels_last)
        expected = functional.conv2d(maps.double(), weight, bias, padding=(1, 0))
        with torch.inference_mode():
            torch.testing.assert_close(conv(maps, relu=False).double(), expected, rtol=0, atol=WINOGRAD_CONVOLUTION)


@pytest.mark.parametrize(
    ("length", "num_products"), [(None, 6), (1, 6), (4, 6), (5, 10), (8, 10), (9, 6), (12, 6), (13, 10), (16, 10)]
)
def test_as_many_results_at_a_time_as_take_the_fewest_products(length, num_products):
    """For 8 positions one tile of 10 products instead of two of 6; for 9 two of 10 would be more than three of 6."""
    conv = WinogradConv(torch.zeros(2, 2, 3, 1), torch.zeros(2), length=length)
    assert conv._filtering.num_products == num_products


@pytest.mark.parametrize(("capability", "fewest"), [("AVX2", 128), ("AVX512", 256)])
def test_it_is_used_where_it_pays(monkeypatch, capability, fewest):
    monkeypatch.setattr(winograd, "has_fused_ops", lambda device, dtype: True)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    for across in (1, 3):
        assert pays(torch.zeros(fewest, fewest, 3, across), (1, 1), torch.float32)
        assert not pays(torch.zeros(fewest, fewest // 2, 3, across), (1, 1), torch.float32)
        large = torch.zeros(256, 256, 3, across)
        assert pays(large, (1, 1), torch.float32)
        assert not pays(large, (1, 1), torch.bfloat16)
        assert not pays(large, (2, 1), torch.float32)
        assert not pays(large, (1, 2), torch.float32)
    for other in ((5, 1), (1, 3), (3, 5), (1, 1)):
        assert not pays(torch.zeros(256, 256, *other), (1, 1), torch.float32)
    monkeypatch.setattr(winograd, "has_fused_ops", lambda device, dtype: False)
    assert not pays(large, (1, 1), torch.float32)


@pytest.mark.skipif(
    not fused_conv.has_fused_ops(torch.device("cpu"), torch.float32), reason="no fused operations on this CPU"
)
@pytest.mark.parametrize("capability", ["AVX2", "AVX512"])
def test_a_network_of_published_width_has_it(monkeypatch, capability):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    backbone = backbone_of_published_width()
    fused = FusedSlowFast(backbone)
    last = fused._later_stages[-1][0]
    assert isinstance(last._a._conv, WinogradConv)  # type: ignore[union-attr]
    assert isinstance(last._b._conv, WinogradConv2D)  # type: ignore[union-attr]
    clip = torch.randn(1, 3, 16, 48, 64)
    with torch.inference_mode():
        for theirs, ours in zip(backbone(clip), fused(clip), strict=True):
            torch.testing.assert_close(ours, theirs, **relative_to_largest(theirs, FP32_FEATURES))
