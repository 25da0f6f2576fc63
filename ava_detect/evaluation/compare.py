"""Is one run better than another, or is it the choice of videos? Bootstrap intervals of AP and of differences.

Keyframes of one video look alike, so it is videos that are drawn again, with replacement, and a run is scored on
each draw, or both runs on the same draws (Efron & Tibshirani, "An Introduction to the Bootstrap", 1993). The interval
says how far the number would move with other videos of the same kind; it says nothing of another training run with
another seed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ava_detect.evaluation.average_precision import Ranking
from ava_detect.evaluation.frame_map import FrameMAP
from ava_detect.evaluation.frame_map_result import FrameMAPResult, null_if_nan
from ava_detect.evaluation.keyframes import IntArray, video_numbers
from ava_detect.evaluation.matches import Matches
from ava_detect.evaluation.matching import FloatArray, IndexArray

_DRAWS_PER_STEP = 64
_RANKS_PER_STEP = 4096


@dataclass(frozen=True)
class Interval:
    """The middle ``confidence`` of the draws, from ``low`` to ``high``; NaN where there is no ground truth."""

    low: float
    high: float


@dataclass(frozen=True)
class APIntervals:
    """How far the AP of one run, 0..1, moves with the choice of its ``num_videos`` videos."""

    mAP: Interval  # noqa: N815 (the name that the field uses)
    per_class: Mapping[int, Interval]
    num_videos: int
    confidence: float
    num_resamples: int
    seed: int


@dataclass(frozen=True)
class Difference:
    """Second run minus first, and the ends of its interval; NaN where there is no ground truth."""

    value: float
    low: float
    high: float

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Comparison:
    """Two runs on the same ground truth.

    ``share_better``: the share of draws in which the second run has the higher mAP.
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
        """The outcome in one line, AP in points."""
        return (
            f"mAP {100 * self.first.mAP:.2f} -> {100 * self.second.mAP:.2f}: {_points(self.mAP)} "
            f"({self.confidence:.0%} interval over videos); better in {self.share_better:.0%} of "
            f"{self.num_resamples} draws"
        )

    def __str__(self) -> str:
        """The classes by the size of their difference, clear ones marked, and the summary."""
        known = [(i, d) for i, d in self.per_class.items() if not math.isnan(d.value)]
        known.sort(key=lambda item: item[1].value)
        lines = [
            f"{i:4d}  {self.first.per_class[i].name:<40.40} {100 * self.first.per_class[i].ap:6.2f} -> "
            f"{100 * self.second.per_class[i].ap:6.2f}  {_points(d)}{' *' if d.is_clear else ''}"
            for i, d in known
        ]
        return "\n".join([*lines, "", self.summary()])

    def to_json(self) -> dict[str, Any]:
        """A dict for ``json.dumps``; NaN is None."""
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
    """Compare two filled metrics on the videos that they share.

    Raises ``ValueError`` when they differ in label map, dialect, threshold or ground truth.
    """
    if (first.label_map, first.dialect, first.iou_threshold) != (
        second.label_map,
        second.dialect,
        second.iou_threshold,
    ):
        raise ValueError("the two runs must be scored with the same label map, dialect and iou_threshold")
    matches = first.match(), second.match()
    videos = sorted({video for m in matches for video in _videos_taking_part(m)})
    places = {video: place for place, video in enumerate(videos)}
    runs = [_Resampler(m, f.iou_threshold, places) for m, f in zip(matches, (first, second), strict=True)]
    if not np.array_equal(runs[0].num_gt, runs[1].num_gt):
        raise ValueError("the two runs are scored against different ground truth; give both the same files")
    draws = _draws(len(videos), num_resamples, seed)
    differences = runs[1].resampled(draws) - runs[0].resampled(draws)
    means = _mean_of_known(differences)
    results = first.compute(), second.compute()

    def difference(value: float, sample: FloatArray) -> Difference:
        interval = _interval(sample, confidence)
        return Difference(value, interval.low, interval.high)

    return Comparison(
        *results,
        difference(results[1].mAP - results[0].mAP, means),
        {
            i: difference(results[1].per_class[i].ap - results[0].per_class[i].ap, differences[place])
            for place, i in enumerate(first.label_map.ids)
        },
        float(np.mean(means > 0)) if means.size else math.nan,
        confidence,
        num_resamples,
        seed,
    )


def ap_intervals(
    metric: FrameMAP, *, num_resamples: int = 1000, confidence: float = 0.95, seed: int = 0
) -> APIntervals:
    """Bootstrap intervals over videos of the mAP and of each class's AP of one filled metric."""
    matches = metric.match()
    videos = sorted(_videos_taking_part(matches))
    resampler = _Resampler(matches, metric.iou_threshold, {video: place for place, video in enumerate(videos)})
    aps = resampler.resampled(_draws(len(videos), num_resamples, seed))
    return APIntervals(
        _interval(_mean_of_known(aps), confidence),
        {i: _interval(sample, confidence) for i, sample in zip(metric.label_map.ids, aps, strict=True)},
        len(videos),
        confidence,
        num_resamples,
        seed,
    )


