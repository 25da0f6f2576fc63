"""The config sections that a trained model needs to be run: the network, its clips and its person detector."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_validator

from ava_detect.structures import ClipSettings
from ava_detect.structures.clip import MAX_CLIP_FRAMES, MAX_FPS, MAX_RATE, MAX_SIDE_PIXELS, MIN_FPS, MIN_STD

# Marks of the two forms of a setting that may differ by pathway, in the places of pydantic's errors.
FOR_ALL, BY_PATHWAY = "(for all pathways)", "(by pathway)"
STEM_STRIDE = 4  # input pixels per cell after the stem
MAX_BLOCKS, MAX_WIDTH, MAX_KERNEL, MAX_CLASSES = 1000, 4096, 99, 100_000

T = TypeVar("T")
Pathway = Literal["slow", "fast"]


def _stage_number(key: Any) -> Any:
    """A stage number; JSON and overrides give the keys of mappings as text."""
    return int(key) if isinstance(key, str) and key in map(str, range(100)) else key


# Lists become tuples; their values are as strict as all others.
AS_LIST = Field(strict=False)
_ByForm = Discriminator(lambda value: BY_PATHWAY if isinstance(value, dict) else FOR_ALL)
PerPathway = Annotated[Annotated[T, Tag(FOR_ALL)] | Annotated[dict[Pathway, T], Tag(BY_PATHWAY)], _ByForm]
_Stage = Annotated[int, BeforeValidator(_stage_number)]
ByStage = dict[Pathway, dict[_Stage, T]]
Text = Annotated[str, Field(min_length=1)]

_Depth = Annotated[int, Field(ge=1, le=MAX_BLOCKS)]
_NumTemporal = Annotated[int, Field(ge=0, le=MAX_BLOCKS)]
_Kernel = Annotated[int, Field(ge=1, le=MAX_KERNEL)]
_Stride = Annotated[int, Field(ge=1, le=8)]
_Dilation = Annotated[int, Field(ge=1, le=64)]
_Block = Annotated[int, Field(ge=0, le=MAX_BLOCKS)]
_Window = Annotated[int, Field(ge=1, le=MAX_SIDE_PIXELS)]
_Group = Annotated[int, Field(ge=1, le=MAX_CLIP_FRAMES)]
_Mean = Annotated[float, Field(ge=0, le=1)]
_Std = Annotated[float, Field(ge=MIN_STD, le=1)]
Depths = Annotated[tuple[_Depth, _Depth, _Depth, _Depth], AS_LIST]
NumTemporal = Annotated[tuple[_NumTemporal, _NumTemporal, _NumTemporal, _NumTemporal], AS_LIST]
Kernels = Annotated[tuple[_Kernel, _Kernel, _Kernel, _Kernel, _Kernel], AS_LIST]
Strides = Annotated[tuple[_Stride, _Stride, _Stride, _Stride], AS_LIST]
Dilations = Annotated[tuple[_Dilation, _Dilation, _Dilation, _Dilation], AS_LIST]
Blocks = Annotated[tuple[_Block, ...], AS_LIST]
Window = Annotated[tuple[_Window, _Window, _Window], AS_LIST]
Means = Annotated[tuple[_Mean, _Mean, _Mean], AS_LIST]
Stds = Annotated[tuple[_Std, _Std, _Std], AS_LIST]


class Section(BaseModel):
    """One mapping of a config file; an unknown key is an error, and a value has the type that the schema says.

    Text is not taken for a number or a truth value, nor one of these for another, and no number is NaN or infinite.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class BackboneConfig(Section):
    """The backbone; ``ava_detect.models.slowfast.SlowFast`` explains the values in detail.

    Attributes:
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
    """

    pathways: Annotated[tuple[Pathway, ...], AS_LIST] = ("slow", "fast")
    depths: Depths = (3, 4, 6, 3)
    num_temporal: PerPathway[NumTemporal] | None = None
    temporal_kernels: PerPathway[Kernels] = {"slow": (1, 1, 1, 3, 3), "fast": (5, 3, 3, 3, 3)}
    width: int = Field(64, ge=1, le=MAX_WIDTH)
    alpha: int = Field(4, ge=1, le=MAX_CLIP_FRAMES)
    beta_inv: int = Field(8, ge=1, le=MAX_WIDTH)
    slow_frames: Literal["linspace", "stride"] = "linspace"
    fusion_ratio: int = Field(2, ge=1, le=64)
    fusion_kernel: int = Field(7, ge=1, le=MAX_KERNEL)
    lateral_kind: Literal["conv", "time_to_channel", "sample"] = "conv"
    lateral_merge: Literal["concat", "sum"] = "concat"
    lateral_norm: bool = True
    strides: PerPathway[Strides] = (1, 2, 2, 1)
    dilations: PerPathway[Dilations] = (1, 1, 1, 2)
    nonlocal_blocks: ByStage[Blocks] = Field({})
    nonlocal_affinity: Literal["dot_product", "softmax"] = "dot_product"
    nonlocal_pool: ByStage[Window] = Field({})
    nonlocal_groups: ByStage[_Group] = Field({})

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


