from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ava_detect.detectors.tiles import View, join, uncut, views_of
from ava_detect.structures import PersonBoxes


def people(*rows: tuple[float, ...]) -> PersonBoxes:
    values = np.array(rows, np.float32).reshape(-1, 5)
    return PersonBoxes(values[:, :4], values[:, 4])


def test_a_wide_frame_has_a_left_and_a_right_square():
    assert views_of(1920, 1080, squares=True) == [(0, 0, 1920, 1080), (0, 0, 1080, 1080), (840, 0, 1920, 1080)]


def test_a_tall_frame_has_a_top_and_a_bottom_square():
    assert views_of(360, 640, squares=True) == [(0, 0, 360, 640), (0, 0, 360, 360), (0, 280, 360, 640)]


@pytest.mark.parametrize(("width", "height", "squares"), [(300, 300, True), (640, 360, False)])
def test_one_view_is_enough(width, height, squares):
    assert views_of(width, height, squares=squares) == [(0, 0, width, height)]


@given(st.integers(1, 4000), st.integers(1, 4000))
def test_squares_are_square_and_inside(width, height):
    for view in views_of(width, height, squares=True)[1:]:
        assert view.width == view.height == min(width, height)
        assert 0 <= view.x1 < view.x2 <= width
        assert 0 <= view.y1 < view.y2 <= height


def test_a_box_at_an_inner_edge_is_cut_and_one_at_the_frame_edge_is_not():
    left, right = views_of(200, 100, squares=True)[1:]
    boxes = np.array([[0, 0, 50, 100], [60, 0, 99, 100], [60, 0, 97, 100]], np.float32)
    assert uncut(boxes, left, 200, 100).tolist() == [True, False, True]  # the margin is 2 of 100 pixels
    assert uncut(boxes + np.float32([100, 0, 100, 0]), right, 200, 100).tolist() == [False, True, True]


def test_a_box_at_an_inner_edge_of_a_tall_frame_is_cut():
    top, bottom = views_of(100, 200, squares=True)[1:]
    assert uncut(np.array([[0, 50, 90, 100]], np.float32), top, 100, 200).tolist() == [False]
    assert uncut(np.array([[0, 100, 90, 190]], np.float32), bottom, 100, 200).tolist() == [False]
    assert uncut(np.array([[0, 110, 90, 200]], np.float32), bottom, 100, 200).tolist() == [True]


def test_join_drops_the_cut_half_and_the_double():
    views = views_of(200, 100, squares=True)
    whole = people((80, 10, 130, 90, 0.5), (10, 10, 40, 90, 0.6))
    left = people((80, 10, 100, 90, 0.9), (11, 10, 41, 90, 0.8))  # half of the first person; the second again
    joined = join([whole, left, people()], views, 200, 100, 0.6)
    assert joined.boxes_xyxy.tolist() == [[11, 10, 41, 90], [80, 10, 130, 90]]
    np.testing.assert_allclose(joined.scores, [0.8, 0.5])


def test_join_cuts_boxes_to_the_frame_and_drops_what_is_outside():
    joined = join([people((-5, -5, 30, 120, 0.5), (150, 0, 160, 9, 0.9))], [View(0, 0, 100, 100)], 100, 100, 0.6)
    assert joined.boxes_xyxy.tolist() == [[0, 0, 30, 100]]
