"""Shots: the people with their positions and activities over time, the things, and the camera.

``planning`` makes shots and ``stage`` films them. A movie is a sequence of shots with cuts between them. In a *still*
shot the camera rests on people who stay where they are; in a *tracking* shot it moves along with people who walk or
run; in a *crossing* shot a person walks or runs across the frame. In a *together* shot people shake hands, hug or
fight; *lying* and *falling* people need more space. The *paired* shots show actions that differ by motion alone
(``motion_pairs``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from ava_detect.datasets.synthetic.actions import Activity
from ava_detect.datasets.synthetic.appearance import Look
from ava_detect.datasets.synthetic.backdrop import Location
from ava_detect.datasets.synthetic.camera import Camera
from ava_detect.datasets.synthetic.movement import Style
from ava_detect.datasets.synthetic.skeleton import Pose

Array = npt.NDArray[np.float64]

CHANGE_SECONDS = 0.5  # duration of the change from one activity to the next


class ShotKind(StrEnum):
    """What camera and people do; see the module's docstring."""

    STILL = "still"
    TRACKING = "tracking"
    CROSSING = "crossing"
    TOGETHER = "together"
    LYING = "lying"
    FALLING = "falling"
    PAIRED_STEPS = "paired steps"
    PAIRED_HANDS = "paired hands"


class Repertoire(StrEnum):
    """The actions of a movie: ordinary ones that look different, or only pairs that differ by their cadence."""

    EVERYDAY = "everyday"
    MOTION_PAIRS = "motion_pairs"


class ClutterKind(StrEnum):
    """Things other than people: some stand in front of them, some move."""

    BENCH = "bench"
    PLANT = "plant"
    POST = "post"
    BALL = "ball"
    BIRD = "bird"
    CAR = "car"


@dataclass(frozen=True)
class Clutter:
    """A thing that stands or moves.

    Attributes:
        kind: What it is.
        x_metres: Position to the right when the shot starts.
        z_metres: Distance from the camera.
        speed: Metres per second along x.
        seed: Seed of its appearance.
    """

    kind: ClutterKind
    x_metres: float
    z_metres: float
    speed: float
    seed: int


@dataclass(frozen=True)
class Cue:
    """A change of activity.

    Attributes:
        start_seconds: Time of the movie from which it holds.
        activity: What the person does from then on.
        yaw_degrees: Direction that the person faces; see ``camera.facing_axes``.
    """

    start_seconds: float
    activity: Activity
    yaw_degrees: float


@dataclass(frozen=True, eq=False)
class Actor:
    """One person of a shot.

    Attributes:
        person_id: The person, unique within the movie.
        look: Size, colors and clothes.
        style: Way of moving.
        cues: The activities, at least one, in order of time.
        ground: x and z in metres ``[2]`` at the start of the first cue.
        speed: Metres per second along x.
        prop_color: RGB 0..255 ``[3]`` of furniture and held things.
    """

    person_id: int
    look: Look
    style: Style
    cues: tuple[Cue, ...]
    ground: Array
    speed: float
    prop_color: Array

    @property
    def needs_seat(self) -> bool:
        """Whether the actor sits during the whole shot."""
        return self.cues[0].activity.needs_seat

    def activity_at(self, seconds: float) -> Activity:
        """Return what the actor does at a time, which is what the ground truth says.

        Args:
            seconds: Time of the movie.

        Returns:
            The activity.
        """
        return self.cues[self._cue_index(seconds)].activity

    def ground_at(self, seconds: float) -> Array:
        """Return the position at a time.

        Args:
            seconds: Time of the movie.

        Returns:
            x and z in metres ``[2]``.
        """
        walked = self.speed * (seconds - self.cues[0].start_seconds)
        return np.array([self.ground[0] + walked, self.ground[1]])

    def pose_at(self, seconds: float) -> tuple[Pose, float]:
        """Return pose and direction at a time; around a change of activity, a blend of both activities.

        Args:
            seconds: Time of the movie.

        Returns:
            The pose, and the yaw in degrees.
        """
        index = self._cue_index(seconds)
        cue = self.cues[index]
        pose = cue.activity.pose_at(seconds, self.style)
        # Each change is blended from CHANGE_SECONDS / 2 before it, when the other activity has weight 0, to
        # CHANGE_SECONDS / 2 after it; at the change itself both have weight 0.5.
        since = seconds - cue.start_seconds
        if index and since < CHANGE_SECONDS / 2:
            share = 0.5 - since / CHANGE_SECONDS
            return self._blend(cue, self.cues[index - 1], seconds, _smooth(share))
        following = self.cues[index + 1 : index + 2]
        if following and following[0].start_seconds - seconds < CHANGE_SECONDS / 2:
            share = 0.5 - (following[0].start_seconds - seconds) / CHANGE_SECONDS
            return self._blend(cue, following[0], seconds, _smooth(share))
        return pose, cue.yaw_degrees

    def _blend(self, cue: Cue, other: Cue, seconds: float, share: float) -> tuple[Pose, float]:
        """Interpolate pose and yaw between two cues; ``share`` is the weight of ``other``."""
        pose = cue.activity.pose_at(seconds, self.style)
        blended = pose.blended(other.activity.pose_at(seconds, self.style), share)
        return blended, (1 - share) * cue.yaw_degrees + share * other.yaw_degrees

    def _cue_index(self, seconds: float) -> int:
        """Return the index of the last cue that has started, 0 before the first one."""
        return max(0, sum(cue.start_seconds <= seconds + 1e-9 for cue in self.cues) - 1)


def _smooth(share: float) -> float:
    """Return the smoothstep function of 0..1, whose slope is 0 at both ends."""
    return share * share * (3 - 2 * share)


@dataclass(frozen=True, eq=False)
class Shot:
    """One part of a movie without a cut, ``start_seconds`` <= t < ``end_seconds``.

    Attributes:
        kind: What camera and people do.
        start_seconds: Start, in seconds of the movie.
        end_seconds: End, in seconds of the movie.
        location: Where it takes place.
        camera: The camera when the shot starts.
        camera_speed: Metres per second along x.
        wall_metres: Distance of the backdrop's upright plane.
        actors: The people.
        clutter: The things.
        light: Unit vector towards the light ``[3]``: right, down, towards the camera.
        tint: RGB factors of the whole frame ``[3]``.
        seed: Seed of everything that the stage paints.
    """

    kind: ShotKind
    start_seconds: float
    end_seconds: float
    location: Location
    camera: Camera
    camera_speed: float
    wall_metres: float
    actors: tuple[Actor, ...]
    clutter: tuple[Clutter, ...]
    light: Array
    tint: Array
    seed: int

    def camera_at(self, seconds: float) -> Camera:
        """Return the camera at a time, without its shake.

        Args:
            seconds: Time of the movie.

        Returns:
            The camera.
        """
        return replace(self.camera, x_metres=self.camera_speed * (seconds - self.start_seconds))
