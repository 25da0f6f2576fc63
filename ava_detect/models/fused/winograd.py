"""A convolution with half the multiplications: Winograd's minimal filtering F(4, 3) along one axis.

Of three neighbouring taps, four results at a time take 6 products instead of 12 (Lavin and Gray, "Fast algorithms for
convolutional neural networks", 2016, section 4; the points are 0, 1, -1, 2, -2 and infinity). Inputs and results are
sums of neighbours along that axis, with small factors; between the two stand 6 convolutions without it. In float32 the
sums cost about two bits; bfloat16 has none to spare, and its matrix units would wait for the sums.

Shapes: N maps, I channels in, O out, L places along the axis, X across it, k taps across, P = 6 products, n tiles.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ava_detect.models.fused.conv import FusedConv, has_fused_ops

TAPS, _RESULTS, _PRODUCTS = 3, 4, 6
# The sums cost as much memory traffic as they save arithmetic where there are fewer channels: measured at 128.
_FEWEST_CHANNELS = 256

_OF_TAPS = [
    [1 / 4, 0, 0],
    [-1 / 6, -1 / 6, -1 / 6],
    [-1 / 6, 1 / 6, -1 / 6],
    [1 / 24, 1 / 12, 1 / 6],
    [1 / 24, -1 / 12, 1 / 6],
    [0, 0, 1],
]
_OF_INPUTS = [
    [4, 0, -5, 0, 1, 0],
    [0, -4, -4, 1, 1, 0],
    [0, 4, -4, -1, 1, 0],
    [0, -2, -1, 2, 1, 0],
    [0, 2, -1, -2, 1, 0],
    [0, 4, 0, -5, 0, 1],
]
_OF_PRODUCTS = [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]
# The product of the point 1 enters every result once, so it may bring the bias.
_BRINGS_BIAS = 1


def pays(weight: Tensor, stride: Sequence[int], dtype: torch.dtype) -> bool:
    """Whether this form of a convolution ``[O, I, h, w]`` is the faster one, its first axis being the one."""
    return (
        dtype == torch.float32
        and weight.shape[2] == TAPS
        and tuple(stride) == (1, 1)
        and min(weight.shape[:2]) >= _FEWEST_CHANNELS
        and has_fused_ops(weight.device, dtype)
    )


class WinogradConv:
    """A convolution of maps that keeps their size, then ReLU or not; of float32, with 3 taps on the first axis."""

    def __init__(self, weight: Tensor, bias: Tensor, *, dilation: Sequence[int]) -> None:
        """``weight``: float64 ``[O, I, 3, k]``; ``bias``: ``[O]``; ``dilation``: along and across."""
        self._dilation = dilation[0]
        products = torch.einsum("pt,oitx->poix", weight.new_tensor(_OF_TAPS), weight)
        self._convs = [
            FusedConv(
                product[:, :, None],
                bias if number == _BRINGS_BIAS else torch.zeros_like(bias),
                stride=(1, 1),
                padding=(0, weight.shape[3] // 2 * dilation[1]),
                dilation=(1, dilation[1]),
                dtype=torch.float32,
            )
            for number, product in enumerate(products)
        ]
        self._sums: dict[int, tuple[Tensor, Tensor]] = {}

    def __call__(self, maps: Tensor, *, relu: bool) -> Tensor:
        """``[N, I, L, X]`` -> ``[N, O, L, X]``, both in channels-last memory."""
        num_maps, channels, length, across = maps.shape
        if length not in self._sums:
            self._sums[length] = sums(length, self._dilation)
        of_inputs, of_products = self._sums[length]  # [P, n, L] and [L, P * n]
        rows = maps.permute(0, 2, 3, 1).reshape(num_maps, length, across * channels)
        products = []
        for conv, factors in zip(self._convs, of_inputs, strict=True):
            tiles = (factors @ rows).view(num_maps, -1, across, channels).permute(0, 3, 1, 2)  # [N, I, n, X]
            products.append(conv(tiles, relu=False).permute(0, 2, 3, 1))
        stacked = torch.stack(products, dim=1)  # [N, P, n, X, O]
        result = of_products @ stacked.flatten(3, 4).flatten(1, 2)
        result = result.relu_() if relu else result
        return result.view(num_maps, length, across, -1).permute(0, 3, 1, 2)


def sums(length: int, dilation: int) -> tuple[Tensor, Tensor]:
    """The factors of inputs in each product's tiles ``[P, n, L]``, and of products in each result ``[L, P * n]``.

    A tile is four results ``dilation`` apart. Places beyond the ends are zeros, and results there are not wanted: both
    are left out here, so nothing need be padded.
    """
    step = _RESULTS * dilation
    firsts = [first for phase in range(dilation) for first in range(phase, length, step)]
    of_inputs = torch.zeros(_PRODUCTS, len(firsts), length)
    of_products = torch.zeros(length, _PRODUCTS, len(firsts))
    for tile, first in enumerate(firsts):
        for i, factors in enumerate(torch.tensor(_OF_INPUTS).T):
            place = first + (i - 1) * dilation
            if 0 <= place < length:
                of_inputs[:, tile, place] = factors.float()
        for i, factors in enumerate(torch.tensor(_OF_PRODUCTS)):
            place = first + i * dilation
            if place < length:
                of_products[place, :, tile] = factors.float()
    return of_inputs, of_products.flatten(1)
