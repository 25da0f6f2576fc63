"""Bootstrap intervals over videos: of the AP of one run, and of the difference between two runs.

Keyframes of one video look alike, so videos are drawn with replacement, not keyframes. A run is scored on each draw;
two runs are scored on the same draws (Efron & Tibshirani, "An Introduction to the Bootstrap", 1993). The interval
tells how far the number would move with other videos of the same kind. It does not cover the variance of training
runs with other seeds.

Shapes: R detections, D detections of one class, P true positives among them, K keyframes, V videos, C classes, N draws.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ava_detect.evaluation.average_precision import Ranking
from ava_detect.evaluation.frame_map import FrameMAP, matches_of
from ava_detect.evaluation.frame_map_result import FrameMAPResult, null_if_nan
from ava_detect.evaluation.ground_truth_index import FloatArray, IndexArray
from ava_detect.evaluation.keyframes import IntArray, video_numbers
from ava_detect.evaluation.matches import Matches

# They bound the temporary arrays: [P, draws] floats and [ranks, V] counts.
_DRAWS_PER_STEP = 64
_RANKS_PER_STEP = 4096


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


@dataclass(frozen=True)
class Difference:
    """AP of the second run minus AP of the first; NaN where there is no ground truth.

    Attributes:
        value: The difference on all videos, -1..1.
        low: Lower end of its bootstrap interval.
        high: Upper end of its bootstrap interval.
    """

    value: float
    low: float
    high: float

    @property
    def is_clear(self) -> bool:
        """Whether the interval does not contain 0."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Comparison:
    """Two runs on the same ground truth.

    Attributes:
        first: Result of the first run.
        second: Result of the second run.
        mAP: Difference of the mAP.
        per_class: Difference of each class's AP, by action id.
        share_better: Share of the draws in which the second run has the higher mAP, 0..1.
        confidence: Share of the draws that the intervals cover, between 0 and 1.
        num_resamples: Number of draws.
        seed: Seed of the draws.
    """

    first: FrameMAPResult
    second: FrameMAPResult
    mAP: Difference  # noqa: N815 (the name that the field uses)
    per_class: Mapping[int, Difference]
    share_better: float
    confidence: float
    num_resamples: int
    seed: int

    def summary(self) -> str:
        """Return the comparison in one line.

        Returns:
            Both mAPs, their difference and its interval, in percent.
        """
        return (
            f"mAP {100 * self.first.mAP:.2f} -> {100 * self.second.mAP:.2f}: {_points(self.mAP)} "
            f"({self.confidence:.0%} interval over videos); better in {self.share_better:.0%} of "
            f"{self.num_resamples} draws"
        )

    def __str__(self) -> str:
        """Return the classes in ascending order of their difference, clear ones marked with *, and the summary."""
        known = [(i, d) for i, d in self.per_class.items() if not math.isnan(d.value)]
        known.sort(key=lambda item: item[1].value)
        lines = [
            f"{i:4d}  {self.first.per_class[i].name:<40.40} {100 * self.first.per_class[i].ap:6.2f} -> "
            f"{100 * self.second.per_class[i].ap:6.2f}  {_points(d)}{' *' if d.is_clear else ''}"
            for i, d in known
        ]
        return "\n".join([*lines, "", self.summary()])

    def to_json(self) -> dict[str, Any]:
        """Return a dict for ``json.dumps``.

        Returns:
            Both mAPs, the differences with their intervals, and the settings of the draws; None for NaN.
        """
        return {
            "mAP_first": null_if_nan(self.first.mAP),
            "mAP_second": null_if_nan(self.second.mAP),
            "difference": _as_json(self.mAP),
            "share_better": null_if_nan(self.share_better),
            "confidence": self.confidence,
            "num_resamples": self.num_resamples,
            "seed": self.seed,
            "per_class": {
                str(i): {"name": self.first.per_class[i].name, **_as_json(d)} for i, d in self.per_class.items()
            },
        }


