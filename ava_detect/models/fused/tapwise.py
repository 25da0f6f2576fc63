"""A convolution along one axis as one of 1 x 1 for each of its taps, added up at shifted places.

A convolution of 1 x 1 is a matrix product, at which bfloat16's matrix units are half as fast again as at oneDNN's
convolution along time; and nothing is computed for the zeros beyond the ends. The sum is rounded to bfloat16 after each
tap, which adds a third to the rounding error of such a layer.

Shapes: N maps, I channels in, O out, L places along the axis, X across it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ava_detect.models.fused.conv import FusedConv, has_fused_ops

TAPS = 3
# Narrower ones wait for memory either way: measured at 64.
_FEWEST_CHANNELS = 256


def pays(weight: Tensor, stride: Sequence[int], dtype: torch.dtype) -> bool:
    """Whether this form of a convolution ``[O, I, h, w]`` is the faster one."""
    return (
        dtype == torch.bfloat16
        and tuple(weight.shape[2:]) == (TAPS, 1)
        and tuple(stride) == (1, 1)
        and min(weight.shape[:2]) >= _FEWEST_CHANNELS
        and has_fused_ops(weight.device, dtype)
    )


class TapwiseConv:
    """A convolution of 3 x 1 that keeps the maps' size, then ReLU or not."""

    def __init__(self, weight: Tensor, bias: Tensor, *, dtype: torch.dtype) -> None:
        """``weight``: ``[O, I, 3, 1]``; ``bias``: ``[O]``."""
        self._before, self._at, self._behind = (
            FusedConv(
                weight[:, :, tap : tap + 1],
                bias if tap == TAPS // 2 else torch.zeros_like(bias),
                stride=(1, 1),
                padding=(0, 0),
                dilation=(1, 1),
                dtype=dtype,
            )
            for tap in range(TAPS)
        )

    def __call__(self, maps: Tensor, *, relu: bool) -> Tensor:
        """``[N, I, L, X]`` -> ``[N, O, L, X]``, both in channels-last memory."""
        results = [self._of_one(rows, relu=relu) for rows in maps.permute(0, 2, 1, 3).unsqueeze(3)]
        whole = results[0][None] if len(results) == 1 else torch.stack(results)  # [N, L, O, 1, X]
        return whole.squeeze(3).permute(0, 2, 1, 3)

    def _of_one(self, rows: Tensor, *, relu: bool) -> Tensor:
        """``[L, I, 1, X]`` -> ``[L, O, 1, X]``: each place of the axis a map."""
        total = self._at(rows, relu=relu and len(rows) == 1)
        if len(rows) > 1:
            self._before.add_to(total[1:], rows[:-1], relu=False)
            # Only the last place has nothing behind it.
            self._behind.add_to(total[:-1], rows[1:], relu=relu)
            if relu:
                total[-1:].relu_()
        return total
