"""Outlines of boxes painted onto an image: solid by default, dashed or dotted to tell errors and ground truth apart."""

from __future__ import annotations

from enum import Enum

import numpy as np

from ava_detect.structures.boxes import FloatArray
from ava_detect.visualization.chips import DARK, Colour, RGBImage


class Outline(Enum):
    """Dash pattern of an edge: length of a dash and of a gap, in thicknesses of the line; None is unbroken."""

    SOLID = None
    DASHED = (6, 4)
    DOTTED = (1, 2)


def paint_box(
    image: RGBImage, box_xyxy: FloatArray, colour: Colour, line_px: int, outline: Outline = Outline.SOLID
) -> None:
    """Paint the outline of a box in place, with a dark line inside it that keeps it visible on any background.

    Args:
        image: uint8 RGB ``[H, W, 3]``, changed in place.
        box_xyxy: ``[4]``, whole pixels inside the image; the outline covers the box's outermost ``line_px`` pixels.
        colour: RGB of the outline.
        line_px: Thickness of the outline, pixels.
        outline: Dash pattern of the outline.
    """
    x1, y1, x2, y2 = (int(corner) for corner in box_xyxy)
    dark_px = max(1, line_px // 3)
    # The dark line first, inset by the outline's thickness; then the outline itself.
    for inset, thickness, shade in ((line_px, dark_px, DARK), (0, line_px, colour)):
        # A view on the box without its outermost ``inset`` pixels; empty where the box is too small.
        inner = image[y1 + inset : max(y2 - inset, y1 + inset), x1 + inset : max(x2 - inset, x1 + inset)]  # [h, w, 3]
        height, width = inner.shape[:2]
        across, down = _painted_pixels(width, outline, line_px), _painted_pixels(height, outline, line_px)
        for strip in (inner[:thickness], inner[-thickness:]):  # top and bottom edge, [thickness, w, 3]
            strip[:, across] = shade
        for strip in (inner[:, :thickness], inner[:, -thickness:]):  # left and right edge, [h, thickness, 3]
            strip[down] = shade


def _painted_pixels(length: int, outline: Outline, line_px: int) -> slice | np.ndarray:
    """Return which pixels of an edge of ``length`` are painted, as an index ``[length]``; both ends always are."""
    if outline.value is None:
        return slice(None)
    dash, gap = (part * line_px for part in outline.value)
    offset = np.arange(length)  # [length], distance to the start of the edge
    # Distance to the nearer end: the pattern is symmetric and starts with a dash at both corners.
    offset = np.minimum(offset, offset[::-1])
    mask: np.ndarray = offset % (dash + gap) < dash
    return mask
