from dataclasses import replace

import numpy as np
import pytest

from ava_detect.datasets.synthetic.backdrop import Backdrop, Location, noise, paint_backdrop
from ava_detect.datasets.synthetic.camera import Camera

CAMERA = Camera(focal_pixels=200, horizon_pixels=50, centre_pixels=80, height_metres=1.5)


def painted(location: Location, seed: int = 0) -> Backdrop:
    rng = np.random.default_rng(seed)
    return paint_backdrop(location, CAMERA, width=160, height=120, wall_metres=8.0, path_metres=(0.0, -6.0), rng=rng)


@pytest.mark.parametrize("location", list(Location))
def test_a_location_fills_the_frame_along_the_whole_path(location: Location) -> None:
    backdrop = painted(location)
    limit = backdrop.margin - 0.01
    for camera_metres in (0.0, -3.3, -6.0):
        for shake in ((0.0, 0.0), (limit, limit), (-limit, -limit)):
            view = backdrop.view(camera_metres, shake)
            assert view.shape == (3, 120, 160)
            assert view.min() >= 0 and view.max() <= 255
            assert view.std() > 10


def test_far_things_move_less_than_near_ones() -> None:
    backdrop = painted(Location.STREET)
    # the camera goes 0.5 m to the left: the wall, 8 m away, moves 0.5 * 200 / 8 = 12.5 pixels to the right
    before, after = backdrop.view(-2.0, (0.0, 0.0)), backdrop.view(-2.5, (0.0, 0.0))
    moved = (before[:, :80, :-13] + before[:, :80, 1:-12]) / 2
    assert np.abs(after[:, :80, 13:] - moved).mean() < np.abs(after[:, :80, 13:] - before[:, :80, 13:]).mean() / 2
    # the ground at row 110.5 lies 1.5 * 200 / 60.5 m away, so a metre is 40.3 pixels
    assert backdrop.ground_shift[110 + backdrop.margin - backdrop.wall.shape[1]] == pytest.approx(60.5 / 1.5)


def test_every_row_of_the_ground_moves_by_its_own_amount() -> None:
    backdrop = painted(Location.STREET)
    height, width = backdrop.ground.shape[1:]
    ramp = np.broadcast_to(np.arange(width, dtype=np.float32), (3, height, width))
    view = replace(backdrop, ground=ramp).view(-4.0, (0.0, 0.0))  # 2 m right of the path's left end
    for row in (100, 119):
        metre = (row + 0.5 - CAMERA.horizon_pixels) / CAMERA.height_metres
        np.testing.assert_allclose(view[0, row], backdrop.margin + 2 * metre + np.arange(160), atol=0.01)


def test_shake_moves_the_whole_picture() -> None:
    backdrop = painted(Location.ROOM)
    still, moved = backdrop.view(0.0, (0.0, 0.0)), backdrop.view(0.0, (2.0, 1.0))
    np.testing.assert_allclose(moved[:, 1:, 2:], still[:, :-1, :-2], atol=1e-3)


def test_noise_is_smooth_and_follows_the_generator() -> None:
    first, again = (noise(np.random.default_rng(1), (40, 60), 10) for _ in range(2))
    assert (first == again).all()
    assert np.abs(np.diff(first, axis=1)).mean() < first.std() / 2
