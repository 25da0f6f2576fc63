"""Rooms, streets and parks behind the figures, painted as wide images along which a moving camera looks.

A backdrop consists of two images: everything upright, on one plane at ``wall_metres``, and the ground, of which each
row has its own distance. When the camera moves sideways, the wall shifts as a whole and every row of the ground by its
own amount (parallax).

Shapes: H, W pixels of the frame; h1, w1 of the wall; h2, w2 of the ground.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from ava_detect.datasets.synthetic.camera import Camera
from ava_detect.datasets.synthetic.scenery import HOUSE, PARK_ITEMS, ROOM_ITEMS, STREET_ITEMS, Brush, Item, rgb

Array = npt.NDArray[np.float64]
UInt8Image = npt.NDArray[np.uint8]
FloatImage = npt.NDArray[np.float32]


class Location(StrEnum):
    """The location of a scene."""

    ROOM = "room"
    STREET = "street"
    PARK = "park"


@dataclass(frozen=True, eq=False)
class Backdrop:
    """The background of a shot.

    Attributes:
        wall: float32 RGB 0..255 ``[3, h1, w1]``, above ``ground``.
        ground: float32 RGB 0..255 ``[3, h2, w2]``.
        wall_shift: Pixels that the wall shifts per metre of the camera.
        ground_shift: Pixels that each row of the ground shifts per metre of the camera, ``[h2]``.
        width: Width W of the frame in pixels.
        height: Height H of the frame in pixels.
        margin: Pixels around the frame that camera shake may reveal.
        start_metres: Position of the camera at the left end of its path.
    """

    wall: FloatImage
    ground: FloatImage
    wall_shift: float
    ground_shift: Array
    width: int
    height: int
    margin: int
    start_metres: float

    def view(self, camera_metres: float, shake: tuple[float, float]) -> FloatImage:
        """Cut out what the camera sees.

        Args:
            camera_metres: Position of the camera along x.
            shake: Pixels by which camera shake moves the image right and down, at most ``margin``.

        Returns:
            float32 RGB 0..255 ``[3, H, W]``.
        """
        moved = camera_metres - self.start_metres
        left, top = self.margin - shake[0], self.margin - shake[1]  # of the frame in the backdrop, fractional pixels
        # Cut one row more than the frame has, for the vertical interpolation below.
        first_row, wall_rows = int(top), self.wall.shape[1]
        strip = np.empty((3, self.height + 1, self.width), np.float32)
        # Rows up to ``split`` show the wall, the others the ground.
        split = min(max(wall_rows - first_row, 0), self.height + 1)
        _shift(self.wall[:, first_row : first_row + split], left + moved * self.wall_shift, strip[:, :split])
        below = slice(first_row + split - wall_rows, first_row + self.height + 1 - wall_rows)
        ground, offsets = self.ground[:, below], left + moved * self.ground_shift[below]
        if moved:
            _shift_rows(ground, offsets, strip[:, split:])
        else:
            _shift(ground, left, strip[:, split:])
        # Interpolate linearly between neighbouring rows.
        result = strip[:, 1:] - strip[:, :-1]
        result *= np.float32(top - first_row)
        result += strip[:, :-1]
        return result


def _shift(image: FloatImage, offset: float, out: FloatImage) -> None:
    """Fill ``out [3, h, w]`` with ``image`` from a fractional column on, interpolated linearly."""
    first, width = int(offset), out.shape[2]
    taps = image[:, :, first : first + width + 1]
    np.subtract(taps[..., 1:], taps[..., :-1], out=out)
    out *= np.float32(offset - first)
    out += taps[..., :-1]


def _shift_rows(image: FloatImage, offsets: Array, out: FloatImage) -> None:
    """Do the same as ``_shift`` with an offset of its own for every row; ``offsets [h]``."""
    first = offsets.astype(np.intp)  # [h]
    rows = np.arange(len(first))[:, None]
    columns = first[:, None] + np.arange(out.shape[2] + 1)  # [h, w + 1]
    fraction = (offsets - first).astype(np.float32)[:, None]  # [h, 1]
    for plane, target in zip(image, out, strict=True):  # one color at a time
        taps = plane[rows, columns]
        np.subtract(taps[:, 1:], taps[:, :-1], out=target)
        target *= fraction
        target += taps[:, :-1]


def paint_backdrop(
    location: Location,
    camera: Camera,
    *,
    width: int,
    height: int,
    wall_metres: float,
    path_metres: tuple[float, float],
    rng: np.random.Generator,
) -> Backdrop:
    """Paint the background of a shot.

    Args:
        location: What to paint.
        camera: Lens, horizon and height of the camera.
        width: Width of the frame in pixels.
        height: Height of the frame in pixels.
        wall_metres: Distance of the upright plane.
        path_metres: The two ends, along x, of the camera's path.
        rng: Source of random details.

    Returns:
        The backdrop, wide enough for the whole path.
    """
    margin = max(4, height // 40)
    start, travel = min(path_metres), abs(path_metres[1] - path_metres[0])
    # The foot of the wall: the row at which the ground reaches ``wall_metres``.
    wall_shift = camera.scale(wall_metres)  # pixels per metre at the wall
    foot = margin + camera.horizon_pixels + camera.height_metres * wall_shift
    wall_rows = int(np.clip(round(foot), 1, height + 2 * margin))
    # Rows of the ground in pixels of the frame, and their scale: inversely proportional to the distance.
    rows = np.arange(wall_rows, height + 2 * margin + 1) + 0.5 - margin  # [h2]
    ground_shift = np.maximum(rows - camera.horizon_pixels, 1.0) / camera.height_metres  # [h2], pixels per metre
    # Both images are as wide as the frame, its margins and the shift over the whole path.
    across = width + 2 * margin + 2
    wall = _wall(location, int(across + travel * wall_shift), wall_rows, wall_shift, foot, height, rng)
    columns = np.arange(int(across + travel * ground_shift.max())) - margin - camera.centre_pixels  # [w2]
    ground = _ground(location, columns[None, :] / ground_shift[:, None], camera.focal_pixels / ground_shift, rng)
    return Backdrop(_planes(wall), _planes(ground), wall_shift, ground_shift, width, height, margin, start)


def _planes(image: UInt8Image) -> FloatImage:
    """Convert uint8 ``[h, w, 3]`` to float32 ``[3, h, w]``."""
    return np.ascontiguousarray(np.moveaxis(image, 2, 0), dtype=np.float32)


def _wall(
    location: Location, width: int, rows: int, scale: float, foot: float, frame_height: int, rng: np.random.Generator
) -> UInt8Image:
    """Paint the upright plane ``[rows, width, 3]``: ``scale`` pixels per metre, the ground line at row ``foot``."""
    brush = Brush(width, rows, scale, foot)
    {Location.ROOM: _paint_room, Location.STREET: _paint_street, Location.PARK: _paint_park}[location](brush, rng)
    # Blur what is far away, then add uneven light and fine grain.
    softness = frame_height / 360 * (0.5 if location is Location.ROOM else 0.9)
    image = np.asarray(Image.fromarray(brush.image()).filter(ImageFilter.GaussianBlur(softness)))
    light = 1.0 + 0.05 * noise(rng, (rows, width), frame_height // 2) + 0.012 * noise(rng, (rows, width), 2)
    lit: UInt8Image = np.clip(image * light[..., None], 0, 255).astype(np.uint8)
    return lit


def _paint_room(brush: Brush, rng: np.random.Generator) -> None:
    """Paint a wall with optional stripes, panelling, furniture and skirting board."""
    color = rgb(*rng.choice([(206, 196, 176), (176, 190, 188), (190, 172, 160), (168, 178, 196), (200, 190, 150)]))
    brush.fade(0, 0, brush.width_metres, brush.top_metres, color * 0.92, color * 1.04)
    if rng.random() < 0.4:
        for x in np.arange(0, brush.width_metres, 0.32):
            brush.box(float(x), 0.9, float(x) + 0.14, brush.top_metres, color * 0.96)
    brush.box(0, 0.86, brush.width_metres, 0.92, color * 1.12)
    brush.box(0, 0.0, brush.width_metres, 0.86, color * rng.uniform(0.72, 0.9))
    _furnish(brush, ROOM_ITEMS, (0.15, 0.9), rng)
    brush.box(0, 0.0, brush.width_metres, 0.09, color * 1.1)


def _sky(brush: Brush, rng: np.random.Generator) -> None:
    brush.fade(
        0, 0, brush.width_metres, brush.top_metres, rgb(224, 228, 224), rgb(146, 182, 220) * rng.uniform(0.9, 1.08)
    )


def _paint_street(brush: Brush, rng: np.random.Generator) -> None:
    """Paint a row of houses, things in front of them, and a kerb."""
    _sky(brush, rng)
    x = -rng.uniform(0, 5)
    while x < brush.width_metres:
        HOUSE.paint(brush, x, rng)
        x += HOUSE.width_metres + (rng.uniform(1, 3) if rng.random() < 0.3 else 0.0)
    _furnish(brush, STREET_ITEMS, (0.5, 4.0), rng)
    brush.box(0, 0.0, brush.width_metres, 0.14, rgb(150, 148, 144))


def _paint_park(brush: Brush, rng: np.random.Generator) -> None:
    """Paint three ranges of hills, the farthest first, and things in front of them."""
    _sky(brush, rng)
    xs = np.linspace(0, brush.width_metres, 40)
    for level, color in ((3.4, rgb(150, 172, 178)), (2.4, rgb(122, 150, 120)), (1.3, rgb(98, 130, 84))):
        phase = rng.uniform(0, 6.28, 2)
        ridge = level + 0.5 * np.sin(xs * 0.35 + phase[0]) + 0.2 * np.sin(xs * 1.1 + phase[1])
        line = list(zip(xs.tolist(), ridge.tolist(), strict=True))
        brush.shape([(0.0, 0.0), *line, (brush.width_metres, 0.0)], color)
    _furnish(brush, PARK_ITEMS, (0.0, 2.0), rng)


def _furnish(brush: Brush, items: tuple[Item, ...], gaps: tuple[float, float], rng: np.random.Generator) -> None:
    """Paint random things in a row, with ``gaps`` (fewest, most) metres between them."""
    x = rng.uniform(-1.5, 0.3)
    while x < brush.width_metres:
        item = items[int(rng.integers(len(items)))]
        item.paint(brush, x, rng)
        x += item.width_metres + rng.uniform(*gaps)


def _ground(location: Location, x: Array, z: Array, rng: np.random.Generator) -> UInt8Image:
    """Paint the ground ``[h2, w2, 3]`` at points ``x [h2, w2]``, ``z [h2]`` in metres."""
    depth, size = z[:, None], (x.shape[0], x.shape[1])
    grain = noise(rng, size, 2)
    if location is Location.ROOM:
        color = rgb(*rng.choice([(150, 108, 72), (176, 146, 110), (120, 92, 74), (150, 148, 146)]))
        pattern = _planks(x, depth, rng)
    elif location is Location.STREET:
        color, pattern = rgb(146, 144, 142), _slabs(x, depth)
    else:
        color, pattern = rgb(104, 128, 74), 1.0 + 0.07 * noise(rng, size, 6).astype(np.float64)
    # Brightness: pattern, grain, and a fall-off with the distance.
    grain_strength = 0.09 if location is Location.PARK else 0.03
    light = pattern * (1.0 + grain_strength * grain) * (1.08 - 0.025 * depth)  # [h2, w2]
    image = np.empty((*size, 3), np.uint8)
    for channel in range(3):  # one at a time, to save memory: long camera paths make wide images
        image[..., channel] = np.clip(light * color[channel], 0, 255)
    return image


def _planks(x: Array, z: Array, rng: np.random.Generator) -> Array:
    """Return brightness factors of floorboards that run along x, each with its own tone."""
    board = np.floor(z / 0.16).astype(np.intp)  # boards are 0.16 m wide and 1.8 m long
    tones = rng.uniform(0.9, 1.06, (512, 64))
    piece = np.floor(x / 1.8 + (board * 0.37) % 1.0).astype(np.intp)  # each board is offset against the next
    pattern = tones[board % 512, piece % 64]
    joint = ((z / 0.16) % 1.0 < 0.07) | ((x / 1.8 + (board * 0.37) % 1.0) % 1.0 < 0.012)
    result: Array = np.where(joint, pattern * 0.82, pattern)
    return result


def _slabs(x: Array, z: Array) -> Array:
    """Return brightness factors of square slabs of 0.6 m with dark joints."""
    joint = ((z / 0.6) % 1.0 < 0.04) | ((x / 0.6) % 1.0 < 0.04)
    return np.where(joint, 0.84, 1.0)


def noise(rng: np.random.Generator, size: tuple[int, int], cell: int) -> npt.NDArray[np.float32]:
    """Draw smooth random values around 0, about normally distributed.

    Args:
        rng: Source of the random numbers.
        size: Height and width in pixels.
        cell: Pixels between independent values.

    Returns:
        float32 ``[height, width]``.
    """
    height, width = size
    small = rng.standard_normal((height // cell + 2, width // cell + 2)).astype(np.float32)
    smooth = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(smooth)
