"""Spatiotemporal action detection on AVA: every person in a video, and what each one is doing.

The names below are the package's public face. They are loaded on first use, so that importing
``ava_detect`` costs nothing and scoring a csv never loads torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME_OF_NAME = {
    "ActionDetections": "structures",
    "ActionDetector": "models.action_detector",
    "Clip": "structures",
    "FrameMAP": "evaluation.frame_map",
    "LabelMap": "structures.labels",
    "PersonBoxes": "structures",
    "PersonDetector": "detectors.base",
    "Pipeline": "inference.pipeline",
    "PrecomputedBoxes": "detectors.precomputed",
    "SlowFast": "models.slowfast",
    "VideoReader": "video.reader",
    "WeightsReport": "models.weights.report",
    "annotate_videos": "annotation.annotate",
    "build_detector": "detectors.specs",
    "build_model": "config.build",
    "draw_detections": "visualization.draw",
    "evaluate_files": "evaluation.frame_map",
    "load_config": "config",
    "load_weights": "models.weights.loading",
    "read_ava_csv": "formats.ava_csv",
    "run_benchmark": "benchmark",
    "sample_clip": "video.clip_sampler",
    "write_ava_csv": "formats.ava_csv",
}
__all__ = sorted(_HOME_OF_NAME)

if TYPE_CHECKING:
    from ava_detect.annotation.annotate import annotate_videos as annotate_videos
    from ava_detect.benchmark import run_benchmark as run_benchmark
    from ava_detect.config import load_config as load_config
    from ava_detect.config.build import build_model as build_model
    from ava_detect.detectors.base import PersonDetector as PersonDetector
    from ava_detect.detectors.precomputed import PrecomputedBoxes as PrecomputedBoxes
    from ava_detect.detectors.specs import build_detector as build_detector
    from ava_detect.evaluation.frame_map import FrameMAP as FrameMAP
    from ava_detect.evaluation.frame_map import evaluate_files as evaluate_files
    from ava_detect.formats.ava_csv import read_ava_csv as read_ava_csv
    from ava_detect.formats.ava_csv import write_ava_csv as write_ava_csv
    from ava_detect.inference.pipeline import Pipeline as Pipeline
    from ava_detect.models.action_detector import ActionDetector as ActionDetector
    from ava_detect.models.slowfast import SlowFast as SlowFast
    from ava_detect.models.weights.loading import load_weights as load_weights
    from ava_detect.models.weights.report import WeightsReport as WeightsReport
    from ava_detect.structures import ActionDetections as ActionDetections
    from ava_detect.structures import Clip as Clip
    from ava_detect.structures import PersonBoxes as PersonBoxes
    from ava_detect.structures.labels import LabelMap as LabelMap
    from ava_detect.video.clip_sampler import sample_clip as sample_clip
    from ava_detect.video.reader import VideoReader as VideoReader
    from ava_detect.visualization.draw import draw_detections as draw_detections


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF_NAME:
        raise AttributeError(f"module 'ava_detect' has no attribute {name!r}")
    value = getattr(import_module(f"ava_detect.{_HOME_OF_NAME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
