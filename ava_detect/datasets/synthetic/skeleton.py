"""A skeleton of ten segments: joint angles in, joint positions out (forward kinematics).

Proportions follow the anthropometric averages of Drillis and Contini (1966, as tabulated in Winter, Biomechanics
and Motor Control of Human Movement): thigh 0.245, shin 0.246, upper arm 0.186, forearm 0.146 of body height.

Angles are absolute, not relative to the parent segment, so that "arms hang down" stays true of somebody who bends.
``swing`` tips a segment forward, ``spread`` away from the body's midline (for torso and head: to its left).
Legs and arms are measured from hanging down, torso and head from upright.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from ava_detect.datasets.synthetic.camera import facing_axes

Array = npt.NDArray[np.float64]

THIGH, SHIN, UPPER_ARM, FOREARM, HAND = 0.245, 0.246, 0.186, 0.146, 0.085
TORSO, NECK_AND_HEAD = 0.290, 0.112
HALF_HIP, HALF_SHOULDER = 0.052, 0.100
ANKLE_HEIGHT, FOOT, HEEL = 0.042, 0.105, 0.022
SOLE_RADIUS = 0.018
# half the thickness of what else may lie on the ground
KNEE_RADIUS, SEAT_RADIUS, BACK_RADIUS, ELBOW_RADIUS = 0.036, 0.066, 0.06, 0.026


class Segment(IntEnum):
    """The rows of a pose; left and right are the person's own."""

    TORSO = 0
    HEAD = 1
    LEFT_UPPER_ARM = 2
    RIGHT_UPPER_ARM = 3
    LEFT_FOREARM = 4
    RIGHT_FOREARM = 5
    LEFT_THIGH = 6
    RIGHT_THIGH = 7
    LEFT_SHIN = 8
    RIGHT_SHIN = 9


ARMS = [Segment.LEFT_UPPER_ARM, Segment.RIGHT_UPPER_ARM, Segment.LEFT_FOREARM, Segment.RIGHT_FOREARM]


@dataclass(frozen=True, eq=False)
class Pose:
    """``angles_degrees`` ``[10, 2]``: swing and spread per ``Segment``. ``airborne_metres``: lift off the ground."""

    angles_degrees: Array
    airborne_metres: float = 0.0

    def blended(self, other: Pose, share: float) -> Pose:
        """The pose between this one (``share`` 0) and ``other`` (1)."""
        return Pose(
            (1 - share) * self.angles_degrees + share * other.angles_degrees,
            (1 - share) * self.airborne_metres + share * other.airborne_metres,
        )

    def with_arms_of(self, other: Pose) -> Pose:
        """This pose with the arms of ``other``."""
        angles = self.angles_degrees.copy()
        angles[ARMS] = other.angles_degrees[ARMS]
        return Pose(angles, self.airborne_metres)

    def leaning(self, degrees: float) -> Pose:
        """This pose with torso and head tipped forward by ``degrees``."""
        angles = self.angles_degrees.copy()
        angles[[Segment.TORSO, Segment.HEAD], 0] += degrees
        return Pose(angles, self.airborne_metres)


@dataclass(frozen=True, eq=False)
class Joints:
    """World positions in metres, ``[3]`` each, or ``[2, 3]`` for the left and the right one.

    ``axes``: the person's left, up and forward in world axes ``[3, 3]``.
    """

    axes: Array
    pelvis: Array
    chest: Array
    head: Array
    head_up: Array
    shoulders: Array
    elbows: Array
    wrists: Array
    fingertips: Array
    hips: Array
    knees: Array
    ankles: Array
    heels: Array
    toes: Array


def joints_of(pose: Pose, height_metres: float, ground: Array, yaw_degrees: float) -> Joints:
    """Joint positions of somebody ``height_metres`` tall who stands over the ground point ``ground [x, z]``.

    The lowest part of the body touches the ground unless the pose is airborne, so the pelvis finds its own height:
    standing, kneeling, sitting and lying need nothing else.
    """
    angles = np.deg2rad(pose.angles_degrees)
    torso, head_up = _rising(angles[Segment.TORSO]), _rising(angles[Segment.HEAD])
    upper_arms, forearms = _hanging(angles[2:4]), _hanging(angles[4:6])
    thighs, shins = _hanging(angles[6:8]), _hanging(angles[8:10])
    side = np.array([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]])
    # the shoulder line is at right angles to the torso
    shoulder_line = np.array([torso[1], -torso[0], 0.0]) / np.hypot(torso[0], torso[1])
    pelvis = np.zeros(3)
    chest = TORSO * torso
    shoulders = chest + HALF_SHOULDER * np.stack([shoulder_line, -shoulder_line])
    elbows = shoulders + UPPER_ARM * upper_arms
    wrists = elbows + FOREARM * forearms
    hips = HALF_HIP * side
    knees = hips + THIGH * thighs
    ankles = knees + SHIN * shins
    heels, toes = (ankles + offset for offset in _feet(angles[8:10, 0]))
    lowest = min(
        float(np.minimum(heels[:, 1], toes[:, 1]).min()) - SOLE_RADIUS,
        float(knees[:, 1].min()) - KNEE_RADIUS,
        float(elbows[:, 1].min()) - ELBOW_RADIUS,
        float(chest[1]) - BACK_RADIUS,
        -SEAT_RADIUS,
    )
    axes = facing_axes(yaw_degrees)
    root = np.array([ground[0], pose.airborne_metres - lowest * height_metres, ground[1]])

    def placed(points: Array) -> Array:
        return root + height_metres * (points @ axes)

    return Joints(
        axes=axes,
        pelvis=placed(pelvis),
        chest=placed(chest),
        head=placed(chest + NECK_AND_HEAD * head_up),
        head_up=head_up @ axes,
        shoulders=placed(shoulders),
        elbows=placed(elbows),
        wrists=placed(wrists),
        fingertips=placed(wrists + HAND * forearms),
        hips=placed(hips),
        knees=placed(knees),
        ankles=placed(ankles),
        heels=placed(heels),
        toes=placed(toes),
    )


def _rising(angles: Array) -> Array:
    """Direction of a segment that points up at 0, 0; body axes left, up, forward."""
    swing, spread = angles
    return np.array([np.sin(spread), np.cos(spread) * np.cos(swing), np.cos(spread) * np.sin(swing)])


def _hanging(angles: Array) -> Array:
    """Directions ``[2, 3]`` of a left and a right segment that point down at 0, 0."""
    swing, spread = angles[:, 0], angles[:, 1]
    outwards = np.sin(spread) * np.array([1.0, -1.0])
    return np.stack([outwards, -np.cos(spread) * np.cos(swing), np.cos(spread) * np.sin(swing)], axis=1)


def _feet(shin_swing: Array) -> tuple[Array, Array]:
    """From ankle to heel and to toe, ``[2, 3]`` each: flat on the ground, toes down when the shin leans back.

    When the shin is stretched out in front, the toes point up.
    """
    pitch = np.clip(-0.9 * shin_swing - np.deg2rad(12), 0.0, np.deg2rad(75))
    pitch = pitch - np.clip(1.7 * (shin_swing - np.deg2rad(40)), 0.0, np.deg2rad(85))
    forward = np.stack([np.zeros(2), -np.sin(pitch), np.cos(pitch)], axis=1)
    down = np.stack([np.zeros(2), -np.cos(pitch), -np.sin(pitch)], axis=1)
    drop = (ANKLE_HEIGHT - SOLE_RADIUS) * down
    return drop - HEEL * forward, drop + FOOT * forward
