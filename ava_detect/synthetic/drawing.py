"""Antialiased, shaded shapes on a transparent layer: what figures and furniture are drawn with.

Two shapes are enough. A ``Stroke`` is a line with a width that changes along it, shaded as if it were round (limbs,
torsos, heads); a ``Face`` is a flat convex polygon (the sides of a box). Both are evaluated as signed distances
around their own bounding box, so the cost follows the area covered and edges are soft over one pixel.

Shapes: h, w the pixels of a shape's bounding box; K stations along a stroke.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Image = npt.NDArray[np.float32]
MARGIN_PIXELS = 2
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
    texture: Array | None = None
    gloss: float = 0.0
    has_hem: bool = False
    is_person: bool = True

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """The pixels ``x1, y1, x2, y2`` that the shape can touch."""
        reach = float(self.half_widths.max())
        low, high = np.minimum(self.start, self.end) - reach, np.maximum(self.start, self.end) + reach
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])

    def paint(self, x: Array, y: Array, light: Array) -> tuple[Array, Array]:
        """Coverage ``[h, w]`` in 0..1 and color ``[h, w, 3]`` at pixel centres ``x [1, w]``, ``y [h, 1]``."""
        axis = self.end - self.start
        length = max(float(np.hypot(*axis)), 1e-3)
        direction = axis / length
        dx, dy = x - self.start[0], y - self.start[1]
        beyond_hem = dx * direction[0] + dy * direction[1]
        along = np.clip(beyond_hem / length, 0.0, 1.0)
        dx, dy = dx - along * axis[0], dy - along * axis[1]
        widths, slopes = self._widths(along, length)
        distance = np.hypot(dx, dy)
        coverage = np.clip(0.5 - (distance - widths) / np.sqrt(1.0 + slopes**2), 0.0, 1.0)
        if self.has_hem:
            coverage = np.minimum(coverage, np.clip(0.5 + beyond_hem, 0.0, 1.0))
        normal_x, normal_y = self._normals(dx / widths, dy / widths, direction)
        towards_us = np.sqrt(np.clip(1.0 - normal_x**2 - normal_y**2, 0.0, 1.0))
        lambert = normal_x * light[0] + normal_y * light[1] + towards_us * light[2]
        shade = 0.45 + 0.20 * towards_us + 0.50 * np.clip(lambert, -0.3, 1.0)
        if self.texture is not None:
            across = np.clip((dx * -direction[1] + dy * direction[0]) / widths, -1.0, 1.0)
            shade = shade * _sample(self.texture, along, across)
        color = shade[..., None] * self.color
        if self.gloss:
            color = color + 255.0 * self.gloss * (np.clip(lambert, 0.0, 1.0) ** 12)[..., None]
        return coverage, color

    def _normals(self, x: Array, y: Array, direction: Array) -> tuple[Array, Array]:
        """Surface normals in the picture plane, with the round ends flattened so that joints leave no bright balls."""
        lengthwise = ROUND_ENDS_SHADING - 1.0
        excess = lengthwise * (x * direction[0] + y * direction[1])
        return x + excess * direction[0], y + excess * direction[1]

    def _widths(self, along: Array, length: float) -> tuple[Array, Array]:
        """Half width and its slope (pixels per pixel) at fractions ``along`` of the line."""
        widths = np.maximum(self.half_widths, 0.3)
        last = len(widths) - 1
        position = along * last
        left = np.minimum(position.astype(np.intp), last - 1)
        steps = np.diff(widths)
        return widths[left] + (position - left) * steps[left], steps[left] * last / length


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

    def paint(self, x: Array, y: Array, light: Array) -> tuple[Array, Array]:
        """Coverage ``[h, w]`` and color ``[3]`` at pixel centres; ``light`` is already in the color."""
        following = np.roll(self.corners, -1, axis=0)
        edges = following - self.corners
        turn = np.sum(self.corners[:, 0] * following[:, 1] - following[:, 0] * self.corners[:, 1])
        outside = np.full(np.broadcast_shapes(x.shape, y.shape), -np.inf)
        for corner, edge in zip(self.corners, edges, strict=True):
            length = float(np.hypot(*edge))
            if length > 1e-6:
                normal = np.array([edge[1], -edge[0]]) * (np.sign(turn) / length)
                outside = np.maximum(outside, (x - corner[0]) * normal[0] + (y - corner[1]) * normal[1])
        return np.clip(0.5 - outside, 0.0, 1.0), self.color


Shape = Stroke | Face


@dataclass(eq=False)
class Layer:
    """A transparent picture: color multiplied by alpha ``[h, w, 3]``, ``alpha`` and ``silhouette`` ``[h, w]``.

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
        size = (bottom - top, right - left)
        layer = cls(left, top, np.zeros((*size, 3), np.float32), np.zeros(size, np.float32), np.zeros(size, np.float32))
        for shape in sorted(shapes, key=lambda shape: -shape.depth):
            layer._draw(shape, light)
        return layer

    def _draw(self, shape: Shape, light: Array) -> None:
        x1, y1, x2, y2 = shape.bounds
        columns = np.arange(int(np.floor(x1)) - 1, int(np.ceil(x2)) + 1)
        rows = np.arange(int(np.floor(y1)) - 1, int(np.ceil(y2)) + 1)
        x, y = columns[None, :].astype(np.float64) + 0.5, rows[:, None].astype(np.float64) + 0.5
        coverage, color = shape.paint(x, y, light)
        area = np.s_[rows[0] - self.top : rows[-1] + 1 - self.top, columns[0] - self.left : columns[-1] + 1 - self.left]
        self.color[area] += coverage[..., None] * (color - self.color[area])
        self.alpha[area] += coverage * (1.0 - self.alpha[area])
        if shape.is_person:
            np.maximum(self.silhouette[area], coverage, out=self.silhouette[area], casting="same_kind")

    def blend_onto(self, frame: Image) -> None:
        """Put the layer over ``frame`` (float32 RGB ``[H, W, 3]``), in place."""
        rows, columns = self._overlap(frame.shape[1], frame.shape[0])
        target = frame[
            self.top + rows.start : self.top + rows.stop, self.left + columns.start : self.left + columns.stop
        ]
        target *= 1.0 - self.alpha[rows, columns, None]
        target += self.color[rows, columns]

    def silhouette_box(self, width: int, height: int) -> tuple[Array, float]:
        """The person's box ``xyxy`` in pixels of a ``width`` x ``height`` frame and the share of the person inside.

        The box is tight around the pixels of the silhouette that are at least half covered, cut at the frame.
        A person who is wholly outside has share 0 and an empty box.
        """
        mask = self.silhouette >= 0.5
        inside = self._overlap(width, height)
        seen = mask[inside]
        if not seen.any():
            return np.zeros(4), 0.0
        rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
        x, y = self.left + inside[1].start, self.top + inside[0].start
        box = np.array([x + columns[0], y + rows[0], x + columns[-1] + 1, y + rows[-1] + 1], dtype=np.float64)
        return box, float(seen.sum() / mask.sum())

    def _overlap(self, width: int, height: int) -> tuple[slice, slice]:
        """Rows and columns of the layer that lie in the frame."""
        layer_height, layer_width = self.alpha.shape
        first_row, first_column = min(max(0, -self.top), layer_height), min(max(0, -self.left), layer_width)
        last_row = max(first_row, min(layer_height, height - self.top))
        last_column = max(first_column, min(layer_width, width - self.left))
        return slice(first_row, last_row), slice(first_column, last_column)


