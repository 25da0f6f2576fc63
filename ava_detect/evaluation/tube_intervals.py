"""Bootstrap intervals over videos of video-mAP and of frame-mAP of tubes, and of the difference of two runs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ava_detect.evaluation.compare import Comparison, comparison_of
from ava_detect.evaluation.keyframes import IntArray
from ava_detect.evaluation.resampling import (
    APIntervals,
    RankedClass,
    Resampler,
    envelope_area,
    intervals_of,
    trapezoid_areas,
)
from ava_detect.evaluation.tube_dialects import counting_of, match
from ava_detect.evaluation.tube_items import NOT_MEASURED, pairs_of
from ava_detect.evaluation.video_map import VideoMAP, items_of
from ava_detect.evaluation.video_map_result import TubeMetric


def tube_intervals(
    metric: VideoMAP,
    iou_threshold: float = 0.5,
    kind: TubeMetric = "video",
    *,
    num_resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> APIntervals:
    """Compute bootstrap intervals over videos of the mAP and of each class's AP.

    Args:
        metric: The filled metric.
        iou_threshold: Least overlap of a true positive, above 0 and at most 1.
        kind: ``video`` for tubes, ``frame`` for boxes.
        num_resamples: Number of bootstrap draws.
        confidence: Share of the draws that the intervals cover, between 0 and 1.
        seed: Seed of the draws.

    Returns:
        The intervals.
    """
    ids = [item.action.id for item in items_of(metric, kind)]
    ranked = _ranked(metric, iou_threshold, kind)
    resampler = _resampler(metric, ranked, _has_others(metric, ranked))
    return intervals_of(resampler, ids, num_resamples=num_resamples, confidence=confidence, seed=seed)


def compare_tubes(
    first: VideoMAP,
    second: VideoMAP,
    iou_threshold: float = 0.5,
    kind: TubeMetric = "video",
    *,
    num_resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Comparison:
    """Compare two filled metrics with the same ground truth, classes and dialect.

    Args:
        first: The run to compare with.
        second: The run whose gain or loss is measured.
        iou_threshold: Least overlap of a true positive, above 0 and at most 1.
        kind: ``video`` for tubes, ``frame`` for boxes.
        num_resamples: Number of bootstrap draws.
        confidence: Share of the draws that the intervals cover, between 0 and 1.
        seed: Seed of the draws.

    Returns:
        Both results and the intervals of their differences.
    """
    metrics = first, second
    results = [metric.compute_at((iou_threshold,), kind)[0] for metric in metrics]
    ranked = [_ranked(metric, iou_threshold, kind) for metric in metrics]
    has_others = any(map(_has_others, metrics, ranked))
    runs = [_resampler(metric, of_run, has_others) for metric, of_run in zip(metrics, ranked, strict=True)]
    return comparison_of((results[0], results[1]), runs, num_resamples=num_resamples, confidence=confidence, seed=seed)


def _ranked(metric: VideoMAP, iou_threshold: float, kind: TubeMetric) -> list[tuple[RankedClass, IntArray]]:
    """Rank the detections of each class, and count its ground truth in each video.

    Detections in videos that are not measured share a column of their own, the last.
    """
    ranked = []
    for item in items_of(metric, kind):
        pairs = pairs_of(item.found.keys, item.truth.keys)
        iou = item.found.overlaps(item.truth, pairs, counting_of(metric.dialect)).iou
        is_tp = match(metric.dialect, pairs, iou, len(item.found), iou_threshold) >= 0
        videos = np.where(item.found.videos == NOT_MEASURED, metric.num_videos, item.found.videos)
        num_gt = np.bincount(item.truth.videos, minlength=metric.num_videos + 1)
        ranked.append((RankedClass(videos, np.flatnonzero(is_tp)), num_gt))
    return ranked


def _has_others(metric: VideoMAP, ranked: Sequence[tuple[RankedClass, IntArray]]) -> bool:
    """Tell whether any detection is in a video that is not measured."""
    return any(bool((of_class.videos == metric.num_videos).any()) for of_class, _ in ranked)


def _resampler(metric: VideoMAP, ranked: Sequence[tuple[RankedClass, IntArray]], has_others: bool) -> Resampler:
    num_columns = metric.num_videos + has_others
    counts = np.array([num_gt[:num_columns] for _, num_gt in ranked], np.int64).reshape(len(ranked), num_columns)
    classes = [of_class for of_class, _ in ranked]
    if metric.dialect == "act":
        return Resampler(classes, counts, trapezoid_areas, absent=0.0)
    return Resampler(classes, counts, envelope_area, absent=math.nan)
