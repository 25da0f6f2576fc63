"""The rows of an AVA annotation, proposal or detection file as columns: what readers give and writers take."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ava_detect.structures import ActionDetections

# A fraction may reach a little past the frame; a number beyond this was measured in pixels.
LARGEST_FRACTION = 1.5
RowIndex = slice | npt.NDArray[np.intp] | npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class AvaTable:
    """The rows of an AVA csv as columns; R rows.

    ``video_ids``: distinct ids, in order of first appearance; ``video_index``: int32 ``[R]`` into them.
    ``timestamps_seconds``: float64 ``[R]``, seconds of the movie as in the file. ``boxes_fraction``: float64
    ``[R, 4]`` xyxy as in the file, NaN in a row that only lists its keyframe (``video,timestamp``).
    ``action_ids``: int32 ``[R]``, 0 where the row names no action. ``scores``: float64 ``[R]``, NaN where the
    row has none. ``person_ids``: int64 ``[R]``, -1 where the row has none; an id that is no whole number from
    0 up stands as a number below -1, the same for the same text within a file.
    Raises ``ValueError`` when lengths disagree.
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
        """A table from plain columns, one entry per row; what is not given is marked as absent."""
        distinct = {video_id: index for index, video_id in enumerate(dict.fromkeys(video_ids))}
        rows = len(video_ids)
        return cls(
            tuple(distinct),
            np.fromiter((distinct[video_id] for video_id in video_ids), np.int32, rows),
            np.asarray(timestamps_seconds, np.float64),
            np.asarray(boxes_fraction, np.float64).reshape(-1, 4),
            np.zeros(rows, np.int32) if action_ids is None else np.asarray(action_ids, np.int32),
            np.full(rows, np.nan) if scores is None else np.asarray(scores, np.float64),
            np.full(rows, -1, np.int64) if person_ids is None else np.asarray(person_ids, np.int64),
        )

    @classmethod
    def empty(cls) -> Self:
        """No rows."""
        return cls.from_columns((), (), ())

    @classmethod
    def from_detections(
        cls, detections: Iterable[ActionDetections], *, start_seconds: float = 0.0, min_score: float = 0.0
    ) -> Self:
        """The rows that ``write_ava_csv`` would write, as reading them back would give them.

        One row per person and action whose score is at least ``min_score``. ``start_seconds`` is added to every
        timestamp.
        """
        keyframes = list(detections)
        chosen = [np.nonzero(keyframe.action_scores >= min_score) for keyframe in keyframes]
        columns = [(keyframe, where) for keyframe, where in zip(keyframes, chosen, strict=True) if len(where[0])]
        boxes = [keyframe.boxes_fraction[people] for keyframe, (people, _) in columns]
        scores = [keyframe.action_scores[where] for keyframe, where in columns]
        distinct = {name: index for index, name in enumerate(dict.fromkeys(k.video_id for k, _ in columns))}
        lengths = [len(people) for _, (people, _) in columns]
        return cls(
            tuple(distinct),
            np.repeat(np.array([distinct[k.video_id] for k, _ in columns], np.int32), lengths),
            np.repeat([k.timestamp_seconds + start_seconds for k, _ in columns], lengths),
            decimal_values(np.concatenate([np.empty((0, 4), np.float32), *boxes])),
            np.concatenate(
                [np.empty(0, np.int32), *(k.action_ids[actions] for k, (_, actions) in columns)], dtype=np.int32
            ),
            decimal_values(np.concatenate([np.empty(0, np.float32), *scores])),
            np.full(sum(lengths), -1, np.int64),
        )

    @classmethod
    def concatenate(cls, parts: Sequence[AvaTable]) -> Self:
        """The rows of all parts, in order; the ids of the videos are merged."""
        if not parts:
            return cls.empty()
        place = {video_id: index for index, video_id in enumerate(dict.fromkeys(v for p in parts for v in p.video_ids))}
        renumbered = [
            np.fromiter((place[v] for v in p.video_ids), np.int32, len(p.video_ids))[p.video_index] for p in parts
        ]
        return cls(
            tuple(place),
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
        """A choice of rows; ``video_ids`` stays as it is."""
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
        """The rows of these videos."""
        wanted = np.array([video_id in video_ids for video_id in self.video_ids], np.bool_)
        return self[wanted[self.video_index]] if len(self) else self

    @property
    def lists_only(self) -> npt.NDArray[np.bool_]:
        """Bool ``[R]``: the rows that only list their keyframe, without a box."""
        result: npt.NDArray[np.bool_] = (self.action_ids == 0) & np.isnan(self.boxes_fraction).all(axis=1)
        return result

    @property
    def in_pixels(self) -> npt.NDArray[np.bool_]:
        """Bool ``[R]``: the rows whose box is not in fractions: a corner lies far outside the frame or is no number."""
        inside = np.abs(self.boxes_fraction) <= LARGEST_FRACTION
        result: npt.NDArray[np.bool_] = ~np.all(inside, axis=1) & ~self.lists_only
        return result

    def __repr__(self) -> str:
        return f"AvaTable(rows={len(self)}, videos={len(self.video_ids)})"


def decimal_values(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """float32 numbers as the float64 of their shortest decimals: 0.3 rather than 0.30000001192092896.

    That is what text files of results hold, and what an evaluator reads out of them.
    """
    texts = pa.array(values.ravel()).cast(pa.string())
    decimals: npt.NDArray[np.float64] = np.asarray(np.from_dlpack(texts.cast(pa.float64())), np.float64)
    return decimals.reshape(values.shape)
