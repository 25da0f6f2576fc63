"""Ground-truth boxes indexed by keyframe and class, the best overlap of each detection, and the greedy assignment.

The semantics are those of ActivityNet's ``get_ava_performance.py`` (2021) and the object-detection evaluation
code under it; ``docs/evaluation.md`` spells them out.

Shapes: R detections, G ground-truth boxes, K keyframes, S keyframes that have ground-truth boxes, C classes. A *cell*
is one class on one keyframe.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ava_detect.evaluation.keyframes import Int32Array, IntArray, starts_run

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
IndexArray = npt.NDArray[np.intp]
ClassArray = npt.NDArray[np.int16]


@dataclass(frozen=True, eq=False)
class GroundTruthIndex:
    """Ground-truth boxes sorted by keyframe and class, so that the boxes of one cell are contiguous.

    Attributes:
        boxes: float64 ``[G, 4]``, x1, y1, x2, y2, sorted by cell and, in a cell, by descending priority.
        classes: int16 ``[G]``, index of each box's class in the label map.
        keyframes: int32 ``[G]``, index of each box's keyframe, 0 to K - 1.
        slots: int32 ``[K]``, index of each keyframe among the S keyframes that have boxes. All other keyframes share
            slot S, which is empty.
        cell_starts: int32 ``[(S + 1) * C + 1]``. The boxes of class c in slot s are rows ``cell_starts[s * C + c]`` up
            to ``cell_starts[s * C + c + 1]``.
        is_cell_occupied: bool ``[(S + 1) * C]``, whether a cell has any box.
        num_classes: C.
    """

    boxes: FloatArray
    classes: ClassArray
    keyframes: Int32Array
    slots: Int32Array
    cell_starts: Int32Array
    is_cell_occupied: BoolArray
    num_classes: int

    @classmethod
    def build(
        cls,
        keyframes: Int32Array,
        classes: ClassArray,
        boxes: FloatArray,
        priorities: IntArray,
        *,
        num_keyframes: int,
        num_classes: int,
    ) -> GroundTruthIndex:
        """Index ground-truth boxes.

        Args:
            keyframes: int32 ``[G]``, keyframe of each box, 0 to ``num_keyframes - 1``.
            classes: int16 ``[G]``, class of each box, 0 to ``num_classes - 1``.
            boxes: float64 ``[G, 4]``, x1, y1, x2, y2.
            priorities: int64 ``[G]``. Where a detection overlaps two boxes equally, the box of higher priority is its
                candidate; of equal priorities, the box that comes first.
            num_keyframes: K, the keyframes without boxes included.
            num_classes: C.

        Returns:
            The index.
        """
        # Keyframes without boxes share one slot: the table of cells has (S + 1) * C entries instead of K * C.
        used = np.unique(keyframes)  # [S]
        slots = np.full(num_keyframes, len(used), np.int32)  # [K]
        slots[used] = np.arange(len(used), dtype=np.int32)
        cells = _cells(slots[keyframes], classes, num_classes)  # [G]
        # Cell by cell, then by descending priority; lexsort is stable, so equal priorities keep the order of the file.
        order = np.lexsort((-priorities, cells))  # [G]
        # np.bincount would allocate int64 for every cell; the counts fit int32.
        counts = np.zeros((len(used) + 1) * num_classes, np.int32)
        np.add.at(counts, cells, 1)
        cell_starts = np.concatenate([np.zeros(1, np.int32), np.cumsum(counts, dtype=np.int32)])
        return cls(boxes[order], classes[order], keyframes[order], slots, cell_starts, counts > 0, num_classes)

    @property
    def num_keyframes(self) -> int:
        """Number of keyframes K, those without boxes included."""
        return len(self.slots)

    def cells(self, keyframes: Int32Array, classes: ClassArray) -> IntArray:
        """Return the cell of each detection, an index into ``cell_starts``.

        Args:
            keyframes: int32 ``[R]``, keyframe of each detection.
            classes: int16 ``[R]``, class of each detection.

        Returns:
            int64 ``[R]``. Detections of one class on keyframes without boxes share a cell.
        """
        return _cells(self.slots[keyframes], classes, self.num_classes)

    def has_candidates(self, keyframes: Int32Array, classes: ClassArray) -> BoolArray:
        """Return which detections have a ground-truth box of their class on their keyframe.

        Args:
            keyframes: int32 ``[R]``, keyframe of each detection.
            classes: int16 ``[R]``, class of each detection.

        Returns:
            bool ``[R]``.
        """
        return self.is_cell_occupied[self.cells(keyframes, classes)]

    def best_overlaps(
        self, keyframes: Int32Array, classes: ClassArray, boxes: FloatArray
    ) -> tuple[FloatArray, Int32Array]:
        """Return the ground-truth box of its keyframe and class that each detection overlaps most.

        Args:
            keyframes: int32 ``[R]``, keyframe of each detection.
            classes: int16 ``[R]``, class of each detection.
            boxes: float64 ``[R, 4]``, box of each detection.

        Returns:
            The IoU, float64 ``[R]``, and the index of the box in ``self.boxes``, int32 ``[R]``. Of equal IoUs the first
            box in the order of this index; -1 and -1 where the cell has no box.
        """
        cells = self.cells(keyframes, classes)  # [R]
        first = self.cell_starts[cells]  # [R]
        count = self.cell_starts[cells + 1] - first  # [R]
        best_iou = np.full(len(cells), -1.0)
        best_index = np.full(len(cells), -1, np.int32)
        # One pass per candidate of the fullest cell: pass n compares the n-th candidate of all cells that have one.
        # ``rows`` shrinks from pass to pass, so the work is one IoU for each pair of detection and candidate.
        rows, nth = np.flatnonzero(count), 0
        while rows.size:
            candidate = first[rows] + np.int32(nth)
            iou = paired_iou(boxes[rows], self.boxes[candidate])
            # Strictly greater: among equal IoUs the first candidate stays.
            is_better = iou > best_iou[rows]
            best_iou[rows[is_better]] = iou[is_better]
            best_index[rows[is_better]] = candidate[is_better]
            nth += 1
            rows = rows[count[rows] > nth]
        return best_iou, best_index


def _cells(slots: Int32Array, classes: ClassArray, num_classes: int) -> IntArray:
    """Return ``slots * num_classes + classes`` in int64, with one temporary array instead of three."""
    cells = slots.astype(np.int64)
    cells *= num_classes
    cells += classes
    return cells


def paired_iou(boxes_a: FloatArray, boxes_b: FloatArray) -> FloatArray:
    """Return the IoU of each box with the box in the same row, in the official order of operations.

    ``inter / ((area_a + area_b) - inter)``, all in float64. Another order of the sum moves boxes that overlap by
    exactly one half across the threshold.

    Args:
        boxes_a: float64 ``[R, 4]``, x1, y1, x2, y2.
        boxes_b: float64 ``[R, 4]``, x1, y1, x2, y2.

    Returns:
        float64 ``[R]``, 0 to 1.
    """
    ax1, ay1, ax2, ay2 = boxes_a.T
    bx1, by1, bx2, by2 = boxes_b.T
    with np.errstate(over="ignore", invalid="ignore"):
        # Sides of the intersection; a negative side means that the boxes are apart.
        height = np.maximum(0.0, np.minimum(ay2, by2) - np.maximum(ay1, by1))
        width = np.maximum(0.0, np.minimum(ax2, bx2) - np.maximum(ax1, bx1))
        inter = height * width
        # A ground-truth box with reversed sides has no area; it then overlaps nothing.
        area_a = np.maximum(0.0, ay2 - ay1) * np.maximum(0.0, ax2 - ax1)
        area_b = np.maximum(0.0, by2 - by1) * np.maximum(0.0, bx2 - bx1)
        union = (area_a + area_b) - inter
        # Where there is no intersection the union may be 0, too: 0 instead of 0 / 0.
        iou: FloatArray = np.divide(inter, union, out=np.zeros_like(inter), where=inter > 0)
        return iou


def assign_greedily(box_indices: Int32Array, scores: FloatArray | None) -> BoolArray:
    """Return which detections win the box that they claim; each box goes to one detection.

    Args:
        box_indices: int32 ``[R]``, the box that each detection claims.
        scores: float64 ``[R]``. The highest score wins, of equal scores the first detection. None: the first
            detection wins, whatever its score.

    Returns:
        bool ``[R]``.
    """
    # Group the claims by box, the winner first; both sorts are stable.
    order = np.argsort(box_indices, kind="stable") if scores is None else np.lexsort((-scores, box_indices))  # [R]
    wins = np.zeros(len(box_indices), np.bool_)
    wins[order] = starts_run(box_indices[order])
    return wins
