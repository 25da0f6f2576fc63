"""The people of a shot: who stands where, turned which way, doing what.

One function for each kind of shot. People get stretches of the picture of their own, so that each is seen whole; only
in a crowd, and where two do something with each other, do they hide parts of each other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ava_detect.datasets.synthetic.actions import (
    BEND,
    CARRY,
    CLAP,
    CROUCH,
    DANCE,
    DRINK,
    FALL,
    FAST_OF_A_PAIR,
    FIGHT,
    HUG,
    JUMP,
    LIE,
    MARTIAL_ART,
    PHONE,
    READ,
    RUN,
    SHAKE,
    SIT,
    STAND,
    WALK,
    WAVE,
    Activity,
)
from ava_detect.datasets.synthetic.appearance import Look
from ava_detect.datasets.synthetic.camera import Camera
from ava_detect.datasets.synthetic.motion_pairs import pair_hertz
from ava_detect.datasets.synthetic.movement import Style
from ava_detect.datasets.synthetic.scene import Actor, Cue, ShotKind

Array = npt.NDArray[np.float64]
Weighted = tuple[tuple[Activity, float], ...]

EDGE_METRES = 0.3  # how far inside the edge a crossing person begins and ends
SEATED_SHARE = 0.3
CROWD_SPACING_METRES, CROWD_STEP_METRES = 0.56, 0.75  # sideways and away from the camera, from one to the next
SHORTEST_CUE_SECONDS = 3.0

# What people do where they are, and how often compared with each other: whole-body actions have no company of a
# pose that comes with many gestures, so they come more often.
GESTURES_STANDING: Weighted = tuple(
    (Activity(STAND, gesture), 1.0) for gesture in (None, WAVE, CLAP, CARRY, PHONE, DRINK, READ)
)
MOVING_ON_THE_SPOT: Weighted = ((Activity(BEND), 2.4), (Activity(JUMP), 2.4), (Activity(CROUCH), 2.4))
WIDE_ON_THE_SPOT: Weighted = ((Activity(DANCE), 14.0), (Activity(MARTIAL_ART), 14.0))  # for at most two people
SEATED: Weighted = tuple((Activity(SIT, gesture), 1.0) for gesture in (None, WAVE, CLAP, PHONE, DRINK, READ))
WALKING: Weighted = ((Activity(WALK), 2.0), (Activity(WALK, CARRY), 1.0), (Activity(WALK, PHONE), 0.7))
RUNNING: Weighted = ((Activity(RUN), 1.0),)
TOGETHER: Weighted = ((Activity(STAND, SHAKE), 1.0), (Activity(STAND, HUG), 1.0), (Activity(STAND, FIGHT), 1.0))
# metres between two people who do something with each other, in body heights
DISTANCE = {SHAKE: 0.64, HUG: 0.50, FIGHT: 0.54}

# directions from which an action can be seen, in degrees to either side; what is not here: 0 to 50
YAWS = {BEND: (50, 80), SIT: (5, 60), STAND: (0, 40), CROUCH: (30, 75), LIE: (66, 100), FALL: (45, 90),
        MARTIAL_ART: (45, 80), DANCE: (0, 30)}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Setting:
    """What is settled about a shot before it has people: ``depths``, their distances in metres, says how many."""

    start_seconds: float
    end_seconds: float
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
        return self._at(columns, self.depths)

    def crowded_places(self, rng: np.random.Generator) -> Array:
        """Ground points of people who stand partly in front of each other, every second one farther away."""
        count = len(self.depths)
        nearest = float(self.depths.min())
        steps = ((np.arange(count) + rng.integers(2)) % 2).astype(np.float64)
        depths = nearest + CROWD_STEP_METRES * steps
        spacing = CROWD_SPACING_METRES * self.camera.scale(nearest) / self.width
        free = max(0.0, 0.8 - spacing * count) / 2
        middle = 0.5 + rng.uniform(-free, free)
        columns = middle + spacing * (np.arange(count) - (count - 1) / 2 + rng.uniform(-0.1, 0.1, count))
        return self._at(self.width * columns, depths)

    def _at(self, columns: Array, depths: Array) -> Array:
        """Ground points ``[n, 2]`` that are seen at ``columns`` of the picture."""
        x = (columns - self.camera.centre_pixels) * depths / self.camera.focal_pixels
        return np.stack([x, depths], axis=1)


def choose(rng: np.random.Generator, weighted: Weighted) -> Activity:
    """One activity, by weight."""
    weights = np.array([weight for _, weight in weighted])
    return weighted[int(rng.choice(len(weighted), p=weights / weights.sum()))][0]


def random_style(rng: np.random.Generator) -> Style:
    """Somebody's way of moving."""
    return Style(
        tempo=float(rng.uniform(0.88, 1.15)),
        vigour=float(rng.uniform(0.8, 1.2)),
        phase=float(rng.random()),
        left_handed=bool(rng.random() < 0.4),
        slouch_degrees=float(rng.uniform(-2, 6)),
    )


