"""The rules by which the dialects of tubes differ: how lengths are counted, what matches, and the area that is AP.

``video_map`` says where each rule comes from. Shapes: R detections of one class, best first; P pairs of a detection and
a tube or box of the ground truth.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ava_detect.evaluation.average_precision import area_under_envelope
from ava_detect.evaluation.tube_items import Pairs, best_pairs
from ava_detect.evaluation.tube_overlap import Counting
from ava_detect.evaluation.video_map_result import TubeDialect

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
_COUNTING = {"multisports": Counting(box_side=0, span=0), "act": Counting(box_side=1, span=1)}


def counting_of(dialect: TubeDialect) -> Counting:
    """Return how a dialect counts lengths.

    Args:
        dialect: The dialect.

    Returns:
        What is added to differences of coordinates and of frames.
    """
    return _COUNTING[dialect]


def match(dialect: TubeDialect, pairs: Pairs, iou: FloatArray, num_detections: int, threshold: float) -> IntArray:
    """Match the detections of one class with its ground truth.

    Args:
        dialect: Whose rules apply.
        pairs: P pairs; detections are numbered best first.
        iou: float64 ``[P]``, their overlap.
        num_detections: R.
        threshold: Least overlap of a true positive.

    Returns:
        int64 ``[R]``, the truth that each detection takes; -1 for none.
    """
    rule = _matched_best_only if dialect == "multisports" else _matched_with_removal
    return rule(pairs, iou, num_detections, threshold)


def area(dialect: TubeDialect, ranks: IntArray, num_det: int, num_gt: int) -> float:
    """Compute AP.

    Args:
        dialect: Whose rules apply.
        ranks: int64, ascending ranks of the true positives among all detections, 0 = best.
        num_det: Number of detections.
        num_gt: Number of tubes or boxes of the ground truth.

    Returns:
        AP, 0..1; without ground truth NaN in ``multisports`` and 0 in ``act``.
    """
    if dialect == "act":
        return _trapezoid_area(ranks, num_det, num_gt)
    return area_under_envelope(ranks, num_gt) if num_gt else np.nan


def _trapezoid_area(ranks: IntArray, num_det: int, num_gt: int) -> float:
    """Compute AP as ACT and MOC do: trapezoids between neighbouring detections, from precision 1 at recall 0."""
    if not num_gt:
        return 0.0
    is_tp = np.zeros(num_det, np.bool_)
    is_tp[ranks] = True
    num_found = np.cumsum(is_tp)
    # Rounded to float32 where the published code rounds: as it stores them.
    precision = np.concatenate([[1.0], num_found / np.arange(1, num_det + 1)]).astype(np.float32)
    recall = np.concatenate([[0.0], num_found / num_gt]).astype(np.float32)
    return float(np.sum((recall[1:] - recall[:-1]) * (precision[1:] + precision[:-1]) * np.float32(0.5)))


def _matched_best_only(pairs: Pairs, iou: FloatArray, num_detections: int, threshold: float) -> IntArray:
    """Match as MultiSports does: of the detections whose best overlap is with a truth, the first one takes it."""
    matched = np.full(num_detections, -1)
    best = best_pairs(pairs, iou)
    best = best[iou[best] >= threshold]
    # Detections are in the order of their scores: the first one of each truth takes it.
    _, winners = np.unique(pairs.truths[best], return_index=True)
    taken = best[winners]
    matched[pairs.detections[taken]] = pairs.truths[taken]
    return matched


def _matched_with_removal(pairs: Pairs, iou: FloatArray, num_detections: int, threshold: float) -> IntArray:
    """Match as ACT and MOC do: each detection, in order, takes the truth left that it overlaps most."""
    matched = np.full(num_detections, -1)
    is_enough = iou >= threshold
    taken: set[int] = set()
    current, best_iou, best_truth = -1, -1.0, -1

    def settle() -> None:
        if best_truth >= 0:
            taken.add(best_truth)
            matched[current] = best_truth

    columns = (pairs.detections[is_enough], pairs.truths[is_enough], iou[is_enough])
    for detection, truth, overlap in zip(*(column.tolist() for column in columns), strict=True):
        if detection != current:
            settle()
            current, best_iou, best_truth = detection, -1.0, -1
        if overlap > best_iou and truth not in taken:
            best_iou, best_truth = overlap, truth
    settle()
    return matched
