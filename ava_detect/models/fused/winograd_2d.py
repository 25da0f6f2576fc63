"""A 3 x 3 convolution with a quarter of the multiplications: Winograd's minimal filtering along both axes, F(4x4, 3x3).

The form of ``winograd.py`` nested in itself (Lavin and Gray, "Fast algorithms for convolutional neural networks", 2016,
section 4.1): a tile of 4 x 4 results takes 36 products instead of 144. The 36 are the groups of one convolution, and
the sums before and after it are ordered so that nothing is rearranged between them but its results, once.

Shapes: N maps, I channels in, O channels out, H height, W width, P = 6 products an axis (p along H, q along W), n x m
tiles of 4 x 4 results.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ava_detect.models.fused.conv import float64_blocks
from ava_detect.models.fused.filtering import PRODUCT_IN_EVERY_RESULT, minimal_filtering, sums
from ava_detect.models.fused.winograd import TAPS, products_as_groups

# Four results a side: more would take 64 or 100 times the weights of one tap instead of 36.
_FILTERING = minimal_filtering(4, TAPS)
_PRODUCTS = _FILTERING.num_products


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
        outputs, inputs = weight.shape[:2]
        product_weights = weight.new_empty(_PRODUCTS, _PRODUCTS, outputs, inputs, dtype=torch.float32)
        factors = _FILTERING.of_taps.to(weight.device)  # [P, taps]
        for rows, block in float64_blocks(weight, scale):
            product_weights[:, :, rows] = torch.einsum("pt,qs,oits->pqoi", factors, factors, block)
        # The product that enters every result along both axes.
        with_bias = PRODUCT_IN_EVERY_RESULT * _PRODUCTS + PRODUCT_IN_EVERY_RESULT
        self._conv = products_as_groups(product_weights.flatten(0, 1), bias, with_bias)
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
        tiles_wide = len(columns_in) // _PRODUCTS  # m
        # The inputs of all products: weighted sums of positions, along W and then, for each column of tiles, along H.
        columns = columns_in @ maps.permute(0, 2, 3, 1).reshape(-1, width, channels)  # [N * H, m * q, I]
        columns = columns.view(num_maps, height, tiles_wide, -1)
        inputs = maps.new_empty(num_maps, tiles_wide, len(rows_in), columns.shape[3])  # [N, m, n * p, q * I]
        for of_map, into in zip(columns, inputs, strict=True):
            torch.bmm(rows_in.expand(tiles_wide, -1, -1), of_map.transpose(0, 1), out=into)
        # Each of these takes up to 20 MB, so none stays longer than it is read.
        del columns, of_map
        # The products: one position for each tile, and a group of channels for each product.
        positions = inputs.view(1, 1, -1, _PRODUCTS**2 * channels)  # [1, 1, N * m * n, p * q * I]
        products = self._conv(positions.permute(0, 3, 1, 2), relu=False).permute(0, 2, 3, 1)
        del inputs, positions, into
        products = products.reshape(num_maps, tiles_wide, len(rows_in), -1)  # [N, m, n * p, q * O]
        # Each result is a weighted sum of products, along H and then along W.
        rows = maps.new_empty(num_maps, height, tiles_wide, products.shape[3])  # [N, H, m, q * O]
        for of_map, into in zip(products, rows, strict=True):
            into.copy_((rows_out @ of_map).transpose(0, 1))
        del products, of_map
        result = columns_out @ rows.view(num_maps * height, tiles_wide * _PRODUCTS, -1)  # [N * H, W, O]
        result = result.relu_() if relu else result
        return result.view(num_maps, height, width, -1).permute(0, 3, 1, 2)

    def _factors(self, height: int, width: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Factors ``[n * p, H]``, ``[H, n * p]``, ``[m * q, W]`` and ``[W, m * q]``."""
        if (height, width) not in self._sums:
            along_height, along_width = (
                sums(_FILTERING, length, dilation)
                for length, dilation in zip((height, width), self._dilation, strict=True)
            )
            self._sums[height, width] = *along_height, *along_width
        return self._sums[height, width]