def _actor(
    rng: np.random.Generator,
    person_id: int,
    cues: tuple[Cue, ...],
    ground: Array,
    *,
    speed: float = 0.0,
    style: Style | None = None,
    look: Look | None = None,
) -> Actor:
    palette = np.array([(176, 132, 84), (96, 60, 40), (70, 82, 96), (180, 50, 46), (126, 78, 138), (60, 104, 96)])
    return Actor(
        person_id=person_id,
        look=look or Look.random(rng),
        style=style or random_style(rng),
        cues=cues,
        ground=ground,
        speed=speed,
        prop_color=palette[int(rng.integers(len(palette)))].astype(np.float64),
    )


def _yaw(rng: np.random.Generator, activity: Activity, ground: Array) -> float:
    """A direction from which the action can be seen; who reaches out does so towards the middle of the picture."""
    low, high = YAWS.get(activity.pose, (0, 50))
    side = -np.sign(ground[0]) if activity.pose in (BEND, MARTIAL_ART) else rng.choice([-1, 1])
    return float(side * rng.uniform(low, high))


def still(rng: np.random.Generator, setting: Setting) -> list[Actor]:
    """People who stay where they are, each doing something, and after a while something else."""
    count = len(setting.depths)
    is_crowd = count > 1 and rng.random() < 0.35
    choice = GESTURES_STANDING if is_crowd else GESTURES_STANDING + MOVING_ON_THE_SPOT
    if count <= 2 and not is_crowd:
        choice += WIDE_ON_THE_SPOT
    places = setting.crowded_places(rng) if is_crowd else setting.places(rng)
    return [_still_actor(rng, setting, index, ground, choice, is_crowd) for index, ground in enumerate(places)]


def _still_actor(
    rng: np.random.Generator, setting: Setting, index: int, ground: Array, choice: Weighted, is_crowd: bool
) -> Actor:
    if not is_crowd and rng.random() < SEATED_SHARE:
        choice = SEATED
    first = choose(rng, choice)
    cues = [Cue(setting.start_seconds, first, _yaw(rng, first, ground))]
    middle = float(np.floor((setting.start_seconds + setting.end_seconds) / 2) + 0.5)
    if min(middle - setting.start_seconds, setting.end_seconds - middle) >= SHORTEST_CUE_SECONDS:
        second = choose(rng, tuple(pair for pair in choice if pair[0] != first))
        # A chair does not turn.
        cues.append(Cue(middle, second, cues[0].yaw_degrees if second.needs_seat else _yaw(rng, second, ground)))
    return _actor(rng, setting.first_person + index, tuple(cues), ground)


def tracking(rng: np.random.Generator, setting: Setting) -> list[Actor]:
    """People who all walk or all run, as fast as each other, past the camera that goes along."""
    direction = int(rng.choice([-1, 1]))
    is_run = rng.random() < 0.5
    speed = direction * float(rng.uniform(3.2, 3.9) if is_run else rng.uniform(1.15, 1.4))
    actors = []
    for index, ground in enumerate(setting.places(rng)):
        look = Look.random(rng)
        activity = choose(rng, RUNNING if is_run else WALKING)
        style = replace(random_style(rng), tempo=abs(speed) / activity.speed(look.height_metres, Style()))
        cue = Cue(setting.start_seconds, activity, direction * float(rng.uniform(72, 90)))
        actors.append(_actor(rng, setting.first_person + index, (cue,), ground, speed=speed, style=style, look=look))
    return actors


def crossing(rng: np.random.Generator, setting: Setting) -> list[Actor]:
    """Somebody who starts just inside the edge that they come from."""
    actor = tracking(rng, setting)[0]
    x = -np.sign(actor.speed) * (setting.half_width_metres - EDGE_METRES)
    return [replace(actor, ground=np.array([x, setting.depths[0]]))]


