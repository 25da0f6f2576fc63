"""From a config to the network it describes."""

from __future__ import annotations

from pathlib import Path

import torch

from ava_detect.config import Config, LabelsConfig, load_config
from ava_detect.errors import ConfigError
from ava_detect.models.action_detector import ActionClassifier, ActionDetector
from ava_detect.models.heads import ClassificationHead, ProjectionHead
from ava_detect.models.roi import RoIPool
from ava_detect.models.slowfast import SlowFast
from ava_detect.structures import ClipSettings
from ava_detect.structures.labels import Action, LabelMap


def build_model(config: Config | str | Path, *, seed: int = 0) -> ActionDetector | ActionClassifier:
    """The network of a config (an object, a file, or a name in ``configs/``), with random weights, in evaluation mode.

    ``model.task`` decides between the two kinds. The same ``seed`` gives the same weights; the caller's random state
    is not touched. ``ConfigError`` when the config cannot be read.
    """
    config = config if isinstance(config, Config) else load_config(config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _classifier(config) if config.model.task == "classification" else _detector(config)
    return model.eval()


def _detector(config: Config) -> ActionDetector:
    backbone = SlowFast(**config.model.backbone.model_dump())
    roi = config.model.roi
    stride = roi.feature_stride or backbone.feature_stride
    roi_pool = RoIPool(**roi.model_dump(exclude={"feature_stride"}), feature_stride=stride)
    head = ProjectionHead(
        roi_pool.num_features(backbone.out_channels),
        **config.model.head.model_dump(exclude={"activation", "pool_size"}),
    )
    return ActionDetector(backbone, roi_pool, head, _clip_settings(config))


def _classifier(config: Config) -> ActionClassifier:
    backbone = SlowFast(**config.model.backbone.model_dump())
    settings = config.model.head
    side = settings.pool_size
    lengths = [config.clip.num_frames // backbone.alpha, config.clip.num_frames][: len(backbone.pathways)]
    head = ClassificationHead(
        backbone.out_channels,
        settings.num_classes,
        pool_sizes=[None if side is None else (length, side, side) for length in lengths],
        dropout=settings.dropout,
    )
    return ActionClassifier(backbone, head, _clip_settings(config), activation=settings.activation)


def _clip_settings(config: Config) -> ClipSettings:
    return ClipSettings(**config.clip.model_dump())


def label_map_of(config: Config) -> LabelMap:
    """The actions that the model's columns stand for: those of ``config.labels``, or numbered ones where it names none
    and the model's width is not AVA's. ``ConfigError`` when they are not as many as the columns.
    """
    labels, num_classes = config.labels, config.model.head.num_classes
    if labels.text is not None:
        return LabelMap.from_text(labels.text, "the label map in the config")
    if labels.map is None and not labels.ids and num_classes != len(LabelMap.ava()):
        return LabelMap(tuple(Action(i, f"action {i}") for i in range(1, num_classes + 1)))
    known = LabelMap.ava() if labels.map is None else LabelMap.from_pbtxt(labels.map)
    unknown = [str(action_id) for action_id in labels.ids if action_id not in known]
    if unknown:
        raise ConfigError(f"labels.ids {', '.join(unknown)} are not in the label map {labels.map or 'of AVA'}")
    actions = known.subset(labels.ids) if labels.ids else known
    if len(actions) != num_classes:
        raise ConfigError(
            f"the label map {labels.map} names {len(actions)} actions, but model.head.num_classes is {num_classes}; "
            "they must be as many"
        )
    return actions


def self_contained(config: Config) -> Config:
    """The same config with its label map inside, for weights that are used where the map's file is not."""
    if config.labels.map is None:
        return config
    return config.model_copy(update={"labels": LabelsConfig(text=label_map_of(config).to_pbtxt())})
