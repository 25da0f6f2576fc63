"""A 3 x 3 convolution with a quarter of the multiplications: Winograd's minimal filtering along both axes, F(4x4, 3x3).

The form of ``winograd.py`` nested in itself (Lavin and Gray, "Fast algorithms for convolutional neural networks", 2016,
section 4.1): a tile of 4 x 4 results takes 36 products instead of 144. The sums before and after the products take more
memory traffic than along one axis, so it pays where a processor is slow at products: with AVX2. With AVX-512 products
are three times as fast, the sums are not, and one axis is the better choice.

Shapes: N maps, I channels in, O channels out, H height, W width, P = 6 products an axis, n x m tiles of 4 x 4 results.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ava_detect.models.fused import winograd
from ava_detect.models.fused.conv import float64_blocks, is_avx2
from ava_detect.models.fused.winograd import PRODUCTS, TAP_FACTORS, TAPS, sums


def pays(weight: Tensor, stride: Sequence[int], dtype: torch.dtype) -> bool:
    """Return whether this form of a convolution is the fastest one.

    Args:
        weight: ``[O, I, h, w]``.
        stride: Stride (h, w).
        dtype: Type of the maps.

    Returns:
        True for 3 x 3 convolutions for which ``winograd.pays``, on processors whose widest arithmetic is AVX2.
    """
    return weight.shape[3] == TAPS and winograd.pays(weight, stride, dtype) and is_avx2()


class WinogradConv2D:
    """A float32 3 x 3 convolution that keeps the maps' size, with optional ReLU."""

    def __init__(self, weight: Tensor, bias: Tensor, *, scale: Tensor | None = None, dilation: Sequence[int]) -> None:
        """Transform the weights into those of the 36 products.

        Args:
            weight: ``[O, I, 3, 3]``.
            bias: ``[O]``.
            scale: Factor of each output channel, float64 ``[O]``; None for 1.
            dilation: Dilation (h, w).
        """
        self._dilation = tuple(dilation)
        self._bias = bias.float()
        outputs, inputs = weight.shape[:2]
        self._weights = weight.new_empty(PRODUCTS**2, inputs, outputs, dtype=torch.float32)  # [P * P, I, O]
        factors = weight.new_tensor(TAP_FACTORS, dtype=torch.float64)  # [P, taps]
        for rows, block in float64_blocks(weight, scale):
            products = torch.einsum("pt,qs,oits->pqio", factors, factors, block)  # [P, P, I, o]
            self._weights[:, :, rows] = products.flatten(0, 1)
        # The factors of each size (H, W) that was seen.
        self._sums: dict[tuple[int, int], tuple[Tensor, Tensor, Tensor, Tensor]] = {}

    def __call__(self, maps: Tensor, *, relu: bool) -> Tensor:
        """Convolve.

        Args:
            maps: ``[N, I, H, W]`` in channels-last memory.
            relu: Whether ReLU follows.

        Returns:
            Maps ``[N, O, H, W]`` in channels-last memory.
        """
        num_maps, channels, height, width = maps.shape
        rows_in, rows_out, columns_in, columns_out = self._factors(height, width)
        tiles_high, tiles_wide = len(rows_in) // PRODUCTS, len(columns_in) // PRODUCTS  # n, m
        # The inputs of all products: weighted sums of positions, along W and then along H.
        columns = columns_in @ maps.permute(0, 2, 3, 1).reshape(-1, width, channels)  # [N * H, P * m, I]
        sums_in = rows_in @ columns.view(num_maps, height, -1)  # [N, P * n, P * m * I]
        split = sums_in.view(num_maps, PRODUCTS, tiles_high, PRODUCTS, tiles_wide, channels)
        tiles = split.permute(1, 3, 0, 2, 4, 5).reshape(PRODUCTS**2, -1, channels)  # [P * P, N * n * m, I]
        # The products: matrices over the channels.
        products = tiles @ self._weights  # [P * P, N * n * m, O]
        # Each result is a weighted sum of products, along H and then along W.
        split = products.view(PRODUCTS, PRODUCTS, num_maps, tiles_high, tiles_wide, -1)
        ordered = split.permute(2, 0, 3, 1, 4, 5).reshape(num_maps, PRODUCTS * tiles_high, -1)  # [N, P * n, P * m * O]
        rows = rows_out @ ordered  # [N, H, P * m * O]
        result = columns_out @ rows.view(num_maps * height, PRODUCTS * tiles_wide, -1)  # [N * H, W, O]
        result += self._bias
        result = result.relu_() if relu else result
        return result.view(num_maps, height, width, -1).permute(0, 3, 1, 2)

    def _factors(self, height: int, width: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Factors ``[P * n, H]``, ``[H, P * n]``, ``[P * m, W]`` and ``[W, P * m]``."""
        if (height, width) not in self._sums:
            (rows_in, rows_out), (columns_in, columns_out) = map(sums, (height, width), self._dilation)
            self._sums[height, width] = (rows_in.flatten(0, 1), rows_out, columns_in.flatten(0, 1), columns_out)
        return self._sums[height, width]
