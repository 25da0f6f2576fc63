"""Boxes drawn onto a picture: solid where nothing else is known, dashed or dotted to tell truth from error."""

from __future__ import annotations

from enum import Enum

import numpy as np

from ava_detect.structures.boxes import FloatArray
from ava_detect.visualization.chips import SHADE, Colour, Picture


class Outline(Enum):
    """How an edge is broken up: dash and gap, in thicknesses of the line; None is unbroken."""

    SOLID = None
    DASHED = (6, 4)
    DOTTED = (1, 2)


def paint_box(
    picture: Picture, box_xyxy: FloatArray, colour: Colour, line_px: int, outline: Outline = Outline.SOLID
) -> None:
    """Draw the outline of a box onto ``picture``, in place and inside the box, with a dark line within.

    ``box_xyxy``: whole pixels inside the frame; the outline covers its outermost ``line_px`` pixels.
    """
    x1, y1, x2, y2 = (int(corner) for corner in box_xyxy)
    dark = max(1, line_px // 3)
    for inset, thickness, shade in ((line_px, dark, SHADE), (0, line_px, colour)):
        inner = picture[y1 + inset : max(y2 - inset, y1 + inset), x1 + inset : max(x2 - inset, x1 + inset)]
        height, width = inner.shape[:2]
        across, down = _drawn(width, outline, line_px), _drawn(height, outline, line_px)
        for strip in (inner[:thickness], inner[-thickness:]):
            strip[:, across] = shade
        for strip in (inner[:, :thickness], inner[:, -thickness:]):
            strip[down] = shade


def _drawn(length: int, outline: Outline, line_px: int) -> slice | np.ndarray:
    """Which pixels of an edge of ``length`` are drawn; both ends are, so that corners stay whole."""
    if outline.value is None:
        return slice(None)
    dash, gap = (part * line_px for part in outline.value)
    place = np.arange(length)
    place = np.minimum(place, place[::-1])
    mask: np.ndarray = place % (dash + gap) < dash
    return mask
