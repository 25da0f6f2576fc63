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
from ava_detect.models.fused.conv import FusedConv, float64_blocks, is_avx2
from ava_detect.models.fused.filtering import PRODUCT_IN_EVERY_RESULT, minimal_filtering, sums

# Four results a side: more would take 64 or 100 times the weights of one tap instead of 36.
_FILTERING = minimal_filtering(4, winograd.TAPS)
_PRODUCTS = _FILTERING.num_products
# With fewer channels the sums take longer than what they save beside those of one axis.
_FEWEST_CHANNELS = 256


def pays(weight: Tensor, stride: Sequence[int], dtype: torch.dtype) -> bool:
    """Return whether this form of a convolution is the fastest one.

    Args:
        weight: ``[O, I, h, w]``.
        stride: Stride (h, w).
        dtype: Type of the maps.

    Returns:
        True for 3 x 3 convolutions for which ``winograd.pays``, on processors whose widest arithmetic is AVX2.
    """
    return (
        weight.shape[3] == winograd.TAPS
        and min(weight.shape[:2]) >= _FEWEST_CHANNELS
        and winograd.pays(weight, stride, dtype)
        and is_avx2()
    )


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
        self._outputs = outputs
        num_products = _PRODUCTS**2
        product_weights = [weight.new_empty(outputs, inputs, 1, 1, dtype=torch.float32) for _ in range(num_products)]
        factors = _FILTERING.of_taps.to(weight.device)  # [P, taps]
        for rows, block in float64_blocks(weight, scale):
            products = torch.einsum("pt,qs,oits->pqoi", factors, factors, block).flatten(0, 1)  # [P * P, o, I]
            for product_weight, product in zip(product_weights, products, strict=True):
                product_weight[rows, :, 0, 0] = product
        self._convs = [
            FusedConv(
                product_weight,
                # The product that enters every result along both axes adds the bias.
                bias if number == PRODUCT_IN_EVERY_RESULT * (_PRODUCTS + 1) else torch.zeros_like(bias),
                stride=(1, 1),
                padding=(0, 0),
                dilation=(1, 1),
            )
            for number, product_weight in enumerate(product_weights)
        ]
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
        tiles_high, tiles_wide = len(rows_in) // _PRODUCTS, len(columns_in) // _PRODUCTS  # n, m
        # The inputs of all products: weighted sums of positions, along W and then along H.
        columns = columns_in @ maps.permute(0, 2, 3, 1).reshape(-1, width, channels)  # [N * H, P * m, I]
        sums_in = rows_in @ columns.view(num_maps, height, -1)  # [N, P * n, P * m * I]
        tiles = sums_in.view(num_maps, _PRODUCTS, tiles_high, _PRODUCTS, tiles_wide, channels)
        # The products: 1 x 1 convolutions. Each result is copied at once to where the sums read it.
        products = sums_in.new_empty(num_maps, _PRODUCTS, tiles_high, _PRODUCTS, tiles_wide, self._outputs)
        for number, conv in enumerate(self._convs):
            down, across = divmod(number, _PRODUCTS)
            inputs = tiles[:, down, :, across].reshape(1, 1, -1, channels)  # [1, 1, N * n * m, I], copied
            product = conv(inputs.permute(0, 3, 1, 2), relu=False).permute(0, 2, 3, 1)  # [1, 1, N * n * m, O]
            products[:, down, :, across] = product.view(num_maps, tiles_high, tiles_wide, -1)
        # Each result is a weighted sum of products, along H and then along W.
        rows = rows_out @ products.view(num_maps, _PRODUCTS * tiles_high, -1)  # [N, H, P * m * O]
        result = columns_out @ rows.view(num_maps * height, _PRODUCTS * tiles_wide, -1)  # [N * H, W, O]
        result = result.relu_() if relu else result
        return result.view(num_maps, height, width, -1).permute(0, 3, 1, 2)

    def _factors(self, height: int, width: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Factors ``[P * n, H]``, ``[H, P * n]``, ``[P * m, W]`` and ``[W, P * m]``."""
        if (height, width) not in self._sums:
            (rows_in, rows_out), (columns_in, columns_out) = (
                sums(_FILTERING, length, dilation)
                for length, dilation in zip((height, width), self._dilation, strict=True)
            )
            self._sums[height, width] = (rows_in.flatten(0, 1), rows_out, columns_in.flatten(0, 1), columns_out)
        return self._sums[height, width]
