"""The keyframes of an AVA split, with people and labels, in a form that costs the same however many workers share it.

6 million rows of 2 million people are 65 MB here, once (measured 2026-11-22: the sum of the tensors); see ``packed``.
Shapes: K keyframes, N people of one, C columns of labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ava_detect.datasets.packed import PackedLists, PackedStrings
from ava_detect.datasets.people import BoolArray, People, check_fractions, label_columns
from ava_detect.errors import FormatError
from ava_detect.evaluation.keyframes import IntArray, KeyframeKeys, key_seconds, video_numbers
from ava_detect.formats.ava_csv import AvaTable, read_ava_csv
from ava_detect.formats.coco_json import read_coco_json
from ava_detect.structures import Float32Array


@dataclass(frozen=True, eq=False)
class KeyframeTable:
    """Keyframes in order of video and time.

    ``video_ids``: the videos that have a keyframe. ``video``: int32 ``[K]`` into them. ``seconds``: float64 ``[K]``, as
    in the files. ``people``: each keyframe's boxes, float32 ``[N, 4]``. ``labels``: each person's columns.
    ``unknown_labels``: how many rows had an action that is none of the columns, by id.
    """

    video_ids: PackedStrings
    video: Tensor
    seconds: Tensor
    people: PackedLists
    labels: PackedLists
    num_columns: int
    unknown_labels: dict[int, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.video)

    def boxes_fraction(self, index: int) -> Float32Array:
        """The boxes ``[N, 4]`` on a keyframe."""
        boxes: Float32Array = self.people[index].numpy()
        return boxes

    def label_matrix(self, index: int) -> Float32Array:
        """The labels ``[N, C]`` of the people on a keyframe, 0 or 1."""
        first, last = self.people.bounds(index)
        matrix = np.zeros((last - first, self.num_columns), np.float32)
        for row in range(last - first):
            matrix[row, self.labels[first + row].numpy()] = 1
        return matrix


def read_keyframes(
    annotations: str | Path,
    *,
    action_ids: Sequence[int],
    proposals: str | Path | None = None,
    exclude: str | Path | None = None,
    min_proposal_score: float = 0.8,
    match_iou: float = 0.9,
    training: bool = True,
) -> KeyframeTable:
    """The keyframes of an AVA or AVA-Kinetics csv.

    To learn from (``training``): keyframes with at least one true box; its people are the true boxes and the proposals,
    which take the labels of the true box that they overlap by ``match_iou``, or none. To test on: every keyframe that
    the csv names, also by a row of video and second alone; its people are the proposals, or, where no file of them is
    given, the true boxes.

    ``action_ids``: the action of each label column; rows of other actions keep their box and lose their label.
    ``proposals``: AVA csv or COCO json; boxes below ``min_proposal_score`` are left out, those without a score count 1.
    ``exclude``: a csv of video and second; these keyframes are dropped.
    Raises ``FormatError`` when a file cannot be read, holds pixels, or leaves nothing.
    """
    truth_rows = read_ava_csv(annotations, last_column="person_id")
    check_fractions(truth_rows, str(annotations))
    numbering = KeyframeKeys()
    keys = numbering.of_rows(truth_rows)
    excluded = numbering.of_rows(AvaTable.empty() if exclude is None else read_ava_csv(exclude))
    kept = ~np.isin(keys, excluded)
    boxed = np.flatnonzero(kept & ~truth_rows.lists_only)
    columns, unknown = label_columns(truth_rows.action_ids[boxed], action_ids)
    people = truth = People.of_rows(keys[boxed], truth_rows.boxes_fraction[boxed], columns)
    if proposals is not None:
        found = _proposed_people(proposals, numbering, min_proposal_score)
        found = found.on_keyframes(truth.keys if training else keys[kept]).labelled_by(truth, match_iou)
        people = People.joined(truth, found) if training else found
    keyframes = np.unique(people.keys if training else keys[kept])
    if not len(keyframes):
        raise FormatError(f"{annotations}: no keyframe with people is left; does it hold rows that are not excluded?")
    if unknown and not len(truth.columns):
        raise FormatError(
            f"{annotations}: none of its action ids ({_brief(unknown)}) is in the label map ({_brief(action_ids)}); "
            "give the label map that belongs to it (labels.map, labels.ids)"
        )
    return _packed(keyframes, people, numbering.video_ids, len(action_ids), unknown)


def _proposed_people(path: str | Path, numbering: KeyframeKeys, min_score: float) -> People:
    """The boxes of a file of proposals; what it says of actions is not used."""
    table = read_coco_json(path) if Path(path).suffix.lower() == ".json" else read_ava_csv(path)
    check_fractions(table, str(path))
    scores = np.where(np.isnan(table.scores), 1.0, table.scores)
    wrong = scores[(scores < 0) | (scores > 1)]
    if len(wrong):
        raise FormatError(
            f"{path}: scores of proposals lie in 0..1, got {wrong[0]:g}; a file of ground truth, "
            "whose column 8 holds person ids, is none of proposals"
        )
    wanted: BoolArray = ~table.lists_only & (scores >= min_score)
    table = table[wanted]
    return People.of_rows(numbering.of_rows(table), table.boxes_fraction, np.full(len(table), -1, np.int16))


def _packed(
    keyframes: IntArray, people: People, video_ids: Sequence[str], num_columns: int, unknown: dict[int, int]
) -> KeyframeTable:
    used, video = np.unique(video_numbers(keyframes), return_inverse=True)
    counts = np.searchsorted(people.keys, keyframes, "right") - np.searchsorted(people.keys, keyframes, "left")
    return KeyframeTable(
        PackedStrings.of(video_ids[number] for number in used.tolist()),
        torch.from_numpy(video.astype(np.int32)),
        torch.from_numpy(key_seconds(keyframes)),
        PackedLists.of(people.boxes_fraction.astype(np.float32), counts),
        PackedLists.of(people.columns, people.num_labels),
        num_columns,
        unknown,
    )


def _brief(ids: Iterable[int]) -> str:
    shown = sorted(ids)
    return ", ".join(map(str, shown)) if len(shown) <= 8 else f"{shown[0]} to {shown[-1]}"
