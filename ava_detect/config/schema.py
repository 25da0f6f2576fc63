"""The whole schema: one object for everything that a config file can say."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from ava_detect.config.model import ClipConfig, DetectorConfig, ModelConfig, Section
from ava_detect.config.training import DataConfig, TrainConfig


class LabelsConfig(Section):
    """The actions of the model's columns, where they are not AVA's 80 in order.

    ``map``: a ``.pbtxt`` label map, None for AVA's; or ``text``, the map itself, as trained weights carry it with them.
    ``ids``: those of its actions that are scored, all by default; only with ``data.kind: ava``.
    """

    map: str | None = None
    text: str | None = None
    ids: tuple[int, ...] = ()


class Config(Section):
    """Everything that is known of one model, and of how it is trained."""

    description: str = ""
    model: ModelConfig = ModelConfig()
    clip: ClipConfig = ClipConfig()
    detector: DetectorConfig = DetectorConfig()
    labels: LabelsConfig = LabelsConfig()
    data: DataConfig = DataConfig()
    train: TrainConfig = TrainConfig()

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        alpha = self.model.backbone.alpha
        if self.clip.num_frames % alpha:
            raise ValueError(
                f"clip.num_frames {self.clip.num_frames} does not divide by model.backbone.alpha {alpha}; "
                "the slow pathway takes one frame in alpha"
            )
        if self.labels.ids and len(self.labels.ids) != self.model.head.num_classes:
            raise ValueError(
                f"labels.ids names {len(self.labels.ids)} actions, but model.head.num_classes is "
                f"{self.model.head.num_classes}; they must be as many"
            )
        if self.labels.ids and self.data.kind != "ava":
            raise ValueError(
                f"labels.ids chooses actions by their ids, and the lists of {self.data.kind} have none: a label there "
                "is the number of the network's column, from 0; leave the other classes out of the list, number the "
                "rest anew, and name them by a labels.map of their own"
            )
        if (self.data.kind == "ava") != (self.model.task == "detection") and self.data.train is not None:
            raise ValueError(f"data.kind {self.data.kind} does not fit model.task {self.model.task}")
        return self
