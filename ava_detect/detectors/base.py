"""What a person detector is: frames in, the people on each out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from ava_detect.structures import Frame, PersonBoxes

Image = npt.NDArray[np.uint8]


@runtime_checkable
class PersonDetector(Protocol):
    """Finds people on a batch of frames.

    ``name`` says what runs (it is written into every summary). A detector that never looks at pixels sets
    ``needs_images = False`` and is then handed frames of whatever size is cheapest.
    """

    name: str
    needs_images: bool

    def __call__(self, frames: Sequence[Frame | Image]) -> list[PersonBoxes]:
        """The people on each frame: one ``PersonBoxes`` a frame, in pixels of that frame's image.

        ``frames`` may differ in size. The answer for a frame does not depend on the others in the batch.
        """
        ...


def images_of(frames: Sequence[Frame | Image]) -> list[Image]:
    """The pictures alone: uint8 RGB ``[H, W, 3]`` each."""
    return [frame.image if isinstance(frame, Frame) else frame for frame in frames]
