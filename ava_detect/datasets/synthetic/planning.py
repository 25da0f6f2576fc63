"""Plan the shots of a movie from a seed: location, camera, people (``casting``) and things (``clutter``).

Cuts and changes of activity fall on half seconds, so that the actions at a whole second, where the ground truth is,
are unambiguous.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ava_detect.datasets.synthetic.actions import ACTION_IDS as EVERYDAY_IDS
from ava_detect.datasets.synthetic.actions import CLAP, RUN, WALK, WAVE
from ava_detect.datasets.synthetic.backdrop import Location
from ava_detect.datasets.synthetic.camera import Camera
from ava_detect.datasets.synthetic.casting import CASTS, EDGE_METRES, Framing
from ava_detect.datasets.synthetic.clutter import plan_clutter
from ava_detect.datasets.synthetic.scene import Actor, Repertoire, Shot, ShotKind

SHORTEST_SHOT_SECONDS = 3.0
NEAREST_SCALE = {
    1: 0.50,
    2: 0.42,
    3: 0.36,
    4: 0.32,
}  # largest frame heights per metre, by number of people


@dataclass(frozen=True)
class _ShotRules:
    """Rules for one kind of shot.

    Attributes:
        weight: Relative frequency.
        people: Fewest and most people.
        width_metres: Width that each person needs.
        eye_metres: Lowest and highest camera.
    """

    weight: float
    people: tuple[int, int]
    width_metres: float = 1.25
    eye_metres: tuple[float, float] = (1.35, 1.55)


KINDS: dict[Repertoire, dict[ShotKind, _ShotRules]] = {
    Repertoire.EVERYDAY: {
        ShotKind.STILL: _ShotRules(0.50, (1, 4)),
        ShotKind.TRACKING: _ShotRules(0.15, (1, 3)),
        ShotKind.CROSSING: _ShotRules(0.04, (1, 1)),
        ShotKind.TOGETHER: _ShotRules(0.16, (2, 4), width_metres=1.1),
        ShotKind.LYING: _ShotRules(0.08, (1, 2), width_metres=2.0, eye_metres=(0.9, 1.15)),
        ShotKind.FALLING: _ShotRules(0.07, (1, 2), width_metres=1.7, eye_metres=(1.0, 1.25)),
    },
    Repertoire.MOTION_PAIRS: {
        ShotKind.PAIRED_STEPS: _ShotRules(0.5, (1, 3)),
        ShotKind.PAIRED_HANDS: _ShotRules(0.5, (1, 3)),
    },
}
ACTION_IDS = {Repertoire.EVERYDAY: EVERYDAY_IDS, Repertoire.MOTION_PAIRS: (RUN, WALK, CLAP, WAVE)}
MAX_PEOPLE = {repertoire: max(rules.people[1] for rules in kinds.values()) for repertoire, kinds in KINDS.items()}
_OUTDOORS = {ShotKind.TRACKING, ShotKind.PAIRED_STEPS}


def plan_movie(
    seed: int,
    seconds: float,
    width: int,
    height: int,
    num_people: int | None,
    repertoire: Repertoire = Repertoire.EVERYDAY,
) -> Iterator[Shot]:
    """Plan a movie, one shot at a time.

    Args:
        seed: Seed of the movie, from 0.
        seconds: Length of the movie.
        width: Width of the frames in pixels.
        height: Height of the frames in pixels.
        num_people: Number of people in every shot; None draws it for each shot.
        repertoire: The actions of the movie.

    Yields:
        The shots, in order of time and without gaps.
    """
    rng = np.random.default_rng([seed, 1])
    start, next_person = 0.0, 0
    while start < seconds:
        # A whole number of seconds, less half a second for the first shot, so that all cuts fall on half seconds.
        length = float(rng.integers(4, 8)) - (0.5 if start == 0 else 0.0)
        # The last shot takes what would be too short for a shot of its own.
        end = seconds if seconds - (start + length) < SHORTEST_SHOT_SECONDS else start + length
        kind, count = _kind_and_count(rng, repertoire, num_people)
        shot = _plan_shot(rng, KINDS[repertoire][kind], kind, (start, end), (width, height), count, next_person)
        yield shot
        next_person += count
        start = end


def _kind_and_count(rng: np.random.Generator, repertoire: Repertoire, num_people: int | None) -> tuple[ShotKind, int]:
    """Draw a kind of shot that allows the number of people, and that number where it is None."""
    kinds = {
        kind: rules
        for kind, rules in KINDS[repertoire].items()
        if num_people is None or rules.people[0] <= num_people <= rules.people[1]
    }
    weights = np.array([rules.weight for rules in kinds.values()])
    kind = list(kinds)[int(rng.choice(len(kinds), p=weights / weights.sum()))]
    fewest, most = kinds[kind].people
    return kind, num_people or int(rng.integers(fewest, most + 1))


def _plan_shot(
    rng: np.random.Generator,
    rules: _ShotRules,
    kind: ShotKind,
    span: tuple[float, float],
    size: tuple[int, int],
    count: int,
    first_person: int,
) -> Shot:
    """Draw one shot; ``span``: start and end in seconds; ``size``: width and height of the frames in pixels."""
    width, height = size
    location = list(Location)[int(rng.choice(3, p=[0.5, 0.3, 0.2]))]
    if kind in _OUTDOORS and location is Location.ROOM:
        location = Location.STREET
    camera = Camera(
        focal_pixels=1.25 * height,
        horizon_pixels=height * float(rng.uniform(0.34, 0.42)),
        centre_pixels=width / 2,
        height_metres=float(rng.uniform(*rules.eye_metres)),
    )
    # Distances of the people: near enough to fill the frame, far enough for all to fit into its height and width.
    largest = min(NEAREST_SCALE[count] * height, width / (count * rules.width_metres))
    depths = camera.focal_pixels / rng.uniform(0.8 * largest, largest, count)  # [count], metres
    framing = Framing(span[0], span[1], camera, width, depths, first_person)
    actors = tuple(CASTS[kind](rng, framing))
    # The camera moves along with the people; where a person crosses the frame, a little slower.
    camera_speed = actors[0].speed
    if kind is ShotKind.CROSSING:
        camera_speed -= _crossing_speed(actors[0], framing)
    wall_metres = float(depths.max() + (rng.uniform(0.8, 1.6) if location is Location.ROOM else rng.uniform(5, 8)))
    # Light from the left or right, above and in front; a warm or cold tint.
    light = np.array([rng.choice([-1, 1]) * rng.uniform(0.3, 0.7), -rng.uniform(0.4, 0.7), 0.65])
    warmth = rng.uniform(-0.05, 0.06)
    return Shot(
        kind=kind,
        start_seconds=span[0],
        end_seconds=span[1],
        location=location,
        camera=camera,
        camera_speed=camera_speed,
        wall_metres=wall_metres,
        actors=actors,
        clutter=plan_clutter(rng, kind, location, actors, framing, wall_metres),
        light=light / np.linalg.norm(light),
        tint=np.array([1 + warmth, 1.0, 1 - warmth]) * rng.uniform(0.92, 1.06),
        seed=int(rng.integers(2**31)),
    )


def _crossing_speed(actor: Actor, framing: Framing) -> float:
    """Return metres per second relative to the frame at which the actor reaches the far edge when the shot ends."""
    needed = 2 * (framing.half_width_metres - EDGE_METRES) / (framing.end_seconds - framing.start_seconds)
    return float(np.sign(actor.speed) * min(abs(actor.speed), needed))
