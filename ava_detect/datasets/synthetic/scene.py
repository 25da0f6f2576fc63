"""Shots: who is where, does what when, and how the camera sees it. ``planning`` makes them, ``stage`` films them.

A movie is a row of shots with cuts between them. In a *still* shot the camera rests on people who stay where they are;
in a *tracking* shot it goes along with people who walk or run; in a *crossing* shot somebody walks through the picture.
*Together* means people who shake hands, hug or fight; *lying* and *falling* people need more room. The *paired* shots
show what differs by motion alone (``motion_pairs``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from ava_detect.datasets.synthetic.actions import Activity
from ava_detect.datasets.synthetic.appearance import Look
from ava_detect.datasets.synthetic.backdrop import Place
from ava_detect.datasets.synthetic.camera import Camera
from ava_detect.datasets.synthetic.movement import Style
from ava_detect.datasets.synthetic.skeleton import Pose

Array = npt.NDArray[np.float64]

CHANGE_SECONDS = 0.5  # how long somebody takes from one activity to the next


class ShotKind(StrEnum):
    """What the camera and the people do; see the top of the file."""

    STILL = "still"
    TRACKING = "tracking"
    CROSSING = "crossing"
    TOGETHER = "together"
    LYING = "lying"
    FALLING = "falling"
    PAIRED_STEPS = "paired steps"
    PAIRED_HANDS = "paired hands"


class Repertoire(StrEnum):
    """What a movie shows: ordinary actions that look different, or only pairs that differ by their cadence."""

    EVERYDAY = "everyday"
    MOTION_PAIRS = "motion_pairs"


class ClutterKind(StrEnum):
    """Things that are no people: some stand in front of them, some move."""

    BENCH = "bench"
    PLANT = "plant"
    POST = "post"
    BALL = "ball"
    BIRD = "bird"
    CAR = "car"


@dataclass(frozen=True)
class Clutter:
    """A thing at ``x_metres``, ``z_metres`` when the shot starts, moving ``speed`` metres/s along x.

    ``seed``: for its looks.
    """

    kind: ClutterKind
    x_metres: float
    z_metres: float
    speed: float
    seed: int


@dataclass(frozen=True)
class Cue:
    """From ``start_seconds`` of the movie on: do ``activity``, turned by ``yaw_degrees``."""

    start_seconds: float
    activity: Activity
    yaw_degrees: float


@dataclass(frozen=True, eq=False)
class Actor:
    """One person of a shot. ``ground``: x and z in metres at ``cues[0].start_seconds``; ``speed``: metres/s along x."""

    person_id: int
    look: Look
    style: Style
    cues: tuple[Cue, ...]
    ground: Array
    speed: float
    prop_color: Array

    @property
    def needs_seat(self) -> bool:
        """Whether the actor sits throughout."""
        return self.cues[0].activity.needs_seat

    def activity_at(self, seconds: float) -> Activity:
        """What is true of the actor at a time of the movie."""
        return self.cues[self._cue_index(seconds)].activity

    def ground_at(self, seconds: float) -> Array:
        """X and z in metres."""
        walked = self.speed * (seconds - self.cues[0].start_seconds)
        return np.array([self.ground[0] + walked, self.ground[1]])

    def pose_at(self, seconds: float) -> tuple[Pose, float]:
        """Pose and yaw; around a change of activity, a blend of both."""
        index = self._cue_index(seconds)
        cue = self.cues[index]
        pose = cue.activity.pose_at(seconds, self.style)
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
        pose = cue.activity.pose_at(seconds, self.style)
        blended = pose.blended(other.activity.pose_at(seconds, self.style), share)
        return blended, (1 - share) * cue.yaw_degrees + share * other.yaw_degrees

    def _cue_index(self, seconds: float) -> int:
        return max(0, sum(cue.start_seconds <= seconds + 1e-9 for cue in self.cues) - 1)


def _smooth(share: float) -> float:
    return share * share * (3 - 2 * share)


@dataclass(frozen=True, eq=False)
class Shot:
    """One uncut stretch of a movie, ``start_seconds`` <= t < ``end_seconds``.

    ``camera_speed``: metres/s along x. ``light``: unit vector towards the light (right, down, towards us).
    ``tint``: RGB factors of the whole picture. ``seed``: for everything that the stage paints.
    """

    kind: ShotKind
    start_seconds: float
    end_seconds: float
    place: Place
    camera: Camera
    camera_speed: float
    wall_metres: float
    actors: tuple[Actor, ...]
    clutter: tuple[Clutter, ...]
    light: Array
    tint: Array
    seed: int

    def camera_at(self, seconds: float) -> Camera:
        """The camera at a time of the movie, without its unrest."""
        return replace(self.camera, x_metres=self.camera_speed * (seconds - self.start_seconds))
