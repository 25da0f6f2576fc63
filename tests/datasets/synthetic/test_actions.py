from itertools import pairwise

import numpy as np
import pytest

from ava_detect.datasets.synthetic import poses
from ava_detect.datasets.synthetic.actions import (
    ACTION_IDS,
    BEND,
    CARRY,
    CLAP,
    CROUCH,
    DANCE,
    DRINK,
    FALL,
    FIGHT,
    GESTURES,
    HUG,
    JUMP,
    LIE,
    MARTIAL_ART,
    PHONE,
    POSES,
    READ,
    RUN,
    SHAKE,
    SIT,
    STAND,
    WALK,
    WAVE,
    Activity,
)
from ava_detect.datasets.synthetic.casting import DISTANCE
from ava_detect.datasets.synthetic.movement import Style
from ava_detect.datasets.synthetic.skeleton import Joints, joints_of
from ava_detect.structures.labels import LabelMap

ALL = [*(Activity(pose) for pose in POSES), *(Activity(STAND, gesture) for gesture in GESTURES)]
TIMES = np.arange(0, 4, 1 / 60)


def joints_over_time(activity: Activity, style: Style = Style()) -> list[Joints]:  # noqa: B008
    return [joints_of(activity.pose_at(float(t), style), 1.8, np.array([0.0, 4.0]), 90) for t in TIMES]


def test_ids_are_avas_and_mean_what_the_figures_do() -> None:
    names = {action_id: LabelMap.ava().name(action_id) for action_id in ACTION_IDS}
    assert names == {
        1: "bend/bow (at the waist)",
        3: "crouch/kneel",
        4: "dance",
        5: "fall down",
        7: "jump/leap",
        8: "lie/sleep",
        9: "martial art",
        10: "run/jog",
        11: "sit",
        12: "stand",
        14: "walk",
        15: "answer phone",
        17: "carry/hold (an object)",
        27: "drink",
        48: "read",
        64: "fight/hit (a person)",
        67: "hand clap",
        68: "hand shake",
        69: "hand wave",
        70: "hug (a person)",
    }
    assert set(names) <= set(LabelMap.ava_evaluated().ids)


# a fall is cut back to its start on every half second
@pytest.mark.parametrize("activity", [activity for activity in ALL if activity.pose != FALL], ids=str)
def test_movement_has_no_jumps_in_time(activity: Activity) -> None:
    frames = joints_over_time(activity)
    for before, after in pairwise(frames):
        for name in ("fingertips", "toes", "head", "pelvis"):
            moved = np.linalg.norm(getattr(after, name) - getattr(before, name), axis=-1).max()
            assert moved * 60 < 14, f"{name} moves at {moved * 60:.1f} m/s"


@pytest.mark.parametrize("pose", [WALK, RUN])
def test_feet_on_the_ground_go_back_as_fast_as_the_body_goes_forward(pose: int) -> None:
    activity = Activity(pose)
    frames = joints_over_time(activity)
    backwards = []
    for before, after in pairwise(frames):
        soles = np.stack([before.heels, before.toes])
        part, foot = np.unravel_index(int(soles[..., 1].argmin()), (2, 2))
        if soles[part, foot, 1] < 0.06:  # a runner flies in between
            later = (after.heels, after.toes)[part][foot, 0]
            backwards.append(float(soles[part, foot, 0] - later) * 60)
    assert len(backwards) > 30
    assert np.mean(backwards) == pytest.approx(activity.speed(1.8, Style()), rel=0.12)


def test_standing_and_walking_people_differ_in_their_feet() -> None:
    def stride(pose: int) -> float:
        return max(abs(float(j.ankles[0, 0] - j.ankles[1, 0])) for j in joints_over_time(Activity(pose)))

    assert stride(STAND) < 0.1
    assert 0.4 < stride(WALK) < stride(RUN)


def test_clapping_hands_meet_and_part_twice_a_second() -> None:
    gaps = np.array(
        [np.linalg.norm(j.fingertips[0] - j.fingertips[1]) for j in joints_over_time(Activity(STAND, CLAP))]
    )
    assert gaps.min() < 0.12
    assert gaps.max() > 0.35
    middle = (gaps.min() + gaps.max()) / 2
    meetings = int(((gaps[:-1] > middle) & (gaps[1:] <= middle)).sum())
    assert 7 <= meetings <= 10  # in 4 seconds


@pytest.mark.parametrize("left_handed", [True, False])
def test_a_waving_hand_is_up_and_swings_and_the_other_hangs(left_handed: bool) -> None:
    frames = joints_over_time(Activity(STAND, WAVE), Style(left_handed=left_handed))
    up, down = (0, 1) if left_handed else (1, 0)
    assert all(j.fingertips[up, 1] > j.shoulders[up, 1] + 0.1 for j in frames)
    assert all(j.fingertips[down, 1] < j.pelvis[1] for j in frames)
    assert np.ptp([j.fingertips[up, 2] for j in frames]) > 0.2


