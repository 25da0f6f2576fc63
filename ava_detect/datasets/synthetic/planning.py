"""From a seed to the shots of a movie: where it plays, the camera, the people (``casting``) and the clutter.

Cuts and changes of activity fall on half seconds, so what people do on a whole second is never in doubt.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ava_detect.datasets.synthetic.actions import ACTION_IDS as EVERYDAY_IDS
from ava_detect.datasets.synthetic.actions import CLAP, RUN, WALK, WAVE
from ava_detect.datasets.synthetic.backdrop import Place
from ava_detect.datasets.synthetic.camera import Camera
from ava_detect.datasets.synthetic.casting import CASTS, EDGE_METRES, Setting
from ava_detect.datasets.synthetic.clutter import plan_clutter
from ava_detect.datasets.synthetic.scene import Actor, Repertoire, Shot, ShotKind

SHORTEST_SHOT_SECONDS = 3.0
NEAREST_SCALE = {1: 0.50, 2: 0.42, 3: 0.36, 4: 0.32}  # frame heights per metre, by the number of people


@dataclass(frozen=True)
class _Kind:
    """``weight``: how often a kind of shot occurs. ``people``: how many it may have, fewest and most.

    ``room_metres``: what a person takes up sideways. ``eye_metres``: the camera's height, lowest and highest.
    """

    weight: float
    people: tuple[int, int]
    room_metres: float = 1.25
    eye_metres: tuple[float, float] = (1.35, 1.55)


KINDS: dict[Repertoire, dict[ShotKind, _Kind]] = {
    Repertoire.EVERYDAY: {
        ShotKind.STILL: _Kind(0.50, (1, 4)),
        ShotKind.TRACKING: _Kind(0.15, (1, 3)),
        ShotKind.CROSSING: _Kind(0.04, (1, 1)),
        ShotKind.TOGETHER: _Kind(0.16, (2, 4), room_metres=1.1),
        ShotKind.LYING: _Kind(0.08, (1, 2), room_metres=2.0, eye_metres=(0.9, 1.15)),
        ShotKind.FALLING: _Kind(0.07, (1, 2), room_metres=1.7, eye_metres=(1.0, 1.25)),
    },
    Repertoire.MOTION_PAIRS: {
        ShotKind.PAIRED_STEPS: _Kind(0.5, (1, 3)),
        ShotKind.PAIRED_HANDS: _Kind(0.5, (1, 3)),
    },
}
ACTION_IDS = {Repertoire.EVERYDAY: EVERYDAY_IDS, Repertoire.MOTION_PAIRS: (RUN, WALK, CLAP, WAVE)}
MAX_PEOPLE = {repertoire: max(settings.people[1] for settings in kinds.values()) for repertoire, kinds in KINDS.items()}
_OUTDOORS = {ShotKind.TRACKING, ShotKind.PAIRED_STEPS}


def plan_movie(
    seed: int,
    seconds: float,
    width: int,
    height: int,
    num_people: int | None,
    repertoire: Repertoire = Repertoire.EVERYDAY,
) -> Iterator[Shot]:
    """The shots of a movie ``seconds`` long; ``num_people`` in each, or 1 to 4 by chance where it is None."""
    rng = np.random.default_rng([seed, 1])
    start, next_person = 0.0, 0
    while start < seconds:
        length = float(rng.integers(4, 8)) - (0.5 if start == 0 else 0.0)
        end = seconds if seconds - (start + length) < SHORTEST_SHOT_SECONDS else start + length
        kind, count = _kind_and_count(rng, repertoire, num_people)
        shot = _plan_shot(rng, KINDS[repertoire][kind], kind, (start, end), (width, height), count, next_person)
        yield shot
        next_person += count
        start = end


def _kind_and_count(rng: np.random.Generator, repertoire: Repertoire, num_people: int | None) -> tuple[ShotKind, int]:
    kinds = {
        kind: settings
        for kind, settings in KINDS[repertoire].items()
        if num_people is None or settings.people[0] <= num_people <= settings.people[1]
    }
    weights = np.array([settings.weight for settings in kinds.values()])
    kind = list(kinds)[int(rng.choice(len(kinds), p=weights / weights.sum()))]
    fewest, most = kinds[kind].people
    return kind, num_people or int(rng.integers(fewest, most + 1))


def _plan_shot(
    rng: np.random.Generator,
    settings: _Kind,
    kind: ShotKind,
    span: tuple[float, float],
    size: tuple[int, int],
    count: int,
    first_person: int,
) -> Shot:
    width, height = size
    place = list(Place)[int(rng.choice(3, p=[0.5, 0.3, 0.2]))]
    if kind in _OUTDOORS and place is Place.ROOM:
        place = Place.STREET
    camera = Camera(
        focal_pixels=1.25 * height,
        horizon_pixels=height * float(rng.uniform(0.34, 0.42)),
        centre_pixels=width / 2,
        height_metres=float(rng.uniform(*settings.eye_metres)),
    )
    largest = min(NEAREST_SCALE[count] * height, width / (count * settings.room_metres))
    depths = camera.focal_pixels / rng.uniform(0.8 * largest, largest, count)
    setting = Setting(span[0], span[1], camera, width, depths, first_person)
    actors = tuple(CASTS[kind](rng, setting))
    camera_speed = actors[0].speed
    if kind is ShotKind.CROSSING:
        camera_speed -= _crossing_speed(actors[0], setting)
    wall_metres = float(depths.max() + (rng.uniform(0.8, 1.6) if place is Place.ROOM else rng.uniform(5, 8)))
    light = np.array([rng.choice([-1, 1]) * rng.uniform(0.3, 0.7), -rng.uniform(0.4, 0.7), 0.65])
    warmth = rng.uniform(-0.05, 0.06)
    return Shot(
        kind=kind,
        start_seconds=span[0],
        end_seconds=span[1],
        place=place,
        camera=camera,
        camera_speed=camera_speed,
        wall_metres=wall_metres,
        actors=actors,
        clutter=plan_clutter(rng, kind, place, actors, setting, wall_metres),
        light=light / np.linalg.norm(light),
        tint=np.array([1 + warmth, 1.0, 1 - warmth]) * rng.uniform(0.92, 1.06),
        seed=int(rng.integers(2**31)),
    )


def _crossing_speed(actor: Actor, setting: Setting) -> float:
    """Metres/s relative to the picture at which the actor reaches the far edge when the shot ends."""
    needed = 2 * (setting.half_width_metres - EDGE_METRES) / (setting.end_seconds - setting.start_seconds)
    return float(np.sign(actor.speed) * min(abs(actor.speed), needed))
