"""Person boxes with their action labels, for all keyframes of a dataset at once, from the rows of annotation files.

Proposals are labelled by the rule of PySlowFast's training boxes (``ava_detection_train_boxes_and_labels_include_
negative``) and of the SlowFast paper, section 5.1: a detected box takes the labels of the true box that it overlaps
by an IoU of 0.9.

Shapes: R rows of a file, N boxes, L labels of all boxes together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from ava_detect.evaluation.ground_truth_index import GroundTruthIndex
from ava_detect.evaluation.keyframes import IntArray, starts_run
from ava_detect.structures import Float32Array
from ava_detect.structures import boxes as box_ops
from ava_detect.structures.labels import NO_ACTION

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class LabelledBoxes:
    """One box per person and keyframe, each with any number of labels, sorted by keyframe.

    Attributes:
        keys: int64 ``[N]``, the keyframe of each box as a key of ``evaluation.keyframes``.
        boxes_fraction: float64 ``[N, 4]`` xyxy, fractions of the frame, inside the frame.
        num_labels: int64 ``[N]``, the number of labels of each box.
        columns: int16 ``[L]``, the label columns of all boxes, concatenated in the order of the boxes.
        scores: float32 ``[N]``, in 0..1, how certain it is that each box shows a person; 1 of a true box.
    """

    keys: IntArray
    boxes_fraction: npt.NDArray[np.float64]
    num_labels: IntArray
    columns: npt.NDArray[np.int16]
    scores: Float32Array

    @classmethod
    def of_rows(
        cls,
        keys: IntArray,
        boxes_fraction: npt.NDArray[np.float64],
        columns: npt.NDArray[np.int16],
        scores: Float32Array | None = None,
    ) -> Self:
        """Merge rows of one box and one label each into one entry per distinct box of a keyframe.

        Boxes are clipped to the frame; those wholly outside are dropped. Repeated labels of a box count once, and its
        score is the best of its rows.

        Args:
            keys: int64 ``[R]``, the keyframe of each row.
            boxes_fraction: float64 ``[R, 4]`` xyxy, fractions of the frame.
            columns: int16 ``[R]``, the label column of each row; -1 for a row without a label.
            scores: float32 ``[R]``, the score of each row's person in 0..1; None for true boxes, whose score is 1.

        Returns:
            The boxes, sorted by keyframe and then by their corners.
        """
        scores = np.ones(len(keys), np.float32) if scores is None else scores
        # Clip to the frame and drop what has no area inside it.
        boxes = box_ops.clip(boxes_fraction, 1, 1).astype(np.float64)  # [R, 4]
        inside = box_ops.areas(boxes) > 0
        keys, boxes, columns, scores = keys[inside], boxes[inside], columns[inside], scores[inside]
        # Sort by keyframe, then box, then label, so that the rows of one box are neighbours.
        order = np.lexsort((columns, *boxes.T[::-1], keys))
        keys, boxes, columns, scores = keys[order], boxes[order], columns[order], scores[order]
        # The first row of each box is where the keyframe or any corner changes.
        first = starts_run(keys)  # bool [R]
        for corner in boxes.T:
            first |= starts_run(corner)
        box_of_row = np.cumsum(first) - 1  # [R], index into the merged boxes
        # Count a label once per box: at the box's first row, or where the label changes.
        labelled = (columns >= 0) & (first | starts_run(columns))
        num_labels = np.bincount(box_of_row[labelled], minlength=int(first.sum())).astype(np.int64)  # [N]
        best = np.zeros(len(num_labels), np.float32)
        np.maximum.at(best, box_of_row, scores)
        return cls(keys[first], boxes[first], num_labels, columns[labelled], best)

    @classmethod
    def joined(cls, one: LabelledBoxes, other: LabelledBoxes) -> Self:
        """Combine the boxes of both; on each keyframe, those of ``one`` come first.

        A box of ``other`` that equals an earlier one of its keyframe in float32, the precision of the network's input,
        is the same person and is left out.

        Args:
            one: The boxes that come first.
            other: The boxes that come after them.

        Returns:
            The boxes of both, sorted by keyframe.
        """
        keys = np.concatenate([one.keys, other.keys])
        corners = np.concatenate([one.boxes_fraction, other.boxes_fraction]).astype(np.float32).T  # [4, N + M]
        # A stable sort makes equal boxes neighbours and puts those of ``one`` first.
        order = np.lexsort((*corners, keys))
        is_first = starts_run(keys[order])  # whether each box in that order differs from the one before it
        for corner in corners:
            is_first |= starts_run(corner[order])
        is_new = np.empty_like(is_first)
        is_new[order] = is_first
        other = cls._selected(other, np.flatnonzero(is_new[len(one) :]))
        both = cls(
            np.concatenate([one.keys, other.keys]),
            np.concatenate([one.boxes_fraction, other.boxes_fraction]),
            np.concatenate([one.num_labels, other.num_labels]),
            np.concatenate([one.columns, other.columns]),
            np.concatenate([one.scores, other.scores]),
        )
        # A stable sort by keyframe keeps the order of ``one`` and ``other`` within a keyframe.
        return cls._selected(both, np.argsort(both.keys, kind="stable"))

    @classmethod
    def _selected(cls, boxes: LabelledBoxes, index: npt.NDArray[np.intp]) -> Self:
        """Return the boxes at ``index [n]``, in that order."""
        lengths = boxes.num_labels[index]
        columns, scores = boxes._columns_of(index), boxes.scores[index]
        return cls(boxes.keys[index], boxes.boxes_fraction[index], lengths, columns, scores)

    def _columns_of(self, index: npt.NDArray[np.integer]) -> npt.NDArray[np.int16]:
        """Return the concatenated label columns of the boxes at ``index [n]``."""
        lengths = self.num_labels[index]  # [n]
        first = (np.cumsum(self.num_labels) - self.num_labels)[index]  # [n], each box's first label in ``columns``
        before = np.cumsum(lengths) - lengths  # [n], each box's first label in the result
        # Label i of the result belongs to some box; its source is i shifted by (first - before) of that box.
        source = np.repeat(first - before, lengths) + np.arange(lengths.sum())
        columns: npt.NDArray[np.int16] = self.columns[source]
        return columns

    def __len__(self) -> int:
        return len(self.keys)

    def on_keyframes(self, keys: IntArray) -> Self:
        """Select the boxes on some keyframes.

        Args:
            keys: int64, the keys of the keyframes.

        Returns:
            The boxes whose keyframe is among ``keys``.
        """
        return self._selected(self, np.flatnonzero(np.isin(self.keys, keys)))

    def labelled_by(self, truth: LabelledBoxes, min_iou: float) -> Self:
        """Give each box the labels of the true box of its keyframe that it overlaps most.

        Boxes that overlap no true box by ``min_iou`` get no label: they are negatives for every action.

        Args:
            truth: The labelled true boxes.
            min_iou: Least IoU, 0 to 1, for the labels to be taken over.

        Returns:
            The same boxes with the labels of ``truth``.
        """
        if not len(truth) or not len(self):
            return replace(self, num_labels=np.zeros_like(self.num_labels), columns=self.columns[:0])
        # Number the keyframes of both from 0, as the index of the evaluator expects.
        keyframes, number = np.unique(np.concatenate([truth.keys, self.keys]), return_inverse=True)
        true_number, own_number = np.split(number.astype(np.int32), [len(truth)])
        one_class = np.zeros(len(number), np.int16)  # boxes are matched without regard to their actions
        index = GroundTruthIndex.build(
            true_number,
            one_class[: len(truth)],
            truth.boxes_fraction,
            -np.arange(len(truth), dtype=np.int64),  # falling priorities keep the order, so indices are into ``truth``
            num_keyframes=len(keyframes),
            num_classes=1,
        )
        # The best true box of each own box, and the labels that it brings.
        overlap, best = index.best_overlaps(own_number, one_class[len(truth) :], self.boxes_fraction)  # [N] each
        matched = overlap >= min_iou
        num_labels = np.where(matched, truth.num_labels[best], 0)
        return replace(self, num_labels=num_labels, columns=truth._columns_of(best[matched]))


def label_columns(
    row_ids: npt.NDArray[np.int32], action_ids: Sequence[int]
) -> tuple[npt.NDArray[np.int16], dict[int, int]]:
    """Convert action ids to label columns.

    Args:
        row_ids: int32 ``[R]``, the action id of each row; ``NO_ACTION`` does not count as unknown.
        action_ids: The action id of each label column.

    Returns:
        int16 ``[R]``, the column of each row's action, -1 where it has none; and the number of rows of each id that
        is not among ``action_ids``.
    """
    column_of = {action_id: column for column, action_id in enumerate(action_ids)}
    # Look up each distinct id once, then spread the result over the rows.
    ids, id_of_row, counts = np.unique(row_ids, return_inverse=True, return_counts=True)
    columns = np.array([column_of.get(action_id, -1) for action_id in ids.tolist()], np.int16)
    unknown = {
        action_id: count
        for action_id, count in zip(ids.tolist(), counts.tolist(), strict=True)
        if action_id not in column_of and action_id != NO_ACTION
    }
    return columns[id_of_row], unknown
