import numpy as np
import pytest

from ava_detect.datasets.synthetic.camera import Camera, facing_axes

CAMERA = Camera(focal_pixels=400, horizon_pixels=100, centre_pixels=320, height_metres=1.5, x_metres=2.0)


def test_projection_worked_by_hand() -> None:
    # 4 m away 1 m is 100 pixels; the point is 0.5 m right of the camera and 0.7 m below its eye
    np.testing.assert_allclose(CAMERA.project(np.array([2.5, 0.8, 4.0])), [320 + 50, 100 + 70])
    assert CAMERA.scale(4.0) == 100


def test_a_point_at_eye_height_lies_on_the_horizon_at_any_distance() -> None:
    points = np.array([[0.0, 1.5, z] for z in (1.0, 3.0, 50.0)])
    np.testing.assert_allclose(CAMERA.project(points)[:, 1], 100)


@pytest.mark.parametrize(
    ("yaw", "forward", "left"),
    [
        (0, [0, 0, -1], [1, 0, 0]),
        (90, [1, 0, 0], [0, 0, 1]),
        (180, [0, 0, 1], [-1, 0, 0]),
        (-90, [-1, 0, 0], [0, 0, -1]),
    ],
)
def test_axes_of_a_person_who_turns(yaw: float, forward: list[float], left: list[float]) -> None:
    axes = facing_axes(yaw)
    np.testing.assert_allclose(axes[2], forward, atol=1e-12)
    np.testing.assert_allclose(axes[0], left, atol=1e-12)
