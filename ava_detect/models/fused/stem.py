"""The stems with two-dimensional convolutions: a clip -> maps a quarter of its size.

The slow pathway's stem is spatial (1 x 7 x 7). A fast stem (5 x 7 x 7) is computed in one of two ways: in float32 by
Winograd's minimal filtering in time, and in bfloat16, which has too few bits for that, as a convolution of frames
stacked on the channel axis.

Shapes: B clips, T frames, H height, W width, C channels, t kernel length in frames, g frames computed together, m
frames of a tile, P products. Maps are ``[B * T, C, H, W]`` in channels-last memory.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from ava_detect.models.blocks import Stem
from ava_detect.models.fused.conv import FusedConv, float64_blocks, folded, has_fused_ops, is_avx2, rounded
from ava_detect.models.fused.filtering import PRODUCT_IN_EVERY_RESULT, minimal_filtering

# A fast stem has 4 or 8 output channels, but the kernels compute more at a time: several frames are computed together.
# More than the kernel's own number would only add zeros: a matrix unit has 32, AVX2 two registers of 8.
_STEM_CHANNELS_AT_ONCE = 32
_STEM_CHANNELS_AT_ONCE_AVX2 = 16

# Winograd's form takes 8 products for 4 frames of a kernel of 5, instead of 20. Each has the stem's own channels, of
# which the kernels compute at least as many as fill a register of AVX2.
_WINOGRAD_KERNEL, _WINOGRAD_FRAMES, _WINOGRAD_FEWEST_CHANNELS = 5, 4, 8


def fused_stem(stem: Stem, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
    """Return the fastest form of a stem.

    Args:
        stem: The plain stem, in evaluation mode.
        dtype: Type of the clip and of the maps, float32 or bfloat16.

    Returns:
        A function from a clip ``[B, 3, T, H, W]`` to maps ``[B * T, C, H / 4, W / 4]`` in channels-last memory.
    """
    weight = stem.conv.weight
    is_winograd = (
        dtype == torch.float32
        and weight.shape[0] >= _WINOGRAD_FEWEST_CHANNELS
        and weight.shape[2] == _WINOGRAD_KERNEL
        and has_fused_ops(weight.device, dtype)
    )
    return WinogradStem(stem) if is_winograd else StackedStem(stem, dtype)


class WinogradStem:
    """A fast stem in float32 by Winograd's F(4, 5) in time: 8 spatial convolutions for 4 frames."""

    def __init__(self, stem: Stem) -> None:
        """Transform the weights into those of the products.

        Args:
            stem: The plain stem, in evaluation mode; its kernel has five frames.
        """
        weight, scale, bias = folded(stem.conv, stem.bn)  # weight [C, 3, t, 7, 7]
        filtering = minimal_filtering(_WINOGRAD_FRAMES, _WINOGRAD_KERNEL)
        self._filtering = filtering
        products = torch.cat(
            [
                torch.einsum("pt,oithw->poihw", filtering.of_taps.to(weight.device), block)
                for _, block in float64_blocks(weight, scale)
            ],
            dim=1,
        ).float()  # [P, C, 3, 7, 7]
        _, height, width = stem.conv.kernel_size
        self._convs = [
            FusedConv(
                product,
                bias if number == PRODUCT_IN_EVERY_RESULT else torch.zeros_like(bias),
                stride=stem.conv.stride[1:],
                padding=(height // 2, width // 2),
                dilation=(1, 1),
            )
            for number, product in enumerate(products)
        ]

    def __call__(self, clip: Tensor) -> Tensor:
        """``[B, 3, T, H, W]`` -> maps ``[B * T, C, H / 4, W / 4]``.

        One tile after another, in the same memory: fresh memory would be cleared by the system first.
        """
        num_results, num_products = self._filtering.of_products.shape
        before = _WINOGRAD_KERNEL // 2
        frames = clip.transpose(1, 2)  # [B, T, 3, H, W]
        batch, num_frames, colours, height, width = frames.shape
        # Of a tile: the products' inputs [P, 3, H, W], one of them as its convolution reads it, the products and the
        # results [P or m, H / 2, W / 2, C].
        half = -(-height // 2), -(-width // 2), len(self._convs[0].bias)
        inputs = frames.new_empty(num_products, colours, height, width)
        one = frames.new_empty(1, height, width, colours).permute(0, 3, 1, 2)
        products, results = frames.new_empty(num_products, *half), frames.new_empty(num_results, *half)
        maps = frames.new_empty(batch * num_frames, -(-half[0] // 2), -(-half[1] // 2), half[2])
        for number, first in ((b, f) for b in range(batch) for f in range(0, num_frames, num_results)):
            # The frames that the tile reads; those beyond the ends are zeros and left out.
            start, end = max(first - before, 0), min(first - before + num_products, num_frames)
            factors = self._filtering.of_inputs[:, start - first + before : end - first + before]
            # [n, 3 * H * W], without a copy of clips whose frames lie one after another, as the pipeline's do.
            tile = frames[number, start:end].flatten(1)
            torch.mm(factors, tile, out=inputs.view(num_products, -1))
            for product, conv, into in zip(inputs, self._convs, products, strict=True):
                one.copy_(product[None])
                into.copy_(conv(one, relu=False)[0].permute(1, 2, 0))
            torch.mm(self._filtering.of_products, products.flatten(1), out=results.view(num_results, -1))
            # Pooling first: ReLU and a maximum may change places.
            pooled = functional.max_pool2d(results.permute(0, 3, 1, 2), 3, stride=2, padding=1)  # [m, C, H / 4, W / 4]
            at = number * num_frames + first
            into_maps = maps[at : at + min(num_results, num_frames - first)].permute(0, 3, 1, 2)
            torch.clamp_min(pooled[: len(into_maps)], 0, out=into_maps)
        return maps.permute(0, 3, 1, 2)


class StackedStem:
    """A stem; where its kernel has several frames, it computes several output frames together.

    With a kernel of t frames, g output frames need g + t - 1 input frames. These are stacked as channels. The weight
    holds the kernel once for each output frame, shifted by one input frame each time, and zeros elsewhere.
    """

    def __init__(self, stem: Stem, dtype: torch.dtype) -> None:
        """Fold the weights.

        Args:
            stem: The plain stem, in evaluation mode.
            dtype: Type of the clip and of the maps, float32 or bfloat16.
        """
        self._weight, self._scale, self._bias = folded(stem.conv, stem.bn)  # weight [C, 3, t, 7, 7]
        _, height, width = stem.conv.kernel_size
        self._kernel = stem.conv.kernel_size[0]
        channels = _STEM_CHANNELS_AT_ONCE_AVX2 if is_avx2() else _STEM_CHANNELS_AT_ONCE
        self._max_at_once = max(1, channels // self._weight.shape[0]) if self._kernel > 1 else 1
        self._stride = stem.conv.stride[1:]
        self._padding = (height // 2, width // 2)
        self._dtype = dtype
        self._convs: dict[int, FusedConv] = {}

    def __call__(self, clip: Tensor) -> Tensor:
        """``[B, 3, T, H, W]`` -> maps ``[B * T, C, H / 4, W / 4]``.

        A few frames at a time, so that the intermediate maps are small and stay in the cache.
        """
        batch, colours, frames, height, width = clip.shape
        # g, the largest divisor of T within the limit.
        at_once = max(n for n in range(1, self._max_at_once + 1) if frames % n == 0)
        # The input of g output frames: [B, H, W, g + t - 1, 3]; the last two axes are a map's channels.
        window = clip.new_zeros((batch, height, width, at_once + self._kernel - 1, colours), dtype=self._dtype)
        parts = []
        for first in range(0, frames, at_once):
            self._fill(window, clip, first - self._kernel // 2)
            stacked = window.flatten(3).permute(0, 3, 1, 2)  # [B, (g + t - 1) * 3, H, W]
            maps = self._conv(at_once)(stacked, relu=True)  # [B, g * C, H / 2, W / 2]
            maps = functional.max_pool2d(maps, 3, stride=2, padding=1).permute(0, 2, 3, 1)  # [B, H / 4, W / 4, g * C]
            # Separate the output frames, which are groups of channels.
            by_frame = maps.reshape(*maps.shape[:3], at_once, -1)  # [B, H / 4, W / 4, g, C]
            parts.append(by_frame.permute(0, 3, 1, 2, 4))  # [B, g, H / 4, W / 4, C]
        joined = torch.cat(parts, dim=1)  # [B, T, H / 4, W / 4, C]
        return joined.flatten(0, 1).permute(0, 3, 1, 2)

    @staticmethod
    def _fill(window: Tensor, clip: Tensor, first: int) -> None:
        """Copy the clip's frames from ``first`` on into the window; frames outside the clip are zeros."""
        length, frames = window.shape[3], clip.shape[2]
        start, end = max(first, 0), min(first + length, frames)
        window[:, :, :, : start - first] = 0
        window[:, :, :, start - first : end - first] = clip[:, :, start:end].permute(0, 3, 4, 2, 1)
        window[:, :, :, end - first :] = 0

    def _conv(self, at_once: int) -> FusedConv:
        """The convolution that computes ``at_once`` = g frames; created at the first call."""
        if at_once not in self._convs:
            channels, colours, kernel = self._weight.shape[:3]
            # [g, C, g + t - 1, 3, 7, 7]: output frame i reads input frames i to i + t - 1.
            weight = self._weight.new_zeros(at_once, channels, at_once + kernel - 1, colours, *self._weight.shape[3:])
            for i in range(at_once):
                weight[i, :, i : i + kernel] = self._weight.transpose(1, 2)
            weight = weight.flatten(2, 3).flatten(0, 1)  # [g * C, (g + t - 1) * 3, 7, 7]
            scale = None if self._scale is None else self._scale.repeat(at_once)
            self._convs[at_once] = FusedConv(
                rounded(weight, scale, self._dtype),
                self._bias.repeat(at_once),
                stride=self._stride,
                padding=self._padding,
                dilation=(1, 1),
            )
        return self._convs[at_once]
