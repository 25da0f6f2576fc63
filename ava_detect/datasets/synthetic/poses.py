"""Poses and movements of the whole body (AVA ids 1-14) as functions of time.

Numbers in parentheses are swing and spread in degrees (``skeleton``); ``symmetric`` takes those of upper arms,
forearms, thighs and shins.
"""

from __future__ import annotations

import numpy as np

from ava_detect.datasets.synthetic.movement import Style, cycle, posed, pulse, symmetric
from ava_detect.datasets.synthetic.skeleton import Pose, Segment

WALK_HERTZ, RUN_HERTZ = 0.85, 1.35  # strides (two steps) per second at tempo 1
WALK_AMPLITUDE, RUN_AMPLITUDE = 25.0, 29.0  # swing of the thigh to either side, degrees
JUMP_HEIGHT_METRES = 0.32


def stand(seconds: float, style: Style) -> Pose:
    """Stand upright with the arms down, shifting the weight a little from foot to foot.

    Args:
        seconds: Time of the movie.
        style: The person's style.

    Returns:
        The pose.
    """
    sway = 1.5 * np.sin(cycle(seconds, 0.22 * style.tempo, style))
    look = 4 * np.sin(cycle(seconds, 0.31, style))
    angles = symmetric((4 + sway, 8), (12 + 2 * sway, 5), (0, 4), (-2, 3))
    angles[Segment.TORSO] = (style.slouch_degrees, sway)
    angles[Segment.HEAD] = (style.slouch_degrees + 3, look)
    return posed(angles)


def walk(seconds: float, style: Style) -> Pose:
    """Walk: one leg swings while the other carries; the arms swing against the legs.

    Args:
        seconds: Time of the movie.
        style: The person's style.

    Returns:
        The pose.
    """
    angle = cycle(seconds, WALK_HERTZ * style.tempo, style)
    return _stride(angle, WALK_AMPLITUDE, 22 * style.vigour, (8, 52), 20, 3, style)


def run(seconds: float, style: Style) -> Pose:
    """Run: like walking, but leaning, with bent arms, high heels and a phase of flight.

    Args:
        seconds: Time of the movie.
        style: The person's style.

    Returns:
        The pose.
    """
    angle = cycle(seconds, RUN_HERTZ * style.tempo, style)
    pose = _stride(angle, RUN_AMPLITUDE, 38 * style.vigour, (18, 80), 80, 10, style)
    return Pose(pose.angles_degrees, 0.07 * float(np.abs(np.sin(angle))))


def _stride(
    angle: float, legs: float, arms: float, knee: tuple[float, float], elbow: float, lean: float, style: Style
) -> Pose:
    """Return a pose of walking or running at a phase ``angle`` in radians; all other angles are in degrees.

    ``legs`` and ``arms`` are amplitudes of their swing, ``knee`` is the least bend and the bend added while the leg
    comes forward, ``elbow`` is the bend of the arms, and ``lean`` tilts the torso forward.
    """
    angles: dict[Segment, tuple[float, float]] = {
        Segment.TORSO: (lean + style.slouch_degrees, 1.5 * np.sin(angle)),
        Segment.HEAD: (lean / 2 + style.slouch_degrees, 0.0),
    }
    sides = (
        (Segment.LEFT_UPPER_ARM, Segment.LEFT_FOREARM, Segment.LEFT_THIGH, Segment.LEFT_SHIN, 0.0),
        (Segment.RIGHT_UPPER_ARM, Segment.RIGHT_FOREARM, Segment.RIGHT_THIGH, Segment.RIGHT_SHIN, np.pi),
    )
    for upper_arm, forearm, thigh, shin, offset in sides:  # offset: half a cycle between the sides
        thigh_swing = 3 + legs * np.sin(angle + offset)
        knee_bend = knee[0] + knee[1] * max(0.0, np.cos(angle + offset)) ** 1.3  # bent while the leg comes forward
        arm_swing = -arms * np.sin(angle + offset)
        angles[thigh] = (thigh_swing, 2)
        angles[shin] = (thigh_swing - knee_bend, 1)
        angles[upper_arm] = (arm_swing, 7)
        angles[forearm] = (arm_swing + elbow, 3)
    return posed(angles)


