"""Scores of whole clips: top-k accuracy for single-label data (Kinetics), mean AP for multi-label data (Charades).

Average precision here is not that of boxes: it is the sum over the ranks of (recall gained) x (precision there),
without an envelope, with equal scores counted together, as in Charades' own evaluation and in scikit-learn's
``average_precision_score``, which PySlowFast calls (``slowfast/utils/meters.py``, ``get_map``).

Shapes: V videos, K classes, T distinct scores of one class.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating]
BoolArray = npt.NDArray[np.bool_]


def top_k_accuracy(scores: FloatArray, labels: npt.NDArray[np.integer], k: int) -> float:
    """Compute the share of videos whose class is among the ``k`` best scores.

    Args:
        scores: ``[V, K]``. Of equal scores the lower class index ranks first.
        labels: int ``[V]``, true class of each video, 0 to K - 1.
        k: Number of best scores that count.

    Returns:
        The share, 0..1; NaN without videos.
    """
    if not len(labels):
        return float("nan")
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]  # [V, k]
    return float((best == labels[:, None]).any(axis=1).mean())


def average_precisions(scores: FloatArray, labels: BoolArray) -> npt.NDArray[np.float64]:
    """Compute the average precision of each class over all videos.

    Args:
        scores: ``[V, K]``.
        labels: bool ``[V, K]``, the classes that are true of each video.

    Returns:
        float64 ``[K]``, 0..1; NaN for a class that is true of no video.
    """
    columns = zip(scores.T, labels.T, strict=True)
    return np.array([_average_precision(column, truth) for column, truth in columns], np.float64)


def _average_precision(scores: FloatArray, labels: BoolArray) -> float:
    """Compute the average precision of one class from its scores and labels, ``[V]`` each."""
    num_positive = int(labels.sum())
    if not num_positive:
        return float("nan")
    order = np.argsort(-scores, kind="stable")  # [V]
    # Only the last rank of each run of equal scores counts: within a run there is no order.
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))  # [T]
    found = np.cumsum(labels[order])[ends]  # [T], true positives at or above each distinct score
    # (recall gained) x (precision) = (newly found / num_positive) x (found / (rank + 1))
    return float((np.diff(found, prepend=0) * found / (ends + 1)).sum() / num_positive)
