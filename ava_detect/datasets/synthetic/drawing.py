"""Antialiased, shaded shapes on transparent layers, from which figures and furniture are drawn.

There are two shapes. A ``Stroke`` is a line whose width varies along it, shaded as if it were round (limbs, torsos,
heads). A ``Face`` is a flat convex polygon (the sides of a box). Both are evaluated as signed distances inside their
own bounding box: the cost is proportional to the area covered, and edges are soft over one pixel.

Shapes: h, w pixels of a bounding box; H, W pixels of the frame; K stations along a stroke or corners of a face. Images
have their three colour channels in front, ``[3, h, w]``, because NumPy processes whole planes several times as fast.
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
Paint = tuple[Image, Image | None, Image | None]  # coverage, factor of the color, highlight added to it
MARGIN_PIXELS = 2
STEPS = 64  # samples of a stroke's width along it
NO_PERSON = -1
ROUND_ENDS_SHADING = 0.35  # 1 shades a stroke's ends as half spheres, 0 as a cut-off tube

# Shading: brightness = ambient + facing * (part of the normal towards the camera) + diffuse * Lambert's cosine.
_AMBIENT, _FACING, _DIFFUSE = 0.45, 0.20, 0.50
_HIGHLIGHT_EXPONENT = 12


@dataclass(frozen=True, eq=False)
class Stroke:
    """A rounded line with a width that varies along it.

    Attributes:
        start: Start in pixels ``[2]``.
        end: End in pixels ``[2]``.
        half_widths: Half widths in pixels ``[K]`` at evenly spaced stations from start to end.
        color: RGB 0..255 ``[3]``.
        depth: Distance from the camera in metres; nearer shapes cover farther ones.
        texture: Brightness factors ``[a, b]``, a along the line, b across it; None for a plain surface.
        gloss: Strength of the highlight, 0 to 1.
        has_hem: Whether the start is cut straight, like a sleeve, instead of round.
        is_person: Whether the shape belongs to the silhouette from which ground-truth boxes are measured.
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
        """Evaluate the shape at pixel centres.

        Args:
            x: Columns of the pixel centres ``[1, w]``.
            y: Rows of the pixel centres ``[h, 1]``.
            light: Unit vector towards the light ``[3]``: right, down, towards the camera.

        Returns:
            Coverage ``[h, w]``, 0 to 1; brightness factors ``[h, w]``; highlight in grey levels ``[h, w]``, or None.
        """
        # Unit vector (dx, dy) along the line, and pixels relative to its start.
        dx, dy = (self.end - self.start).tolist()
        length = max(float(np.hypot(dx, dy)), 1e-3)
        dx, dy = dx / length, dy / length
        x, y = x - np.float32(self.start[0]), y - np.float32(self.start[1])
        # Coordinates of each pixel in pixels: along the line, beyond its ends (0 between them), and across it.
        position = dx * x + dy * y  # [h, w]
        on_line = np.minimum(np.maximum(position, 0.0), length)
        beyond, across = position - on_line, dx * y - dy * x
        # Half width at each pixel: one look-up in STEPS samples instead of an interpolation per pixel.
        step = (on_line * ((STEPS - 1) / length)).astype(np.intp)  # [h, w]
        stations = np.maximum(self.half_widths, 0.3).astype(np.float32)  # [K]
        widths = (_interpolation(len(stations)) @ stations).take(step)  # [h, w]
        # Coverage from the signed distance to the outline, soft over one pixel.
        coverage = widths + 0.5 - np.sqrt(across * across + beyond * beyond)
        if self.has_hem:
            np.minimum(coverage, position + 0.5, out=coverage)
        _clip_in_place(coverage, 0.0, 1.0)
        # Surface normal of a round bar: across, beyond and towards the camera, of unit length.
        across /= widths
        beyond *= ROUND_ENDS_SHADING / widths
        towards_camera = np.sqrt(np.maximum(1.0 - across * across - beyond * beyond, 0.0))
        # Lambert's cosine: normal times light, with the light turned into the line's axes.
        right, down, near = light.tolist()
        lambert = (down * dx - right * dy) * across + (right * dx + down * dy) * beyond + near * towards_camera
        _clip_in_place(lambert, -0.3, 1.0)
        shade = _AMBIENT + _FACING * towards_camera + _DIFFUSE * lambert
        if self.texture is not None:
            # Nearest texel: rows along the line, columns across it.
            rows, columns = self.texture.shape
            row = step * rows // STEPS
            column = ((across + 1.0) * (columns / 2)).astype(np.intp)
            _clip_in_place(column, 0, columns - 1)
            shade *= self.texture.take(row * columns + column)
        if not self.gloss:
            return coverage, shade, None
        return coverage, shade, 255.0 * self.gloss * np.maximum(lambert, 0.0) ** _HIGHLIGHT_EXPONENT


