"""How good thresholds and probabilities are: precision, recall and F1, and the expected calibration error.

The expected calibration error (Naeini et al. 2015; Guo et al. 2017) sorts detections by probability into 15 bins of
equal width, and is the mean over all detections of the difference, in their bin, between the mean probability and the
share that is right. Most detections of a class have a score near 0 and are wrong, and weigh as much as the others.

Shapes: N detections, B bins.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ava_detect.errors import counted
from ava_detect.evaluation.calibration import ClassCalibration
from ava_detect.evaluation.class_scores import ClassScores, VideoScores
from ava_detect.evaluation.ground_truth_index import FloatArray

NUM_BINS = 15
#: The threshold that people use for all classes where they have no better one.
COMMON_THRESHOLD = 0.5


@dataclass(frozen=True, eq=False)
class Reliability:
    """Detections in bins of probability.

    Attributes:
        counts: float64 ``[B]``, number of detections in each bin.
        rights: float64 ``[B]``, number of true positives among them.
        sums: float64 ``[B]``, sum of their probabilities.
    """

    counts: FloatArray
    rights: FloatArray
    sums: FloatArray

    @classmethod
    def of(cls, probabilities: npt.ArrayLike, is_right: npt.ArrayLike) -> Self:
        """Sort detections into bins of equal width; a bin holds its lower end, and the last one both ends.

        Args:
            probabilities: ``[N]``, in 0..1.
            is_right: bool ``[N]``.

        Returns:
            The bins.
        """
        values, rights = np.asarray(probabilities, np.float64), np.asarray(is_right, np.float64)
        # In ascending order, so that the last bits of the sums do not depend on the order of the rows.
        order = np.argsort(values, kind="stable")
        values, rights = values[order], rights[order]
        bins = np.minimum((values * NUM_BINS).astype(np.int64), NUM_BINS - 1)
        columns = (np.bincount(bins, w, minlength=NUM_BINS).astype(np.float64) for w in (None, rights, values))
        return cls(*columns)

    def __add__(self, other: Reliability) -> Reliability:
        """Return the bins of both together."""
        return Reliability(self.counts + other.counts, self.rights + other.rights, self.sums + other.sums)

    @property
    def error(self) -> float:
        """The expected calibration error, 0..1; NaN without detections."""
        total = self.counts.sum()
        return float(np.abs(self.sums - self.rights).sum() / total) if total else math.nan


@dataclass(frozen=True, eq=False)
class Outcome:
    """What thresholds keep, and how reliable the probabilities are.

    Attributes:
        num_kept: Number of detections that reach the threshold.
        num_right: Number of true positives among them.
        num_gt: Number of ground-truth boxes.
        reliability: All detections in bins, those below the threshold too.
    """

    num_kept: int
    num_right: int
    num_gt: int
    reliability: Reliability

    @classmethod
    def of(cls, one: ClassScores, threshold: float | None, probabilities: npt.ArrayLike) -> Self:
        """Apply a threshold to the detections of a class.

        Args:
            one: The detections.
            threshold: Least score that is kept; None keeps nothing.
            probabilities: ``[N]``, the probability of each detection.

        Returns:
            The outcome.
        """
        # The scores are float32, and of 0.7 the nearest of these is less.
        kept = one.scores >= np.float32(math.inf if threshold is None else threshold)
        num_right = int(np.count_nonzero(one.is_right & kept))
        return cls(int(np.count_nonzero(kept)), num_right, one.num_gt, Reliability.of(probabilities, one.is_right))

    def __add__(self, other: Outcome) -> Outcome:
        """Return the outcome on both together."""
        return Outcome(
            self.num_kept + other.num_kept,
            self.num_right + other.num_right,
            self.num_gt + other.num_gt,
            self.reliability + other.reliability,
        )

    @property
    def precision(self) -> float:
        """Share of the kept detections that is right, 0..1; NaN where none is kept."""
        return self.num_right / self.num_kept if self.num_kept else math.nan

    @property
    def recall(self) -> float:
        """Share of the ground truth that is found, 0..1; NaN without ground truth."""
        return self.num_right / self.num_gt if self.num_gt else math.nan

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall, 0..1; NaN without ground truth."""
        return 2 * self.num_right / (self.num_kept + self.num_gt) if self.num_gt else math.nan

    @property
    def error(self) -> float:
        """The expected calibration error, 0..1; NaN without detections."""
        return self.reliability.error

    def to_json(self) -> dict[str, Any]:
        """Return a dict for ``json.dumps``; NaN becomes None."""
        numbers = {"precision": self.precision, "recall": self.recall, "f1": self.f1, "calibration_error": self.error}
        return {
            "kept": self.num_kept,
            "right": self.num_right,
            "ground_truth": self.num_gt,
            **{name: None if math.isnan(value) else value for name, value in numbers.items()},
        }


