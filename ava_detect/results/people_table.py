"""Everybody in one video as columns, keyframe after keyframe: what is packed for the page.

Shapes: K keyframes, P people (a person counts once per keyframe), C actions.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ava_detect.formats.ava_csv import AvaTable
from ava_detect.structures import ActionDetections
from ava_detect.structures.labels import LabelMap
from ava_detect.structures.linking import Linker

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
_DEFAULT_SPACING_SECONDS = 1.0
# A person may be out of sight for one keyframe and is still the same one.
_GAP_IN_KEYFRAMES = 2.5


@dataclass(frozen=True, eq=False)
class PeopleTable:
    """The people of one video, in time order.

    ``timestamps_seconds``: float64 ``[K]``, rising. ``offsets``: int64 ``[K + 1]``: the people of keyframe k are rows
    ``offsets[k]`` to ``offsets[k + 1]``. ``boxes_fraction``: ``[P, 4]`` xyxy. ``action_scores``: ``[P, C]`` in 0..1,
    columns in the order of a label map. ``person_scores``: ``[P]``, or None where the file has none.
    ``track_ids``: int64 ``[P]``, or None before linking.
    """

    timestamps_seconds: Float64Array
    offsets: IntArray
    boxes_fraction: Float32Array
    action_scores: Float32Array
    person_scores: Float32Array | None = None
    track_ids: IntArray | None = None

    def __len__(self) -> int:
        return len(self.boxes_fraction)

    @property
    def counts(self) -> IntArray:
        """How many people each keyframe has, ``[K]``."""
        return np.diff(self.offsets)

    @property
    def keyframe_of(self) -> IntArray:
        """Each person's keyframe, ``[P]``."""
        return np.repeat(np.arange(len(self.timestamps_seconds)), self.counts)

    @property
    def spacing_seconds(self) -> float:
        """The usual time from keyframe to keyframe."""
        if len(self.timestamps_seconds) < 2:
            return _DEFAULT_SPACING_SECONDS
        return float(np.median(np.diff(self.timestamps_seconds)))

    @classmethod
    def from_keyframes(cls, keyframes: Sequence[ActionDetections], num_actions: int) -> Self:
        """The columns of keyframes that share ``num_actions`` score columns, put into the order of their time."""
        ordered = sorted(keyframes, key=lambda keyframe: keyframe.timestamp_seconds)
        tracks = [keyframe.track_ids for keyframe in ordered if len(keyframe)]
        known = [ids for ids in tracks if ids is not None]
        empty = np.zeros((0, 4), np.float32)
        return cls(
            np.array([keyframe.timestamp_seconds for keyframe in ordered], np.float64),
            np.concatenate([[0], np.cumsum([len(keyframe) for keyframe in ordered])]).astype(np.int64),
            np.concatenate([empty, *(keyframe.boxes_fraction for keyframe in ordered)]),
            np.concatenate([np.zeros((0, num_actions), np.float32), *(k.action_scores for k in ordered)]),
            np.concatenate([empty[:, 0], *(keyframe.person_scores for keyframe in ordered)]),
            np.concatenate([np.zeros(0, np.int64), *known]) if len(known) == len(tracks) else None,
        )

    @classmethod
    def from_rows(
        cls,
        table: AvaTable,
        label_map: LabelMap,
        *,
        start_seconds: float = 0.0,
        track_ids: IntArray | None = None,
        person_scores: Float32Array | None = None,
    ) -> Self:
        """The people of a table of one video: rows of one moment, box and person are one person.

        ``start_seconds`` is taken from every timestamp. ``track_ids``, ``person_scores``: ``[R]``, a value per row.
        Rows of an action that is not in ``label_map`` keep the person and lose the action; a row without a score
        (ground truth) counts as 1.
        """
        times, keyframe_of_row = np.unique(np.round(table.timestamps_seconds - start_seconds, 6), return_inverse=True)
        has_box = ~table.lists_only
        who = table.person_ids if track_ids is None else track_ids
        keys = np.column_stack([keyframe_of_row, who, table.boxes_fraction])[has_box]
        people, first, person_of_row = np.unique(keys, axis=0, return_index=True, return_inverse=True)
        scores = np.zeros((len(people), len(label_map)), np.float32)
        columns = columns_of(table.action_ids[has_box], label_map)
        values = np.where(np.isnan(table.scores), 1.0, table.scores)[has_box]
        known = columns >= 0
        np.maximum.at(scores, (person_of_row[known], columns[known]), values[known].astype(np.float32))
        counts = np.bincount(people[:, 0].astype(np.int64), minlength=len(times))
        return cls(
            times,
            np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            people[:, 2:].astype(np.float32),
            scores,
            None if person_scores is None else person_scores[has_box][first],
            None if (who[has_box] == -1).any() else people[:, 1].astype(np.int64),
        )

    def linked(self, cuts_seconds: Sequence[float] = ()) -> PeopleTable:
        """The same people with track ids: their own, or those of a ``Linker`` where they have none.

        ``cuts_seconds``: when the video's hard cuts are, rising.
        """
        if self.track_ids is not None:
            return self
        linker = Linker(_GAP_IN_KEYFRAMES * self.spacing_seconds)
        parts = [np.zeros(0, np.int64)]
        for k, timestamp in enumerate(self.timestamps_seconds.tolist()):
            rows = slice(self.offsets[k], self.offsets[k + 1])
            boxes = self.boxes_fraction[rows]
            blank = np.zeros((len(boxes), 1), np.float32)
            shot = bisect_right(cuts_seconds, timestamp)
            linked = linker.update(ActionDetections("", timestamp, boxes, blank[:, 0], blank), shot=shot).track_ids
            assert linked is not None
            parts.append(linked)
        return replace(self, track_ids=np.concatenate(parts))


def columns_of(action_ids: npt.NDArray[Any], label_map: LabelMap) -> IntArray:
    """The label map's column of each id, -1 for an id that it lacks."""
    column = {action_id: index for index, action_id in enumerate(label_map.ids)}
    distinct, inverse = np.unique(action_ids, return_inverse=True)
    places = np.array([column.get(action_id, -1) for action_id in distinct.tolist()], np.int64)
    return places[inverse] if len(distinct) else np.zeros(0, np.int64)
