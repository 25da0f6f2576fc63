"""Error analysis of tubes, and of boxes measured against tubes: the kinds, costs and groups of ``error_analysis``.

The overlap of tubes is in space and time, so two more oracles tell which of the two costs the score: every detection
with the right span in time, and every detection with the right boxes on the frames that it shares with its tube.

Shapes: D detections, class after class, best first; G tubes or boxes of the ground truth, P people, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ava_detect.evaluation.average_precision import PrecisionRecall
from ava_detect.evaluation.classified_run import ClassifiedRun, Groups, Overlaps
from ava_detect.evaluation.error_analysis import ErrorAnalysis, summarized
from ava_detect.evaluation.frame_map_result import mean_of_known
from ava_detect.evaluation.tube_dialects import area, counting_of, match
from ava_detect.evaluation.tube_items import BoxItems, TubeItems, best_pairs, pairs_of
from ava_detect.evaluation.video_map import ClassItems, VideoMAP, items_of
from ava_detect.evaluation.video_map_result import TubeMetric

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
# Bounds the temporary arrays of pairs of detections and people.
_DETECTIONS_PER_STEP = 1 << 18
# Larger coordinates are pixels.
_LARGEST_FRACTION = 1.5

_SHARES: Groups = ((0.05, "under 5% of the frame"), (0.2, "5 to 20% of the frame"), (np.inf, "over 20% of the frame"))
# COCO's small, medium and large objects.
_PIXELS: Groups = (
    (32.0**2, "up to 32 x 32 pixels"),
    (96.0**2, "up to 96 x 96 pixels"),
    (np.inf, "over 96 x 96 pixels"),
)
_CROWDS: Groups = ((1, "1 person at most"), (2, "2 people"), (3, "3 people"), (np.inf, "4 people or more"))
_LENGTHS: Groups = (
    (15, "up to 15 frames"),
    (40, "16 to 40 frames"),
    (100, "41 to 100 frames"),
    (np.inf, "over 100 frames"),
)
_TUBE_COUNTS: Groups = ((10, "up to 10 tubes"), (100, "11 to 100 tubes"), (np.inf, "over 100 tubes"))
_BOX_COUNTS: Groups = ((1000, "up to 1000 boxes"), (10000, "up to 10000 boxes"), (np.inf, "over 10000 boxes"))


def analyze_tube_errors(metric: VideoMAP, iou_threshold: float = 0.5, kind: TubeMetric = "video") -> ErrorAnalysis:
    """Analyze the errors of detected tubes, or of detected boxes.

    Args:
        metric: The filled metric.
        iou_threshold: Least overlap of a true positive, above 0 and at most 1.
        kind: ``video`` for tubes, ``frame`` for boxes.

    Returns:
        The analysis. People are distinct tubes, and for ``frame`` distinct boxes. For tubes its oracles are also
        ``perfect_time`` and ``perfect_space``; those are matched anew.
    """
    classes = list(items_of(metric, kind))
    joined = TubeItems.joined if kind == "video" else BoxItems.joined
    found, truth = joined([c.found for c in classes]), joined([c.truth for c in classes])
    num_found, num_truth = [len(c.found) for c in classes], [len(c.truth) for c in classes]
    person_of_truth = truth.identities()  # [G]
    # The first tube or box of each person stands for it.
    people = truth.chosen(np.unique(person_of_truth, return_index=True)[1])
    person_iou, person, crowd = _nearest_people(metric, found, people)
    own_iou, own_index, is_tp = _own(metric, classes, iou_threshold)
    overlaps = Overlaps(
        -np.arange(len(found), dtype=np.float64),  # the detections of a class are ordered already
        np.repeat(np.arange(len(classes)), num_found),
        is_tp,
        own_iou,
        own_index,
        person_iou,
        person,
        np.repeat(np.arange(len(classes)), num_truth),
        person_of_truth,
    )
    run = ClassifiedRun(overlaps, len(classes), iou_threshold, partial(area, metric.dialect))
    crowd_of_person = _nearest_people(metric, people, people)[2]  # [P]
    sizes, lengths = truth.areas(), truth.lengths()
    groups = {
        "by_size": run.by_group(sizes, found.areas(), _PIXELS if _is_in_pixels(truth) else _SHARES),
        "by_crowd": run.by_group(crowd_of_person[person_of_truth] if num_truth else crowd, crowd, _CROWDS),
    }
    if kind == "video":
        groups["by_length"] = run.by_group(lengths, found.lengths(), _LENGTHS)
    oracles = _space_and_time(metric, classes, iou_threshold) if kind == "video" else {}
    ids = tuple(c.action.id for c in classes)
    return summarized(run, ids, groups, _TUBE_COUNTS if kind == "video" else _BOX_COUNTS, oracles)


def tube_precision_recall(metric: VideoMAP, iou_threshold: float, kind: TubeMetric) -> dict[int, PrecisionRecall]:
    """Compute the precision-recall curve of each class.

    Args:
        metric: The filled metric.
        iou_threshold: Least overlap of a true positive.
        kind: ``video`` for tubes, ``frame`` for boxes.

    Returns:
        The curves by action id, in the order of the label map.
    """
    curves = {}
    for item in items_of(metric, kind):
        ranks = np.flatnonzero(_own(metric, [item], iou_threshold)[2])
        number, num_gt = np.arange(1, len(ranks) + 1), len(item.truth)
        curves[item.action.id] = PrecisionRecall(number / num_gt if num_gt else np.empty(0), number / (ranks + 1))
    return curves


def _own(
    metric: VideoMAP, classes: Sequence[ClassItems[Any]], threshold: float
) -> tuple[FloatArray, IntArray, npt.NDArray[np.bool_]]:
    """Return overlap with and index of the nearest ground truth of the class of each detection, and the true positives.

    A true positive has the ground truth that it takes, which in ``act`` need not be the one that it overlaps most.
    """
    ious, indices, hits = [np.empty(0)], [np.empty(0, np.int64)], [np.empty(0, np.bool_)]
    first = 0
    for item in classes:
        pairs = pairs_of(item.found.keys, item.truth.keys)
        iou = item.found.overlaps(item.truth, pairs, counting_of(metric.dialect)).iou
        matched = match(metric.dialect, pairs, iou, len(item.found), threshold)
        own_iou, own = np.zeros(len(item.found)), np.full(len(item.found), -1)
        best = best_pairs(pairs, iou)
        own_iou[pairs.detections[best]], own[pairs.detections[best]] = np.nan_to_num(iou[best]), pairs.truths[best]
        is_tp = matched >= 0
        own[is_tp] = matched[is_tp]
        ious.append(own_iou)
        indices.append(np.where(own >= 0, own + first, -1))
        hits.append(is_tp)
        first += len(item.truth)
    return np.concatenate(ious), np.concatenate(indices), np.concatenate(hits)


def _nearest_people(metric: VideoMAP, found: Any, people: Any) -> tuple[FloatArray, IntArray, FloatArray]:
    """Return overlap and index of the nearest person, and the number of people on the same frames, ``[D]`` each."""
    overlap, person, crowd = np.zeros(len(found)), np.full(len(found), -1), np.zeros(len(found))
    for first in range(0, len(found), _DETECTIONS_PER_STEP):
        rows = np.arange(first, min(first + _DETECTIONS_PER_STEP, len(found)))
        part = found.chosen(rows)
        pairs = pairs_of(part.keys, people.keys)
        overlaps = part.overlaps(people, pairs, counting_of(metric.dialect))
        iou = np.nan_to_num(overlaps.iou)
        best = best_pairs(pairs, iou)
        best = best[iou[best] > 0]
        at = rows[pairs.detections[best]]
        overlap[at], person[at] = iou[best], pairs.truths[best]
        crowd[rows] = np.bincount(pairs.detections[overlaps.is_shared], minlength=len(rows))
    return overlap, person, crowd


def _space_and_time(metric: VideoMAP, classes: Sequence[ClassItems[Any]], threshold: float) -> dict[str, float]:
    """Return the mAP with the right spans, and with the right boxes."""
    in_time: list[float] = []
    in_space: list[float] = []
    for item in classes:
        pairs = pairs_of(item.found.keys, item.truth.keys)
        overlaps = item.found.overlaps(item.truth, pairs, counting_of(metric.dialect))
        for values, iou in ((in_time, overlaps.spatial), (in_space, np.maximum(overlaps.temporal, 0))):
            # Only tubes that meet can be set right.
            met = np.where(overlaps.is_shared & (overlaps.spatial > 0), iou, 0.0)
            ranks = np.flatnonzero(match(metric.dialect, pairs, met, len(item.found), threshold) >= 0)
            values.append(area(metric.dialect, ranks, len(item.found), len(item.truth)))
    return {"perfect_time": mean_of_known(in_time), "perfect_space": mean_of_known(in_space)}


def _is_in_pixels(truth: Any) -> bool:
    boxes = truth.stack.boxes if isinstance(truth, TubeItems) else truth.boxes
    return bool(np.nanmax(boxes, initial=0.0) > _LARGEST_FRACTION)
