"""Changes to a clip's frames that move its boxes along, and the step from pixels to network input.

Frames are uint8 RGB ``[T, H, W, 3]``; boxes are float32 ``[N, 4]`` xyxy in pixels, continuous coordinates (the full
frame is ``[0, 0, W, H]``), so that a flip maps x to ``W - x`` and a resize by s multiplies by s.

Sizes and pixels are those of PySlowFast's test path with OpenCV, to the bit; ``docs/parity.md`` lists the rules.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch

from ava_detect.structures import Clip
from ava_detect.structures import boxes as box_ops

Frames = npt.NDArray[np.uint8]
Boxes = npt.NDArray[np.float32]

# The old pixels next to new ones on one side, and their weights.
_Taps = tuple[npt.NDArray[np.intp], npt.NDArray[np.int32]]
# New rows that are resized together: with their sums they fit into a core's cache (three times as fast as all at once).
_ROWS_AT_ONCE = 16


def short_side_size(width: int, height: int, short_side: int) -> tuple[int, int]:
    """The (width, height) of a frame whose short side becomes ``short_side``; the long side is floored.

    As PySlowFast's ``cv2_transform.scale``, in the same floating-point steps: 340x256 at 224 -> 297x224.
    """
    if short_side < 1:
        raise ValueError(f"short_side must be at least 1 pixel, got {short_side}")
    if min(width, height) == short_side:
        return width, height
    if width < height:
        return short_side, math.floor(height / width * short_side)
    return math.floor(width / height * short_side), short_side


def size_within(width: int, height: int, short_side: int, long_side: int) -> tuple[int, int]:
    """The size of a frame shrunk, where it must be, to fit ``short_side`` and ``long_side``; never enlarged."""
    factor = min(1.0, short_side / min(width, height), long_side / max(width, height))
    return max(1, round(width * factor)), max(1, round(height * factor))


def resize(frames: Frames, boxes_xyxy: Boxes, width: int, height: int) -> tuple[Frames, Boxes]:
    """Bilinear without antialiasing: the bits of OpenCV's ``cv2.resize(..., INTER_LINEAR)`` on uint8."""
    old_height, old_width = frames.shape[1:3]
    if (old_width, old_height) == (width, height):
        return frames, boxes_xyxy
    resized = np.stack([_resize_as_opencv(frame, width, height) for frame in frames])
    return resized, box_ops.scale(boxes_xyxy, width / old_width, height / old_height).astype(np.float32)


def _resize_as_opencv(image: npt.NDArray[np.uint8], width: int, height: int) -> npt.NDArray[np.uint8]:
    """uint8 ``[H, W, 3]`` -> ``[height, width, 3]``, in the fixed-point arithmetic of OpenCV's ``resize.cpp``.

    Weights have 11 bits. Rows are summed first; the sums lose 4 bits before they meet their vertical weight, and 16
    after it. Halving both sides is a mean of four instead.
    """
    old_height, old_width = image.shape[:2]
    if (old_width, old_height) == (2 * width, 2 * height):
        pairs = np.add(image[::2], image[1::2], dtype=np.uint16).reshape(height, width, 2, 3)
        halved: npt.NDArray[np.uint8] = ((pairs[:, :, 0] + pairs[:, :, 1] + 2) >> 2).astype(np.uint8)
        return halved
    columns = _column_taps(old_width, width)
    above, below = _opencv_taps(old_height, height, stops_at_edges=False)
    resized = np.empty((height, width * 3), np.uint8)
    for first in range(0, height, _ROWS_AT_ONCE):
        some = slice(first, first + _ROWS_AT_ONCE)
        sums = _weighted_rows(image, above[0][some], above[1][some], columns)
        sums += _weighted_rows(image, below[0][some], below[1][some], columns)
        sums += 2
        sums >>= 2
        resized[some] = sums
    return resized.reshape(height, width, 3)


