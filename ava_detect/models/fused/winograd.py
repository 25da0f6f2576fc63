"""A convolution along time with half the multiplications or fewer: Winograd's minimal filtering along one axis.

With a kernel of three taps, four neighbouring results take 6 products instead of 12, and eight take 10 instead of 24
(``filtering.py``). At each position the frames are combined in weighted sums, the inputs of the products; the products
are the groups of one convolution over the channels; and weighted sums of them give the output. In float32 the sums of
four results cost about two bits of precision; bfloat16 has too few bits for them, and its matrix units would wait for
the sums. ``winograd_2d.py`` has the form along both axes of a map.

Shapes: N clips, I channels in, O channels out, L frames, X positions of a frame, x of them computed together, P
products, n tiles of four or eight frames.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ava_detect.models.fused.conv import FusedConv, float64_blocks, has_fused_ops, is_avx2
from ava_detect.models.fused.filtering import PRODUCT_IN_EVERY_RESULT, minimal_filtering, sums

TAPS = 3
# Frames of a tile: few, where the length of a clip is not known before; more lose precision and take more memory.
_FEW_RESULTS, _MANY_RESULTS = 4, 8
# The most numbers that the inputs of products which are computed together have: 16 MB.
_INPUTS_AT_ONCE = 1 << 22
# The sums cost as much memory traffic as they save arithmetic where there are fewer channels.
_FEWEST_CHANNELS, _FEWEST_CHANNELS_AVX2 = 256, 128


def pays(weight: Tensor, stride: Sequence[int], dtype: torch.dtype) -> bool:
    """Return whether minimal filtering is the fastest form of a convolution.

    Args:
        weight: ``[O, I, h, w]``.
        stride: Stride (h, w).
        dtype: Type of the maps.

    Returns:
        True for wide convolutions of float32 with a kernel of 3 x 1, which is ``WinogradConv``'s, or 3 x 3,
        ``WinogradConv2D``'s, where oneDNN's fused operators run.
    """
    return (
        dtype == torch.float32
        and tuple(weight.shape[2:]) in ((TAPS, 1), (TAPS, TAPS))
        and tuple(stride) == (1, 1)
        and min(weight.shape[:2]) >= (_FEWEST_CHANNELS_AVX2 if is_avx2() else _FEWEST_CHANNELS)
        and has_fused_ops(weight.device, dtype)
    )


def products_as_groups(weights: Tensor, bias: Tensor, with_bias: int) -> FusedConv:
    """Make one convolution of 1 x 1 of all products: each is a group of the channels.

    Args:
        weights: Weights of each product, float32 ``[P, O, I]``.
        bias: ``[O]``.
        with_bias: Number of the product that enters every result and so adds the bias.

    Returns:
        A convolution from ``P * I`` to ``P * O`` channels.
    """
    num_products, _, inputs = weights.shape
    biases = bias.new_zeros(num_products, len(bias))
    biases[with_bias] = bias
    kernels = weights.view(-1, inputs, 1, 1)
    return FusedConv(kernels, biases.flatten(), stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=num_products)


class WinogradConv:
    """A float32 convolution with three taps on the first axis that keeps the maps' size, with optional ReLU."""

    def __init__(
        self, weight: Tensor, bias: Tensor, *, scale: Tensor | None = None, dilation: int = 1, length: int | None = None
    ) -> None:
        """Transform the weights into those of the products.

        Args:
            weight: ``[O, I, 3, 1]``.
            bias: ``[O]``.
            scale: Factor of each output channel, float64 ``[O]``; None for 1.
            dilation: Dilation along the axis.
            length: L that is expected, for which the size of the tiles is chosen; None if it is not known.
        """
        self._dilation = dilation
        self._filtering = minimal_filtering(_FEW_RESULTS, TAPS)
        if length is not None:
            many = minimal_filtering(_MANY_RESULTS, TAPS)
            self._filtering = min(self._filtering, many, key=lambda filtering: filtering.products_for(length))
        outputs, inputs = weight.shape[:2]
        num_products = self._filtering.num_products
        product_weights = weight.new_empty(num_products, outputs, inputs, dtype=torch.float32)
        factors = self._filtering.of_taps.to(weight.device)  # [P, taps]
        for rows, block in float64_blocks(weight, scale):
            product_weights[:, rows] = torch.einsum("pt,oit->poi", factors, block[..., 0])
        self._conv = products_as_groups(product_weights, bias, PRODUCT_IN_EVERY_RESULT)
        # The factors of each length L that was seen.
        self._sums: dict[int, tuple[Tensor, Tensor]] = {}

    def __call__(self, maps: Tensor, *, relu: bool) -> Tensor:
        """Convolve along the first axis.

        Args:
            maps: ``[N, I, L, X]`` in channels-last memory.
            relu: Whether ReLU follows.

        Returns:
            Maps ``[N, O, L, X]`` in channels-last memory.
        """
        num_maps, channels, length, across = maps.shape
        input_factors, product_factors = self._factors(length)
        num_parts = -(-across * len(input_factors) * channels // _INPUTS_AT_ONCE)
        at_once = -(-across // num_parts)  # x
        outputs = len(self._conv.bias) // self._filtering.num_products
        results = maps.new_empty(num_maps, length, across, outputs)
        # Of each clip some positions at a time: the products' inputs are larger than the maps.
        for clip, of_clip in zip(maps.permute(0, 2, 3, 1), results, strict=True):  # [L, X, I], [L, X, O]
            for frames, into in zip(clip.split(at_once, dim=1), of_clip.split(at_once, dim=1), strict=True):
                by_position = frames.transpose(0, 1)  # [x, L, I]
                inputs = input_factors.expand(len(by_position), -1, -1) @ by_position  # [x, n * P, I]
                # The products: a position for each tile, and a group of channels for each product.
                tiles = inputs.view(1, 1, -1, self._filtering.num_products * channels)  # [1, 1, x * n, P * I]
                products = self._conv(tiles.permute(0, 3, 1, 2), relu=False).permute(0, 2, 3, 1)
                del inputs, tiles
                products = products.reshape(len(by_position), -1, outputs)  # [x, n * P, O]
                sums_of_products = product_factors.expand(len(by_position), -1, -1) @ products  # [x, L, O]
                by_frame = sums_of_products.transpose(0, 1)  # [L, x, O]
                into.copy_(by_frame.relu_() if relu else by_frame)
        return results.permute(0, 3, 1, 2)

    def _factors(self, length: int) -> tuple[Tensor, Tensor]:
        """Factors ``[n * P, L]`` and ``[L, n * P]``."""
        if length not in self._sums:
            self._sums[length] = sums(self._filtering, length, self._dilation)
        return self._sums[length]
