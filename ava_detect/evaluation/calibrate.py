"""Fit a calibration to detections and ground truth, and measure it on the same videos, on held-out folds, or on others.

A detection is right where frame-mAP counts it as a true positive: its box has the greatest IoU with a ground-truth box
of its class, at least the threshold, and no detection with a greater score has taken that box.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ava_detect.environment import installed_version
from ava_detect.errors import AvaDetectError, ConfigError, counted, shown
from ava_detect.evaluation.calibration import Calibration, ClassCalibration
from ava_detect.evaluation.calibration_measures import CalibrationMeasures, ClassMeasures, measure_classes
from ava_detect.evaluation.class_scores import VideoScores, best_f1_threshold, precision_threshold
from ava_detect.evaluation.diagnosis import diagnose_if_suspicious
from ava_detect.evaluation.frame_map import FrameMAP, load_metric
from ava_detect.evaluation.runs import EvaluationOptions, read_subset
from ava_detect.evaluation.score_maps import METHODS, ScoreCounts, check_method
from ava_detect.storage.file_hashes import sha256_of
from ava_detect.structures.labels import Action, LabelMap

# On held-out movies 30 was better than 10 and 20 on average (docs/calibration.md).
MIN_POSITIVES = 30
_MAX_FOLDS = 1000


@dataclass(frozen=True)
class CalibrationOptions:
    """How a calibration is fitted.

    Attributes:
        method: The map from scores to probabilities: ``isotonic``, ``platt`` or ``none``.
        precision: The precision that each class should reach, above 0 and at most 1; None for the best F1.
        min_positives: A class with fewer true positives gets the threshold and the map of all classes together; at
            least 1.
        folds: Number of parts, by video, each measured with a calibration that was fitted to the others; 0 measures on
            the videos of the fit.

    Raises:
        ConfigError: A value is not allowed.
    """

    method: str = "isotonic"
    precision: float | None = None
    min_positives: int = MIN_POSITIVES
    folds: int = 0

    def __post_init__(self) -> None:
        check_method(self.method)
        if self.precision is not None and not 0 < self.precision <= 1:
            raise ConfigError(f"`precision` is above 0 and at most 1, got {self.precision:g}")
        if self.min_positives < 1:
            raise ConfigError(f"`min_positives` is at least 1, got {self.min_positives}")
        if self.folds != 0 and not 2 <= self.folds <= _MAX_FOLDS:
            raise ConfigError(f"`folds` is from 2 to {_MAX_FOLDS}, or 0 for none, got {self.folds}")


@dataclass(frozen=True)
class FittedCalibration:
    """A calibration and how good it is.

    Attributes:
        calibration: The calibration.
        measures: What it gives, before and after.
        warnings: What is remarkable about the files, in sentences.
    """

    calibration: Calibration
    measures: CalibrationMeasures
    warnings: tuple[str, ...] = field(default=())


def calibrate_files(
    ground_truth: Path,
    detections: Sequence[Path],
    evaluation: EvaluationOptions | None = None,
    options: CalibrationOptions | None = None,
    *,
    weights_sha256: str | None = None,
) -> FittedCalibration:
    """Fit a calibration to files of detections.

    Args:
        ground_truth: A csv, plain or gzipped, a Parquet file, or COCO json.
        detections: One file or several, whose rows are taken together; with the scores of all actions, low ones too.
        evaluation: Classes, excluded keyframes, IoU threshold, videos and start; AVA's 80 classes by default. A class
            without any detection is left out. The dialect is ``official``, without its limit of 50 detections per
            keyframe.
        options: How to fit.
        weights_sha256: Hash of the weights that gave the scores, for the record.

    Returns:
        The calibration and its measures.

    Raises:
        FormatError: A file cannot be read.
        AvaDetectError: There are too few true positives, or fewer videos than folds.
    """
    evaluation, options = evaluation or EvaluationOptions(), options or CalibrationOptions()
    metric = _load(ground_truth, detections, evaluation)
    found = VideoScores.of(metric)
    # A network scores every person for every class, so a class without any score is none of the network's.
    found = replace(found, classes=tuple(one for one in found.classes if len(one.scores)))
    reasons = diagnose_if_suspicious(metric, metric.compute())
    classes = fit_classes(found, options, reasons, _names(detections))
    measures = _measure(found, classes, options)
    calibration = Calibration(
        classes,
        options.method,
        options.precision,
        evaluation.iou_thresholds[0],
        options.min_positives,
        found.video_ids,
        weights_sha256,
        _sources(ground_truth, detections, evaluation),
    )
    return FittedCalibration(calibration, measures, _warnings(reasons, detections))


def measure_files(
    calibration: Calibration,
    ground_truth: Path,
    detections: Sequence[Path],
    evaluation: EvaluationOptions | None = None,
) -> FittedCalibration:
    """Measure a calibration on files of detections.

    Args:
        calibration: The calibration, whose classes and IoU threshold are used.
        ground_truth: As for ``calibrate_files``.
        detections: As for ``calibrate_files``.
        evaluation: Excluded keyframes, videos and start.

    Returns:
        The same calibration and its measures on these videos.

    Raises:
        FormatError: A file cannot be read.
    """
    evaluation = evaluation or EvaluationOptions()
    label_map = LabelMap(tuple(Action(one.id, one.name) for one in calibration.classes))
    metric = _load(ground_truth, detections, evaluation, label_map, calibration.iou_threshold)
    found = VideoScores.of(metric)
    measured = measure_classes(found, calibration.classes)
    shared = len(set(found.video_ids) & set(calibration.videos))
    measures = CalibrationMeasures(measured, len(found.video_ids), 0, shared)
    reasons = diagnose_if_suspicious(metric, metric.compute())
    return FittedCalibration(calibration, measures, _warnings(reasons, detections))


def _names(detections: Sequence[Path]) -> str:
    """The files of detections in a sentence; empty for none."""
    if not detections:
        return ""
    more = len(detections) - 1
    return shown(detections[0]) + (f" and {counted(more, 'more file')}" if more else "")


def _warnings(reasons: Sequence[str], detections: Sequence[Path]) -> tuple[str, ...]:
    return tuple(f"{_names(detections)}: {reason}" for reason in reasons)


def _load(
    ground_truth: Path,
    detections: Sequence[Path],
    evaluation: EvaluationOptions,
    label_map: LabelMap | None = None,
    iou_threshold: float | None = None,
) -> FrameMAP:
    return load_metric(
        ground_truth,
        list(detections),
        label_map=label_map or evaluation.label_map or LabelMap.ava(),
        exclude=evaluation.exclude,
        iou_threshold=iou_threshold or evaluation.iou_thresholds[0],
        start_seconds=evaluation.start_seconds,
        videos=None if evaluation.subset is None else read_subset(evaluation.subset),
    )


def fit_classes(
    found: VideoScores, options: CalibrationOptions, reasons: Sequence[str] = (), name: str = ""
) -> tuple[ClassCalibration, ...]:
    """Fit every class.

    Args:
        found: The scores of the videos to fit to.
        options: How to fit.
        reasons: What may be wrong with the files, in sentences, for the message of the error.
        name: The name of the detections in that message; empty for none.

    Returns:
        The calibration of each class.

    Raises:
        AvaDetectError: There are too few true positives in all.
    """
    pooled = found.pooled() if found.classes else None
    num_tp = 0 if pooled is None else pooled.num_tp
    if pooled is None or num_tp < options.min_positives:
        why = f" ({'; '.join(reasons)})" if reasons else ""
        where = f"{name}: " if name else ""
        raise AvaDetectError(
            f"{where}{num_tp} detections are true positives, and a calibration needs at least "
            f"{options.min_positives} in all{why}; give more videos with ground truth, or lower `min_positives`"
        )
    of_all = _fit_counts(pooled.counts(), pooled.num_gt, options)
    fitted = []
    for one in found.classes:
        assert one.action is not None
        is_own = one.num_tp >= options.min_positives
        threshold, score_map = _fit_counts(one.counts(), one.num_gt, options) if is_own else of_all
        fitted.append(
            ClassCalibration(
                one.action.id,
                one.action.name,
                threshold,
                score_map,
                "class" if is_own else "pooled",
                one.num_gt,
                len(one.scores),
                one.num_tp,
            )
        )
    return tuple(fitted)


def _fit_counts(counts: ScoreCounts, num_gt: int, options: CalibrationOptions) -> tuple[float | None, Any]:
    """Return threshold and map."""
    if options.precision is None:
        threshold = best_f1_threshold(counts, num_gt)
    else:
        threshold = precision_threshold(counts, options.precision)
    kind = METHODS[options.method]
    return threshold, None if kind is None else kind.fit(counts)


def _measure(
    found: VideoScores, classes: tuple[ClassCalibration, ...], options: CalibrationOptions
) -> CalibrationMeasures:
    """Measure on the videos of the fit, or on each fold with a calibration that is fitted to the others."""
    num_videos, folds = len(found.video_ids), options.folds
    if not folds:
        return CalibrationMeasures(measure_classes(found, classes), num_videos, 0, num_videos)
    if folds > num_videos:
        raise ConfigError(f"`folds` are parts of the videos, and {num_videos} videos do not make {folds} parts")
    fold_of_video = np.arange(num_videos) % folds
    total: tuple[ClassMeasures, ...] = ()
    for fold in range(folds):
        is_held_out = fold_of_video == fold
        try:
            fitted = fit_classes(found.of_videos(~is_held_out), options)
        except ConfigError:
            raise
        except AvaDetectError as error:
            raise AvaDetectError(
                f"without the videos of fold {fold + 1} of {folds}, {error}; or give fewer `folds`"
            ) from error
        measured = measure_classes(found.of_videos(is_held_out), fitted)
        total = tuple(a + b for a, b in zip(total, measured, strict=True)) if total else measured
    return CalibrationMeasures(total, num_videos, folds, 0)


def _sources(ground_truth: Path, detections: Sequence[Path], evaluation: EvaluationOptions) -> dict[str, Any]:
    """The files and their hashes, and by which program they were read."""

    def described(path: Path) -> dict[str, str]:
        return {"path": str(path), "sha256": sha256_of(path)}

    files = {"exclude": evaluation.exclude, "subset": evaluation.subset}
    if isinstance(evaluation.label_map, Path):
        files["label_map"] = evaluation.label_map
    return {
        "ground_truth": described(ground_truth),
        "detections": [described(path) for path in sorted(detections)],
        **{name: described(path) for name, path in files.items() if path is not None},
        "start_seconds": evaluation.start_seconds,
        "ava_detect": installed_version(),
    }
