"""The official cap on the detections of a keyframe: which ones it keeps, and in which order.

ActivityNet's ``get_ava_performance.py`` (2021) reads the detections of a keyframe into a heap of 50 tuples
(score, action, y1, x1, y2, x2). It pushes every detection until the heap is full. From then on, a detection with a
score *above* the least score in the heap replaces the smallest tuple; all other detections are dropped.
``keep_best`` computes the kept set of millions of detections at once; ``heap_order`` replays the heap of one keyframe.

Shapes: R detections, K keyframes.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt

from ava_detect.evaluation.ground_truth_index import BoolArray, FloatArray, IndexArray
from ava_detect.evaluation.keyframes import Int32Array, starts_run

# Rows [N] -> the columns behind the score in the heap's tuples, [N] each, least significant first.
TieColumns = Callable[[IndexArray], tuple[npt.NDArray[np.generic], ...]]

_ELEMENTS_PER_STEP = 1 << 19  # bounds the temporary arrays to a few MB, which also keeps them in the cache


def keep_best(keyframes: Int32Array, scores: FloatArray, cap: int, tie_columns: TieColumns) -> BoolArray:
    """Return which detections the official heap keeps.

    On each keyframe these are all detections above the ``cap``-th best score. Of those equal to it, arrival, action
    and box decide.

    Args:
        keyframes: int32 ``[R]``, ascending; the rows of one keyframe are in the order of arrival.
        scores: float64 ``[R]``.
        cap: Number of detections that the heap of a keyframe holds, 50 in the official script.
        tie_columns: Function from row numbers to (x2, y2, x1, y1, action), as ``np.lexsort`` wants them: the least
            significant first. Called for the few rows whose order it decides.

    Returns:
        bool ``[R]``.
    """
    starts = np.flatnonzero(starts_run(keyframes))  # [K]
    counts = np.diff(starts, append=len(keyframes))  # [K]
    limit_of_keyframe, is_contested = _nth_best(scores, starts, counts, cap)  # [K] each
    limit = np.repeat(limit_of_keyframe, counts)  # [R]
    keep: BoolArray = scores >= limit
    # Contested keyframes have more than ``cap`` detections at or above their limit: replay the heap's ties there.
    rows = np.flatnonzero(keep & np.repeat(is_contested, counts))
    if rows.size:
        keep[rows[_dropped_ties(keyframes[rows], scores[rows] > limit[rows], cap, rows, tie_columns)]] = False
    return keep


def heap_order(entries: Iterable[tuple[tuple[float, ...], int]], cap: int) -> list[int]:
    """Return the rows that the official heap keeps of one keyframe, in the order in which the script matches them.

    The script sorts the heap's list by score with a stable sort, so equal scores stay in the heap's internal order.

    Args:
        entries: ((score, action, y1, x1, y2, x2), row) of each detection, in the order of arrival.
        cap: Number of detections that the heap holds.

    Returns:
        At most ``cap`` rows.
    """
    heap: list[tuple[float, ...]] = []
    rows: dict[tuple[float, ...], list[int]] = defaultdict(list)
    for entry, row in entries:
        rows[entry].append(row)
        if len(heap) < cap:
            heapq.heappush(heap, entry)
        elif entry[0] > heap[0][0]:
            heapq.heapreplace(heap, entry)
    # The heap compares tuples without row numbers, as the script's does: a row number would change the order of equal
    # tuples. Detections with equal tuples are interchangeable, so any of their rows is right.
    return [rows[entry].pop() for entry in sorted(heap, key=lambda entry: -entry[0])]


def _nth_best(scores: FloatArray, starts: IndexArray, counts: IndexArray, n: int) -> tuple[FloatArray, BoolArray]:
    """Return the n-th best score of each keyframe ``[K]``, and whether more than n scores are at least as good.

    -inf and False where a keyframe has no more than n scores.
    """
    limit = np.full(len(counts), -np.inf)
    is_contested = np.zeros(len(counts), np.bool_)
    width = n
    while width < counts.max(initial=0):
        # Keyframes with ``narrower`` + 1 to ``width`` scores share a padded matrix: padding at most doubles the work.
        width, narrower = 2 * width, width
        groups = np.flatnonzero((counts > narrower) & (counts <= width))
        columns = np.arange(width)  # [W]
        per_step = max(1, _ELEMENTS_PER_STEP // width)
        for begin in range(0, len(groups), per_step):
            chosen = groups[begin : begin + per_step]  # [B]
            # Row numbers of the scores of each keyframe; beyond its end any valid row, which is masked next.
            indices = np.minimum(starts[chosen, None] + columns, len(scores) - 1)  # [B, W]
            padded = np.where(columns < counts[chosen, None], scores[indices], -np.inf)  # [B, W]
            # In ascending order the n-th best is column W - n; a partition finds it without a full sort.
            padded.partition(width - n, axis=1)
            limit[chosen] = padded[:, width - n]
            is_contested[chosen] = np.count_nonzero(padded >= limit[chosen, None], axis=1) > n
    return limit, is_contested


def _dropped_ties(
    keyframes: Int32Array, is_above: BoolArray, cap: int, rows: IndexArray, tie_columns: TieColumns
) -> IndexArray:
    """Return which of N rows at or above their keyframe's limit the heap does not keep; all ``[N]``, see ``keep_best``.

    Scores below the limit need no replay: whenever a row at or above the limit arrives at a full heap whose least score
    is below the limit, it replaces that one. So after ``cap`` such rows the heap holds exactly these, and of the later
    ones (a) a row equal to the limit is not above the least score, which is the limit, and stays out; (b) a row above
    the limit replaces the smallest tuple, which is one of the rows equal to the limit.
    """
    # Count keyframes from 0, so that np.bincount allocates for these alone; they are sorted, the first is the least.
    keyframes = keyframes - keyframes[0]  # [N]
    is_late = _rank_in_run(keyframes) >= cap  # [N]
    # (b) Each late row above the limit evicts one tie of its keyframe.
    num_evicted = np.bincount(keyframes[is_above & is_late], minlength=int(keyframes[-1]) + 1)  # [keyframes]
    # (a) Late ties never enter.
    never_entered = np.flatnonzero(~is_above & is_late)
    # Ties in the heap, keyframe by keyframe, the smallest tuple (action, y1, x1, y2, x2) first: the order of eviction.
    ties = np.flatnonzero(~is_above & ~is_late)
    smallest_first = ties[np.lexsort((*tie_columns(rows[ties]), keyframes[ties]))]
    keyframe_of_tie = keyframes[smallest_first]
    evicted = smallest_first[_rank_in_run(keyframe_of_tie) < num_evicted[keyframe_of_tie]]
    return np.concatenate([never_entered, evicted])


def _rank_in_run(values: Int32Array) -> IndexArray:
    """Return the position of each entry ``[N]`` in its run of equal values, from 0."""
    starts = np.flatnonzero(starts_run(values))
    return np.arange(len(values)) - np.repeat(starts, np.diff(starts, append=len(values)))
