"""Pictures of one size side by side on a dark ground."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ava_detect.visualization.chips import Picture

GROUND = 24


def tile(pictures: Sequence[Picture], columns: int) -> Picture:
    """uint8 RGB pictures in rows of ``columns`` from the top left, with a narrow gap around each."""
    height, width = pictures[0].shape[:2]
    gap = gap_around(width)
    num_rows = -(-len(pictures) // columns)
    sheet = np.full((num_rows * (height + gap) + gap, tiled_width(width, columns), 3), GROUND, np.uint8)
    for index, picture in enumerate(pictures):
        row, column = divmod(index, columns)
        top, left = gap + row * (height + gap), gap + column * (width + gap)
        sheet[top : top + height, left : left + width] = picture
    return sheet


def tiled_width(picture_width: int, columns: int) -> int:
    """How wide a sheet of ``columns`` pictures is, pixels."""
    return columns * (picture_width + gap_around(picture_width)) + gap_around(picture_width)


def gap_around(picture_width: int) -> int:
    """The gap between pictures, pixels."""
    return max(2, picture_width // 80)
