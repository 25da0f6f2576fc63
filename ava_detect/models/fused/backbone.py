"""SlowFast with two-dimensional convolutions: the same numbers as ``models/slowfast.py``, for inference only.

Every convolution of the network but the fast stem's is either spatial (1 x k x k) or temporal (k x 1 x 1). On frames
laid out as ``[B, T, H, W, C]`` the first is a 2D convolution of ``B * T`` maps of H x W, the second one of B maps of
T x (H * W). Both are views of the same memory, so nothing is copied between them. A fast stem (t x 7 x 7) is a 2D
convolution too, of frames stacked on the channel axis.

Each class here copies the weights of one module of the plain network when it is created, with the batch norms folded
in; ``tests/models/test_execution.py`` compares the two on every config of the package.

Shapes: B clips, C channels, T frames, H height, W width, t kernel length in frames, g frames computed together, N =
T*H*W positions, P pooled positions, I inner channels. Maps are ``[B * T, C, H, W]`` in channels-last memory, which is
``[B, T, H, W, C]``. Blocks overwrite their input maps.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import islice
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from ava_detect.models.blocks import Bottleneck, ConvBN, Stage, Stem
from ava_detect.models.fused import tapwise, winograd, winograd_2d
from ava_detect.models.fused.conv import FusedConv, folded, is_avx2, rounded
from ava_detect.models.fused.tapwise import TapwiseConv
from ava_detect.models.fused.winograd import WinogradConv
from ava_detect.models.fused.winograd_2d import WinogradConv2D
from ava_detect.models.laterals import Lateral
from ava_detect.models.nonlocal_block import NonLocalBlock
from ava_detect.models.slowfast import STAGES, Pathway, SlowFast
from ava_detect.models.torch_threads import run_one_thread_each

# A fast stem has 4 or 8 output channels, but the kernels compute more at a time: several frames are computed together.
# More than the kernel's own number would only add zeros: a matrix unit has 32, AVX2 two registers of 8.
_STEM_CHANNELS_AT_ONCE = 32
_STEM_CHANNELS_AT_ONCE_AVX2 = 16

# Maps and their number of frames T -> maps.
Block = Callable[[Tensor, int], Tensor]


class FusedSlowFast:
    """A ``SlowFast`` backbone in its fused form: clip -> features per pathway."""

    def __init__(self, backbone: SlowFast, dtype: torch.dtype = torch.float32) -> None:
        """Fold the weights that ``backbone`` has now.

        Args:
            backbone: The plain network, in evaluation mode.
            dtype: Type of the convolutions and of the features, float32 or bfloat16.
        """
        self._backbone = backbone
        self._dtype = dtype
        self._stems = {p: _Stem(cast(Stem, backbone.stem[p]), dtype) for p in backbone.pathways}
        self._laterals = [
            _Lateral(cast(Lateral, backbone.get_submodule(f"lateral{stage - 1}")), dtype)
            for stage in STAGES
            if "fast" in backbone.pathways
        ]
        branches = [cast(nn.ModuleDict, backbone.get_submodule(f"res{stage}")) for stage in STAGES]
        modules = [module for branch in branches for p in backbone.pathways for module in cast(Stage, branch[p])]
        blocks = iter(run_one_thread_each(partial(_block, module, dtype) for module in modules))
        self._stages: list[dict[Pathway, list[Block]]] = [
            {p: list(islice(blocks, len(cast(Stage, branch[p])))) for p in backbone.pathways} for branch in branches
        ]

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
        for index, stage in enumerate(self._stages):
            if "fast" in maps:
                maps["slow"] = self._laterals[index](maps["slow"], maps["fast"], frames["fast"])
            for p in pathways:
                for block in stage[p]:
                    maps[p] = block(maps[p], frames[p])
        return [_as_clips(maps[p], frames[p]) for p in pathways]


class _Conv:
    """A ``Conv3d`` that is spatial or temporal, with its batch norm, on maps."""

    def __init__(self, conv: nn.Conv3d, norm: nn.Module | None, dtype: torch.dtype) -> None:
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
        if winograd_2d.pays(weight, stride, dtype):
            self._conv = WinogradConv2D(weight, bias, scale=scale, dilation=dilation)
        elif winograd.pays(weight, stride, dtype):
            self._conv = WinogradConv(weight, bias, scale=scale, dilation=dilation)
        elif tapwise.pays(weight, stride, dtype):
            self._conv = TapwiseConv(weight, bias, scale=scale, dtype=dtype)
        else:
            weight = rounded(weight, scale, dtype)
            self._conv = FusedConv(weight, bias, stride=stride, padding=padding, dilation=dilation)

    @classmethod
    def of(cls, module: ConvBN, dtype: torch.dtype) -> _Conv:
        """Create the fused form of a convolution with its batch norm."""
        return cls(module.conv, module.bn, dtype)

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


class _Stem:
    """The stem; where its kernel has several frames, it computes several output frames together.

    With a kernel of t frames, g output frames need g + t - 1 input frames. These are stacked as channels. The weight
    holds the kernel once for each output frame, shifted by one input frame each time, and zeros elsewhere.
    """

    def __init__(self, stem: Stem, dtype: torch.dtype) -> None:
        self._weight, self._scale, self._bias = folded(stem.conv, stem.bn)  # weight [C, 3, t, 7, 7]
        _, height, width = stem.conv.kernel_size
        self._kernel = stem.conv.kernel_size[0]
        channels = _STEM_CHANNELS_AT_ONCE_AVX2 if is_avx2() else _STEM_CHANNELS_AT_ONCE
        self._max_at_once = max(1, channels // self._weight.shape[0]) if self._kernel > 1 else 1
        self._stride = stem.conv.stride[1:]
        self._padding = (height // 2, width // 2)
        self._dtype = dtype
        self._convs: dict[int, FusedConv] = {}

    def __call__(self, clip: Tensor) -> Tensor:
        """``[B, 3, T, H, W]`` -> maps ``[B * T, C, H / 4, W / 4]``.

        A few frames at a time, so that the intermediate maps are small and stay in the cache.
        """
        batch, colours, frames, height, width = clip.shape
        # g, the largest divisor of T within the limit.
        at_once = max(n for n in range(1, self._max_at_once + 1) if frames % n == 0)
        # The input of g output frames: [B, H, W, g + t - 1, 3]; the last two axes are a map's channels.
        window = clip.new_zeros((batch, height, width, at_once + self._kernel - 1, colours), dtype=self._dtype)
        parts = []
        for first in range(0, frames, at_once):
            self._fill(window, clip, first - self._kernel // 2)
            stacked = window.flatten(3).permute(0, 3, 1, 2)  # [B, (g + t - 1) * 3, H, W]
            maps = self._conv(at_once)(stacked, relu=True)  # [B, g * C, H / 2, W / 2]
            maps = functional.max_pool2d(maps, 3, stride=2, padding=1).permute(0, 2, 3, 1)  # [B, H / 4, W / 4, g * C]
            # Separate the output frames, which are groups of channels.
            by_frame = maps.reshape(*maps.shape[:3], at_once, -1)  # [B, H / 4, W / 4, g, C]
            parts.append(by_frame.permute(0, 3, 1, 2, 4))  # [B, g, H / 4, W / 4, C]
        joined = torch.cat(parts, dim=1)  # [B, T, H / 4, W / 4, C]
        return joined.flatten(0, 1).permute(0, 3, 1, 2)

    @staticmethod
    def _fill(window: Tensor, clip: Tensor, first: int) -> None:
        """Copy the clip's frames from ``first`` on into the window; frames outside the clip are zeros."""
        length, frames = window.shape[3], clip.shape[2]
        start, end = max(first, 0), min(first + length, frames)
        window[:, :, :, : start - first] = 0
        window[:, :, :, start - first : end - first] = clip[:, :, start:end].permute(0, 3, 4, 2, 1)
        window[:, :, :, end - first :] = 0

    def _conv(self, at_once: int) -> FusedConv:
        """The convolution that computes ``at_once`` = g frames; created at the first call."""
        if at_once not in self._convs:
            channels, colours, kernel = self._weight.shape[:3]
            # [g, C, g + t - 1, 3, 7, 7]: output frame i reads input frames i to i + t - 1.
            weight = self._weight.new_zeros(at_once, channels, at_once + kernel - 1, colours, *self._weight.shape[3:])
            for i in range(at_once):
                weight[i, :, i : i + kernel] = self._weight.transpose(1, 2)
            weight = weight.flatten(2, 3).flatten(0, 1)  # [g * C, (g + t - 1) * 3, 7, 7]
            scale = None if self._scale is None else self._scale.repeat(at_once)
            self._convs[at_once] = FusedConv(
                rounded(weight, scale, self._dtype),
                self._bias.repeat(at_once),
                stride=self._stride,
                padding=self._padding,
                dilation=(1, 1),
            )
        return self._convs[at_once]