@cache
def _interpolation(num_stations: int) -> Image:
    """Return weights ``[STEPS, num_stations]`` that interpolate values at stations linearly to STEPS samples."""
    distance = np.linspace(0, num_stations - 1, STEPS)[:, None] - np.arange(num_stations)
    weights: Image = np.maximum(1 - np.abs(distance), 0.0).astype(np.float32)
    return weights


@dataclass(frozen=True, eq=False)
class Face:
    """A flat convex polygon of one color.

    Attributes:
        corners: Corners in pixels ``[K, 2]``, clockwise or counterclockwise.
        color: RGB 0..255 ``[3]``, already lit.
        depth: Distance from the camera in metres; nearer shapes cover farther ones.
        is_person: Whether the shape belongs to the silhouette from which ground-truth boxes are measured.
    """

    corners: Array
    color: Array
    depth: float
    is_person: bool = False

    @property
    def bounds(self) -> Bounds:
        """The pixels ``x1, y1, x2, y2`` that the shape can touch."""
        low, high = self.corners.min(axis=0), self.corners.max(axis=0)
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])

    def paint(self, x: Image, y: Image, light: Array) -> Paint:
        """Evaluate the shape at pixel centres.

        Args:
            x: Columns of the pixel centres ``[1, w]``.
            y: Rows of the pixel centres ``[h, 1]``.
            light: Unused: the color is already lit.

        Returns:
            Coverage ``[h, w]``, 0 to 1; no brightness factors; no highlight.
        """
        following = np.roll(self.corners, -1, axis=0)
        edges = following - self.corners  # [K, 2]
        # Twice the signed area (shoelace formula); its sign tells the direction of the corners.
        turn = np.sum(self.corners[:, 0] * following[:, 1] - following[:, 0] * self.corners[:, 1])
        # Signed distance to a convex polygon: the greatest distance to any edge's line, positive outside.
        outside = np.full(np.broadcast_shapes(x.shape, y.shape), -np.inf, np.float32)  # [h, w]
        for corner, edge in zip(self.corners, edges, strict=True):
            length = float(np.hypot(*edge))
            if length > 1e-6:
                normal = (np.array([edge[1], -edge[0]]) * (np.sign(turn) / length)).astype(np.float32)
                distance = (x - np.float32(corner[0])) * normal[0] + (y - np.float32(corner[1])) * normal[1]
                np.maximum(outside, distance, out=outside)
        coverage = 0.5 - outside
        _clip_in_place(coverage, 0.0, 1.0)
        return coverage, None, None


Shape = Stroke | Face


