"""The residual blocks and stages that both pathways are made of.

The form is PySlowFast's (commit 287ec007, ``stem_helper.py``, ``resnet_helper.py``), which mmaction2 and pytorchvideo
share: stride and dilation in the 3x3 convolution, a strided shortcut, BN eps 1e-5, no bias.

Shapes: B clips, C channels, T frames, H height, W width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn

from ava_detect.models.nonlocal_block import NonLocalBlock, StageNonLocal

# Output channels of a bottleneck per inner channel (He et al., arXiv 1512.03385).
EXPANSION = 4


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
        """Create the convolution, padded so that stride 1 keeps the size.

        Args:
            in_channels: Channels of the input.
            out_channels: Channels of the output.
            kernel: Kernel size (t, h, w), odd numbers.
            stride: Stride (t, h, w).
            dilation: Spatial dilation; time is not dilated.
        """
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
        """Convolve and normalise, without activation.

        Args:
            x: Features ``[B, C_in, T, H, W]``.

        Returns:
            Features ``[B, C_out, T / stride, H / stride, W / stride]``, rounded up.
        """
        return cast(Tensor, self.bn(self.conv(x)))


class Stem(ConvBN):
    """The first convolution (t x 7 x 7, spatial stride 2), ReLU and a spatial max pool of stride 2."""

    def __init__(self, out_channels: int, temporal_kernel: int) -> None:
        """Create the convolution over RGB and the pool.

        Args:
            out_channels: Channels of the output.
            temporal_kernel: Length of the convolution in frames, odd.
        """
        super().__init__(3, out_channels, (temporal_kernel, 7, 7), stride=(1, 2, 2))
        self.pool = nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Compute the first feature map.

        Args:
            x: Normalised RGB ``[B, 3, T, H, W]``.

        Returns:
            Features ``[B, C, T, H / 4, W / 4]``, rounded up.
        """
        features = super().forward(x).relu_()  # [B, C, T, H / 2, W / 2]
        return cast(Tensor, self.pool(features))  # [B, C, T, H / 4, W / 4]


class Bottleneck(nn.Module):
    """Convolutions a (t x 1 x 1), b (1 x 3 x 3, with stride and dilation) and c (1 x 1 x 1), and the shortcut."""

    def __init__(
        self, in_channels: int, inner: int, out_channels: int, *, temporal_kernel: int, stride: int, dilation: int
    ) -> None:
        """Create the convolutions; the shortcut has one where channels or size change.

        Args:
            in_channels: Channels of the input.
            inner: Channels between the convolutions.
            out_channels: Channels of the output.
            temporal_kernel: Length of convolution a in frames, odd.
            stride: Spatial stride of convolution b and of the shortcut.
            dilation: Spatial dilation of convolution b.
        """
        super().__init__()
        strides = (1, stride, stride)
        self.a = ConvBN(in_channels, inner, (temporal_kernel, 1, 1))
        self.b = ConvBN(inner, inner, (1, 3, 3), stride=strides, dilation=dilation)
        self.c = ConvBN(inner, out_channels, (1, 1, 1))
        needs_projection = in_channels != out_channels or stride != 1
        self.shortcut = ConvBN(in_channels, out_channels, (1, 1, 1), stride=strides) if needs_projection else None

    def forward(self, x: Tensor) -> Tensor:
        """Add the residual branch to the shortcut, then apply ReLU.

        Args:
            x: Features ``[B, C_in, T, H, W]``.

        Returns:
            Features ``[B, C_out, T, H / stride, W / stride]``, rounded up.
        """
        shortcut = x if self.shortcut is None else self.shortcut(x)
        reduced = self.a(x).relu_()  # [B, inner, T, H, W]
        convolved = self.b(reduced).relu_()  # [B, inner, T, H / stride, W / stride]
        residual = self.c(convolved)  # [B, C_out, T, H / stride, W / stride]
        return cast(Tensor, residual.add_(shortcut).relu_())


class Stage(nn.Sequential):
    """One pathway's residual stage: modules ``block{i}``, and ``nonlocal{i}`` where a non-local block follows block i.

    Its output has ``EXPANSION * inner`` channels.
    """

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
        non_local: StageNonLocal | None = None,
    ) -> None:
        """Create the blocks; only the first changes the channels and the size.

        Args:
            in_channels: Channels of the input.
            inner: Channels between the convolutions of each block.
            depth: Number of residual blocks.
            temporal_kernel: Length in frames of convolution a in the first ``num_temporal`` blocks.
            num_temporal: Number of blocks, from the first, with that temporal kernel; the others have length 1.
            stride: Spatial stride of the first block.
            dilation: Spatial dilation of every block.
            non_local: The non-local blocks; by default none.
        """
        super().__init__()
        non_local = non_local or StageNonLocal()
        out_channels = EXPANSION * inner
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
            if i in non_local.after:
                attention = NonLocalBlock(
                    out_channels,
                    affinity=non_local.affinity,
                    pool=non_local.pool,
                    groups=non_local.groups,
                    pool_place=non_local.pool_place,
                    out_bias=non_local.out_bias,
                )
                self.add_module(f"nonlocal{i}", attention)
