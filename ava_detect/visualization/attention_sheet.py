"""Attention maps over the frames that each pathway of the network read, as one image. Needs no torch.

A network without pathways has one map, which is drawn as the map of a single pathway.

Shapes: T frames read by a pathway, h x w cells of its feature map.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import matplotlib
import numpy as np
import numpy.typing as npt
from PIL import Image

from ava_detect.structures import Clip
from ava_detect.structures.boxes import FloatArray, scale
from ava_detect.structures.boxes import clip as clip_boxes
from ava_detect.visualization.chips import RGBImage, Style, time_stamp
from ava_detect.visualization.image_grid import BACKGROUND, grid_width, image_grid
from ava_detect.visualization.outlines import paint_box

_COLUMNS = 8
_BOX_COLOUR = (255, 255, 255)
# Opacity of the strongest heat; where the heat is 0 the frame stays as it is.
_MAX_OPACITY = 0.75


class PathwayHeat(Protocol):
    """Attention of one pathway; ``ava_detect.inference.gradcam.PathwayAttention`` is one."""

    @property
    def pathway(self) -> str:
        """Name of the pathway, such as ``slow``."""

    @property
    def heat(self) -> npt.NDArray[np.float32]:
        """Attention maps, float32 ``[T, h, w]`` in 0..1."""

    @property
    def frames(self) -> tuple[int, ...]:
        """Indices of the T frames in the clip."""

    @property
    def contribution(self) -> float:
        """Contribution of the pathway to the logit of the action."""


def attention_sheet(
    clip: Clip,
    box_xyxy: npt.NDArray[np.float32],
    pathways: Sequence[PathwayHeat],
    title: str,
    *,
    frame_width: int = 240,
) -> RGBImage:
    """Draw the pathways one below the other: every frame that was read, with its attention map and the person's box.

    Args:
        clip: The clip that the network was given.
        box_xyxy: The person's box ``[4]``, pixels of the clip.
        pathways: Attention of each pathway, drawn in this order.
        title: Text on top of the sheet, such as the action, the person and the score.
        frame_width: Width of one drawn frame, pixels.

    Returns:
        The sheet, uint8 RGB ``[H, W, 3]``.
    """
    height = max(1, round(clip.height * frame_width / clip.width))
    # Clip pixels -> whole pixels of a drawn frame, cut to the frame.
    box = scale(box_xyxy.astype(np.float64), frame_width / clip.width, height / clip.height)
    box = clip_boxes(np.rint(box), frame_width, height)
    # Text is sized as on a frame of three times the width, so that headings are legible beside small frames.
    style = Style(frame_width * 3, height * 3)
    parts = [_heading(title, style, frame_width)]
    for pathway in pathways:
        heading = f"{pathway.pathway} features: {len(pathway.frames)} frames, {pathway.contribution:+.2f} of the logit"
        parts.append(_heading(heading, style, frame_width))
        images = [
            _overlay_heat(clip.frames[frame], heat, (frame_width, height), box)
            for frame, heat in zip(pathway.frames, pathway.heat, strict=True)
        ]
        parts.append(image_grid(images, _COLUMNS))
    return np.concatenate(parts)


def _heading(text: str, style: Style, frame_width: int) -> RGBImage:
    """Return a strip as wide as the grid with ``text`` at its left."""
    patch = time_stamp(text, style)
    strip = np.full((patch.height + 2 * style.pad, grid_width(frame_width, _COLUMNS), 3), BACKGROUND, np.uint8)
    patch.paste(strip, style.pad, style.pad)
    return strip


def _overlay_heat(
    image: RGBImage, heat: npt.NDArray[np.float32], size: tuple[int, int], box_xyxy: FloatArray
) -> RGBImage:
    """Resize a frame to ``size`` (width, height) and blend its attention map ``[h, w]`` over it."""
    resized = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BOX), np.float32)  # [H, W, 3]
    # Bicubic interpolation overshoots 0..1.
    smooth = np.asarray(Image.fromarray(heat, "F").resize(size, Image.Resampling.BICUBIC)).clip(0, 1)  # [H, W]
    colours = matplotlib.colormaps["inferno"](smooth)[..., :3].astype(np.float32) * 255  # [H, W, 3]
    # The square root makes weak attention visible.
    opacity = _MAX_OPACITY * np.sqrt(smooth)[..., None]  # [H, W, 1]
    blended: RGBImage = np.rint(resized * (1 - opacity) + colours * opacity).astype(np.uint8)
    paint_box(blended, box_xyxy, _BOX_COLOUR, max(1, size[0] // 160))
    return blended
