"""Attention maps drawn over the frames that each pathway read, as one picture. Needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import matplotlib
import numpy as np
import numpy.typing as npt
from PIL import Image

from ava_detect.structures import Clip
from ava_detect.structures.boxes import FloatArray, scale
from ava_detect.structures.boxes import clip as cut
from ava_detect.visualization.chips import Picture, Style, time_stamp
from ava_detect.visualization.outlines import paint_box
from ava_detect.visualization.tiles import GROUND, tile, tiled_width

_COLUMNS = 8
_BOX_COLOUR = (255, 255, 255)
# Faint heat leaves the picture as it is; the strongest hides three quarters of it.
_STRONGEST = 0.75


class PathwayHeat(Protocol):
    """What is drawn of a pathway; ``ava_detect.inference.gradcam.PathwayAttention`` is one."""

    @property
    def pathway(self) -> str:
        """Its name."""

    @property
    def heat(self) -> npt.NDArray[np.float32]:
        """``[T, h, w]`` in 0..1."""

    @property
    def frames(self) -> tuple[int, ...]:
        """Which frames of the clip the T are."""

    @property
    def contribution(self) -> float:
        """What it puts into the logit."""


def attention_sheet(
    clip: Clip,
    box_xyxy: npt.NDArray[np.float32],
    pathways: Sequence[PathwayHeat],
    title: str,
    *,
    picture_width: int = 240,
) -> Picture:
    """One pathway below the other: each frame that it read with its heat, and the person's box.

    ``box_xyxy``: ``[4]``, pixels of the clip. ``title``: a line on top, such as who, what and the score.
    ``picture_width``: of one frame, pixels.
    """
    height = max(1, round(clip.height * picture_width / clip.width))
    box = scale(box_xyxy.astype(np.float64), picture_width / clip.width, height / clip.height)
    box = cut(np.rint(box), picture_width, height)
    style = Style(picture_width * 3, height * 3)
    parts = [_heading(title, style, picture_width)]
    for pathway in pathways:
        heading = f"{pathway.pathway} pathway: {len(pathway.frames)} frames, {pathway.contribution:+.2f} of the logit"
        parts.append(_heading(heading, style, picture_width))
        pictures = [
            _heated(clip.frames[frame], heat, (picture_width, height), box)
            for frame, heat in zip(pathway.frames, pathway.heat, strict=True)
        ]
        parts.append(tile(pictures, _COLUMNS))
    return np.concatenate(parts)


def _heading(text: str, style: Style, picture_width: int) -> Picture:
    sign = time_stamp(text, style)
    strip = np.full((sign.height + 2 * style.pad, tiled_width(picture_width, _COLUMNS), 3), GROUND, np.uint8)
    sign.paste(strip, style.pad, style.pad)
    return strip


def _heated(image: Picture, heat: npt.NDArray[np.float32], size: tuple[int, int], box: FloatArray) -> Picture:
    """A frame at ``size`` (width, height) with its map ``[h, w]`` laid over it."""
    small = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BOX), np.float32)
    smooth = np.asarray(Image.fromarray(heat, "F").resize(size, Image.Resampling.BICUBIC)).clip(0, 1)
    colours = matplotlib.colormaps["inferno"](smooth)[..., :3].astype(np.float32) * 255
    cover = _STRONGEST * np.sqrt(smooth)[..., None]
    picture: Picture = np.rint(small * (1 - cover) + colours * cover).astype(np.uint8)
    paint_box(picture, box, _BOX_COLOUR, max(1, size[0] // 160))
    return picture
