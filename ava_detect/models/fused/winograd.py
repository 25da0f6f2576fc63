"""A convolution with half the multiplications: Winograd's minimal filtering F(4, 3) along one axis.

With a kernel of three taps, four neighbouring results take 6 products instead of 12 (Lavin and Gray, "Fast algorithms
for convolutional neural networks", 2016, section 4; the points are 0, 1, -1, 2, -2 and infinity). The inputs are
transformed by weighted sums of neighbours along the axis, 6 convolutions without that axis follow, and weighted sums of
their results give the output. In float32 the sums cost about two bits of precision; bfloat16 has too few bits for them,
and its matrix units would wait for the sums.

Shapes: N maps, I channels in, O channels out, L positions along the axis, X positions across it, k taps across, P = 6
products, n tiles of four results.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ava_detect.models.fused.conv import FusedConv, float64_blocks, has_fused_ops

TAPS, _RESULTS, PRODUCTS = 3, 4, 6
# The sums cost as much memory traffic as they save arithmetic where there are fewer channels: measured at 128.
_FEWEST_CHANNELS = 256

# The paper's G: the factor of each tap in each product's weight, [P, taps].
TAP_FACTORS = [
    [1 / 4, 0, 0],
    [-1 / 6, -1 / 6, -1 / 6],
    [-1 / 6, 1 / 6, -1 / 6],
    [1 / 24, 1 / 12, 1 / 6],
    [1 / 24, -1 / 12, 1 / 6],
    [0, 0, 1],
]
# The paper's B^T: the factor of each of a tile's six inputs in each product's input, [P, inputs].
_INPUT_FACTORS = [
    [4, 0, -5, 0, 1, 0],
    [0, -4, -4, 1, 1, 0],
    [0, 4, -4, -1, 1, 0],
    [0, -2, -1, 2, 1, 0],
    [0, 2, -1, -2, 1, 0],
    [0, 4, 0, -5, 0, 1],
]
# The paper's A^T: the factor of each product in each of a tile's four results, [results, P].
_PRODUCT_FACTORS = [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]
# The product of the point 1 enters every result with the factor 1, so its convolution adds the bias.
_PRODUCT_WITH_BIAS = 1


def pays(weight: Tensor, stride: Sequence[int], dtype: torch.dtype) -> bool:
    """Return whether this form of a convolution is the faster one.

    Args:
        weight: ``[O, I, h, w]``; the form applies to the axis of h.
        stride: Stride (h, w).
        dtype: Type of the maps.

    Returns:
        True for wide convolutions of float32 with three taps along h where oneDNN's fused operators run.
    """
    return (
        dtype == torch.float32
        and weight.shape[2] == TAPS
        and tuple(stride) == (1, 1)
        and min(weight.shape[:2]) >= _FEWEST_CHANNELS
        and has_fused_ops(weight.device, dtype)
    )


class WinogradConv:
    """A float32 convolution with three taps on the first axis that keeps the maps' size, with optional ReLU."""

    def __init__(self, weight: Tensor, bias: Tensor, *, scale: Tensor | None = None, dilation: Sequence[int]) -> None:
        """Transform the weights into those of the six products.

        Args:
            weight: ``[O, I, 3, k]``.
            bias: ``[O]``.
            scale: Factor of each output channel, float64 ``[O]``; None for 1.
            dilation: Dilation along and across the axis.
        """
        self._dilation = dilation[0]
        outputs, inputs, _, across = weight.shape
        product_weights = [weight.new_empty(outputs, inputs, 1, across, dtype=torch.float32) for _ in range(PRODUCTS)]
        tap_factors = weight.new_tensor(TAP_FACTORS, dtype=torch.float64)
        for rows, block in float64_blocks(weight, scale):
            products = torch.einsum("pt,oitx->poix", tap_factors, block)
            for product_weight, product in zip(product_weights, products, strict=True):
                product_weight[rows, :, 0] = product
        self._convs = [
            FusedConv(
                product_weight,
                bias if number == _PRODUCT_WITH_BIAS else torch.zeros_like(bias),
                stride=(1, 1),
                padding=(0, weight.shape[3] // 2 * dilation[1]),
                dilation=(1, dilation[1]),
            )
            for number, product_weight in enumerate(product_weights)
        ]
        # The factors of each length L that was seen; see ``sums``.
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
        if length not in self._sums:
            self._sums[length] = sums(length, self._dilation)
        input_factors, product_factors = self._sums[length]  # [P, n, L] and [L, P * n]
        num_products, num_tiles, _ = input_factors.shape
        # One row per position of the axis; in channels-last memory this is a view.
        rows = maps.permute(0, 2, 3, 1).reshape(num_maps, length, across * channels)  # [N, L, X * I]
        # The products' inputs of each tile: weighted sums of positions, all in one pass over the maps.
        tiles = (input_factors.flatten(0, 1) @ rows).view(num_maps, num_products, num_tiles, across, channels)
        # The products themselves: convolutions across the axis, and over the channels.
        products = [
            conv(tiles[:, number].permute(0, 3, 1, 2), relu=False).permute(0, 2, 3, 1)  # [N, n, X, O]
            for number, conv in enumerate(self._convs)
        ]
        # Each result is a weighted sum of the products.
        stacked = torch.stack(products, dim=1).flatten(3, 4).flatten(1, 2)  # [N, P * n, X * O]
        result = product_factors @ stacked  # [N, L, X * O]
        result = result.relu_() if relu else result
        return result.view(num_maps, length, across, -1).permute(0, 3, 1, 2)


def sums(length: int, dilation: int) -> tuple[Tensor, Tensor]:
    """Compute the factors of the weighted sums before and after the products.

    A tile is four results, ``dilation`` apart. Positions beyond the ends are zeros, and results there are not needed:
    both are left out of the factors, so nothing is padded.

    Args:
        length: L, positions along the axis.
        dilation: Dilation along the axis.

    Returns:
        Factors of the positions in each tile's product inputs ``[P, n, L]``, and factors of the products in each
        result ``[L, P * n]``.
    """
    # The first result of each tile: with a dilation d there are d interleaved sequences, each cut into tiles of four.
    step = _RESULTS * dilation
    firsts = [first for phase in range(dilation) for first in range(phase, length, step)]
    input_factors = torch.zeros(PRODUCTS, len(firsts), length)  # [P, n, L]
    product_factors = torch.zeros(length, PRODUCTS, len(firsts))  # [L, P, n]
    for tile, first in enumerate(firsts):
        # A tile's six inputs begin one tap before its first result.
        for i, factors in enumerate(torch.tensor(_INPUT_FACTORS).T):  # factors: [P]
            position = first + (i - 1) * dilation
            if 0 <= position < length:
                input_factors[:, tile, position] = factors.float()
        for i, factors in enumerate(torch.tensor(_PRODUCT_FACTORS)):  # factors: [P]
            position = first + i * dilation
            if position < length:
                product_factors[position, :, tile] = factors.float()
    return input_factors, product_factors.flatten(1)
