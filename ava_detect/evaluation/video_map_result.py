"""The result of a video-mAP evaluation, and the names of its dialects."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast, get_args

import numpy as np

from ava_detect.errors import ConfigError, counted, suggestion
from ava_detect.evaluation.frame_map_result import ClassResult, mean_of_known, null_if_nan

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
    known = get_args(TubeDialect)
    if dialect not in known:
        raise ConfigError(f"`dialect` is {' or '.join(known)}, got {dialect!r}{suggestion(dialect, known)}")
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
    known = get_args(TubeMetric)
    if metric not in known:
        raise ConfigError(f"`metric` is {' or '.join(known)}, got {metric!r}{suggestion(metric, known)}")
    return cast(TubeMetric, metric)


@dataclass(frozen=True)
class VideoMAPResult:
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
    def tie_min(self) -> float:
        """The least mAP over all orders of equal scores."""
        return mean_of_known([result.ap_tie_min for result in self.per_class.values()])

    @property
    def tie_max(self) -> float:
        """The greatest mAP over all orders of equal scores."""
        return mean_of_known([result.ap_tie_max for result in self.per_class.values()])

    @property
    def num_classes(self) -> int:
        """Number of classes over which the mean is taken."""
        return sum(not math.isnan(result.ap) for result in self.per_class.values())

    @property
    def notes(self) -> list[str]:
        """A sentence for each reason for which tubes or boxes were left out."""
        return [f"{count:,} {_REASONS[reason]}" for reason, count in self.ignored.items() if count]

    def rows(self) -> list[tuple[str, ...]]:
        """Return the table of classes, as text.

        Returns:
            A heading, then a row for each class of the mean, the highest AP first; AP in percent.
        """
        found = [(i, r) for i, r in self.per_class.items() if not math.isnan(r.ap)]
        found.sort(key=lambda item: -item[1].ap)
        heading: tuple[str, ...] = ("id", "action", "AP", "ties", "ground truth", "detections", "true positives")
        return [heading] + [
            (
                str(action_id),
                r.name,
                f"{100 * r.ap:.2f}",
                f"{100 * r.ap_tie_min:.2f} to {100 * r.ap_tie_max:.2f}",
                str(r.num_gt),
                str(r.num_det),
                str(r.num_tp),
            )
            for action_id, r in found
        ]

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
            "per_class": {
                str(action_id): {
                    "name": result.name,
                    "ap": null_if_nan(result.ap),
                    "num_gt": result.num_gt,
                    "num_det": result.num_det,
                    "num_tp": result.num_tp,
                    "ap_tie_min": null_if_nan(result.ap_tie_min),
                    "ap_tie_max": null_if_nan(result.ap_tie_max),
                }
                for action_id, result in self.per_class.items()
            },
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
