"""A person detector whose answer is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ava_detect.structures import Frame, PersonBoxes


class FixedDetector:
    """Finds the same people on every frame.

    Args:
        boxes_fraction: The people's boxes, as fractions of the frame.
        scores: A score for each; by default they fall evenly from 0.9 to 0.5.
        needs_images: Whether it asks for frames at full size.
        is_empty: Tells from a frame's image that there is no person on it.
    """

    name = "fixed"

    def __init__(
        self,
        *boxes_fraction: Sequence[float],
        scores: Sequence[float] | None = None,
        needs_images: bool = True,
        is_empty: Callable[[np.ndarray], bool] = lambda image: False,
    ) -> None:
        self.boxes = np.array(boxes_fraction, np.float64).reshape(-1, 4)
        self.scores = np.linspace(0.9, 0.5, len(self.boxes)) if scores is None else np.array(scores)
        self.needs_images = needs_images
        self.is_empty = is_empty
        self.seen: list[Frame] = []

    def __call__(self, frames: Sequence[Frame]) -> list[PersonBoxes]:
        self.seen += frames
        return [self._people(frame.image) for frame in frames]

    def _people(self, image: np.ndarray) -> PersonBoxes:
        if self.is_empty(image):
            return PersonBoxes.empty()
        height, width = image.shape[:2]
        boxes = self.boxes * [width, height, width, height]
        return PersonBoxes(boxes.astype(np.float32), self.scores.astype(np.float32))
