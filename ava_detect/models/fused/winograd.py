"""A convolution with half the multiplications or fewer: Winograd's minimal filtering along one axis.

With a kernel of three taps, four neighbouring results take 6 products instead of 12, and eight take 10 instead of 24
(``filtering.py``). The inputs are transformed by weighted sums of neighbours along the axis, convolutions without that
axis follow, one for each product, and weighted sums of their results give the output. In float32 the sums of four
results cost about two bits of precision; bfloat16 has too few bits for them, and its matrix units would wait for the
sums.

Shapes: N maps, I channels in, O channels out, L positions along the axis, X positions across it, k taps across, P
products, n tiles of four or eight results.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ava_detect.models.fused.conv import FusedConv, float64_blocks, has_fused_ops, is_avx2
from ava_detect.models.fused.filtering import PRODUCT_IN_EVERY_RESULT, minimal_filtering, sums

TAPS = 3
# Results of a tile: few, where the length of an axis is not known before; more lose precision and take more memory.
_FEW_RESULTS, _MANY_RESULTS = 4, 8
# Products whose inputs are computed together, of 6 or 10.
_PRODUCTS_AT_ONCE = 5
# The sums cost as much memory traffic as they save arithmetic where there are fewer channels.
_FEWEST_CHANNELS, _FEWEST_CHANNELS_AVX2 = 256, 128


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
        and min(weight.shape[:2]) >= (_FEWEST_CHANNELS_AVX2 if is_avx2() else _FEWEST_CHANNELS)
        and has_fused_ops(weight.device, dtype)
    )


class WinogradConv:
    """A float32 convolution with three taps on the first axis that keeps the maps' size, with optional ReLU."""

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor,
        *,
        scale: Tensor | None = None,
        dilation: Sequence[int],
        length: int | None = None,
    ) -> None:
        """Transform the weights into those of the products.

        Args:
            weight: ``[O, I, 3, k]``.
            bias: ``[O]``.
            scale: Factor of each output channel, float64 ``[O]``; None for 1.
            dilation: Dilation along and across the axis.
            length: L that is expected, for which the size of the tiles is chosen; None if it is not known.
        """
        self._dilation = dilation[0]
        self._filtering = minimal_filtering(_FEW_RESULTS, TAPS)
        if length is not None:
            many = minimal_filtering(_MANY_RESULTS, TAPS)
            self._filtering = min(self._filtering, many, key=lambda filtering: filtering.products_for(length))
        outputs, inputs, _, across = weight.shape
        self._outputs = outputs
        product_weights = [
            weight.new_empty(outputs, inputs, 1, across, dtype=torch.float32)
            for _ in range(self._filtering.num_products)
        ]
        tap_factors = self._filtering.of_taps.to(weight.device)
        for rows, block in float64_blocks(weight, scale):
            products = torch.einsum("pt,oitx->poix", tap_factors, block)
            for product_weight, product in zip(product_weights, products, strict=True):
                product_weight[rows, :, 0] = product
        self._convs = [
            FusedConv(
                product_weight,
                bias if number == PRODUCT_IN_EVERY_RESULT else torch.zeros_like(bias),
                stride=(1, 1),
                padding=(0, weight.shape[3] // 2 * dilation[1]),
                dilation=(1, dilation[1]),
            )
            for number, product_weight in enumerate(product_weights)
        ]
        # The factors of each length L that was seen; see ``filtering.sums``.
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
            self._sums[length] = sums(self._filtering, length, self._dilation)
        input_factors, product_factors = self._sums[length]  # [P, n, L] and [L, P * n]
        # One row per position of the axis; in channels-last memory this is a view.
        rows = maps.permute(0, 2, 3, 1).reshape(num_maps, length, across * channels)  # [N, L, X * I]
        num_products, num_tiles, _ = input_factors.shape
        products = maps.new_empty(num_maps, num_products, num_tiles, across, self._outputs)
        for start in range(0, num_products, _PRODUCTS_AT_ONCE):
            # Some products' inputs of each tile, weighted sums of positions: all at once would take fresh memory.
            factors = input_factors[start : start + _PRODUCTS_AT_ONCE]  # [p, n, L]
            tiles = (factors.flatten(0, 1) @ rows).view(num_maps, -1, num_tiles, across, channels)
            # The products themselves: convolutions across the axis, and over the channels.
            for number in range(len(factors)):
                product = self._convs[start + number](tiles[:, number].permute(0, 3, 1, 2), relu=False)
                products[:, start + number] = product.permute(0, 2, 3, 1)  # [N, n, X, O]
            del tiles
        # Each result is a weighted sum of the products.
        stacked = products.view(num_maps, -1, across * self._outputs)  # [N, P * n, X * O]
        result = product_factors @ stacked  # [N, L, X * O]
        result = result.relu_() if relu else result
        return result.view(num_maps, length, across, -1).permute(0, 3, 1, 2)
