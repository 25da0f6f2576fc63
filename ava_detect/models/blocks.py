"""The residual blocks and stages that both pathways are made of.

The form is PySlowFast's (commit 287ec007, ``stem_helper.py``, ``resnet_helper.py``), which mmaction2 and pytorchvideo
share: stride and dilation in the 3x3 convolution, a strided shortcut, BN eps 1e-5, no bias.

Shapes: B clips, C channels, T frames, H height, W width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn

from ava_detect.models.nonlocal_block import Affinity, NonLocalBlock


class ConvBN(nn.Module):
    """A 3D convolution without bias, and its batch norm."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: Sequence[int],
        *,
        stride: Sequence[int] = (1, 1, 1),
        dilation: int = 1,
    ) -> None:
        """``kernel``, ``stride``: (t, h, w); padding keeps the size at stride 1. ``dilation``: spatial."""
        super().__init__()
        t, h, w = kernel
        self.conv = nn.Conv3d(
            in_channels,
            out_channels,
            (t, h, w),
            stride=(stride[0], stride[1], stride[2]),
            padding=(t // 2, h // 2 * dilation, w // 2 * dilation),
            dilation=(1, dilation, dilation),
            bias=False,
        )
        self.bn = nn.BatchNorm3d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, T, H, W]`` -> normalised convolution; no activation."""
        return cast(Tensor, self.bn(self.conv(x)))


class Stem(ConvBN):
    """The first convolution (t x 7 x 7, spatial stride 2), ReLU and a spatial max pool of stride 2."""

    def __init__(self, out_channels: int, temporal_kernel: int) -> None:
        super().__init__(3, out_channels, (temporal_kernel, 7, 7), stride=(1, 2, 2))
        self.pool = nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """``[B, 3, T, H, W]`` -> ``[B, C, T, H / 4, W / 4]``."""
        return cast(Tensor, self.pool(super().forward(x).relu_()))


class Bottleneck(nn.Module):
    """Conv a (t x 1 x 1), b (1 x 3 x 3, stride and dilation here), c (1 x 1 x 1), and the shortcut."""

    def __init__(
        self, in_channels: int, inner: int, out_channels: int, *, temporal_kernel: int, stride: int, dilation: int
    ) -> None:
        super().__init__()
        strides = (1, stride, stride)
        self.a = ConvBN(in_channels, inner, (temporal_kernel, 1, 1))
        self.b = ConvBN(inner, inner, (1, 3, 3), stride=strides, dilation=dilation)
        self.c = ConvBN(inner, out_channels, (1, 1, 1))
        needs_projection = in_channels != out_channels or stride != 1
        self.shortcut = ConvBN(in_channels, out_channels, (1, 1, 1), stride=strides) if needs_projection else None

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C_in, T, H, W]`` -> ``[B, C_out, T, H / stride, W / stride]``."""
        shortcut = x if self.shortcut is None else self.shortcut(x)
        residual = self.c(self.b(self.a(x).relu_()).relu_())
        return cast(Tensor, residual.add_(shortcut).relu_())


class Stage(nn.Sequential):
    """One pathway's residual stage: blocks by name ``block{i}``, a non-local block ``nonlocal{i}`` after block i."""

    def __init__(
        self,
        in_channels: int,
        inner: int,
        *,
        depth: int,
        temporal_kernel: int,
        num_temporal: int,
        stride: int,
        dilation: int,
        nonlocal_after: Sequence[int] = (),
        nonlocal_affinity: Affinity = "dot_product",
        nonlocal_pool: Sequence[int] = (1, 2, 2),
        nonlocal_groups: int = 1,
    ) -> None:
        """``num_temporal``: so many of the first blocks have the temporal kernel, the others 1."""
        super().__init__()
        out_channels = 4 * inner
        for i in range(depth):
            block = Bottleneck(
                in_channels if i == 0 else out_channels,
                inner,
                out_channels,
                temporal_kernel=temporal_kernel if i < num_temporal else 1,
                stride=stride if i == 0 else 1,
                dilation=dilation,
            )
            self.add_module(f"block{i}", block)
            if i in nonlocal_after:
                attention = NonLocalBlock(
                    out_channels, affinity=nonlocal_affinity, pool=nonlocal_pool, groups=nonlocal_groups
                )
                self.add_module(f"nonlocal{i}", attention)
