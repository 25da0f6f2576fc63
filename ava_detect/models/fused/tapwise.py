"""A convolution along one axis as one 1 x 1 convolution per tap, added up at shifted positions.

A 1 x 1 convolution is a matrix product, at which bfloat16's matrix units are 1.5 times as fast as at oneDNN's
convolution along time; and nothing is computed for the zeros beyond the ends. The sum is rounded to bfloat16 after each
tap, which adds a third to the rounding error of such a layer.

Shapes: N maps, I channels in, O channels out, L positions along the axis, X positions across it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ava_detect.models.fused.conv import FusedConv, has_fused_ops, rounded

TAPS = 3
# Narrower layers are bound by memory bandwidth in either form: measured at 64.
_FEWEST_CHANNELS = 256


def pays(weight: Tensor, stride: Sequence[int], dtype: torch.dtype) -> bool:
    """Return whether this form of a convolution is the faster one.

    Args:
        weight: ``[O, I, h, w]``.
        stride: Stride (h, w).
        dtype: Type of the maps.

    Returns:
        True for wide 3 x 1 convolutions of bfloat16 where oneDNN's fused operators run.
    """
    return (
        dtype == torch.bfloat16
        and tuple(weight.shape[2:]) == (TAPS, 1)
        and tuple(stride) == (1, 1)
        and min(weight.shape[:2]) >= _FEWEST_CHANNELS
        and has_fused_ops(weight.device, dtype)
    )


class TapwiseConv:
    """A 3 x 1 convolution that keeps the maps' size, with optional ReLU."""

    def __init__(self, weight: Tensor, bias: Tensor, *, scale: Tensor | None = None, dtype: torch.dtype) -> None:
        """Create one 1 x 1 convolution per tap; the middle one has the bias.

        Args:
            weight: ``[O, I, 3, 1]``.
            bias: ``[O]``.
            scale: Factor of each output channel, float64 ``[O]``; None for 1.
            dtype: Type of the maps.
        """
        self._previous, self._current, self._next = (
            FusedConv(
                rounded(weight[:, :, tap : tap + 1], scale, dtype),  # [O, I, 1, 1]
                bias if tap == TAPS // 2 else torch.zeros_like(bias),
                stride=(1, 1),
                padding=(0, 0),
                dilation=(1, 1),
            )
            for tap in range(TAPS)
        )

    def __call__(self, maps: Tensor, *, relu: bool) -> Tensor:
        """Convolve along the axis.

        Args:
            maps: ``[N, I, L, X]`` in channels-last memory.
            relu: Whether ReLU follows.

        Returns:
            Maps ``[N, O, L, X]`` in channels-last memory.
        """
        # Make each position of the axis a map of height 1; in channels-last memory this is a view.
        rows = maps.permute(0, 2, 1, 3).unsqueeze(3)  # [N, L, I, 1, X]
        results = [self._convolve_map(map_rows, relu=relu) for map_rows in rows]  # N of [L, O, 1, X]
        stacked = results[0][None] if len(results) == 1 else torch.stack(results)  # [N, L, O, 1, X]
        return stacked.squeeze(3).permute(0, 2, 1, 3)

    def _convolve_map(self, rows: Tensor, *, relu: bool) -> Tensor:
        """One map: ``[L, I, 1, X]`` -> ``[L, O, 1, X]``."""
        # The middle tap reads every position.
        total = self._current(rows, relu=relu and len(rows) == 1)
        if len(rows) > 1:
            # The first tap adds the position before, for all but the first; the last tap the one after.
            self._previous.add_to(total[1:], rows[:-1], relu=False)
            self._next.add_to(total[:-1], rows[1:], relu=relu)
            # The last position has no next one, so the call above did not apply its ReLU.
            if relu:
                total[-1:].relu_()
        return total
