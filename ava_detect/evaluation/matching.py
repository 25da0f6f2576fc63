"""Which detections of a keyframe count, and which box each of them finds: whole data sets at a time.

The semantics are those of ActivityNet's ``get_ava_performance.py`` (2021) and the object-detection evaluation
code under it; ``docs/evaluation.md`` spells them out. R detections, G ground-truth boxes, K keyframes, C classes.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ava_detect.evaluation.keyframes import Int32Array, starts_run

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
IndexArray = npt.NDArray[np.intp]

_CELLS_PER_STEP = 1 << 19  # bounds the temporary arrays to a few MB, which also keeps them in the cache


@dataclass(frozen=True, eq=False)
class GroundTruthIndex:
    """Ground-truth boxes sorted by keyframe and class, so that a detection's candidates lie side by side.

    ``boxes``: float64 ``[G, 4]``. ``classes``: int16 ``[G]``. ``keyframes``: int32 ``[G]``. ``shelf``: int32 ``[K]``,
    the number of each keyframe among those that have boxes; all others share the last, empty shelf. ``starts``:
    int32, where on the shelves each class begins: class c of shelf s is ``starts[s * C + c]`` up to the next entry.
    ``occupied``: whether a class has boxes there at all.
    """

    boxes: FloatArray
    classes: npt.NDArray[np.int16]
    keyframes: Int32Array
    shelf: Int32Array
    starts: Int32Array
    occupied: BoolArray
    num_classes: int

    @classmethod
    def build(
        cls,
        keyframes: Int32Array,
        classes: npt.NDArray[np.int16],
        boxes: FloatArray,
        priorities: npt.NDArray[np.int64],
        *,
        num_keyframes: int,
        num_classes: int,
    ) -> GroundTruthIndex:
        """Index boxes; where a detection overlaps two equally, that of higher priority is its candidate."""
        used = np.unique(keyframes)
        shelf = np.full(num_keyframes, len(used), np.int32)
        shelf[used] = np.arange(len(used), dtype=np.int32)
        cells = _cells(shelf[keyframes], classes, num_classes)
        order = np.lexsort((-priorities, cells))
        # bincount would count in int64, over all classes of all keyframes.
        counts = np.zeros((len(used) + 1) * num_classes, np.int32)
        np.add.at(counts, cells, 1)
        starts = np.concatenate([np.zeros(1, np.int32), np.cumsum(counts, dtype=np.int32)])
        return cls(boxes[order], classes[order], keyframes[order], shelf, starts, counts > 0, num_classes)

    def cells(self, keyframes: Int32Array, classes: npt.NDArray[np.int16]) -> npt.NDArray[np.int64]:
        """For detections ``[R]``: a number for keyframe and class together, the place in ``starts``.

        Keyframes without boxes share theirs.
        """
        return _cells(self.shelf[keyframes], classes, self.num_classes)

    def has_candidates(self, keyframes: Int32Array, classes: npt.NDArray[np.int16]) -> BoolArray:
        """For detections ``[R]``: whether their keyframe has a box of their class."""
        return self.occupied[self.cells(keyframes, classes)]

    def best_overlaps(
        self, keyframes: Int32Array, classes: npt.NDArray[np.int16], boxes: FloatArray
    ) -> tuple[FloatArray, Int32Array]:
        """For detections ``[R]``: the greatest IoU with a box of their keyframe and class, and that box's place.

        The first of equals; -1 and -1 where there is no such box.
        """
        cells = self.cells(keyframes, classes)
        first, count = self.starts[cells], self.starts[cells + 1] - self.starts[cells]
        best = np.full(len(cells), -1.0)
        place = np.full(len(cells), -1, np.int32)
        rows, nth = np.flatnonzero(count), 0
        # One pass per candidate of the fullest cell, over ever fewer rows: the work is that of all pairs together.
        while rows.size:
            candidate = first[rows] + np.int32(nth)
            overlap = paired_iou(boxes[rows], self.boxes[candidate])
            better = overlap > best[rows]
            best[rows[better]] = overlap[better]
            place[rows[better]] = candidate[better]
            nth += 1
            rows = rows[count[rows] > nth]
        return best, place


def _cells(shelves: Int32Array, classes: npt.NDArray[np.int16], num_classes: int) -> npt.NDArray[np.int64]:
    cells = shelves.astype(np.int64)
    cells *= num_classes
    cells += classes
    return cells


def paired_iou(boxes_a: FloatArray, boxes_b: FloatArray) -> FloatArray:
    """IoU ``[R]`` of each box with the one in the same row, in the official order of operations.

    ``inter / ((area_a + area_b) - inter)``, all float64: another order of the sum moves boxes that overlap by
    exactly one half across the threshold.
    """
    ax1, ay1, ax2, ay2 = boxes_a.T
    bx1, by1, bx2, by2 = boxes_b.T
    with np.errstate(over="ignore", invalid="ignore"):
        height = np.maximum(0.0, np.minimum(ay2, by2) - np.maximum(ay1, by1))
        width = np.maximum(0.0, np.minimum(ax2, bx2) - np.maximum(ax1, bx1))
        inter = height * width
        # A ground-truth box with reversed sides has no area; it then overlaps nothing.
        area_a = np.maximum(0.0, ay2 - ay1) * np.maximum(0.0, ax2 - ax1)
        area_b = np.maximum(0.0, by2 - by1) * np.maximum(0.0, bx2 - bx1)
        union = (area_a + area_b) - inter
        overlap: FloatArray = np.divide(inter, union, out=np.zeros_like(inter), where=inter > 0)
        return overlap


def first_claims(places: Int32Array, scores: FloatArray | None) -> BoolArray:
    """Of detections ``[R]`` that want the box ``places``, the one per box that gets it.

    The best score wins, of equals the first; without scores, the first.
    """
    order = np.argsort(places, kind="stable") if scores is None else np.lexsort((-scores, places))
    wins = np.zeros(len(places), np.bool_)
    wins[order] = starts_run(places[order])
    return wins


def keep_best(
    keyframes: Int32Array,
    scores: FloatArray,
    cap: int,
    tie_order: Callable[[IndexArray], tuple[npt.NDArray[np.generic], ...]],
) -> BoolArray:
    """Which detections ``[R]``, sorted by keyframe, are among the ``cap`` that the official heap keeps.

    The heap holds tuples (score, action, y1, x1, y2, x2). It takes all until it is full, then only a score
    *above* its least, in place of its smallest tuple. So of the scores equal to the cap-th best some stay by
    arrival and some go by action and box. ``tie_order(rows)`` gives the columns behind the score, least
    significant first, as ``np.lexsort`` wants them.
    """
    starts = np.flatnonzero(starts_run(keyframes))
    counts = np.diff(starts, append=len(keyframes))
    limit_of_group, is_contested = _nth_best(scores, starts, counts, cap)
    limit = np.repeat(limit_of_group, counts)
    keep: BoolArray = scores >= limit
    rows = np.flatnonzero(keep & np.repeat(is_contested, counts))
    if rows.size:
        keep[rows[_evicted(keyframes[rows], scores[rows] > limit[rows], cap, rows, tie_order)]] = False
    return keep


def heap_order(entries: Iterable[tuple[tuple[float, ...], int]], cap: int) -> list[int]:
    """The rows that the official heap keeps of one keyframe, in the order in which the official script sees them.

    ``entries``: ((score, action, y1, x1, y2, x2), row) in the order of arrival. The script sorts the heap's list by
    score, stably, so equal scores come as the heap happens to hold them.
    """
    heap: list[tuple[float, ...]] = []
    rows: dict[tuple[float, ...], list[int]] = defaultdict(list)
    for entry, row in entries:
        rows[entry].append(row)
        if len(heap) < cap:
            heapq.heappush(heap, entry)
        elif entry[0] > heap[0][0]:
            heapq.heapreplace(heap, entry)
    # Rows are no part of what is compared: among equal entries that would move others. Any of the equals will do.
    return [rows[entry].pop() for entry in sorted(heap, key=lambda entry: -entry[0])]


def _nth_best(scores: FloatArray, starts: IndexArray, counts: IndexArray, n: int) -> tuple[FloatArray, BoolArray]:
    """The n-th best score of each group ``[K]``, and whether more than n are at least as good.

    -inf and False where a group has no more than n.
    """
    limit = np.full(len(counts), -np.inf)
    is_contested = np.zeros(len(counts), np.bool_)
    width = n
    while width < counts.max(initial=0):
        # Groups of similar size share a padded matrix, so that padding at most doubles the work.
        width, narrower = 2 * width, width
        groups = np.flatnonzero((counts > narrower) & (counts <= width))
        columns = np.arange(width)
        per_step = max(1, _CELLS_PER_STEP // width)
        for begin in range(0, len(groups), per_step):
            chosen = groups[begin : begin + per_step]
            cells = np.minimum(starts[chosen, None] + columns, len(scores) - 1)
            padded = np.where(columns < counts[chosen, None], scores[cells], -np.inf)
            padded.partition(width - n, axis=1)
            limit[chosen] = padded[:, width - n]
            is_contested[chosen] = np.count_nonzero(padded >= limit[chosen, None], axis=1) > n
    return limit, is_contested


def _evicted(
    keyframes: Int32Array,
    is_above: BoolArray,
    cap: int,
    rows: IndexArray,
    tie_order: Callable[[IndexArray], tuple[npt.NDArray[np.generic], ...]],
) -> IndexArray:
    """Which of the rows at or above their keyframe's limit do not stay; see ``keep_best``."""
    keyframes = keyframes - keyframes[0]  # sorted, so the first is the least
    arrival = _rank_in_run(keyframes)
    came_late = arrival >= cap
    to_evict = np.bincount(keyframes[is_above & came_late], minlength=int(keyframes[-1]) + 1)
    never_in = np.flatnonzero(~is_above & came_late)
    tied = np.flatnonzero(~is_above & ~came_late)
    smallest_first = tied[np.lexsort((*tie_order(rows[tied]), keyframes[tied]))]
    in_keyframe = keyframes[smallest_first]
    pushed_out = smallest_first[_rank_in_run(in_keyframe) < to_evict[in_keyframe]]
    return np.concatenate([never_in, pushed_out])


def _rank_in_run(values: Int32Array) -> IndexArray:
    """For each entry of a grouped array, how many of its group stand before it."""
    starts = np.flatnonzero(starts_run(values))
    return np.arange(len(values)) - np.repeat(starts, np.diff(starts, append=len(values)))
