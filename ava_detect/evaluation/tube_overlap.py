"""Overlap of tubes in space and time, for many pairs at once, and the suppression of tubes that repeat a better one.

The overlap of two tubes is the mean IoU of their boxes over the frames that both have, times the IoU of their spans in
time (Weinzaepfel, Harchaoui and Schmid, "Learning to track for spatio-temporal action localization", 2015). Two ways of
counting are in use, and ``Counting`` chooses one: whether a box from pixel 3 to pixel 5 is 2 or 3 pixels wide, and
whether a span from frame 3 to frame 5 lasts 2 or 3 frames.

Shapes: T tubes, S frames of all tubes together, P pairs of tubes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ava_detect.structures.frame_tubes import FrameTube

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

# Bounds the temporary arrays to some 8 MB each.
_FRAMES_PER_STEP = 1 << 17


@dataclass(frozen=True)
class Counting:
    """How lengths are counted.

    Attributes:
        box_side: Added to the difference of two coordinates of a box: 0, or 1 where the last pixel counts.
        span: Added to the difference of two frame numbers: 0, or 1 where the last frame counts.
    """

    box_side: int
    span: int


def box_iou(first: FloatArray, second: FloatArray, box_side: int) -> FloatArray:
    """Compute the IoU of P pairs of boxes.

    Args:
        first: float64 ``[P, 4]``, x1, y1, x2, y2.
        second: float64 ``[P, 4]``.
        box_side: Added to width and height, 0 or 1.

    Returns:
        float64 ``[P]``; 0 where both boxes are without area, NaN where a box is NaN.
    """
    low = np.maximum(first[:, :2], second[:, :2])  # [P, 2]
    high = np.minimum(first[:, 2:], second[:, 2:]) + box_side
    shared = np.prod(np.maximum(high - low, 0), axis=1)
    union = _area(first, box_side) + _area(second, box_side) - shared
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(union == 0, 0.0, shared / union)


def _area(boxes: FloatArray, box_side: int) -> FloatArray:
    area: FloatArray = np.prod(boxes[:, 2:] - boxes[:, :2] + box_side, axis=1)
    return area


@dataclass(frozen=True, eq=False)
class TubeStack:
    """The boxes of T tubes, one tube after another; a frame that a tube leaves out within its span has a NaN box.

    Attributes:
        boxes: float64 ``[S, 4]``, x1, y1, x2, y2 in pixels.
        starts: int64 ``[T]``, index of the first box of each tube.
        first_frames: int64 ``[T]``, number of the first frame of each tube.
        last_frames: int64 ``[T]``, number of the last frame of each tube.
    """

    boxes: FloatArray
    starts: IntArray
    first_frames: IntArray
    last_frames: IntArray

    @classmethod
    def build(cls, tubes: Sequence[FrameTube]) -> TubeStack:
        """Stack tubes.

        Args:
            tubes: T tubes.

        Returns:
            Their boxes.
        """
        first = np.array([tube.frames[0] for tube in tubes], np.int64)
        last = np.array([tube.frames[-1] for tube in tubes], np.int64)
        lengths = last - first + 1
        starts = np.cumsum(lengths) - lengths
        boxes = np.full((int(lengths.sum()), 4), np.nan)
        for tube, start in zip(tubes, starts, strict=True):
            boxes[start + tube.frames - tube.frames[0]] = tube.boxes_xyxy
        return cls(boxes, starts, first, last)


def tube_overlaps(
    a: TubeStack, b: TubeStack, pairs: tuple[IntArray, IntArray], counting: Counting
) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Compute the overlaps in space and in time of P pairs of tubes.

    Args:
        a: Tubes.
        b: Tubes, the same or others.
        pairs: int64 ``[P]`` twice: indices of tubes in ``a`` and in ``b``.
        counting: How lengths are counted.

    Returns:
        float64 ``[P]``, the mean IoU of the boxes on shared frames, 0 where there are none; float64 ``[P]``, the IoU of
        the spans, below 0 where they are apart, and NaN where both tubes have the same single frame and the last frame
        of a span does not count; bool ``[P]``, whether the spans share a frame.
    """
    in_a, in_b = pairs
    begin = np.maximum(a.first_frames[in_a], b.first_frames[in_b])  # [P], the span that both have
    end = np.minimum(a.last_frames[in_a], b.last_frames[in_b])
    lengths = np.maximum(end - begin + 1, 0)
    whole = np.maximum(a.last_frames[in_a], b.last_frames[in_b]) - np.minimum(
        a.first_frames[in_a], b.first_frames[in_b]
    )
    with np.errstate(invalid="ignore"):
        temporal = (end - begin + counting.span) / (whole + counting.span)
    spatial = np.zeros(len(in_a))
    meet = np.flatnonzero(lengths)
    for step in _steps(lengths[meet]):
        rows = meet[step]
        sizes = lengths[rows]
        # Box numbers of the shared frames: start of the tube + 0, 1, 2, ... from the first shared frame on.
        number = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        box_a = np.repeat(a.starts[in_a[rows]] + begin[rows] - a.first_frames[in_a[rows]], sizes) + number
        box_b = np.repeat(b.starts[in_b[rows]] + begin[rows] - b.first_frames[in_b[rows]], sizes) + number
        iou = box_iou(a.boxes[box_a], b.boxes[box_b], counting.box_side)
        is_shared = ~np.isnan(iou)
        bounds = np.cumsum(sizes) - sizes
        total = np.add.reduceat(np.where(is_shared, iou, 0.0), bounds)
        count = np.add.reduceat(is_shared.astype(np.int64), bounds)
        spatial[rows] = total / np.maximum(count, 1)
    return spatial, temporal, lengths > 0


