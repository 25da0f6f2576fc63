"""Sample the people of a synthetic shot: their positions, yaws and activities over time.

Casting a shot means drawing its ``Actor``s at random. There is one such function per kind of shot (``CASTS``). Each
person gets an equal part of the frame's width, so that people do not occlude each other, except in crowds and where two
people interact. An actor's activities are a sequence of ``Cue``s, each with a start time, an activity and a yaw.

World axes: x right, y up, z (depth) away from the camera, in metres. Ground points are x, z. Yaws are in degrees: 0
faces the camera, 90 the right edge of the frame.

"Motion-only" actions (see ``motion_pairs``) look the same in single frames, such as walking and running, and differ
only in the frequency of their movement.

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
CROWD_SPACING_METRES, CROWD_STEP_METRES = 0.56, 0.75  # between neighbours: along x, and along z
SHORTEST_CUE_SECONDS = 3.0  # least duration of an activity before and after a change

# Activities with their relative frequencies (not normalised). Standing and sitting have an entry for each gesture, so
# whole-body actions, with one entry each, need larger weights to be about as frequent.
GESTURES_STANDING: Weighted = tuple(
    (Activity(STAND, gesture), 1.0) for gesture in (None, WAVE, CLAP, CARRY, PHONE, DRINK, READ)
)
MOVING_ON_THE_SPOT: Weighted = ((Activity(BEND), 2.4), (Activity(JUMP), 2.4), (Activity(CROUCH), 2.4))
# Arms and legs reach far: only for one or two people in the frame.
WIDE_ON_THE_SPOT: Weighted = ((Activity(DANCE), 14.0), (Activity(MARTIAL_ART), 14.0))
SEATED: Weighted = tuple((Activity(SIT, gesture), 1.0) for gesture in (None, WAVE, CLAP, PHONE, DRINK, READ))
WALKING: Weighted = ((Activity(WALK), 2.0), (Activity(WALK, CARRY), 1.0), (Activity(WALK, PHONE), 0.7))
RUNNING: Weighted = ((Activity(RUN), 1.0),)
TOGETHER: Weighted = ((Activity(STAND, SHAKE), 1.0), (Activity(STAND, HUG), 1.0), (Activity(STAND, FIGHT), 1.0))
# Distance between two people who interact, as a fraction of body height.
DISTANCE = {SHAKE: 0.64, HUG: 0.50, FIGHT: 0.54}

# Range of the absolute yaw in degrees, to the left or right, at which a pose is recognisable; (0, 50) for other poses.
YAWS = {BEND: (50, 80), SIT: (5, 60), STAND: (0, 40), CROUCH: (30, 75), LIE: (66, 100), FALL: (45, 90),
        MARTIAL_ART: (45, 80), DANCE: (0, 30)}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Framing:
    """Time, camera and depths of a shot, which are drawn before its people.

    Attributes:
        start_seconds: Start, in seconds of the movie.
        end_seconds: End, in seconds of the movie.
        camera: The camera.
        width: Width of the frame in pixels.
        depths: Depth (z) of each person in metres, ``[n]``.
        first_person: Id of the first person; the others have the following integers.
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
        """Draw a position for each person, evenly spread over the frame's width, with jitter.

        Args:
            rng: Source of the random numbers.

        Returns:
            Ground points x, z in metres ``[n, 2]``.
        """
        count = len(self.depths)
        columns = self.width * (np.arange(count) + 0.5 + rng.uniform(-0.08, 0.08, count)) / count
        return self._ground_points(columns, self.depths)

    def crowded_positions(self, rng: np.random.Generator) -> Array:
        """Draw positions of people who partly occlude each other, every second one farther away.

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
        # In fractions of the frame's width: people evenly spaced around a random middle, with a little jitter.
        spacing = CROWD_SPACING_METRES * self.camera.scale(nearest) / self.width
        max_shift = max(0.0, 0.8 - spacing * count) / 2
        middle = 0.5 + rng.uniform(-max_shift, max_shift)
        columns = middle + spacing * (np.arange(count) - (count - 1) / 2 + rng.uniform(-0.1, 0.1, count))
        return self._ground_points(self.width * columns, depths)

    def _ground_points(self, columns: Array, depths: Array) -> Array:
        """Back-project ``columns [n]`` (x in pixels) at ``depths [n]`` (metres) to ground points ``[n, 2]``."""
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


def _make_actor(
    rng: np.random.Generator,
    person_id: int,
    cues: tuple[Cue, ...],
    ground: Array,
    *,
    speed: float = 0.0,
    style: Style | None = None,
    look: Look | None = None,
) -> Actor:
    """Build a person; a ``style`` or ``look`` that is not given is drawn.

    ``ground``: x, z in metres at the start. ``speed``: metres per second along x, negative to the left.
    """
    # RGB colors of furniture and held objects.
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


def _draw_yaw(rng: np.random.Generator, activity: Activity, ground: Array) -> float:
    """Draw a yaw in degrees at which the action is recognisable, see ``YAWS``.

    People who bend or do martial arts take up space in front of them, so they face the middle of the frame.
    """
    low, high = YAWS.get(activity.pose, (0, 50))
    side = -np.sign(ground[0]) if activity.pose in (BEND, MARTIAL_ART) else rng.choice([-1, 1])
    return float(side * rng.uniform(low, high))


def still(rng: np.random.Generator, framing: Framing) -> list[Actor]:
    """Cast people who stay where they are and, if the shot lasts long enough, change their activity once.

    Args:
        rng: Source of the random numbers.
        framing: Time, camera and depths of the shot.

    Returns:
        The people.
    """
    count = len(framing.depths)
    is_crowd = count > 1 and rng.random() < 0.35
    candidates = GESTURES_STANDING if is_crowd else GESTURES_STANDING + MOVING_ON_THE_SPOT
    if count <= 2 and not is_crowd:
        candidates += WIDE_ON_THE_SPOT
    positions = framing.crowded_positions(rng) if is_crowd else framing.spread_positions(rng)
    return [_still_actor(rng, framing, index, ground, candidates, is_crowd) for index, ground in enumerate(positions)]


def _still_actor(
    rng: np.random.Generator, framing: Framing, index: int, ground: Array, candidates: Weighted, is_crowd: bool
) -> Actor:
    """Cast one person; ``candidates`` are the activities that fit into the space per person."""
    if not is_crowd and rng.random() < SEATED_SHARE:
        candidates = SEATED
    # The activity changes in the middle of the shot, if both halves are long enough, and at a half second (N.5): ground
    # truth is sampled at whole seconds, where the action is then unambiguous.
    first = choose(rng, candidates)
    cues = [Cue(framing.start_seconds, first, _draw_yaw(rng, first, ground))]
    middle = float(np.floor((framing.start_seconds + framing.end_seconds) / 2) + 0.5)
    if min(middle - framing.start_seconds, framing.end_seconds - middle) >= SHORTEST_CUE_SECONDS:
        second = choose(rng, tuple(pair for pair in candidates if pair[0] != first))
        # A seated person keeps the yaw, because the chair cannot turn.
        cues.append(Cue(middle, second, cues[0].yaw_degrees if second.needs_seat else _draw_yaw(rng, second, ground)))
    return _make_actor(rng, framing.first_person + index, tuple(cues), ground)


def tracking(rng: np.random.Generator, framing: Framing) -> list[Actor]:
    """Cast people who all walk or all run at one speed, in a tracking shot: the camera moves along with them.

    Args:
        rng: Source of the random numbers.
        framing: Time, camera and depths of the shot.

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
        # The tempo at which this person's feet do not slide on the ground at the common speed.
        style = replace(random_style(rng), tempo=abs(speed) / activity.speed(look.height_metres, Style()))
        cue = Cue(framing.start_seconds, activity, direction * float(rng.uniform(72, 90)))
        actors.append(
            _make_actor(rng, framing.first_person + index, (cue,), ground, speed=speed, style=style, look=look)
        )
    return actors


