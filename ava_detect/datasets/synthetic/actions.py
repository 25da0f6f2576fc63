"""The actions of the figures, by AVA's action ids.

An ``Activity`` is one pose or movement of the body (AVA ids 1-14), with or without a gesture of the arms (object and
person actions). To add an action, write its movement in ``poses`` or ``gestures`` and enter it in the tables here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ava_detect.datasets.synthetic import gestures, motion_pairs, poses
from ava_detect.datasets.synthetic.movement import Style, cycle
from ava_detect.datasets.synthetic.skeleton import ANKLE_HEIGHT, SHIN, THIGH, Pose

BEND, CROUCH, DANCE, FALL, JUMP, LIE, MARTIAL_ART, RUN, SIT, STAND, WALK = 1, 3, 4, 5, 7, 8, 9, 10, 11, 12, 14
PHONE, CARRY, DRINK, READ = 15, 17, 27, 48
FIGHT, CLAP, SHAKE, WAVE, HUG = 64, 67, 68, 69, 70

Movement = Callable[[float, Style], Pose]

POSES: dict[int, Movement] = {
    BEND: poses.bend,
    CROUCH: poses.crouch,
    DANCE: poses.dance,
    FALL: poses.fall,
    JUMP: poses.jump,
    LIE: poses.lie,
    MARTIAL_ART: poses.martial_art,
    RUN: poses.run,
    SIT: poses.sit,
    STAND: poses.stand,
    WALK: poses.walk,
}
GESTURES: dict[int, Movement] = {
    PHONE: gestures.hand_at_face,
    CARRY: gestures.hold,
    DRINK: gestures.hand_at_face,
    READ: gestures.hold,
    FIGHT: gestures.fight,
    CLAP: gestures.clap,
    SHAKE: gestures.shake_hands,
    WAVE: gestures.wave,
    HUG: gestures.hug,
}
ACTION_IDS = tuple(sorted([*POSES, *GESTURES]))
FAST_OF_A_PAIR = frozenset({RUN, CLAP})  # the others of the motion-only pairs are walk and wave
LEAN_DEGREES = {HUG: 13.0, FIGHT: 8.0, SHAKE: 3.0}  # lean of the torso towards the other person


@dataclass(frozen=True)
class Activity:
    """What a person does: a pose, with or without a gesture.

    Attributes:
        pose: AVA id of a pose, a key of ``POSES``.
        gesture: AVA id of a gesture, a key of ``GESTURES``; None for the pose alone.
        pair_hertz: Frequency of the movement of a motion-only pair (see ``motion_pairs``); None for the everyday
            movement.
    """

    pose: int
    gesture: int | None = None
    pair_hertz: float | None = None

    @property
    def action_ids(self) -> tuple[int, ...]:
        """The AVA ids that label a person who does this; of a motion-only pair, the id of the pair alone."""
        if self.pair_hertz is not None and self.gesture is not None:
            return (self.gesture,)
        return (self.pose,) if self.gesture is None else (self.pose, self.gesture)

    @property
    def needs_seat(self) -> bool:
        """Whether the person needs a seat."""
        return self.pose == SIT

    def pose_at(self, seconds: float, style: Style) -> Pose:
        """Return the pose at a time.

        Args:
            seconds: Time of the movie.
            style: The person's style.

        Returns:
            The pose.
        """
        if self.pair_hertz is not None:
            return self._pair_pose(float(np.sin(cycle(seconds, self.pair_hertz, style))), seconds, style)
        pose = POSES[self.pose](seconds, style)
        if self.gesture is None:
            return pose
        return pose.with_arms_of(GESTURES[self.gesture](seconds, style)).leaning(LEAN_DEGREES.get(self.gesture, 0.0))

    def _pair_pose(self, sine: float, seconds: float, style: Style) -> Pose:
        if self.gesture is None:
            return motion_pairs.scissor_steps(sine, style)
        return POSES[self.pose](seconds, style).with_arms_of(motion_pairs.open_and_close(sine, style))

    def speed(self, height_metres: float, style: Style) -> float:
        """Return the walking or running speed at which the feet do not slide.

        Args:
            height_metres: Body height.
            style: The person's style.

        Returns:
            Metres per second along the ground; 0 for other activities.
        """
        leg = (THIGH + SHIN + ANKLE_HEIGHT) * height_metres
        if self.pose == WALK:  # two steps per cycle, each as long as the legs are apart
            return 4 * leg * float(np.sin(np.deg2rad(poses.WALK_AMPLITUDE))) * poses.WALK_HERTZ * style.tempo
        if self.pose == RUN:  # a foot touches the ground only while it swings back fastest
            return 2 * np.pi * leg * float(np.deg2rad(poses.RUN_AMPLITUDE)) * poses.RUN_HERTZ * style.tempo
        return 0.0