def tube_iou(a: TubeStack, b: TubeStack, pairs: tuple[IntArray, IntArray], counting: Counting) -> FloatArray:
    """Compute the overlap in space and time of P pairs of tubes.

    Args:
        a: Tubes.
        b: Tubes, the same or others.
        pairs: int64 ``[P]`` twice: indices of tubes in ``a`` and in ``b``.
        counting: How lengths are counted.

    Returns:
        float64 ``[P]``. NaN where both tubes have the same single frame and the last frame of a span does not count:
        the span is 0 frames long.
    """
    spatial, temporal, is_shared = tube_overlaps(a, b, pairs, counting)
    overlaps: FloatArray = np.where(is_shared, spatial * temporal, 0.0)
    return overlaps


def _steps(sizes: IntArray) -> Iterator[slice]:
    """Cut pairs into steps of about ``_FRAMES_PER_STEP`` shared frames."""
    step_of = (np.cumsum(sizes) - sizes) // _FRAMES_PER_STEP
    bounds = [0, *(np.flatnonzero(np.diff(step_of)) + 1).tolist(), len(sizes)]
    for low, high in itertools.pairwise(bounds):
        if low < high:
            yield slice(low, high)


def suppress(groups: Sequence[Sequence[FrameTube]], max_overlap: float, counting: Counting) -> list[list[int]]:
    """Keep the best tubes of each group, and of those that overlap them too much none.

    The tubes are taken best score first, of equal scores the later one; a tube is left out where it overlaps one that
    was kept by more than ``max_overlap`` (``nms3dt`` in MOC's ``ACT_utils.py``).

    Args:
        groups: The tubes of one action in one video, for each video.
        max_overlap: Greatest overlap of two tubes that are kept, 0..1.
        counting: How lengths are counted.

    Returns:
        For each group the indices of the tubes that are kept, best first.
    """
    stack = TubeStack.build([tube for tubes in groups for tube in tubes])
    offsets = np.cumsum([0, *map(len, groups)])[:-1]
    orders = [np.argsort([tube.score for tube in tubes], kind="stable")[::-1] for tubes in groups]
    kept: list[list[int]] = [[] for _ in groups]
    # The tubes that are left, best first within their group. A round keeps the best one of each group.
    left = np.concatenate([np.empty(0, np.int64), *(order + at for order, at in zip(orders, offsets, strict=True))])
    group_of = np.repeat(np.arange(len(groups)), [len(tubes) for tubes in groups])
    while left.size:
        is_best = np.diff(group_of, prepend=-1) != 0
        best, in_groups = left[is_best], group_of[is_best]
        for index, group in zip(best.tolist(), in_groups.tolist(), strict=True):
            kept[group].append(index - int(offsets[group]))
        left, group_of = left[~is_best], group_of[~is_best]
        rivals = best[np.searchsorted(in_groups, group_of)]
        stays = tube_iou(stack, stack, (left, rivals), counting) <= max_overlap
        left, group_of = left[stays], group_of[stays]
    return kept
