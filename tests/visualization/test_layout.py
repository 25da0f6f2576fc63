"""Where chips go: inside the frame and never on each other, whatever the boxes; near their person; not jumping."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ava_detect.structures.boxes import FloatArray, intersections
from ava_detect.visualization.layout import Placement, Rectangle, place_chips

AREA = (0, 30, 640, 480)
NOTHING = np.zeros((0, 4))
SIZES = [(120, 60), (110, 42), (90, 24)]


def place(
    *boxes: Rectangle, previous: list[int | None] | None = None, obstacles: FloatArray = NOTHING
) -> list[Placement | None]:
    people = np.array(boxes, np.float64).reshape(-1, 4)
    return place_chips(people, [SIZES] * len(boxes), AREA, obstacles, previous or [None] * len(boxes))


def rectangles(placements: list[Placement | None]) -> FloatArray:
    chips = [p for p in placements if p is not None]
    return np.array([[p.x, p.y, p.x + SIZES[p.size_index][0], p.y + SIZES[p.size_index][1]] for p in chips], np.float64)


def test_without_boxes_there_are_no_placements() -> None:
    assert place() == []


def test_alone_in_the_middle_the_chip_stands_on_the_box() -> None:
    assert place((200, 200, 320, 460)) == [Placement(200, 140, 0, 0)]


def test_where_there_is_no_room_above_the_chip_leaves_the_face_free() -> None:
    """The face of this person is taken to be at x 275-325, y 30 + 0.35 * 450 = 187.5 from the top."""
    (chip,) = rectangles(place((250, 30, 350, 480)))
    assert intersections(chip[None], np.array([[275.0, 30, 325, 187]])) == 0


def test_two_neighbours_keep_all_their_rows_side_by_side() -> None:
    placements = place((200, 200, 300, 460), (280, 200, 380, 460))
    a, b = rectangles(placements)
    assert [p.size_index for p in placements if p] == [0, 0]
    assert intersections(a[None], b[None]) == 0


def test_the_larger_box_chooses_first() -> None:
    large, small = (200, 200, 320, 460), (200, 200, 310, 460)
    for boxes in ((large, small), (small, large)):
        placements = dict(zip(boxes, place(*boxes), strict=True))
        assert placements[large] == Placement(200, 140, 0, 0) != placements[small]


def test_a_chip_is_placed_where_it_covers_no_other_person() -> None:
    """On top of the front person's box it would hide the legs of the one behind, so it hangs below."""
    behind, front = (150, 40, 240, 290), (200, 250, 340, 400)
    assert place(front) == [Placement(200, 190, 0, 0)]
    assert place(behind, front)[1] == Placement(200, 400, 2, 0)


def test_a_chip_stays_in_its_place_until_another_is_clearly_better() -> None:
    free = (200, 200, 320, 460)
    assert place(free, previous=[2]) == [Placement(200, 410 + 10, 2, 0)], "below, pushed up into the area"
    (chip,) = place((200, 31, 320, 300), previous=[0])
    assert chip is not None and chip.position != 0, "no room above: staying would hide the face"


def test_in_a_dense_crowd_the_nearest_keep_their_chips_and_nothing_overlaps() -> None:
    boxes = [(x, y, x + 60 + y // 10, y + 90) for x in range(0, 560, 40) for y in range(40, 380, 40)]
    placements = place(*boxes)
    assert None in placements, "126 people have no room for 126 chips"
    assert placements[int(np.argmax([(b[2] - b[0]) * (b[3] - b[1]) for b in boxes]))] is not None
    assert_apart(rectangles(placements))


def test_where_not_all_rows_fit_each_person_has_one() -> None:
    """Two chips of 60 pixels fill 130; four of 24 fit as well."""
    boxes = np.array([(0, 0, 130, 130)] * 4, np.float64)
    placements = place_chips(boxes, [SIZES] * 4, (0, 0, 130, 130), NOTHING, [None] * 4)
    assert [p.size_index for p in placements if p] == [2, 2, 2, 2]
    assert_apart(rectangles(placements))


def assert_apart(chips: FloatArray) -> None:
    overlaps = intersections(chips, chips)
    np.fill_diagonal(overlaps, 0)
    assert not overlaps.any()


corner = st.tuples(st.integers(0, 600), st.integers(0, 440))
boxes = st.builds(
    lambda c, w, h: (c[0], c[1], min(c[0] + w, 640), min(c[1] + h, 480)),
    corner,
    st.integers(1, 640),
    st.integers(1, 480),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(boxes, max_size=9), st.integers(0, 23))
def test_chips_lie_inside_apart_and_off_obstacles(people: list[Rectangle], before: int) -> None:
    stamp = np.array([[560.0, 455, 636, 476]])
    chips = rectangles(place(*people, previous=[before] * len(people), obstacles=stamp)).reshape(-1, 4)
    assert (chips[:, :2] >= AREA[:2]).all() and (chips[:, 2:] <= AREA[2:]).all()
    assert not intersections(chips, stamp).any()
    assert_apart(chips)
    assert len(chips) >= min(len(people), 1)
