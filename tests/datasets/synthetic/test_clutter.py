"""Things that are no people: where they are, that they move, and that no box is drawn from them."""

from __future__ import annotations

import numpy as np
import pytest

from ava_detect.datasets.synthetic.camera import Camera
from ava_detect.datasets.synthetic.clutter import BALL_RADIUS_METRES, MOVING, build_clutter
from ava_detect.datasets.synthetic.scene import Clutter, ClutterKind

CAMERA = Camera(focal_pixels=200, horizon_pixels=70, centre_pixels=160, height_metres=1.4)
LIGHT = np.array([0.3, -0.5, 0.8])


def bounds(clutter: Clutter, seconds: float = 0.0, camera: Camera = CAMERA) -> list[int]:
    """Left, top, right, bottom of what is visible, in pixels of the frame."""
    layer = build_clutter(clutter, camera, LIGHT).layer(camera, seconds)
    assert layer.silhouette.max() == 0  # it never belongs to a person
    rows, columns = np.nonzero(layer.alpha >= 0.5)
    return [
        layer.left + int(columns.min()),
        layer.top + int(rows.min()),
        layer.left + int(columns.max()) + 1,
        layer.top + int(rows.max()) + 1,
    ]


@pytest.mark.parametrize("kind", list(ClutterKind))
def test_a_thing_is_where_the_camera_sees_it_and_goes_as_fast_as_it_should(kind: ClutterKind) -> None:
    left, top, right, bottom = bounds(Clutter(kind, 0.5, 4.0, 1.2, seed=1))
    # 4 m away a metre is 50 pixels, half a metre right of the middle is column 185, and the ground is row 140
    assert (left + right) / 2 == pytest.approx(185, abs=6)
    if kind is not ClutterKind.BIRD:
        assert bottom == pytest.approx(140, abs=2)
    assert top < bottom
    later = bounds(Clutter(kind, 0.5, 4.0, 1.2, seed=1), seconds=1.0)
    assert later[0] - left == pytest.approx(60, abs=5)


def test_a_ball_has_its_size() -> None:
    left, top, right, bottom = bounds(Clutter(ClutterKind.BALL, 0.0, 2.0, 0.0, seed=1))
    assert right - left == pytest.approx(2 * BALL_RADIUS_METRES * 100, abs=2)
    assert bottom - top == pytest.approx(2 * BALL_RADIUS_METRES * 100, abs=2)


def test_what_moves_and_keeps_its_place_changes_its_looks_and_what_stands_does_not() -> None:
    for kind in ClutterKind:
        thing = build_clutter(Clutter(kind, 0.0, 4.0, 1.0, seed=2), CAMERA, LIGHT)
        first, later = thing.layer(CAMERA, 0.0), thing.layer(CAMERA, 0.13)
        same_looks = first.alpha.shape == later.alpha.shape and np.allclose(first.color, later.color, atol=1)
        assert same_looks == (kind not in (ClutterKind.BALL, ClutterKind.BIRD))


def test_the_seed_gives_the_looks() -> None:
    def looks(seed: int) -> np.ndarray:
        return build_clutter(Clutter(ClutterKind.PLANT, 0.0, 4.0, 0.0, seed), CAMERA, LIGHT).layer(CAMERA, 0.0).color

    assert (looks(1) == looks(1)).all()
    assert (looks(1) != looks(2)).any()


def test_every_place_has_something_that_moves() -> None:
    assert all(MOVING.values())
