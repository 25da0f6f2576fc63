"""Gestures of the arms (AVA object and person actions) as functions of time: poses of which only the arms are used.

Numbers in parentheses are swing and spread in degrees (``skeleton``).
"""

from __future__ import annotations

import numpy as np

from ava_detect.datasets.synthetic.movement import Style, cycle, one_arm, posed, pulse, symmetric
from ava_detect.datasets.synthetic.skeleton import Pose, Segment


def wave(seconds: float, style: Style) -> Pose:
    """Wave: one forearm is up and swings from side to side; the other arm hangs.

    Args:
        seconds: Time of the movie.
        style: The person's style.

    Returns:
        The pose.
    """
    swing = np.sin(cycle(seconds, 1.6 * style.tempo, style))
    return posed(one_arm((20, 78 + 6 * swing), (172, 6 + 32 * style.vigour * swing), style))


def clap(seconds: float, style: Style) -> Pose:
    """Clap: both hands meet in front of the chest, again and again.

    Args:
        seconds: Time of the movie.
        style: The person's style.

    Returns:
        The pose.
    """
    closed = 0.5 + 0.5 * np.sin(cycle(seconds, 2.2 * style.tempo, style))
    return posed(symmetric((38, 24 - 12 * closed), (104, 26 - 70 * closed)))


def hold(seconds: float, style: Style) -> Pose:
    """Hold something with both hands in front of the belly: a parcel or a book.

    Args:
        seconds: Time of the movie.
        style: The person's style.

    Returns:
        The pose.
    """
    sway = 2 * np.sin(cycle(seconds, 0.9 * style.tempo, style))
    return posed(symmetric((16 + sway, 9), (92 + sway, -13)))


def hand_at_face(seconds: float, style: Style) -> Pose:
    """Hold one hand beside the mouth and the ear, with a telephone or a drink.

    Args:
        seconds: Time of the movie.
        style: The person's style.

    Returns:
        The pose.
    """
    sway = 3 * np.sin(cycle(seconds, 0.35 * style.tempo, style))
    return posed(one_arm((34 + sway, 62), (166, -60 + sway), style))


def shake_hands(seconds: float, style: Style) -> Pose:
    """Shake hands: the right hand reaches to the middle between two people and goes up and down.

    Args:
        seconds: Time of the movie.
        style: The person's style.

    Returns:
        The pose.
    """
    pump = 7 * np.sin(cycle(seconds, 1.5 * style.tempo, style))
    angles = symmetric((4, 8), (12, 5))
    angles[Segment.RIGHT_UPPER_ARM] = (34 + 0.6 * pump, -10)
    angles[Segment.RIGHT_FOREARM] = (80 + pump, -19)
    return posed(angles)


def hug(seconds: float, style: Style) -> Pose:
    """Hug: put both arms around a person in front.

    Args:
        seconds: Time of the movie.
        style: The person's style.

    Returns:
        The pose.
    """
    squeeze = 3 * np.sin(cycle(seconds, 0.5 * style.tempo, style))
    return posed(symmetric((50 + squeeze, 12), (98 + squeeze, -34)))


def fight(seconds: float, style: Style) -> Pose:
    """Fight: fists are up; twice in a cycle one of them shoots out, right and left in turn.

    Args:
        seconds: Time of the movie.
        style: The person's style.

    Returns:
        The pose.
    """
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
