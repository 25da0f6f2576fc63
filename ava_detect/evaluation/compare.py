"""Bootstrap intervals over videos (``resampling``): of the AP of one run, and of the difference between two runs.

A run is scored on each draw of the videos; two runs are scored on the same draws.

Shapes: R detections, D detections of one class, P true positives among them, K keyframes, V videos, C classes, N draws.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ava_detect.evaluation.average_precision import Ranking
from ava_detect.evaluation.frame_map import FrameMAP, matches_of
from ava_detect.evaluation.frame_map_result import MeanAP, null_if_nan
from ava_detect.evaluation.ground_truth_index import FloatArray
from ava_detect.evaluation.keyframes import video_numbers
from ava_detect.evaluation.matches import Matches
from ava_detect.evaluation.resampling import (
    APIntervals,
    RankedClass,
    Resampler,
    draw_videos,
    envelope_area,
    interval,
    intervals_of,
    mean_over_classes,
)


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

    first: MeanAP
    second: MeanAP
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
    runs = [resampler_of(m, f.iou_threshold, columns) for m, f in zip(matches, (first, second), strict=True)]
    if not np.array_equal(runs[0].num_gt, runs[1].num_gt):
        raise ValueError("the two runs are scored against different ground truth; give both the same files")
    results = first.compute(), second.compute()
    return comparison_of(results, runs, num_resamples=num_resamples, confidence=confidence, seed=seed)


def comparison_of(
    results: tuple[MeanAP, MeanAP],
    runs: Sequence[Resampler],
    *,
    num_resamples: int,
    confidence: float,
    seed: int,
) -> Comparison:
    """Compare two results on the same draws of their videos.

    Args:
        results: The results.
        runs: The two runs; their columns are the same videos.
        num_resamples: Number of bootstrap draws.
        confidence: Share of the draws that the intervals cover, between 0 and 1.
        seed: Seed of the draws.

    Returns:
        Both results and the intervals of their differences.
    """
    draws = draw_videos(runs[0].num_gt.shape[1], num_resamples, seed)  # [V, N]
    differences = runs[1].resampled(draws) - runs[0].resampled(draws)  # [C, N]
    mean_differences = mean_over_classes(differences)  # at most [N]

    def difference(value: float, sample: FloatArray) -> Difference:
        ends = interval(sample, confidence)
        return Difference(value, ends.low, ends.high)

    return Comparison(
        *results,
        difference(results[1].mAP - results[0].mAP, mean_differences),
        {
            action_id: difference(
                results[1].per_class[action_id].ap - results[0].per_class[action_id].ap, differences[row]
            )
            for row, action_id in enumerate(results[0].per_class)
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
    columns = {video: column for column, video in enumerate(sorted(_scored_videos(matches)))}
    resampler = resampler_of(matches, metric.iou_threshold, columns)
    return intervals_of(resampler, metric.label_map.ids, num_resamples=num_resamples, confidence=confidence, seed=seed)


def resampler_of(matches: Matches, iou_threshold: float, columns: Mapping[str, int]) -> Resampler:
    """Prepare one run for draws of its videos.

    Args:
        matches: Its matches.
        iou_threshold: Least IoU of a true positive.
        columns: The column, 0 to V - 1, of each video that takes part.

    Returns:
        The resampler.
    """
    # -1 for videos of rows that take no part; no counted row refers to them.
    column_of_video = np.array([columns.get(video, -1) for video in matches.video_ids], np.int64)
    column_of_keyframe = column_of_video[video_numbers(matches.keys)]  # [K]
    is_tp = matches.true_positives(iou_threshold)  # [R]
    truth, found = matches.truth, matches.detections
    num_gt = np.zeros((truth.num_classes, len(columns)), np.int64)
    np.add.at(num_gt, (truth.classes, column_of_keyframe[truth.keyframes]), 1)
    ranked = []
    for rows in matches.by_class():
        # The detections of the class, best first, and the ranks of the P true positives among them.
        best_first = rows[Ranking(found.scores[rows]).order]  # [D]
        videos = column_of_keyframe[found.keyframes_of(best_first)]  # [D]
        ranked.append(RankedClass(videos, np.flatnonzero(is_tp[best_first])))
    return Resampler(ranked, num_gt, envelope_area)


def _scored_videos(matches: Matches) -> set[str]:
    """Return the ids of the videos that have ground truth or detections that take part."""
    numbers = video_numbers(matches.keys)  # [K]
    used = np.union1d(numbers[matches.truth.keyframes], numbers[matches.detections.keyframes_of(matches.counted)])
    return {matches.video_ids[number] for number in used.tolist()}


def _points(difference: Difference) -> str:
    """Format a difference and its interval in points of AP."""
    return f"{100 * difference.value:+.2f} [{100 * difference.low:+.2f}, {100 * difference.high:+.2f}]"


def _as_json(difference: Difference) -> dict[str, float | None]:
    return {name: null_if_nan(getattr(difference, name)) for name in ("value", "low", "high")}
