"""From a config to the network it describes."""

from __future__ import annotations

from pathlib import Path

import torch

from ava_detect.config import Config, load_config
from ava_detect.labels import Action, LabelMap
from ava_detect.models.action_detector import ActionDetector
from ava_detect.models.heads import ProjectionHead
from ava_detect.models.roi import RoIPool
from ava_detect.models.slowfast import SlowFast
from ava_detect.structures import ClipSettings


def build_model(config: Config | str | Path, *, seed: int = 0) -> ActionDetector:
    """The network of a config (an object, a file, or a name in ``configs/``), with random weights, in evaluation mode.

    The same ``seed`` gives the same weights; the caller's random state is not touched. ``ConfigError`` when the config
    cannot be read.
    """
    config = config if isinstance(config, Config) else load_config(config)
    model = config.model
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        backbone = SlowFast(**model.backbone.model_dump())
        roi_pool = RoIPool(**model.roi.model_dump())
        head = ProjectionHead(sum(backbone.out_channels), **model.head.model_dump())
    return ActionDetector(backbone, roi_pool, head, ClipSettings(**config.clip.model_dump())).eval()


def label_map_of(config: Config) -> LabelMap:
    """The actions that the model's columns stand for: AVA's 80, or numbered ones for a model of another width."""
    num_classes = config.model.head.num_classes
    ava = LabelMap.ava()
    if num_classes == len(ava):
        return ava
    return LabelMap(tuple(Action(i, f"action {i}") for i in range(1, num_classes + 1)))
