"""The network, its clips and its detector: what a trained model needs to be run."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Pathway = Literal["slow", "fast"]
Stages = tuple[int, int, int, int]
Kernels = tuple[int, int, int, int, int]
Size = tuple[int, int, int]
Triple = tuple[float, float, float]


class Section(BaseModel):
    """One mapping of a config file; a key that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class BackboneConfig(Section):
    """``ava_detect.models.slowfast.SlowFast``'s arguments, whose docstring explains them."""

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
        self._check_nonlocal_places()
        return self

    def _check_nonlocal_places(self) -> None:
        for pathway, stages in self.nonlocal_blocks.items():
            for stage, blocks in stages.items():
                if pathway not in self.pathways or not 2 <= stage <= 5:
                    raise ValueError(
                        f"nonlocal_blocks has no place {pathway} res{stage}: the pathways are "
                        f"{', '.join(self.pathways)}, the stages 2 to 5"
                    )
                depth = self.depths[stage - 2]
                if any(not 0 <= block < depth for block in blocks):
                    raise ValueError(
                        f"nonlocal_blocks of {pathway} res{stage} are {list(blocks)}, but its {depth} blocks are "
                        f"numbered 0 to {depth - 1}"
                    )
        for name in ("nonlocal_pool", "nonlocal_groups"):
            for pathway, places in getattr(self, name).items():
                idle = [stage for stage in places if not self.nonlocal_blocks.get(pathway, {}).get(stage)]
                if idle:
                    raise ValueError(f"{name} names {pathway} res{idle[0]}, where no non-local block stands")


class RoIConfig(Section):
    """``ava_detect.models.roi.RoIPool``. ``aligned`` travels with a checkpoint: False for the caffe2 zoo.

    ``feature_stride``: input pixels per feature cell; by default the backbone's own.
    """

    resolution: int = Field(7, ge=1)
    aligned: bool = True
    temporal_pool: Literal["mean", "max"] = "mean"
    with_global: bool = False
    feature_stride: int | None = Field(None, ge=1)


class HeadConfig(Section):
    """The last layer. ``num_classes`` counts what is scored; ``background_class`` adds mmaction2's unused row 0.

    Of a classifier only: ``activation`` makes logits scores (a detector's is always sigmoid), and ``pool_size`` is the
    side of the training crop's feature map, in whose windows a larger map is averaged (None: all of it at once).
    """

    num_classes: int = Field(80, ge=1)
    dropout: float = Field(0.5, ge=0, lt=1)
    background_class: bool = False
    activation: Literal["softmax", "sigmoid", "none"] = "sigmoid"
    pool_size: int | None = Field(None, ge=1)


class ModelConfig(Section):
    """The network: ``detection`` scores each person's actions, ``classification`` what a whole clip shows."""

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
    """``ava_detect.structures.ClipSettings``: how clips are cut from a video."""

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
    """Which people: a detector's spec, and the least score; None is the detector's own default."""

    spec: str = "builtin"
    min_score: float | None = Field(None, ge=0, le=1)