def drop_shadow(frame: Image, centre: Array, radii: tuple[float, float], strength: float) -> None:
    """Darken ``frame`` in place under a soft ellipse around ``centre`` (pixels), by at most ``strength`` (0..1)."""
    height, width = frame.shape[:2]
    low = np.maximum(np.floor(centre - np.array(radii) * 2), 0).astype(int)
    high = np.minimum(np.ceil(centre + np.array(radii) * 2), [width, height]).astype(int)
    if (high <= low).any():
        return
    x = (np.arange(low[0], high[0]) + 0.5 - centre[0]) / radii[0]
    y = (np.arange(low[1], high[1]) + 0.5 - centre[1]) / radii[1]
    fall_off = np.exp(-1.5 * (x[None, :] ** 2 + y[:, None] ** 2))
    frame[low[1] : high[1], low[0] : high[0]] *= (1.0 - strength * fall_off).astype(np.float32)[..., None]


def _sample(texture: Array, along: Array, across: Array) -> Array:
    """Texture values at ``along`` 0..1 and ``across`` -1..1."""
    rows = np.minimum((along * texture.shape[0]).astype(np.intp), texture.shape[0] - 1)
    columns = np.minimum(((across + 1.0) / 2.0 * texture.shape[1]).astype(np.intp), texture.shape[1] - 1)
    values: Array = texture[rows, columns]
    return values