def _weighted_rows(
    image: npt.NDArray[np.uint8],
    rows: npt.NDArray[np.intp],
    weights: npt.NDArray[np.int32],
    columns: tuple[_Taps, _Taps],
) -> npt.NDArray[np.int32]:
    """``[rows, width * 3]``: old rows brought to the new width, times their weights in the new rows."""
    taken = image.take(rows, axis=0)
    sums, right = (
        np.multiply(taken.take(places, axis=1).reshape(len(rows), -1), shares, dtype=np.int32)
        for places, shares in columns
    )
    sums += right
    sums >>= 4
    sums *= weights[:, None]
    sums >>= 16
    return sums


@lru_cache(maxsize=64)
def _opencv_taps(old: int, new: int, *, stops_at_edges: bool) -> tuple[_Taps, _Taps]:
    """Per new pixel: the two old ones that it lies between, each with its weights of 2048.

    Beyond the outermost centres OpenCV repeats the end pixel: along rows by a weight of 0 (``stops_at_edges``), down
    columns by taking the end row twice, where the two weights round apart.
    """
    centres = ((np.arange(new) + 0.5) * (1 / (new / old)) - 0.5).astype(np.float32)
    first = np.floor(centres).astype(np.intp)
    share = centres - first.astype(np.float32)
    if stops_at_edges:
        share[(first < 0) | (first >= old - 1)] = 0
    weights = [np.rint(part * np.float32(2048)).astype(np.int32) for part in (np.float32(1) - share, share)]
    return (first.clip(0, old - 1), weights[0]), ((first + 1).clip(0, old - 1), weights[1])


@lru_cache(maxsize=64)
def _column_taps(old: int, new: int) -> tuple[_Taps, _Taps]:
    """Those along rows, a weight for each of red, green and blue: NumPy is fast over long rows, not over threes."""
    left, right = _opencv_taps(old, new, stops_at_edges=True)
    return (left[0], np.repeat(left[1], 3)), (right[0], np.repeat(right[1], 3))


def resize_short_side(frames: Frames, boxes_xyxy: Boxes, short_side: int) -> tuple[Frames, Boxes]:
    """``resize`` to ``short_side_size``."""
    width, height = short_side_size(frames.shape[2], frames.shape[1], short_side)
    return resize(frames, boxes_xyxy, width, height)


def roi_boxes(boxes_xyxy: Boxes, clip: Clip) -> Boxes:
    """Boxes in pixels of a clip as the network's RoIs: by the rules of PySlowFast, which trained the field's weights.

    Boxes are cut at W - 1 and H - 1 of the video's own frame, scaled by one factor, that of the long side, and cut at
    W - 1 and H - 1 of the clip (``docs/parity.md``).
    """
    width, height = clip.source_size or (clip.width, clip.height)
    full = box_ops.scale(boxes_xyxy.astype(np.float64), width / clip.width, height / clip.height)
    factor = clip.height / height if width < height else clip.width / width
    scaled = factor * box_ops.clip(full, width - 1, height - 1)
    return box_ops.clip(scaled, clip.width - 1, clip.height - 1).astype(np.float32)


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


def normalize(frames: Frames | torch.Tensor, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    """``(x / 255 - mean) / std`` per RGB channel: uint8 ``[..., T, H, W, 3]`` -> float32 ``[..., 3, T, H, W]``.

    The result lies where ``frames`` do, on the device of a tensor. In memory T comes before the channels: it is in that
    order that the network wants a clip, and that one pass over the frames writes it.
    """
    pixels = frames if isinstance(frames, torch.Tensor) else torch.from_numpy(np.ascontiguousarray(frames))
    planes = pixels.movedim(-1, -3).to(torch.float32, memory_format=torch.contiguous_format)  # [..., T, 3, H, W]
    for channel, (middle, spread) in enumerate(zip(mean, std, strict=True)):
        planes[..., channel, :, :].mul_(1 / (255 * spread)).sub_(middle / spread)
    return planes.movedim(-3, -4)
