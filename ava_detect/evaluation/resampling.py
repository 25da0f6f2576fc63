"""Bootstrap over videos: the AP of a run on draws of its videos, and the intervals that the draws give.

Keyframes of one video look alike, so videos are drawn with replacement, not keyframes (Efron & Tibshirani, "An
Introduction to the Bootstrap", 1993). The interval tells how far the number would move with other videos of the same
kind. It does not cover the variance of training runs with other seeds.

Shapes: D detections of one class, P true positives among them, V videos, C classes, N draws, n of them at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ava_detect.evaluation.ground_truth_index import FloatArray, IndexArray
from ava_detect.evaluation.keyframes import IntArray

# They bound the temporary arrays: [P, draws] floats and [ranks, V] counts.
_DRAWS_PER_STEP = 64
_RANKS_PER_STEP = 4096
WeightedArea = Callable[[IntArray, FloatArray], FloatArray]


@dataclass(frozen=True)
class Interval:
    """The central interval of the draws; NaN where there is no ground truth.

    Attributes:
        low: Its lower end.
        high: Its upper end.
    """

    low: float
    high: float


@dataclass(frozen=True)
class APIntervals:
    """Bootstrap intervals of the AP of one run, 0..1.

    Attributes:
        mAP: Interval of the mAP.
        per_class: Interval of each class's AP, by action id.
        num_videos: Number of videos that were drawn from.
        confidence: Share of the draws that the intervals cover, between 0 and 1.
        num_resamples: Number of draws.
        seed: Seed of the draws.
    """

    mAP: Interval  # noqa: N815 (the name that the field uses)
    per_class: Mapping[int, Interval]
    num_videos: int
    confidence: float
    num_resamples: int
    seed: int


@dataclass(frozen=True, eq=False)
class RankedClass:
    """The detections of one class, best first.

    Attributes:
        videos: int64 ``[D]``, number of the video of each, 0 to V - 1.
        ranks: int64 ``[P]``, the true positives among them, ascending.
    """

    videos: IntArray
    ranks: IndexArray


class Resampler:
    """AP of one run under any weights of the videos, without matching or sorting again.

    A draw that has a video w times has each of its detections and boxes w times. So ranks and counts of the drawn data
    are weighted sums over the detections of the full data, and the order by score stays.

    Args:
        ranked: The detections of each class.
        num_gt: int64 ``[C, V]``, number of ground-truth boxes or tubes of each class in each video.
        area: Computes AP from weights; ``envelope_area`` or ``trapezoid_areas``.
        absent: AP of a class without ground truth: NaN, or 0.
    """

    def __init__(
        self, ranked: Sequence[RankedClass], num_gt: IntArray, area: WeightedArea, *, absent: float = math.nan
    ) -> None:
        self._ranked, self._area, self._absent = tuple(ranked), area, absent
        self.num_gt = num_gt

    def resampled(self, weights: IntArray) -> FloatArray:
        """Compute the AP of each class on each draw.

        Args:
            weights: int64 ``[V, N]``, how often each draw has each video.

        Returns:
            float64 ``[C, N]``; ``absent`` where a draw has no ground truth of the class.
        """
        per_class = [
            self._resampled_of_class(ranked, num_gt @ weights, weights)
            for ranked, num_gt in zip(self._ranked, self.num_gt, strict=True)
        ]
        return np.array(per_class).reshape(len(per_class), weights.shape[1])

    def _resampled_of_class(self, ranked: RankedClass, num_gt: IntArray, weights: IntArray) -> FloatArray:
        """Return the AP ``[N]`` of one class from its detections and its number of boxes in each draw ``[N]``."""
        if not num_gt.any():
            return np.full(len(num_gt), self._absent)
        aps = np.empty(len(num_gt))
        for begin in range(0, len(num_gt), _DRAWS_PER_STEP):
            step = slice(begin, begin + _DRAWS_PER_STEP)  # n draws
            # Each true positive counts as often as its video was drawn.
            tp_weights = weights[ranked.videos[ranked.ranks], step]  # [P, n]
            num_ranked = _weight_up_to(ranked.ranks, ranked.videos, weights[:, step])  # [P, n]
            with np.errstate(divide="ignore", invalid="ignore"):
                area = self._area(tp_weights, num_ranked) / num_gt[step]  # [n]
            aps[step] = np.where(num_gt[step] > 0, area, self._absent)
        return aps


def envelope_area(tp_weights: IntArray, num_ranked: FloatArray) -> FloatArray:
    """Sum the monotone precision at each true positive: the area under the envelope times the number of boxes.

    Args:
        tp_weights: int64 ``[P, n]``, how often each draw has each true positive.
        num_ranked: float64 ``[P, n]``, number of detections up to and including each true positive.

    Returns:
        float64 ``[n]``.
    """
    # Precision at each true positive = true positives so far / detections so far. A true positive of a video that is
    # not in the draw gets 0, and its weight of 0 adds nothing below.
    precision = np.where(tp_weights > 0, np.cumsum(tp_weights, axis=0) / num_ranked, 0)
    # Monotone from the right, then the area: recall rises by weight / num_gt.
    envelope = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    area: FloatArray = (tp_weights * envelope).sum(axis=0)
    return area


def trapezoid_areas(tp_weights: IntArray, num_ranked: FloatArray) -> FloatArray:
    """Sum the trapezoids at each true positive, as ``act`` does, times the number of boxes.

    Args:
        tp_weights: int64 ``[P, n]``, how often each draw has each true positive.
        num_ranked: float64 ``[P, n]``, number of detections up to and including each true positive.

    Returns:
        float64 ``[n]``.
    """
    found = np.cumsum(tp_weights, axis=0)
    area = np.zeros(tp_weights.shape[1])
    # The copies of a true positive follow one another; precision before the first detection is 1.
    for copy in range(int(tp_weights.max(initial=0))):
        after = num_ranked - tp_weights + copy + 1  # detections up to and including this copy
        num_found = found - tp_weights + copy + 1
        before = np.where(after > 1, (num_found - 1) / (after - 1), 1.0)
        area += np.where(tp_weights > copy, (before + num_found / after) / 2, 0).sum(axis=0)
    return area


def draw_videos(num_videos: int, num_resamples: int, seed: int) -> IntArray:
    """Draw V of V videos with replacement, N times.

    Args:
        num_videos: V.
        num_resamples: N.
        seed: Seed of the draws.

    Returns:
        int64 ``[V, N]``, how often each video is in each draw.
    """
    if not num_videos:
        return np.zeros((0, num_resamples), np.int64)
    return np.random.default_rng(seed).multinomial(num_videos, [1 / num_videos] * num_videos, num_resamples).T


def interval(sample: FloatArray, confidence: float) -> Interval:
    """Return the central interval of a sample.

    Args:
        sample: float64 ``[N]``; NaN is left out.
        confidence: Share of the sample that it covers, between 0 and 1.

    Returns:
        The interval; NaN where nothing is known.
    """
    known = sample[~np.isnan(sample)]
    tail = (1 - confidence) / 2
    return Interval(*np.quantile(known, [tail, 1 - tail]).tolist()) if known.size else Interval(math.nan, math.nan)


def intervals_of(
    resampler: Resampler, action_ids: Sequence[int], *, num_resamples: int, confidence: float, seed: int
) -> APIntervals:
    """Compute the intervals of the mAP and of each class's AP.

    Args:
        resampler: The run.
        action_ids: Action id of each class.
        num_resamples: Number of draws.
        confidence: Share of the draws that the intervals cover, between 0 and 1.
        seed: Seed of the draws.

    Returns:
        The intervals.
    """
    num_videos = resampler.num_gt.shape[1]
    aps = resampler.resampled(draw_videos(num_videos, num_resamples, seed))  # [C, N]
    return APIntervals(
        interval(mean_over_classes(aps), confidence),
        {action_id: interval(sample, confidence) for action_id, sample in zip(action_ids, aps, strict=True)},
        num_videos,
        confidence,
        num_resamples,
        seed,
    )


def _weight_up_to(ranks: IndexArray, videos: IntArray, weights: IntArray) -> FloatArray:
    """Return the total weight of all detections up to and including each true positive, ``[P, n]``.

    The detections up to each rank are counted by video, and the counts ``[P, V]`` are multiplied by the weights
    ``[V, n]``. That takes P * V counts instead of D * n weights; P is cut into steps to bound memory.
    """
    num_videos = len(weights)
    total = np.zeros((len(ranks), weights.shape[1]))
    carried = np.zeros(num_videos, np.int64)  # [V], detections by video before this step
    begin = 0
    for first in range(0, len(ranks), _RANKS_PER_STEP):
        step = ranks[first : first + _RANKS_PER_STEP]  # [p]
        end = int(step[-1]) + 1
        # The first true positive at or after each detection of this step: the first row of counts that includes it.
        next_tp = np.searchsorted(step, np.arange(begin, end), side="left")
        # Histogram over (next true positive, video), flattened; then cumulative over the true positives.
        counts = np.bincount(next_tp * num_videos + videos[begin:end], minlength=len(step) * num_videos)
        up_to = np.cumsum(counts.reshape(len(step), num_videos), axis=0) + carried  # [p, V]
        total[first : first + len(step)] = up_to.astype(np.float64) @ weights.astype(np.float64)
        carried, begin = up_to[-1], end
    return total


def mean_over_classes(values: FloatArray) -> FloatArray:
    """Average over the classes.

    Args:
        values: float64 ``[C, N]``; NaN is left out.

    Returns:
        float64, at most ``[N]``: draws in which all are NaN are left out.
    """
    is_known = ~np.isnan(values)
    counts = is_known.sum(axis=0)  # [N]
    means: FloatArray = np.where(is_known, values, 0).sum(axis=0)[counts > 0] / counts[counts > 0]
    return means
