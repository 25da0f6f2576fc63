"""Images of one size arranged in a grid on a dark background."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ava_detect.visualization.chips import RGBImage

BACKGROUND = 24  # grey level of gaps and empty cells


def image_grid(images: Sequence[RGBImage], columns: int) -> RGBImage:
    """Arrange images in rows, from the top left, with a narrow gap around each.

    Args:
        images: uint8 RGB ``[H, W, 3]``, at least one, all of one size.
        columns: Number of images in a row.

    Returns:
        uint8 RGB ``[rows * (H + gap) + gap, columns * (W + gap) + gap, 3]``.
    """
    height, width = images[0].shape[:2]
    gap = gap_pixels(width)
    num_rows = -(-len(images) // columns)  # rounded up
    grid = np.full((num_rows * (height + gap) + gap, grid_width(width, columns), 3), BACKGROUND, np.uint8)
    for index, image in enumerate(images):
        row, column = divmod(index, columns)
        top, left = gap + row * (height + gap), gap + column * (width + gap)
        grid[top : top + height, left : left + width] = image
    return grid


def grid_width(image_width: int, columns: int) -> int:
    """Return the width of a grid, gaps included.

    Args:
        image_width: Width of one image, pixels.
        columns: Number of images in a row.

    Returns:
        The width in pixels.
    """
    return columns * (image_width + gap_pixels(image_width)) + gap_pixels(image_width)


def gap_pixels(image_width: int) -> int:
    """Return the gap between two images.

    Args:
        image_width: Width of one image, pixels.

    Returns:
        The gap in pixels, at least 2.
    """
    return max(2, image_width // 80)
