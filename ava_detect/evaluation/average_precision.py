"""Average precision of one class, and how far score ties leave it open.

VOC all-point AP (Everingham et al., "The Pascal Visual Object Classes Challenge", 2015, and the VOC devkit of
2010 on): the area under the precision-recall curve after precision is made monotone from the right. Precision
only falls between true positives, so the curve is known from their ranks alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class AveragePrecision:
    """``ap`` with ties in their defined order; ``tie_min`` and ``tie_max`` over all orders of equal scores."""

    ap: float
    tie_min: float
    tie_max: float


@dataclass(frozen=True, eq=False)
class PrecisionRecall:
    """The curve of one class: ``recall`` and ``precision``, float64 ``[P]`` each, at its P true positives, best first.

    Between true positives precision only falls. Both are empty when nothing is found.
    """

    recall: FloatArray
    precision: FloatArray


class Ranking:
    """Detections of one class ordered by score, to be asked more than once which AP they reach.

    Of equal scores the later detection ranks first: the order that the official code has with a stable sort.
    """

    def __init__(self, scores: FloatArray) -> None:
        """``scores``: float64 ``[D]``, in the order of arrival, without NaN."""
        # In reversed arrival a stable sort of the negated scores gives: descending, later first.
        negated = -scores[::-1]
        order = _stable_order(negated)
        self._negated = negated[order]
        #: int64 ``[D]``: the detections, best first.
        self.order = len(scores) - 1 - order

    def average_precision(self, is_tp: npt.NDArray[np.bool_], num_gt: int) -> AveragePrecision:
        """AP when the detections ``is_tp`` ``[D]`` are right and ``num_gt`` boxes are there to find; NaN for none.

        Inside a run of equal scores AP is least with all false positives first, greatest with all true ones first.
        """
        if num_gt == 0:
            return AveragePrecision(np.nan, np.nan, np.nan)
        ranks = np.flatnonzero(is_tp[self.order])
        scores = self._negated[ranks]
        first = np.searchsorted(self._negated, scores, side="left")
        end = np.searchsorted(self._negated, scores, side="right")
        # The j-th true positive of a run of ties, from its front and from its back.
        number = np.arange(len(ranks))
        from_front = number - np.searchsorted(first, first, side="left")
        from_back = np.searchsorted(first, first, side="right") - number
        return AveragePrecision(
            area_under_envelope(ranks, num_gt),
            area_under_envelope(end - from_back, num_gt),
            area_under_envelope(first + from_front, num_gt),
        )

    def precision_recall(self, is_tp: npt.NDArray[np.bool_], num_gt: int) -> PrecisionRecall:
        """The curve whose envelope ``average_precision`` measures, with ties in their defined order."""
        ranks = np.flatnonzero(is_tp[self.order])
        found = np.arange(1, len(ranks) + 1)
        return PrecisionRecall(found / num_gt if num_gt else np.empty(0), found / (ranks + 1))


def area_under_envelope(ranks: IntArray, num_gt: int) -> float:
    """AP from the ascending ranks (0 = best) of the true positives among all detections."""
    precision = np.arange(1, len(ranks) + 1) / (ranks + 1)
    envelope = np.maximum.accumulate(precision[::-1])
    return float(envelope.sum() / num_gt)


def _stable_order(values: FloatArray) -> IntArray:
    """``np.argsort(values, kind="stable")``, in less than half its time.

    numpy's default sorts use vector instructions, its stable one does not. So sort in any order, then sort the
    places within each run of equal values: run and place together are one whole number.
    """
    order = np.argsort(values)
    ranked = values[order]
    run = np.zeros(len(values), np.int64)
    np.cumsum(ranked[1:] != ranked[:-1], out=run[1:])
    places = (run << 32) | order
    places.sort()
    result: IntArray = places & 0xFFFFFFFF
    return result