@dataclass(eq=False)
class Layer:
    """A transparent image at a position of the frame; it may reach outside the frame.

    Attributes:
        left: Column of the frame at which the layer starts.
        top: Row of the frame at which the layer starts.
        color: RGB 0..255 multiplied by alpha, ``[3, h, w]``.
        alpha: Coverage by all shapes, 0 to 1, ``[h, w]``.
        silhouette: Coverage by shapes of a person, hidden by other shapes or not, 0 to 1, ``[h, w]``.
    """

    left: int
    top: int
    color: Image
    alpha: Image
    silhouette: Image

    @classmethod
    def of_shapes(cls, shapes: Sequence[Shape], light: Array) -> Layer:
        """Draw shapes, farthest first, on a layer just large enough.

        Args:
            shapes: At least one shape.
            light: Unit vector towards the light ``[3]``: right, down, towards the camera.

        Returns:
            The layer.
        """
        bounds = np.array([shape.bounds for shape in shapes])  # [shapes, 4]
        left, top = (np.floor(bounds[:, :2].min(axis=0)) - MARGIN_PIXELS).astype(int).tolist()
        right, bottom = (np.ceil(bounds[:, 2:].max(axis=0)) + MARGIN_PIXELS).astype(int).tolist()
        planes = np.zeros((5, bottom - top, right - left), np.float32)  # color, alpha, silhouette
        layer = cls(left, top, planes[:3], planes[3], planes[4])
        for index in np.argsort([-shape.depth for shape in shapes], kind="stable"):
            layer._draw(shapes[index], bounds[index].tolist(), light)
        return layer

    @classmethod
    def of_image(cls, image: npt.NDArray[np.uint8]) -> Layer:
        """Convert a finished image without people.

        Args:
            image: uint8 RGBA ``[h, w, 4]``.

        Returns:
            The layer, at the top left corner of the frame.
        """
        planes = np.moveaxis(image, 2, 0).astype(np.float32)  # [4, h, w]
        alpha = planes[3] / np.float32(255)
        return cls(0, 0, planes[:3] * alpha, alpha, np.zeros_like(alpha))

    def moved_to(self, left: int, top: int) -> Layer:
        """Return the layer at another position; the pixels are shared.

        Args:
            left: Column of the frame at which it starts.
            top: Row of the frame at which it starts.

        Returns:
            The moved layer.
        """
        return replace(self, left=left, top=top)

    def _draw(self, shape: Shape, bounds: Bounds, light: Array) -> None:
        """Blend one shape over the layer, inside its bounding box ``[h, w]``."""
        x1, y1 = math.floor(bounds[0]) - 1, math.floor(bounds[1]) - 1
        x2, y2 = math.ceil(bounds[2]) + 1, math.ceil(bounds[3]) + 1
        # Pixel centres lie at half pixels.
        x = np.arange(x1, x2, dtype=np.float32)[None, :] + np.float32(0.5)  # [1, w]
        y = np.arange(y1, y2, dtype=np.float32)[:, None] + np.float32(0.5)  # [h, 1]
        coverage, shade, highlight = shape.paint(x, y, light)
        rows, columns = slice(y1 - self.top, y2 - self.top), slice(x1 - self.left, x2 - self.left)
        color, alpha = self.color[:, rows, columns], self.alpha[rows, columns]
        # The "over" operator with premultiplied alpha.
        transmitted = 1.0 - coverage
        color *= transmitted
        color += (coverage if shade is None else coverage * shade) * shape.color.astype(np.float32)[:, None, None]
        if highlight is not None:
            color += coverage * highlight
        alpha *= transmitted
        alpha += coverage
        if shape.is_person:
            silhouette = self.silhouette[rows, columns]
            np.maximum(silhouette, coverage, out=silhouette)

    def overlap(self, width: int, height: int) -> tuple[slice, slice]:
        """Return the part of the layer that lies inside a frame.

        Args:
            width: Width of the frame in pixels.
            height: Height of the frame in pixels.

        Returns:
            Rows and columns of the layer; empty where it lies outside.
        """
        layer_height, layer_width = self.alpha.shape
        first_row, first_column = min(max(0, -self.top), layer_height), min(max(0, -self.left), layer_width)
        last_row = max(first_row, min(layer_height, height - self.top))
        last_column = max(first_column, min(layer_width, width - self.left))
        return slice(first_row, last_row), slice(first_column, last_column)


