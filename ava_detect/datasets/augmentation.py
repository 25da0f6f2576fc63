"""The random changes to a clip from which one learns: those of the SlowFast recipe, boxes moved along.

Short side 1 / U(1 / high, 1 / low), a square crop, a flip, and colours; every number is drawn from the generator that
the caller hands in. Frames are uint8 RGB ``[T, H, W, 3]``, boxes float32 ``[N, 4]`` xyxy in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torchvision.transforms.v2 import functional as pixels

from ava_detect.structures import boxes as box_ops
from ava_detect.video.transforms import Boxes, Frames, crop, flip

Kept = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Augmentation:
    """How much may change; the fields are those of ``config.data``, where they are explained."""

    short_side: tuple[int, int] = (256, 320)
    crop: int | None = 224
    flip: float = 0.5
    color_jitter: float = 0.0
    min_visible: float = 0.0

    def draw_short_side(self, rng: np.random.Generator) -> int:
        """The short side to which the clip is to be resized before ``__call__``, pixels."""
        low, high = self.short_side
        return round(1 / rng.uniform(1 / high, 1 / low))

    def __call__(self, frames: Frames, boxes_xyxy: Boxes, rng: np.random.Generator) -> tuple[Frames, Boxes, Kept]:
        """The changed frames; the boxes of the people who are still to be seen; and who of the ``[N]`` those are.

        Where there were people, there is at least one left.
        """
        kept: Kept = np.ones(len(boxes_xyxy), np.bool_)
        if self.crop is not None:
            frames, boxes_xyxy, kept = self._crop(frames, boxes_xyxy, self.crop, rng)
        if rng.random() < self.flip:
            frames, boxes_xyxy = flip(frames, boxes_xyxy)
        if self.color_jitter:
            frames = jitter_colors(frames, self.color_jitter, rng)
        return frames, boxes_xyxy, kept

    def _crop(
        self, frames: Frames, boxes_xyxy: Boxes, side: int, rng: np.random.Generator
    ) -> tuple[Frames, Boxes, Kept]:
        height, width = frames.shape[1:3]
        left, top = int(rng.integers(width - side + 1)), int(rng.integers(height - side + 1))
        kept = self._visible(boxes_xyxy, left, top, side)
        if len(boxes_xyxy) and not kept.any():
            person = int(rng.integers(len(boxes_xyxy)))
            left, top = _window_over(boxes_xyxy[person], width, height, side, rng)
            kept = self._visible(boxes_xyxy, left, top, side)
            kept[person] = True
        frames, boxes_xyxy = crop(frames, boxes_xyxy, left, top, side, side)
        return frames, boxes_xyxy[kept], kept

    def _visible(self, boxes_xyxy: Boxes, left: int, top: int, side: int) -> Kept:
        """Of whom enough lies inside the window."""
        inside = box_ops.intersections(boxes_xyxy, np.array([[left, top, left + side, top + side]], np.float32))[:, 0]
        visible: Kept = (inside > 0) & (inside >= self.min_visible * box_ops.areas(boxes_xyxy))
        return visible


def _window_over(box_xyxy: Boxes, width: int, height: int, side: int, rng: np.random.Generator) -> tuple[int, int]:
    """A window that holds the centre of a box."""
    corner = []
    for centre, length in zip((box_xyxy[:2] + box_xyxy[2:]) / 2, (width, height), strict=True):
        pixel = min(int(centre), length - 1)
        corner.append(int(rng.integers(max(0, pixel - side + 1), min(pixel, length - side) + 1)))
    return corner[0], corner[1]


def jitter_colors(frames: Frames, strength: float, rng: np.random.Generator) -> Frames:
    """Brightness, contrast and saturation, in a drawn order, each times U(1 - strength, 1 + strength).

    All frames of a clip get the same factors, so that a still scene stays still.
    """
    clip = torch.from_numpy(np.ascontiguousarray(frames)).movedim(-1, 1)
    changes = [pixels.adjust_brightness, pixels.adjust_contrast, pixels.adjust_saturation]
    for place in rng.permutation(len(changes)):
        clip = changes[place](clip, float(rng.uniform(1 - strength, 1 + strength)))
    changed: Frames = clip.movedim(1, -1).numpy()
    return changed