class RoIConfig(Section):
    """The RoI pooling; ``ava_detect.models.roi.RoIPool`` explains the values in detail.

    Attributes:
        resolution: Bins per side.
        aligned: RoIAlign's half-pixel rule; a property of a checkpoint, False for the caffe2 zoo.
        temporal_pool: How the frames become one map.
        with_global: Whether the features of the whole map are appended to each box's.
        feature_stride: Input pixels per feature cell; by default the backbone's.
    """

    resolution: int = Field(7, ge=1, le=64)
    aligned: bool = True
    temporal_pool: Literal["mean", "max"] = "mean"
    with_global: bool = False
    feature_stride: int | None = Field(None, ge=1, le=MAX_SIDE_PIXELS)


class HeadConfig(Section):
    """The last layer.

    Attributes:
        num_classes: Number of classes that are scored.
        dropout: Probability that a feature is dropped in training.
        background_class: Whether the layer has mmaction2's unused row 0; detectors only.
        activation: Function from logits to scores; always sigmoid for a detector.
        pool_size: Side of the training crop's feature map: a larger map is averaged in windows of that side. None
            averages the whole map. Classifiers only.
    """

    num_classes: int = Field(80, ge=1, le=MAX_CLASSES)
    dropout: float = Field(0.5, ge=0, lt=1)
    background_class: bool = False
    activation: Literal["softmax", "sigmoid", "none"] = "sigmoid"
    pool_size: int | None = Field(None, ge=1, le=MAX_SIDE_PIXELS)


class ModelConfig(Section):
    """The network.

    Attributes:
        task: ``detection`` scores the actions of each person, ``classification`` those of a whole clip.
        backbone: The backbone.
        roi: The RoI pooling; detectors only.
        head: The last layer.
    """

    task: Literal["detection", "classification"] = "detection"
    backbone: BackboneConfig = BackboneConfig()
    roi: RoIConfig = RoIConfig()
    head: HeadConfig = HeadConfig()

    @model_validator(mode="after")
    def _fits_task(self) -> Self:
        if self.task == "classification":
            if self.roi != RoIConfig():
                raise ValueError("a classification model pools no RoIs: remove the section roi")
            if self.head.background_class:
                raise ValueError("background_class belongs to detection heads: remove it")
        elif self.head.activation != "sigmoid" or self.head.pool_size is not None:
            raise ValueError("activation and pool_size belong to classification heads: a detector's score is a sigmoid")
        return self


class ClipConfig(Section):
    """How clips are cut from a video and normalised; see ``ava_detect.structures.ClipSettings``.

    Attributes:
        num_frames: Frames of a clip, those of the fast pathway.
        sampling_rate: Step between the clip's frames, in frames at ``sampling_fps``.
        sampling_fps: Frame rate that ``sampling_rate`` refers to.
        short_side: Short side of the resized frames in pixels.
        mean: Mean per channel (RGB), of values in 0..1.
        std: Standard deviation per channel (RGB), of values in 0..1.
        sampling: Whether frames are chosen by ``time`` or by their numbers (``frames``).
        resize: ``opencv`` resizes as for the published networks' training; ``swscale`` is faster.
    """

    num_frames: int = Field(32, ge=1, le=MAX_CLIP_FRAMES)
    sampling_rate: int = Field(2, ge=1, le=MAX_RATE)
    sampling_fps: float = Field(30.0, ge=MIN_FPS, le=MAX_FPS)
    short_side: int = Field(256, ge=32, le=MAX_SIDE_PIXELS)
    mean: Means = (0.45, 0.45, 0.45)
    std: Stds = (0.225, 0.225, 0.225)
    sampling: Literal["time", "frames"] = "time"
    resize: Literal["swscale", "opencv"] = "opencv"

    @model_validator(mode="after")
    def _usable(self) -> Self:
        self.settings()
        return self

    def settings(self) -> ClipSettings:
        """Return the same settings for the rooms that know no configs."""
        return ClipSettings(**self.model_dump())


class DetectorConfig(Section):
    """The person detector.

    Attributes:
        spec: The detector's spec; see ``ava_detect.detectors.specs``.
        min_score: Lowest score of a person, 0..1; by default the detector's own.
    """

    spec: Text = "builtin"
    min_score: float | None = Field(None, ge=0, le=1)
