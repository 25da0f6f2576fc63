"""The rows of an AVA annotation, proposal or detection file as columns; readers return this value, writers take it.

Shapes: R rows of the table, N people and C actions of a keyframe.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ava_detect.structures import ActionDetections
from ava_detect.structures.labels import NO_ACTION

# Boxes in fractions may extend a little beyond the frame; a coordinate above this is in pixels.
LARGEST_FRACTION = 1.5
RowIndex = slice | npt.NDArray[np.intp] | npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class AvaTable:
    """The R rows of an AVA csv as columns.

    Attributes:
        video_ids: The distinct video ids, in order of first appearance.
        video_index: int32 ``[R]``, each row's index into ``video_ids``.
        timestamps_seconds: float64 ``[R]``, in seconds of the movie, as in the file.
        boxes_fraction: float64 ``[R, 4]`` xyxy, as in the file; NaN in a row that only lists its keyframe
            (``video_id,timestamp``).
        action_ids: int32 ``[R]``, ``structures.labels.NO_ACTION`` where the row has no action; 0 is an id.
        scores: float64 ``[R]``, NaN where the row has no score.
        person_ids: int64 ``[R]``, -1 where the row has no person id. An id that is not a whole number from 0 up is
            represented by a number below -1, equal for equal texts of one file.

    Raises:
        ValueError: If the shapes disagree.
    """

    video_ids: tuple[str, ...]
    video_index: npt.NDArray[np.int32]
    timestamps_seconds: npt.NDArray[np.float64]
    boxes_fraction: npt.NDArray[np.float64]
    action_ids: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float64]
    person_ids: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        rows = len(self.video_index)
        if self.boxes_fraction.shape != (rows, 4):
            raise ValueError(f"boxes_fraction must have shape [{rows}, 4], got {list(self.boxes_fraction.shape)}")
        for name in ("timestamps_seconds", "action_ids", "scores", "person_ids"):
            if getattr(self, name).shape != (rows,):
                raise ValueError(f"{name} must have shape [{rows}], got {list(getattr(self, name).shape)}")

    @classmethod
    def from_columns(
        cls,
        video_ids: Sequence[str],
        timestamps_seconds: npt.ArrayLike,
        boxes_fraction: npt.ArrayLike,
        action_ids: npt.ArrayLike | None = None,
        scores: npt.ArrayLike | None = None,
        person_ids: npt.ArrayLike | None = None,
    ) -> Self:
        """Build a table from plain columns with one entry per row.

        Args:
            video_ids: R video ids, with repetitions.
            timestamps_seconds: Times ``[R]`` in seconds of the movie.
            boxes_fraction: Boxes ``[R, 4]`` xyxy, fractions of the frame; NaN in rows that only list a keyframe.
            action_ids: Action ids ``[R]``, ``NO_ACTION`` in rows without one; None: no row has one.
            scores: Scores ``[R]``; None: no row has one.
            person_ids: Person ids ``[R]``; None: no row has one.

        Returns:
            The table, rows in the given order.

        Raises:
            ValueError: If the lengths disagree.
        """
        distinct = {video_id: index for index, video_id in enumerate(dict.fromkeys(video_ids))}
        rows = len(video_ids)
        return cls(
            tuple(distinct),
            np.fromiter((distinct[video_id] for video_id in video_ids), np.int32, rows),
            np.asarray(timestamps_seconds, np.float64),
            np.asarray(boxes_fraction, np.float64).reshape(-1, 4),
            np.full(rows, NO_ACTION, np.int32) if action_ids is None else np.asarray(action_ids, np.int32),
            np.full(rows, np.nan) if scores is None else np.asarray(scores, np.float64),
            np.full(rows, -1, np.int64) if person_ids is None else np.asarray(person_ids, np.int64),
        )

    @classmethod
    def empty(cls) -> Self:
        """Return a table without rows."""
        return cls.from_columns((), (), ())

    @classmethod
    def from_detections(
        cls, detections: Iterable[ActionDetections], *, start_seconds: float = 0.0, min_score: float = 0.0
    ) -> Self:
        """Convert detections to the rows that ``write_ava_csv`` writes, with the values that reading them back gives.

        Args:
            detections: Keyframes; each person gets one row per action whose score is at least ``min_score``.
            start_seconds: The position of the video's start in the movie, in seconds; added to every timestamp.
            min_score: Smallest action score to keep, in 0..1.

        Returns:
            The rows, in the order of the keyframes, people and score columns.
        """
        keyframes = list(detections)
        # For each keyframe with any row: the person and the score column of each row, a pair of [rows] arrays.
        chosen = [np.nonzero(keyframe.action_scores >= min_score) for keyframe in keyframes]
        columns = [(keyframe, where) for keyframe, where in zip(keyframes, chosen, strict=True) if len(where[0])]
        boxes = [keyframe.boxes_fraction[people] for keyframe, (people, _) in columns]  # each [rows, 4]
        scores = [keyframe.action_scores[where] for keyframe, where in columns]  # each [rows]
        distinct = {name: index for index, name in enumerate(dict.fromkeys(k.video_id for k, _ in columns))}
        lengths = [len(people) for _, (people, _) in columns]
        # The empty arrays in front make the concatenations valid without keyframes and fix their dtypes.
        return cls(
            tuple(distinct),
            np.repeat(np.array([distinct[k.video_id] for k, _ in columns], np.int32), lengths),
            np.repeat([k.timestamp_seconds + start_seconds for k, _ in columns], lengths),
            shortest_decimals(np.concatenate([np.empty((0, 4), np.float32), *boxes])),
            np.concatenate(
                [np.empty(0, np.int32), *(k.action_ids[actions] for k, (_, actions) in columns)], dtype=np.int32
            ),
            shortest_decimals(np.concatenate([np.empty(0, np.float32), *scores])),
            np.full(sum(lengths), -1, np.int64),
        )

    @classmethod
    def concatenate(cls, parts: Sequence[AvaTable]) -> Self:
        """Concatenate tables.

        Args:
            parts: Any number of tables.

        Returns:
            The rows of all parts in order, over the merged list of video ids.
        """
        if not parts:
            return cls.empty()
        merged = dict.fromkeys(video_id for part in parts for video_id in part.video_ids)
        index_of = {video_id: index for index, video_id in enumerate(merged)}
        # Map each part's indices [R] into its own ids to indices into the merged ids.
        renumbered = [
            np.fromiter((index_of[v] for v in p.video_ids), np.int32, len(p.video_ids))[p.video_index] for p in parts
        ]
        return cls(
            tuple(index_of),
            np.concatenate(renumbered),
            np.concatenate([part.timestamps_seconds for part in parts]),
            np.concatenate([part.boxes_fraction for part in parts]),
            np.concatenate([part.action_ids for part in parts]),
            np.concatenate([part.scores for part in parts]),
            np.concatenate([part.person_ids for part in parts]),
        )

    def __len__(self) -> int:
        return len(self.video_index)

    def __getitem__(self, index: RowIndex) -> AvaTable:
        """Select rows by a slice, indices or a boolean mask ``[R]``; ``video_ids`` stays unchanged."""
        return AvaTable(
            self.video_ids,
            self.video_index[index],
            self.timestamps_seconds[index],
            self.boxes_fraction[index],
            self.action_ids[index],
            self.scores[index],
            self.person_ids[index],
        )

    def only_videos(self, video_ids: Collection[str]) -> AvaTable:
        """Select the rows of some videos.

        Args:
            video_ids: The ids to keep; ids that the table lacks are ignored.

        Returns:
            The rows of these videos in their order; ``video_ids`` of the table stays unchanged.
        """
        wanted = np.array([video_id in video_ids for video_id in self.video_ids], np.bool_)
        return self[wanted[self.video_index]] if len(self) else self

    @property
    def is_keyframe_only(self) -> npt.NDArray[np.bool_]:
        """Bool ``[R]``: True for rows that only list their keyframe, with no box and no action."""
        result: npt.NDArray[np.bool_] = (self.action_ids == NO_ACTION) & np.isnan(self.boxes_fraction).all(axis=1)
        return result

    @property
    def is_in_pixels(self) -> npt.NDArray[np.bool_]:
        """Bool ``[R]``: True for boxes that are not in fractions: a coordinate is beyond 1.5 or is not a number."""
        inside = np.abs(self.boxes_fraction) <= LARGEST_FRACTION
        result: npt.NDArray[np.bool_] = ~np.all(inside, axis=1) & ~self.is_keyframe_only
        return result

    def __repr__(self) -> str:
        return f"AvaTable(rows={len(self)}, videos={len(self.video_ids)})"


def shortest_decimals(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Convert float32 numbers to the float64 values of their shortest decimal texts: 0.3, not 0.30000001192092896.

    Text files of results contain these decimals, so an evaluator that reads such a file computes with these values.

    Args:
        values: float32 array of any shape.

    Returns:
        float64 array of the same shape.
    """
    texts = pa.array(values.ravel()).cast(pa.string())
    decimals: npt.NDArray[np.float64] = np.asarray(np.from_dlpack(texts.cast(pa.float64())), np.float64)
    return decimals.reshape(values.shape)
