"""The config sections that a trained model needs to be run: the network, its clips and its person detector."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from ava_detect.config.section import AS_LIST, MAX_BLOCKS, MAX_CLASSES, MAX_FEATURES, Section, Text
from ava_detect.config.slowfast import SlowFastConfig
from ava_detect.config.vit import ViTConfig
from ava_detect.structures import ClipSettings
from ava_detect.structures.clip import MAX_CLIP_FRAMES, MAX_FPS, MAX_RATE, MAX_SIDE_PIXELS, MIN_FPS, MIN_STD

_Mean = Annotated[float, Field(ge=0, le=1)]
_Std = Annotated[float, Field(ge=MIN_STD, le=1)]
_Extension = Annotated[float, Field(ge=0, le=1)]
Means = Annotated[tuple[_Mean, _Mean, _Mean], AS_LIST]
Stds = Annotated[tuple[_Std, _Std, _Std], AS_LIST]
Offsets = Annotated[tuple[int, ...], AS_LIST]

# Marks of the kinds of backbone in the places of pydantic's errors -> the section.
SECTION_OF_MARK: dict[str, type[SlowFastConfig] | type[ViTConfig]] = {"(slowfast)": SlowFastConfig, "(vit)": ViTConfig}


def _mark_of(value: Any) -> str:
    kind = value.get("kind", "slowfast") if isinstance(value, dict) else getattr(value, "kind", "slowfast")
    return f"({kind})"


def _known_kind(value: Any) -> Any:
    """Refuse an unknown kind before the settings of any are looked at."""
    if isinstance(value, dict) and _mark_of(value) not in SECTION_OF_MARK:
        kinds = " or ".join(mark.strip("()") for mark in SECTION_OF_MARK)
        raise ValueError(f"kind is {kinds}, got {value['kind']!r}")
    return value


_AnyBackbone = Annotated[
    Annotated[SlowFastConfig, Tag("(slowfast)")] | Annotated[ViTConfig, Tag("(vit)")],
    Discriminator(_mark_of),
    BeforeValidator(_known_kind),
]


class RelationConfig(Section):
    """The actor-context relation after RoI pooling; see ``ava_detect.models.relation.ActorRelation``.

    Attributes:
        channels: Length of the feature vector that it gives; by default the channels of the backbone's maps.
        num_convs: Number of its 3 x 3 convolutions.
        stride: Spatial stride of the first of them.
    """

    channels: int | None = Field(None, ge=1, le=MAX_FEATURES)
    num_convs: int = Field(1, ge=1, le=MAX_BLOCKS)
    stride: int = Field(1, ge=1, le=8)


class RoIConfig(Section):
    """The RoI pooling; ``ava_detect.models.roi.RoIPool`` explains the values in detail.

    Attributes:
        resolution: Bins per side.
        aligned: RoIAlign's half-pixel rule; a property of a checkpoint, False for the caffe2 zoo.
        temporal_pool: How the frames become one map.
        with_global: Whether the features of the whole map are appended to each box's.
        box_rule: How boxes become RoIs; each code base has its rule.
        extension: By how much a box is extended in x and y, as a fraction of its size; for ``alphaction``.
        feature_stride: Input pixels per feature cell; by default the backbone's.
        relation: The relation of each box to the whole map that follows (ACRN); by default none.
    """

    resolution: int = Field(7, ge=1, le=64)
    aligned: bool = True
    temporal_pool: Literal["mean", "max"] = "mean"
    with_global: bool = False
    box_rule: Literal["pyslowfast", "alphaction", "mmaction2"] = "pyslowfast"
    extension: Annotated[tuple[_Extension, _Extension], AS_LIST] = (0.0, 0.0)
    feature_stride: int | None = Field(None, ge=1, le=MAX_SIDE_PIXELS)
    relation: RelationConfig | None = None

    @model_validator(mode="after")
    def _rule_extends(self) -> Self:
        if any(self.extension) and self.box_rule != "alphaction":
            raise ValueError(
                f"extension {list(self.extension)} belongs to box_rule alphaction, and box_rule is {self.box_rule}"
            )
        return self


class HeadConfig(Section):
    """The last layer.

    Attributes:
        num_classes: Number of classes that are scored.
        dropout: Probability that a feature is dropped in training.
        background_class: Whether the layer has a row 0 for the background, which only ``score:
            softmax_with_background`` uses (mmaction2's AVA models have it unused); detectors only.
        mlp: Whether a hidden layer of the features' length with a ReLU comes before it (mmaction2's "nl-head").
            Detectors only.
        activation: Function from logits to scores; always sigmoid for a detector.
        pool_size: Side of the training crop's feature map: a larger map is averaged in windows of that side. None
            averages the whole map. Classifiers only.
        score: The score of a detection: that of the action (a sigmoid), that times the person's, a softmax over the
            actions, or one over the actions and the background; detectors only. See
            ``ava_detect.models.heads.detection_scores``.
    """

    num_classes: int = Field(80, ge=1, le=MAX_CLASSES)
    dropout: float = Field(0.5, ge=0, lt=1)
    background_class: bool = False
    mlp: bool = False
    activation: Literal["softmax", "sigmoid", "none"] = "sigmoid"
    pool_size: int | None = Field(None, ge=1, le=MAX_SIDE_PIXELS)
    score: Literal["action", "action_x_person", "softmax", "softmax_with_background"] = "action"

    @model_validator(mode="after")
    def _has_background(self) -> Self:
        if self.score == "softmax_with_background" and not self.background_class:
            raise ValueError(
                "score softmax_with_background needs the layer's row 0 for people who do none of the actions: set "
                "background_class: true, or score: softmax"
            )
        return self

    @property
    def is_single_label(self) -> bool:
        """Whether a person of a detector does one action at a time: the scores are a softmax."""
        return self.score in ("softmax", "softmax_with_background")


class ModelConfig(Section):
    """The network.

    Attributes:
        task: ``detection`` scores the actions of each person, ``classification`` those of a whole clip.
        backbone: The backbone.
        roi: The RoI pooling; detectors only.
        head: The last layer.
    """

    task: Literal["detection", "classification"] = "detection"
    backbone: _AnyBackbone = SlowFastConfig()
    roi: RoIConfig = RoIConfig()
    head: HeadConfig = HeadConfig()

    @model_validator(mode="after")
    def _fits_task(self) -> Self:
        if self.task == "classification":
            if self.backbone.kind == "vit":
                raise ValueError(
                    "a vit backbone has no classification head here: its classifiers pool before their last norm; use "
                    "backbone.kind slowfast, or task detection"
                )
            if self.roi != RoIConfig():
                raise ValueError("a classification model pools no RoIs: remove the section roi")
            for name in ("background_class", "mlp"):
                if getattr(self.head, name):
                    raise ValueError(f"{name} belongs to detection heads: remove it")
            if self.head.score != "action":
                raise ValueError("score belongs to detection heads: a clip has no person, so remove it")
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
        frame_offsets: Steps of 1 / ``sampling_fps`` from the keyframe to each of the ``num_frames`` frames, ascending;
            by default every ``sampling_rate``-th frame around it.
        long_side: How the long side of the resized frames becomes whole pixels, ``floor`` or ``round`` (mmaction2's).
    """

    num_frames: int = Field(32, ge=1, le=MAX_CLIP_FRAMES)
    sampling_rate: int = Field(2, ge=1, le=MAX_RATE)
    sampling_fps: float = Field(30.0, ge=MIN_FPS, le=MAX_FPS)
    short_side: int = Field(256, ge=32, le=MAX_SIDE_PIXELS)
    mean: Means = (0.45, 0.45, 0.45)
    std: Stds = (0.225, 0.225, 0.225)
    sampling: Literal["time", "frames"] = "time"
    resize: Literal["swscale", "opencv"] = "opencv"
    frame_offsets: Offsets | None = None
    long_side: Literal["floor", "round"] = "floor"

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
