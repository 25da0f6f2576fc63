"""Actions that differ only by how fast they are repeated, and that a slow pathway cannot tell apart.

The slow pathway sees every eighth frame of a 30 fps grid, 3.75 frames a second. Seen so, a movement of ``3.75 - f``
hertz is an alias of one of ``f`` hertz that runs backwards. All angles here depend on the sine of the cycle's phase
alone, which makes every movement its own mirror image in time; phases are uniform, and rates are drawn as ``f`` and
``3.75 - f`` from one distribution. So the two actions of a pair have the same single poses and, at 3.75 frames a
second, the same sequences of them; at the fast pathway's 15 frames a second they do not.
"""

from __future__ import annotations

import numpy as np

from ava_detect.datasets.synthetic.movement import Style, posed, symmetric
from ava_detect.datasets.synthetic.skeleton import Pose, Segment

SLOW_PATHWAY_HERTZ = 30 / 8
LOW_HERTZ = (0.4, 0.7)  # of the slower action of a pair; the faster one has 3.75 less this


def pair_hertz(rng: np.random.Generator, *, is_fast: bool) -> float:
    """A rate for the slower or the faster action of a pair."""
    low = float(rng.uniform(*LOW_HERTZ))
    return SLOW_PATHWAY_HERTZ - low if is_fast else low


def scissor_steps(sine: float, style: Style) -> Pose:
    """Walk or run: legs and arms swing against each other; ``sine`` of the cycle's phase, -1..1."""
    angles: dict[Segment, tuple[float, float]] = {
        Segment.TORSO: (5 + style.slouch_degrees, 1.5 * sine),
        Segment.HEAD: (3 + style.slouch_degrees, 0.0),
    }
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
    """Wave or clap: both raised hands go apart and together in front of the face; ``sine`` as above."""
    return posed(symmetric((40, 22 + 8 * style.vigour * sine), (138, 2 + 30 * style.vigour * sine)))
