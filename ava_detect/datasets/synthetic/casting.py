"""Cast the people of a shot: their positions, directions and activities.

There is one function per kind of shot (``CASTS``). Each person gets a part of the frame's width, so that people do not
hide each other, except in crowds and where two people interact.

Shapes: n people of a shot.
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

EDGE_METRES = 0.3  # distance from the edge of the frame at which a crossing person starts and ends
SEATED_SHARE = 0.3  # probability that a person outside a crowd sits
CROWD_SPACING_METRES, CROWD_STEP_METRES = 0.56, 0.75  # between neighbours, sideways and in depth
SHORTEST_CUE_SECONDS = 3.0

# Activities with their relative frequencies. Standing and sitting are spread over many gestures, so that whole-body
# actions, which have a single entry each, need larger weights.
GESTURES_STANDING: Weighted = tuple(
    (Activity(STAND, gesture), 1.0) for gesture in (None, WAVE, CLAP, CARRY, PHONE, DRINK, READ)
)
MOVING_ON_THE_SPOT: Weighted = ((Activity(BEND), 2.4), (Activity(JUMP), 2.4), (Activity(CROUCH), 2.4))
WIDE_ON_THE_SPOT: Weighted = ((Activity(DANCE), 14.0), (Activity(MARTIAL_ART), 14.0))  # for at most two people
SEATED: Weighted = tuple((Activity(SIT, gesture), 1.0) for gesture in (None, WAVE, CLAP, PHONE, DRINK, READ))
WALKING: Weighted = ((Activity(WALK), 2.0), (Activity(WALK, CARRY), 1.0), (Activity(WALK, PHONE), 0.7))
RUNNING: Weighted = ((Activity(RUN), 1.0),)
TOGETHER: Weighted = ((Activity(STAND, SHAKE), 1.0), (Activity(STAND, HUG), 1.0), (Activity(STAND, FIGHT), 1.0))
# Distance between two people who interact, in body heights.
DISTANCE = {SHAKE: 0.64, HUG: 0.50, FIGHT: 0.54}

# Range of directions in which an action is recognisable, in degrees to either side; 0 to 50 for other poses.
YAWS = {BEND: (50, 80), SIT: (5, 60), STAND: (0, 40), CROUCH: (30, 75), LIE: (66, 100), FALL: (45, 90),
        MARTIAL_ART: (45, 80), DANCE: (0, 30)}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Framing:
    """What is decided about a shot before its people are cast.

    Attributes:
        start_seconds: Start, in seconds of the movie.
        end_seconds: End, in seconds of the movie.
        camera: The camera.
        width: Width of the frame in pixels.
        depths: Distance of each person from the camera in metres, ``[n]``.
        first_person: Id of the first person.
    """

    start_seconds: float
    end_seconds: float
    camera: Camera
    width: int
    depths: Array
    first_person: int

    @property
    def half_width_metres(self) -> float:
        """Metres from the middle of the frame to its edge, at the distance of the first person."""
        return self.width / 2 / self.camera.scale(float(self.depths[0]))

    def spread_positions(self, rng: np.random.Generator) -> Array:
        """Draw a position for each person, in parts of the frame of equal width.

        Args:
            rng: Source of the random numbers.

        Returns:
            Ground points x, z in metres ``[n, 2]``.
        """
        count = len(self.depths)
        columns = self.width * (np.arange(count) + 0.5 + rng.uniform(-0.08, 0.08, count)) / count
        return self._at(columns, self.depths)

    def crowded_positions(self, rng: np.random.Generator) -> Array:
        """Draw positions of people who partly hide each other, every second one farther away.

        Args:
            rng: Source of the random numbers.

        Returns:
            Ground points x, z in metres ``[n, 2]``.
        """
        count = len(self.depths)
        nearest = float(self.depths.min())
        # Every second person, starting with the first or the second, is one step farther away.
        steps = ((np.arange(count) + rng.integers(2)) % 2).astype(np.float64)
        depths = nearest + CROWD_STEP_METRES * steps
        # Columns as fractions of the frame's width: evenly spaced around a random middle, with a little jitter.
        spacing = CROWD_SPACING_METRES * self.camera.scale(nearest) / self.width
        free = max(0.0, 0.8 - spacing * count) / 2
        middle = 0.5 + rng.uniform(-free, free)
        columns = middle + spacing * (np.arange(count) - (count - 1) / 2 + rng.uniform(-0.1, 0.1, count))
        return self._at(self.width * columns, depths)

    def _at(self, columns: Array, depths: Array) -> Array:
        """Return the ground points ``[n, 2]`` that appear at ``columns [n]`` of the frame, in pixels."""
        x = (columns - self.camera.centre_pixels) * depths / self.camera.focal_pixels
        return np.stack([x, depths], axis=1)


def choose(rng: np.random.Generator, weighted: Weighted) -> Activity:
    """Draw an activity by weight.

    Args:
        rng: Source of the random number.
        weighted: Activities with their relative frequencies.

    Returns:
        The activity.
    """
    weights = np.array([weight for _, weight in weighted])
    return weighted[int(rng.choice(len(weighted), p=weights / weights.sum()))][0]


def random_style(rng: np.random.Generator) -> Style:
    """Draw a person's way of moving.

    Args:
        rng: Source of the random numbers.

    Returns:
        The style.
    """
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
    """Draw a direction in which the action is recognisable; people who reach out face the middle of the frame."""
    low, high = YAWS.get(activity.pose, (0, 50))
    side = -np.sign(ground[0]) if activity.pose in (BEND, MARTIAL_ART) else rng.choice([-1, 1])
    return float(side * rng.uniform(low, high))


def still(rng: np.random.Generator, framing: Framing) -> list[Actor]:
    """Cast people who stay where they are and, in a long shot, change their activity once.

    Args:
        rng: Source of the random numbers.
        framing: Time, camera and distances of the shot.

    Returns:
        The people.
    """
    count = len(framing.depths)
    is_crowd = count > 1 and rng.random() < 0.35
    choice = GESTURES_STANDING if is_crowd else GESTURES_STANDING + MOVING_ON_THE_SPOT
    if count <= 2 and not is_crowd:
        choice += WIDE_ON_THE_SPOT
    positions = framing.crowded_positions(rng) if is_crowd else framing.spread_positions(rng)
    return [_still_actor(rng, framing, index, ground, choice, is_crowd) for index, ground in enumerate(positions)]


def _still_actor(
    rng: np.random.Generator, framing: Framing, index: int, ground: Array, choice: Weighted, is_crowd: bool
) -> Actor:
    """Cast one person; ``choice`` holds the activities that there is space for."""
    if not is_crowd and rng.random() < SEATED_SHARE:
        choice = SEATED
    # One activity from the start and, if both parts are long enough, another from the half second in the middle on.
    first = choose(rng, choice)
    cues = [Cue(framing.start_seconds, first, _yaw(rng, first, ground))]
    middle = float(np.floor((framing.start_seconds + framing.end_seconds) / 2) + 0.5)
    if min(middle - framing.start_seconds, framing.end_seconds - middle) >= SHORTEST_CUE_SECONDS:
        second = choose(rng, tuple(pair for pair in choice if pair[0] != first))
        # A chair cannot turn.
        cues.append(Cue(middle, second, cues[0].yaw_degrees if second.needs_seat else _yaw(rng, second, ground)))
    return _actor(rng, framing.first_person + index, tuple(cues), ground)


def tracking(rng: np.random.Generator, framing: Framing) -> list[Actor]:
    """Cast people who all walk or all run at one speed, with the camera moving along.

    Args:
        rng: Source of the random numbers.
        framing: Time, camera and distances of the shot.

    Returns:
        The people.
    """
    direction = int(rng.choice([-1, 1]))
    is_run = rng.random() < 0.5
    speed = direction * float(rng.uniform(3.2, 3.9) if is_run else rng.uniform(1.15, 1.4))
    actors = []
    for index, ground in enumerate(framing.spread_positions(rng)):
        look = Look.random(rng)
        activity = choose(rng, RUNNING if is_run else WALKING)
        # The tempo at which the feet do not slide at the common speed.
        style = replace(random_style(rng), tempo=abs(speed) / activity.speed(look.height_metres, Style()))
        cue = Cue(framing.start_seconds, activity, direction * float(rng.uniform(72, 90)))
        actors.append(_actor(rng, framing.first_person + index, (cue,), ground, speed=speed, style=style, look=look))
    return actors


def crossing(rng: np.random.Generator, framing: Framing) -> list[Actor]:
    """Cast one person who starts just inside the edge of the frame and crosses it.

    Args:
        rng: Source of the random numbers.
        framing: Time, camera and distances of the shot.

    Returns:
        The people.
    """
    actor = tracking(rng, framing)[0]
    x = -np.sign(actor.speed) * (framing.half_width_metres - EDGE_METRES)
    return [replace(actor, ground=np.array([x, framing.depths[0]]))]


def together(rng: np.random.Generator, framing: Framing) -> list[Actor]:
    """Cast pairs who interact; with an odd number, one person does something alone.

    Args:
        rng: Source of the random numbers.
        framing: Time, camera and distances of the shot.

    Returns:
        The people.
    """
    count = len(framing.depths)
    groups = count - count // 2  # pairs, and a person who is left over
    # Middles of the groups in pixels; a pair is as wide as two people.
    sizes = np.array([2] * (count // 2) + [1] * (count % 2))
    middles = framing.width * (np.cumsum(sizes) - sizes / 2) / count
    if rng.random() < 0.5:
        middles = framing.width - middles
    actors: list[Actor] = []
    for group in range(groups):
        depth = float(framing.depths[2 * group])
        x = (float(middles[group]) - framing.camera.centre_pixels) * depth / framing.camera.focal_pixels
        ground, person_id = np.array([x, depth]), framing.first_person + 2 * group
        if sizes[group] == 2:
            actors += _pair(rng, framing, ground, person_id)
        else:
            activity = choose(rng, GESTURES_STANDING)
            cue = Cue(framing.start_seconds, activity, _yaw(rng, activity, ground))
            actors.append(_actor(rng, person_id, (cue,), ground))
    return actors


def _pair(rng: np.random.Generator, framing: Framing, middle: Array, person_id: int) -> list[Actor]:
    """Cast two people of similar height, face to face around ``middle`` (x, z in metres), moving in time."""
    activity = choose(rng, TOGETHER)
    assert activity.gesture is not None
    looks = [Look.random(rng), Look.random(rng)]
    height = looks[0].height_metres
    looks[1] = replace(looks[1], height_metres=height * float(rng.uniform(0.96, 1.0)))
    style = replace(random_style(rng), slouch_degrees=float(rng.uniform(-1, 3)))
    # Direction from the first to the second person, up to 24 degrees out of the image plane.
    turn = np.deg2rad(rng.uniform(-24, 24)) + (np.pi if rng.random() < 0.5 else 0.0)
    towards = np.array([np.cos(turn), np.sin(turn)])
    actors = []
    for index, side in enumerate((-1, 1)):
        ground = middle + side * towards * DISTANCE[activity.gesture] * height / 2
        forward = -side * towards
        yaw = float(np.rad2deg(np.arctan2(forward[0], -forward[1])))
        # Fighters punch in turn.
        phase = style.phase + (0.5 * index if activity.gesture == FIGHT else 0.0)
        cue = Cue(framing.start_seconds, activity, yaw)
        actors.append(
            _actor(rng, person_id + index, (cue,), ground, style=replace(style, phase=phase), look=looks[index])
        )
    return actors


def _whole_shot(activity: Activity) -> Callable[[np.random.Generator, Framing], list[Actor]]:
    """Return a cast in which all people do one activity during the whole shot."""

    def cast(rng: np.random.Generator, framing: Framing) -> list[Actor]:
        return [
            _actor(
                rng,
                framing.first_person + index,
                (Cue(framing.start_seconds, activity, _yaw(rng, activity, ground)),),
                ground,
            )
            for index, ground in enumerate(framing.spread_positions(rng))
        ]

    return cast


def paired_steps(rng: np.random.Generator, framing: Framing) -> list[Actor]:
    """Cast people of motion-only walking and running: the camera moves along, at a speed unrelated to the cadence.

    Args:
        rng: Source of the random numbers.
        framing: Time, camera and distances of the shot.

    Returns:
        The people.
    """
    direction = int(rng.choice([-1, 1]))
    speed = direction * float(rng.uniform(1.6, 2.6))
    actors = []
    for index, ground in enumerate(framing.spread_positions(rng)):
        pose = (WALK, RUN)[int(rng.integers(2))]
        activity = Activity(pose, pair_hertz=pair_hertz(rng, is_fast=pose in FAST_OF_A_PAIR))
        cue = Cue(framing.start_seconds, activity, direction * float(rng.uniform(66, 90)))
        actors.append(_actor(rng, framing.first_person + index, (cue,), ground, speed=speed))
    return actors


def paired_hands(rng: np.random.Generator, framing: Framing) -> list[Actor]:
    """Cast people of motion-only waving and clapping.

    Args:
        rng: Source of the random numbers.
        framing: Time, camera and distances of the shot.

    Returns:
        The people.
    """
    actors = []
    for index, ground in enumerate(framing.spread_positions(rng)):
        gesture = (WAVE, CLAP)[int(rng.integers(2))]
        activity = Activity(STAND, gesture, pair_hertz(rng, is_fast=gesture in FAST_OF_A_PAIR))
        cue = Cue(framing.start_seconds, activity, _yaw(rng, activity, ground))
        actors.append(_actor(rng, framing.first_person + index, (cue,), ground))
    return actors


CASTS: dict[ShotKind, Callable[[np.random.Generator, Framing], list[Actor]]] = {
    ShotKind.STILL: still,
    ShotKind.TRACKING: tracking,
    ShotKind.CROSSING: crossing,
    ShotKind.TOGETHER: together,
    ShotKind.LYING: _whole_shot(Activity(LIE)),
    ShotKind.FALLING: _whole_shot(Activity(FALL)),
    ShotKind.PAIRED_STEPS: paired_steps,
    ShotKind.PAIRED_HANDS: paired_hands,
}