def test_jumps_leave_the_ground_and_come_back() -> None:
    lifts = np.array([Activity(JUMP).pose_at(float(t), Style()).airborne_metres for t in TIMES])
    assert lifts.max() == pytest.approx(poses.JUMP_HEIGHT_METRES, rel=0.02)
    assert (lifts == 0).mean() > 0.3


def test_who_bends_has_the_head_in_front_and_who_sits_has_level_thighs() -> None:
    for joints in joints_over_time(Activity(BEND)):
        assert joints.head[0] - joints.pelvis[0] > 0.35
    for joints in joints_over_time(Activity(SIT)):
        np.testing.assert_allclose(joints.knees[:, 1], joints.hips[:, 1], atol=0.1)
        assert joints.head[1] < 1.45  # of 1.8 m


def test_who_kneels_has_one_knee_on_the_ground_and_who_lies_has_all_of_the_body_near_it() -> None:
    for joints in joints_over_time(Activity(CROUCH)):
        assert joints.knees[:, 1].min() < 0.15
        assert joints.knees[:, 1].max() > 0.4
        assert joints.head[1] < 1.3
    for joints in joints_over_time(Activity(LIE)):
        assert joints.pelvis[1] < 0.25
        assert joints.head[1] < 0.75
        assert np.ptp([joints.head[0], *joints.toes[:, 0]]) > 1.1  # stretched out along the ground


def test_a_kick_is_as_high_as_the_hip_and_a_dancer_has_the_hands_overhead() -> None:
    kicks = joints_over_time(Activity(MARTIAL_ART))
    assert max(float(j.ankles[:, 1].max() - j.pelvis[1]) for j in kicks) > -0.1
    assert all((j.fingertips[:, 1] > j.pelvis[1]).all() for j in kicks)
    assert all(j.fingertips[:, 1].max() > j.head[1] for j in joints_over_time(Activity(DANCE)))


@pytest.mark.parametrize("phase", [0.0, 0.35, 0.7])
def test_every_whole_second_lies_in_the_middle_of_a_fall(phase: float) -> None:
    style = Style(phase=phase)
    for second in (0, 1, 7):
        times = second + np.arange(-0.4, 0.41, 0.05)
        frames = [joints_of(Activity(FALL).pose_at(float(t), style), 1.8, np.zeros(2), 90) for t in times]
        heads = np.array([j.head[1] for j in frames])
        assert (np.diff(heads) < 0).all()  # nothing but down
        assert heads[0] > 1.5
        assert heads[-1] < 1.1
        assert 1.1 < heads[8] < 1.6


@pytest.mark.parametrize("pair", [(CARRY, READ), (PHONE, DRINK)])
def test_what_differs_by_the_thing_in_the_hand_has_the_same_arms(pair: tuple[int, int]) -> None:
    for t in TIMES[::20]:
        first, second = (Activity(STAND, gesture).pose_at(float(t), Style(tempo=1.1)) for gesture in pair)
        assert (first.angles_degrees == second.angles_degrees).all()


def face_to_face(gesture: int, seconds: float, phases: tuple[float, float] = (0.0, 0.0)) -> tuple[Joints, Joints]:
    """Two people of 1.8 m, on the left and on the right."""
    half = DISTANCE[gesture] * 1.8 / 2
    return tuple(  # type: ignore[return-value]
        joints_of(Activity(STAND, gesture).pose_at(seconds, Style(phase=phase)), 1.8, np.array([x, 4.0]), yaw)
        for x, yaw, phase in ((-half, 90, phases[0]), (half, -90, phases[1]))
    )


def test_shaken_hands_meet_and_arms_of_a_hug_reach_the_other() -> None:
    for t in TIMES[::10]:
        left, right = face_to_face(SHAKE, float(t))
        assert np.linalg.norm(left.fingertips[1] - right.fingertips[1]) < 0.2
        left, right = face_to_face(HUG, float(t))
        assert left.fingertips[:, 0].min() > right.chest[0] - 0.15
        assert right.fingertips[:, 0].max() < left.chest[0] + 0.15


def test_who_fights_hits_the_other_in_turn() -> None:
    reach = []
    for t in TIMES:
        left, right = face_to_face(FIGHT, float(t), (0.0, 0.5))
        reach.append((right.head[0] - left.fingertips[:, 0].max(), right.fingertips[:, 0].min() - left.head[0]))
    gaps = np.array(reach)
    assert (gaps.min(axis=0) < 0.14).all()  # a fist at the head's surface
    assert not (gaps < 0.2).all(axis=1).any()  # never both at once
