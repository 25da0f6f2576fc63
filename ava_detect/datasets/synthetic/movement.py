"""What poses and gestures are written with: a person's style of moving, cycles, and tables of angles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ava_detect.datasets.synthetic.skeleton import Pose, Segment

Pair = tuple[float, float]


@dataclass(frozen=True)
class Style:
    """How one person moves. ``tempo`` and ``vigour``: factors around 1. ``phase``: 0..1, where cycles start.

    ``left_handed``: which arm waves, drinks and phones. ``slouch_degrees``: how far the head and torso lean forward.
    """

    tempo: float = 1.0
    vigour: float = 1.0
    phase: float = 0.0
    left_handed: bool = False
    slouch_degrees: float = 0.0


def cycle(seconds: float, hertz: float, style: Style) -> float:
    """Angle in radians of something that repeats ``hertz`` times a second."""
    return float(2 * np.pi * (seconds * hertz + style.phase))


def pulse(share: float, start: float, end: float) -> float:
    """A smooth rise from 0 to 1 and back while ``share`` goes from ``start`` to ``end``, else 0."""
    inside = (share - start) / (end - start)
    return float(np.sin(np.pi * inside) ** 2) if 0 < inside < 1 else 0.0


def posed(angles: dict[Segment, Pair], airborne_metres: float = 0.0) -> Pose:
    """A pose from the angles of some segments; the others hang down or stand upright."""
    rows = np.zeros((len(Segment), 2))
    for segment, pair in angles.items():
        rows[segment] = pair
    return Pose(rows, airborne_metres)


def symmetric(
    upper_arms: Pair, forearms: Pair, thighs: Pair = (0.0, 0.0), shins: Pair = (0.0, 0.0)
) -> dict[Segment, Pair]:
    """The angles of limbs that do the same on both sides."""
    pairs = {
        (Segment.LEFT_UPPER_ARM, Segment.RIGHT_UPPER_ARM): upper_arms,
        (Segment.LEFT_FOREARM, Segment.RIGHT_FOREARM): forearms,
        (Segment.LEFT_THIGH, Segment.RIGHT_THIGH): thighs,
        (Segment.LEFT_SHIN, Segment.RIGHT_SHIN): shins,
    }
    return {segment: angles for both, angles in pairs.items() for segment in both}


def one_arm(upper_arm: Pair, forearm: Pair, style: Style) -> dict[Segment, Pair]:
    """The angles of arms of which the better one does something and the other hangs."""
    angles = symmetric((4, 8), (12, 5))
    upper, lower = (
        (Segment.LEFT_UPPER_ARM, Segment.LEFT_FOREARM)
        if style.left_handed
        else (Segment.RIGHT_UPPER_ARM, Segment.RIGHT_FOREARM)
    )
    return angles | {upper: upper_arm, lower: forearm}
