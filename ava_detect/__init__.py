"""Spatiotemporal action detection on AVA: every person in a video, and what each one is doing.

The names below are the package's public face. They are loaded on first use, so that importing
``ava_detect`` costs nothing and scoring a csv never loads torch.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# onnxruntime (from 1.32) keeps an id of the machine in the user's cache and reports to its maker, unless it finds this
# when it is first imported, by the builtin detector for instance. ORT_DISABLE_TELEMETRY=0 in the environment wins.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# Module -> the public names in it.
_NAMES = {
    "annotation.annotate": ("annotate_videos",),
    "annotation.engines.base": ("Limits",),
    "annotation.engines.settings": ("ClusterSettings",),
    "annotation.summary": ("AnnotateSummary",),
    "benchmark": (
        "BenchmarkResult",
        "PeopleOptions",
        "SplitOptions",
        "run_benchmark",
    ),
    "benchmark.classification": ("ClassificationScore",),
    "benchmark.result": ("BenchmarkScore",),
    "config": (
        "BackboneConfig",
        "ClipConfig",
        "Config",
        "CorrectionsConfig",
        "DataConfig",
        "DetectorConfig",
        "HeadConfig",
        "LabelsConfig",
        "ModelConfig",
        "RelationConfig",
        "RoIConfig",
        "SlowFastConfig",
        "SplitConfig",
        "TrainConfig",
        "ViTConfig",
        "load_config",
    ),
    "config.build": ("build_model",),
    "detectors.base": ("PersonDetector",),
    "detectors.precomputed": ("PrecomputedBoxes",),
    "detectors.specs": ("build_detector",),
    "errors": (
        "AvaDetectError",
        "AvaDetectWarning",
        "ConfigError",
        "DeprecatedWarning",
        "DetectorError",
        "DivergedError",
        "EngineError",
        "FormatError",
        "MissingDependencyError",
        "StoreError",
        "TrainingError",
        "VideoError",
        "WeightsError",
    ),
    "evaluation.average_precision": ("PrecisionRecall",),
    "evaluation.calibration": (
        "Calibration",
        "ClassCalibration",
    ),
    "evaluation.frame_map": (
        "FrameMAP",
        "evaluate_files",
    ),
    "evaluation.frame_map_result": (
        "ClassResult",
        "FrameMAPResult",
    ),
    "evaluation.score_maps": (
        "IsotonicMap",
        "PlattMap",
        "ScoreCounts",
    ),
    "evaluation.thresholds": ("Thresholds",),
    "evaluation.tube_runs": (
        "TubeOptions",
        "TubeRun",
        "evaluate_tubes",
    ),
    "evaluation.video_map": ("VideoMAP",),
    "evaluation.video_map_result": ("VideoMAPResult",),
    "formats.ava_csv": (
        "read_ava_csv",
        "write_ava_csv",
    ),
    "formats.ava_table": ("AvaTable",),
    "formats.tube_pickles": (
        "TubeAnnotations",
        "read_tube_annotations",
        "read_tube_detections",
    ),
    "inference.live.keyframe": ("LiveKeyframe",),
    "inference.live.measures": ("LiveStatus",),
    "inference.live.options": ("LiveOptions",),
    "inference.live.run": ("LiveRun",),
    "inference.pipeline": (
        "Pipeline",
        "VideoRun",
    ),
    "inference.scorer": (
        "ClipScorer",
        "Scorer",
    ),
    "models.action_detector": (
        "ActionClassifier",
        "ActionDetector",
    ),
    "models.backbone": ("Backbone",),
    "models.heads": (
        "ClassificationHead",
        "ProjectionHead",
    ),
    "models.laterals": ("LateralSettings",),
    "models.network_options": (
        "NetworkOptions",
        "ResolvedNetworkOptions",
    ),
    "models.nonlocal_block": ("StageNonLocal",),
    "models.relation": ("ActorRelation",),
    "models.roi": ("RoIPool",),
    "models.slowfast": (
        "NonLocalSettings",
        "SlowFast",
    ),
    "models.vit": ("VisionTransformer",),
    "models.weights.loading": ("load_weights",),
    "models.weights.report": ("WeightsReport",),
    "results.importing.import_labels": (
        "ImportSummary",
        "import_labels",
    ),
    "results.manifest": (
        "Totals",
        "VideoRecord",
    ),
    "storage.addresses": ("Address",),
    "structures": (
        "ActionDetections",
        "Clip",
        "ClipSettings",
        "Frame",
        "PersonBoxes",
    ),
    "structures.frame_tubes": ("FrameTube",),
    "structures.labels": (
        "Action",
        "ActionKind",
        "LabelMap",
    ),
    "structures.progress": ("Progress",),
    "video.clip_sampler": (
        "Keyframe",
        "sample_clip",
    ),
    "video.extracted_frames": ("FrameSequence",),
    "video.frame_folder": (
        "FrameFolder",
        "PictureFrame",
    ),
    "video.live.status": ("LiveNotice",),
    "video.orientation": ("Orientation",),
    "video.reader": (
        "DecodedFrame",
        "VideoReader",
    ),
    "video.remote": ("RemoteVideo",),
    "visualization.draw": ("draw_detections",),
    "visualization.keyframe_result": ("KeyframeResult",),
    "visualization.result_set": (
        "ResultSet",
        "read_results",
    ),
    "visualization.video_result": ("VideoResult",),
}
_HOME_OF_NAME = {name: module for module, names in _NAMES.items() for name in names}
__all__ = sorted(_HOME_OF_NAME)

if TYPE_CHECKING:
    from ava_detect.annotation.annotate import annotate_videos as annotate_videos
    from ava_detect.annotation.engines.base import Limits as Limits
    from ava_detect.annotation.engines.settings import ClusterSettings as ClusterSettings
    from ava_detect.annotation.summary import AnnotateSummary as AnnotateSummary
    from ava_detect.benchmark import BenchmarkResult as BenchmarkResult
    from ava_detect.benchmark import PeopleOptions as PeopleOptions
    from ava_detect.benchmark import SplitOptions as SplitOptions
    from ava_detect.benchmark import run_benchmark as run_benchmark
    from ava_detect.benchmark.classification import ClassificationScore as ClassificationScore
    from ava_detect.benchmark.result import BenchmarkScore as BenchmarkScore
    from ava_detect.config import BackboneConfig as BackboneConfig
    from ava_detect.config import ClipConfig as ClipConfig
    from ava_detect.config import Config as Config
    from ava_detect.config import CorrectionsConfig as CorrectionsConfig
    from ava_detect.config import DataConfig as DataConfig
    from ava_detect.config import DetectorConfig as DetectorConfig
    from ava_detect.config import HeadConfig as HeadConfig
    from ava_detect.config import LabelsConfig as LabelsConfig
    from ava_detect.config import ModelConfig as ModelConfig
    from ava_detect.config import RelationConfig as RelationConfig
    from ava_detect.config import RoIConfig as RoIConfig
    from ava_detect.config import SlowFastConfig as SlowFastConfig
    from ava_detect.config import SplitConfig as SplitConfig
    from ava_detect.config import TrainConfig as TrainConfig
    from ava_detect.config import ViTConfig as ViTConfig
    from ava_detect.config import load_config as load_config
    from ava_detect.config.build import build_model as build_model
    from ava_detect.detectors.base import PersonDetector as PersonDetector
    from ava_detect.detectors.precomputed import PrecomputedBoxes as PrecomputedBoxes
    from ava_detect.detectors.specs import build_detector as build_detector
    from ava_detect.errors import AvaDetectError as AvaDetectError
    from ava_detect.errors import AvaDetectWarning as AvaDetectWarning
    from ava_detect.errors import ConfigError as ConfigError
    from ava_detect.errors import DeprecatedWarning as DeprecatedWarning
    from ava_detect.errors import DetectorError as DetectorError
    from ava_detect.errors import DivergedError as DivergedError
    from ava_detect.errors import EngineError as EngineError
    from ava_detect.errors import FormatError as FormatError
    from ava_detect.errors import MissingDependencyError as MissingDependencyError
    from ava_detect.errors import StoreError as StoreError
    from ava_detect.errors import TrainingError as TrainingError
    from ava_detect.errors import VideoError as VideoError
    from ava_detect.errors import WeightsError as WeightsError
    from ava_detect.evaluation.average_precision import PrecisionRecall as PrecisionRecall
    from ava_detect.evaluation.calibration import Calibration as Calibration
    from ava_detect.evaluation.calibration import ClassCalibration as ClassCalibration
    from ava_detect.evaluation.frame_map import FrameMAP as FrameMAP
    from ava_detect.evaluation.frame_map import evaluate_files as evaluate_files
    from ava_detect.evaluation.frame_map_result import ClassResult as ClassResult
    from ava_detect.evaluation.frame_map_result import FrameMAPResult as FrameMAPResult
    from ava_detect.evaluation.score_maps import IsotonicMap as IsotonicMap
    from ava_detect.evaluation.score_maps import PlattMap as PlattMap
    from ava_detect.evaluation.score_maps import ScoreCounts as ScoreCounts
    from ava_detect.evaluation.thresholds import Thresholds as Thresholds
    from ava_detect.evaluation.tube_runs import TubeOptions as TubeOptions
    from ava_detect.evaluation.tube_runs import TubeRun as TubeRun
    from ava_detect.evaluation.tube_runs import evaluate_tubes as evaluate_tubes
    from ava_detect.evaluation.video_map import VideoMAP as VideoMAP
    from ava_detect.evaluation.video_map_result import VideoMAPResult as VideoMAPResult
    from ava_detect.formats.ava_csv import read_ava_csv as read_ava_csv
    from ava_detect.formats.ava_csv import write_ava_csv as write_ava_csv
    from ava_detect.formats.ava_table import AvaTable as AvaTable
    from ava_detect.formats.tube_pickles import TubeAnnotations as TubeAnnotations
    from ava_detect.formats.tube_pickles import read_tube_annotations as read_tube_annotations
    from ava_detect.formats.tube_pickles import read_tube_detections as read_tube_detections
    from ava_detect.inference.live.keyframe import LiveKeyframe as LiveKeyframe
    from ava_detect.inference.live.measures import LiveStatus as LiveStatus
    from ava_detect.inference.live.options import LiveOptions as LiveOptions
    from ava_detect.inference.live.run import LiveRun as LiveRun
    from ava_detect.inference.pipeline import Pipeline as Pipeline
    from ava_detect.inference.pipeline import VideoRun as VideoRun
    from ava_detect.inference.scorer import ClipScorer as ClipScorer
    from ava_detect.inference.scorer import Scorer as Scorer
    from ava_detect.models.action_detector import ActionClassifier as ActionClassifier
    from ava_detect.models.action_detector import ActionDetector as ActionDetector
    from ava_detect.models.backbone import Backbone as Backbone
    from ava_detect.models.heads import ClassificationHead as ClassificationHead
    from ava_detect.models.heads import ProjectionHead as ProjectionHead
    from ava_detect.models.laterals import LateralSettings as LateralSettings
    from ava_detect.models.network_options import NetworkOptions as NetworkOptions
    from ava_detect.models.network_options import ResolvedNetworkOptions as ResolvedNetworkOptions
    from ava_detect.models.nonlocal_block import StageNonLocal as StageNonLocal
    from ava_detect.models.relation import ActorRelation as ActorRelation
    from ava_detect.models.roi import RoIPool as RoIPool
    from ava_detect.models.slowfast import NonLocalSettings as NonLocalSettings
    from ava_detect.models.slowfast import SlowFast as SlowFast
    from ava_detect.models.vit import VisionTransformer as VisionTransformer
    from ava_detect.models.weights.loading import load_weights as load_weights
    from ava_detect.models.weights.report import WeightsReport as WeightsReport
    from ava_detect.results.importing.import_labels import ImportSummary as ImportSummary
    from ava_detect.results.importing.import_labels import import_labels as import_labels
    from ava_detect.results.manifest import Totals as Totals
    from ava_detect.results.manifest import VideoRecord as VideoRecord
    from ava_detect.storage.addresses import Address as Address
    from ava_detect.structures import ActionDetections as ActionDetections
    from ava_detect.structures import Clip as Clip
    from ava_detect.structures import ClipSettings as ClipSettings
    from ava_detect.structures import Frame as Frame
    from ava_detect.structures import PersonBoxes as PersonBoxes
    from ava_detect.structures.frame_tubes import FrameTube as FrameTube
    from ava_detect.structures.labels import Action as Action
    from ava_detect.structures.labels import ActionKind as ActionKind
    from ava_detect.structures.labels import LabelMap as LabelMap
    from ava_detect.structures.progress import Progress as Progress
    from ava_detect.video.clip_sampler import Keyframe as Keyframe
    from ava_detect.video.clip_sampler import sample_clip as sample_clip
    from ava_detect.video.extracted_frames import FrameSequence as FrameSequence
    from ava_detect.video.frame_folder import FrameFolder as FrameFolder
    from ava_detect.video.frame_folder import PictureFrame as PictureFrame
    from ava_detect.video.live.status import LiveNotice as LiveNotice
    from ava_detect.video.orientation import Orientation as Orientation
    from ava_detect.video.reader import DecodedFrame as DecodedFrame
    from ava_detect.video.reader import VideoReader as VideoReader
    from ava_detect.video.remote import RemoteVideo as RemoteVideo
    from ava_detect.visualization.draw import draw_detections as draw_detections
    from ava_detect.visualization.keyframe_result import KeyframeResult as KeyframeResult
    from ava_detect.visualization.result_set import ResultSet as ResultSet
    from ava_detect.visualization.result_set import read_results as read_results
    from ava_detect.visualization.video_result import VideoResult as VideoResult


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF_NAME:
        raise AttributeError(f"module 'ava_detect' has no attribute {name!r}")
    value = getattr(import_module(f"ava_detect.{_HOME_OF_NAME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
