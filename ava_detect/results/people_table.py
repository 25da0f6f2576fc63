"""All people of one video as columns, keyframe after keyframe.

Shapes: K keyframes, P people (a person counts once per keyframe), C actions, R rows of a table.
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
from ava_detect.structures.linking import Linker, max_gap_seconds

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
_DEFAULT_SPACING_SECONDS = 1.0


@dataclass(frozen=True, eq=False)
class PeopleTable:
    """The people of one video, in time order.

    Attributes:
        timestamps_seconds: float64 ``[K]``, ascending.
        offsets: int64 ``[K + 1]``; the people of keyframe k are rows ``offsets[k]`` up to ``offsets[k + 1]``.
        boxes_fraction: float32 ``[P, 4]``, x1, y1, x2, y2 as fractions of the frame.
        action_scores: float32 ``[P, C]``, 0..1, columns in the order of a label map.
        person_scores: float32 ``[P]``, or None where the file has none.
        track_ids: int64 ``[P]``, or None before linking.
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
        """Number of people on each keyframe, ``[K]``."""
        return np.diff(self.offsets)

    @property
    def keyframe_of(self) -> IntArray:
        """Index of each person's keyframe, ``[P]``."""
        return np.repeat(np.arange(len(self.timestamps_seconds)), self.counts)

    @property
    def spacing_seconds(self) -> float:
        """Median time from keyframe to keyframe; 1 second where there are fewer than two."""
        if len(self.timestamps_seconds) < 2:
            return _DEFAULT_SPACING_SECONDS
        return float(np.median(np.diff(self.timestamps_seconds)))

    @classmethod
    def from_keyframes(cls, keyframes: Sequence[ActionDetections], num_actions: int) -> Self:
        """Build from keyframes.

        Args:
            keyframes: K keyframes in any order, with the same score columns.
            num_actions: Number of score columns, C.

        Returns:
            Their people in time order. Track ids are kept where all people have one.
        """
        ordered = sorted(keyframes, key=lambda keyframe: keyframe.timestamp_seconds)
        tracks = [keyframe.track_ids for keyframe in ordered if len(keyframe)]
        known_tracks = [ids for ids in tracks if ids is not None]
        # Leading empty arrays give the shape and dtype where there is no keyframe.
        no_boxes = np.zeros((0, 4), np.float32)
        return cls(
            np.array([keyframe.timestamp_seconds for keyframe in ordered], np.float64),
            np.concatenate([[0], np.cumsum([len(keyframe) for keyframe in ordered])]).astype(np.int64),
            np.concatenate([no_boxes, *(keyframe.boxes_fraction for keyframe in ordered)]),
            np.concatenate([np.zeros((0, num_actions), np.float32), *(k.action_scores for k in ordered)]),
            np.concatenate([no_boxes[:, 0], *(keyframe.person_scores for keyframe in ordered)]),
            np.concatenate([np.zeros(0, np.int64), *known_tracks]) if len(known_tracks) == len(tracks) else None,
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
        """Build from a table with a row for each person and action; rows of one time, box and person are one person.

        Args:
            table: R rows of one video. A row that only lists its keyframe gives a keyframe without people. A row
                without a score (ground truth) has score 1.
            label_map: C actions, the score columns. A row of another action keeps its person without that action.
            start_seconds: Start of the video in its movie, subtracted from every timestamp.
            track_ids: int64 ``[R]``, the person of each row; None for the table's person ids.
            person_scores: float32 ``[R]``; None where there are none.

        Returns:
            The people in time order. Track ids are None where a row has no person id.
        """
        # Keyframes: timestamps that agree to a microsecond.
        times, keyframe_of_row = np.unique(
            np.round(table.timestamps_seconds - start_seconds, 6), return_inverse=True
        )  # [K], [R]
        has_box = ~table.is_keyframe_only
        ids = table.person_ids if track_ids is None else track_ids  # [R]
        # Ids by their rank, since the keys are floating-point numbers, which large ids do not fit.
        distinct_ids, rank_of_row = np.unique(ids, return_inverse=True)
        # People: distinct rows of (keyframe, id, x1, y1, x2, y2), sorted, so keyframe after keyframe.
        keys = np.column_stack([keyframe_of_row, rank_of_row, table.boxes_fraction])[has_box]  # [rows with a box, 6]
        people, first, person_of_row = np.unique(keys, axis=0, return_index=True, return_inverse=True)  # [P, 6]
        # Scatter the scores of the rows into the matrix; of repeated rows the greatest score counts.
        scores = np.zeros((len(people), len(label_map)), np.float32)  # [P, C]
        columns = columns_of(table.action_ids[has_box], label_map)
        values = np.where(np.isnan(table.scores), 1.0, table.scores)[has_box]
        is_known = columns >= 0
        np.maximum.at(scores, (person_of_row[is_known], columns[is_known]), values[is_known].astype(np.float32))
        counts = np.bincount(people[:, 0].astype(np.int64), minlength=len(times))  # [K]
        return cls(
            times,
            np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            people[:, 2:].astype(np.float32),
            scores,
            None if person_scores is None else person_scores[has_box][first],
            # -1 is the table's value for a missing person id.
            None if (ids[has_box] == -1).any() else distinct_ids[people[:, 1].astype(np.int64)],
        )

    def linked(self, cuts_seconds: Sequence[float] = ()) -> PeopleTable:
        """Return the same people with track ids: their own, or those of a ``Linker`` where they have none.

        Args:
            cuts_seconds: Times of the video's hard cuts, ascending; no track crosses one.

        Returns:
            The table with track ids.
        """
        if self.track_ids is not None:
            return self
        linker = Linker(max_gap_seconds(self.spacing_seconds))
        parts = [np.zeros(0, np.int64)]
        for k, timestamp in enumerate(self.timestamps_seconds.tolist()):
            rows = slice(self.offsets[k], self.offsets[k + 1])
            boxes = self.boxes_fraction[rows]
            # The linker uses boxes and times only.
            no_scores = np.zeros((len(boxes), 1), np.float32)
            keyframe = ActionDetections("", timestamp, boxes, no_scores[:, 0], no_scores)
            track_ids = linker.update(keyframe, shot=bisect_right(cuts_seconds, timestamp)).track_ids
            assert track_ids is not None
            parts.append(track_ids)
        return replace(self, track_ids=np.concatenate(parts))


def columns_of(action_ids: npt.NDArray[Any], label_map: LabelMap) -> IntArray:
    """Return the column of each action in a label map.

    Args:
        action_ids: int ``[R]``.
        label_map: Its actions are the columns, in order.

    Returns:
        int64 ``[R]``, -1 for an action that the label map does not have.
    """
    column_of_id = {action_id: column for column, action_id in enumerate(label_map.ids)}
    # Look up each distinct id once.
    distinct, inverse = np.unique(action_ids, return_inverse=True)
    columns = np.array([column_of_id.get(action_id, -1) for action_id in distinct.tolist()], np.int64)
    return columns[inverse] if len(distinct) else np.zeros(0, np.int64)
