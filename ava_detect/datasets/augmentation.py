"""Random augmentation of training clips as in the recipes of SlowFast and of plain ViTs: resize, crop, flip, colours.

Every random number is drawn from the generator that the caller passes in. Boxes follow the pixels.

Shapes: T frames, H height, W width, N people of one clip. Frames are uint8 RGB ``[T, H, W, 3]``; boxes are float32
``[N, 4]`` xyxy in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ava_detect.structures import boxes as box_ops
from ava_detect.video.transforms import Boxes, Frames, crop, flip

KeepMask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Augmentation:
    """Settings of the augmentation, and the augmentation itself as a call.

    The fields are those of ``config.data``.

    Attributes:
        short_side: Lowest and highest short side in pixels. The side drawn is ``1 / U(1 / high, 1 / low)``.
        crop: Side of the square crop in pixels; None leaves the frame whole.
        flip: Probability of a horizontal flip, 0 to 1.
        color_jitter: Strength of the colour jitter, 0 to 1; see ``jitter_colors``. 0 turns it off.
        hsv_jitter: Strengths of the jitter of hue (degrees), saturation and value (0 to 1); see ``jitter_hsv``. Zeros
            turn it off.
        min_visible: Smallest share of a box's area, 0 to 1, that must lie inside the crop for the person to be kept.
    """

    short_side: tuple[int, int] = (256, 320)
    crop: int | None = 224
    flip: float = 0.5
    color_jitter: float = 0.0
    hsv_jitter: tuple[float, float, float] = (0.0, 0.0, 0.0)
    min_visible: float = 0.0

    def draw_short_side(self, rng: np.random.Generator) -> int:
        """Draw the short side to which the clip must be resized before it is passed to ``__call__``.

        Args:
            rng: Source of the random number.

        Returns:
            The short side in pixels.
        """
        low, high = self.short_side
        return round(1 / rng.uniform(1 / high, 1 / low))

    def __call__(self, frames: Frames, boxes_xyxy: Boxes, rng: np.random.Generator) -> tuple[Frames, Boxes, KeepMask]:
        """Crop, flip and recolour one clip.

        Args:
            frames: uint8 RGB ``[T, H, W, 3]``, already resized to ``draw_short_side``.
            boxes_xyxy: float32 ``[N, 4]`` in pixels of ``frames``.
            rng: Source of the random numbers.

        Returns:
            The augmented frames; the boxes ``[M, 4]`` of the people that are kept; and the bool mask ``[N]`` of those
            people. At least one person is kept where N > 0.
        """
        kept: KeepMask = np.ones(len(boxes_xyxy), np.bool_)
        if self.crop is not None:
            frames, boxes_xyxy, kept = self._crop(frames, boxes_xyxy, self.crop, rng)
        if rng.random() < self.flip:
            frames, boxes_xyxy = flip(frames, boxes_xyxy)
        if self.color_jitter:
            frames = jitter_colors(frames, self.color_jitter, rng)
        if any(self.hsv_jitter):
            frames = jitter_hsv(frames, self.hsv_jitter, rng)
        return frames, boxes_xyxy, kept

    def _crop(
        self, frames: Frames, boxes_xyxy: Boxes, side: int, rng: np.random.Generator
    ) -> tuple[Frames, Boxes, KeepMask]:
        """Cut a random ``side`` x ``side`` window that keeps at least one person."""
        height, width = frames.shape[1:3]
        # A window anywhere in the frame, as in the recipe.
        left, top = int(rng.integers(width - side + 1)), int(rng.integers(height - side + 1))
        kept = self._visible(boxes_xyxy, left, top, side)  # [N]
        # If it shows no person, draw again around one person, so that every sample has a label.
        if len(boxes_xyxy) and not kept.any():
            person = int(rng.integers(len(boxes_xyxy)))
            left, top = _window_over(boxes_xyxy[person], width, height, side, rng)
            kept = self._visible(boxes_xyxy, left, top, side)
            kept[person] = True  # a box larger than the window may miss ``min_visible``
        frames, boxes_xyxy = crop(frames, boxes_xyxy, left, top, side, side)
        return frames, boxes_xyxy[kept], kept

    def _visible(self, boxes_xyxy: Boxes, left: int, top: int, side: int) -> KeepMask:
        """Return bool ``[N]``: the boxes of which at least ``min_visible`` lies inside the window."""
        window = np.array([[left, top, left + side, top + side]], np.float32)  # [1, 4]
        inside = box_ops.intersections(boxes_xyxy, window)[:, 0]  # [N], square pixels
        visible: KeepMask = (inside > 0) & (inside >= self.min_visible * box_ops.areas(boxes_xyxy))
        return visible


def _window_over(box_xyxy: Boxes, width: int, height: int, side: int, rng: np.random.Generator) -> tuple[int, int]:
    """Draw left and top of a window inside the frame that contains the centre of a box."""
    corner = []
    centres = (box_xyxy[:2] + box_xyxy[2:]) / 2  # [2], x and y
    for centre, length in zip(centres, (width, height), strict=True):
        pixel = min(int(centre), length - 1)
        # The window must start at most side - 1 pixels before the centre and end inside the frame.
        corner.append(int(rng.integers(max(0, pixel - side + 1), min(pixel, length - side) + 1)))
    return corner[0], corner[1]


def jitter_colors(frames: Frames, strength: float, rng: np.random.Generator) -> Frames:
    """Change brightness, contrast and saturation, in random order, each by a factor U(1 - strength, 1 + strength).

    All frames of a clip get the same factors, so that a still scene stays still.

    Args:
        frames: uint8 RGB ``[T, H, W, 3]``.
        strength: Half the width of the range of the factors, 0 to 1.
        rng: Source of the order and of the factors.

    Returns:
        The recoloured frames, uint8 ``[T, H, W, 3]``.
    """
    # Imported here: it loads PyTorch's compiler, two seconds that only runs with colour jitter need to wait.
    from torchvision.transforms.v2 import functional as pixels

    clip = torch.from_numpy(np.ascontiguousarray(frames)).movedim(-1, 1)  # [T, 3, H, W], as torchvision expects
    adjustments = [pixels.adjust_brightness, pixels.adjust_contrast, pixels.adjust_saturation]
    for index in rng.permutation(len(adjustments)):
        clip = adjustments[index](clip, float(rng.uniform(1 - strength, 1 + strength)))
    jittered: Frames = clip.movedim(1, -1).numpy()  # [T, H, W, 3]
    return jittered


def jitter_hsv(frames: Frames, strengths: tuple[float, float, float], rng: np.random.Generator) -> Frames:
    """Shift hue, saturation and value, each by U(-strength, strength), as the loaders of UMT and VideoMAE-AD do.

    Hue goes round; saturation and value end at 0 and 1. All frames of a clip get the same shifts. The source is
    ``ColorJitter`` in ``alphaction/dataset/transforms/video_transforms.py`` (VideoMAE-Action-Detection 15615db), which
    shifts by whole numbers of OpenCV's bytes.

    Args:
        frames: uint8 RGB ``[T, H, W, 3]``.
        strengths: Greatest shift of the hue in degrees, and of saturation and value, each of which is 0 to 1.
        rng: Source of the shifts.

    Returns:
        The recoloured frames, uint8 ``[T, H, W, 3]``.
    """
    hue_degrees, saturation_shift, value_shift = (float(rng.uniform(-strength, strength)) for strength in strengths)
    shifted: Frames = np.empty_like(frames)
    # Frame by frame: the float32 numbers of a whole clip would need some hundred MB.
    for source, target in zip(frames, shifted, strict=True):
        hue, saturation, value = _hsv(torch.from_numpy(np.ascontiguousarray(source)))  # [H, W] each
        rgb = _rgb(
            hue + hue_degrees / 60, (saturation + saturation_shift).clamp(0, 1), (value + value_shift).clamp(0, 1)
        )
        target[:] = rgb.mul(255).round().byte().numpy()
    return shifted


def _hsv(frame: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """``uint8 [H, W, 3]`` -> hue in sixths of the circle, saturation and value in 0..1, ``[H, W]`` each."""
    red, green, blue = (frame / 255).unbind(-1)  # [H, W] each
    value = torch.maximum(torch.maximum(red, green), blue)
    chroma = value - torch.minimum(torch.minimum(red, green), blue)
    # Greys have no hue and no saturation: their numerators are 0, whatever divides them.
    divisor = chroma.clamp(min=1e-9)
    hue = torch.where(
        value == red,
        (green - blue) / divisor,
        torch.where(value == green, 2 + (blue - red) / divisor, 4 + (red - green) / divisor),
    )
    return hue, chroma / value.clamp(min=1e-9), value


def _rgb(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """Hue in sixths of the circle, saturation and value in 0..1, ``[H, W]`` each -> RGB in 0..1, ``[H, W, 3]``."""
    channels = []
    for offset in (5, 3, 1):  # red, green, blue
        angle = (hue + offset) % 6
        # 1 in the third of the circle that is farthest from the channel's colour, 0 around the colour, linear between.
        share = torch.minimum(angle, 4 - angle).clamp(0, 1)
        channels.append(value - value * saturation * share)
    return torch.stack(channels, -1)