def _draws(num_videos: int, num_resamples: int, seed: int) -> IntArray:
    """How often each video is in each draw, ``[V, draws]``."""
    if not num_videos:
        return np.zeros((0, num_resamples), np.int64)
    return np.random.default_rng(seed).multinomial(num_videos, [1 / num_videos] * num_videos, num_resamples).T


def _interval(sample: FloatArray, confidence: float) -> Interval:
    known = sample[~np.isnan(sample)]
    tail = (1 - confidence) / 2
    return Interval(*np.quantile(known, [tail, 1 - tail]).tolist()) if known.size else Interval(math.nan, math.nan)


class _Resampler:
    """AP of one run under any weights of the videos, from what each video adds before each true positive."""

    def __init__(self, matches: Matches, iou_threshold: float, places: Mapping[str, int]) -> None:
        place_of = np.array([places.get(video, -1) for video in matches.video_ids], np.int64)
        self._matches = matches
        self._is_tp = matches.true_positives(iou_threshold)
        self._video_of_keyframe = place_of[video_numbers(matches.keys)]
        #: Ground-truth boxes per class and video, [C, V].
        self.num_gt = np.zeros((matches.truth.num_classes, len(places)), np.int64)
        np.add.at(self.num_gt, (matches.truth.classes, self._video_of_keyframe[matches.truth.keyframes]), 1)

    def resampled(self, weights: IntArray) -> FloatArray:
        """AP ``[C, draws]`` for weights ``[V, draws]``; NaN where a draw has no ground truth of the class."""
        per_class = [
            self._resampled(rows, num_gt @ weights, weights)
            for rows, num_gt in zip(self._matches.by_class(), self.num_gt, strict=True)
        ]
        return np.array(per_class).reshape(len(per_class), weights.shape[1])

    def _resampled(self, rows: IndexArray, num_gt: IntArray, weights: IntArray) -> FloatArray:
        if not num_gt.any():
            return np.full(len(num_gt), np.nan)
        ranked = rows[Ranking(self._matches.detections.scores[rows]).order]
        videos = self._video_of_keyframe[self._matches.detections.keyframes_of(ranked)]
        ranks = np.flatnonzero(self._is_tp[ranked])
        aps = np.empty(len(num_gt))
        for begin in range(0, len(num_gt), _DRAWS_PER_STEP):
            step = slice(begin, begin + _DRAWS_PER_STEP)
            before = _weight_up_to(ranks, videos, weights[:, step])
            own = weights[videos[ranks], step]
            with np.errstate(divide="ignore", invalid="ignore"):
                # A video that a draw leaves out adds nothing: its true positives weigh 0.
                precision = np.where(own > 0, np.cumsum(own, axis=0) / before, 0)
                envelope = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
                aps[step] = np.where(num_gt[step] > 0, (own * envelope).sum(axis=0) / num_gt[step], np.nan)
        return aps


def _weight_up_to(ranks: IndexArray, videos: IntArray, weights: IntArray) -> FloatArray:
    """The weight of all detections up to each of ``ranks`` ``[P]``, ``[P, draws]``.

    Detections between two true positives are counted by video once, and weighed by a product of matrices.
    """
    num_videos = len(weights)
    total = np.zeros((len(ranks), weights.shape[1]))
    carried = np.zeros(num_videos, np.int64)
    begin = 0
    for first in range(0, len(ranks), _RANKS_PER_STEP):
        step = ranks[first : first + _RANKS_PER_STEP]
        end = int(step[-1]) + 1
        gap = np.searchsorted(step, np.arange(begin, end), side="left")
        counts = np.bincount(gap * num_videos + videos[begin:end], minlength=len(step) * num_videos)
        up_to = np.cumsum(counts.reshape(len(step), num_videos), axis=0) + carried
        total[first : first + len(step)] = up_to.astype(np.float64) @ weights.astype(np.float64)
        carried, begin = up_to[-1], end
    return total


def _videos_taking_part(matches: Matches) -> set[str]:
    numbers = video_numbers(matches.keys)
    used = np.union1d(numbers[matches.truth.keyframes], numbers[matches.detections.keyframes_of(matches.counted)])
    return {matches.video_ids[number] for number in used.tolist()}


def _mean_of_known(values: FloatArray) -> FloatArray:
    """The mean over classes ``[C, draws]`` of what is not NaN; draws without any are left out."""
    known = ~np.isnan(values)
    counts = known.sum(axis=0)
    means: FloatArray = np.where(known, values, 0).sum(axis=0)[counts > 0] / counts[counts > 0]
    return means


def _points(difference: Difference) -> str:
    return f"{100 * difference.value:+.2f} [{100 * difference.low:+.2f}, {100 * difference.high:+.2f}]"


def _as_json(difference: Difference) -> dict[str, float | None]:
    return {name: null_if_nan(getattr(difference, name)) for name in ("value", "low", "high")}