def sit(seconds: float, style: Style) -> Pose:
    """Sit: thighs level, shins down, hands on the knees.

    Args:
        seconds: Time of the movie.
        style: The person's style.

    Returns:
        The pose.
    """
    sway = 2 * np.sin(cycle(seconds, 0.2 * style.tempo, style))
    angles = symmetric((24 + sway, 9), (62, -4), (86, 9), (4, 4))
    angles[Segment.TORSO] = (style.slouch_degrees + 2 + sway, 0.0)
    angles[Segment.HEAD] = (style.slouch_degrees + 4, 3 * np.sin(cycle(seconds, 0.3, style)))
    return posed(angles)


def bend(seconds: float, style: Style) -> Pose:
    """Bend forward at the waist, hands reaching for the ground.

    Args:
        seconds: Time of the movie.
        style: The person's style.

    Returns:
        The pose.
    """
    work = np.sin(cycle(seconds, 0.6 * style.tempo, style))
    angles = symmetric((16 + 8 * work, 6), (28 + 12 * work, 0), (26, 7), (-4, 4))
    angles[Segment.TORSO] = (54 + 8 * work, 0.0)
    angles[Segment.HEAD] = (56 + 6 * work, 0.0)
    return posed(angles)


def crouch(seconds: float, style: Style) -> Pose:
    """Kneel on one knee, the other foot in front, hands busy close to the ground.

    Args:
        seconds: Time of the movie.
        style: The person's style.

    Returns:
        The pose.
    """
    work = np.sin(cycle(seconds, 0.5 * style.tempo, style))
    angles = symmetric((38 + 8 * work, 8), (52 + 14 * work, -4))
    angles |= {
        Segment.TORSO: (14 + style.slouch_degrees + 4 * work, 0.0),
        Segment.HEAD: (18 + 3 * work, 0.0),
        Segment.LEFT_THIGH: (88, 9),
        Segment.LEFT_SHIN: (4, 4),
        Segment.RIGHT_THIGH: (4, 4),
        Segment.RIGHT_SHIN: (-104, 2),
    }
    return posed(angles)


def jump(seconds: float, style: Style) -> Pose:
    """Jump repeatedly: crouch, fly, land; the arms swing up in flight.

    Args:
        seconds: Time of the movie.
        style: The person's style.

    Returns:
        The pose.
    """
    share = (seconds * 0.95 * style.tempo + style.phase) % 1.0
    # Crouch before the jump (0 to 0.36 of the cycle) and after it (0.78 to 1); fly along a parabola in between.
    crouch = np.sin(np.pi * share / 0.36) if share < 0.36 else np.sin(np.pi * (share - 0.78) / 0.22) * (share > 0.78)
    flight = (share - 0.36) / 0.42
    lift = 4 * flight * (1 - flight) if 0 < flight < 1 else 0.0
    tuck = 18 * lift
    angles = symmetric(
        (-30 * crouch + 105 * lift, 12),
        (10 - 10 * crouch + 125 * lift, 6),
        (52 * crouch + tuck, 5),
        (-48 * crouch - tuck, 4),
    )
    angles[Segment.TORSO] = (28 * crouch + style.slouch_degrees, 0.0)
    angles[Segment.HEAD] = (8 * crouch, 0.0)
    return posed(angles, JUMP_HEIGHT_METRES * style.vigour * lift)


def lie(seconds: float, style: Style) -> Pose:
    """Lie on the back, the upper body propped up, one knee raised, breathing.

    Args:
        seconds: Time of the movie.
        style: The person's style.

    Returns:
        The pose.
    """
    breath = 2 * np.sin(cycle(seconds, 0.28, style))
    angles = symmetric((-20, 16), (14 + breath, 10))
    angles |= {
        Segment.TORSO: (-52 + breath, 0.0),
        Segment.HEAD: (-34 + breath, 5 * np.sin(cycle(seconds, 0.17, style))),
        Segment.LEFT_THIGH: (86, 6),
        Segment.LEFT_SHIN: (86, 4),
        Segment.RIGHT_THIGH: (128, 7),
        Segment.RIGHT_SHIN: (38, 4),
    }
    return posed(angles)


