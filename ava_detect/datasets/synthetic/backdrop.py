"""Rooms, streets and parks behind the figures, as wide pictures that a moving camera looks along.

A backdrop is two pictures: everything upright, on one plane at ``wall_metres``, and the ground, of which each row
has its own distance. When the camera moves sideways, the wall moves by one amount and every
row of the ground by its own.
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
Picture = npt.NDArray[np.uint8]
FloatImage = npt.NDArray[np.float32]


class Place(StrEnum):
    """Where a scene plays."""

    ROOM = "room"
    STREET = "street"
    PARK = "park"


@dataclass(frozen=True, eq=False)
class Backdrop:
    """``wall`` ``[3, h1, w1]`` above ``ground`` ``[3, h2, w2]``; the frame has ``width`` x ``height`` pixels.

    ``margin``: pixels around the frame that the unrest of the camera may show. ``wall_shift`` and ``ground_shift``
    ``[h2]``: pixels that a row moves for each metre that the camera goes sideways from ``start_metres``.
    """

    wall: FloatImage
    ground: FloatImage
    wall_shift: float
    ground_shift: Array
    width: int
    height: int
    margin: int
    start_metres: float

    def view(self, camera_metres: float, unrest: tuple[float, float]) -> FloatImage:
        """The background ``[3, H, W]`` 0..255 for a camera position, moved right and down by ``unrest`` pixels."""
        moved = camera_metres - self.start_metres
        left, top = self.margin - unrest[0], self.margin - unrest[1]
        first_row, wall_rows = int(top), self.wall.shape[1]
        strip = np.empty((3, self.height + 1, self.width), np.float32)
        split = min(max(wall_rows - first_row, 0), self.height + 1)
        _slide(self.wall[:, first_row : first_row + split], left + moved * self.wall_shift, strip[:, :split])
        below = slice(first_row + split - wall_rows, first_row + self.height + 1 - wall_rows)
        ground, offsets = self.ground[:, below], left + moved * self.ground_shift[below]
        if moved:
            _slide_rows(ground, offsets, strip[:, split:])
        else:
            _slide(ground, left, strip[:, split:])
        result = strip[:, 1:] - strip[:, :-1]
        result *= np.float32(top - first_row)
        result += strip[:, :-1]
        return result


def _slide(picture: FloatImage, offset: float, out: FloatImage) -> None:
    """Fill ``out [3, h, w]`` with ``picture`` from column ``offset`` on."""
    first, width = int(offset), out.shape[2]
    taps = picture[:, :, first : first + width + 1]
    np.subtract(taps[..., 1:], taps[..., :-1], out=out)
    out *= np.float32(offset - first)
    out += taps[..., :-1]


def _slide_rows(picture: FloatImage, offsets: Array, out: FloatImage) -> None:
    """The same with an offset ``[h]`` of its own for every row."""
    first = offsets.astype(np.intp)
    rows = np.arange(len(first))[:, None]
    columns = first[:, None] + np.arange(out.shape[2] + 1)
    share = (offsets - first).astype(np.float32)[:, None]
    for plane, target in zip(picture, out, strict=True):
        taps = plane[rows, columns]
        np.subtract(taps[:, 1:], taps[:, :-1], out=target)
        target *= share
        target += taps[:, :-1]


def paint_backdrop(
    place: Place,
    camera: Camera,
    *,
    width: int,
    height: int,
    wall_metres: float,
    path_metres: tuple[float, float],
    rng: np.random.Generator,
) -> Backdrop:
    """Paint a place for a camera that moves along x between the two ends of ``path_metres``.

    ``wall_metres``: distance of the upright plane. ``camera`` gives the lens and the horizon.
    """
    margin = max(4, height // 40)
    start, travel = min(path_metres), abs(path_metres[1] - path_metres[0])
    wall_shift = camera.scale(wall_metres)
    foot = margin + camera.horizon_pixels + camera.height_metres * wall_shift
    wall_rows = int(np.clip(round(foot), 1, height + 2 * margin))
    rows = np.arange(wall_rows, height + 2 * margin + 1) + 0.5 - margin
    ground_shift = np.maximum(rows - camera.horizon_pixels, 1.0) / camera.height_metres
    across = width + 2 * margin + 2
    wall = _wall(place, int(across + travel * wall_shift), wall_rows, wall_shift, foot, height, rng)
    columns = np.arange(int(across + travel * ground_shift.max())) - margin - camera.centre_pixels
    ground = _ground(place, columns[None, :] / ground_shift[:, None], camera.focal_pixels / ground_shift, rng)
    return Backdrop(_planes(wall), _planes(ground), wall_shift, ground_shift, width, height, margin, start)


def _planes(picture: Picture) -> FloatImage:
    """``[h, w, 3]`` as float32 ``[3, h, w]``."""
    return np.ascontiguousarray(np.moveaxis(picture, 2, 0), dtype=np.float32)


def _wall(
    place: Place, width: int, rows: int, scale: float, foot: float, frame_height: int, rng: np.random.Generator
) -> Picture:
    brush = Brush(width, rows, scale, foot)
    {Place.ROOM: _paint_room, Place.STREET: _paint_street, Place.PARK: _paint_park}[place](brush, rng)
    softness = frame_height / 360 * (0.5 if place is Place.ROOM else 0.9)
    picture = np.asarray(Image.fromarray(brush.picture()).filter(ImageFilter.GaussianBlur(softness)))
    light = 1.0 + 0.05 * noise(rng, (rows, width), frame_height // 2) + 0.012 * noise(rng, (rows, width), 2)
    lit: Picture = np.clip(picture * light[..., None], 0, 255).astype(np.uint8)
    return lit


def _paint_room(brush: Brush, rng: np.random.Generator) -> None:
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
    _sky(brush, rng)
    x = -rng.uniform(0, 5)
    while x < brush.width_metres:
        HOUSE.paint(brush, x, rng)
        x += HOUSE.width_metres + (rng.uniform(1, 3) if rng.random() < 0.3 else 0.0)
    _furnish(brush, STREET_ITEMS, (0.5, 4.0), rng)
    brush.box(0, 0.0, brush.width_metres, 0.14, rgb(150, 148, 144))


def _paint_park(brush: Brush, rng: np.random.Generator) -> None:
    _sky(brush, rng)
    xs = np.linspace(0, brush.width_metres, 40)
    for level, color in ((3.4, rgb(150, 172, 178)), (2.4, rgb(122, 150, 120)), (1.3, rgb(98, 130, 84))):
        phase = rng.uniform(0, 6.28, 2)
        ridge = level + 0.5 * np.sin(xs * 0.35 + phase[0]) + 0.2 * np.sin(xs * 1.1 + phase[1])
        line = list(zip(xs.tolist(), ridge.tolist(), strict=True))
        brush.shape([(0.0, 0.0), *line, (brush.width_metres, 0.0)], color)
    _furnish(brush, PARK_ITEMS, (0.0, 2.0), rng)


def _furnish(brush: Brush, items: tuple[Item, ...], gaps: tuple[float, float], rng: np.random.Generator) -> None:
    """Things side by side, with ``gaps`` metres between them."""
    x = rng.uniform(-1.5, 0.3)
    while x < brush.width_metres:
        item = items[int(rng.integers(len(items)))]
        item.paint(brush, x, rng)
        x += item.width_metres + rng.uniform(*gaps)


def _ground(place: Place, x: Array, z: Array, rng: np.random.Generator) -> Picture:
    """Colors ``[h, w, 3]`` of ground points at ``x [h, w]``, ``z [h]`` metres."""
    depth, size = z[:, None], (x.shape[0], x.shape[1])
    grain = noise(rng, size, 2)
    if place is Place.ROOM:
        color = rgb(*rng.choice([(150, 108, 72), (176, 146, 110), (120, 92, 74), (150, 148, 146)]))
        pattern = _planks(x, depth, rng)
    elif place is Place.STREET:
        color, pattern = rgb(146, 144, 142), _slabs(x, depth)
    else:
        color, pattern = rgb(104, 128, 74), 1.0 + 0.07 * noise(rng, size, 6).astype(np.float64)
    grain_strength = 0.09 if place is Place.PARK else 0.03
    light = pattern * (1.0 + grain_strength * grain) * (1.08 - 0.025 * depth)
    picture = np.empty((*size, 3), np.uint8)
    for channel in range(3):  # one at a time: long paths make wide pictures
        picture[..., channel] = np.clip(light * color[channel], 0, 255)
    return picture


def _planks(x: Array, z: Array, rng: np.random.Generator) -> Array:
    """Boards that run sideways, each with its own tone."""
    board = np.floor(z / 0.16).astype(np.intp)
    tones = rng.uniform(0.9, 1.06, (512, 64))
    piece = np.floor(x / 1.8 + (board * 0.37) % 1.0).astype(np.intp)
    pattern = tones[board % 512, piece % 64]
    joint = ((z / 0.16) % 1.0 < 0.07) | ((x / 1.8 + (board * 0.37) % 1.0) % 1.0 < 0.012)
    result: Array = np.where(joint, pattern * 0.82, pattern)
    return result


def _slabs(x: Array, z: Array) -> Array:
    joint = ((z / 0.6) % 1.0 < 0.04) | ((x / 0.6) % 1.0 < 0.04)
    return np.where(joint, 0.84, 1.0)


def noise(rng: np.random.Generator, size: tuple[int, int], cell: int) -> npt.NDArray[np.float32]:
    """Smooth random values around 0 of ``size`` (height, width), about ``cell`` pixels from bump to bump."""
    height, width = size
    small = rng.standard_normal((height // cell + 2, width // cell + 2)).astype(np.float32)
    smooth = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(smooth)
