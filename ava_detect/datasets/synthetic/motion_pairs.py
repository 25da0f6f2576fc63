"""Pairs of actions that differ only by their frequency, and that a slow pathway cannot tell apart.

The slow pathway samples every eighth frame of a 30 fps grid, 3.75 frames per second. At that rate, a movement of
``3.75 - f`` hertz is an alias of a movement of ``f`` hertz that runs backwards. All angles here depend only on the sine
of the cycle's phase, so that every movement is its own mirror image in time. Phases are uniform, and frequencies are
drawn as ``f`` and ``3.75 - f`` from one distribution. The two actions of a pair therefore have the same single poses
and, at 3.75 frames per second, the same sequences of poses; at the fast pathway's 15 frames per second they do not.
"""

from __future__ import annotations

import numpy as np

from ava_detect.datasets.synthetic.movement import Style, posed, symmetric
from ava_detect.datasets.synthetic.skeleton import Pose, Segment

SLOW_PATHWAY_HERTZ = 30 / 8
LOW_HERTZ = (0.4, 0.7)  # range f of the slower action of a pair; the faster one has 3.75 - f


def pair_hertz(rng: np.random.Generator, *, is_fast: bool) -> float:
    """Draw a frequency.

    Args:
        rng: Source of the random number.
        is_fast: Whether it is for the faster action of a pair.

    Returns:
        Cycles per second.
    """
    low = float(rng.uniform(*LOW_HERTZ))
    return SLOW_PATHWAY_HERTZ - low if is_fast else low


def scissor_steps(sine: float, style: Style) -> Pose:
    """Return a pose of walking or running: legs and arms swing against each other.

    Args:
        sine: Sine of the cycle's phase, -1 to 1.
        style: The person's style.

    Returns:
        The pose.
    """
    angles: dict[Segment, tuple[float, float]] = {
        Segment.TORSO: (5 + style.slouch_degrees, 1.5 * sine),
        Segment.HEAD: (3 + style.slouch_degrees, 0.0),
    }
    # The right side is the mirror image of the left one.
    sides = (
        (Segment.LEFT_UPPER_ARM, Segment.LEFT_FOREARM, Segment.LEFT_THIGH, Segment.LEFT_SHIN, sine),
        (Segment.RIGHT_UPPER_ARM, Segment.RIGHT_FOREARM, Segment.RIGHT_THIGH, Segment.RIGHT_SHIN, -sine),
    )
    for upper_arm, forearm, thigh, shin, swing in sides:
        angles[thigh] = (4 + 28 * swing, 2)
        angles[shin] = (4 + 28 * swing - 30 + 18 * swing, 1)
        angles[upper_arm] = (-30 * style.vigour * swing, 7)
        angles[forearm] = (-30 * style.vigour * swing + 52, 3)
    return posed(angles)


def open_and_close(sine: float, style: Style) -> Pose:
    """Return a pose of waving or clapping: both raised hands move apart and together in front of the face.

    Args:
        sine: Sine of the cycle's phase, -1 to 1.
        style: The person's style.

    Returns:
        The pose.
    """
    return posed(symmetric((40, 22 + 8 * style.vigour * sine), (138, 2 + 30 * style.vigour * sine)))
