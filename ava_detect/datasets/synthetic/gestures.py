"""What the arms do (AVA object and person actions): poses of which only the arms count, as functions of time."""

from __future__ import annotations

import numpy as np

from ava_detect.datasets.synthetic.movement import Style, cycle, one_arm, posed, pulse, symmetric
from ava_detect.datasets.synthetic.skeleton import Pose, Segment


def wave(seconds: float, style: Style) -> Pose:
    """One forearm up, swinging from side to side; the other arm hangs."""
    swing = np.sin(cycle(seconds, 1.6 * style.tempo, style))
    return posed(one_arm((20, 78 + 6 * swing), (172, 6 + 32 * style.vigour * swing), style))


def clap(seconds: float, style: Style) -> Pose:
    """Both hands meet in front of the chest, again and again."""
    closed = 0.5 + 0.5 * np.sin(cycle(seconds, 2.2 * style.tempo, style))
    return posed(symmetric((38, 24 - 12 * closed), (104, 26 - 70 * closed)))


def hold(seconds: float, style: Style) -> Pose:
    """Both hands hold something in front of the belly: a parcel that is carried or a book that is read."""
    sway = 2 * np.sin(cycle(seconds, 0.9 * style.tempo, style))
    return posed(symmetric((16 + sway, 9), (92 + sway, -13)))


def hand_at_face(seconds: float, style: Style) -> Pose:
    """One hand beside the mouth and the ear, with a telephone or with something to drink in it."""
    sway = 3 * np.sin(cycle(seconds, 0.35 * style.tempo, style))
    return posed(one_arm((34 + sway, 62), (166, -60 + sway), style))


def shake_hands(seconds: float, style: Style) -> Pose:
    """The right hand reaches out to the middle between two people and goes up and down."""
    pump = 7 * np.sin(cycle(seconds, 1.5 * style.tempo, style))
    angles = symmetric((4, 8), (12, 5))
    angles[Segment.RIGHT_UPPER_ARM] = (34 + 0.6 * pump, -10)
    angles[Segment.RIGHT_FOREARM] = (80 + pump, -19)
    return posed(angles)


def hug(seconds: float, style: Style) -> Pose:
    """Both arms around somebody in front."""
    squeeze = 3 * np.sin(cycle(seconds, 0.5 * style.tempo, style))
    return posed(symmetric((50 + squeeze, 12), (98 + squeeze, -34)))


def fight(seconds: float, style: Style) -> Pose:
    """Fists up; twice in a cycle one of them shoots out, right and left in turn."""
    share = (seconds * 0.95 * style.tempo + style.phase) % 1.0
    right, left = pulse(share, 0.02, 0.26), pulse(share, 0.24, 0.48)
    angles = {}
    for upper_arm, forearm, punch in (
        (Segment.LEFT_UPPER_ARM, Segment.LEFT_FOREARM, left),
        (Segment.RIGHT_UPPER_ARM, Segment.RIGHT_FOREARM, right),
    ):
        angles[upper_arm] = (30 + 62 * punch, 12 - 14 * punch)
        angles[forearm] = (132 - 38 * punch, -10)
    return posed(angles)
