"""Antialiased, shaded shapes on a transparent layer: what figures and furniture are drawn with.

Two shapes are enough. A ``Stroke`` is a line with a width that changes along it, shaded as if it were round (limbs,
torsos, heads); a ``Face`` is a flat convex polygon (the sides of a box). Both are evaluated as signed distances
around their own bounding box, so the cost follows the area covered and edges are soft over one pixel.

Shapes: h, w the pixels of a shape's bounding box; K stations along a stroke. Pictures have their three colors in front,
``[3, h, w]``, because NumPy is several times as fast at it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Image = npt.NDArray[np.float32]
Bounds = tuple[float, float, float, float]
Paint = tuple[Image, Image | None, Image | None]  # coverage, shade of the color, highlight added to it
MARGIN_PIXELS = 2
STEPS = 64  # at which the width of a stroke is known along it
NOBODY = -1
ROUND_ENDS_SHADING = 0.35  # 1 shades a stroke's ends as half spheres, 0 as a cut-off tube


@dataclass(frozen=True, eq=False)
class Stroke:
    """A rounded line from ``start`` to ``end`` (pixels ``[2]``) with half widths ``[K]`` in pixels along it.

    ``color``: RGB 0..255 ``[3]``. ``depth``: metres from the camera; nearer shapes cover farther ones.
    ``texture``: brightness factors ``[a, b]``, a along the line, b across it. ``gloss``: strength of the highlight.
    ``has_hem``: the start is cut straight, like a sleeve, not round.
    ``is_person``: whether the shape belongs to the silhouette that ground-truth boxes are measured from.
    """

    start: Array
    end: Array
    half_widths: Array
    color: Array
    depth: float
    texture: Image | None = None
    gloss: float = 0.0
    has_hem: bool = False
    is_person: bool = True

    @property
    def bounds(self) -> Bounds:
        """The pixels ``x1, y1, x2, y2`` that the shape can touch."""
        reach = float(self.half_widths.max())
        (x1, y1), (x2, y2) = self.start.tolist(), self.end.tolist()
        return min(x1, x2) - reach, min(y1, y2) - reach, max(x1, x2) + reach, max(y1, y2) + reach

    def paint(self, x: Image, y: Image, light: Array) -> Paint:
        """Coverage ``[h, w]`` in 0..1 at pixel centres ``x [1, w]``, ``y [h, 1]``; shade and highlight ``[h, w]``."""
        dx, dy = (self.end - self.start).tolist()
        length = max(float(np.hypot(dx, dy)), 1e-3)
        dx, dy = dx / length, dy / length
        x, y = x - np.float32(self.start[0]), y - np.float32(self.start[1])
        position = dx * x + dy * y
        on_line = np.minimum(np.maximum(position, 0.0), length)
        beyond, across = position - on_line, dx * y - dy * x
        # widths at fine steps along the line: one look-up instead of an interpolation per pixel
        step = (on_line * ((STEPS - 1) / length)).astype(np.intp)
        stations = np.maximum(self.half_widths, 0.3).astype(np.float32)
        widths = (_spread(len(stations)) @ stations).take(step)
        coverage = widths + 0.5 - np.sqrt(across * across + beyond * beyond)
        if self.has_hem:
            np.minimum(coverage, position + 0.5, out=coverage)
        _limit(coverage, 0.0, 1.0)
        across /= widths
        beyond *= ROUND_ENDS_SHADING / widths
        towards_us = np.sqrt(np.maximum(1.0 - across * across - beyond * beyond, 0.0))
        right, down, near = light.tolist()
        lambert = (down * dx - right * dy) * across + (right * dx + down * dy) * beyond + near * towards_us
        _limit(lambert, -0.3, 1.0)
        shade = 0.45 + 0.20 * towards_us + 0.50 * lambert
        if self.texture is not None:
            rows, columns = self.texture.shape
            row = step * rows // STEPS
            column = ((across + 1.0) * (columns / 2)).astype(np.intp)
            _limit(column, 0, columns - 1)
            shade *= self.texture.take(row * columns + column)
        if not self.gloss:
            return coverage, shade, None
        return coverage, shade, 255.0 * self.gloss * np.maximum(lambert, 0.0) ** 12


@cache
def _spread(num_stations: int) -> Image:
    """Weights ``[STEPS, num_stations]`` that interpolate values at stations to values at fine steps."""
    at = np.linspace(0, num_stations - 1, STEPS)[:, None] - np.arange(num_stations)
    weights: Image = np.maximum(1 - np.abs(at), 0.0).astype(np.float32)
    return weights


@dataclass(frozen=True, eq=False)
class Face:
    """A flat convex polygon: ``corners`` pixels ``[K, 2]`` in either order, with one color. See ``Stroke``."""

    corners: Array
    color: Array
    depth: float
    is_person: bool = False

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """The pixels ``x1, y1, x2, y2`` that the shape can touch."""
        low, high = self.corners.min(axis=0), self.corners.max(axis=0)
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])

    def paint(self, x: Image, y: Image, light: Array) -> Paint:
        """Coverage ``[h, w]`` at pixel centres, and shade 1: ``light`` is already in the color."""
        following = np.roll(self.corners, -1, axis=0)
        edges = following - self.corners
        turn = np.sum(self.corners[:, 0] * following[:, 1] - following[:, 0] * self.corners[:, 1])
        outside = np.full(np.broadcast_shapes(x.shape, y.shape), -np.inf, np.float32)
        for corner, edge in zip(self.corners, edges, strict=True):
            length = float(np.hypot(*edge))
            if length > 1e-6:
                normal = (np.array([edge[1], -edge[0]]) * (np.sign(turn) / length)).astype(np.float32)
                away = (x - np.float32(corner[0])) * normal[0] + (y - np.float32(corner[1])) * normal[1]
                np.maximum(outside, away, out=outside)
        coverage = 0.5 - outside
        _limit(coverage, 0.0, 1.0)
        return coverage, None, None


Shape = Stroke | Face


@dataclass(eq=False)
class Layer:
    """A transparent picture: color multiplied by alpha ``[3, h, w]``, ``alpha`` and ``silhouette`` ``[h, w]``.

    ``left, top``: whole pixels of the frame where the layer's corner lies; a layer may reach outside the frame.
    ``silhouette``: coverage by shapes that belong to a person, hidden or not.
    """

    left: int
    top: int
    color: Image
    alpha: Image
    silhouette: Image

    @classmethod
    def of_shapes(cls, shapes: Sequence[Shape], light: Array) -> Layer:
        """Draw ``shapes``, farthest first, on a layer just large enough; ``light``: unit vector towards the light."""
        bounds = np.array([shape.bounds for shape in shapes])
        left, top = (np.floor(bounds[:, :2].min(axis=0)) - MARGIN_PIXELS).astype(int).tolist()
        right, bottom = (np.ceil(bounds[:, 2:].max(axis=0)) + MARGIN_PIXELS).astype(int).tolist()
        planes = np.zeros((5, bottom - top, right - left), np.float32)
        layer = cls(left, top, planes[:3], planes[3], planes[4])
        for index in np.argsort([-shape.depth for shape in shapes], kind="stable"):
            layer._draw(shapes[index], bounds[index].tolist(), light)
        return layer

    @classmethod
    def of_picture(cls, picture: npt.NDArray[np.uint8]) -> Layer:
        """A finished picture, uint8 RGBA ``[h, w, 4]``, that shows no person."""
        planes = np.moveaxis(picture, 2, 0).astype(np.float32)
        alpha = planes[3] / np.float32(255)
        return cls(0, 0, planes[:3] * alpha, alpha, np.zeros_like(alpha))

    def moved_to(self, left: int, top: int) -> Layer:
        """The same layer with its corner elsewhere; the pictures are shared."""
        return replace(self, left=left, top=top)

    def _draw(self, shape: Shape, bounds: Bounds, light: Array) -> None:
        x1, y1 = math.floor(bounds[0]) - 1, math.floor(bounds[1]) - 1
        x2, y2 = math.ceil(bounds[2]) + 1, math.ceil(bounds[3]) + 1
        x = np.arange(x1, x2, dtype=np.float32)[None, :] + np.float32(0.5)
        y = np.arange(y1, y2, dtype=np.float32)[:, None] + np.float32(0.5)
        coverage, shade, highlight = shape.paint(x, y, light)
        rows, columns = slice(y1 - self.top, y2 - self.top), slice(x1 - self.left, x2 - self.left)
        color, alpha = self.color[:, rows, columns], self.alpha[rows, columns]
        rest = 1.0 - coverage
        color *= rest
        color += (coverage if shade is None else coverage * shade) * shape.color.astype(np.float32)[:, None, None]
        if highlight is not None:
            color += coverage * highlight
        alpha *= rest
        alpha += coverage
        if shape.is_person:
            silhouette = self.silhouette[rows, columns]
            np.maximum(silhouette, coverage, out=silhouette)

    def overlap(self, width: int, height: int) -> tuple[slice, slice]:
        """Rows and columns of the layer that lie in a frame."""
        layer_height, layer_width = self.alpha.shape
        first_row, first_column = min(max(0, -self.top), layer_height), min(max(0, -self.left), layer_width)
        last_row = max(first_row, min(layer_height, height - self.top))
        last_column = max(first_column, min(layer_width, width - self.left))
        return slice(first_row, last_row), slice(first_column, last_column)


class Plate:
    """A frame, float32 RGB ``[3, H, W]``, that layers are put on, farthest first, and who is seen at each pixel."""

    def __init__(self, frame: Image) -> None:
        self.frame = frame
        self._owners = np.full(frame.shape[1:], NOBODY, np.int32)

    def put(self, layer: Layer, owner: int = NOBODY) -> None:
        """Blend ``layer`` over the frame, in place; ``owner``: whose figure it is, a number from 0."""
        inside, area = self._areas(layer)
        target, alpha = self.frame[:, *area], layer.alpha[inside]
        target *= 1.0 - alpha
        target += layer.color[:, *inside]
        self._owners[area][alpha >= 0.5] = owner

    def box_and_visible_share(self, layer: Layer, owner: int) -> tuple[Array, float]:
        """The box ``xyxy`` in pixels of a person's layer, and the share of the person that can be seen.

        The box is tight around the pixels of the silhouette that are at least half covered, hidden by others or not,
        and cut at the frame. Of a person who is wholly outside, the share is 0 and the box empty.
        """
        inside, area = self._areas(layer)
        mask = layer.silhouette >= 0.5
        in_frame = mask[inside]
        if not in_frame.any():
            return np.zeros(4), 0.0
        rows, columns = np.flatnonzero(in_frame.any(axis=1)), np.flatnonzero(in_frame.any(axis=0))
        x, y = area[1].start, area[0].start
        box = np.array([x + columns[0], y + rows[0], x + columns[-1] + 1, y + rows[-1] + 1], dtype=np.float64)
        return box, float((in_frame & (self._owners[area] == owner)).sum() / mask.sum())

    def _areas(self, layer: Layer) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """Where layer and frame overlap: rows and columns of the layer, and of the frame."""
        rows, columns = layer.overlap(self.frame.shape[2], self.frame.shape[1])
        area = (
            slice(layer.top + rows.start, layer.top + rows.stop),
            slice(layer.left + columns.start, layer.left + columns.stop),
        )
        return (rows, columns), area


def _limit(values: npt.NDArray[Any], low: float, high: float) -> None:
    """Clip in place; for small arrays several times as fast as ``np.clip``."""
    np.maximum(values, low, out=values)
    np.minimum(values, high, out=values)


def drop_shadow(frame: Image, centre: Array, radii: tuple[float, float], strength: float) -> None:
    """Darken ``frame [3, H, W]`` in place under a soft ellipse around ``centre`` (pixels), by at most ``strength``."""
    height, width = frame.shape[1:]
    low = np.maximum(np.floor(centre - np.array(radii) * 2), 0).astype(int)
    high = np.minimum(np.ceil(centre + np.array(radii) * 2), [width, height]).astype(int)
    if (high <= low).any():
        return
    x = ((np.arange(low[0], high[0]) + 0.5 - centre[0]) / radii[0]).astype(np.float32)
    y = ((np.arange(low[1], high[1]) + 0.5 - centre[1]) / radii[1]).astype(np.float32)
    # an ellipse's fall-off is a product of one across and one down
    fall_off = np.exp(-1.5 * y * y)[:, None] * (strength * np.exp(-1.5 * x * x))[None, :]
    frame[:, low[1] : high[1], low[0] : high[0]] *= 1.0 - fall_off