def together(rng: np.random.Generator, setting: Setting) -> list[Actor]:
    """Pairs who do something with each other; an odd one out looks on or minds their own business."""
    count = len(setting.depths)
    groups = count - count // 2  # pairs, and the odd one
    # a pair takes up as much of the picture as two people
    sizes = np.array([2] * (count // 2) + [1] * (count % 2))
    middles = setting.width * (np.cumsum(sizes) - sizes / 2) / count
    if rng.random() < 0.5:
        middles = setting.width - middles
    actors: list[Actor] = []
    for group in range(groups):
        depth = float(setting.depths[2 * group])
        x = (float(middles[group]) - setting.camera.centre_pixels) * depth / setting.camera.focal_pixels
        ground, person_id = np.array([x, depth]), setting.first_person + 2 * group
        if sizes[group] == 2:
            actors += _pair(rng, setting, ground, person_id)
        else:
            activity = choose(rng, GESTURES_STANDING)
            cue = Cue(setting.start_seconds, activity, _yaw(rng, activity, ground))
            actors.append(_actor(rng, person_id, (cue,), ground))
    return actors


def _pair(rng: np.random.Generator, setting: Setting, middle: Array, person_id: int) -> list[Actor]:
    """Two people about as tall as each other, face to face around ``middle``, moving in time."""
    activity = choose(rng, TOGETHER)
    assert activity.gesture is not None
    looks = [Look.random(rng), Look.random(rng)]
    height = looks[0].height_metres
    looks[1] = replace(looks[1], height_metres=height * float(rng.uniform(0.96, 1.0)))
    style = replace(random_style(rng), slouch_degrees=float(rng.uniform(-1, 3)))
    turn = np.deg2rad(rng.uniform(-24, 24)) + (np.pi if rng.random() < 0.5 else 0.0)
    towards = np.array([np.cos(turn), np.sin(turn)])
    actors = []
    for index, side in enumerate((-1, 1)):
        ground = middle + side * towards * DISTANCE[activity.gesture] * height / 2
        forward = -side * towards
        yaw = float(np.rad2deg(np.arctan2(forward[0], -forward[1])))
        # who is not hitting is being hit
        phase = style.phase + (0.5 * index if activity.gesture == FIGHT else 0.0)
        cue = Cue(setting.start_seconds, activity, yaw)
        actors.append(
            _actor(rng, person_id + index, (cue,), ground, style=replace(style, phase=phase), look=looks[index])
        )
    return actors


def _whole_shot(activity: Activity) -> Callable[[np.random.Generator, Setting], list[Actor]]:
    def cast(rng: np.random.Generator, setting: Setting) -> list[Actor]:
        return [
            _actor(
                rng,
                setting.first_person + index,
                (Cue(setting.start_seconds, activity, _yaw(rng, activity, ground)),),
                ground,
            )
            for index, ground in enumerate(setting.places(rng))
        ]

    return cast


def paired_steps(rng: np.random.Generator, setting: Setting) -> list[Actor]:
    """Motion-only walk and run: the camera goes along, and speed says nothing about cadence."""
    direction = int(rng.choice([-1, 1]))
    speed = direction * float(rng.uniform(1.6, 2.6))
    actors = []
    for index, ground in enumerate(setting.places(rng)):
        pose = (WALK, RUN)[int(rng.integers(2))]
        activity = Activity(pose, pair_hertz=pair_hertz(rng, is_fast=pose in FAST_OF_A_PAIR))
        cue = Cue(setting.start_seconds, activity, direction * float(rng.uniform(66, 90)))
        actors.append(_actor(rng, setting.first_person + index, (cue,), ground, speed=speed))
    return actors


def paired_hands(rng: np.random.Generator, setting: Setting) -> list[Actor]:
    """Motion-only wave and clap."""
    actors = []
    for index, ground in enumerate(setting.places(rng)):
        gesture = (WAVE, CLAP)[int(rng.integers(2))]
        activity = Activity(STAND, gesture, pair_hertz(rng, is_fast=gesture in FAST_OF_A_PAIR))
        cue = Cue(setting.start_seconds, activity, _yaw(rng, activity, ground))
        actors.append(_actor(rng, setting.first_person + index, (cue,), ground))
    return actors


CASTS: dict[ShotKind, Callable[[np.random.Generator, Setting], list[Actor]]] = {
    ShotKind.STILL: still,
    ShotKind.TRACKING: tracking,
    ShotKind.CROSSING: crossing,
    ShotKind.TOGETHER: together,
    ShotKind.LYING: _whole_shot(Activity(LIE)),
    ShotKind.FALLING: _whole_shot(Activity(FALL)),
    ShotKind.PAIRED_STEPS: paired_steps,
    ShotKind.PAIRED_HANDS: paired_hands,
}
