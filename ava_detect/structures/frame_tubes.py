"""Tubes on numbered frames, as UCF101-24, JHMDB and MultiSports label them: a box of one person on each frame."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class FrameTube:
    """One action of one person on N frames of a video; ``ActionTube`` is its counterpart on keyframes at times.

    Attributes:
        video_id: The video's name.
        action_id: The action's id.
        frames: int64 ``[N]``, numbers of the frames, ascending without repetition; the data sets count from 1.
        boxes_xyxy: float64 ``[N, 4]``, x1, y1, x2, y2 in pixels.
        score: Score of a detected tube; NaN for a tube of the ground truth.

    Raises:
        ValueError: The shapes disagree, there is no frame, a box is not finite, or the frames do not ascend.
    """

    video_id: str
    action_id: int
    frames: npt.NDArray[np.int64]
    boxes_xyxy: npt.NDArray[np.float64]
    score: float = math.nan

    def __post_init__(self) -> None:
        num_frames = len(self.frames)
        if self.boxes_xyxy.shape != (num_frames, 4):
            raise ValueError(f"boxes_xyxy must have shape [{num_frames}, 4], got {list(self.boxes_xyxy.shape)}")
        if not num_frames:
            raise ValueError("a tube has at least one frame")
        if (np.diff(self.frames) <= 0).any():
            raise ValueError("the frames of a tube ascend without repetition")
        if not np.isfinite(self.boxes_xyxy).all():
            raise ValueError("the boxes of a tube are finite numbers")

    def __len__(self) -> int:
        return len(self.frames)

    def on_frames(self, first: int, last: int) -> FrameTube:
        """Give the tube a box on every frame of a span.

        Args:
            first: Number of the first frame of the span.
            last: Number of its last frame.

        Returns:
            The tube with interpolated boxes; outside its own frames it keeps its first or its last box.
        """
        if len(self) == last - first + 1 and self.frames[0] == first:
            return self
        frames = np.arange(first, last + 1)
        boxes = np.stack([np.interp(frames, self.frames, column) for column in self.boxes_xyxy.T], axis=1)
        return replace(self, frames=frames, boxes_xyxy=boxes)

    def __repr__(self) -> str:
        return (
            f"FrameTube({self.video_id!r}, action={self.action_id}, frames={self.frames[0]}-{self.frames[-1]}, "
            f"score={self.score:.3g})"
        )
