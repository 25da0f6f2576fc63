"""Transforms of a clip's frames together with its boxes, and the normalization to network input.

Frames are uint8 RGB ``[T, H, W, 3]``; boxes are float32 ``[N, 4]`` xyxy in pixels, in continuous coordinates (the full
frame is ``[0, 0, W, H]``): a flip maps x to ``W - x``, and a resize by s multiplies x by s.

Sizes and pixels equal those of PySlowFast's test path with OpenCV, bit by bit; ``docs/parity.md`` lists the rules.

Shapes: T frames, H and W height and width of a frame, h and w those of the resized one, N boxes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch

from ava_detect.structures import Clip, LongSide
from ava_detect.structures import boxes as box_ops
from ava_detect.structures.boxes import BoxRule

Frames = npt.NDArray[np.uint8]
Boxes = npt.NDArray[np.float32]

# One of the two source pixels of each resized pixel: its index and its weight, of 2048.
_Taps = tuple[npt.NDArray[np.intp], npt.NDArray[np.int32]]
# Number of resized rows computed together: they fit into a core's cache with their sums, which is three times as fast
# as all rows at once.
_ROWS_AT_ONCE = 16


def short_side_size(width: int, height: int, short_side: int, *, long_side: LongSide = "floor") -> tuple[int, int]:
    """Compute the size of a frame whose short side is resized to a given length.

    Both rules take the same floating-point steps as their sources. ``"floor"``: PySlowFast's ``cv2_transform.scale``
    (commit 287ec007), which AlphAction's ``Resize`` equals at powers of two (UMT and VideoMAE-AD use 256).
    ``"round"``: ``mmcv.rescale_size``, by which mmaction2's ``Resize(scale=(-1, 256))`` works (commit 4d6c9347).

    Args:
        width: Frame width, pixels.
        height: Frame height, pixels.
        short_side: New length of the short side, at least 1 pixel.
        long_side: How the new length of the long side becomes whole pixels: 340x256 at 224 is 297x224 by ``"floor"``
            and 298x224 by ``"round"``.

    Returns:
        The new (width, height).

    Raises:
        ValueError: If ``short_side`` is below 1.
    """
    if short_side < 1:
        raise ValueError(f"short_side must be at least 1 pixel, got {short_side}")
    short, long = sorted((width, height))
    if short == short_side:
        return width, height
    if long_side == "floor":
        new_long = math.floor(long / short * short_side)
    else:
        new_long = math.floor(long * (short_side / short) + 0.5)
    return (short_side, new_long) if width < height else (new_long, short_side)


def size_within(width: int, height: int, short_side: int, long_side: int) -> tuple[int, int]:
    """Compute the size of a frame shrunk to fit two limits; smaller frames keep their size.

    Args:
        width: Frame width, pixels.
        height: Frame height, pixels.
        short_side: Largest length of the short side, pixels.
        long_side: Largest length of the long side, pixels.

    Returns:
        The new (width, height), each at least 1.
    """
    factor = min(1.0, short_side / min(width, height), long_side / max(width, height))
    return max(1, round(width * factor)), max(1, round(height * factor))


def resize(frames: Frames, boxes_xyxy: Boxes, width: int, height: int) -> tuple[Frames, Boxes]:
    """Resize bilinearly without antialiasing: bit by bit OpenCV's ``cv2.resize(..., INTER_LINEAR)`` on uint8.

    Args:
        frames: uint8 RGB ``[T, H, W, 3]``.
        boxes_xyxy: Boxes ``[N, 4]``, pixels.
        width: New width w, pixels.
        height: New height h, pixels.

    Returns:
        Frames ``[T, h, w, 3]``, and the boxes ``[N, 4]`` in pixels of them; the inputs if the size is the same.
    """
    old_height, old_width = frames.shape[1:3]
    if (old_width, old_height) == (width, height):
        return frames, boxes_xyxy
    resized = np.stack([_resize_as_opencv(frame, width, height) for frame in frames])
    return resized, box_ops.scale(boxes_xyxy, width / old_width, height / old_height).astype(np.float32)


def _resize_as_opencv(image: npt.NDArray[np.uint8], width: int, height: int) -> npt.NDArray[np.uint8]:
    """Resize uint8 ``[H, W, 3]`` to ``[h, w, 3]`` in the fixed-point arithmetic of OpenCV's ``resize.cpp``.

    Weights are integers of 2048 (11 bits). Horizontal sums drop 4 bits before they are multiplied by their vertical
    weight, and 16 bits after it. Halving both sides is the rounded mean of 2 x 2 pixels instead.
    """
    old_height, old_width = image.shape[:2]
    if (old_width, old_height) == (2 * width, 2 * height):
        # Sums of two rows, then of two columns; + 2 rounds the division by 4.
        pairs = np.add(image[::2], image[1::2], dtype=np.uint16).reshape(height, width, 2, 3)
        halved: npt.NDArray[np.uint8] = ((pairs[:, :, 0] + pairs[:, :, 1] + 2) >> 2).astype(np.uint8)
        return halved
    # The two source columns of each new column, and the two source rows of each new row, with their weights.
    columns = _column_taps(old_width, width)
    above, below = _opencv_taps(old_height, height, zero_weight_at_edges=False)
    resized = np.empty((height, width * 3), np.uint8)
    for first in range(0, height, _ROWS_AT_ONCE):
        block = slice(first, first + _ROWS_AT_ONCE)
        # The weighted upper and lower source rows of this block of new rows: [16, w * 3].
        sums = _weighted_rows(image, above[0][block], above[1][block], columns)
        sums += _weighted_rows(image, below[0][block], below[1][block], columns)
        # 22 bits of weights, of which 4 + 16 are dropped: the last 2 are rounded off here.
        sums += 2
        sums >>= 2
        resized[block] = sums
    return resized.reshape(height, width, 3)


def _weighted_rows(
    image: npt.NDArray[np.uint8],
    rows: npt.NDArray[np.intp],
    weights: npt.NDArray[np.int32],
    columns: tuple[_Taps, _Taps],
) -> npt.NDArray[np.int32]:
    """Resize some source rows horizontally and multiply them by their vertical weights.

    Args:
        image: uint8 ``[H, W, 3]``.
        rows: Indices ``[R]`` of source rows, one for each of R new rows.
        weights: Their weights ``[R]``, of 2048.
        columns: The left and right taps ``[w]`` of the new columns, weights repeated per channel ``[w * 3]``.

    Returns:
        int32 ``[R, w * 3]``, with 2 fractional bits.
    """
    taken = image.take(rows, axis=0)  # [R, W, 3]
    # Left and right source pixel of each new pixel, times its weight: twice [R, w * 3].
    sums, right = (
        np.multiply(taken.take(indices, axis=1).reshape(len(rows), -1), column_weights, dtype=np.int32)
        for indices, column_weights in columns
    )
    sums += right  # 11 fractional bits
    sums >>= 4  # 7
    sums *= weights[:, None]  # 18
    sums >>= 16  # 2
    return sums


@lru_cache(maxsize=64)
def _opencv_taps(old: int, new: int, *, zero_weight_at_edges: bool) -> tuple[_Taps, _Taps]:
    """Find the two source pixels on either side of each new pixel along one axis, with their weights of 2048.

    Beyond the outermost pixel centres OpenCV repeats the edge pixel. Horizontally it sets the weight of the other
    pixel to 0 (``zero_weight_at_edges``); vertically it takes the edge row twice, so each weight is rounded separately.

    Args:
        old: Number of source pixels.
        new: Number of new pixels.
        zero_weight_at_edges: True for the horizontal axis, False for the vertical one.

    Returns:
        The lower and the upper taps: indices ``[new]`` and weights ``[new]`` each.
    """
    # The centre of each new pixel in source pixels, counted from the centre of the first one.
    centres = ((np.arange(new) + 0.5) * (1 / (new / old)) - 0.5).astype(np.float32)
    first = np.floor(centres).astype(np.intp)
    # The distance from the lower source pixel is the weight of the upper one, in 0..1.
    upper = centres - first.astype(np.float32)
    if zero_weight_at_edges:
        upper[(first < 0) | (first >= old - 1)] = 0
    weights = [np.rint(weight * np.float32(2048)).astype(np.int32) for weight in (np.float32(1) - upper, upper)]
    return (first.clip(0, old - 1), weights[0]), ((first + 1).clip(0, old - 1), weights[1])


@lru_cache(maxsize=64)
def _column_taps(old: int, new: int) -> tuple[_Taps, _Taps]:
    """Find the horizontal taps, each weight repeated for the three channels: indices ``[w]``, weights ``[w * 3]``.

    NumPy multiplies long rows ``[w * 3]`` much faster than ``[w, 3]`` with a broadcast weight.
    """
    left, right = _opencv_taps(old, new, zero_weight_at_edges=True)
    return (left[0], np.repeat(left[1], 3)), (right[0], np.repeat(right[1], 3))


def roi_boxes(boxes_xyxy: Boxes, clip: Clip, rule: BoxRule = "pyslowfast") -> Boxes:
    """Convert boxes to the network's regions of interest, by the rule of the code that trained its weights.

    - ``"pyslowfast"`` (``ava_dataset.py``, commit 287ec007): clip to W - 1 and H - 1 of the video's own frame, scale
      both axes by one factor, that of the long side, clip to W - 1 and H - 1 of the clip.
    - ``"alphaction"`` (AlphAction's ``bounding_box.py``, as in UMT, commit 4fb4049, and VideoMAE-Action-Detection,
      commit 15615db): clip to W - 1 and H - 1 of the video's own frame, scale each axis by its own factor. The rest of
      the rule, which extends the boxes, is in the network (``models.roi.RoIPool.extended``).
    - ``"mmaction2"`` (``Resize``, commit 4d6c9347): scale each axis by its own factor; nothing is clipped.

    ``docs/parity.md`` has an example of each.

    Args:
        boxes_xyxy: Boxes ``[N, 4]``, pixels of the clip's frames.
        clip: The clip.
        rule: The rule, a property of the weights (``model.roi_pool.box_rule``).

    Returns:
        float32 ``[N, 4]`` xyxy, pixels of the clip's frames.
    """
    if rule == "mmaction2":
        # Boxes in pixels of the clip are scaled by each axis already.
        return boxes_xyxy.astype(np.float32)
    # Back to pixels of the video's own frame, where both other rules clip first.
    width, height = clip.source_size or (clip.width, clip.height)
    full = box_ops.scale(boxes_xyxy.astype(np.float64), width / clip.width, height / clip.height)
    clipped = box_ops.clip(full, width - 1, height - 1)
    if rule == "alphaction":
        return box_ops.scale(clipped, clip.width / width, clip.height / height).astype(np.float32)
    # The long side's factor for both axes; it was rounded to whole pixels, so it differs from the short side's.
    factor = clip.height / height if width < height else clip.width / width
    return box_ops.clip(factor * clipped, clip.width - 1, clip.height - 1).astype(np.float32)


def crop(frames: Frames, boxes_xyxy: Boxes, left: int, top: int, width: int, height: int) -> tuple[Frames, Boxes]:
    """Crop the frames to a window; boxes are shifted and clipped to it.

    Args:
        frames: uint8 RGB ``[T, H, W, 3]``.
        boxes_xyxy: Boxes ``[N, 4]``, pixels.
        left: Left edge of the window, pixels.
        top: Top edge of the window, pixels.
        width: Width w of the window, pixels.
        height: Height h of the window, pixels.

    Returns:
        Frames ``[T, h, w, 3]``, a view, and the boxes ``[N, 4]`` in pixels of them. A box outside the window keeps its
        row, with area 0; the caller decides whether to drop it.

    Raises:
        ValueError: If the window extends beyond the frame.
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
    """Flip the frames and boxes horizontally.

    Args:
        frames: uint8 RGB ``[T, H, W, 3]``.
        boxes_xyxy: Boxes ``[N, 4]``, pixels.

    Returns:
        The mirrored frames ``[T, H, W, 3]``, a view, and the mirrored boxes ``[N, 4]``.
    """
    x1, y1, x2, y2 = boxes_xyxy.T
    width = np.float32(frames.shape[2])
    return frames[:, :, ::-1], np.stack([width - x2, y1, width - x1, y2], axis=1)


def normalize(frames: Frames | torch.Tensor, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    """Normalize pixels to network input: ``(x / 255 - mean) / std`` per RGB channel.

    Args:
        frames: uint8 RGB ``[..., T, H, W, 3]``, an array or a tensor on any device.
        mean: Per RGB channel, in 0..1.
        std: Per RGB channel, in the unit of ``mean``.

    Returns:
        float32 ``[..., 3, T, H, W]``, on the device of ``frames``. In memory T precedes the channels
        (``[..., T, 3, H, W]``): the order that the network uses, written in one pass over the frames.
    """
    pixels = frames if isinstance(frames, torch.Tensor) else torch.from_numpy(np.ascontiguousarray(frames))
    planes = pixels.movedim(-1, -3).to(torch.float32, memory_format=torch.contiguous_format)  # [..., T, 3, H, W]
    # In place, channel by channel: x / (255 * std) - mean / std.
    for channel, (channel_mean, channel_std) in enumerate(zip(mean, std, strict=True)):
        planes[..., channel, :, :].mul_(1 / (255 * channel_std)).sub_(channel_mean / channel_std)
    return planes.movedim(-3, -4)
