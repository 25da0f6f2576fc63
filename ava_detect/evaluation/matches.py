"""From all rows of an evaluation to who took part and which box each detection overlaps most."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ava_detect.evaluation.keyframes import Int32Array, IntArray, Runs, enumerate_keys, starts_run
from ava_detect.evaluation.matching import (
    BoolArray,
    FloatArray,
    GroundTruthIndex,
    IndexArray,
    first_claims,
    heap_order,
    keep_best,
)
from ava_detect.evaluation.results import Dialect
from ava_detect.evaluation.rows import ClassArray, DetectionRows, GroundTruthRows, Pieces, RowCollector

_ROWS_PER_STEP = 1 << 19
CAP = 50  # detections per keyframe that the official evaluator keeps


@dataclass(frozen=True, eq=False)
class Matches:
    """R detections, G ground-truth boxes, K keyframes.

    ``keys``: int64 ``[K]``, whose video numbers are places in ``video_ids``. ``keyframes``, ``classes``, ``scores``,
    ``boxes``: ``[R]``, in the order of arrival; keyframes are places in ``keys``, classes in the label map.
    ``counted``: the detections that take part, grouped by keyframe, in the order in which keyframes and, on each,
    rows arrived (but see ``_ties_in_heap_order``). ``truth``: the ground truth that takes part.
    ``overlapping``: the detections among ``counted`` that overlap a box of their class, with ``iou`` and ``box`` (a
    place in ``truth.boxes``) of the one that they overlap most.
    """

    dialect: Dialect
    video_ids: tuple[str, ...]
    keys: IntArray
    keyframes: Int32Array
    classes: ClassArray
    scores: FloatArray
    boxes: Pieces
    counted: IndexArray
    truth: GroundTruthIndex
    overlapping: IndexArray
    iou: FloatArray
    box: Int32Array
    num_keyframes: int
    ignored: dict[str, int]

    def true_positives(self, iou_threshold: float) -> BoolArray:
        """Bool ``[R]``: the detections that get the box that they overlap most, it being enough."""
        enough = self.iou >= iou_threshold
        rows = self.overlapping[enough]
        # PySlowFast matches in the order of the file, the official script best score first.
        scores = None if self.dialect == "pyslowfast" else self.scores[rows]
        is_tp = np.zeros(len(self.scores), np.bool_)
        is_tp[rows[first_claims(self.box[enough], scores)]] = True
        return is_tp

    def by_class(self) -> Iterator[IndexArray]:
        """The counted detections of each class of the label map, in their order, class after class."""
        # Class and position as one whole number, sorted in place: an argsort would hold three such arrays.
        packed = np.empty(len(self.counted), np.int64)
        for begin in range(0, len(packed), _ROWS_PER_STEP):
            rows = self.counted[begin : begin + _ROWS_PER_STEP]
            positions = np.arange(begin, begin + len(rows))
            packed[begin : begin + len(rows)] = (self.classes[rows].astype(np.int64) << 32) | positions
        packed.sort()
        bounds = np.searchsorted(packed, np.arange(self.truth.num_classes + 1) << 32)
        for first, end in itertools.pairwise(bounds):
            yield self.counted[packed[first:end] & 0xFFFFFFFF]


def match(rows: RowCollector, excluded: IntArray, dialect: Dialect, action_ids: IntArray) -> Matches:
    """Drop what takes no part, cap the keyframes, and find the best overlap of every detection that is left.

    ``excluded``: keys of keyframes to drop. ``action_ids``: int64 ``[C]``, the ids of the classes.
    """
    detections, ground_truth = rows.detections, rows.ground_truth
    runs, truth_runs, listed = (
        Runs.joined(parts) for parts in (detections.runs, ground_truth.runs, ground_truth.listed)
    )
    keys, places = enumerate_keys(np.concatenate([runs.keys, truth_runs.keys, listed.keys]))
    run_place, truth_place, listed_place = np.split(places, np.cumsum([len(runs), len(truth_runs)]))
    is_excluded = np.isin(keys, excluded)
    is_open = ~is_excluded
    ignored = {
        "ground_truth_of_other_actions": ground_truth.num_others,
        "detections_of_other_actions": detections.num_others,
        "ground_truth_on_excluded_keyframes": int(truth_runs.lengths[is_excluded[truth_place]].sum()),
        "detections_on_excluded_keyframes": int(runs.lengths[is_excluded[run_place]].sum()),
    }
    if dialect == "official":
        is_listed = np.zeros(len(keys), np.bool_)
        is_listed[listed_place] = True
        is_open &= is_listed
        is_unlisted = ~is_listed & ~is_excluded
        ignored["detections_on_unlisted_keyframes"] = int(runs.lengths[is_unlisted[run_place]].sum())
    keyframes = np.repeat(run_place, runs.lengths)
    counted = _grouped(run_place, runs.lengths, keyframes, is_open)
    if dialect == "official":
        num_before = len(counted)
        counted = counted[_within_cap(keyframes, counted, detections, action_ids)]
        ignored["detections_over_the_cap"] = num_before - len(counted)
    num_before = len(counted)
    has_area = detections.boxes.map(_has_area)
    counted = counted[has_area[counted]]
    ignored["detections_with_empty_boxes"] = num_before - len(counted)
    truth = _truth_index(ground_truth, np.repeat(truth_place, truth_runs.lengths), is_open, len(action_ids))
    if dialect == "official":
        counted = _ties_in_heap_order(keyframes, counted, has_area, truth, detections, action_ids)
    overlapping, iou, box = _overlaps(truth, keyframes, counted, detections)
    return Matches(
        dialect,
        rows.video_ids,
        keys,
        keyframes,
        detections.classes.joined(),
        detections.scores.joined(),
        detections.boxes,
        counted,
        truth,
        overlapping,
        iou,
        box,
        int(np.count_nonzero(is_open)),
        ignored,
    )


def _grouped(run_place: Int32Array, lengths: IntArray, keyframes: Int32Array, is_open: BoolArray) -> IndexArray:
    """The detections on open keyframes, grouped by keyframe; within one, in order of arrival."""
    rows = np.flatnonzero(np.repeat(is_open[run_place], lengths))
    if (run_place[1:] >= run_place[:-1]).all():  # as in nearly every file
        return rows
    return rows[np.argsort(keyframes[rows], kind="stable")]


def _within_cap(keyframes: Int32Array, rows: IndexArray, detections: DetectionRows, action_ids: IntArray) -> BoolArray:
    """Which of the detections ``rows``, grouped by keyframe, the official cap leaves."""
    places, scores, classes = keyframes[rows], detections.scores.joined(), detections.classes.joined()
    # Steps of whole keyframes: the temporary arrays stay small, and in the cache.
    cuts = np.unique(np.searchsorted(places, places[_ROWS_PER_STEP::_ROWS_PER_STEP]))
    kept = []
    for step in np.split(rows, cuts):

        def action_and_box(chosen: IndexArray, step: IndexArray = step) -> tuple[npt.NDArray[Any], ...]:
            x1, y1, x2, y2 = detections.boxes.take(step[chosen]).T
            return x2, y2, x1, y1, action_ids[classes[step[chosen]]]

        kept.append(keep_best(keyframes[step], scores[step], CAP, action_and_box))
    return np.concatenate(kept)


def _ties_in_heap_order(
    keyframes: Int32Array,
    counted: IndexArray,
    has_area: BoolArray,
    truth: GroundTruthIndex,
    detections: DetectionRows,
    action_ids: IntArray,
) -> IndexArray:
    """``counted``, reordered on the keyframes where the official heap's order decides who gets a box.

    That is where detections of one class with one score meet its ground truth. They are few, so their keyframes are
    replayed one by one: 69 of 50,029 in a full validation set with scores of four decimals (measured 2026-11-22 on
    the set of ``tests/evaluation/conftest.py``).
    """
    scores, classes = detections.scores.joined(), detections.classes.joined()
    rivals = _with_candidates(truth, keyframes, classes, counted)
    cells, of_rivals = truth.cells(keyframes[rivals], classes[rivals]), scores[rivals]
    order = np.lexsort((of_rivals, cells))
    is_new = starts_run(cells[order]) | starts_run(of_rivals[order])
    tied = rivals[order[~is_new]]
    if not tied.size:
        return counted
    is_tied = np.zeros(len(truth.shelf), np.bool_)
    is_tied[keyframes[tied]] = True
    replayed = np.flatnonzero(is_tied[keyframes])
    replayed = replayed[np.argsort(keyframes[replayed], kind="stable")]
    x1, y1, x2, y2 = detections.boxes.take(replayed).T
    columns = (scores[replayed], action_ids[classes[replayed]], y1, x1, y2, x2)
    entries = zip(*(column.tolist() for column in columns), strict=True)
    rows = zip(keyframes[replayed].tolist(), entries, replayed.tolist(), strict=True)
    in_heap_order = [
        row
        for _, of_keyframe in itertools.groupby(rows, key=lambda row: row[0])
        for row in heap_order((row[1:] for row in of_keyframe), CAP)
    ]
    reordered = counted.copy()
    reordered[is_tied[keyframes[counted]]] = [row for row in in_heap_order if has_area[row]]
    return reordered


def _has_area(boxes: FloatArray) -> BoolArray:
    """False for NaN, too."""
    return (boxes[:, 0] < boxes[:, 2]) & (boxes[:, 1] < boxes[:, 3])


def _truth_index(
    ground_truth: GroundTruthRows, keyframes: Int32Array, is_open: BoolArray, num_classes: int
) -> GroundTruthIndex:
    kept = is_open[keyframes]
    return GroundTruthIndex.build(
        keyframes[kept],
        ground_truth.classes.joined()[kept],
        ground_truth.boxes.joined()[kept],
        ground_truth.priorities.joined()[kept],
        num_keyframes=len(is_open),
        num_classes=num_classes,
    )


def _overlaps(
    truth: GroundTruthIndex, keyframes: Int32Array, counted: IndexArray, detections: DetectionRows
) -> tuple[IndexArray, FloatArray, Int32Array]:
    """The counted detections that overlap a box of their class, the greatest IoU, and whose box it is."""
    classes = detections.classes.joined()
    rows = _with_candidates(truth, keyframes, classes, counted)
    found_in_steps = [
        truth.best_overlaps(keyframes[step], classes[step], detections.boxes.take(step)) for step in _steps(rows)
    ]
    iou, box = (np.concatenate(parts) for parts in zip(*found_in_steps, strict=True))
    found = iou > 0
    return rows[found], iou[found], box[found]


def _with_candidates(
    truth: GroundTruthIndex, keyframes: Int32Array, classes: ClassArray, counted: IndexArray
) -> IndexArray:
    """The counted detections on whose keyframe there is ground truth of their class."""
    return np.concatenate([step[truth.has_candidates(keyframes[step], classes[step])] for step in _steps(counted)])


def _steps(rows: IndexArray) -> list[IndexArray]:
    """The rows in parts, so that what is computed of them need not be held for all at once; one part at least."""
    return np.split(rows, range(_ROWS_PER_STEP, len(rows), _ROWS_PER_STEP))
