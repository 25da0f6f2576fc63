import numpy as np
import pytest

from ava_detect.datasets.synthetic.drawing import Canvas, Face, Layer, Shape, Stroke, drop_shadow

LIGHT = np.array([0.0, 0.0, 1.0])
RED = np.array([200.0, 0.0, 0.0])


def bar(y: float = 20.0, *, depth: float = 1.0, x1: float = 10.0, x2: float = 30.0, **settings: object) -> Stroke:
    """A horizontal line of half width 5."""
    return Stroke(np.array([x1, y]), np.array([x2, y]), np.array([5.0, 5.0]), RED, depth, **settings)  # type: ignore[arg-type]


def canvas_of(height: int = 100, width: int = 100, level: float = 0.0) -> Canvas:
    return Canvas(np.full((3, height, width), level, np.float32))


def box_of(*shapes: Shape, size: tuple[int, int] = (100, 100)) -> list[float]:
    layer = Layer.of_shapes(list(shapes), LIGHT)
    return canvas_of(size[1], size[0]).box_and_visible_share(layer, 0)[0].tolist()


def test_a_stroke_reaches_its_half_width_beyond_both_ends() -> None:
    assert box_of(bar()) == [5, 15, 35, 25]


def test_a_hem_cuts_the_start_straight() -> None:
    assert box_of(bar(has_hem=True)) == [10, 15, 35, 25]


def test_width_changes_along_a_stroke() -> None:
    wedge = Stroke(np.array([10.0, 50.0]), np.array([50.0, 50.0]), np.array([2.0, 10.0]), RED, 1.0)
    mask = Layer.of_shapes([wedge], LIGHT)
    column = lambda x: int((mask.silhouette[:, x - mask.left] >= 0.5).sum())  # noqa: E731
    # halfway the half width is 6; slopes make the edge a little more than that away from the axis
    assert 11 <= column(30) <= 13
    assert column(14) < column(30) < column(48)


def test_the_edge_is_soft_over_one_pixel() -> None:
    layer = Layer.of_shapes([bar(20.5)], LIGHT)  # edges at 15.5 and 25.5: the rows 15 and 25 are half covered
    inside = layer.alpha[:, 20 - layer.left]
    rows = {row: round(float(inside[row - layer.top]), 3) for row in (14, 15, 16, 24, 25, 26)}
    assert rows == {14: 0.0, 15: 0.5, 16: 1.0, 24: 1.0, 25: 0.5, 26: 0.0}


def test_a_polygon_covers_its_corners_whatever_their_order() -> None:
    corners = np.array([[10.0, 10.0], [30.0, 10.0], [30.0, 40.0], [10.0, 40.0]])
    for order in (corners, corners[::-1]):
        assert box_of(Face(order, RED, 1.0, is_person=True)) == [10, 10, 30, 40]


def test_nearer_shapes_cover_farther_ones_in_any_order() -> None:
    near = Face(np.array([[0.0, 0], [40, 0], [40, 40], [0, 40]]), np.array([0.0, 255.0, 0.0]), 1.0)
    far = Face(np.array([[0.0, 0], [40, 0], [40, 40], [0, 40]]), np.array([255.0, 0.0, 0.0]), 2.0)
    for shapes in ([near, far], [far, near]):
        canvas = canvas_of(40, 40)
        canvas.blend(Layer.of_shapes(shapes, LIGHT))
        np.testing.assert_allclose(canvas.frame[:, 20, 20], [0, 255, 0])


def test_the_silhouette_holds_what_furniture_hides_and_no_furniture() -> None:
    parcel = Face(np.array([[0.0, 0], [60, 0], [60, 60], [0, 60]]), RED, 0.5)
    assert box_of(bar(), parcel) == [5, 15, 35, 25]


def test_boxes_are_cut_at_the_frame_and_the_share_inside_is_known() -> None:
    square = Face(np.array([[-10.0, 10], [10, 10], [10, 30], [-10, 30]]), RED, 1.0, is_person=True)
    canvas, layer = canvas_of(), Layer.of_shapes([square], LIGHT)
    canvas.blend(layer, 3)
    box, share = canvas.box_and_visible_share(layer, 3)
    assert box.tolist() == [0, 10, 10, 30]
    assert share == pytest.approx(0.5)


@pytest.mark.parametrize("shift", [(-500, 0), (500, 0), (0, -500), (0, 500)])
def test_a_layer_outside_the_frame_draws_nothing(shift: tuple[int, int]) -> None:
    stroke = Stroke(np.array([10.0, 20]) + shift, np.array([30.0, 20]) + shift, np.array([5.0, 5.0]), RED, 1.0)
    layer = Layer.of_shapes([stroke], LIGHT)
    canvas = canvas_of(level=7)
    canvas.blend(layer, 0)
    assert (canvas.frame == 7).all()
    assert canvas.box_and_visible_share(layer, 0)[1] == 0.0


def test_who_is_behind_keeps_the_whole_box_and_loses_what_is_hidden_of_the_share() -> None:
    square = np.array([[10.0, 10], [30, 10], [30, 30], [10, 30]])
    behind = Layer.of_shapes([Face(square, RED, 2.0, is_person=True)], LIGHT)
    in_front = Layer.of_shapes([Face(square + np.array([15, 0]), RED, 1.0, is_person=True)], LIGHT)
    bush = Layer.of_shapes([Face(square + np.array([0, 15]), RED, 0.5)], LIGHT)
    canvas = canvas_of()
    canvas.blend(behind, 0)
    canvas.blend(in_front, 1)
    box, share = canvas.box_and_visible_share(behind, 0)
    assert box.tolist() == [10, 10, 30, 30]
    assert share == pytest.approx(0.75)  # the other one covers 5 of 20 columns
    canvas.blend(bush)
    # the bush covers 5 of 20 rows of the remaining 15 columns
    assert canvas.box_and_visible_share(behind, 0)[1] == pytest.approx(0.75 * 0.75)
    assert canvas.box_and_visible_share(in_front, 1)[1] == pytest.approx(1 - 5 * 5 / 400)


def test_a_picture_with_holes_shows_what_is_behind_it() -> None:
    picture = np.zeros((4, 4, 4), np.uint8)
    picture[:2] = (10, 20, 30, 255)
    picture[2] = (10, 20, 30, 51)  # a fifth
    canvas = canvas_of(level=100)
    canvas.blend(Layer.of_image(picture).moved_to(50, 60))
    np.testing.assert_allclose(canvas.frame[:, 60, 50], [10, 20, 30])
    np.testing.assert_allclose(canvas.frame[:, 62, 53], [82, 84, 86])
    np.testing.assert_allclose(canvas.frame[:, 63, 50], 100)


def test_a_shadow_is_darkest_in_its_middle_and_never_leaves_the_frame() -> None:
    frame = np.full((3, 50, 50), 100, np.float32)
    drop_shadow(frame, np.array([25.0, 25.0]), (10.0, 5.0), 0.5)
    assert 50 <= frame[0, 25, 25] < 51
    assert frame[0, 25, 0] == 100
    drop_shadow(frame, np.array([-300.0, 25.0]), (10.0, 5.0), 0.5)
