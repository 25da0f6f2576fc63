"""Average precision of one class, and the interval of values that other orders of equal scores would give.

VOC all-point AP (Everingham et al., "The Pascal Visual Object Classes Challenge", 2015, and the VOC devkit of
2010 on): the area under the precision-recall curve after precision is made monotone from the right. Recall rises at
true positives only, so the curve is determined by the ranks of the true positives.

Shapes: D detections of one class, P true positives among them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class AveragePrecision:
    """AP of one class and its tie interval, each in 0..1; NaN without ground truth.

    Attributes:
        ap: AP with equal scores in their defined order (see ``Ranking``).
        tie_min: The least AP over all orders of equal scores.
        tie_max: The greatest AP over all orders of equal scores.
    """

    ap: float
    tie_min: float
    tie_max: float


@dataclass(frozen=True, eq=False)
class PrecisionRecall:
    """The precision-recall curve of one class at its true positives, best score first.

    Both arrays are empty when there is no true positive. Between true positives recall stays and precision falls.

    Attributes:
        recall: float64 ``[P]``, ascending, 0..1.
        precision: float64 ``[P]``, 0..1, not yet made monotone.
    """

    recall: FloatArray
    precision: FloatArray


class Ranking:
    """Detections of one class ordered by score: sorted once, scored for any number of true-positive masks.

    Of equal scores the later detection ranks first: the order that the official code has with a stable sort.

    Attributes:
        order: int64 ``[D]``, the detections, best first.
    """

    def __init__(self, scores: FloatArray) -> None:
        """Sort the detections.

        Args:
            scores: float64 ``[D]``, in the order of arrival, without NaN.
        """
        # A stable ascending sort of the negated scores of the reversed detections: descending, later first.
        negated = -scores[::-1]
        order = _stable_order(negated)  # [D]
        self._negated = negated[order]  # [D], ascending
        # Back from reversed positions to the order of arrival.
        self.order = len(scores) - 1 - order

    def average_precision(self, is_tp: npt.NDArray[np.bool_], num_gt: int) -> AveragePrecision:
        """Compute AP and its tie interval.

        In a run of equal scores AP is least with all false positives first, and greatest with all true positives first.

        Args:
            is_tp: bool ``[D]``, the true positives, in the order of arrival.
            num_gt: Number of ground-truth boxes of the class.

        Returns:
            AP, the least and the greatest AP; all NaN where ``num_gt`` is 0.
        """
        if num_gt == 0:
            return AveragePrecision(np.nan, np.nan, np.nan)
        ranks = np.flatnonzero(is_tp[self.order])  # [P], 0 = best
        # The run of equal scores that each true positive lies in: ranks ``first`` up to, not including, ``end``.
        scores = self._negated[ranks]
        first = np.searchsorted(self._negated, scores, side="left")  # [P]
        end = np.searchsorted(self._negated, scores, side="right")  # [P]
        # Position of each true positive among the true positives of its run: from the front, 0 up; from the back, 1 up.
        number = np.arange(len(ranks))
        from_front = number - np.searchsorted(first, first, side="left")
        from_back = np.searchsorted(first, first, side="right") - number
        return AveragePrecision(
            area_under_envelope(ranks, num_gt),
            # Worst order: the true positives fill the last ranks of their run.
            area_under_envelope(end - from_back, num_gt),
            # Best order: the true positives fill the first ranks of their run.
            area_under_envelope(first + from_front, num_gt),
        )

    def precision_recall(self, is_tp: npt.NDArray[np.bool_], num_gt: int) -> PrecisionRecall:
        """Compute the curve whose monotone envelope ``average_precision`` integrates.

        Args:
            is_tp: bool ``[D]``, the true positives, in the order of arrival.
            num_gt: Number of ground-truth boxes of the class.

        Returns:
            The curve, with equal scores in their defined order; recall is empty where ``num_gt`` is 0.
        """
        ranks = np.flatnonzero(is_tp[self.order])  # [P], 0 = best
        num_found = np.arange(1, len(ranks) + 1)  # [P], true positives up to and including each one
        return PrecisionRecall(num_found / num_gt if num_gt else np.empty(0), num_found / (ranks + 1))


def area_under_envelope(ranks: IntArray, num_gt: int) -> float:
    """Compute AP from the ranks of the true positives.

    Args:
        ranks: int64 ``[P]``, ascending ranks of the true positives among all detections, 0 = best.
        num_gt: Number of ground-truth boxes, at least 1.

    Returns:
        AP, 0..1.
    """
    precision = np.arange(1, len(ranks) + 1) / (ranks + 1)  # [P]
    # Monotone from the right: the best precision at this recall or any greater one.
    envelope = np.maximum.accumulate(precision[::-1])
    # Recall rises by 1 / num_gt at each true positive.
    return float(envelope.sum() / num_gt)


def _stable_order(values: FloatArray) -> IntArray:
    """Return ``np.argsort(values, kind="stable")``, in less than half its time.

    numpy's default sorts use vector instructions, its stable sort does not. So sort without stability, then sort the
    positions within each run of equal values: run number and position together are one int64.
    """
    order = np.argsort(values)  # [D], equal values in any order
    ranked = values[order]
    # Number of the run of equal values that each rank lies in.
    run = np.zeros(len(values), np.int64)
    np.cumsum(ranked[1:] != ranked[:-1], out=run[1:])
    # Run in the upper 32 bits, position in the lower 32: one sort orders by run, then by position.
    positions = (run << 32) | order
    positions.sort()
    result: IntArray = positions & 0xFFFFFFFF
    return result