def compare(
    first: FrameMAP, second: FrameMAP, *, num_resamples: int = 1000, confidence: float = 0.95, seed: int = 0
) -> Comparison:
    """Compare two filled metrics on the same ground truth.

    Args:
        first: The run to compare with.
        second: The run whose gain or loss is measured.
        num_resamples: Number of bootstrap draws.
        confidence: Share of the draws that the intervals cover, between 0 and 1.
        seed: Seed of the draws.

    Returns:
        Both results and the intervals of their differences.

    Raises:
        ValueError: The metrics differ in label map, dialect, threshold or ground truth.
    """
    if (first.label_map, first.dialect, first.iou_threshold) != (
        second.label_map,
        second.dialect,
        second.iou_threshold,
    ):
        raise ValueError("the two runs must be scored with the same label map, dialect and iou_threshold")
    matches = matches_of(first), matches_of(second)
    # Videos get the same columns in both runs, so that both are scored on the same draws.
    videos = sorted({video for m in matches for video in _scored_videos(m)})
    columns = {video: column for column, video in enumerate(videos)}
    runs = [_Resampler(m, f.iou_threshold, columns) for m, f in zip(matches, (first, second), strict=True)]
    if not np.array_equal(runs[0].num_gt, runs[1].num_gt):
        raise ValueError("the two runs are scored against different ground truth; give both the same files")
    draws = _draw_videos(len(videos), num_resamples, seed)  # [V, N]
    differences = runs[1].resampled(draws) - runs[0].resampled(draws)  # [C, N]
    mean_differences = _mean_over_classes(differences)  # at most [N]
    results = first.compute(), second.compute()

    def difference(value: float, sample: FloatArray) -> Difference:
        interval = _interval(sample, confidence)
        return Difference(value, interval.low, interval.high)

    return Comparison(
        *results,
        difference(results[1].mAP - results[0].mAP, mean_differences),
        {
            action_id: difference(
                results[1].per_class[action_id].ap - results[0].per_class[action_id].ap, differences[row]
            )
            for row, action_id in enumerate(first.label_map.ids)
        },
        float(np.mean(mean_differences > 0)) if mean_differences.size else math.nan,
        confidence,
        num_resamples,
        seed,
    )


def ap_intervals(
    metric: FrameMAP, *, num_resamples: int = 1000, confidence: float = 0.95, seed: int = 0
) -> APIntervals:
    """Compute bootstrap intervals over videos of the mAP and of each class's AP.

    Args:
        metric: The filled metric.
        num_resamples: Number of bootstrap draws.
        confidence: Share of the draws that the intervals cover, between 0 and 1.
        seed: Seed of the draws.

    Returns:
        The intervals, at the metric's IoU threshold.
    """
    matches = matches_of(metric)
    videos = sorted(_scored_videos(matches))
    resampler = _Resampler(matches, metric.iou_threshold, {video: column for column, video in enumerate(videos)})
    aps = resampler.resampled(_draw_videos(len(videos), num_resamples, seed))  # [C, N]
    return APIntervals(
        _interval(_mean_over_classes(aps), confidence),
        {action_id: _interval(sample, confidence) for action_id, sample in zip(metric.label_map.ids, aps, strict=True)},
        len(videos),
        confidence,
        num_resamples,
        seed,
    )


def _draw_videos(num_videos: int, num_resamples: int, seed: int) -> IntArray:
    """Draw V of V videos with replacement, N times; return how often each video is in each draw, ``[V, N]``."""
    if not num_videos:
        return np.zeros((0, num_resamples), np.int64)
    return np.random.default_rng(seed).multinomial(num_videos, [1 / num_videos] * num_videos, num_resamples).T


def _interval(sample: FloatArray, confidence: float) -> Interval:
    """Return the central interval of a sample ``[N]``, NaN left out."""
    known = sample[~np.isnan(sample)]
    tail = (1 - confidence) / 2
    return Interval(*np.quantile(known, [tail, 1 - tail]).tolist()) if known.size else Interval(math.nan, math.nan)


