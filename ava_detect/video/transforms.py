"""Changes to a clip's frames that move its boxes along, and the step from pixels to network input.

Frames are uint8 RGB ``[T, H, W, 3]``; boxes are float32 ``[N, 4]`` xyxy in pixels, continuous coordinates (the full
frame is ``[0, 0, W, H]``), so that a flip maps x to ``W - x`` and a resize by s multiplies by s.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from ava_detect import boxes as box_ops

Frames = npt.NDArray[np.uint8]
Boxes = npt.NDArray[np.float32]


def short_side_size(width: int, height: int, short_side: int) -> tuple[int, int]:
    """The (width, height) of a frame whose short side becomes ``short_side``; the long side is floored.

    As PySlowFast's ``cv2_transform.scale``: 340x256 at 224 -> 297x224.
    """
    if short_side < 1:
        raise ValueError(f"short_side must be at least 1 pixel, got {short_side}")
    if width <= height:
        return short_side, height * short_side // width
    return width * short_side // height, short_side


def size_within(width: int, height: int, short_side: int, long_side: int) -> tuple[int, int]:
    """The size of a frame shrunk, where it must be, to fit ``short_side`` and ``long_side``; never enlarged."""
    factor = min(1.0, short_side / min(width, height), long_side / max(width, height))
    return max(1, round(width * factor)), max(1, round(height * factor))


def resize(frames: Frames, boxes_xyxy: Boxes, width: int, height: int) -> tuple[Frames, Boxes]:
    """Bilinear, without antialiasing, rounded to uint8: what OpenCV's ``INTER_LINEAR`` does, within one level."""
    old_height, old_width = frames.shape[1:3]
    if (old_width, old_height) == (width, height):
        return frames, boxes_xyxy
    planar = torch.from_numpy(frames).permute(0, 3, 1, 2).float()
    resized = functional.interpolate(planar, (height, width), mode="bilinear", align_corners=False)
    pixels = resized.round_().clamp_(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
    return pixels, box_ops.scale(boxes_xyxy, width / old_width, height / old_height).astype(np.float32)


def resize_short_side(frames: Frames, boxes_xyxy: Boxes, short_side: int) -> tuple[Frames, Boxes]:
    """``resize`` to ``short_side_size``."""
    width, height = short_side_size(frames.shape[2], frames.shape[1], short_side)
    return resize(frames, boxes_xyxy, width, height)


def crop(frames: Frames, boxes_xyxy: Boxes, left: int, top: int, width: int, height: int) -> tuple[Frames, Boxes]:
    """The window of ``width`` x ``height`` at (left, top); boxes are shifted and cut to it.

    A box outside the window keeps its row with zero area: dropping people is for the caller to decide.
    """
    full_height, full_width = frames.shape[1:3]
    if left < 0 or top < 0 or left + width > full_width or top + height > full_height:
        raise ValueError(
            f"the crop {width}x{height} at ({left}, {top}) does not lie inside the frame {full_width}x{full_height}"
        )
    shifted = boxes_xyxy - np.array([left, top, left, top], dtype=np.float32)
    window = frames[:, top : top + height, left : left + width]
    return window, box_ops.clip(shifted, width, height).astype(np.float32)


def flip(frames: Frames, boxes_xyxy: Boxes) -> tuple[Frames, Boxes]:
    """Left and right exchanged."""
    x1, y1, x2, y2 = boxes_xyxy.T
    width = np.float32(frames.shape[2])
    return frames[:, :, ::-1], np.stack([width - x2, y1, width - x1, y2], axis=1)


def normalize(frames: Frames, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    """``(x / 255 - mean) / std`` per RGB channel: uint8 ``[T, H, W, 3]`` -> float32 ``[3, T, H, W]``.

    By table, since a byte has 256 values: each is computed in float64 and rounded once.
    """
    table = _normalization_table(tuple(mean), tuple(std))
    planes = [table[channel].take(frames[..., channel]) for channel in range(3)]
    return torch.from_numpy(np.stack(planes))


@lru_cache(maxsize=8)
def _normalization_table(mean: tuple[float, ...], std: tuple[float, ...]) -> npt.NDArray[np.float32]:
    levels = np.arange(256, dtype=np.float64) / 255
    table: npt.NDArray[np.float32] = ((levels - np.array(mean)[:, None]) / np.array(std)[:, None]).astype(np.float32)
    return table
