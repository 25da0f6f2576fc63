"""The SlowFast backbone (Feichtenhofer et al., arXiv 1812.03982), as PySlowFast's checkpoints define it.

Two ResNets read one clip: the slow pathway few frames with many channels, the fast pathway all frames with
1/``beta_inv`` of the channels. After the stem and after res2, res3 and res4 a lateral connection hands the fast
features to the slow pathway. Where the paper and PySlowFast (commit 287ec007) differ, the code decides:
stride in the 3x3 convolution, BN eps 1e-5, last BN of a block starting at 0, slow frames by truncated linspace.

The network takes the clip at the fast rate and picks the slow pathway's frames itself, so that every backbone
has one signature: ``backbone(clip) -> [features per pathway]``.

Shapes: B clips, C channels, T frames, H height, W width. After res5 (detection) H and W are 1/16 of the input.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, cast

import torch
from torch import Tensor, nn

from ava_detect.models.nonlocal_block import Affinity, NonLocalBlock

Pathway = Literal["slow", "fast"]
STAGES = (2, 3, 4, 5)
# Temporal kernel of conv a in the stem and in res2..res5 (PySlowFast video_model_builder.py, _TEMPORAL_KERNEL_BASIS).
TEMPORAL_KERNELS: Mapping[Pathway, tuple[int, ...]] = {"slow": (1, 1, 1, 3, 3), "fast": (5, 3, 3, 3, 3)}


def slow_frame_indices(num_frames: int, alpha: int) -> list[int]:
    """The slow pathway's frames: ``linspace(0, T - 1, T // alpha)`` truncated (PySlowFast ``pack_pathway_output``).

    T=32, alpha=4 gives 0, 4, 8, 13, 17, 22, 26, 31: not a plain stride.
    """
    count = num_frames // alpha
    return [0] if count == 1 else [i * (num_frames - 1) // (count - 1) for i in range(count)]


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


class Lateral(ConvBN):
    """Fast to slow: a time-strided convolution of the fast features, put after the slow channels (paper, 3.4)."""

    def __init__(self, fast_channels: int, *, ratio: int, kernel: int, alpha: int) -> None:
        super().__init__(fast_channels, fast_channels * ratio, (kernel, 1, 1), stride=(alpha, 1, 1))

    def fuse(self, slow: Tensor, fast: Tensor) -> Tensor:
        """``[B, Cs, T / alpha, H, W]`` and ``[B, Cf, T, H, W]`` -> ``[B, Cs + ratio * Cf, T / alpha, H, W]``."""
        return torch.cat([slow, self(fast).relu_()], dim=1)


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
        nonlocal_after: Sequence[int],
        affinity: Affinity,
        nonlocal_pool: Sequence[int],
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
                self.add_module(f"nonlocal{i}", NonLocalBlock(out_channels, affinity=affinity, pool=nonlocal_pool))


class SlowFast(nn.Module):
    """The backbone; with ``pathways=("slow",)`` it is the paper's Slow-only network.

    ``depths``: blocks of res2..res5 (R50: 3, 4, 6, 3; R101: 3, 4, 23, 3). ``num_temporal``: how many first blocks of
    each stage keep their temporal kernel (default: all; "R101_50_50" has 3, 4, 6, 3). ``width``: channels of the slow
    stem. ``alpha``: frames of the fast pathway per frame of the slow one (1 for Slow-only). ``beta_inv``: slow per
    fast channels. ``fusion_ratio``, ``fusion_kernel``: the lateral convolutions' channel factor and length in time.
    ``strides``, ``dilations``: spatial, of res2..res5; detection keeps res5 at stride 1 and dilates it (feature
    stride 16). ``nonlocal_blocks``: pathway -> stage -> the blocks after which a non-local block stands.
    """

    def __init__(
        self,
        *,
        pathways: Sequence[Pathway] = ("slow", "fast"),
        depths: Sequence[int] = (3, 4, 6, 3),
        num_temporal: Sequence[int] | None = None,
        width: int = 64,
        alpha: int = 4,
        beta_inv: int = 8,
        fusion_ratio: int = 2,
        fusion_kernel: int = 7,
        strides: Sequence[int] = (1, 2, 2, 1),
        dilations: Sequence[int] = (1, 1, 1, 2),
        nonlocal_blocks: Mapping[Pathway, Mapping[int, Sequence[int]]] | None = None,
        nonlocal_affinity: Affinity = "dot_product",
        nonlocal_pool: Sequence[int] = (1, 2, 2),
    ) -> None:
        super().__init__()
        self.pathways = tuple(pathways)
        self.alpha = alpha
        widths: dict[Pathway, int] = {"slow": width, "fast": width // beta_inv}
        fused = "fast" in self.pathways
        self.stem = nn.ModuleDict({p: Stem(widths[p], TEMPORAL_KERNELS[p][0]) for p in self.pathways})
        out_channels = {p: widths[p] for p in self.pathways}
        for s, stage in enumerate(STAGES):
            in_channels = dict(out_channels)
            if fused:
                lateral = Lateral(out_channels["fast"], ratio=fusion_ratio, kernel=fusion_kernel, alpha=alpha)
                self.add_module(f"lateral{stage - 1}", lateral)
                in_channels["slow"] += out_channels["fast"] * fusion_ratio
            branches: dict[str, nn.Module] = {
                p: Stage(
                    in_channels[p],
                    widths[p] * 2**s,
                    depth=depths[s],
                    temporal_kernel=TEMPORAL_KERNELS[p][s + 1],
                    num_temporal=depths[s] if num_temporal is None else num_temporal[s],
                    stride=strides[s],
                    dilation=dilations[s],
                    nonlocal_after=(nonlocal_blocks or {}).get(p, {}).get(stage, ()),
                    affinity=nonlocal_affinity,
                    nonlocal_pool=nonlocal_pool,
                )
                for p in self.pathways
            }
            self.add_module(f"res{stage}", nn.ModuleDict(branches))
            out_channels = {p: widths[p] * 2**s * 4 for p in self.pathways}
        self.out_channels = [out_channels[p] for p in self.pathways]
        self._initialise()

    def split(self, clip: Tensor) -> list[Tensor]:
        """The input of each pathway, ``[B, 3, T / alpha, H, W]`` for the slow one; ``ValueError`` on a wrong T."""
        num_frames = clip.shape[2]
        if num_frames % self.alpha:
            raise ValueError(f"a clip of {num_frames} frames does not divide by alpha={self.alpha}; use a multiple")
        slow = clip[:, :, slow_frame_indices(num_frames, self.alpha)] if self.alpha > 1 else clip
        return [slow, clip][: len(self.pathways)]

    def forward(self, clip: Tensor) -> list[Tensor]:
        """``clip``: normalised RGB ``[B, 3, T, H, W]`` at the fast rate -> features per pathway, slow first."""
        return self.forward_pathways(self.split(clip))

    def forward_pathways(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """The same from inputs that were split already: ``[slow, fast]``, or ``[slow]`` for Slow-only."""
        x = {p: self.stem[p](input_) for p, input_ in zip(self.pathways, inputs, strict=True)}
        for stage in STAGES:
            if "fast" in x:
                lateral = cast(Lateral, self.get_submodule(f"lateral{stage - 1}"))
                x["slow"] = lateral.fuse(x["slow"], x["fast"])
            branches = cast(nn.ModuleDict, self.get_submodule(f"res{stage}"))
            x = {p: branches[p](features) for p, features in x.items()}
        return [x[p] for p in self.pathways]

    def _initialise(self) -> None:
        """PySlowFast ``weight_init_helper.py``: He initialisation by fan-out, residual branches starting at 0."""
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for module in self.modules():
            if isinstance(module, Bottleneck):
                nn.init.zeros_(module.c.bn.weight)
            elif isinstance(module, NonLocalBlock):
                nn.init.zeros_(module.bn.weight)