@dataclass(frozen=True, eq=False)
class ClassMeasures:
    """One class before and after.

    Attributes:
        id: Id of the action.
        name: Name of the action.
        before: With the common threshold, and scores taken for probabilities.
        after: With the calibration's threshold and its probabilities.
    """

    id: int
    name: str
    before: Outcome
    after: Outcome

    def __add__(self, other: ClassMeasures) -> ClassMeasures:
        """Return the measures on both sets of videos together."""
        return ClassMeasures(self.id, self.name, self.before + other.before, self.after + other.after)


@dataclass(frozen=True, eq=False)
class CalibrationMeasures:
    """All classes before and after.

    Attributes:
        classes: Each class.
        num_videos: Number of videos that were measured.
        folds: Number of folds: each video was measured with a calibration that was fitted to the other folds' videos. 0
            where one calibration was measured on all videos.
        shared_videos: Number of videos that were measured with a calibration that was fitted to them as well.
    """

    classes: tuple[ClassMeasures, ...]
    num_videos: int
    folds: int
    shared_videos: int

    @property
    def before(self) -> Outcome:
        """All classes together, before."""
        return _sum(one.before for one in self.classes)

    @property
    def after(self) -> Outcome:
        """All classes together, after."""
        return _sum(one.after for one in self.classes)

    def mean(self, quantity: str) -> tuple[float, float]:
        """Average a quantity over the classes that have ground truth.

        Args:
            quantity: ``f1`` or ``error``.

        Returns:
            The mean before and after; NaN where no class has it.
        """
        classes = [one for one in self.classes if one.before.num_gt]
        sides = ([getattr(one.before, quantity) for one in classes], [getattr(one.after, quantity) for one in classes])
        known = [[value for value in side if not math.isnan(value)] for side in sides]
        before, after = (float(np.mean(side)) if side else math.nan for side in known)
        return before, after

    @property
    def note(self) -> str:
        """A sentence on which videos were measured."""
        if self.folds:
            return (
                f"after: held out, in {self.folds} folds over {self.num_videos} videos; the written file is fitted to "
                "all of them"
            )
        if not self.shared_videos:
            return f"measured on {counted(self.num_videos, 'video')}, none of which the calibration was fitted to"
        share = "the same" if self.shared_videos == self.num_videos else f"{self.shared_videos} of the same"
        return (
            f"after: measured on {share} videos that the calibration was fitted to, so on others it is worse; "
            "`folds=5` measures on held-out videos"
        )

    def to_json(self) -> dict[str, Any]:
        """Return a dict for ``json.dumps``; NaN becomes None."""
        means = {name: self.mean(quantity) for name, quantity in (("f1", "f1"), ("calibration_error", "error"))}
        return {
            "videos": self.num_videos,
            "folds": self.folds,
            "videos_fitted_to": self.shared_videos,
            "common_threshold": COMMON_THRESHOLD,
            "before": self.before.to_json(),
            "after": self.after.to_json(),
            "mean_over_classes": {
                side: {name: None if math.isnan(pair[i]) else pair[i] for name, pair in means.items()}
                for i, side in enumerate(("before", "after"))
            },
            "per_class": [
                {"id": one.id, "name": one.name, "before": one.before.to_json(), "after": one.after.to_json()}
                for one in self.classes
            ],
        }


def measure_classes(found: VideoScores, fitted: Sequence[ClassCalibration]) -> tuple[ClassMeasures, ...]:
    """Measure thresholds and maps.

    Args:
        found: The scores of the videos to measure on.
        fitted: The calibration of each class, in the same order.

    Returns:
        The measures of each class.
    """
    measured = []
    for one, of_class in zip(found.classes, fitted, strict=True):
        probabilities = one.scores if of_class.score_map is None else of_class.score_map(one.scores)
        before = Outcome.of(one, COMMON_THRESHOLD, one.scores)
        measured.append(
            ClassMeasures(of_class.id, of_class.name, before, Outcome.of(one, of_class.threshold, probabilities))
        )
    return tuple(measured)


def _sum(outcomes: Iterable[Outcome]) -> Outcome:
    empty = np.zeros(NUM_BINS)
    total = Outcome(0, 0, 0, Reliability(empty, empty, empty))
    for outcome in outcomes:
        total = total + outcome
    return total