class _Lateral:
    """A lateral connection: slow and fast maps -> slow maps."""

    def __init__(self, lateral: Lateral, dtype: torch.dtype) -> None:
        self._alpha, self._kind, self._merge = lateral.alpha, lateral.kind, lateral.merge
        self._has_relu = lateral.bn is not None
        self._conv = None if lateral.conv is None else _Conv(lateral.conv, lateral.bn, dtype)
        self._match = None if lateral.match is None else _Conv(lateral.match, None, dtype)

    def __call__(self, slow: Tensor, fast: Tensor, num_frames: int) -> Tensor:
        """Fuse ``fast`` ``[B * num_frames, Cf, H, W]`` into ``slow`` ``[B * num_frames / alpha, Cs, H, W]``."""
        brought = self._bring(fast, num_frames)  # [B * T, Cl, H, W], T slow frames
        if self._merge == "concat":
            return torch.cat([slow, brought], dim=1)
        return slow.add_(brought) if self._match is None else self._match.add_to(slow, brought, relu=False)

    def _bring(self, fast: Tensor, num_frames: int) -> Tensor:
        if self._conv is not None:
            return self._conv(fast, num_frames, relu=self._has_relu)
        _, channels, height, width = fast.shape
        # Group the alpha fast frames of each slow one: [B, T, alpha, H, W, Cf].
        clips = fast.permute(0, 2, 3, 1).reshape(-1, num_frames // self._alpha, self._alpha, height, width, channels)
        if self._kind == "sample":
            return clips[:, :, 0].flatten(0, 1).permute(0, 3, 1, 2)  # [B * T, Cf, H, W]
        # Time to channel: move the alpha frames next to the channels, [B * T, H, W, alpha * Cf].
        packed = clips.permute(0, 1, 3, 4, 2, 5).reshape(-1, height, width, self._alpha * channels)
        return packed.permute(0, 3, 1, 2)


class _Bottleneck:
    """A residual block."""

    def __init__(self, block: Bottleneck, dtype: torch.dtype) -> None:
        self._a, self._b, self._c = (_Conv.of(part, dtype) for part in (block.a, block.b, block.c))
        self._shortcut = None if block.shortcut is None else _Conv.of(block.shortcut, dtype)

    def __call__(self, maps: Tensor, num_frames: int) -> Tensor:
        """``[B * T, C, H, W]`` -> ``[B * T, C', H / stride, W / stride]``."""
        inner = self._b(self._a(maps, num_frames, relu=True), num_frames, relu=True)
        total = maps if self._shortcut is None else self._shortcut(maps, num_frames, relu=False)
        return self._c.add_to(total, inner, relu=True)


class _NonLocal:
    """A non-local block.

    Without softmax the matrix products are associative, and ``theta (phi' g)`` takes fewer operations.
    """

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


def _block(module: nn.Module, dtype: torch.dtype) -> Block:
    """The fused form of a block of a stage."""
    return (
        _NonLocal(module, dtype) if isinstance(module, NonLocalBlock) else _Bottleneck(cast(Bottleneck, module), dtype)
    )


def _as_clips(maps: Tensor, num_frames: int) -> Tensor:
    """View ``[B * T, C, H, W]`` as ``[B, C, T, H, W]``."""
    return maps.view(-1, num_frames, *maps.shape[1:]).transpose(1, 2)


def _positions(maps: Tensor, num_frames: int) -> Tensor:
    """View ``[B * T, C, H, W]`` as ``[B, T * H * W, C]``."""
    clips = maps.shape[0] // num_frames
    return maps.permute(0, 2, 3, 1).reshape(clips, -1, maps.shape[1])
