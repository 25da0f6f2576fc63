"""What the figures do: poses as functions of time, under AVA's action ids.

An ``Activity`` is one pose or movement (AVA ids 1-14), with or without a gesture of the arms that goes with it
(object and person actions). To add an action, write its function and enter it in ``POSES`` or ``GESTURES``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ava_detect.synthetic.skeleton import ANKLE_HEIGHT, SHIN, THIGH, Pose, Segment

BEND, JUMP, RUN, SIT, STAND, WALK = 1, 7, 10, 11, 12, 14
CARRY, CLAP, WAVE = 17, 67, 69

WALK_AMPLITUDE, RUN_AMPLITUDE = 25.0, 29.0  # degrees of the thigh to either side
JUMP_HEIGHT_METRES = 0.32


@dataclass(frozen=True)
class Style:
    """How one person moves. ``tempo`` and ``vigour``: factors around 1. ``phase``: 0..1, where cycles start.

    ``left_handed``: which arm waves. ``slouch_degrees``: how far the head and torso lean forward.
    """

    tempo: float = 1.0
    vigour: float = 1.0
    phase: float = 0.0
    left_handed: bool = False
    slouch_degrees: float = 0.0


@dataclass(frozen=True)
class Activity:
    """A pose, and the gesture that goes with it or None."""

    pose: int
    gesture: int | None = None

    @property
    def action_ids(self) -> tuple[int, ...]:
        """The AVA ids that are true of somebody who does this."""
        return (self.pose,) if self.gesture is None else (self.pose, self.gesture)

    @property
    def needs_seat(self) -> bool:
        """Whether there must be something to sit on."""
        return self.pose == SIT

    def pose_at(self, seconds: float, style: Style) -> Pose:
        """The skeleton at a time."""
        pose = POSES[self.pose](seconds, style)
        return pose if self.gesture is None else pose.with_arms_of(GESTURES[self.gesture](seconds, style))

    def speed(self, height_metres: float, style: Style) -> float:
        """Metres per second along the ground at which the feet do not slide."""
        leg = (THIGH + SHIN + ANKLE_HEIGHT) * height_metres
        if self.pose == WALK:  # two steps a cycle, each as long as the legs are apart
            return 4 * leg * float(np.sin(np.deg2rad(WALK_AMPLITUDE))) * _walk_rate(style)
        if self.pose == RUN:  # a foot only touches the ground while it swings back fastest
            return 2 * np.pi * leg * float(np.deg2rad(RUN_AMPLITUDE)) * _run_rate(style)
        return 0.0


def _walk_rate(style: Style) -> float:
    return 0.85 * style.tempo


def _run_rate(style: Style) -> float:
    return 1.35 * style.tempo


def _cycle(seconds: float, rate: float, style: Style) -> float:
    """Angle in radians of something that repeats ``rate`` times a second."""
    return float(2 * np.pi * (seconds * rate + style.phase))


def _pose(angles: dict[Segment, tuple[float, float]], airborne_metres: float = 0.0) -> Pose:
    rows = np.zeros((len(Segment), 2))
    for segment, pair in angles.items():
        rows[segment] = pair
    return Pose(rows, airborne_metres)


def _symmetric(
    upper_arms: tuple[float, float],
    forearms: tuple[float, float],
    thighs: tuple[float, float] = (0.0, 0.0),
    shins: tuple[float, float] = (0.0, 0.0),
) -> dict[Segment, tuple[float, float]]:
    pairs = {
        (Segment.LEFT_UPPER_ARM, Segment.RIGHT_UPPER_ARM): upper_arms,
        (Segment.LEFT_FOREARM, Segment.RIGHT_FOREARM): forearms,
        (Segment.LEFT_THIGH, Segment.RIGHT_THIGH): thighs,
        (Segment.LEFT_SHIN, Segment.RIGHT_SHIN): shins,
    }
    return {segment: angles for both, angles in pairs.items() for segment in both}


def stand(seconds: float, style: Style) -> Pose:
    """Upright, arms down, shifting a little from foot to foot."""
    sway = 1.5 * np.sin(_cycle(seconds, 0.22 * style.tempo, style))
    look = 4 * np.sin(_cycle(seconds, 0.31, style))
    angles = _symmetric((4 + sway, 8), (12 + 2 * sway, 5), (0, 4), (-2, 3))
    angles[Segment.TORSO] = (style.slouch_degrees, sway)
    angles[Segment.HEAD] = (style.slouch_degrees + 3, look)
    return _pose(angles)


def walk(seconds: float, style: Style) -> Pose:
    """One leg swings while the other carries; the arms swing against the legs."""
    return _stride(_cycle(seconds, _walk_rate(style), style), WALK_AMPLITUDE, 22 * style.vigour, (8, 52), 20, 3, style)


def run(seconds: float, style: Style) -> Pose:
    """Like walking, but leaning, with bent arms, high heels and both feet off the ground for a moment."""
    angle = _cycle(seconds, _run_rate(style), style)
    pose = _stride(angle, RUN_AMPLITUDE, 38 * style.vigour, (18, 80), 80, 10, style)
    return Pose(pose.angles_degrees, 0.07 * float(np.abs(np.sin(angle))))


def _stride(
    angle: float, legs: float, arms: float, knee: tuple[float, float], elbow: float, lean: float, style: Style
) -> Pose:
    angles: dict[Segment, tuple[float, float]] = {
        Segment.TORSO: (lean + style.slouch_degrees, 1.5 * np.sin(angle)),
        Segment.HEAD: (lean / 2 + style.slouch_degrees, 0.0),
    }
    sides = (
        (Segment.LEFT_UPPER_ARM, Segment.LEFT_FOREARM, Segment.LEFT_THIGH, Segment.LEFT_SHIN, 0.0),
        (Segment.RIGHT_UPPER_ARM, Segment.RIGHT_FOREARM, Segment.RIGHT_THIGH, Segment.RIGHT_SHIN, np.pi),
    )
    for upper_arm, forearm, thigh, shin, offset in sides:
        thigh_swing = 3 + legs * np.sin(angle + offset)
        knee_bend = knee[0] + knee[1] * max(0.0, np.cos(angle + offset)) ** 1.3  # bent while the leg comes forward
        arm_swing = -arms * np.sin(angle + offset)
        angles[thigh] = (thigh_swing, 2)
        angles[shin] = (thigh_swing - knee_bend, 1)
        angles[upper_arm] = (arm_swing, 7)
        angles[forearm] = (arm_swing + elbow, 3)
    return _pose(angles)


def sit(seconds: float, style: Style) -> Pose:
    """Seated: thighs level, shins down, hands on the knees."""
    sway = 2 * np.sin(_cycle(seconds, 0.2 * style.tempo, style))
    angles = _symmetric((24 + sway, 9), (62, -4), (86, 9), (4, 4))
    angles[Segment.TORSO] = (style.slouch_degrees + 2 + sway, 0.0)
    angles[Segment.HEAD] = (style.slouch_degrees + 4, 3 * np.sin(_cycle(seconds, 0.3, style)))
    return _pose(angles)


def bend(seconds: float, style: Style) -> Pose:
    """Bent forward at the waist, hands reaching for the ground."""
    work = np.sin(_cycle(seconds, 0.6 * style.tempo, style))
    angles = _symmetric((16 + 8 * work, 6), (28 + 12 * work, 0), (26, 7), (-4, 4))
    angles[Segment.TORSO] = (56 + 10 * work, 0.0)
    angles[Segment.HEAD] = (60 + 8 * work, 0.0)
    return _pose(angles)


def jump(seconds: float, style: Style) -> Pose:
    """Crouch, fly, land, over and over; the arms swing up in flight."""
    share = (seconds * 0.95 * style.tempo + style.phase) % 1.0
    crouch = np.sin(np.pi * share / 0.36) if share < 0.36 else np.sin(np.pi * (share - 0.78) / 0.22) * (share > 0.78)
    flight = (share - 0.36) / 0.42
    lift = 4 * flight * (1 - flight) if 0 < flight < 1 else 0.0
    tuck = 18 * lift
    angles = _symmetric(
        (-30 * crouch + 105 * lift, 12),
        (10 - 10 * crouch + 125 * lift, 6),
        (52 * crouch + tuck, 5),
        (-48 * crouch - tuck, 4),
    )
    angles[Segment.TORSO] = (28 * crouch + style.slouch_degrees, 0.0)
    angles[Segment.HEAD] = (8 * crouch, 0.0)
    return _pose(angles, JUMP_HEIGHT_METRES * style.vigour * lift)


def wave(seconds: float, style: Style) -> Pose:
    """One forearm up, swinging from side to side; the other arm hangs."""
    angles = _symmetric((4, 8), (12, 5))
    swing = np.sin(_cycle(seconds, 1.6 * style.tempo, style))
    upper_arm, forearm = (
        (Segment.LEFT_UPPER_ARM, Segment.LEFT_FOREARM)
        if style.left_handed
        else (Segment.RIGHT_UPPER_ARM, Segment.RIGHT_FOREARM)
    )
    angles[upper_arm] = (20, 78 + 6 * swing)
    angles[forearm] = (172, 6 + 32 * style.vigour * swing)
    return _pose(angles)


def clap(seconds: float, style: Style) -> Pose:
    """Both hands meet in front of the chest, again and again."""
    closed = 0.5 + 0.5 * np.sin(_cycle(seconds, 2.2 * style.tempo, style))
    return _pose(_symmetric((32, 16 - 4 * closed), (108, 6 - 50 * closed)))


def carry(seconds: float, style: Style) -> Pose:
    """Both hands hold something in front of the belly."""
    sway = 2 * np.sin(_cycle(seconds, 0.9 * style.tempo, style))
    return _pose(_symmetric((12 + sway, 10), (80 + sway, -14)))


POSES: dict[int, Callable[[float, Style], Pose]] = {
    BEND: bend,
    JUMP: jump,
    RUN: run,
    SIT: sit,
    STAND: stand,
    WALK: walk,
}
GESTURES: dict[int, Callable[[float, Style], Pose]] = {CARRY: carry, CLAP: clap, WAVE: wave}
ACTION_IDS = tuple(sorted([*POSES, *GESTURES]))

STANDING_ACTIVITIES = (
    Activity(STAND),
    Activity(STAND, WAVE),
    Activity(STAND, CLAP),
    Activity(STAND, CARRY),
    Activity(BEND),
    Activity(JUMP),
)
SEATED_ACTIVITIES = (Activity(SIT), Activity(SIT, WAVE), Activity(SIT, CLAP), Activity(SIT, CARRY))
MOVING_ACTIVITIES = (Activity(WALK), Activity(WALK, WAVE), Activity(WALK, CARRY), Activity(RUN))
