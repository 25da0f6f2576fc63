"""SlowFast with two-dimensional convolutions: the same numbers as ``models/slowfast.py``, for inference only.

Every convolution of the network but the fast stem's is either spatial (1 x k x k) or temporal (k x 1 x 1). On frames
laid out as ``[B, T, H, W, C]`` the first is a 2D convolution of ``B * T`` maps of H x W, the second one of B maps of
T x (H * W). Both are views of the same memory, so nothing is copied between them. The stems are in ``stem.py``.

Each class here copies the weights of one module of the plain network when it is created, with the batch norms folded
in; ``tests/models/test_execution.py`` compares the two on every config of the package.

Shapes: B clips, C channels, T frames, H height, W width, N = T*H*W positions, P pooled positions, I inner channels.
Maps are ``[B * T, C, H, W]`` in channels-last memory, which is ``[B, T, H, W, C]``. Blocks overwrite their input maps.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import islice
from typing import cast

import torch
from torch import Tensor, nn

from ava_detect.models.blocks import Bottleneck, ConvBN, Stage, Stem
from ava_detect.models.fused import tapwise, winograd
from ava_detect.models.fused.conv import FusedConv, folded, rounded
from ava_detect.models.fused.stem import fused_stem
from ava_detect.models.fused.tapwise import TapwiseConv
from ava_detect.models.fused.winograd import WinogradConv
from ava_detect.models.fused.winograd_2d import WinogradConv2D
from ava_detect.models.laterals import Lateral
from ava_detect.models.nonlocal_block import NonLocalBlock
from ava_detect.models.slowfast import STAGES, SlowFast
from ava_detect.models.torch_threads import run_one_thread_each

# Maps of the spatial stages that are computed together have at most this many positions, unless one has more: 8 MB of
# float32 where there are 256 channels, so that they stay in the cache from one convolution to the next.
_POSITIONS_AT_ONCE = 8192


class FusedSlowFast:
    """A ``SlowFast`` backbone in its fused form: clip -> features per pathway."""

    def __init__(self, backbone: SlowFast, dtype: torch.dtype = torch.float32, num_frames: int = 32) -> None:
        """Fold the weights that ``backbone`` has now.

        Args:
            backbone: The plain network, in evaluation mode.
            dtype: Type of the convolutions and of the features, float32 or bfloat16.
            num_frames: T of the clips that are expected; clips of other lengths take longer than they need to.
        """
        self._backbone = backbone
        self._dtype = dtype
        self._stems = {p: fused_stem(cast(Stem, backbone.stem[p]), dtype) for p in backbone.pathways}
        self._laterals = [
            _Lateral(cast(Lateral, backbone.get_submodule(f"lateral{stage - 1}")), dtype)
            for stage in STAGES
            if "fast" in backbone.pathways
        ]
        branches = [cast(nn.ModuleDict, backbone.get_submodule(f"res{stage}")) for stage in STAGES]
        frames = dict(zip(backbone.pathways, map(len, backbone.frames_of_maps(num_frames)), strict=True))
        modules = [(module, frames[p]) for branch in branches for p in frames for module in cast(Stage, branch[p])]
        blocks = iter(run_one_thread_each(partial(_block, module, dtype, length) for module, length in modules))
        # Per stage, its blocks of each pathway.
        stages = [{p: list(islice(blocks, len(cast(Stage, branch[p])))) for p in frames} for branch in branches]
        self._fast_stages = [stage["fast"] for stage in stages if "fast" in stage]
        slow_stages = [stage["slow"] for stage in stages]
        is_spatial = [all(block.is_spatial for block in stage) for stage in slow_stages]
        num_spatial = is_spatial.index(False) if False in is_spatial else len(slow_stages)
        self._spatial_stages, self._later_stages = slow_stages[:num_spatial], slow_stages[num_spatial:]

    def __call__(self, clip: Tensor) -> list[Tensor]:
        """Compute the features of a clip.

        Args:
            clip: Normalised RGB ``[B, 3, T, H, W]`` at the fast pathway's frame rate.

        Returns:
            Features of each pathway, slow first, as ``SlowFast.forward`` returns them but in ``dtype``.
        """
        return self.consume([clip])

    def consume(self, clip: list[Tensor]) -> list[Tensor]:
        """Compute the features of a clip that is not needed afterwards: its memory is free after the stems.

        Args:
            clip: A list with the clip alone, ``[B, 3, T, H, W]``; it is taken out.

        Returns:
            Features of each pathway, as ``__call__`` returns them.
        """
        pathways = self._backbone.pathways
        inputs = list(self._backbone.split(clip.pop().to(self._dtype)))
        frames = {p: x.shape[2] for p, x in zip(pathways, inputs, strict=True)}
        # Stem: [B, 3, T, H, W] -> maps [B * T, C, H / 4, W / 4].
        maps = {p: self._stems[p](inputs.pop(0)) for p in pathways}
        # The fast pathway reads nothing of the slow one: it is finished first, and what the slow one needs of it kept.
        fast: list[Tensor] = []
        brought: dict[int, Tensor] = {}
        if "fast" in maps:
            features = maps.pop("fast")
            for index, stage in enumerate(self._fast_stages):
                brought[index] = self._laterals[index].bring(features, frames["fast"])
                for block in stage:
                    features = block(features, frames["fast"])
            fast.append(_as_clips(features, frames["fast"]))
        slow = self._slow(maps.pop("slow"), brought, frames["slow"])
        return [_as_clips(slow, frames["slow"]), *fast]

    def _slow(self, stem: Tensor, brought: dict[int, Tensor], num_frames: int) -> Tensor:
        """The slow pathway from the stem's maps ``[B * T, C, H, W]`` and, by stage, those that its lateral brings.

        What is brought is taken out; nothing that has been read stays in memory.
        """
        num_spatial = len(self._spatial_stages)
        # Its first stages compute each frame by itself: a few at a time, whose maps stay in the cache.
        at_once = max(1, _POSITIONS_AT_ONCE // (stem.shape[2] * stem.shape[3]))
        results: list[Tensor] = []
        for start in range(0, len(stem), at_once):
            part = slice(start, start + at_once)
            few = self._merged(0, stem[part], brought, part)
            for index, stage in enumerate(self._spatial_stages, 1):
                for block in stage:
                    few = block(few, 1)
                few = self._merged(index, few, brought, part)
            if not results:
                # One result that is filled: several between the parts' maps would scatter the memory.
                shape = len(stem), *few.shape[1:]
                results.append(torch.empty(shape, dtype=few.dtype, memory_format=torch.channels_last))
            results[0][part] = few
        del stem, few
        for index in range(num_spatial + 1):
            brought.pop(index, None)
        maps = results.pop()
        for index, stage in enumerate(self._later_stages, num_spatial + 1):
            for block in stage:
                maps = block(maps, num_frames)
            maps = self._merged(index, maps, brought, slice(None))
        return maps

    def _merged(self, stage: int, maps: Tensor, brought: Mapping[int, Tensor], part: slice) -> Tensor:
        """Fuse what the lateral brings to a stage, from 0 on, into a part of its maps; not where nothing is brought."""
        return self._laterals[stage].merge(maps, brought[stage][part]) if stage in brought else maps


class _Conv:
    """A ``Conv3d`` that is spatial or temporal, with its batch norm, on maps."""

    def __init__(
        self, conv: nn.Conv3d, norm: nn.Module | None, dtype: torch.dtype, num_frames: int | None = None
    ) -> None:
        weight, scale, bias = folded(conv, norm)
        kernel, stride, padding, dilation = conv.kernel_size, conv.stride, conv.padding, conv.dilation
        assert isinstance(padding, tuple), "the network's convolutions pad by numbers"
        self._is_temporal = kernel[0] > 1
        if self._is_temporal:
            assert kernel[1:] == (1, 1) and stride[1:] == (1, 1), "a convolution is spatial or temporal"
            # Time becomes the first axis of the 2D kernel: [O, I, t, 1].
            weight, stride, padding, dilation = weight[..., 0], (stride[0], 1), (padding[0], 0), (1, 1)
        else:
            # The time axis of length 1 is dropped: [O, I, h, w].
            weight, stride, padding, dilation = weight[:, :, 0], stride[1:], padding[1:], dilation[1:]
        self._conv: FusedConv | WinogradConv | WinogradConv2D | TapwiseConv
        if winograd.pays(weight, stride, dtype):
            if self._is_temporal:
                self._conv = WinogradConv(weight, bias, scale=scale, dilation=dilation[0], length=num_frames)
            else:
                self._conv = WinogradConv2D(weight, bias, scale=scale, dilation=dilation)
        elif tapwise.pays(weight, stride, dtype):
            self._conv = TapwiseConv(weight, bias, scale=scale, dtype=dtype)
        else:
            weight = rounded(weight, scale, dtype)
            self._conv = FusedConv(weight, bias, stride=stride, padding=padding, dilation=dilation)

    @classmethod
    def of(cls, module: ConvBN, dtype: torch.dtype, num_frames: int) -> _Conv:
        """Create the fused form of a convolution with its batch norm, for clips of T = ``num_frames``."""
        return cls(module.conv, module.bn, dtype, num_frames)

    def __call__(self, maps: Tensor, num_frames: int, *, relu: bool) -> Tensor:
        """``[B * T, C, H, W]`` -> ``[B * T', C', H', W']``."""
        if not self._is_temporal:
            return self._conv(maps, relu=relu)
        height, width = maps.shape[2:]
        # View the frames of a clip as the rows of one map: [B * T, C, H, W] -> [B, C, T, H * W].
        rows = maps.permute(0, 2, 3, 1).reshape(-1, num_frames, height * width, maps.shape[1])  # [B, T, H * W, C]
        result = self._conv(rows.permute(0, 3, 1, 2), relu=relu).permute(0, 2, 3, 1)  # [B, T', H * W, C']
        # And back to one map per frame.
        return result.reshape(-1, height, width, result.shape[3]).permute(0, 3, 1, 2)  # [B * T', C', H, W]

    def add_to(self, total: Tensor, maps: Tensor, *, relu: bool) -> Tensor:
        """Add a 1 x 1 x 1 convolution of ``maps`` to ``total``, both ``[B * T, C, H, W]``, in place."""
        assert isinstance(self._conv, FusedConv)
        return self._conv.add_to(total, maps, relu=relu)


class _Lateral:
    """A lateral connection: slow and fast maps -> slow maps."""

    def __init__(self, lateral: Lateral, dtype: torch.dtype) -> None:
        self._alpha, self._kind, self._merge = lateral.alpha, lateral.kind, lateral.merge
        self._has_relu = lateral.bn is not None
        self._conv = None if lateral.conv is None else _Conv(lateral.conv, lateral.bn, dtype)
        self._match = None if lateral.match is None else _Conv(lateral.match, None, dtype)

    def bring(self, fast: Tensor, num_frames: int) -> Tensor:
        """Bring fast maps ``[B * num_frames, Cf, H, W]`` to the slow frames: new maps ``[B * T, Cl, H, W]``."""
        if self._conv is not None:
            return self._conv(fast, num_frames, relu=self._has_relu)
        _, channels, height, width = fast.shape
        # Group the alpha fast frames of each slow one: [B, T, alpha, H, W, Cf].
        clips = fast.permute(0, 2, 3, 1).reshape(-1, num_frames // self._alpha, self._alpha, height, width, channels)
        chosen = clips[:, :, :1] if self._kind == "sample" else clips  # the first of them, or all
        # Move them next to the channels: [B, T, H, W, Cl]. A copy, so that the fast maps can be freed.
        packed = chosen.permute(0, 1, 3, 4, 2, 5).clone(memory_format=torch.contiguous_format).flatten(4)
        return packed.flatten(0, 1).permute(0, 3, 1, 2)

    def merge(self, slow: Tensor, brought: Tensor) -> Tensor:
        """Fuse what ``bring`` returned into slow maps ``[B * T, Cs, H, W]``, which are overwritten."""
        if self._merge == "concat":
            return torch.cat([slow, brought], dim=1)
        return slow.add_(brought) if self._match is None else self._match.add_to(slow, brought, relu=False)


class _Bottleneck:
    """A residual block."""

    def __init__(self, block: Bottleneck, dtype: torch.dtype, num_frames: int) -> None:
        self._a, self._b, self._c = (_Conv.of(part, dtype, num_frames) for part in (block.a, block.b, block.c))
        self._shortcut = None if block.shortcut is None else _Conv.of(block.shortcut, dtype, num_frames)
        # Whether each frame's result depends on that frame alone.
        self.is_spatial = all(part.conv.kernel_size[0] == 1 for part in (block.a, block.b, block.c))

    def __call__(self, maps: Tensor, num_frames: int) -> Tensor:
        """``[B * T, C, H, W]`` -> ``[B * T, C', H / stride, W / stride]``."""
        inner = self._b(self._a(maps, num_frames, relu=True), num_frames, relu=True)
        total = maps if self._shortcut is None else self._shortcut(maps, num_frames, relu=False)
        return self._c.add_to(total, inner, relu=True)


class _NonLocal:
    """A non-local block.

    Without softmax the matrix products are associative, and ``theta (phi' g)`` takes fewer operations.
    """

    is_spatial = False

    def __init__(self, block: NonLocalBlock, dtype: torch.dtype) -> None:
        self._block = block
        self._theta, self._phi, self._g = (_Conv(conv, None, dtype) for conv in (block.theta, block.phi, block.g))
        self._out = _Conv(block.out, block.bn, dtype)

    def __call__(self, maps: Tensor, num_frames: int) -> Tensor:
        """``[B * T, C, H, W]`` -> the same shape."""
        # Each group attends to itself: from here on a group counts as a clip, B of them with T frames each.
        num_frames = self._block.frames_per_group(num_frames)
        theta = _positions(self._theta(maps, num_frames, relu=False), num_frames)  # [B, N, I]
        # Keys and values of the pooled map, or pooled themselves.
        if self._block.pool_place == "before":
            pooled, length = self._pool(maps, num_frames)  # [B * T', C, H', W']
            phi, g = (conv(pooled, 1, relu=False) for conv in (self._phi, self._g))  # [B * T', I, H', W'] each
        else:
            phi, length = self._pool(self._phi(maps, 1, relu=False), num_frames)  # [B * T', I, H', W']
            g, length = self._pool(self._g(maps, 1, relu=False), num_frames)  # the same
        phi, g = _positions(phi, length), _positions(g, length)  # [B, P, I] each
        if self._block.affinity == "softmax":
            weights = (theta @ phi.mT).float() * theta.shape[2] ** -0.5  # [B, N, P]
            attended = weights.softmax(dim=2).to(g.dtype) @ g
        else:
            attended = theta @ (phi.mT @ g / g.shape[1])  # [B, N, I], by way of [B, I, I]
        # Back to maps, projected to C channels and added to the input.
        height, width = maps.shape[2:]
        attended_maps = attended.reshape(-1, height, width, attended.shape[2]).permute(0, 3, 1, 2)  # [B*T, I, H, W]
        return self._out.add_to(maps, attended_maps, relu=False)

    def _pool(self, maps: Tensor, num_frames: int) -> tuple[Tensor, int]:
        """``[B * T, C, H, W]`` -> ``[B * T', C, H', W']`` and T'."""
        pooled = self._block.pool(_as_clips(maps, num_frames))  # [B, C, T', H', W']
        by_frame = pooled.transpose(1, 2).flatten(0, 1)  # [B * T', C, H', W']
        return by_frame.contiguous(memory_format=torch.channels_last), pooled.shape[2]


_Block = _Bottleneck | _NonLocal


def _block(module: nn.Module, dtype: torch.dtype, num_frames: int) -> _Block:
    """The fused form of a block of a stage, for clips of T = ``num_frames``."""
    if isinstance(module, NonLocalBlock):
        return _NonLocal(module, dtype)
    return _Bottleneck(cast(Bottleneck, module), dtype, num_frames)


def _as_clips(maps: Tensor, num_frames: int) -> Tensor:
    """View ``[B * T, C, H, W]`` as ``[B, C, T, H, W]``."""
    return maps.view(-1, num_frames, *maps.shape[1:]).transpose(1, 2)


def _positions(maps: Tensor, num_frames: int) -> Tensor:
    """View ``[B * T, C, H, W]`` as ``[B, T * H * W, C]``."""
    clips = maps.shape[0] // num_frames
    return maps.permute(0, 2, 3, 1).reshape(clips, -1, maps.shape[1])
