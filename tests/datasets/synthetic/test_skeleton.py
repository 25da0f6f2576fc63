import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ava_detect.datasets.synthetic.skeleton import (
    BACK_RADIUS,
    ELBOW_RADIUS,
    KNEE_RADIUS,
    SEAT_RADIUS,
    SOLE_RADIUS,
    Pose,
    Segment,
    joints_of,
)

UPRIGHT = Pose(np.zeros((10, 2)))


def test_heights_of_an_upright_person_worked_by_hand() -> None:
    joints = joints_of(UPRIGHT, 2.0, np.array([1.0, 5.0]), 0)
    # ankle 0.042, shin 0.246, thigh 0.245, torso 0.290 of 2 m
    np.testing.assert_allclose(joints.pelvis, [1.0, 2 * 0.533, 5.0])
    np.testing.assert_allclose(joints.knees[:, 1], 2 * 0.288)
    np.testing.assert_allclose(joints.chest[1], 2 * 0.823)
    np.testing.assert_allclose(joints.fingertips[:, 1], 2 * (0.823 - 0.186 - 0.146 - 0.085))


def test_left_is_on_the_right_of_the_frame_for_a_person_who_faces_the_camera() -> None:
    joints = joints_of(UPRIGHT, 1.8, np.zeros(2), 0)
    assert joints.shoulders[0, 0] > 0 > joints.shoulders[1, 0]
    assert (joints.toes[:, 2] < joints.heels[:, 2]).all()  # toes towards the camera


def test_who_faces_the_right_edge_has_toes_and_a_raised_arm_there() -> None:
    angles = np.zeros((10, 2))
    angles[Segment.RIGHT_UPPER_ARM] = angles[Segment.RIGHT_FOREARM] = (90, 0)
    joints = joints_of(Pose(angles), 2.0, np.zeros(2), 90)
    assert (joints.toes[:, 0] > 0).all()
    np.testing.assert_allclose(joints.wrists[1, 0], 2 * (0.186 + 0.146))
    np.testing.assert_allclose(joints.wrists[1, 1], joints.shoulders[1, 1])
    assert joints.shoulders[1, 2] < joints.shoulders[0, 2]  # the right side is nearer to us


def test_a_seat_is_as_high_as_the_shins() -> None:
    angles = np.zeros((10, 2))
    angles[[Segment.LEFT_THIGH, Segment.RIGHT_THIGH]] = (90, 0)
    joints = joints_of(Pose(angles), 2.0, np.zeros(2), 0)
    np.testing.assert_allclose(joints.pelvis[1], 2 * (0.042 + 0.246))


@given(
    hnp.arrays(np.float64, (10, 2), elements=st.floats(-80, 80)),
    st.floats(1.4, 2.0),
    st.floats(0, 1),
    st.floats(-180, 180),
)
def test_the_lowest_part_of_the_body_touches_the_ground(
    angles: np.ndarray, height: float, airborne: float, yaw: float
) -> None:
    joints = joints_of(Pose(angles, airborne), height, np.array([0.3, 4.0]), yaw)
    lowest = min(
        min(joints.toes[:, 1].min(), joints.heels[:, 1].min()) - SOLE_RADIUS * height,
        joints.knees[:, 1].min() - KNEE_RADIUS * height,
        joints.elbows[:, 1].min() - ELBOW_RADIUS * height,
        joints.pelvis[1] - SEAT_RADIUS * height,
        joints.chest[1] - BACK_RADIUS * height,
    )
    assert lowest == pytest.approx(airborne, abs=1e-9)


def test_toes_point_down_when_the_heel_is_raised_and_up_when_the_leg_lies() -> None:
    for shin, rises in ((-60, False), (88, True)):
        angles = np.zeros((10, 2))
        angles[[Segment.LEFT_SHIN, Segment.RIGHT_SHIN]] = (shin, 0)
        joints = joints_of(Pose(angles), 1.8, np.zeros(2), 90)
        assert ((joints.toes[:, 1] > joints.heels[:, 1] + 0.1) == rises).all()
        assert ((joints.toes[:, 1] < joints.heels[:, 1] - 0.1) != rises).all()


def test_blending_goes_from_one_pose_to_the_other() -> None:
    other = Pose(np.full((10, 2), 40.0), 0.2)
    assert (UPRIGHT.blended(other, 0.25).angles_degrees == 10).all()
    assert UPRIGHT.blended(other, 0.25).airborne_metres == pytest.approx(0.05)
    arms = UPRIGHT.with_arms_of(other).angles_degrees
    assert (arms[2:6] == 40).all()
    assert (arms[[0, 1, 6, 7, 8, 9]] == 0).all()
    leaning = UPRIGHT.leaning(12).angles_degrees
    assert (leaning[[0, 1], 0] == 12).all()
    assert np.count_nonzero(leaning) == 2
