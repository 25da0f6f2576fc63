"""Building blocks of poses and gestures: a person's style of moving, cycles, and tables of angles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ava_detect.datasets.synthetic.skeleton import Pose, Segment

SwingSpread = tuple[float, float]  # degrees, see ``skeleton``


@dataclass(frozen=True)
class Style:
    """How one person moves.

    Attributes:
        tempo: Factor of the speed of movements, around 1.
        vigour: Factor of the size of movements, around 1.
        phase: Where cycles start, 0 to 1.
        left_handed: Whether the left arm waves, drinks and phones.
        slouch_degrees: Forward lean of torso and head.
    """

    tempo: float = 1.0
    vigour: float = 1.0
    phase: float = 0.0
    left_handed: bool = False
    slouch_degrees: float = 0.0


def cycle(seconds: float, hertz: float, style: Style) -> float:
    """Return the phase angle of a periodic movement.

    Args:
        seconds: Time of the movie.
        hertz: Cycles per second.
        style: The person's style; its ``phase`` is added.

    Returns:
        The angle in radians.
    """
    return float(2 * np.pi * (seconds * hertz + style.phase))


def pulse(share: float, start: float, end: float) -> float:
    """Return a smooth pulse that rises from 0 to 1 and falls back to 0.

    Args:
        share: Position in the cycle, 0 to 1.
        start: Where the pulse starts.
        end: Where it ends.

    Returns:
        The height of the pulse, 0 outside ``start`` to ``end``.
    """
    inside = (share - start) / (end - start)
    return float(np.sin(np.pi * inside) ** 2) if 0 < inside < 1 else 0.0


def posed(angles: dict[Segment, SwingSpread], airborne_metres: float = 0.0) -> Pose:
    """Build a pose from the angles of some segments; the others hang down or stand upright.

    Args:
        angles: Swing and spread in degrees by segment.
        airborne_metres: Height of the body's lowest point above the ground.

    Returns:
        The pose.
    """
    rows = np.zeros((len(Segment), 2))
    for segment, pair in angles.items():
        rows[segment] = pair
    return Pose(rows, airborne_metres)


def symmetric(
    upper_arms: SwingSpread, forearms: SwingSpread, thighs: SwingSpread = (0.0, 0.0), shins: SwingSpread = (0.0, 0.0)
) -> dict[Segment, SwingSpread]:
    """Return the angles of limbs that are the same on both sides.

    Args:
        upper_arms: Swing and spread in degrees of both upper arms.
        forearms: Those of both forearms.
        thighs: Those of both thighs.
        shins: Those of both shins.

    Returns:
        The angles by segment.
    """
    pairs = {
        (Segment.LEFT_UPPER_ARM, Segment.RIGHT_UPPER_ARM): upper_arms,
        (Segment.LEFT_FOREARM, Segment.RIGHT_FOREARM): forearms,
        (Segment.LEFT_THIGH, Segment.RIGHT_THIGH): thighs,
        (Segment.LEFT_SHIN, Segment.RIGHT_SHIN): shins,
    }
    return {segment: angles for both, angles in pairs.items() for segment in both}


def one_arm(upper_arm: SwingSpread, forearm: SwingSpread, style: Style) -> dict[Segment, SwingSpread]:
    """Return the angles of two arms, of which the dominant one moves and the other hangs.

    Args:
        upper_arm: Swing and spread in degrees of the dominant upper arm.
        forearm: Those of the dominant forearm.
        style: The person's style, which says which arm is dominant.

    Returns:
        The angles by segment.
    """
    angles = symmetric((4, 8), (12, 5))
    upper, lower = (
        (Segment.LEFT_UPPER_ARM, Segment.LEFT_FOREARM)
        if style.left_handed
        else (Segment.RIGHT_UPPER_ARM, Segment.RIGHT_FOREARM)
    )
    return angles | {upper: upper_arm, lower: forearm}
