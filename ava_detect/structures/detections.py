"""The people on one frame, and the action scores of each person.

Shapes: N people, C actions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ava_detect.errors import shown

Float32Array = npt.NDArray[np.float32]
Index = slice | npt.NDArray[np.intp] | npt.NDArray[np.bool_] | Sequence[int]


def _float32(value: npt.ArrayLike, shape: tuple[int | None, ...], name: str) -> Float32Array:
    """Convert to float32 and check the shape (None = any length); an empty list fits every shape."""
    array = np.asarray(value, dtype=np.float32)
    if array.size == 0:
        array = array.reshape([0 if length is None else length for length in shape])
    fits = array.ndim == len(shape) and all(
        want is None or want == got for want, got in zip(shape, array.shape, strict=True)
    )
    if not fits:
        wanted = "[" + ", ".join("N" if length is None else str(length) for length in shape) + "]"
        raise ValueError(f"{name} must have shape {wanted}, got {list(array.shape)}")
    return array


@dataclass(frozen=True, eq=False)
class PersonBoxes:
    """The people that a detector found on one frame.

    Attributes:
        boxes_xyxy: float32 ``[N, 4]``, pixels of that frame; the full frame is ``[0, 0, W, H]``.
        scores: float32 ``[N]``, in 0..1.

    Raises:
        ValueError: If the shapes disagree or a number is not finite.
    """

    boxes_xyxy: Float32Array
    scores: Float32Array

    def __post_init__(self) -> None:
        boxes = _float32(self.boxes_xyxy, (None, 4), "boxes_xyxy")
        scores = _float32(self.scores, (None,), "scores")
        if len(boxes) != len(scores):
            raise ValueError(f"{len(boxes)} boxes but {len(scores)} scores; each box needs one")
        if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
            raise ValueError("boxes and scores must be finite numbers, got NaN or infinity")
        object.__setattr__(self, "boxes_xyxy", boxes)
        object.__setattr__(self, "scores", scores)

    @classmethod
    def empty(cls) -> Self:
        """Return a value with no people."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, index: Index) -> PersonBoxes:
        """Select people by a slice, a boolean mask ``[N]`` or indices."""
        return PersonBoxes(self.boxes_xyxy[index], self.scores[index])

    def above(self, min_score: float) -> PersonBoxes:
        """Select people by score.

        Args:
            min_score: Smallest score to keep, in 0..1.

        Returns:
            The people whose score is at least ``min_score``, in their order.
        """
        return self[self.scores >= np.float32(min_score)]

    def __repr__(self) -> str:
        return f"PersonBoxes(n={len(self)}, scores={np.round(self.scores, 2).tolist()})"


@dataclass(frozen=True, eq=False)
class ActionDetections:
    """The people on one keyframe, with a score of each action for each person.

    Attributes:
        video_id: The video's name.
        timestamp_seconds: Time from the start of the file.
        boxes_fraction: float32 ``[N, 4]`` xyxy, fractions of the frame.
        person_scores: float32 ``[N]``, the detector's scores, in 0..1.
        action_scores: float32 ``[N, C]``, in 0..1; column i is action ``action_ids[i]``.
        action_ids: int64 ``[C]``; by default 1..C, which is AVA's order.
        track_ids: int64 ``[N]``, equal for the same person on different keyframes; None before linking.

    Raises:
        ValueError: If the shapes disagree or a number is not finite.
    """

    video_id: str
    timestamp_seconds: float
    boxes_fraction: Float32Array
    person_scores: Float32Array
    action_scores: Float32Array
    action_ids: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    track_ids: npt.NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        boxes = _float32(self.boxes_fraction, (None, 4), "boxes_fraction")
        persons = _float32(self.person_scores, (None,), "person_scores")
        scores = np.asarray(self.action_scores, dtype=np.float32)
        ids = np.asarray(self.action_ids, dtype=np.int64)
        if scores.ndim != 2:
            raise ValueError(f"action_scores must have shape [N, C], got {list(scores.shape)}")
        if ids.size == 0:
            ids = np.arange(1, scores.shape[1] + 1, dtype=np.int64)
        if not (np.isfinite(boxes).all() and np.isfinite(persons).all() and np.isfinite(scores).all()):
            raise ValueError(
                f"{shown(self.video_id)}, second {self.timestamp_seconds:g}: boxes and scores must be finite numbers"
            )
        if not len(boxes) == len(persons) == len(scores):
            raise ValueError(
                f"{len(boxes)} boxes, {len(persons)} person scores and {len(scores)} rows of action scores; "
                "each person needs one of each"
            )
        if scores.shape[1] != len(ids):
            raise ValueError(f"{scores.shape[1]} score columns but {len(ids)} action ids; each column needs one")
        set_field: Any = object.__setattr__
        if self.track_ids is not None:
            tracks = np.asarray(self.track_ids, dtype=np.int64)
            if tracks.shape != (len(boxes),):
                raise ValueError(f"track_ids must have shape [{len(boxes)}], got {list(tracks.shape)}")
            set_field(self, "track_ids", tracks)
        set_field(self, "boxes_fraction", boxes)
        set_field(self, "person_scores", persons)
        set_field(self, "action_scores", scores)
        set_field(self, "action_ids", ids)

    @classmethod
    def empty(cls, video_id: str, timestamp_seconds: float, num_actions: int = 80) -> Self:
        """Return a keyframe with no people.

        Args:
            video_id: The video's name.
            timestamp_seconds: Time from the start of the file.
            num_actions: Number of score columns C.

        Returns:
            A value with N = 0 and the action ids 1..C.
        """
        zeros = np.zeros((0, 4), np.float32)
        return cls(video_id, timestamp_seconds, zeros, zeros[:, 0], np.zeros((0, num_actions), np.float32))

    def __len__(self) -> int:
        return len(self.person_scores)

    def __getitem__(self, index: Index) -> Self:
        """Select people by a slice, a boolean mask ``[N]`` or indices."""
        return replace(
            self,
            boxes_fraction=self.boxes_fraction[index],
            person_scores=self.person_scores[index],
            action_scores=self.action_scores[index],
            track_ids=None if self.track_ids is None else self.track_ids[index],
        )

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.video_id!r}, t={self.timestamp_seconds:g}s, people={len(self)}, "
            f"boxes_fraction={list(self.boxes_fraction.shape)}, action_scores={list(self.action_scores.shape)})"
        )
