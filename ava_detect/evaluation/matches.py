"""Match detections with ground truth: which rows take part, and which ground-truth box each detection overlaps most.

``match`` applies the rules of a dialect once; ``Matches`` then answers for any IoU threshold.

Shapes: R detections, U runs of detections with one keyframe and box, G ground-truth boxes, K keyframes, C classes,
M detections that overlap a box of their class.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ava_detect.evaluation.frame_map_result import Dialect
from ava_detect.evaluation.ground_truth_index import (
    BoolArray,
    ClassArray,
    FloatArray,
    GroundTruthIndex,
    IndexArray,
    assign_greedily,
)
from ava_detect.evaluation.keyframe_cap import heap_order, keep_best
from ava_detect.evaluation.keyframes import Int32Array, IntArray, RowRuns, enumerate_keys, starts_run
from ava_detect.evaluation.rows import DetectionRows, GroundTruthRows, RowCollector

_ROWS_PER_STEP = 1 << 17  # bounds the temporary arrays to 1 MB: they stay in the cache, and memory is reused
CAP = 50  # detections per keyframe that the official evaluator keeps


@dataclass(frozen=True, eq=False)
class Detections:
    """R detections in the order of arrival, on U boxes: neighbouring rows mostly share keyframe and box.

    Attributes:
        classes: int16 ``[R]``, index of each detection's class in the label map.
        scores: float64 ``[R]``.
        box_indices: int32 ``[R]``, ascending, index of each detection's box in the following arrays.
        boxes: float64 ``[U, 4]``, x1, y1, x2, y2.
        box_keyframes: int32 ``[U]``, index of each box's keyframe, 0 to K - 1.
        box_counts: int64 ``[U]``, number of detections on each box.
    """

    classes: ClassArray
    scores: FloatArray
    box_indices: Int32Array
    boxes: FloatArray
    box_keyframes: Int32Array
    box_counts: IntArray

    @classmethod
    def build(cls, rows: DetectionRows, runs: RowRuns, run_keyframes: Int32Array) -> Detections:
        """Build from collected rows.

        Args:
            rows: The collected detections.
            runs: Their runs, concatenated: U runs of R rows.
            run_keyframes: int32 ``[U]``, index of each run's keyframe.

        Returns:
            The detections.
        """
        box_indices = np.repeat(np.arange(len(runs), dtype=np.int32), runs.lengths)  # [R]
        classes, scores = rows.classes.concatenated(), rows.scores.concatenated()
        return cls(classes, scores, box_indices, runs.boxes, run_keyframes, runs.lengths)

    def boxes_of(self, rows: IndexArray) -> FloatArray:
        """Return the box of each of N detections.

        Args:
            rows: int ``[N]``.

        Returns:
            float64 ``[N, 4]``.
        """
        return self.boxes.take(self.box_indices[rows], axis=0)

    def keyframes_of(self, rows: IndexArray) -> Int32Array:
        """Return the keyframe of each of N detections.

        Args:
            rows: int ``[N]``.

        Returns:
            int32 ``[N]``.
        """
        return self.box_keyframes[self.box_indices[rows]]

    def on_keyframes(self, is_wanted: BoolArray) -> Iterator[IndexArray]:
        """Yield the detections on some keyframes, in steps of whole keyframes.

        Args:
            is_wanted: bool ``[K]``.

        Yields:
            Rows, int ``[N]``, grouped by keyframe; within a keyframe in the order of arrival. N is about
            ``_ROWS_PER_STEP``, more where one keyframe has more.
        """
        # The boxes on wanted keyframes, keyframe by keyframe; the stable sort keeps the order of arrival within each.
        boxes = np.argsort(self.box_keyframes, kind="stable")
        boxes = boxes[is_wanted[self.box_keyframes[boxes]]]  # [B]
        counts = self.box_counts[boxes]  # [B]
        first_rows = (np.cumsum(self.box_counts) - self.box_counts)[boxes]  # [B], first detection on each box
        # Cut into steps: a keyframe belongs to the step in which its first detection falls.
        keyframe_starts = np.flatnonzero(starts_run(self.box_keyframes[boxes]))
        step_of_keyframe = (np.cumsum(counts) - counts)[keyframe_starts] // _ROWS_PER_STEP
        for step in np.split(np.arange(len(boxes)), keyframe_starts[starts_run(step_of_keyframe)][1:]):
            # Expand boxes to rows: first_row, first_row + 1, ..., one for each detection on the box.
            sizes = counts[step]
            yield np.arange(sizes.sum()) + np.repeat(first_rows[step] - np.cumsum(sizes) + sizes, sizes)


@dataclass(frozen=True, eq=False)
class Matches:
    """Detections, ground truth, and the best overlap of each detection that takes part.

    Attributes:
        dialect: Whose rules were applied.
        video_ids: Ids of the videos, which the keys' video numbers index.
        keys: int64 ``[K]``, key of each keyframe.
        detections: All collected detections, R rows.
        counted: int, the detections that take part, grouped by keyframe. On a keyframe they are in the order of
            arrival, or in the order of the official heap where that decides between equal scores.
        truth: The ground truth that takes part, G boxes.
        overlapping: int ``[M]``, the detections among ``counted`` that overlap a box of their class.
        iou: float64 ``[M]``, greatest IoU of each with a box of its class.
        truth_indices: int32 ``[M]``, index of that box in ``truth.boxes``.
        num_keyframes: Number of keyframes that take part.
        ignored: Number of rows that took no part, by reason.
    """

    dialect: Dialect
    video_ids: tuple[str, ...]
    keys: IntArray
    detections: Detections
    counted: IndexArray
    truth: GroundTruthIndex
    overlapping: IndexArray
    iou: FloatArray
    truth_indices: Int32Array
    num_keyframes: int
    ignored: dict[str, int]

    def true_positives(self, iou_threshold: float) -> BoolArray:
        """Return which detections are true positives.

        A detection is one when the box that it overlaps most reaches the threshold and no detection before it has taken
        that box; it never falls back to its second-best box.

        Args:
            iou_threshold: Least IoU, above 0 and at most 1.

        Returns:
            bool ``[R]``.
        """
        is_enough = self.iou >= iou_threshold  # [M]
        rows = self.overlapping[is_enough]
        # PySlowFast matches in the order of the file, the official script best score first.
        scores = None if self.dialect == "pyslowfast" else self.detections.scores[rows]
        is_tp = np.zeros(len(self.detections.scores), np.bool_)  # [R]
        is_tp[rows[assign_greedily(self.truth_indices[is_enough], scores)]] = True
        return is_tp

    def by_class(self) -> Iterator[IndexArray]:
        """Yield the counted detections of each class.

        Yields:
            Rows of one class in their order in ``counted``, for class 0 to C - 1.
        """
        steps = []
        for step in np.split(self.counted, range(_ROWS_PER_STEP, len(self.counted), _ROWS_PER_STEP)):
            classes = self.detections.classes[step]
            ends = np.cumsum(np.bincount(classes, minlength=self.truth.num_classes))  # [C]
            # For int16 numpy's stable sort is a radix sort.
            steps.append(np.split(step[np.argsort(classes, kind="stable")], ends[:-1]))
        for of_class in zip(*steps, strict=True):
            yield np.concatenate(of_class)


def match(
    rows: RowCollector, excluded: IntArray, dialect: Dialect, action_ids: IntArray, *, is_capped: bool = True
) -> Matches:
    """Drop the rows that take no part, apply the cap, and find the best overlap of every remaining detection.

    Args:
        rows: The collected rows.
        excluded: int64, keys of the keyframes to drop on both sides.
        dialect: Whose rules apply.
        action_ids: int64 ``[C]``, action id of each class.
        is_capped: Whether the dialect's limit of detections per keyframe applies. Thresholds are of all scores, and
            the limit would leave out the low ones of crowded keyframes.

    Returns:
        The matches.
    """
    detections, ground_truth = rows.detections, rows.ground_truth
    runs, truth_runs = RowRuns.concatenate(detections.runs), RowRuns.concatenate(ground_truth.runs)
    # 1. Number all keyframes 0 to K - 1, in the order of first appearance.
    all_keys = np.concatenate([runs.keys, truth_runs.keys, ground_truth.listed.concatenated()])
    keys, indices = enumerate_keys(all_keys)
    run_keyframes, truth_keyframes, listed = np.split(indices, np.cumsum([len(runs), len(truth_runs)]))
    # 2. Select the keyframes that take part: without the excluded and, in ``official``, without those not annotated.
    is_excluded = np.isin(keys, excluded)  # [K]
    is_scored = ~is_excluded  # [K]
    ignored = {
        "ground_truth_of_other_actions": ground_truth.num_others,
        "detections_of_other_actions": detections.num_others,
        "ground_truth_on_excluded_keyframes": int(truth_runs.lengths[is_excluded[truth_keyframes]].sum()),
        "detections_on_excluded_keyframes": int(runs.lengths[is_excluded[run_keyframes]].sum()),
    }
    if dialect == "official":
        is_listed = np.zeros(len(keys), np.bool_)
        is_listed[listed] = True
        is_scored &= is_listed
        is_unlisted = ~is_listed & ~is_excluded
        ignored["detections_on_unlisted_keyframes"] = int(runs.lengths[is_unlisted[run_keyframes]].sum())
    # 3. Match the detections on these keyframes, step by step.
    found = Detections.build(detections, runs, run_keyframes)
    truth = _truth_index(ground_truth, truth_runs, truth_keyframes, is_scored, len(action_ids))
    has_area = (runs.boxes[:, 0] < runs.boxes[:, 2]) & (runs.boxes[:, 1] < runs.boxes[:, 3])  # [U]
    has_cap = is_capped and dialect == "official"
    matcher = _Matcher(found, truth, has_cap, action_ids, has_area)
    steps = [matcher.match(step) for step in found.on_keyframes(is_scored)]
    if has_cap:
        ignored["detections_over_the_cap"] = sum(step.num_over_cap for step in steps)
    ignored["detections_with_empty_boxes"] = sum(step.num_without_area for step in steps)
    no_rows = np.empty(0, np.intp)
    return Matches(
        dialect,
        rows.video_ids,
        keys,
        found,
        np.concatenate([no_rows, *(step.counted for step in steps)]),
        truth,
        np.concatenate([no_rows, *(step.overlapping for step in steps)]),
        np.concatenate([np.empty(0), *(step.iou for step in steps)]),
        np.concatenate([np.empty(0, np.int32), *(step.truth_indices for step in steps)]),
        int(np.count_nonzero(is_scored)),
        ignored,
    )


@dataclass(frozen=True, eq=False)
class _StepMatches:
    """The part of ``Matches`` that one step of whole keyframes adds."""

    counted: IndexArray
    overlapping: IndexArray
    iou: FloatArray
    truth_indices: Int32Array
    num_over_cap: int
    num_without_area: int


@dataclass(frozen=True, eq=False)
class _Matcher:
    """Matches detections, one step of whole keyframes at a time.

    Attributes:
        found: All detections.
        truth: The ground truth that takes part.
        has_cap: Whether the official script's heap limits the detections of a keyframe and orders equal scores.
        action_ids: int64 ``[C]``, action id of each class.
        box_has_area: bool ``[U]``, whether x1 < x2 and y1 < y2.
    """

    found: Detections
    truth: GroundTruthIndex
    has_cap: bool
    action_ids: IntArray
    box_has_area: BoolArray

    def match(self, rows: IndexArray) -> _StepMatches:
        """Match all detections of some keyframes; ``rows`` ``[N]`` are grouped by keyframe."""
        # The official script caps a keyframe first and removes boxes without area afterwards.
        capped = rows[self._is_within_cap(rows)] if self.has_cap else rows
        counted = capped[self._has_area(capped)]
        candidates = self._with_truth(counted)
        if self.has_cap and (tied := self._tied_keyframes(candidates)).size:
            counted = self._in_heap_order(rows, counted, tied)
            candidates = self._with_truth(counted)
        keyframes, classes = self._keyframes_and_classes(candidates)
        iou, truth_indices = self.truth.best_overlaps(keyframes, classes, self.found.boxes_of(candidates))
        overlaps = iou > 0
        return _StepMatches(
            counted,
            candidates[overlaps],
            iou[overlaps],
            truth_indices[overlaps],
            num_over_cap=len(rows) - len(capped),
            num_without_area=len(capped) - len(counted),
        )

    def _is_within_cap(self, rows: IndexArray) -> BoolArray:
        """Return which of ``rows`` ``[N]`` the official heap keeps."""

        def tie_columns(chosen: IndexArray) -> tuple[npt.NDArray[Any], ...]:
            x1, y1, x2, y2 = self.found.boxes_of(rows[chosen]).T
            return x2, y2, x1, y1, self.action_ids[self.found.classes[rows[chosen]]]

        return keep_best(self.found.keyframes_of(rows), self.found.scores[rows], CAP, tie_columns)

    def _has_area(self, rows: IndexArray) -> BoolArray:
        """Return which detections have a box with an area; a box with a NaN has none."""
        return self.box_has_area[self.found.box_indices[rows]]

    def _tied_keyframes(self, candidates: IndexArray) -> Int32Array:
        """Return the keyframes on which the order of the official heap decides which detection gets a box.

        These are the keyframes with two detections of equal class and score, where there is ground truth of that class.
        They are few, so each is replayed in Python: 69 of 50,029 in a full validation set with scores of four decimals
        (measured 2026-11-22 on the set of ``tests/evaluation/conftest.py``).
        """
        keyframes, classes = self._keyframes_and_classes(candidates)
        cells, scores = self.truth.cells(keyframes, classes), self.found.scores[candidates]
        # Sorted by cell and score, a tie is an entry with the same cell and score as the one before it.
        order = np.lexsort((scores, cells))
        is_new = starts_run(cells[order]) | starts_run(scores[order])
        return np.unique(keyframes[order[~is_new]])

    def _in_heap_order(self, rows: IndexArray, counted: IndexArray, tied: Int32Array) -> IndexArray:
        """Return ``counted`` with the rows on the keyframes ``tied`` put into the order of the official heap."""
        # The heap sees all rows of a keyframe, not only those that are kept.
        replayed = rows[np.isin(self.found.keyframes_of(rows), tied)]
        keyframes = self.found.keyframes_of(replayed).tolist()
        x1, y1, x2, y2 = self.found.boxes_of(replayed).T
        columns = (self.found.scores[replayed], self.action_ids[self.found.classes[replayed]], y1, x1, y2, x2)
        entries = zip(*(column.tolist() for column in columns), strict=True)
        # (keyframe, (score, action, y1, x1, y2, x2), row), one heap for each keyframe.
        of_rows = zip(keyframes, entries, replayed.tolist(), strict=True)
        in_heap_order = np.array(
            [
                row
                for _, of_keyframe in itertools.groupby(of_rows, key=lambda row: row[0])
                for row in heap_order((row[1:] for row in of_keyframe), CAP)
            ]
        )
        # ``counted`` and ``rows`` have the keyframes in the same order, so the positions agree.
        reordered = counted.copy()
        is_tied = np.isin(self.found.keyframes_of(counted), tied)
        reordered[is_tied] = in_heap_order[self._has_area(in_heap_order)]
        return reordered

    def _with_truth(self, rows: IndexArray) -> IndexArray:
        """Return the detections on whose keyframe there is ground truth of their class."""
        return rows[self.truth.has_candidates(*self._keyframes_and_classes(rows))]

    def _keyframes_and_classes(self, rows: IndexArray) -> tuple[Int32Array, ClassArray]:
        return self.found.keyframes_of(rows), self.found.classes[rows]


def _truth_index(
    ground_truth: GroundTruthRows, runs: RowRuns, run_keyframes: Int32Array, is_scored: BoolArray, num_classes: int
) -> GroundTruthIndex:
    """Index the ground truth on the keyframes of ``is_scored`` ``[K]``."""
    is_kept = np.repeat(is_scored[run_keyframes], runs.lengths)  # [rows]
    return GroundTruthIndex.build(
        np.repeat(run_keyframes, runs.lengths)[is_kept],
        ground_truth.classes.concatenated()[is_kept],
        np.repeat(runs.boxes, runs.lengths, axis=0)[is_kept],
        ground_truth.priorities.concatenated()[is_kept],
        num_keyframes=len(is_scored),
        num_classes=num_classes,
    )
