"""From a seed to the shots of a movie: who appears, where, doing what, in front of which camera.

Cuts and changes of activity fall on half seconds, so what people do on a whole second is never in doubt. People get
stretches of the picture of their own, so that each is seen whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ava_detect.synthetic.actions import (
    BEND,
    MOVING_ACTIVITIES,
    RUN,
    SEATED_ACTIVITIES,
    SIT,
    STAND,
    STANDING_ACTIVITIES,
    WALK,
    Activity,
    Style,
)
from ava_detect.synthetic.appearance import Look
from ava_detect.synthetic.backdrop import Place
from ava_detect.synthetic.camera import Camera
from ava_detect.synthetic.scene import Actor, Cue, Shot, ShotKind

Array = npt.NDArray[np.float64]

ROOM_PER_PERSON_METRES = 1.25  # what a waving or bending person takes up sideways
MAX_PEOPLE = 3
SHORTEST_SHOT_SECONDS = 3.0
EDGE_METRES = 0.3  # how far inside the edge a crossing person begins and ends


def plan_movie(seed: int, seconds: float, width: int, height: int, num_people: int | None) -> Iterator[Shot]:
    """The shots of a movie ``seconds`` long; ``num_people`` in each, or 1 to 3 by chance where it is None."""
    rng = np.random.default_rng([seed, 1])
    start, next_person = 0.0, 0
    while start < seconds:
        length = float(rng.integers(4, 7)) + (0.5 if start == 0 else 0.0)
        end = seconds if seconds - (start + length) < SHORTEST_SHOT_SECONDS else start + length
        count = num_people or int(rng.integers(1, MAX_PEOPLE + 1))
        yield _plan_shot(rng, start, end, (width, height), count, next_person)
        next_person += count
        start = end


@dataclass(frozen=True, eq=False)
class _Setting:
    """What is settled about a shot before it has people: ``depths``, their distances in metres, says how many."""

    start: float
    end: float
    camera: Camera
    width: int
    depths: Array
    first_person: int

    @property
    def half_width_metres(self) -> float:
        """From the middle of the picture to its edge, at the distance of the first person."""
        return self.width / 2 / self.camera.scale(float(self.depths[0]))

    def places(self, rng: np.random.Generator) -> Array:
        """Ground points ``[n, 2]``, one a person, in stretches of the picture of equal width."""
        count = len(self.depths)
        columns = self.width * (np.arange(count) + 0.5 + rng.uniform(-0.08, 0.08, count)) / count
        x = (columns - self.camera.centre_pixels) * self.depths / self.camera.focal_pixels
        return np.stack([x, self.depths], axis=1)


def _plan_shot(
    rng: np.random.Generator, start: float, end: float, size: tuple[int, int], count: int, first_person: int
) -> Shot:
    width, height = size
    kinds = [ShotKind.STILL, ShotKind.TRACKING, *([ShotKind.CROSSING] if count == 1 else [])]
    kind = kinds[int(rng.choice(len(kinds), p=[0.6, 0.4] if count > 1 else [0.55, 0.25, 0.2]))]
    place = list(Place)[int(rng.choice(3, p=[0.5, 0.3, 0.2]))]
    if kind is ShotKind.TRACKING and place is Place.ROOM:
        place = Place.STREET
    camera = Camera(
        focal_pixels=1.25 * height,
        horizon_pixels=height * float(rng.uniform(0.34, 0.42)),
        centre_pixels=width / 2,
        height_metres=float(rng.uniform(1.35, 1.55)),
    )
    nearest = {1: 0.50, 2: 0.42, 3: 0.36}[count] * height
    largest = min(nearest, width / (count * ROOM_PER_PERSON_METRES))
    scales = rng.uniform(0.8 * largest, largest, count)
    depths = camera.focal_pixels / scales
    setting = _Setting(start, end, camera, width, depths, first_person)
    actors = {ShotKind.STILL: _still, ShotKind.TRACKING: _tracking, ShotKind.CROSSING: _crossing}[kind](rng, setting)
    camera_speed = 0.0 if kind is ShotKind.STILL else actors[0].speed
    if kind is ShotKind.CROSSING:
        camera_speed -= _crossing_speed(actors[0], setting)
    behind = rng.uniform(0.8, 1.6) if place is Place.ROOM else rng.uniform(5, 8)
    light = np.array([rng.choice([-1, 1]) * rng.uniform(0.3, 0.7), -rng.uniform(0.4, 0.7), 0.65])
    warmth = rng.uniform(-0.05, 0.06)
    return Shot(
        kind=kind,
        start_seconds=start,
        end_seconds=end,
        place=place,
        camera=camera,
        camera_speed=camera_speed,
        wall_metres=float(depths.max() + behind),
        actors=tuple(actors),
        light=light / np.linalg.norm(light),
        tint=np.array([1 + warmth, 1.0, 1 - warmth]) * rng.uniform(0.92, 1.06),
        seed=int(rng.integers(2**31)),
    )


def _style(rng: np.random.Generator) -> Style:
    return Style(
        tempo=float(rng.uniform(0.88, 1.15)),
        vigour=float(rng.uniform(0.8, 1.2)),
        phase=float(rng.random()),
        left_handed=bool(rng.random() < 0.4),
        slouch_degrees=float(rng.uniform(-2, 6)),
    )


def _prop_color(rng: np.random.Generator) -> Array:
    palette = np.array([(176, 132, 84), (96, 60, 40), (70, 82, 96), (180, 50, 46), (208, 196, 176), (60, 104, 96)])
    color: Array = palette[int(rng.integers(len(palette)))].astype(np.float64)
    return color


def _still(rng: np.random.Generator, setting: _Setting) -> list[Actor]:
    actors = []
    for index, ground in enumerate(setting.places(rng)):
        choice = SEATED_ACTIVITIES if rng.random() < 0.3 else STANDING_ACTIVITIES
        order = rng.permutation(len(choice))
        activities = [choice[int(position)] for position in order[: 2 if setting.end - setting.start >= 4 else 1]]
        cues = [Cue(setting.start, activities[0], _yaw(rng, activities[0], ground))]
        for activity in activities[1:]:
            middle = np.floor((setting.start + setting.end) / 2) + 0.5
            yaw = cues[0].yaw_degrees if activity.needs_seat else _yaw(rng, activity, ground)
            cues.append(Cue(float(middle), activity, yaw))
        actors.append(
            Actor(
                setting.first_person + index, Look.random(rng), _style(rng), tuple(cues), ground, 0.0, _prop_color(rng)
            )
        )
    return actors


def _yaw(rng: np.random.Generator, activity: Activity, ground: Array) -> float:
    """A direction from which the action can be seen; who bends does so towards the middle of the picture."""
    low, high = {BEND: (50, 80), SIT: (5, 60), STAND: (0, 40)}.get(activity.pose, (0, 50))
    side = -np.sign(ground[0]) if activity.pose == BEND else rng.choice([-1, 1])
    return float(side * rng.uniform(low, high))


def _tracking(rng: np.random.Generator, setting: _Setting) -> list[Actor]:
    direction = int(rng.choice([-1, 1]))
    pose = RUN if rng.random() < 0.45 else WALK
    speed = direction * float(rng.uniform(3.2, 3.9) if pose == RUN else rng.uniform(1.15, 1.4))
    choice = [activity for activity in MOVING_ACTIVITIES if activity.pose == pose]
    actors = []
    for index, ground in enumerate(setting.places(rng)):
        look = Look.random(rng)
        activity = choice[int(rng.integers(len(choice)))]
        style = replace(_style(rng), tempo=abs(speed) / activity.speed(look.height_metres, Style()))
        cue = Cue(setting.start, activity, direction * float(rng.uniform(72, 90)))
        actors.append(Actor(setting.first_person + index, look, style, (cue,), ground, speed, _prop_color(rng)))
    return actors


def _crossing(rng: np.random.Generator, setting: _Setting) -> list[Actor]:
    """Somebody who starts just inside the edge that they come from."""
    actor = _tracking(rng, setting)[0]
    x = -np.sign(actor.speed) * (setting.half_width_metres - EDGE_METRES)
    return [replace(actor, ground=np.array([x, setting.depths[0]]))]


def _crossing_speed(actor: Actor, setting: _Setting) -> float:
    """Metres/s relative to the picture at which the actor reaches the far edge when the shot ends."""
    needed = 2 * (setting.half_width_metres - EDGE_METRES) / (setting.end - setting.start)
    return float(np.sign(actor.speed) * min(abs(actor.speed), needed))