class _Resampler:
    """AP of one run under any weights of the videos, without matching or sorting again.

    A draw that has a video w times has each of its detections and boxes w times. So ranks and counts of the drawn data
    are weighted sums over the detections of the full data, and the order by score stays.

    Attributes:
        num_gt: int64 ``[C, V]``, number of ground-truth boxes of each class in each video.
    """

    def __init__(self, matches: Matches, iou_threshold: float, columns: Mapping[str, int]) -> None:
        """Prepare one run.

        Args:
            matches: Its matches.
            iou_threshold: Least IoU of a true positive.
            columns: The column, 0 to V - 1, of each video that takes part.
        """
        # -1 for videos of rows that take no part; no counted row refers to them.
        column_of_video = np.array([columns.get(video, -1) for video in matches.video_ids], np.int64)
        self._matches = matches
        self._is_tp = matches.true_positives(iou_threshold)  # [R]
        self._column_of_keyframe = column_of_video[video_numbers(matches.keys)]  # [K]
        truth = matches.truth
        self.num_gt = np.zeros((truth.num_classes, len(columns)), np.int64)
        np.add.at(self.num_gt, (truth.classes, self._column_of_keyframe[truth.keyframes]), 1)

    def resampled(self, weights: IntArray) -> FloatArray:
        """Compute the AP of each class on each draw.

        Args:
            weights: int64 ``[V, N]``, how often each draw has each video.

        Returns:
            float64 ``[C, N]``; NaN where a draw has no ground truth of the class.
        """
        per_class = [
            self._resampled_of_class(rows, num_gt @ weights, weights)
            for rows, num_gt in zip(self._matches.by_class(), self.num_gt, strict=True)
        ]
        return np.array(per_class).reshape(len(per_class), weights.shape[1])

    def _resampled_of_class(self, rows: IndexArray, num_gt: IntArray, weights: IntArray) -> FloatArray:
        """Return the AP ``[N]`` of one class from its detections and its number of boxes in each draw ``[N]``."""
        if not num_gt.any():
            return np.full(len(num_gt), np.nan)
        # The detections of the class, best first, and the ranks of the P true positives among them.
        ranked = rows[Ranking(self._matches.detections.scores[rows]).order]  # [D]
        videos = self._column_of_keyframe[self._matches.detections.keyframes_of(ranked)]  # [D]
        ranks = np.flatnonzero(self._is_tp[ranked])  # [P]
        aps = np.empty(len(num_gt))
        for begin in range(0, len(num_gt), _DRAWS_PER_STEP):
            step = slice(begin, begin + _DRAWS_PER_STEP)  # n draws
            # Each true positive counts as often as its video was drawn.
            tp_weights = weights[videos[ranks], step]  # [P, n]
            num_ranked = _weight_up_to(ranks, videos, weights[:, step])  # [P, n]
            with np.errstate(divide="ignore", invalid="ignore"):
                # Precision at each true positive = true positives so far / detections so far. A true positive of a
                # video that is not in the draw gets 0, and its weight of 0 adds nothing below.
                precision = np.where(tp_weights > 0, np.cumsum(tp_weights, axis=0) / num_ranked, 0)
                # Monotone from the right, then the area: recall rises by weight / num_gt.
                envelope = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
                area = (tp_weights * envelope).sum(axis=0) / num_gt[step]  # [n]
                aps[step] = np.where(num_gt[step] > 0, area, np.nan)
        return aps


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


def _scored_videos(matches: Matches) -> set[str]:
    """Return the ids of the videos that have ground truth or detections that take part."""
    numbers = video_numbers(matches.keys)  # [K]
    used = np.union1d(numbers[matches.truth.keyframes], numbers[matches.detections.keyframes_of(matches.counted)])
    return {matches.video_ids[number] for number in used.tolist()}


def _mean_over_classes(values: FloatArray) -> FloatArray:
    """Return the mean over the classes of ``[C, N]`` that are not NaN; draws in which all are NaN are left out."""
    is_known = ~np.isnan(values)
    counts = is_known.sum(axis=0)  # [N]
    means: FloatArray = np.where(is_known, values, 0).sum(axis=0)[counts > 0] / counts[counts > 0]
    return means


def _points(difference: Difference) -> str:
    """Format a difference and its interval in points of AP."""
    return f"{100 * difference.value:+.2f} [{100 * difference.low:+.2f}, {100 * difference.high:+.2f}]"


def _as_json(difference: Difference) -> dict[str, float | None]:
    return {name: null_if_nan(getattr(difference, name)) for name in ("value", "low", "high")}
