"""Lateral connections: how the fast pathway's features reach the slow one (SlowFast, arXiv 1812.03982, section 3.4).

The paper's table 5b compares three ways to bring ``{alpha T, S^2, beta C}`` to the slow pathway's ``T`` frames, and two
ways to fuse the result. Time-strided convolution with concatenation won, and is what every published checkpoint has.
PySlowFast (``FuseFastToSlow``) and pytorchvideo put a batch norm and a ReLU after it, mmaction2 nothing (``norm``).

Shapes: B clips, Cs slow and Cf fast channels, T slow frames, H, W feature map.
"""

from __future__ import annotations

from typing import Literal, cast

import torch
from torch import Tensor, nn

LateralKind = Literal["conv", "time_to_channel", "sample"]
LateralMerge = Literal["concat", "sum"]


class Lateral(nn.Module):
    """One lateral connection; ``out_channels`` is what the slow pathway has after it.

    ``kind``: ``"conv"`` is a convolution ``[kernel, 1, 1]`` with stride alpha in time and ``ratio`` * Cf channels out;
    ``"time_to_channel"`` packs alpha frames into the channels of one (alpha * Cf); ``"sample"`` takes one frame in
    alpha (Cf). ``merge``: ``"concat"`` puts the result after the slow channels; ``"sum"`` adds it, through a 1x1x1
    convolution where the channels differ (with alpha = 1 / beta time-to-channel needs none, as in the paper).
    """

    def __init__(
        self,
        slow_channels: int,
        fast_channels: int,
        *,
        alpha: int,
        kind: LateralKind = "conv",
        merge: LateralMerge = "concat",
        ratio: int = 2,
        kernel: int = 7,
        norm: bool = True,
    ) -> None:
        """``norm``: batch norm and ReLU after the time-strided convolution."""
        super().__init__()
        self.alpha, self.kind, self.merge = alpha, kind, merge
        self.conv: nn.Conv3d | None = None
        self.bn: nn.BatchNorm3d | None = None
        channels = {"conv": ratio * fast_channels, "time_to_channel": alpha * fast_channels, "sample": fast_channels}
        brought = channels[kind]
        if kind == "conv":
            self.conv = nn.Conv3d(
                fast_channels,
                brought,
                (kernel, 1, 1),
                stride=(alpha, 1, 1),
                padding=(kernel // 2, 0, 0),
                bias=False,
            )
            self.bn = nn.BatchNorm3d(brought) if norm else None
        needs_match = merge == "sum" and brought != slow_channels
        self.match = nn.Conv3d(brought, slow_channels, 1, bias=False) if needs_match else None
        self.out_channels = slow_channels if merge == "sum" else slow_channels + brought

    def forward(self, slow: Tensor, fast: Tensor) -> Tensor:
        """``[B, Cs, T, H, W]`` and ``[B, Cf, alpha * T, H, W]`` -> ``[B, out_channels, T, H, W]``."""
        brought = self._bring(fast)
        if self.merge == "concat":
            return torch.cat([slow, brought], dim=1)
        return slow + (brought if self.match is None else self.match(brought))

    def _bring(self, fast: Tensor) -> Tensor:
        if self.kind == "sample":
            return fast[:, :, :: self.alpha]
        if self.kind == "time_to_channel":
            b, c, t, h, w = fast.shape
            packed = fast.reshape(b, c, t // self.alpha, self.alpha, h, w).permute(0, 3, 1, 2, 4, 5)
            return packed.reshape(b, self.alpha * c, t // self.alpha, h, w)
        brought = cast(nn.Conv3d, self.conv)(fast)
        return cast(Tensor, brought if self.bn is None else self.bn(brought).relu_())
