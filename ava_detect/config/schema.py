"""The whole schema: one object for everything that a config file can contain."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Self

from pydantic import Field, model_validator

from ava_detect.config.model import ClipConfig, DetectorConfig, ModelConfig
from ava_detect.config.section import AS_LIST, MAX_CLASSES, Section, Text
from ava_detect.config.training import DataConfig, TrainConfig
from ava_detect.errors import ConfigError


class LabelsConfig(Section):
    """The actions of the model's output columns, where they are not AVA's 80 in order.

    Attributes:
        map: Path of a ``.pbtxt`` label map; None for AVA's.
        text: Content of a label map, as trained weights contain it; takes precedence over ``map``.
        ids: Ids of the map's actions that are scored; empty for all. Only with ``data.kind`` ``ava`` or ``tubes``.
    """

    map: Text | None = None
    text: str | None = None
    ids: Annotated[tuple[int, ...], AS_LIST, Field(max_length=MAX_CLASSES)] = ()

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if repeated := [action_id for action_id, times in Counter(self.ids).items() if times > 1]:
            raise ValueError(
                f"ids names action {repeated[0]} more than once; each output column has an action of its own"
            )
        return self


class Config(Section):
    """One model and its training.

    Attributes:
        description: One line for people.
        model: The network.
        clip: How clips are cut from a video and normalised.
        detector: The person detector.
        labels: The actions of the output columns.
        data: The training and test data.
        train: The training.
    """

    description: str = ""
    model: ModelConfig = ModelConfig()
    clip: ClipConfig = ClipConfig()
    detector: DetectorConfig = DetectorConfig()
    labels: LabelsConfig = LabelsConfig()
    data: DataConfig = DataConfig()
    train: TrainConfig = TrainConfig()

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        backbone, clip = self.model.backbone, self.clip
        backbone.check_clip(clip.num_frames, clip.short_side)
        if self.model.head.pool_size is not None:
            backbone.check_pool(self.model.head.pool_size, clip.short_side)
        if self.labels.ids and len(self.labels.ids) != self.model.head.num_classes:
            raise ValueError(
                f"labels.ids names {len(self.labels.ids)} actions, but model.head.num_classes is "
                f"{self.model.head.num_classes}; the two numbers must be equal"
            )
        if self.labels.ids and not self.data.is_of_people:
            raise ValueError(
                f"labels.ids chooses actions by their ids, and the lists of {self.data.kind} have none: a label there "
                "is the number of the network's column, from 0; remove the other classes from the list, renumber the "
                "rest from 0, and name them in a labels.map of their own"
            )
        if self.data.is_of_people != (self.model.task == "detection") and self.data.has_training_data:
            raise ValueError(f"data.kind {self.data.kind} does not fit model.task {self.model.task}")
        return self

    def require_detection(self) -> None:
        """Refuse the config of a classifier of whole clips.

        Raises:
            ConfigError: ``model.task`` is not ``detection``.
        """
        if self.model.task != "detection":
            raise ConfigError(
                "this config is a classifier: it says what a whole clip shows, not what each person does; choose a "
                "config whose model.task is detection"
            )
