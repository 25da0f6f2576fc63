"""The fused stems against the stem."""

from __future__ import annotations

import pytest
import torch
from networks import enliven
from tolerances import FP32_FEATURES, relative_to_largest

from ava_detect.models.blocks import Stem
from ava_detect.models.fused import stem as fused_stems
from ava_detect.models.fused.stem import StackedStem, WinogradStem, fused_stem


def stem_of(channels: int, kernel: int) -> Stem:
    torch.manual_seed(0)
    return enliven(Stem(channels, kernel))


@pytest.mark.parametrize(("batch", "frames", "height", "width"), [(1, 32, 40, 56), (2, 7, 33, 50), (3, 1, 16, 16)])
def test_winograd_in_time_gives_the_stem(batch, frames, height, width):
    """Lengths that fill tiles of four frames and that do not, sizes that pooling halves and that it does not."""
    stem = stem_of(8, 5)
    clip = torch.randn(batch, 3, frames, height, width)
    with torch.inference_mode():
        expected = stem(clip).transpose(1, 2).flatten(0, 1)  # [B * T, C, H / 4, W / 4]
        got = WinogradStem(stem)(clip)
    assert got.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(got, expected, **relative_to_largest(expected, FP32_FEATURES))


def test_one_serves_clips_of_several_lengths():
    stem = stem_of(8, 5)
    fused = WinogradStem(stem)
    for frames in (8, 5, 8):
        clip = torch.randn(1, 3, frames, 20, 20)
        with torch.inference_mode():
            expected = stem(clip).transpose(1, 2).flatten(0, 1)
            torch.testing.assert_close(fused(clip), expected, **relative_to_largest(expected, FP32_FEATURES))


@pytest.mark.parametrize(("channels", "kernel"), [(8, 5), (64, 1), (4, 5)])
def test_the_order_of_a_clip_in_memory_does_not_change_a_bit(channels, kernel):
    fused = fused_stem(stem_of(channels, kernel), torch.float32)
    clip = torch.randn(2, 3, 8, 20, 28)
    with torch.inference_mode():
        expected = fused(clip)
        assert torch.equal(fused(clip.contiguous(memory_format=torch.channels_last_3d)), expected)
        # Every second frame of a longer clip: no order that a copy would have.
        assert torch.equal(fused(clip.repeat_interleave(2, dim=2)[:, :, ::2]), expected)


@pytest.mark.parametrize(
    ("channels", "kernel", "dtype", "has_ops", "kind"),
    [
        (8, 5, torch.float32, True, WinogradStem),
        (8, 5, torch.float32, False, StackedStem),
        (8, 5, torch.bfloat16, True, StackedStem),
        (4, 5, torch.float32, True, StackedStem),
        (8, 3, torch.float32, True, StackedStem),
        (64, 1, torch.float32, True, StackedStem),
    ],
)
def test_it_is_used_where_it_pays(monkeypatch, channels, kernel, dtype, has_ops, kind):
    monkeypatch.setattr(fused_stems, "has_fused_ops", lambda device, dtype: has_ops)
    assert isinstance(fused_stem(stem_of(channels, kernel), dtype), kind)
