"""The SlowFast backbone (Feichtenhofer et al., arXiv 1812.03982): one constructor of plain data for the whole family.

Two ResNets read one clip: the slow pathway few frames with many channels, the fast pathway all frames with
1/``beta_inv`` of the channels. After the stem and after res2, res3 and res4 a lateral connection passes the fast
features to the slow pathway. The source of each choice, and the variants that differ in it (see ``configs/``):

- The defaults are PySlowFast's AVA ``SLOWFAST_32x2_R50_SHORT`` (commit 287ec007). Where the paper and that code differ
  the code decides: stride in the 3x3 convolution, BN eps 1e-5, slow frames by truncated linspace.
- ``depths`` 3, 4, 6, 3 are R50's and 3, 4, 23, 3 R101's (He et al.). ``num_temporal`` 3, 4, 6, 3 is what PySlowFast
  and pytorchvideo call "R101_50_50": a temporal kernel in the first six blocks of res4 only.
- ``alpha``: 4 for 8x8 and 16x8, 8 for 4x16 (paper, section 4). ``fusion_kernel``: 5 in the paper and in PySlowFast's
  4x16 and R101 models, 7 in its 8x8 R50 ones (``SLOWFAST.FUSION_KERNEL_SZ``).
- ``strides`` and ``dilations``: for detection res5 keeps stride 1 and is dilated (paper, section 5); classification
  strides it; mmaction2's detection keeps stride 1 without the dilation.
- ``LateralSettings``: ``kind`` and ``merge`` are the paper's table 5b; ``norm=False`` and ``slow_frames="stride"`` are
  mmaction2's (``resnet3d_slowfast.py``, commit 4d6c9347).
- Non-local blocks: arXiv 1711.07971; PySlowFast's R101 AVA models have them in the slow res4 after 6, 13 and 20,
  mmaction2's SlowOnly ones, in a form of their own, in res3 after 0 and 2 and in res4 after 0, 2 and 4.
- ``pathways=("slow",)`` is the paper's Slow-only network (tables 5a and 7), and mmaction2's ``ResNet3dSlowOnly``.

The network takes the clip at the fast rate and picks the slow pathway's frames itself, so that every backbone
has one signature: ``backbone(clip) -> [features per pathway]``.

Shapes: B clips, C channels, T frames, H height, W width. After res5 (detection) H and W are 1/16 of the input.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Literal, TypeVar, cast

from torch import Tensor, nn

from ava_detect.models.backbone import Backbone
from ava_detect.models.blocks import EXPANSION, Bottleneck, Stage, Stem
from ava_detect.models.laterals import Lateral, LateralSettings
from ava_detect.models.nonlocal_block import Affinity, NonLocalBlock, PoolPlace, StageNonLocal

Pathway = Literal["slow", "fast"]
SlowFrames = Literal["linspace", "stride"]
T = TypeVar("T")
# One value per stage for both pathways, or such values by pathway.
PerStage = Sequence[int] | Mapping[Pathway, Sequence[int]]
# Pathway -> stage (2 to 5) -> value, for the stages that have one.
ByStage = Mapping[Pathway, Mapping[int, T]]

STAGES = (2, 3, 4, 5)
_STEM_STRIDE = 4
# Temporal kernel of the stem and of conv a in res2..res5 (PySlowFast video_model_builder.py, _TEMPORAL_KERNEL_BASIS).
TEMPORAL_KERNELS: Mapping[Pathway, tuple[int, ...]] = {"slow": (1, 1, 1, 3, 3), "fast": (5, 3, 3, 3, 3)}


@dataclass(frozen=True)
class NonLocalSettings:
    """The non-local blocks of a network, by pathway and stage.

    Attributes:
        blocks: Pathway -> stage -> numbers of the residual blocks (from 0) that a non-local block follows.
        affinity: Normalisation of the attention weights in all of them; see ``NonLocalBlock``.
        pool: Pathway -> stage -> kernel (t, h, w) of their max pool, (1, 2, 2) where none is given.
        groups: Pathway -> stage -> number of groups in time, 1 where none is given.
        pool_place: Whether they pool before or after the convolutions of keys and values; see ``NonLocalBlock``.
        out_bias: Whether their last convolution has a bias.
    """

    blocks: ByStage[Sequence[int]] = field(default_factory=dict)
    affinity: Affinity = "dot_product"
    pool: ByStage[Sequence[int]] = field(default_factory=dict)
    groups: ByStage[int] = field(default_factory=dict)
    pool_place: PoolPlace = "before"
    out_bias: bool = True

    def of_stage(self, pathway: Pathway, stage: int) -> StageNonLocal:
        """Return the settings of one stage of one pathway.

        Args:
            pathway: ``"slow"`` or ``"fast"``.
            stage: 2 to 5.

        Returns:
            The stage's settings; ``after`` is empty where the stage has no non-local block.
        """
        return StageNonLocal(
            after=_at(self.blocks, pathway, stage, ()),
            affinity=self.affinity,
            pool=_at(self.pool, pathway, stage, (1, 2, 2)),
            groups=_at(self.groups, pathway, stage, 1),
            pool_place=self.pool_place,
            out_bias=self.out_bias,
        )


def slow_frame_indices(num_frames: int, alpha: int, rule: SlowFrames = "linspace") -> list[int]:
    """Choose the frames of the clip that the slow pathway reads.

    Args:
        num_frames: T, frames of the clip.
        alpha: Fast frames per slow frame.
        rule: ``"linspace"`` is ``linspace(0, T - 1, T // alpha)`` truncated (PySlowFast ``pack_pathway_output``); T=32,
            alpha=4 gives 0, 4, 8, 13, 17, 22, 26, 31. ``"stride"`` takes every alpha-th frame (mmaction2, nearest
            interpolation): 0, 4, 8, 12, ...

    Returns:
        ``T // alpha`` rising frame indices.
    """
    count = num_frames // alpha
    if rule == "stride":
        return [i * alpha for i in range(count)]
    return [0] if count == 1 else [i * (num_frames - 1) // (count - 1) for i in range(count)]


class SlowFast(Backbone):
    """The backbone; its modules are ``stem``, ``lateral1``..``lateral4`` and ``res2``..``res5``.

    ``out_channels``, ``feature_stride``, ``map_names`` and ``num_layers`` are those of a ``Backbone`` with one map per
    pathway.
    """

    num_layers = 1 + len(STAGES)

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
        strides: PerStage = (1, 2, 2, 1),
        dilations: PerStage = (1, 1, 1, 2),
        lateral: LateralSettings | None = None,
        non_local: NonLocalSettings | None = None,
    ) -> None:
        """Create and initialise the network.

        ``num_temporal``, ``temporal_kernels``, ``strides`` and ``dilations`` may differ by pathway.

        Args:
            pathways: ``("slow", "fast")``, or ``("slow",)`` for Slow-only.
            depths: Number of blocks in each of res2..res5.
            num_temporal: Number of blocks, from the first, with a temporal kernel in each of res2..res5; by default
                all.
            temporal_kernels: Temporal kernel lengths of the stem and of res2..res5.
            width: Channels of the slow stem.
            alpha: Fast frames per slow frame; 1 for Slow-only.
            beta_inv: Slow channels per fast channel.
            slow_frames: Rule for the slow pathway's frames; see ``slow_frame_indices``.
            strides: Spatial strides of res2..res5.
            dilations: Spatial dilations of res2..res5.
            lateral: Form of the lateral connections; by default ``LateralSettings()``.
            non_local: The non-local blocks; by default none.
        """
        super().__init__()
        lateral, non_local = lateral or LateralSettings(), non_local or NonLocalSettings()
        self.pathways = tuple(pathways)
        self.map_names = self.pathways
        self.alpha = alpha
        self.slow_frames: SlowFrames = slow_frames
        widths: dict[Pathway, int] = {"slow": width, "fast": width // beta_inv}
        kernels = {p: _for_pathway(temporal_kernels, p) for p in self.pathways}  # stem, res2, ..., res5
        self.stem = nn.ModuleDict({p: Stem(widths[p], kernels[p][0]) for p in self.pathways})
        # Channels of each pathway after the last part created so far.
        channels = {p: widths[p] for p in self.pathways}
        for index, stage in enumerate(STAGES):
            in_channels = dict(channels)
            if "fast" in self.pathways:
                # The slow stage also reads the channels that the lateral connection brings.
                connection = Lateral(channels["slow"], channels["fast"], alpha=alpha, settings=lateral)
                self.add_module(f"lateral{stage - 1}", connection)
                in_channels["slow"] = connection.out_channels
            # Each stage doubles the inner channels; its output has EXPANSION times as many.
            inner = {p: widths[p] * 2**index for p in self.pathways}
            branches: dict[str, nn.Module] = {
                p: Stage(
                    in_channels[p],
                    inner[p],
                    depth=depths[index],
                    temporal_kernel=kernels[p][index + 1],
                    num_temporal=depths[index] if num_temporal is None else _for_pathway(num_temporal, p)[index],
                    stride=_for_pathway(strides, p)[index],
                    dilation=_for_pathway(dilations, p)[index],
                    non_local=non_local.of_stage(p, stage),
                )
                for p in self.pathways
            }
            self.add_module(f"res{stage}", nn.ModuleDict(branches))
            channels = {p: EXPANSION * inner[p] for p in self.pathways}
        self.out_channels = [channels[p] for p in self.pathways]
        self.feature_stride = _STEM_STRIDE * prod(_for_pathway(strides, "slow"))
        self._initialise()

    def split(self, clip: Tensor) -> list[Tensor]:
        """Choose the frames that each pathway reads.

        Args:
            clip: ``[B, 3, T, H, W]`` at the fast pathway's frame rate.

        Returns:
            Input of each pathway, slow first: ``[B, 3, T / alpha, H, W]`` and ``[B, 3, T, H, W]``.

        Raises:
            ValueError: T does not divide by alpha.
        """
        num_frames = clip.shape[2]
        if num_frames % self.alpha:
            raise ValueError(f"a clip of {num_frames} frames does not divide by alpha={self.alpha}; use a multiple")
        frames = self.frames_of_maps(num_frames)[0]
        slow = clip[:, :, frames] if self.alpha > 1 else clip  # [B, 3, T / alpha, H, W]
        return [slow, clip][: len(self.pathways)]

    def frames_of_maps(self, num_frames: int) -> list[tuple[int, ...]]:
        """Return the frames of the clip that each pathway reads; see ``Backbone``.

        Args:
            num_frames: T, frames of the clip.

        Returns:
            ``T / alpha`` frame indices of the slow pathway, then all T of the fast one.
        """
        every_frame = tuple(range(num_frames))
        slow = tuple(slow_frame_indices(num_frames, self.alpha, self.slow_frames)) if self.alpha > 1 else every_frame
        return [slow, every_frame][: len(self.pathways)]

    def forward(self, clip: Tensor) -> list[Tensor]:
        """Compute the features of a clip.

        Args:
            clip: Normalised RGB ``[B, 3, T, H, W]`` at the fast pathway's frame rate.

        Returns:
            Features of each pathway, slow first: ``[B, C, T / alpha, H / stride, W / stride]`` and
            ``[B, C / beta_inv, T, H / stride, W / stride]``, ``stride`` being ``feature_stride``.
        """
        return self.forward_pathways(self.split(clip))

    def forward_pathways(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """Compute the features from inputs that are already split by pathway.

        Args:
            inputs: As ``split`` returns them: ``[slow, fast]``, or ``[slow]`` for Slow-only.

        Returns:
            Features of each pathway, as ``forward`` returns them.
        """
        x = {p: self.stem[p](input_) for p, input_ in zip(self.pathways, inputs, strict=True)}  # H / 4, W / 4
        for stage in STAGES:
            if "fast" in x:
                # Fuse the fast features into the slow ones; the fast pathway itself is left as it is.
                x["slow"] = self.get_submodule(f"lateral{stage - 1}")(x["slow"], x["fast"])
            branches = cast(nn.ModuleDict, self.get_submodule(f"res{stage}"))
            x = {p: branches[p](features) for p, features in x.items()}
        return [x[p] for p in self.pathways]

    def layer_of(self, name: str) -> int:
        """Return the layer of a parameter: 0 is the stem, then come res2..res5, each with the lateral before it.

        Args:
            name: Name of the parameter in this module.

        Returns:
            The layer, from 0 to ``num_layers - 1``.
        """
        part = name.split(".")[0]
        number = int(part[-1]) if part != "stem" else 0
        return number - 1 if part.startswith("res") else number

    def _initialise(self) -> None:
        """He initialisation by fan-out; residual branches start at 0 (PySlowFast ``weight_init_helper.py``)."""
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


def _for_pathway(values: PerStage, pathway: Pathway) -> Sequence[int]:
    return values[pathway] if isinstance(values, Mapping) else values


def _at(values: ByStage[T], pathway: Pathway, stage: int, default: T) -> T:
    return values.get(pathway, {}).get(stage, default)
