"""Scores of whole clips: top-k accuracy where one label is true (Kinetics), mean average precision where several are
(Charades). Shapes: V videos, K classes.

Average precision here is not that of boxes: it is the sum over the ranks of (recall gained) x (precision there),
without an envelope, equal scores counted together; so it is in Charades' own evaluation and in scikit-learn's
``average_precision_score``, which PySlowFast calls (``slowfast/utils/meters.py``, ``get_map``).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating]
BoolArray = npt.NDArray[np.bool_]


def top_k_accuracy(scores: FloatArray, labels: npt.NDArray[np.integer], k: int) -> float:
    """The share of the rows of ``scores`` ``[V, K]`` whose class ``labels`` ``[V]`` is among the ``k`` best.

    Of equal scores the class of the lower number comes first. NaN without rows.
    """
    if not len(labels):
        return float("nan")
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return float((best == labels[:, None]).any(axis=1).mean())


def average_precisions(scores: FloatArray, labels: BoolArray) -> npt.NDArray[np.float64]:
    """The average precision ``[K]`` of each class over all videos; NaN for a class that is true of none.

    ``scores``, ``labels``: ``[V, K]``.
    """
    columns = zip(scores.T, labels.T, strict=True)
    return np.array([_average_precision(column, truth) for column, truth in columns], np.float64)


def _average_precision(scores: FloatArray, labels: BoolArray) -> float:
    num_positive = int(labels.sum())
    if not num_positive:
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    # What counts is where a run of equal scores ends: inside it there is no order.
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    found = np.cumsum(labels[order])[ends]
    return float((np.diff(found, prepend=0) * found / (ends + 1)).sum() / num_positive)