class Canvas:
    """A frame over which layers are blended, farthest first, and the person that is visible at each pixel.

    Attributes:
        frame: float32 RGB 0..255 ``[3, H, W]``, changed in place.
    """

    def __init__(self, frame: Image) -> None:
        """Start with a background.

        Args:
            frame: float32 RGB 0..255 ``[3, H, W]``.
        """
        self.frame = frame
        self._owners = np.full(frame.shape[1:], NO_PERSON, np.int32)  # [H, W]

    def blend(self, layer: Layer, owner: int = NO_PERSON) -> None:
        """Blend a layer over the frame.

        Args:
            layer: The layer.
            owner: The person whose figure it is, a number from 0; ``NO_PERSON`` for things.
        """
        inside, area = self._areas(layer)
        target, alpha = self.frame[:, *area], layer.alpha[inside]
        target *= 1.0 - alpha
        target += layer.color[:, *inside]
        self._owners[area][alpha >= 0.5] = owner

    def box_and_visible_share(self, layer: Layer, owner: int) -> tuple[Array, float]:
        """Measure a person's figure after all layers have been blended.

        Args:
            layer: The layer of the figure.
            owner: The person, as passed to ``blend``.

        Returns:
            The box xyxy in pixels ``[4]``, and the share of the figure, 0 to 1, that is inside the frame and not
            hidden. The box is tight around the silhouette's pixels that are at least half covered, hidden or not, and
            clipped to the frame. For a figure wholly outside the frame, both are 0.
        """
        inside, area = self._areas(layer)
        mask = layer.silhouette >= 0.5  # [h, w]
        in_frame = mask[inside]
        if not in_frame.any():
            return np.zeros(4), 0.0
        rows, columns = np.flatnonzero(in_frame.any(axis=1)), np.flatnonzero(in_frame.any(axis=0))
        x, y = area[1].start, area[0].start
        box = np.array([x + columns[0], y + rows[0], x + columns[-1] + 1, y + rows[-1] + 1], dtype=np.float64)
        return box, float((in_frame & (self._owners[area] == owner)).sum() / mask.sum())

    def _areas(self, layer: Layer) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """Return the overlap of layer and frame: rows and columns of the layer, and of the frame."""
        rows, columns = layer.overlap(self.frame.shape[2], self.frame.shape[1])
        area = (
            slice(layer.top + rows.start, layer.top + rows.stop),
            slice(layer.left + columns.start, layer.left + columns.stop),
        )
        return (rows, columns), area


def _clip_in_place(values: npt.NDArray[Any], low: float, high: float) -> None:
    """Clip in place; for small arrays several times as fast as ``np.clip``."""
    np.maximum(values, low, out=values)
    np.minimum(values, high, out=values)


def drop_shadow(frame: Image, centre: Array, radii: tuple[float, float], strength: float) -> None:
    """Darken a frame in place under a soft ellipse.

    Args:
        frame: float32 RGB ``[3, H, W]``.
        centre: Centre of the ellipse in pixels ``[2]``; it may lie outside the frame.
        radii: Horizontal and vertical radius in pixels.
        strength: Share of the brightness, 0 to 1, that is removed at the centre.
    """
    height, width = frame.shape[1:]
    # The fall-off is negligible beyond twice the radii.
    low = np.maximum(np.floor(centre - np.array(radii) * 2), 0).astype(int)
    high = np.minimum(np.ceil(centre + np.array(radii) * 2), [width, height]).astype(int)
    if (high <= low).any():
        return
    x = ((np.arange(low[0], high[0]) + 0.5 - centre[0]) / radii[0]).astype(np.float32)  # [w]
    y = ((np.arange(low[1], high[1]) + 0.5 - centre[1]) / radii[1]).astype(np.float32)  # [h]
    # The Gaussian fall-off of an ellipse is a product of one across and one down.
    fall_off = np.exp(-1.5 * y * y)[:, None] * (strength * np.exp(-1.5 * x * x))[None, :]  # [h, w]
    frame[:, low[1] : high[1], low[0] : high[0]] *= 1.0 - fall_off
