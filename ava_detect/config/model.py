"""The config sections that a trained model needs to be run: the network, its clips and its person detector."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Pathway = Literal["slow", "fast"]
Stages = tuple[int, int, int, int]
Kernels = tuple[int, int, int, int, int]
Size = tuple[int, int, int]
Triple = tuple[float, float, float]


class Section(BaseModel):
    """One mapping of a config file; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


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

    pathways: tuple[Pathway, ...] = ("slow", "fast")
    depths: Stages = (3, 4, 6, 3)
    num_temporal: Stages | dict[Pathway, Stages] | None = None
    temporal_kernels: Kernels | dict[Pathway, Kernels] = {"slow": (1, 1, 1, 3, 3), "fast": (5, 3, 3, 3, 3)}
    width: int = Field(64, ge=1)
    alpha: int = Field(4, ge=1)
    beta_inv: int = Field(8, ge=1)
    slow_frames: Literal["linspace", "stride"] = "linspace"
    fusion_ratio: int = Field(2, ge=1)
    fusion_kernel: int = Field(7, ge=1)
    lateral_kind: Literal["conv", "time_to_channel", "sample"] = "conv"
    lateral_merge: Literal["concat", "sum"] = "concat"
    lateral_norm: bool = True
    strides: Stages | dict[Pathway, Stages] = (1, 2, 2, 1)
    dilations: Stages | dict[Pathway, Stages] = (1, 1, 1, 2)
    nonlocal_blocks: dict[Pathway, dict[int, tuple[int, ...]]] = Field({})
    nonlocal_affinity: Literal["dot_product", "softmax"] = "dot_product"
    nonlocal_pool: dict[Pathway, dict[int, Size]] = Field({})
    nonlocal_groups: dict[Pathway, dict[int, int]] = Field({})

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
        self._check_nonlocal_stages()
        return self

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

    resolution: int = Field(7, ge=1)
    aligned: bool = True
    temporal_pool: Literal["mean", "max"] = "mean"
    with_global: bool = False
    feature_stride: int | None = Field(None, ge=1)


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

    num_classes: int = Field(80, ge=1)
    dropout: float = Field(0.5, ge=0, lt=1)
    background_class: bool = False
    activation: Literal["softmax", "sigmoid", "none"] = "sigmoid"
    pool_size: int | None = Field(None, ge=1)


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

    num_frames: int = Field(32, ge=1)
    sampling_rate: int = Field(2, ge=1)
    sampling_fps: float = Field(30.0, gt=0)
    short_side: int = Field(256, ge=32)
    mean: Triple = (0.45, 0.45, 0.45)
    std: Triple = (0.225, 0.225, 0.225)
    sampling: Literal["time", "frames"] = "time"
    resize: Literal["swscale", "opencv"] = "opencv"

    @model_validator(mode="after")
    def _positive(self) -> Self:
        if min(self.std) <= 0:
            raise ValueError(f"std must be above 0 in every channel, got {list(self.std)}")
        return self


class DetectorConfig(Section):
    """The person detector.

    Attributes:
        spec: The detector's spec; see ``ava_detect.detectors.specs``.
        min_score: Lowest score of a person, 0..1; by default the detector's own.
    """

    spec: str = "builtin"
    min_score: float | None = Field(None, ge=0, le=1)
