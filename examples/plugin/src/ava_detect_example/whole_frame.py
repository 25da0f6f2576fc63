"""A detector for videos in which one person fills the picture: the frame itself, but for a margin, is the box."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ava_detect import DetectorError, Frame, PersonBoxes


def _margin(text: str) -> float:
    margin = float(text)
    if not 0 <= margin < 0.5:
        raise ValueError("a margin is a fraction of the frame from 0 to below 0.5")
    return margin


class WholeFrame:
    """Finds one person on every frame.

    Args:
        margin: The fraction of the frame's sides that is left out at each edge.
        min_score: Every person has the score 1, which is never below it.
    """

    # The options of a spec, with the function that reads each: `whole-frame?margin=0.1`.
    spec_options = {"margin": _margin}  # noqa: RUF012

    def __init__(self, *, margin: float = 0.0, min_score: float = 0.0) -> None:
        self.name = f"whole frame, margin {margin:g}"  # written into every summary
        self.needs_images = False  # the size of a frame is all that it needs
        self._margin = margin

    def __call__(self, frames: Sequence[Frame | Any]) -> list[PersonBoxes]:
        """Return one person for each frame."""
        return [self._person(frame.image if isinstance(frame, Frame) else frame) for frame in frames]

    def _person(self, image: Any) -> PersonBoxes:
        if image.ndim != 3:
            raise DetectorError(f"a frame must be RGB [H, W, 3], got {list(image.shape)}")
        height, width = image.shape[:2]
        left, top = self._margin * width, self._margin * height
        box = np.array([[left, top, width - left, height - top]], np.float32)
        return PersonBoxes(box, np.ones(1, np.float32))
