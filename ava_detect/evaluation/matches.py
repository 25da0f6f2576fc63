"""From all rows of an evaluation to who took part and which box each detection overlaps most."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ava_detect.evaluation.frame_map_result import Dialect
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
from ava_detect.evaluation.rows import ClassArray, DetectionRows, GroundTruthRows, RowCollector

_ROWS_PER_STEP = 1 << 17  # bounds the temporary arrays to 1 MB: they stay in the cache, and memory is used again
CAP = 50  # detections per keyframe that the official evaluator keeps


@dataclass(frozen=True, eq=False)
class Detections:
    """R detections in the order of arrival, on U boxes: neighbours mostly share theirs.

    ``classes``: int16 ``[R]``, places in the label map. ``scores``: float64 ``[R]``. ``box_places``: int32 ``[R]``,
    ascending places in what follows. ``boxes``: float64 ``[U, 4]``. ``box_keyframes``: int32 ``[U]``, places in the
    keys. ``box_counts``: int64 ``[U]``, detections on each box.
    """

    classes: ClassArray
    scores: FloatArray
    box_places: Int32Array
    boxes: FloatArray
    box_keyframes: Int32Array
    box_counts: IntArray

    @classmethod
    def build(cls, rows: DetectionRows, runs: Runs, run_keyframes: Int32Array) -> Detections:
        """The rows that were collected, with their runs joined and the keyframe of each run."""
        box_places = np.repeat(np.arange(len(runs), dtype=np.int32), runs.lengths)
        return cls(rows.classes.joined(), rows.scores.joined(), box_places, runs.boxes, run_keyframes, runs.lengths)

    def boxes_of(self, rows: IndexArray) -> FloatArray:
        """The boxes ``[N, 4]`` of N detections."""
        return self.boxes.take(self.box_places[rows], axis=0)

    def keyframes_of(self, rows: IndexArray) -> Int32Array:
        """The keyframes ``[N]`` of N detections."""
        return self.box_keyframes[self.box_places[rows]]

    def on_keyframes(self, is_wanted: BoolArray) -> Iterator[IndexArray]:
        """The rows on the wanted keyframes ``[K]``, in steps of whole keyframes.

        Grouped by keyframe; within one, in order of arrival.
        """
        boxes = np.argsort(self.box_keyframes, kind="stable")
        boxes = boxes[is_wanted[self.box_keyframes[boxes]]]
        counts = self.box_counts[boxes]
        first_rows = (np.cumsum(self.box_counts) - self.box_counts)[boxes]
        new_keyframe = np.flatnonzero(starts_run(self.box_keyframes[boxes]))
        step_number = (np.cumsum(counts) - counts)[new_keyframe] // _ROWS_PER_STEP
        for step in np.split(np.arange(len(boxes)), new_keyframe[starts_run(step_number)][1:]):
            sizes = counts[step]
            yield np.arange(sizes.sum()) + np.repeat(first_rows[step] - np.cumsum(sizes) + sizes, sizes)


@dataclass(frozen=True, eq=False)
class Matches:
    """Detections, G ground-truth boxes, K keyframes.

    ``keys``: int64 ``[K]``, whose video numbers are places in ``video_ids``. ``counted``: the detections that take
    part, grouped by keyframe and, on each, in the order of arrival (but see ``_ties_in_heap_order``). ``truth``: the
    ground truth that takes part. ``overlapping``: the detections among ``counted`` that overlap a box of their class,
    with ``iou`` and ``box`` (a place in ``truth.boxes``) of the one that they overlap most.
    """

    dialect: Dialect
    video_ids: tuple[str, ...]
    keys: IntArray
    detections: Detections
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
        scores = None if self.dialect == "pyslowfast" else self.detections.scores[rows]
        is_tp = np.zeros(len(self.detections.scores), np.bool_)
        is_tp[rows[first_claims(self.box[enough], scores)]] = True
        return is_tp

    def by_class(self) -> Iterator[IndexArray]:
        """The counted detections of each class of the label map, in their order, class after class."""
        steps = []
        for step in np.split(self.counted, range(_ROWS_PER_STEP, len(self.counted), _ROWS_PER_STEP)):
            classes = self.detections.classes[step]
            ends = np.cumsum(np.bincount(classes, minlength=self.truth.num_classes))
            # Of such small numbers a stable sort is a radix sort.
            steps.append(np.split(step[np.argsort(classes, kind="stable")], ends[:-1]))
        for of_class in zip(*steps, strict=True):
            yield np.concatenate(of_class)


def match(rows: RowCollector, excluded: IntArray, dialect: Dialect, action_ids: IntArray) -> Matches:
    """Drop what takes no part, cap the keyframes, and find the best overlap of every detection that is left.

    ``excluded``: keys of keyframes to drop. ``action_ids``: int64 ``[C]``, the ids of the classes.
    """
    detections, ground_truth = rows.detections, rows.ground_truth
    runs, truth_runs = Runs.joined(detections.runs), Runs.joined(ground_truth.runs)
    keys, places = enumerate_keys(np.concatenate([runs.keys, truth_runs.keys, ground_truth.listed.joined()]))
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
    found = Detections.build(detections, runs, run_place)
    truth = _truth_index(ground_truth, truth_runs, truth_place, is_open, len(action_ids))
    has_area = (runs.boxes[:, 0] < runs.boxes[:, 2]) & (runs.boxes[:, 1] < runs.boxes[:, 3])
    matcher = _Matcher(found, truth, dialect, action_ids, has_area)
    steps = [matcher.match(step) for step in found.on_keyframes(is_open)]
    none = np.empty(0, np.intp)
    if dialect == "official":
        ignored["detections_over_the_cap"] = sum(step.num_over_cap for step in steps)
    ignored["detections_with_empty_boxes"] = sum(step.num_without_area for step in steps)
    return Matches(
        dialect,
        rows.video_ids,
        keys,
        found,
        np.concatenate([none, *(step.counted for step in steps)]),
        truth,
        np.concatenate([none, *(step.overlapping for step in steps)]),
        np.concatenate([np.empty(0), *(step.iou for step in steps)]),
        np.concatenate([np.empty(0, np.int32), *(step.box for step in steps)]),
        int(np.count_nonzero(is_open)),
        ignored,
    )


@dataclass(frozen=True, eq=False)
class _Step:
    """What ``Matches`` holds, for some keyframes."""

    counted: IndexArray
    overlapping: IndexArray
    iou: FloatArray
    box: Int32Array
    num_over_cap: int
    num_without_area: int


@dataclass(frozen=True, eq=False)
class _Matcher:
    """Matches detections step by step. ``action_ids``: int64 ``[C]``. ``box_has_area``: bool ``[U]``."""

    found: Detections
    truth: GroundTruthIndex
    dialect: Dialect
    action_ids: IntArray
    box_has_area: BoolArray

    def match(self, rows: IndexArray) -> _Step:
        """``rows``: all detections of some keyframes, grouped by keyframe."""
        is_official = self.dialect == "official"
        kept = rows[self._is_within_cap(rows)] if is_official else rows
        counted = kept[self._has_area(kept)]
        rivals = self._with_candidates(counted)
        if is_official and (tied := self._tied_keyframes(rivals)).size:
            counted = self._in_heap_order(rows, counted, tied)
            rivals = self._with_candidates(counted)
        iou, box = self.truth.best_overlaps(*self._keyframes_and_classes(rivals), self.found.boxes_of(rivals))
        overlaps = iou > 0
        return _Step(
            counted,
            rivals[overlaps],
            iou[overlaps],
            box[overlaps],
            num_over_cap=len(rows) - len(kept),
            num_without_area=len(kept) - len(counted),
        )

    def _is_within_cap(self, rows: IndexArray) -> BoolArray:
        def action_and_box(chosen: IndexArray) -> tuple[npt.NDArray[Any], ...]:
            x1, y1, x2, y2 = self.found.boxes_of(rows[chosen]).T
            return x2, y2, x1, y1, self.action_ids[self.found.classes[rows[chosen]]]

        return keep_best(self.found.keyframes_of(rows), self.found.scores[rows], CAP, action_and_box)

    def _has_area(self, rows: IndexArray) -> BoolArray:
        """Whether the box of a detection has an area; one with a NaN has none."""
        return self.box_has_area[self.found.box_places[rows]]

    def _tied_keyframes(self, rivals: IndexArray) -> Int32Array:
        """The keyframes where the official heap's order decides who gets a box.

        That is where detections of one class with one score meet its ground truth. They are few, so their keyframes
        are replayed one by one: 69 of 50,029 in a full validation set with scores of four decimals (measured
        2026-11-22 on the set of ``tests/evaluation/conftest.py``).
        """
        keyframes, classes = self._keyframes_and_classes(rivals)
        cells, scores = self.truth.cells(keyframes, classes), self.found.scores[rivals]
        order = np.lexsort((scores, cells))
        is_new = starts_run(cells[order]) | starts_run(scores[order])
        return np.unique(keyframes[order[~is_new]])

    def _in_heap_order(self, rows: IndexArray, counted: IndexArray, tied: Int32Array) -> IndexArray:
        """``counted``, reordered on the keyframes ``tied`` as the official heap of all their ``rows`` leaves them."""
        replayed = rows[np.isin(self.found.keyframes_of(rows), tied)]
        keyframes = self.found.keyframes_of(replayed).tolist()
        x1, y1, x2, y2 = self.found.boxes_of(replayed).T
        columns = (self.found.scores[replayed], self.action_ids[self.found.classes[replayed]], y1, x1, y2, x2)
        entries = zip(*(column.tolist() for column in columns), strict=True)
        of_rows = zip(keyframes, entries, replayed.tolist(), strict=True)
        in_heap_order = np.array(
            [
                row
                for _, of_keyframe in itertools.groupby(of_rows, key=lambda row: row[0])
                for row in heap_order((row[1:] for row in of_keyframe), CAP)
            ]
        )
        reordered = counted.copy()
        is_tied = np.isin(self.found.keyframes_of(counted), tied)
        reordered[is_tied] = in_heap_order[self._has_area(in_heap_order)]
        return reordered

    def _with_candidates(self, rows: IndexArray) -> IndexArray:
        """The detections on whose keyframe there is ground truth of their class."""
        return rows[self.truth.has_candidates(*self._keyframes_and_classes(rows))]

    def _keyframes_and_classes(self, rows: IndexArray) -> tuple[Int32Array, ClassArray]:
        return self.found.keyframes_of(rows), self.found.classes[rows]


def _truth_index(
    ground_truth: GroundTruthRows, runs: Runs, run_place: Int32Array, is_open: BoolArray, num_classes: int
) -> GroundTruthIndex:
    kept = np.repeat(is_open[run_place], runs.lengths)
    return GroundTruthIndex.build(
        np.repeat(run_place, runs.lengths)[kept],
        ground_truth.classes.joined()[kept],
        np.repeat(runs.boxes, runs.lengths, axis=0)[kept],
        ground_truth.priorities.joined()[kept],
        num_keyframes=len(is_open),
        num_classes=num_classes,
    )
