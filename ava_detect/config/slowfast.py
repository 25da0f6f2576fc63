"""The config of a SlowFast backbone, and what its size follows from."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from ava_detect.config.backbone import BackboneConfig
from ava_detect.config.section import AS_LIST, MAX_BLOCKS, MAX_WIDTH
from ava_detect.structures.clip import MAX_CLIP_FRAMES, MAX_SIDE_PIXELS

# Marks of the two forms of a setting that may differ by pathway, in the places of pydantic's errors.
FOR_ALL, BY_PATHWAY = "(for all pathways)", "(by pathway)"
STEM_STRIDE = 4  # input pixels per cell after the stem
_MAX_KERNEL = 99
_EXPANSION = 4  # output channels of a residual block per inner channel
_NUM_STAGES = 4

T = TypeVar("T")
Pathway = Literal["slow", "fast"]


def _stage_number(key: Any) -> Any:
    """A stage number; JSON and overrides give the keys of mappings as text."""
    return int(key) if isinstance(key, str) and key in map(str, range(100)) else key


_ByForm = Discriminator(lambda value: BY_PATHWAY if isinstance(value, dict) else FOR_ALL)
PerPathway = Annotated[Annotated[T, Tag(FOR_ALL)] | Annotated[dict[Pathway, T], Tag(BY_PATHWAY)], _ByForm]
_Stage = Annotated[int, BeforeValidator(_stage_number)]
ByStage = dict[Pathway, dict[_Stage, T]]

_Depth = Annotated[int, Field(ge=1, le=MAX_BLOCKS)]
_NumTemporal = Annotated[int, Field(ge=0, le=MAX_BLOCKS)]
_Kernel = Annotated[int, Field(ge=1, le=_MAX_KERNEL)]
_Stride = Annotated[int, Field(ge=1, le=8)]
_Dilation = Annotated[int, Field(ge=1, le=64)]
_Block = Annotated[int, Field(ge=0, le=MAX_BLOCKS)]
_Window = Annotated[int, Field(ge=1, le=MAX_SIDE_PIXELS)]
_Group = Annotated[int, Field(ge=1, le=MAX_CLIP_FRAMES)]
Depths = Annotated[tuple[_Depth, _Depth, _Depth, _Depth], AS_LIST]
NumTemporal = Annotated[tuple[_NumTemporal, _NumTemporal, _NumTemporal, _NumTemporal], AS_LIST]
Kernels = Annotated[tuple[_Kernel, _Kernel, _Kernel, _Kernel, _Kernel], AS_LIST]
Strides = Annotated[tuple[_Stride, _Stride, _Stride, _Stride], AS_LIST]
Dilations = Annotated[tuple[_Dilation, _Dilation, _Dilation, _Dilation], AS_LIST]
Blocks = Annotated[tuple[_Block, ...], AS_LIST]
Window = Annotated[tuple[_Window, _Window, _Window], AS_LIST]


_TEMPORAL_KERNELS: dict[Pathway, tuple[int, int, int, int, int]] = {"slow": (1, 1, 1, 3, 3), "fast": (5, 3, 3, 3, 3)}


class SlowFastConfig(BackboneConfig):
    """A SlowFast or Slow-only backbone; ``ava_detect.models.slowfast.SlowFast`` explains the values in detail.

    Attributes:
        kind: Tells this backbone from the others.
        pathways: ``[slow, fast]``, or ``[slow]`` for Slow-only.
        depths: Number of blocks in each of res2..res5.
        num_temporal: Number of blocks, from the first, with a temporal kernel in each of res2..res5; all by default.
        temporal_kernels: Temporal kernel lengths of the stem and of res2..res5.
        width: Channels of the slow stem.
        alpha: Fast frames per slow frame.
        beta_inv: Slow channels per fast channel.
        slow_frames: Rule for the slow pathway's frames.
        fusion_ratio: Output channels of a lateral convolution per fast channel.
        fusion_kernel: Length of a lateral convolution in frames.
        lateral_kind: How the fast features reach the slow frame rate.
        lateral_merge: How they are fused with the slow features.
        lateral_norm: Whether batch norm and ReLU follow a lateral convolution.
        strides: Spatial strides of res2..res5.
        dilations: Spatial dilations of res2..res5.
        nonlocal_blocks: Pathway -> stage -> numbers of the blocks that a non-local block follows.
        nonlocal_affinity: Normalisation of the non-local blocks' attention weights.
        nonlocal_pool: Pathway -> stage -> kernel (t, h, w) of their max pool, (1, 2, 2) by default.
        nonlocal_groups: Pathway -> stage -> number of groups in time, 1 by default.
        nonlocal_pool_place: Whether they pool before (PySlowFast) or after (mmaction2) the convolutions of keys and
            values.
        nonlocal_out_bias: Whether their last convolution has a bias; mmaction2's has none.
    """

    kind: Literal["slowfast"] = "slowfast"
    pathways: Annotated[tuple[Pathway, ...], AS_LIST] = ("slow", "fast")
    depths: Depths = (3, 4, 6, 3)
    num_temporal: PerPathway[NumTemporal] | None = None
    temporal_kernels: PerPathway[Kernels] = Field(_TEMPORAL_KERNELS)
    width: int = Field(64, ge=1, le=MAX_WIDTH)
    alpha: int = Field(4, ge=1, le=MAX_CLIP_FRAMES)
    beta_inv: int = Field(8, ge=1, le=MAX_WIDTH)
    slow_frames: Literal["linspace", "stride"] = "linspace"
    fusion_ratio: int = Field(2, ge=1, le=64)
    fusion_kernel: int = Field(7, ge=1, le=_MAX_KERNEL)
    lateral_kind: Literal["conv", "time_to_channel", "sample"] = "conv"
    lateral_merge: Literal["concat", "sum"] = "concat"
    lateral_norm: bool = True
    strides: PerPathway[Strides] = (1, 2, 2, 1)
    dilations: PerPathway[Dilations] = (1, 1, 1, 2)
    nonlocal_blocks: ByStage[Blocks] = Field({})
    nonlocal_affinity: Literal["dot_product", "softmax"] = "dot_product"
    nonlocal_pool: ByStage[Window] = Field({})
    nonlocal_groups: ByStage[_Group] = Field({})
    nonlocal_pool_place: Literal["before", "after"] = "before"
    nonlocal_out_bias: bool = True

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.pathways not in (("slow", "fast"), ("slow",)):
            raise ValueError(f"pathways must be [slow, fast] or [slow], got {list(self.pathways)}")
        if self.pathways == ("slow",) and self.alpha != 1:
            raise ValueError(f"a slow-only network reads every frame of its clip: alpha must be 1, got {self.alpha}")
        if self.width % self.beta_inv:
            raise ValueError(f"width {self.width} does not divide by beta_inv {self.beta_inv}")
        for name in ("num_temporal", "temporal_kernels", "strides", "dilations"):
            values = getattr(self, name)
            missing = [p for p in self.pathways if isinstance(values, dict) and p not in values]
            if missing:
                raise ValueError(f"{name} by pathway needs every pathway, and {missing[0]} is missing")
        if len({*self.per_pathway("strides").values()}) > 1:
            raise ValueError("strides must be the same in both pathways, whose maps are joined after each stage")
        lengths = [length for kernels in self.per_pathway("temporal_kernels").values() for length in kernels]
        even = [length for length in (self.fusion_kernel, *lengths) if length % 2 == 0]
        if even:
            raise ValueError(f"a kernel in time has an odd length, which keeps the number of frames, got {even[0]}")
        self._check_nonlocal_stages()
        return self

    def per_pathway(self, name: str) -> dict[Pathway, tuple[int, ...]]:
        """Return a setting that may differ by pathway.

        Args:
            name: Such as ``"strides"``.

        Returns:
            Its value for each pathway of the network.
        """
        value = getattr(self, name)
        return {pathway: value[pathway] if isinstance(value, dict) else value for pathway in self.pathways}

    def map_sides(self, side: int) -> list[int]:
        """Return the sides of the feature maps after the stem and after res2..res5.

        Args:
            side: Side of the clip in pixels.

        Returns:
            Five numbers of cells, falling.
        """
        sides = [-(-side // STEM_STRIDE)]
        for stride in self.per_pathway("strides")["slow"]:
            sides.append(-(-sides[-1] // stride))
        return sides

    def _check_nonlocal_stages(self) -> None:
        """Refuse non-local blocks, pools and groups where the network has no such stage or block."""
        for pathway, stages in self.nonlocal_blocks.items():
            for stage, blocks in stages.items():
                if pathway not in self.pathways or not 2 <= stage <= 5:
                    raise ValueError(
                        f"nonlocal_blocks names {pathway} res{stage}, which does not exist: the pathways are "
                        f"{', '.join(self.pathways)}, the stages 2 to 5"
                    )
                depth = self.depths[stage - 2]
                if any(not 0 <= block < depth for block in blocks):
                    raise ValueError(
                        f"nonlocal_blocks of {pathway} res{stage} are {list(blocks)}, but its {depth} blocks are "
                        f"numbered 0 to {depth - 1}"
                    )
        for name in ("nonlocal_pool", "nonlocal_groups"):
            for pathway, stages in getattr(self, name).items():
                unused = [stage for stage in stages if not self.nonlocal_blocks.get(pathway, {}).get(stage)]
                if unused:
                    raise ValueError(f"{name} names {pathway} res{unused[0]}, which has no non-local block")

    def check_clip(self, num_frames: int, short_side: int) -> None:
        """Refuse clips whose frames do not divide by ``alpha``, or whose maps are too small for the non-local blocks.

        Args:
            num_frames: Frames of a clip.
            short_side: Short side of a clip in pixels.

        Raises:
            ValueError: The clips do not fit.
        """
        if num_frames % self.alpha:
            raise ValueError(
                f"clip.num_frames {num_frames} does not divide by model.backbone.alpha {self.alpha}; "
                "the slow pathway reads one frame in alpha"
            )
        sides = self.map_sides(short_side)
        for pathway, stages in self.nonlocal_blocks.items():
            for stage in stages:
                length, groups = self._frames(pathway, num_frames), self.nonlocal_groups.get(pathway, {}).get(stage, 1)
                pool, *windows = self.nonlocal_pool.get(pathway, {}).get(stage, (1, 2, 2))
                if max(windows) > sides[stage - 1]:
                    raise ValueError(
                        f"model.backbone.nonlocal_pool of {pathway} res{stage} is {max(windows)} cells wide, and the "
                        f"map there has {sides[stage - 1]} at clip.short_side {short_side}; lower it, or raise that"
                    )
                if length % groups or length // groups < pool:
                    raise ValueError(
                        f"the {length} frames of {pathway} res{stage} do not divide into nonlocal_groups {groups} "
                        f"of at least nonlocal_pool {pool} frames; change clip.num_frames, the groups or the pool"
                    )

    def check_pool(self, pool_side: int, short_side: int) -> None:
        """Refuse a classifier's averaging window that is larger than the feature map.

        Args:
            pool_side: Side of the window in cells.
            short_side: Short side of a clip in pixels.

        Raises:
            ValueError: The window is larger than the map.
        """
        cells = self.map_sides(short_side)[-1]
        if pool_side > cells:
            raise ValueError(
                f"model.head.pool_size {pool_side} is more than the {cells} cells of res5 at clip.short_side "
                f"{short_side}; lower it, or raise clip.short_side"
            )

    @property
    def channels(self) -> list[int]:
        """Channels of each feature map, slow first."""
        return [_EXPANSION * width * 2 ** (_NUM_STAGES - 1) for width in self._widths().values()]

    def num_weights(self) -> int:
        """Count the weights of the convolutions; batch norms are left out.

        Returns:
            The number.
        """
        kernels = self.per_pathway("temporal_kernels")
        num_temporal = self.per_pathway("depths" if self.num_temporal is None else "num_temporal")
        widths = self._widths()
        channels = dict(widths)
        count = sum(3 * widths[p] * kernels[p][0] * 7 * 7 for p in widths)
        for stage in range(_NUM_STAGES):
            inputs = dict(channels)
            if "fast" in widths:
                lateral, inputs["slow"] = self._lateral(channels)
                count += lateral
            for p, width in widths.items():
                inner, depth = width * 2**stage, self.depths[stage]
                out = _EXPANSION * inner
                longer = min(depth, num_temporal[p][stage])
                block_inputs = inputs[p] + (depth - 1) * out
                temporal_inputs = inputs[p] + (longer - 1) * out if longer else 0
                count += inner * (block_inputs + temporal_inputs * (kernels[p][stage + 1] - 1))  # a
                count += depth * inner * (9 * inner + out)  # b and c
                count += inputs[p] * out  # the shortcut
                attention = self.nonlocal_blocks.get(p, {}).get(stage + 2, ())
                count += len(set(attention)) * 4 * out * (out // 2)  # theta, phi, g and out
                channels[p] = out
        return count

    def num_features(self, num_frames: int, short_side: int) -> int:
        """Count the numbers of the largest features of each pathway, of a square clip.

        Args:
            num_frames: Frames of the clip.
            short_side: Side of the clip in pixels.

        Returns:
            The number.
        """
        sides = self.map_sides(short_side)[1:]
        # Per time step, of a pathway of width 1: the output of each stage, the largest of them.
        most = max(_EXPANSION * 2**stage * side**2 for stage, side in enumerate(sides))
        return sum(self._frames(p, num_frames) * width * most for p, width in self._widths().items())

    def _frames(self, pathway: Pathway, num_frames: int) -> int:
        return num_frames // self.alpha if pathway == "slow" else num_frames

    def _widths(self) -> dict[Pathway, int]:
        return {p: self.width // (self.beta_inv if p == "fast" else 1) for p in self.pathways}

    def _lateral(self, channels: dict[Pathway, int]) -> tuple[int, int]:
        """The weights of a lateral connection, and the slow pathway's channels after it."""
        slow, fast = channels["slow"], channels["fast"]
        brought = {"conv": self.fusion_ratio, "time_to_channel": self.alpha, "sample": 1}[self.lateral_kind] * fast
        weights = fast * brought * self.fusion_kernel if self.lateral_kind == "conv" else 0
        if self.lateral_merge == "sum":
            return weights + (brought * slow if brought != slow else 0), slow
        return weights, slow + brought
