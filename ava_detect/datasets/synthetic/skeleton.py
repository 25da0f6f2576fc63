"""A skeleton of ten segments: joint angles in, joint positions out (forward kinematics).

Proportions follow the anthropometric averages of Drillis and Contini (1966, as tabulated in Winter, Biomechanics
and Motor Control of Human Movement): thigh 0.245, shin 0.246, upper arm 0.186, forearm 0.146 of body height.

Angles are absolute, not relative to the parent segment: an arm that hangs down still hangs down when the torso bends.
``swing`` tilts a segment forward, ``spread`` tilts it away from the body's midline (torso and head: to the person's
left). Legs and arms are measured from hanging down, torso and head from upright.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from ava_detect.datasets.synthetic.camera import facing_axes

Array = npt.NDArray[np.float64]

# Lengths of the segments, as fractions of body height.
THIGH, SHIN, UPPER_ARM, FOREARM, HAND = 0.245, 0.246, 0.186, 0.146, 0.085
TORSO, NECK_AND_HEAD = 0.290, 0.112
HALF_HIP, HALF_SHOULDER = 0.052, 0.100
ANKLE_HEIGHT, FOOT, HEEL = 0.042, 0.105, 0.022
# Half the thickness of the body parts that can touch the ground, as fractions of body height.
SOLE_RADIUS = 0.018
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
    """The angles of all segments.

    Attributes:
        angles_degrees: Swing and spread per ``Segment``, ``[10, 2]``.
        airborne_metres: Height of the body's lowest point above the ground, from 0.
    """

    angles_degrees: Array
    airborne_metres: float = 0.0

    def blended(self, other: Pose, share: float) -> Pose:
        """Interpolate linearly between this pose and another one.

        Args:
            other: The other pose.
            share: Weight of ``other``, 0 to 1.

        Returns:
            The pose in between.
        """
        return Pose(
            (1 - share) * self.angles_degrees + share * other.angles_degrees,
            (1 - share) * self.airborne_metres + share * other.airborne_metres,
        )

    def with_arms_of(self, other: Pose) -> Pose:
        """Replace the arms.

        Args:
            other: The pose that the arms are taken from.

        Returns:
            This pose with the arms of ``other``.
        """
        angles = self.angles_degrees.copy()
        angles[ARMS] = other.angles_degrees[ARMS]
        return Pose(angles, self.airborne_metres)

    def leaning(self, degrees: float) -> Pose:
        """Tilt torso and head forward.

        Args:
            degrees: Angle that is added to their swing.

        Returns:
            The leaning pose.
        """
        angles = self.angles_degrees.copy()
        angles[[Segment.TORSO, Segment.HEAD], 0] += degrees
        return Pose(angles, self.airborne_metres)


@dataclass(frozen=True, eq=False)
class Joints:
    """World positions in metres: x right, y up, z away from the camera. Pairs are the left and the right joint.

    Attributes:
        axes: The person's left, up and forward in world axes, as rows ``[3, 3]``.
        pelvis: Middle between the hips ``[3]``.
        chest: Middle between the shoulders ``[3]``.
        head: Middle of the head ``[3]``.
        head_up: Unit vector from neck to crown ``[3]``.
        shoulders: ``[2, 3]``.
        elbows: ``[2, 3]``.
        wrists: ``[2, 3]``.
        fingertips: ``[2, 3]``.
        hips: ``[2, 3]``.
        knees: ``[2, 3]``.
        ankles: ``[2, 3]``.
        heels: ``[2, 3]``.
        toes: ``[2, 3]``.
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
    """Compute the joint positions of a person.

    The lowest point of the body touches the ground unless the pose is airborne. The height of the pelvis follows from
    that, for standing, kneeling, sitting and lying alike.

    Args:
        pose: The angles of the segments.
        height_metres: Body height.
        ground: Ground point x, z in metres ``[2]`` below the pelvis.
        yaw_degrees: Direction that the person faces; 0 is towards the camera, see ``facing_axes``.

    Returns:
        The joints in world coordinates.
    """
    # Unit vectors along the segments, in body axes (left, up, forward).
    angles = np.deg2rad(pose.angles_degrees)  # [10, 2]
    torso, head_up = _rising(angles[Segment.TORSO]), _rising(angles[Segment.HEAD])  # [3] each
    upper_arms, forearms = _hanging(angles[2:4]), _hanging(angles[4:6])  # [2, 3] each, left and right
    thighs, shins = _hanging(angles[6:8]), _hanging(angles[8:10])
    side = np.array([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]])  # [2, 3], to the left and to the right
    # The line of the shoulders is at right angles to the torso, in the plane of left and up.
    shoulder_line = np.array([torso[1], -torso[0], 0.0]) / np.hypot(torso[0], torso[1])
    # Joint positions relative to the pelvis, in body axes and in body heights, from the pelvis outwards.
    pelvis = np.zeros(3)
    chest = TORSO * torso
    shoulders = chest + HALF_SHOULDER * np.stack([shoulder_line, -shoulder_line])  # [2, 3]
    elbows = shoulders + UPPER_ARM * upper_arms
    wrists = elbows + FOREARM * forearms
    hips = HALF_HIP * side
    knees = hips + THIGH * thighs
    ankles = knees + SHIN * shins
    heels, toes = (ankles + offset for offset in _feet(angles[8:10, 0]))
    # Position of the pelvis in the world: as high as the lowest point of the body is below it.
    lowest = _lowest_surface(chest, elbows, knees, np.minimum(heels, toes))
    axes = facing_axes(yaw_degrees)  # [3, 3], rows left, up, forward
    root = np.array([ground[0], pose.airborne_metres - lowest * height_metres, ground[1]])

    def in_world(points: Array) -> Array:
        """Convert points ``[..., 3]`` from body heights in body axes to metres in world axes."""
        return root + height_metres * (points @ axes)

    return Joints(
        axes=axes,
        pelvis=in_world(pelvis),
        chest=in_world(chest),
        head=in_world(chest + NECK_AND_HEAD * head_up),
        head_up=head_up @ axes,
        shoulders=in_world(shoulders),
        elbows=in_world(elbows),
        wrists=in_world(wrists),
        fingertips=in_world(wrists + HAND * forearms),
        hips=in_world(hips),
        knees=in_world(knees),
        ankles=in_world(ankles),
        heels=in_world(heels),
        toes=in_world(toes),
    )


