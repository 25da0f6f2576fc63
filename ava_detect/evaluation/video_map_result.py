"""The result of a video-mAP evaluation, and the names of its dialects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast, get_args

import numpy as np

from ava_detect.errors import counted
from ava_detect.evaluation.frame_map_result import (
    ClassResult,
    MeanAP,
    check_word,
    mean_of_known,
    null_if_nan,
)

TubeDialect = Literal["multisports", "act"]
TubeMetric = Literal["video", "frame"]

#: The averages that papers report, by name: the IoU thresholds of each.
AVERAGES: Mapping[str, tuple[float, ...]] = {
    "0.50:0.95": tuple(0.5 + 0.05 * step for step in range(10)),
    "0.05:0.45": tuple(0.05 + 0.05 * step for step in range(9)),
    "0.10:0.90": tuple(0.1 + 0.1 * step for step in range(9)),
}


def check_tube_dialect(dialect: str) -> TubeDialect:
    """Return ``dialect`` if it is one.

    Args:
        dialect: The name that was given.

    Returns:
        The same name.

    Raises:
        ConfigError: It is neither ``multisports`` nor ``act``.
    """
    check_word("dialect", dialect, get_args(TubeDialect))
    return cast(TubeDialect, dialect)


def check_tube_metric(metric: str) -> TubeMetric:
    """Return ``metric`` if it is one.

    Args:
        metric: The name that was given.

    Returns:
        The same name.

    Raises:
        ConfigError: It is neither ``video`` nor ``frame``.
    """
    check_word("metric", metric, get_args(TubeMetric))
    return cast(TubeMetric, metric)


@dataclass(frozen=True)
class VideoMAPResult(MeanAP):
    """The result at one IoU threshold.

    Attributes:
        per_class: Result of each evaluated class, by action id, in the order of the label map. A class without ground
            truth has AP NaN in ``multisports``, which leaves it out of the mean, and 0 in ``act``.
        metric: ``video`` for tubes, ``frame`` for the boxes of single frames.
        dialect: Whose rules were applied.
        iou_threshold: Least overlap of a true positive with its tube or box.
        num_videos: Number of videos that are measured.
        ignored: Number of tubes or boxes that took no part, by reason; ``notes`` has them as sentences.
    """

    per_class: Mapping[int, ClassResult]
    metric: TubeMetric
    dialect: TubeDialect
    iou_threshold: float
    num_videos: int
    ignored: Mapping[str, int] = field(default_factory=dict)

    @property
    def mAP(self) -> float:  # noqa: N802 (the name that the field uses)
        """Mean AP over the classes, 0..1; NaN where no class has ground truth."""
        precisions = [result.ap for result in self.per_class.values()]
        if self.dialect == "act" and precisions:
            # MOC averages percents in float32.
            return float(np.mean(100 * np.array(precisions, np.float32))) / 100
        return mean_of_known(precisions)

    @property
    def notes(self) -> list[str]:
        """A sentence for each reason for which tubes or boxes were left out."""
        return [f"{count:,} {_REASONS[reason]}" for reason, count in self.ignored.items() if count]

    def summary(self) -> str:
        """Return the result in one line.

        Returns:
            mAP in percent with its tie interval, threshold, dialect and counts.
        """
        classes = counted(self.num_classes, "class", "classes")
        return (
            f"{self.metric}-mAP {100 * self.mAP:.2f} @ IoU {self.iou_threshold:g} over {classes} and "
            f"{counted(self.num_videos, 'video')} (dialect {self.dialect}; "
            f"equal scores leave {100 * self.tie_min:.2f} to {100 * self.tie_max:.2f})"
        )

    def to_json(self) -> dict[str, Any]:
        """Return a dict for ``json.dumps``.

        Returns:
            mAP, its tie interval, the settings, the results of all classes by action id; None for NaN.
        """
        return {
            "mAP": null_if_nan(self.mAP),
            "mAP_tie_min": null_if_nan(self.tie_min),
            "mAP_tie_max": null_if_nan(self.tie_max),
            "metric": self.metric,
            "dialect": self.dialect,
            "iou_threshold": self.iou_threshold,
            "num_videos": self.num_videos,
            "num_classes": self.num_classes,
            "per_class": self.classes_to_json(),
            "ignored": dict(self.ignored),
        }


_REASONS = {
    "detections_of_other_actions": "detections of actions that are not evaluated were left out",
    "ground_truth_of_other_actions": "tubes of the ground truth of actions that are not evaluated were left out",
    "detections_suppressed": "tubes that overlap a better one of their action by more than 0.3 were suppressed",
    "detections_in_other_videos": "detections are in videos that are not measured and count as false",
}


def mean_map(results: Sequence[VideoMAPResult]) -> float:
    """Average the mAP of several thresholds.

    Args:
        results: A result for each threshold.

    Returns:
        The mean, 0..1; NaN where there is no ground truth.
    """
    return mean_of_known([result.mAP for result in results])
