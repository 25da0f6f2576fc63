from itertools import pairwise

import numpy as np
import pytest

from ava_detect.labels import LabelMap
from ava_detect.synthetic.actions import (
    ACTION_IDS,
    BEND,
    CLAP,
    JUMP,
    JUMP_HEIGHT_METRES,
    MOVING_ACTIVITIES,
    RUN,
    SEATED_ACTIVITIES,
    SIT,
    STAND,
    STANDING_ACTIVITIES,
    WALK,
    WAVE,
    Activity,
    Style,
)
from ava_detect.synthetic.skeleton import Joints, joints_of

ALL = [*STANDING_ACTIVITIES, *SEATED_ACTIVITIES, *MOVING_ACTIVITIES]
TIMES = np.arange(0, 4, 1 / 60)


def joints_over_time(activity: Activity, style: Style = Style()) -> list[Joints]:  # noqa: B008
    return [joints_of(activity.pose_at(float(t), style), 1.8, np.array([0.0, 4.0]), 90) for t in TIMES]


def test_ids_are_avas_and_mean_what_the_figures_do() -> None:
    names = {action_id: LabelMap.ava().name(action_id) for action_id in ACTION_IDS}
    assert names == {
        1: "bend/bow (at the waist)",
        7: "jump/leap",
        10: "run/jog",
        11: "sit",
        12: "stand",
        14: "walk",
        17: "carry/hold (an object)",
        67: "hand clap",
        69: "hand wave",
    }


def test_every_action_is_played_by_some_activity() -> None:
    assert {action_id for activity in ALL for action_id in activity.action_ids} == set(ACTION_IDS)


@pytest.mark.parametrize("activity", ALL, ids=str)
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
    assert lifts.max() == pytest.approx(JUMP_HEIGHT_METRES, rel=0.02)
    assert (lifts == 0).mean() > 0.3


def test_who_bends_has_the_head_in_front_and_who_sits_has_level_thighs() -> None:
    for joints in joints_over_time(Activity(BEND)):
        assert joints.head[0] - joints.pelvis[0] > 0.35
    for joints in joints_over_time(Activity(SIT)):
        np.testing.assert_allclose(joints.knees[:, 1], joints.hips[:, 1], atol=0.1)
        assert joints.head[1] < 1.45  # of 1.8 m
