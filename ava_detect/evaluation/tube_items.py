"""What is matched: tubes of videos, or boxes of single frames; and the pairs of detections and ground truth that meet.

Shapes: N tubes or boxes, R detections, P pairs of a detection and a tube or box of the ground truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from ava_detect.evaluation.tube_overlap import Counting, TubeStack, box_iou, tube_overlaps
from ava_detect.structures.frame_tubes import FrameTube

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

# Frames of a video, for keys of video and frame in one number.
MAX_FRAMES = 1 << 40
NOT_MEASURED = -1


class PairOverlaps(NamedTuple):
    """The overlap of P pairs.

    Attributes:
        spatial: float64 ``[P]``, mean IoU of the boxes on shared frames; 0 where there are none.
        temporal: float64 ``[P]``, IoU of the spans; 1 for boxes of one frame. NaN for two spans of 0 frames.
        is_shared: bool ``[P]``, whether a frame is shared.
    """

    spatial: FloatArray
    temporal: FloatArray
    is_shared: BoolArray

    @property
    def iou(self) -> FloatArray:
        """float64 ``[P]``, the overlap in space and time."""
        product: FloatArray = np.where(self.is_shared, self.spatial * self.temporal, 0.0)
        return product


@dataclass(frozen=True, eq=False)
class TubeItems:
    """N tubes.

    Attributes:
        tubes: The tubes.
        videos: int64 ``[N]``, number of the video of each; ``NOT_MEASURED`` for others.
    """

    tubes: Sequence[FrameTube]
    videos: IntArray

    def __len__(self) -> int:
        return len(self.tubes)

    @cached_property
    def stack(self) -> TubeStack:
        """The boxes of all tubes."""
        return TubeStack.build(self.tubes)

    @property
    def keys(self) -> IntArray:
        """int64 ``[N]``: only tubes of equal keys can meet."""
        return self.videos

    def overlaps(self, truth: TubeItems, pairs: Pairs, counting: Counting) -> PairOverlaps:
        """Compute the overlap of pairs of these tubes and others.

        Args:
            truth: The others.
            pairs: The pairs.
            counting: How lengths are counted.

        Returns:
            The overlaps.
        """
        return PairOverlaps(*tube_overlaps(truth.stack, self.stack, (pairs.truths, pairs.detections), counting))

    def areas(self) -> FloatArray:
        """Return the mean area of the boxes of each tube, ``[N]``."""
        return np.array([float(_areas(tube.boxes_xyxy).mean()) for tube in self.tubes])

    def lengths(self) -> FloatArray:
        """Return the number of frames of the span of each tube, ``[N]``."""
        return np.array([float(tube.frames[-1] - tube.frames[0] + 1) for tube in self.tubes])

    def identities(self) -> IntArray:
        """Return a number for each tube, ``[N]``, equal for equal tubes; numbers count from 0 without gaps."""
        known: dict[tuple[int, bytes, bytes], int] = {}
        keys = [
            (video, tube.frames.tobytes(), tube.boxes_xyxy.tobytes())
            for video, tube in zip(self.videos.tolist(), self.tubes, strict=True)
        ]
        return np.array([known.setdefault(key, len(known)) for key in keys], np.int64)

    def chosen(self, indices: npt.NDArray[np.intp]) -> TubeItems:
        """Choose some of the tubes.

        Args:
            indices: Their indices.

        Returns:
            These tubes, in this order.
        """
        return TubeItems([self.tubes[index] for index in indices.tolist()], self.videos[indices])

    @classmethod
    def joined(cls, parts: Sequence[TubeItems]) -> Self:
        """Join the tubes of several parts.

        Args:
            parts: The parts.

        Returns:
            Their tubes, one part after another.
        """
        tubes = [tube for part in parts for tube in part.tubes]
        return cls(tubes, np.concatenate([np.empty(0, np.int64), *(part.videos for part in parts)]))


@dataclass(frozen=True, eq=False)
class BoxItems:
    """N boxes on frames.

    Attributes:
        videos: int64 ``[N]``, number of the video of each; ``NOT_MEASURED`` for others.
        frames: int64 ``[N]``, number of the frame.
        boxes: float64 ``[N, 4]``, x1, y1, x2, y2.
    """

    videos: IntArray
    frames: IntArray
    boxes: FloatArray

    def __len__(self) -> int:
        return len(self.videos)

    @property
    def keys(self) -> IntArray:
        """int64 ``[N]``: only boxes of equal keys can meet."""
        return np.where(self.videos < 0, NOT_MEASURED, self.videos * MAX_FRAMES + self.frames)

    def overlaps(self, truth: BoxItems, pairs: Pairs, counting: Counting) -> PairOverlaps:
        """Compute the overlap of pairs of these boxes and others.

        Args:
            truth: The others.
            pairs: The pairs.
            counting: How lengths are counted.

        Returns:
            The overlaps.
        """
        iou = box_iou(truth.boxes[pairs.truths], self.boxes[pairs.detections], counting.box_side)
        return PairOverlaps(iou, np.ones(len(iou)), np.ones(len(iou), np.bool_))

    def areas(self) -> FloatArray:
        """Return the area of each box, ``[N]``."""
        return _areas(self.boxes)

    def lengths(self) -> FloatArray:
        """Return ones, ``[N]``."""
        return np.ones(len(self))

    def identities(self) -> IntArray:
        """Return a number for each box, ``[N]``, equal for equal boxes of a frame; they count from 0 without gaps."""
        columns = [*self.boxes.T, self.keys]
        order = np.lexsort(columns)
        is_new = np.zeros(len(self), np.bool_)
        is_new[1:] = np.any([np.diff(column[order]) != 0 for column in columns], axis=0)
        numbers = np.empty(len(self), np.int64)
        numbers[order] = np.cumsum(is_new)
        return numbers

    def chosen(self, indices: npt.NDArray[np.intp]) -> BoxItems:
        """Choose some of the boxes.

        Args:
            indices: Their indices.

        Returns:
            These boxes, in this order.
        """
        return BoxItems(self.videos[indices], self.frames[indices], self.boxes[indices])

    @classmethod
    def joined(cls, parts: Sequence[BoxItems]) -> Self:
        """Join the boxes of several parts.

        Args:
            parts: The parts.

        Returns:
            Their boxes, one part after another.
        """
        return cls(
            np.concatenate([np.empty(0, np.int64), *(part.videos for part in parts)]),
            np.concatenate([np.empty(0, np.int64), *(part.frames for part in parts)]),
            np.concatenate([np.empty((0, 4)), *(part.boxes for part in parts)]),
        )


def _areas(boxes: FloatArray) -> FloatArray:
    area: FloatArray = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1)
    return area


class Pairs(NamedTuple):
    """P pairs of a detection and a tube or box of the ground truth, by detection, then by ground truth.

    Attributes:
        detections: int64 ``[P]``, ascending.
        truths: int64 ``[P]``, ascending within a detection.
    """

    detections: IntArray
    truths: IntArray


def pairs_of(found_keys: IntArray, truth_keys: IntArray) -> Pairs:
    """Find all pairs of equal keys.

    Args:
        found_keys: int64 ``[R]``.
        truth_keys: int64 ``[G]``, without negative ones.

    Returns:
        The pairs.
    """
    order = np.argsort(truth_keys, kind="stable")
    ascending = truth_keys[order]
    low = np.searchsorted(ascending, found_keys, side="left")
    sizes = np.searchsorted(ascending, found_keys, side="right") - low
    detections = np.repeat(np.arange(len(found_keys)), sizes)
    positions = np.repeat(low - np.cumsum(sizes) + sizes, sizes) + np.arange(sizes.sum())
    return Pairs(detections, order[positions])


def best_pairs(pairs: Pairs, overlaps: FloatArray) -> IntArray:
    """Find the pair of greatest overlap of each detection that has any.

    Args:
        pairs: P pairs.
        overlaps: float64 ``[P]``. As for numpy's argmax, NaN is greater than any number, and of equal ones the first
            counts.

    Returns:
        int64, indices of pairs, by detection.
    """
    if not len(overlaps):
        return np.empty(0, np.int64)
    starts = np.flatnonzero(np.diff(pairs.detections, prepend=-1))
    greatest = np.maximum.reduceat(overlaps, starts)
    spread = np.repeat(greatest, np.diff(starts, append=len(overlaps)))
    candidates = np.flatnonzero((overlaps == spread) | (np.isnan(overlaps) & np.isnan(spread)))
    _, positions = np.unique(pairs.detections[candidates], return_index=True)
    best: IntArray = candidates[positions]
    return best
