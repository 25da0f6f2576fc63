"""Lateral connections: how the fast pathway's features reach the slow one (SlowFast, arXiv 1812.03982, section 3.4).

The paper's table 5b compares three ways to bring ``{alpha T, S^2, beta C}`` to the slow pathway's ``T`` frames, and two
ways to fuse the result. Time-strided convolution with concatenation won, and every published checkpoint uses it.
PySlowFast (``FuseFastToSlow``) and pytorchvideo put a batch norm and a ReLU after it, mmaction2 does not (``norm``).

Shapes: B clips, Cs slow channels, Cf fast channels, Cl channels that the connection brings, T slow frames, H, W feature
map.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor, nn

LateralKind = Literal["conv", "time_to_channel", "sample"]
LateralMerge = Literal["concat", "sum"]


@dataclass(frozen=True)
class LateralSettings:
    """The form of a network's lateral connections.

    Attributes:
        fusion_ratio: Output channels of the time-strided convolution per fast channel.
        fusion_kernel: Length of that convolution in frames.
        kind: ``"conv"`` is a convolution ``[fusion_kernel, 1, 1]`` with stride alpha in time (Cl = fusion_ratio * Cf);
            ``"time_to_channel"`` packs alpha frames into the channels of one (Cl = alpha * Cf); ``"sample"`` takes
            every alpha-th frame (Cl = Cf).
        merge: ``"concat"`` appends the result to the slow channels; ``"sum"`` adds it, through a 1x1x1 convolution
            where Cl and Cs differ (with alpha = 1 / beta time-to-channel needs none, as in the paper).
        norm: Whether batch norm and ReLU follow the time-strided convolution.
    """

    fusion_ratio: int = 2
    fusion_kernel: int = 7
    kind: LateralKind = "conv"
    merge: LateralMerge = "concat"
    norm: bool = True


class Lateral(nn.Module):
    """One lateral connection; ``out_channels`` is the number of the slow pathway's channels after it."""

    def __init__(
        self, slow_channels: int, fast_channels: int, *, alpha: int, settings: LateralSettings | None = None
    ) -> None:
        """Create the convolutions that the settings ask for.

        Args:
            slow_channels: Cs, channels of the slow pathway before the connection.
            fast_channels: Cf, channels of the fast pathway.
            alpha: Fast frames per slow frame.
            settings: Form of the connection; by default ``LateralSettings()``.
        """
        super().__init__()
        settings = settings or LateralSettings()
        self.alpha, self.kind, self.merge = alpha, settings.kind, settings.merge
        self.conv: nn.Conv3d | None = None
        self.bn: nn.BatchNorm3d | None = None
        brought_channels = {
            "conv": settings.fusion_ratio * fast_channels,
            "time_to_channel": alpha * fast_channels,
            "sample": fast_channels,
        }[settings.kind]
        if settings.kind == "conv":
            self.conv = nn.Conv3d(
                fast_channels,
                brought_channels,
                (settings.fusion_kernel, 1, 1),
                stride=(alpha, 1, 1),
                padding=(settings.fusion_kernel // 2, 0, 0),
                bias=False,
            )
            self.bn = nn.BatchNorm3d(brought_channels) if settings.norm else None
        needs_match = settings.merge == "sum" and brought_channels != slow_channels
        self.match = nn.Conv3d(brought_channels, slow_channels, 1, bias=False) if needs_match else None
        self.out_channels = slow_channels if settings.merge == "sum" else slow_channels + brought_channels

    def forward(self, slow: Tensor, fast: Tensor) -> Tensor:
        """Fuse the fast pathway's features into the slow one's.

        Args:
            slow: Features ``[B, Cs, T, H, W]``.
            fast: Features ``[B, Cf, alpha * T, H, W]``.

        Returns:
            Features ``[B, out_channels, T, H, W]``.
        """
        brought = self._bring(fast)  # [B, Cl, T, H, W]
        if self.merge == "concat":
            return torch.cat([slow, brought], dim=1)  # [B, Cs + Cl, T, H, W]
        return slow + (brought if self.match is None else self.match(brought))  # [B, Cs, T, H, W]

    def _bring(self, fast: Tensor) -> Tensor:
        """``[B, Cf, alpha * T, H, W]`` -> ``[B, Cl, T, H, W]``."""
        if self.kind == "sample":
            return fast[:, :, :: self.alpha]
        if self.kind == "time_to_channel":
            b, c, t, h, w = fast.shape
            # Split the fast frames into T groups of alpha, and move each group's frames before the channels.
            groups = fast.reshape(b, c, t // self.alpha, self.alpha, h, w)  # [B, Cf, T, alpha, H, W]
            packed = groups.permute(0, 3, 1, 2, 4, 5)  # [B, alpha, Cf, T, H, W]
            return packed.reshape(b, self.alpha * c, t // self.alpha, h, w)
        brought = cast(nn.Conv3d, self.conv)(fast)
        return cast(Tensor, brought if self.bn is None else self.bn(brought).relu_())
