"""Furniture, houses and plants in the background of rooms, streets and parks.

Each painter ``(brush, x, rng)`` paints one thing on a vertical plane, with its left edge at ``x`` metres; random
details are drawn from ``rng``. All lengths are metres. The tables at the end list the things of each location.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

Array = npt.NDArray[np.float64]
Color = tuple[int, int, int]
SUPERSAMPLING = 2


class Brush:
    """Paints on a vertical plane: x in metres from its left edge, y in metres above the ground line.

    Attributes:
        width_metres: Width of the plane.
        top_metres: Height of its upper edge above the ground line.
    """

    def __init__(
        self, width: int, height: int, pixels_per_metre: float, ground_row: float, *, is_transparent: bool = False
    ) -> None:
        """Create an empty image.

        Args:
            width: Width in pixels.
            height: Height in pixels.
            pixels_per_metre: Scale of the plane.
            ground_row: Row of the ground line in pixels.
            is_transparent: Whether the image has an alpha channel, 0 at first.
        """
        mode = "RGBA" if is_transparent else "RGB"
        self._image = Image.new(mode, (width * SUPERSAMPLING, height * SUPERSAMPLING))
        self._draw = ImageDraw.Draw(self._image)
        self._scale = pixels_per_metre * SUPERSAMPLING
        self._ground = ground_row * SUPERSAMPLING
        self._size = (width, height)
        self.width_metres = width / pixels_per_metre
        self.top_metres = ground_row / pixels_per_metre

    def box(self, x1: float, y1: float, x2: float, y2: float, color: Array) -> None:
        """Paint a rectangle.

        Args:
            x1: Left edge.
            y1: Lower edge.
            x2: Right edge.
            y2: Upper edge, above ``y1``.
            color: RGB 0..255 ``[3]``.
        """
        corners = [x1 * self._scale, self._ground - y2 * self._scale, x2 * self._scale, self._ground - y1 * self._scale]
        self._draw.rectangle(corners, _pillow_color(color))

    def blob(self, x: float, y: float, radius_x: float, radius_y: float, color: Array) -> None:
        """Paint an ellipse.

        Args:
            x: Centre to the right.
            y: Height of the centre.
            radius_x: Horizontal radius.
            radius_y: Vertical radius.
            color: RGB 0..255 ``[3]``.
        """
        corners = [
            (x - radius_x) * self._scale,
            self._ground - (y + radius_y) * self._scale,
            (x + radius_x) * self._scale,
            self._ground - (y - radius_y) * self._scale,
        ]
        self._draw.ellipse(corners, _pillow_color(color))

    def shape(self, points: list[tuple[float, float]], color: Array) -> None:
        """Paint a polygon.

        Args:
            points: Corners (x, y).
            color: RGB 0..255 ``[3]``.
        """
        self._draw.polygon([(x * self._scale, self._ground - y * self._scale) for x, y in points], _pillow_color(color))

    def fade(self, x1: float, y1: float, x2: float, y2: float, bottom: Array, top: Array) -> None:
        """Paint a rectangle with a vertical color gradient.

        Args:
            x1: Left edge.
            y1: Lower edge.
            x2: Right edge.
            y2: Upper edge, above ``y1``.
            bottom: Color at the lower edge, RGB 0..255 ``[3]``.
            top: Color at the upper edge.
        """
        steps = 24
        edges = np.linspace(y1, y2, steps + 1)
        for index in range(steps):
            share = index / (steps - 1)
            self.box(x1, float(edges[index]), x2, float(edges[index + 1]), (1 - share) * bottom + share * top)

    def image(self) -> npt.NDArray[np.uint8]:
        """Return the antialiased image.

        Returns:
            uint8 RGB ``[h, w, 3]``, or RGBA ``[h, w, 4]`` if transparent.
        """
        return np.asarray(self._image.resize(self._size, Image.Resampling.BOX))


def _pillow_color(color: Array) -> Color:
    red, green, blue = np.clip(color, 0, 255).astype(int).tolist()
    return red, green, blue


def rgb(*values: float) -> Array:
    """Build a color.

    Args:
        values: Red, green and blue, 0 to 255.

    Returns:
        float64 ``[3]``.
    """
    return np.array(values, dtype=np.float64)


def _vary(rng: np.random.Generator, color: Array, amount: float = 0.12) -> Array:
    """Vary brightness and hue of a color at random by about the share ``amount``."""
    result: Array = np.clip(color * rng.uniform(1 - amount, 1 + amount) + rng.normal(0, 60 * amount / 2, 3), 0, 255)
    return result


def _muted(rng: np.random.Generator) -> Array:
    """Draw any color of low saturation."""
    grey = rng.uniform(60, 190)
    return _vary(rng, grey + 0.45 * (rgb(*rng.uniform(0, 255, 3)) - grey), 0.05)


def _window(brush: Brush, x: float, rng: np.random.Generator) -> None:
    """Paint a sash window with daylight behind it and curtains at its sides."""
    width, bottom, top = 1.5, 0.95, 2.3
    # Frame, sky and bushes outside.
    frame = _vary(rng, rgb(226, 222, 212), 0.05)
    brush.box(x - 0.08, bottom - 0.08, x + width + 0.08, top + 0.08, frame * 0.92)
    brush.fade(x, bottom, x + width, top, rgb(214, 226, 230), rgb(150, 190, 224))
    for _ in range(5):
        middle, half, high = x + rng.uniform(0.3, width - 0.3), 0.28, rng.uniform(0.12, 0.4)
        turn = np.linspace(0, np.pi, 16)
        bush = zip((middle + half * np.cos(turn)).tolist(), (bottom + high * np.sin(turn)).tolist(), strict=True)
        brush.shape(list(bush), _vary(rng, rgb(110, 138, 104), 0.06))
    # Sill and bars.
    brush.box(x - 0.08, bottom - 0.16, x + width + 0.08, bottom, frame)
    brush.box(x + width / 2 - 0.025, bottom, x + width / 2 + 0.025, top, frame)
    brush.box(x, bottom + 0.62, x + width, bottom + 0.67, frame)
    # Curtains, whose folds alternate in brightness.
    cloth = _muted(rng)
    for side in (x - 0.3, x + width - 0.08):
        for fold in range(8):
            shade = 0.85 + 0.2 * float(np.sin(fold * 1.9))
            brush.box(side + fold * 0.048, 0.25, side + fold * 0.048 + 0.048, top + 0.18, cloth * shade)


def _bookshelf(brush: Brush, x: float, rng: np.random.Generator) -> None:
    """Paint four boards of books."""
    width, height = 1.25, 2.05
    wood = _vary(rng, rgb(120, 84, 54), 0.25)
    brush.box(x, 0.0, x + width, height, wood * 0.55)
    # Five rows of books, left to right, with gaps; then the board that they stand on.
    board = height / 5
    for level in range(5):
        at = x + 0.05
        while at < x + width - 0.1:
            thick, tall = rng.uniform(0.025, 0.06), rng.uniform(0.2, 0.32)
            brush.box(at, level * board + 0.05, at + thick - 0.006, level * board + 0.05 + tall, _muted(rng))
            at += thick if rng.random() < 0.94 else 0.2
        brush.box(x, level * board, x + width, level * board + 0.045, wood)
    brush.box(x, height, x + width, height + 0.05, wood)
    for side in (x, x + width - 0.04):
        brush.box(side, 0.0, side + 0.04, height, wood * 0.9)


def _painting(brush: Brush, x: float, rng: np.random.Generator) -> None:
    """Paint a framed landscape."""
    width, bottom, height = 0.95, 1.35, 0.68
    brush.box(x, bottom, x + width, bottom + height, _vary(rng, rgb(92, 66, 40), 0.4))
    brush.box(x + 0.05, bottom + 0.05, x + width - 0.05, bottom + height - 0.05, rgb(236, 232, 222))
    brush.fade(x + 0.1, bottom + 0.1, x + width - 0.1, bottom + height - 0.1, rgb(224, 190, 150), rgb(130, 160, 196))
    hill = _vary(rng, rgb(80, 104, 84), 0.3)
    points = [
        (x + 0.1 + share * (width - 0.2), bottom + 0.15 + rng.uniform(0.02, 0.2)) for share in np.linspace(0, 1, 6)
    ]
    brush.shape([(x + 0.1, bottom + 0.1), *points, (x + width - 0.1, bottom + 0.1)], hill)


def _sideboard(brush: Brush, x: float, rng: np.random.Generator) -> None:
    """Paint a low cupboard with a lamp, books and a vase on it."""
    width, height = 1.7, 0.78
    wood = _vary(rng, rgb(150, 112, 76), 0.3)
    brush.box(x, 0.1, x + width, height, wood)
    brush.box(x - 0.03, height, x + width + 0.03, height + 0.04, wood * 1.15)
    for door in range(3):
        left = x + 0.05 + door * (width - 0.05) / 3
        brush.box(left, 0.17, left + (width - 0.2) / 3, height - 0.06, wood * 0.86)
        brush.blob(left + 0.42, height / 2, 0.02, 0.02, rgb(220, 200, 150))
    for leg in (x + 0.05, x + width - 0.12):
        brush.box(leg, 0.0, leg + 0.07, 0.1, wood * 0.5)
    # A lamp on top.
    lamp = x + rng.uniform(0.25, width - 0.35)
    brush.box(lamp - 0.02, height, lamp + 0.02, height + 0.3, rgb(90, 80, 70))
    shade = [(lamp - 0.2, 1.08), (lamp + 0.2, 1.08), (lamp + 0.12, 1.36), (lamp - 0.12, 1.36)]
    brush.shape(shade, _vary(rng, rgb(246, 226, 176), 0.08))


def _door(brush: Brush, x: float, rng: np.random.Generator) -> None:
    """Paint a panelled door."""
    width, height = 0.92, 2.08
    paint = _vary(rng, rgb(190, 176, 156), 0.25)
    brush.box(x - 0.1, 0.0, x + width + 0.1, height + 0.1, paint * 1.15)
    brush.box(x, 0.0, x + width, height, paint)
    for bottom, top in ((0.2, 0.9), (1.05, 1.9)):
        for left in (x + 0.1, x + width / 2 + 0.04):
            brush.box(left, bottom, left + width / 2 - 0.14, top, paint * 0.86)
            brush.box(left + 0.03, bottom + 0.03, left + width / 2 - 0.17, top - 0.03, paint * 0.95)
    brush.blob(x + width - 0.07, 1.0, 0.03, 0.03, rgb(200, 170, 90))


def _house_plant(brush: Brush, x: float, rng: np.random.Generator) -> None:
    """Paint a wide leafy plant in a pot."""
    pot = _vary(rng, rgb(170, 96, 66), 0.25)
    brush.shape([(x + 0.3, 0.0), (x + 0.7, 0.0), (x + 0.78, 0.38), (x + 0.22, 0.38)], pot)
    for _ in range(16):
        angle, reach = rng.uniform(-1.35, 1.35), rng.uniform(0.35, 0.75)
        tip = (x + 0.5 + reach * np.sin(angle), 0.42 + reach * np.cos(angle) * 0.8)
        middle = ((x + 0.5 + tip[0]) / 2, (0.42 + tip[1]) / 2 + 0.06)
        leaf = _vary(rng, rgb(64, 112, 62), 0.35)
        brush.shape([(x + 0.48, 0.36), (middle[0] - 0.06, middle[1]), tip, (middle[0] + 0.06, middle[1] - 0.05)], leaf)


def _house(brush: Brush, x: float, rng: np.random.Generator) -> None:
    """Paint a facade of three storeys with a shop on the ground floor."""
    width, height = 6.0, 9.0
    wall = _vary(rng, rgb(*rng.choice([(178, 128, 104), (206, 190, 160), (150, 150, 152), (196, 166, 140)])), 0.12)
    trim = wall * 1.18
    brush.fade(x, 0.0, x + width, height, wall * 0.9, wall)
    # Courses of bricks above the ground floor, and two rows of windows.
    for row in np.arange(3.2, height, 0.22):
        brush.box(x, float(row), x + width, float(row) + 0.02, wall * 0.88)
    brush.box(x, 2.9, x + width, 3.15, trim)
    for level in (3.7, 6.4):
        for column in range(4):
            _facade_window(brush, x + 0.45 + column * 1.4, level, trim, rng)
    # Shop window with goods, awning and door.
    glass = rgb(70, 86, 98)
    brush.box(x + 0.35, 0.45, x + width - 1.6, 2.45, trim * 0.7)
    brush.fade(x + 0.43, 0.53, x + width - 1.68, 2.37, glass, glass * 1.7)
    for left in np.arange(x + 0.5, x + width - 1.9, 0.62):
        brush.box(
            float(left), 0.6, float(left) + rng.uniform(0.2, 0.5), rng.uniform(0.8, 1.3), _vary(rng, glass * 1.4, 0.4)
        )
    awning = _muted(rng)
    for stripe in range(10):
        left, slot = x + 0.25 + stripe * 0.43, 0.43
        brush.shape(
            [(left, 2.35), (left + slot, 2.35), (left + slot, 2.75), (left, 2.75)], awning if stripe % 2 else trim
        )
    brush.box(x + width - 1.35, 0.0, x + width - 0.4, 2.2, _vary(rng, rgb(88, 60, 44), 0.4))
    brush.box(x + width - 1.2, 1.1, x + width - 0.55, 2.05, glass)


def _facade_window(brush: Brush, x: float, bottom: float, trim: Array, rng: np.random.Generator) -> None:
    """Paint one window of a house, its sill at height ``bottom``."""
    brush.box(x - 0.07, bottom - 0.1, x + 0.97, bottom + 1.6, trim)
    brush.fade(x, bottom, x + 0.9, bottom + 1.5, rgb(70, 84, 96), rgb(150, 172, 190) * rng.uniform(0.6, 1.1))
    brush.box(x + 0.43, bottom, x + 0.47, bottom + 1.5, trim)
    brush.box(x, bottom + 0.9, x + 0.9, bottom + 0.94, trim)


def _tree(brush: Brush, x: float, rng: np.random.Generator) -> None:
    """Paint a broad tree."""
    centre, crown = x + 1.6, rng.uniform(3.4, 4.6)
    bark = _vary(rng, rgb(92, 72, 54), 0.2)
    brush.shape([(centre - 0.2, 0), (centre + 0.2, 0), (centre + 0.1, crown), (centre - 0.1, crown)], bark)
    leaf = _vary(rng, rgb(82, 116, 62), 0.2)
    # Leaves, uniform over a disk; later ones are in front and lighter, as are higher ones.
    for share in np.linspace(0, 1, 150):
        angle, reach = rng.uniform(0, 6.28), np.sqrt(rng.random())
        at = (centre + 1.5 * reach * np.cos(angle), crown + 1.4 * reach * np.sin(angle))
        light = 0.6 + 0.35 * share + 0.12 * (at[1] - crown)
        size = rng.uniform(0.14, 0.36)
        brush.blob(at[0], at[1], size, size * 0.8, leaf * light)


def _hedge(brush: Brush, x: float, rng: np.random.Generator) -> None:
    """Paint a clipped hedge, waist high."""
    width, height = 4.0, rng.uniform(0.7, 1.1)
    leaf = _vary(rng, rgb(66, 98, 54), 0.2)
    brush.fade(x, 0.0, x + width, height, leaf * 0.6, leaf)
    for _ in range(200):
        at = (x + rng.uniform(0, width), rng.uniform(0.05, height + 0.03))
        size = rng.uniform(0.04, 0.12)
        brush.blob(at[0], at[1], size, size * 0.7, leaf * (0.65 + 0.5 * at[1] / height) * rng.uniform(0.85, 1.15))


def _car(brush: Brush, x: float, rng: np.random.Generator) -> None:
    """Paint a car from the side."""
    body = rgb(*rng.choice([(150, 40, 38), (48, 72, 112), (186, 188, 190), (56, 60, 62), (210, 204, 190)]))
    # Cabin, its two windows, body and wheels.
    brush.shape([(x + 0.7, 0.8), (x + 1.25, 1.4), (x + 2.9, 1.4), (x + 3.5, 0.85)], body * 0.9)
    brush.shape([(x + 0.88, 0.85), (x + 1.32, 1.32), (x + 2.05, 1.32), (x + 2.05, 0.85)], rgb(76, 92, 104))
    brush.shape([(x + 2.13, 0.85), (x + 2.13, 1.32), (x + 2.82, 1.32), (x + 3.3, 0.88)], rgb(92, 108, 120))
    outline = [(x, 0.3), (x + 4.2, 0.3), (x + 4.22, 0.65), (x + 3.5, 0.88), (x + 0.7, 0.86), (x + 0.02, 0.7)]
    brush.shape(outline, body)
    brush.box(x, 0.28, x + 4.2, 0.36, body * 0.5)
    for wheel in (x + 0.85, x + 3.3):
        brush.blob(wheel, 0.32, 0.34, 0.34, rgb(30, 30, 32))
        brush.blob(wheel, 0.32, 0.2, 0.2, rgb(150, 152, 156))


def _bench(brush: Brush, x: float, rng: np.random.Generator) -> None:
    """Paint a bench without a back."""
    wood = _vary(rng, rgb(140, 98, 62), 0.25)
    for leg in (x + 0.12, x + 1.2):
        brush.box(leg, 0.0, leg + 0.08, 0.4, rgb(62, 62, 66))
    for plank in range(3):
        brush.box(x, 0.36 + 0.05 * plank, x + 1.4, 0.4 + 0.05 * plank, wood * (0.8 + 0.12 * plank))


def _planter(brush: Brush, x: float, rng: np.random.Generator) -> None:
    """Paint a low pot with leaves, knee high."""
    pot = _vary(rng, rgb(170, 96, 66), 0.3)
    brush.shape([(x + 0.18, 0.0), (x + 0.42, 0.0), (x + 0.48, 0.26), (x + 0.12, 0.26)], pot)
    for _ in range(14):
        angle, reach = rng.uniform(-1.2, 1.2), rng.uniform(0.18, 0.36)
        tip = (x + 0.3 + reach * np.sin(angle), 0.27 + reach * np.cos(angle))
        leaf = _vary(rng, rgb(70, 120, 66), 0.35)
        brush.shape([(x + 0.28, 0.25), ((x + 0.27 + tip[0]) / 2, tip[1] * 0.7), tip, (x + 0.34, 0.25)], leaf)


def _lamp_post(brush: Brush, x: float, rng: np.random.Generator) -> None:
    """Paint a thin post that is taller than people."""
    metal = _vary(rng, rgb(70, 78, 76), 0.3)
    brush.box(x + 0.03, 0.0, x + 0.10, 3.6, metal)
    brush.box(x + 0.04, 0.0, x + 0.06, 3.6, metal * 1.3)
    brush.box(x, 0.0, x + 0.13, 0.22, metal * 0.8)


@dataclass(frozen=True)
class Item:
    """A thing that can be painted.

    Attributes:
        paint: Its painter: brush, left edge in metres, source of random details.
        width_metres: The width that it needs.
        height_metres: Its height, if it can be painted on a layer of its own; else 0.
    """

    paint: Callable[[Brush, float, np.random.Generator], None]
    width_metres: float
    height_metres: float = 0.0


ROOM_ITEMS = (
    Item(_window, 1.9),
    Item(_bookshelf, 1.3),
    Item(_painting, 1.0),
    Item(_sideboard, 1.8),
    Item(_door, 1.1),
    Item(_house_plant, 1.0),
)
CAR = Item(_car, 4.4, 1.45)
STREET_ITEMS = (Item(_tree, 3.2), CAR, Item(_hedge, 4.0))
PARK_ITEMS = (Item(_tree, 3.2), Item(_tree, 3.2), Item(_hedge, 4.0))
HOUSE = Item(_house, 6.0)
BENCH, PLANTER, LAMP_POST = Item(_bench, 1.4, 0.52), Item(_planter, 0.6, 0.66), Item(_lamp_post, 0.13, 3.6)