def dance(seconds: float, style: Style) -> Pose:
    """Dance: hips from side to side, knees in turn, both arms swinging overhead.

    Args:
        seconds: Time of the movie.
        style: The person's style.

    Returns:
        The pose.
    """
    beat = np.sin(cycle(seconds, 1.0 * style.tempo, style))
    bounce = 0.5 - 0.5 * np.cos(2 * cycle(seconds, 1.0 * style.tempo, style))
    left, right = max(beat, 0.0), max(-beat, 0.0)
    swing = 24 * style.vigour * beat
    return posed(
        {
            Segment.TORSO: (2 + style.slouch_degrees, 13 * beat),
            Segment.HEAD: (3, -8 * beat),
            Segment.LEFT_UPPER_ARM: (12, 108 + swing),
            Segment.RIGHT_UPPER_ARM: (12, 108 - swing),
            Segment.LEFT_FOREARM: (14, 152 + swing),
            Segment.RIGHT_FOREARM: (14, 152 - swing),
            Segment.LEFT_THIGH: (10 + 34 * right, 14),
            Segment.RIGHT_THIGH: (10 + 34 * left, 14),
            Segment.LEFT_SHIN: (-8 - 34 * right, 2),
            Segment.RIGHT_SHIN: (-8 - 34 * left, 2),
        },
        0.04 * bounce,
    )


def fall(seconds: float, style: Style) -> Pose:
    """Fall backwards from standing to the ground; the fall restarts on every half second like a replay.

    Every whole second lies in the middle of the fall.

    Args:
        seconds: Time of the movie.
        style: The person's style.

    Returns:
        The pose.
    """
    # Position in the fall, 0 to 1, and how far down the body is: slow at first, like free fall.
    share = (seconds + 0.5 + 0.12 * (style.phase - 0.5)) % 1.0
    down = share**1.4
    flail = np.sin(2 * np.pi * 2.2 * share)
    angles = symmetric(
        (60 + 50 * down, 40 + 26 * flail), (95 + 30 * down, 46 - 24 * flail), (4 + 80 * down, 8), (52 * down, 6)
    )
    angles[Segment.LEFT_SHIN] = (80 * down, 4)
    angles[Segment.TORSO] = (-64 * down, 0.0)
    angles[Segment.HEAD] = (-44 * down, 0.0)
    return posed(angles)


def martial_art(seconds: float, style: Style) -> Pose:
    """Kick: fists up in a wide stance, and a high kick with the front leg about once a second.

    Args:
        seconds: Time of the movie.
        style: The person's style.

    Returns:
        The pose.
    """
    share = (seconds * 0.9 * style.tempo + style.phase) % 1.0
    # Lift of the thigh and, within it, the thrust of the shin.
    kick = pulse(share, 0.25, 0.85)
    thrust = pulse(share, 0.35, 0.75)
    lead, rear = (
        ((Segment.LEFT_THIGH, Segment.LEFT_SHIN), (Segment.RIGHT_THIGH, Segment.RIGHT_SHIN))
        if style.left_handed
        else ((Segment.RIGHT_THIGH, Segment.RIGHT_SHIN), (Segment.LEFT_THIGH, Segment.LEFT_SHIN))
    )
    angles = symmetric((34 - 18 * kick, 12), (126 - 20 * kick, -12))
    angles |= {
        Segment.TORSO: (6 - 24 * kick, 0.0),
        Segment.HEAD: (2 - 8 * kick, 0.0),
        lead[0]: (28 + 66 * kick, 6),
        lead[1]: (-6 - 30 * kick + 118 * thrust, 4),
        rear[0]: (-16 + 10 * kick, 7),
        rear[1]: (-30 + 12 * kick, 4),
    }
    return posed(angles)
