"""The keyframes of an AVA split with boxes and labels, in tensors that all workers of a loader share.

6 million rows of 2 million people take 73 MB once, for any number of workers (65 MB measured 2026-11-22, the sum of the
tensors, and 4 bytes a person since for the scores); see ``packed``.

Shapes: K keyframes, N people of one keyframe, C label columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ava_detect.datasets.labelled_boxes import BoolArray, LabelledBoxes, label_columns
from ava_detect.datasets.packed import PackedLists, PackedStrings
from ava_detect.errors import FormatError
from ava_detect.evaluation.keyframes import IntArray, KeyframeKeys, key_seconds, video_numbers
from ava_detect.formats.annotation_files import read_ground_truth, read_person_boxes
from ava_detect.formats.ava_csv import AvaTable, read_ava_csv
from ava_detect.formats.row_checks import check_boxes
from ava_detect.structures import Float32Array

_MOST_IDS_SHOWN = 8
_IDS_HINT = "a ground-truth file, whose column 8 holds person ids, cannot be used as proposals"


@dataclass(frozen=True, eq=False)
class KeyframeTable:
    """Keyframes sorted by video and time.

    Attributes:
        video_ids: The videos that have a keyframe.
        video: int32 ``[K]``, each keyframe's index into ``video_ids``.
        seconds: float64 ``[K]``, the timestamps as they are in the files.
        boxes: One list per keyframe: float32 ``[N, 4]`` xyxy, fractions of the frame.
        labels: One list per box, in the order of ``boxes``: int16 label columns.
        scores: float32, one per box in the order of ``boxes``: the person's score in 0..1, 1 of a true box.
        num_columns: The number C of label columns.
        unknown_labels: The number of rows of each action id that has no label column.
    """

    video_ids: PackedStrings
    video: Tensor
    seconds: Tensor
    boxes: PackedLists
    labels: PackedLists
    scores: Tensor
    num_columns: int
    unknown_labels: dict[int, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.video)

    def boxes_fraction(self, index: int) -> Float32Array:
        """Return the boxes of a keyframe.

        Args:
            index: The keyframe, from 0.

        Returns:
            float32 ``[N, 4]`` xyxy, fractions of the frame.
        """
        boxes: Float32Array = self.boxes[index].numpy()
        return boxes

    def person_scores(self, index: int) -> Float32Array:
        """Return how certain it is that each box of a keyframe shows a person.

        Args:
            index: The keyframe, from 0.

        Returns:
            float32 ``[N]`` in 0..1: of a proposal its detector's score, 1 where it has none, and of a true box.
        """
        scores: Float32Array = self.scores[slice(*self.boxes.bounds(index))].numpy()
        return scores

    def label_matrix(self, index: int) -> Float32Array:
        """Return the labels of the people on a keyframe.

        Args:
            index: The keyframe, from 0.

        Returns:
            float32 ``[N, C]``, 1 where a person performs the column's action, else 0.
        """
        first, last = self.boxes.bounds(index)
        matrix = np.zeros((last - first, self.num_columns), np.float32)
        for row in range(last - first):
            matrix[row, self.labels[first + row].numpy()] = 1
        return matrix


def read_keyframe_table(
    annotations: str | Path,
    *,
    action_ids: Sequence[int],
    proposals: str | Path | None = None,
    exclude: str | Path | None = None,
    min_proposal_score: float = 0.8,
    match_iou: float = 0.9,
    start_seconds: float = 0.0,
    training: bool = True,
) -> KeyframeTable:
    """Read the keyframes of an AVA or AVA-Kinetics csv.

    For training, the keyframes are those with at least one true box. Their boxes are the true ones and the proposals,
    which take the labels of the true box that they overlap by ``match_iou``, or none.

    For testing, the keyframes are all that the csv names, also by a row of video and second alone. Their boxes are the
    proposals, or the true boxes where no proposals are given.

    Args:
        annotations: The file of true boxes; see ``read_ground_truth``.
        action_ids: The action id of each label column. Rows of other actions keep their box and lose their label.
        proposals: A detector's boxes: AVA csv or COCO json. Boxes without a score count as having score 1.
        exclude: A csv of video and second; these keyframes are dropped.
        min_proposal_score: Least score, 0 to 1, of the proposals that are used.
        match_iou: Least IoU, 0 to 1, at which a proposal takes the labels of a true box.
        start_seconds: Time in the movie, in seconds, at which each video starts, for annotations in Parquet.
        training: Whether the table is for training, else for testing.

    Returns:
        The keyframes with their boxes and labels.

    Raises:
        FormatError: If a file cannot be read, or has boxes in pixels or with reversed sides, or scores outside 0..1; if
            no keyframe is left; or if none of the action ids has a label column.
    """
    truth_rows = read_ground_truth(annotations, start_seconds=start_seconds, actions_required=True)
    return keyframe_table(
        truth_rows,
        annotations,
        action_ids=action_ids,
        proposals=None if proposals is None else read_proposals(proposals, min_proposal_score),
        exclude=None if exclude is None else read_ava_csv(exclude),
        match_iou=match_iou,
        training=training,
    )


def keyframe_table(
    truth_rows: AvaTable,
    origin: str | Path,
    *,
    action_ids: Sequence[int],
    proposals: AvaTable | None = None,
    exclude: AvaTable | None = None,
    match_iou: float = 0.9,
    training: bool = True,
) -> KeyframeTable:
    """Build the keyframes of true boxes; see ``read_keyframe_table``.

    Args:
        truth_rows: The true boxes. Timestamps here and in the other tables are seconds of the movie, or numbers of
            frames.
        origin: Where they come from, for messages.
        action_ids: The action id of each label column.
        proposals: A detector's boxes, as ``read_proposals`` returns them.
        exclude: Rows that name keyframes to leave out.
        match_iou: Least IoU, 0 to 1, at which a proposal takes the labels of a true box.
        training: Whether the table is for training, else for testing.

    Returns:
        The keyframes with their boxes and labels.

    Raises:
        FormatError: As of ``read_keyframe_table``.
    """
    check_boxes(truth_rows, origin)
    numbering = KeyframeKeys()
    # Drop the excluded keyframes; rows without a box only list a keyframe.
    keys = numbering.of_rows(truth_rows)  # [R]
    excluded = numbering.of_rows(AvaTable.empty() if exclude is None else exclude)
    kept = ~np.isin(keys, excluded)
    boxed = np.flatnonzero(kept & ~truth_rows.is_keyframe_only)
    # Merge the rows of each true box.
    columns, unknown = label_columns(truth_rows.action_ids[boxed], action_ids)
    boxes = truth = LabelledBoxes.of_rows(keys[boxed], truth_rows.boxes_fraction[boxed], columns)
    if proposals is not None:
        # Label the proposals on the keyframes in use; they join the true boxes in training and replace them in testing.
        unlabelled = np.full(len(proposals), -1, np.int16)
        scores = proposals.scores.astype(np.float32)
        found = LabelledBoxes.of_rows(numbering.of_rows(proposals), proposals.boxes_fraction, unlabelled, scores)
        found = found.on_keyframes(truth.keys if training else keys[kept]).labelled_by(truth, match_iou)
        boxes = LabelledBoxes.joined(truth, found) if training else found
    keyframes = np.unique(boxes.keys if training else keys[kept])  # [K]
    if not len(keyframes):
        raise FormatError(f"{origin}: no keyframe with people is left; does it hold rows that are not excluded?")
    if unknown and not len(truth.columns):
        raise FormatError(
            f"{origin}: none of its action ids ({_brief(unknown)}) is in the label map ({_brief(action_ids)}); "
            "give the label map that belongs to it (`labels.map`, `labels.ids`)"
        )
    return _packed(keyframes, boxes, numbering.video_ids, len(action_ids), unknown)


def read_proposals(path: str | Path, min_score: float) -> AvaTable:
    """Read the boxes of a file of proposals; the actions in the file mean nothing.

    Args:
        path: The file; see ``read_person_boxes``.
        min_score: Least score, 0 to 1, of the boxes that are used. A box without a score has the score 1.

    Returns:
        A row for each box, with a score.

    Raises:
        FormatError: The file cannot be read, or has boxes in pixels or with reversed sides, or scores outside 0..1.
    """
    table = read_person_boxes(path)
    check_boxes(table, path, ids_hint=_IDS_HINT)
    table = replace(table, scores=np.where(np.isnan(table.scores), 1.0, table.scores))
    wanted: BoolArray = ~table.is_keyframe_only & (table.scores >= min_score)
    return table[wanted]


def _packed(
    keyframes: IntArray, boxes: LabelledBoxes, video_ids: Sequence[str], num_columns: int, unknown: dict[int, int]
) -> KeyframeTable:
    """Pack sorted keyframes ``[K]`` and their boxes into shared tensors."""
    # Renumber the videos, leaving out those without a keyframe.
    used, video = np.unique(video_numbers(keyframes), return_inverse=True)
    # Boxes are sorted by keyframe: the count of each is the length of its run, 0 where it has no box.
    counts = np.searchsorted(boxes.keys, keyframes, "right") - np.searchsorted(boxes.keys, keyframes, "left")  # [K]
    return KeyframeTable(
        PackedStrings.of(video_ids[number] for number in used.tolist()),
        torch.from_numpy(video.astype(np.int32)),
        torch.from_numpy(key_seconds(keyframes)),
        PackedLists.of(boxes.boxes_fraction.astype(np.float32), counts),
        PackedLists.of(boxes.columns, boxes.num_labels),
        torch.from_numpy(boxes.scores),
        num_columns,
        unknown,
    )


def _brief(ids: Iterable[int]) -> str:
    """Write ids as text: all of a few, else the first and the last."""
    shown = sorted(ids)
    return ", ".join(map(str, shown)) if len(shown) <= _MOST_IDS_SHOWN else f"{shown[0]} to {shown[-1]}"
