"""The SlowFast backbone (Feichtenhofer et al., arXiv 1812.03982): one constructor of plain data for the whole family.

Two ResNets read one clip: the slow pathway few frames with many channels, the fast pathway all frames with
1/``beta_inv`` of the channels. After the stem and after res2, res3 and res4 a lateral connection hands the fast
features to the slow pathway. Where each choice comes from, and which variants differ in it (``configs/`` has them):

- The defaults are PySlowFast's AVA ``SLOWFAST_32x2_R50_SHORT`` (commit 287ec007). Where the paper and that code differ
  the code decides: stride in the 3x3 convolution, BN eps 1e-5, slow frames by truncated linspace.
- ``depths`` 3, 4, 6, 3 are R50's and 3, 4, 23, 3 R101's (He et al.). ``num_temporal`` 3, 4, 6, 3 is what PySlowFast
  and pytorchvideo call "R101_50_50": a temporal kernel in the first six blocks of res4 only.
- ``alpha``: 4 for 8x8 and 16x8, 8 for 4x16 (paper, section 4). ``fusion_kernel``: 5 in the paper and in PySlowFast's
  4x16 and R101 models, 7 in its 8x8 R50 ones (``SLOWFAST.FUSION_KERNEL_SZ``).
- ``strides`` and ``dilations``: for detection res5 keeps stride 1 and is dilated (paper, section 5); classification
  strides it; mmaction2's detection keeps stride 1 without the dilation.
- ``lateral_kind``, ``lateral_merge``: the paper's table 5b; ``lateral_norm=False`` and ``slow_frames="stride"`` are
  mmaction2's (``resnet3d_slowfast.py``, commit 4d6c9347).
- Non-local blocks: arXiv 1711.07971; PySlowFast's R101 AVA models have them in the slow res4 after 6, 13 and 20.
- ``pathways=("slow",)`` is the paper's Slow-only network (tables 5a and 7).

The network takes the clip at the fast rate and picks the slow pathway's frames itself, so that every backbone
has one signature: ``backbone(clip) -> [features per pathway]``.

Shapes: B clips, C channels, T frames, H height, W width. After res5 (detection) H and W are 1/16 of the input.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Literal, TypeVar, cast

from torch import Tensor, nn

from ava_detect.models.blocks import Bottleneck, Stage, Stem
from ava_detect.models.laterals import Lateral, LateralKind, LateralMerge
from ava_detect.models.nonlocal_block import Affinity, NonLocalBlock

Pathway = Literal["slow", "fast"]
SlowFrames = Literal["linspace", "stride"]
# A value per stage that holds for both pathways, or such values by pathway.
PerStage = Sequence[int] | Mapping[Pathway, Sequence[int]]
T = TypeVar("T")
ByPlace = Mapping[Pathway, Mapping[int, T]]

STAGES = (2, 3, 4, 5)
_STEM_STRIDE = 4
# Temporal kernel of the stem and of conv a in res2..res5 (PySlowFast video_model_builder.py, _TEMPORAL_KERNEL_BASIS).
TEMPORAL_KERNELS: Mapping[Pathway, tuple[int, ...]] = {"slow": (1, 1, 1, 3, 3), "fast": (5, 3, 3, 3, 3)}


def slow_frame_indices(num_frames: int, alpha: int, rule: SlowFrames = "linspace") -> list[int]:
    """Which frames of the clip the slow pathway reads.

    ``"linspace"``: ``linspace(0, T - 1, T // alpha)`` truncated (PySlowFast ``pack_pathway_output``); T=32, alpha=4
    gives 0, 4, 8, 13, 17, 22, 26, 31. ``"stride"``: every alpha-th (mmaction2, nearest interpolation): 0, 4, 8, 12, ...
    """
    count = num_frames // alpha
    if rule == "stride":
        return [i * alpha for i in range(count)]
    return [0] if count == 1 else [i * (num_frames - 1) // (count - 1) for i in range(count)]


class SlowFast(nn.Module):
    """The backbone; its parts are ``stem``, ``lateral1``..``lateral4`` and ``res2``..``res5``.

    ``depths``: blocks of res2..res5. ``num_temporal``: how many first blocks of each stage keep their temporal kernel
    (default: all). ``temporal_kernels``: of the stem and of res2..res5. ``width``: channels of the slow stem.
    ``alpha``: frames of the fast pathway per frame of the slow one (1 for Slow-only). ``beta_inv``: slow per fast
    channels. ``slow_frames``: see ``slow_frame_indices``. ``fusion_ratio``, ``fusion_kernel``: the lateral
    convolutions' channel factor and length in time; ``lateral_*``: see ``Lateral``. ``strides``, ``dilations``:
    spatial, of res2..res5. ``nonlocal_blocks``: pathway -> stage -> the blocks after which a non-local block stands;
    ``nonlocal_pool`` and ``nonlocal_groups``: its pool and groups, pathway -> stage -> value, (1, 2, 2) and 1 where
    nothing is said. ``num_temporal``, ``temporal_kernels``, ``strides`` and ``dilations`` may differ by pathway.
    """

    def __init__(
        self,
        *,
        pathways: Sequence[Pathway] = ("slow", "fast"),
        depths: Sequence[int] = (3, 4, 6, 3),
        num_temporal: PerStage | None = None,
        temporal_kernels: PerStage = TEMPORAL_KERNELS,
        width: int = 64,
        alpha: int = 4,
        beta_inv: int = 8,
        slow_frames: SlowFrames = "linspace",
        fusion_ratio: int = 2,
        fusion_kernel: int = 7,
        lateral_kind: LateralKind = "conv",
        lateral_merge: LateralMerge = "concat",
        lateral_norm: bool = True,
        strides: PerStage = (1, 2, 2, 1),
        dilations: PerStage = (1, 1, 1, 2),
        nonlocal_blocks: ByPlace[Sequence[int]] | None = None,
        nonlocal_affinity: Affinity = "dot_product",
        nonlocal_pool: ByPlace[Sequence[int]] | None = None,
        nonlocal_groups: ByPlace[int] | None = None,
    ) -> None:
        super().__init__()
        self.pathways = tuple(pathways)
        self.alpha = alpha
        self.slow_frames: SlowFrames = slow_frames
        widths: dict[Pathway, int] = {"slow": width, "fast": width // beta_inv}
        kernels = {p: _of(temporal_kernels, p) for p in self.pathways}
        self.stem = nn.ModuleDict({p: Stem(widths[p], kernels[p][0]) for p in self.pathways})
        out_channels = {p: widths[p] for p in self.pathways}
        for s, stage in enumerate(STAGES):
            in_channels = dict(out_channels)
            if "fast" in self.pathways:
                lateral = Lateral(
                    out_channels["slow"],
                    out_channels["fast"],
                    alpha=alpha,
                    kind=lateral_kind,
                    merge=lateral_merge,
                    ratio=fusion_ratio,
                    kernel=fusion_kernel,
                    norm=lateral_norm,
                )
                self.add_module(f"lateral{stage - 1}", lateral)
                in_channels["slow"] = lateral.out_channels
            branches: dict[str, nn.Module] = {
                p: Stage(
                    in_channels[p],
                    widths[p] * 2**s,
                    depth=depths[s],
                    temporal_kernel=kernels[p][s + 1],
                    num_temporal=depths[s] if num_temporal is None else _of(num_temporal, p)[s],
                    stride=_of(strides, p)[s],
                    dilation=_of(dilations, p)[s],
                    nonlocal_after=_at(nonlocal_blocks, p, stage, ()),
                    nonlocal_affinity=nonlocal_affinity,
                    nonlocal_pool=_at(nonlocal_pool, p, stage, (1, 2, 2)),
                    nonlocal_groups=_at(nonlocal_groups, p, stage, 1),
                )
                for p in self.pathways
            }
            self.add_module(f"res{stage}", nn.ModuleDict(branches))
            out_channels = {p: widths[p] * 2**s * 4 for p in self.pathways}
        self.out_channels = [out_channels[p] for p in self.pathways]
        self.feature_stride = _STEM_STRIDE * prod(_of(strides, "slow"))
        self._initialise()

    def split(self, clip: Tensor) -> list[Tensor]:
        """The input of each pathway, ``[B, 3, T / alpha, H, W]`` for the slow one; ``ValueError`` on a wrong T."""
        num_frames = clip.shape[2]
        if num_frames % self.alpha:
            raise ValueError(f"a clip of {num_frames} frames does not divide by alpha={self.alpha}; use a multiple")
        frames = slow_frame_indices(num_frames, self.alpha, self.slow_frames)
        slow = clip[:, :, frames] if self.alpha > 1 else clip
        return [slow, clip][: len(self.pathways)]

    def forward(self, clip: Tensor) -> list[Tensor]:
        """``clip``: normalised RGB ``[B, 3, T, H, W]`` at the fast rate -> features per pathway, slow first."""
        return self.forward_pathways(self.split(clip))

    def forward_pathways(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """The same from inputs that were split already: ``[slow, fast]``, or ``[slow]`` for Slow-only."""
        x = {p: self.stem[p](input_) for p, input_ in zip(self.pathways, inputs, strict=True)}
        for stage in STAGES:
            if "fast" in x:
                x["slow"] = self.get_submodule(f"lateral{stage - 1}")(x["slow"], x["fast"])
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


def _of(values: PerStage, pathway: Pathway) -> Sequence[int]:
    return values[pathway] if isinstance(values, Mapping) else values


def _at(values: ByPlace[T] | None, pathway: Pathway, stage: int, default: T) -> T:
    return (values or {}).get(pathway, {}).get(stage, default)
