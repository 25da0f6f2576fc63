"""Who stands on which keyframe and does what, from the rows of annotation files: whole data sets at a time.

R rows, N people, L labels. The rule for proposals is that of PySlowFast's training boxes (``ava_detection_train_boxes_
and_labels_include_negative``) and of the SlowFast paper, section 5.1: a detected person takes the labels of the true
one that they overlap by 0.9.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from ava_detect.errors import FormatError
from ava_detect.evaluation.ground_truth_index import GroundTruthIndex
from ava_detect.evaluation.keyframes import IntArray, starts_run
from ava_detect.formats.ava_csv import AvaTable
from ava_detect.structures import boxes as box_ops

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class People:
    """People, sorted by keyframe.

    ``keys``: int64 ``[N]``, the keyframe (``evaluation.keyframes``). ``boxes_fraction``: float64 ``[N, 4]``, inside the
    frame. ``num_labels``: int64 ``[N]``, how many of ``columns``, int16 ``[L]``, are each person's.
    """

    keys: IntArray
    boxes_fraction: npt.NDArray[np.float64]
    num_labels: IntArray
    columns: npt.NDArray[np.int16]

    @classmethod
    def of_rows(cls, keys: IntArray, boxes_fraction: npt.NDArray[np.float64], columns: npt.NDArray[np.int16]) -> Self:
        """One person for each distinct box of a keyframe, with the labels of all its rows; column -1 is no label.

        Boxes are cut at the frame, and who lies wholly outside is left out.
        """
        boxes = box_ops.clip(boxes_fraction, 1, 1).astype(np.float64)
        inside = box_ops.areas(boxes) > 0
        keys, boxes, columns = keys[inside], boxes[inside], columns[inside]
        order = np.lexsort((columns, *boxes.T[::-1], keys))
        keys, boxes, columns = keys[order], boxes[order], columns[order]
        first = starts_run(keys)
        for corner in boxes.T:
            first |= starts_run(corner)
        person = np.cumsum(first) - 1
        labelled = (columns >= 0) & (first | starts_run(columns))
        num_labels = np.bincount(person[labelled], minlength=int(first.sum())).astype(np.int64)
        return cls(keys[first], boxes[first], num_labels, columns[labelled])

    @classmethod
    def joined(cls, one: People, other: People) -> Self:
        """The people of both; on each keyframe, those of ``one`` first."""
        both = cls(
            np.concatenate([one.keys, other.keys]),
            np.concatenate([one.boxes_fraction, other.boxes_fraction]),
            np.concatenate([one.num_labels, other.num_labels]),
            np.concatenate([one.columns, other.columns]),
        )
        return cls._taken(both, np.argsort(both.keys, kind="stable"))

    @classmethod
    def _taken(cls, people: People, index: npt.NDArray[np.intp]) -> Self:
        lengths = people.num_labels[index]
        return cls(people.keys[index], people.boxes_fraction[index], lengths, people._columns_of(index))

    def _columns_of(self, index: npt.NDArray[np.integer]) -> npt.NDArray[np.int16]:
        """The labels of some people, one behind the other."""
        lengths = self.num_labels[index]
        first = (np.cumsum(self.num_labels) - self.num_labels)[index]
        before = np.cumsum(lengths) - lengths
        columns: npt.NDArray[np.int16] = self.columns[np.repeat(first - before, lengths) + np.arange(lengths.sum())]
        return columns

    def __len__(self) -> int:
        return len(self.keys)

    def on_keyframes(self, keys: IntArray) -> Self:
        """Those on any of the keyframes ``keys``."""
        return self._taken(self, np.flatnonzero(np.isin(self.keys, keys)))

    def labelled_by(self, truth: People, min_iou: float) -> Self:
        """The same people with the labels of the person of ``truth`` whom each overlaps most, if by ``min_iou``.

        The others get no label: they do nothing, which the network is to learn as well.
        """
        if not len(truth) or not len(self):
            return type(self)(self.keys, self.boxes_fraction, np.zeros_like(self.num_labels), self.columns[:0])
        keyframes, number = np.unique(np.concatenate([truth.keys, self.keys]), return_inverse=True)
        true_number, own_number = np.split(number.astype(np.int32), [len(truth)])
        one_class = np.zeros(len(number), np.int16)
        index = GroundTruthIndex.build(
            true_number,
            one_class[: len(truth)],
            truth.boxes_fraction,
            -np.arange(len(truth), dtype=np.int64),  # keeps the order, so that places are those in ``truth``
            num_keyframes=len(keyframes),
            num_classes=1,
        )
        overlap, place = index.best_overlaps(own_number, one_class[len(truth) :], self.boxes_fraction)
        matched = overlap >= min_iou
        num_labels = np.where(matched, truth.num_labels[place], 0)
        return type(self)(self.keys, self.boxes_fraction, num_labels, truth._columns_of(place[matched]))


def label_columns(
    row_ids: npt.NDArray[np.int32], action_ids: Sequence[int]
) -> tuple[npt.NDArray[np.int16], dict[int, int]]:
    """The column ``[R]`` of each row's action, -1 where it has none, and how many rows each unknown id has.

    ``row_ids``: the action id of each row; 0, which says that it has no action, is not unknown.
    ``action_ids``: the id of each column.
    """
    column_of = {action_id: column for column, action_id in enumerate(action_ids)}
    ids, place, counts = np.unique(row_ids, return_inverse=True, return_counts=True)
    columns = np.array([column_of.get(action_id, -1) for action_id in ids.tolist()], np.int16)
    unknown = {
        action_id: count
        for action_id, count in zip(ids.tolist(), counts.tolist(), strict=True)
        if action_id not in column_of and action_id != 0
    }
    return columns[place], unknown


def check_fractions(table: AvaTable, path: str) -> None:
    """Refuse pixels where fractions of the frame are expected; ``FormatError`` names file, video and second."""
    outside = table.in_pixels
    if outside.any():
        row = int(outside.argmax())
        raise FormatError(
            f"{path}: boxes are fractions of the frame, 0..1, got {table.boxes_fraction[row].tolist()} in "
            f"{table.video_ids[table.video_index[row]]} at {table.timestamps_seconds[row]:g} s; divide pixels by the "
            "frame's width and height"
        )