def _lowest_surface(chest: Array, elbows: Array, knees: Array, soles: Array) -> float:
    """Return the height of the body's lowest surface point relative to the pelvis, in body heights, below 0.

    ``chest [3]``; ``elbows``, ``knees`` and ``soles`` (the lower of heel and toe) ``[2, 3]``.
    """
    return min(
        float(soles[:, 1].min()) - SOLE_RADIUS,
        float(knees[:, 1].min()) - KNEE_RADIUS,
        float(elbows[:, 1].min()) - ELBOW_RADIUS,
        float(chest[1]) - BACK_RADIUS,
        -SEAT_RADIUS,
    )


def _rising(angles: Array) -> Array:
    """Return the unit vector ``[3]`` of a segment that points up at angles ``[2]`` of 0, in body axes."""
    swing, spread = angles
    return np.array([np.sin(spread), np.cos(spread) * np.cos(swing), np.cos(spread) * np.sin(swing)])


def _hanging(angles: Array) -> Array:
    """Return the unit vectors ``[2, 3]`` of a left and a right segment that point down at angles ``[2, 2]`` of 0."""
    swing, spread = angles[:, 0], angles[:, 1]
    outwards = np.sin(spread) * np.array([1.0, -1.0])  # away from the midline is left for the left segment
    return np.stack([outwards, -np.cos(spread) * np.cos(swing), np.cos(spread) * np.sin(swing)], axis=1)


def _feet(shin_swing: Array) -> tuple[Array, Array]:
    """Return the vectors from ankle to heel and from ankle to toe, ``[2, 3]`` each, in body heights.

    The foot is flat on the ground. Its toes point down when the shin leans back, and up when the shin is stretched out
    in front. ``shin_swing``: radians ``[2]``.
    """
    # Pitch of the foot in radians, positive for toes down.
    pitch = np.clip(-0.9 * shin_swing - np.deg2rad(12), 0.0, np.deg2rad(75))
    pitch = pitch - np.clip(1.7 * (shin_swing - np.deg2rad(40)), 0.0, np.deg2rad(85))
    # Unit vectors along the sole and from ankle to sole.
    forward = np.stack([np.zeros(2), -np.sin(pitch), np.cos(pitch)], axis=1)
    down = np.stack([np.zeros(2), -np.cos(pitch), -np.sin(pitch)], axis=1)
    drop = (ANKLE_HEIGHT - SOLE_RADIUS) * down
    return drop - HEEL * forward, drop + FOOT * forward