def crossing(rng: np.random.Generator, framing: Framing) -> list[Actor]:
    """Cast one person who starts just inside the edge of the frame and crosses it.

    Args:
        rng: Source of the random numbers.
        framing: Time, camera and depths of the shot.

    Returns:
        A list of one person.
    """
    actor = tracking(rng, framing)[0]
    x = -np.sign(actor.speed) * (framing.half_width_metres - EDGE_METRES)
    return [replace(actor, ground=np.array([x, framing.depths[0]]))]


def together(rng: np.random.Generator, framing: Framing) -> list[Actor]:
    """Cast pairs of people who interact; of an odd number, the last person stands alone.

    Args:
        rng: Source of the random numbers.
        framing: Time, camera and depths of the shot.

    Returns:
        The people.
    """
    count = len(framing.depths)
    groups = count - count // 2  # each pair, and the person who is left over, is a group
    # Middles of the groups in pixels; a group gets width in proportion to its number of people.
    sizes = np.array([2] * (count // 2) + [1] * (count % 2))
    middles = framing.width * (np.cumsum(sizes) - sizes / 2) / count
    # Mirrored in half of the shots, so that the single person is not always on the right.
    if rng.random() < 0.5:
        middles = framing.width - middles
    actors: list[Actor] = []
    for group in range(groups):
        depth = float(framing.depths[2 * group])
        x = (float(middles[group]) - framing.camera.centre_pixels) * depth / framing.camera.focal_pixels
        ground, person_id = np.array([x, depth]), framing.first_person + 2 * group
        if sizes[group] == 2:
            actors += _interacting_pair(rng, framing, ground, person_id)
        else:
            activity = choose(rng, GESTURES_STANDING)
            cue = Cue(framing.start_seconds, activity, _draw_yaw(rng, activity, ground))
            actors.append(_make_actor(rng, person_id, (cue,), ground))
    return actors


def _interacting_pair(rng: np.random.Generator, framing: Framing, middle: Array, person_id: int) -> list[Actor]:
    """Cast two interacting people of similar height, face to face around ``middle`` (x, z in metres), in synchrony."""
    activity = choose(rng, TOGETHER)
    assert activity.gesture is not None
    looks = [Look.random(rng), Look.random(rng)]
    height = looks[0].height_metres
    looks[1] = replace(looks[1], height_metres=height * float(rng.uniform(0.96, 1.0)))
    style = replace(random_style(rng), slouch_degrees=float(rng.uniform(-1, 3)))
    # Direction on the ground from the first to the second person, up to 24 degrees out of the image plane.
    turn = np.deg2rad(rng.uniform(-24, 24)) + (np.pi if rng.random() < 0.5 else 0.0)
    towards = np.array([np.cos(turn), np.sin(turn)])
    actors = []
    for index, side in enumerate((-1, 1)):
        ground = middle + side * towards * DISTANCE[activity.gesture] * height / 2
        forward = -side * towards
        yaw = float(np.rad2deg(np.arctan2(forward[0], -forward[1])))
        # Fighters punch alternately: half a cycle apart.
        phase = style.phase + (0.5 * index if activity.gesture == FIGHT else 0.0)
        cue = Cue(framing.start_seconds, activity, yaw)
        actors.append(
            _make_actor(rng, person_id + index, (cue,), ground, style=replace(style, phase=phase), look=looks[index])
        )
    return actors


def _single_activity_cast(activity: Activity) -> Callable[[np.random.Generator, Framing], list[Actor]]:
    """Return a casting function whose people all do one activity during the whole shot."""

    def cast(rng: np.random.Generator, framing: Framing) -> list[Actor]:
        return [
            _make_actor(
                rng,
                framing.first_person + index,
                (Cue(framing.start_seconds, activity, _draw_yaw(rng, activity, ground)),),
                ground,
            )
            for index, ground in enumerate(framing.spread_positions(rng))
        ]

    return cast


def paired_steps(rng: np.random.Generator, framing: Framing) -> list[Actor]:
    """Cast people of motion-only walking and running, in a tracking shot.

    The speed is unrelated to the step frequency, so that it does not give the action away.

    Args:
        rng: Source of the random numbers.
        framing: Time, camera and depths of the shot.

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
        actors.append(_make_actor(rng, framing.first_person + index, (cue,), ground, speed=speed))
    return actors


def paired_hands(rng: np.random.Generator, framing: Framing) -> list[Actor]:
    """Cast people of motion-only waving and clapping, who stand still.

    Args:
        rng: Source of the random numbers.
        framing: Time, camera and depths of the shot.

    Returns:
        The people.
    """
    actors = []
    for index, ground in enumerate(framing.spread_positions(rng)):
        gesture = (WAVE, CLAP)[int(rng.integers(2))]
        activity = Activity(STAND, gesture, pair_hertz(rng, is_fast=gesture in FAST_OF_A_PAIR))
        cue = Cue(framing.start_seconds, activity, _draw_yaw(rng, activity, ground))
        actors.append(_make_actor(rng, framing.first_person + index, (cue,), ground))
    return actors


CASTS: dict[ShotKind, Callable[[np.random.Generator, Framing], list[Actor]]] = {
    ShotKind.STILL: still,
    ShotKind.TRACKING: tracking,
    ShotKind.CROSSING: crossing,
    ShotKind.TOGETHER: together,
    ShotKind.LYING: _single_activity_cast(Activity(LIE)),
    ShotKind.FALLING: _single_activity_cast(Activity(FALL)),
    ShotKind.PAIRED_STEPS: paired_steps,
    ShotKind.PAIRED_HANDS: paired_hands,
}
