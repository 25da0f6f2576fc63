"""Things between and in front of people: benches, plants and posts that stand; balls, birds and cars that move.

Things of a fixed shape are painted once per shot; the others are drawn anew for every frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ava_detect.datasets.synthetic.actions import BEND, CROUCH, FALL, LIE, SIT
from ava_detect.datasets.synthetic.backdrop import Location
from ava_detect.datasets.synthetic.camera import Camera
from ava_detect.datasets.synthetic.casting import Framing
from ava_detect.datasets.synthetic.drawing import Layer, Shape, Stroke
from ava_detect.datasets.synthetic.scene import Actor, Clutter, ClutterKind, ShotKind
from ava_detect.datasets.synthetic.scenery import BENCH, CAR, LAMP_POST, PLANTER, Brush, Item

Array = npt.NDArray[np.float64]

LOW_POSES = frozenset({BEND, CROUCH, FALL, LIE, SIT})  # nothing may stand in front of these
FOREGROUND_SHARE, MOVING_SHARE = 0.4, 0.5  # probabilities that a shot has such a thing
FOREGROUND = {
    Location.ROOM: (ClutterKind.PLANT,),
    Location.STREET: (ClutterKind.BENCH, ClutterKind.POST, ClutterKind.PLANT),
    Location.PARK: (ClutterKind.BENCH, ClutterKind.POST),
}
MOVING = {
    Location.ROOM: (ClutterKind.BALL,),
    Location.STREET: (ClutterKind.CAR, ClutterKind.BALL, ClutterKind.BIRD),
    Location.PARK: (ClutterKind.BALL, ClutterKind.BIRD),
}
BALL_RADIUS_METRES = 0.13


def plan_clutter(
    rng: np.random.Generator,
    kind: ShotKind,
    location: Location,
    actors: tuple[Actor, ...],
    framing: Framing,
    wall_metres: float,
) -> tuple[Clutter, ...]:
    """Draw the things of a shot: at most one in front of the people, and at most one that moves.

    Args:
        rng: Source of the random numbers.
        kind: The kind of shot.
        location: The location of the shot.
        actors: The people, at least one.
        framing: Camera and distances of the shot.
        wall_metres: Distance of the backdrop's upright plane.

    Returns:
        The things.
    """
    clutter = []
    nearest, farthest = float(framing.depths.min()), float(framing.depths.max())
    # A thing in front of the people, unless a low pose would vanish behind it.
    all_upright = not any(cue.activity.pose in LOW_POSES for actor in actors for cue in actor.cues)
    if kind in (ShotKind.STILL, ShotKind.TOGETHER) and all_upright and rng.random() < FOREGROUND_SHARE:
        z = nearest - float(rng.uniform(0.6, 0.8))
        x = float(rng.uniform(-0.8, 0.8)) * framing.width / 2 / framing.camera.scale(z)
        clutter.append(Clutter(_any(rng, FOREGROUND[location]), x, z, 0.0, int(rng.integers(2**31))))
    # A thing that moves: its distance in metres, and its speed in metres/s relative to the frame.
    if rng.random() < MOVING_SHARE:
        moving = _any(rng, MOVING[location])
        z = {
            ClutterKind.BALL: nearest - 0.55 if rng.random() < 0.3 else farthest + float(rng.uniform(0.3, 0.6)),
            ClutterKind.BIRD: farthest + 1.5,
            ClutterKind.CAR: wall_metres - 1.2,
        }[moving]
        speeds = {ClutterKind.BALL: (0.7, 1.6), ClutterKind.BIRD: (1.5, 3.0), ClutterKind.CAR: (2.5, 4.5)}[moving]
        edge = framing.width / 2 / framing.camera.scale(z)
        direction = int(rng.choice([-1, 1]))
        speed = direction * float(rng.uniform(*speeds))
        # It starts on the side that it comes from, inside the frame or just outside.
        start = -direction * edge * float(rng.uniform(0.2, 1.1))
        clutter.append(Clutter(moving, start, z, speed + actors[0].speed, int(rng.integers(2**31))))
    return tuple(clutter)


def _any(rng: np.random.Generator, kinds: tuple[ClutterKind, ...]) -> ClutterKind:
    return kinds[int(rng.integers(len(kinds)))]


@dataclass(frozen=True, eq=False)
class Sprite:
    """A thing of a fixed shape.

    Attributes:
        clutter: Its position and motion.
        width_metres: Its width.
        image: The layer that it was painted on, with its foot at the left end of the last row.
    """

    clutter: Clutter
    width_metres: float
    image: Layer

    def layer(self, camera: Camera, since_seconds: float) -> Layer:
        """Return the layer at a time, moved by whole pixels.

        Args:
            camera: The camera at that time.
            since_seconds: Seconds since the start of the shot.

        Returns:
            The layer at its position in the frame.
        """
        x = self.clutter.x_metres + self.clutter.speed * since_seconds - self.width_metres / 2
        column, row = camera.project(np.array([x, 0.0, self.clutter.z_metres])).round().astype(int).tolist()
        return self.image.moved_to(column, row - self.image.alpha.shape[0])


@dataclass(frozen=True, eq=False)
class Moving:
    """A ball that rolls or a bird that flies.

    Attributes:
        clutter: Its kind, position and motion.
        color: RGB 0..255 ``[3]``.
        light: Unit vector towards the light ``[3]``: right, down, towards the camera.
    """

    clutter: Clutter
    color: Array
    light: Array

    def layer(self, camera: Camera, since_seconds: float) -> Layer:
        """Draw the thing at a time.

        Args:
            camera: The camera at that time.
            since_seconds: Seconds since the start of the shot.

        Returns:
            The layer at its position in the frame.
        """
        x = self.clutter.x_metres + self.clutter.speed * since_seconds
        shapes = (
            self._ball(camera, x) if self.clutter.kind is ClutterKind.BALL else self._bird(camera, x, since_seconds)
        )
        return Layer.of_shapes(shapes, self.light)

    def _ball(self, camera: Camera, x: float) -> list[Shape]:
        """Draw a ball as a stroke of almost no length, with a seam that turns as it rolls."""
        z = self.clutter.z_metres
        centre = camera.project(np.array([x, BALL_RADIUS_METRES, z]))
        turned = x / BALL_RADIUS_METRES  # radians: it rolls without sliding
        seam = 0.5 * np.array([np.sin(turned), -np.cos(turned)]) * BALL_RADIUS_METRES * camera.scale(z)  # pixels
        radius = BALL_RADIUS_METRES * camera.scale(z)
        return [
            Stroke(
                centre, centre + np.array([0.01, 0.0]), np.full(2, radius), self.color, z, gloss=0.2, is_person=False
            ),
            Stroke(centre - seam, centre + seam, np.full(2, 0.22 * radius), PALE, z - 0.01, is_person=False),
        ]

    def _bird(self, camera: Camera, x: float, seconds: float) -> list[Shape]:
        """Draw a bird as three strokes from its body: two wings that flap, and a tail."""
        z = self.clutter.z_metres
        flap = float(np.sin(2 * np.pi * 3.1 * seconds))
        height = 2.25 + 0.15 * float(np.sin(1.3 * seconds))
        wings = height + 0.15 * flap
        points = [(x, height, z), (x - 0.2, wings, z), (x + 0.2, wings, z), (x, height - 0.04, z)]
        body, left, right, tail = camera.project(np.array(points))
        half_widths = np.array([0.045, 0.015]) * camera.scale(z)
        return [Stroke(body, end, half_widths, self.color, z, is_person=False) for end in (left, right, tail)]


PALE = np.array([238.0, 236, 228])
_SPRITES: dict[ClutterKind, Item] = {
    ClutterKind.BENCH: BENCH,
    ClutterKind.PLANT: PLANTER,
    ClutterKind.POST: LAMP_POST,
    ClutterKind.CAR: CAR,
}


def build_clutter(clutter: Clutter, camera: Camera, light: Array) -> Sprite | Moving:
    """Prepare a thing for drawing; one of a fixed shape is painted here.

    Args:
        clutter: The thing.
        camera: The camera of the shot; its lens must not change.
        light: Unit vector towards the light ``[3]``: right, down, towards the camera.

    Returns:
        A value whose ``layer`` method draws the thing at a time.
    """
    rng = np.random.default_rng([clutter.seed, 4])
    if clutter.kind not in _SPRITES:
        color = np.array([46.0, 44, 48]) if clutter.kind is ClutterKind.BIRD else rng.uniform(60, 240, 3)
        return Moving(clutter, color, light)
    item, scale = _SPRITES[clutter.kind], camera.scale(clutter.z_metres)
    rows = int(np.ceil(item.height_metres * scale))
    brush = Brush(int(np.ceil(item.width_metres * scale)), rows, scale, rows, is_transparent=True)
    item.paint(brush, 0.0, rng)
    return Sprite(clutter, item.width_metres, Layer.of_image(brush.image()))
