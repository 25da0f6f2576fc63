"""Drawings beside ground truth: which lines are solid, dashed and dotted, and which mark an action gets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from people import detections

from ava_detect.structures import ActionDetections
from ava_detect.structures.boxes import FloatArray
from ava_detect.structures.labels import LabelMap
from ava_detect.visualization.chips import TRACK_COLOURS, Chip, ChipRow, RGBImage, Style, Verdict, legend, render_chip
from ava_detect.visualization.draw import draw_detections
from ava_detect.visualization.outlines import Outline, paint_box
from ava_detect.visualization.verdicts import judge_keyframe

AVA = LabelMap.ava()
STAND, WALK, WATCH = 12, 14, 80
LEFT, RIGHT = (0.1, 0.3, 0.3, 0.9), (0.6, 0.3, 0.8, 0.9)


def people(*who: tuple[tuple[float, ...], dict[int, float]]) -> ActionDetections:
    """People with a box and a score per action id."""
    return detections([box for box, _ in who], [actions for _, actions in who], track_ids=range(1, len(who) + 1))


def grey() -> RGBImage:
    return np.full((360, 640, 3), 128, np.uint8)


def along_top(image: RGBImage, box: tuple[float, ...], colour: tuple[int, ...]) -> FloatArray:
    """Which pixels of the box's top edge have a colour."""
    x1, y, x2, _ = (round(side * corner) for side, corner in zip((640, 360, 640, 360), box, strict=True))
    edge: FloatArray = (image[y, x1:x2] == colour).all(axis=1)
    return edge


def test_a_keyframe_judged_by_hand() -> None:
    """The left person is found and stands; the second box is on no person; the right person is missed."""
    found = people((LEFT, {STAND: 0.9}), ((0.4, 0.1, 0.5, 0.3), {STAND: 0.9}))
    truth = people(((0.12, 0.3, 0.32, 0.9), {STAND: 1, WATCH: 1}), (RIGHT, {WALK: 1}))
    judged = judge_keyframe(found, truth)
    assert judged.is_found.tolist() == [True, False] and judged.is_missed.tolist() == [False, True]
    assert judged.true_actions == (frozenset({STAND, WATCH}), frozenset())


def test_truth_may_have_other_columns_and_another_time() -> None:
    found = people((LEFT, {STAND: 0.9}))
    truth = ActionDetections("v", 0.01, np.array([LEFT], np.float32), [1.0], [[1.0]], np.array([WATCH]))
    assert judge_keyframe(found, truth).true_actions == (frozenset({WATCH}),)
    no_people = ActionDetections.empty("v", 0.0)
    assert judge_keyframe(no_people, truth).is_missed.tolist() == [True]
    assert judge_keyframe(found, no_people).is_found.tolist() == [False]


def test_true_boxes_are_solid_false_ones_dashed_and_missed_ones_dotted_white() -> None:
    false_box = (0.4, 0.5, 0.55, 0.9)
    found = people((LEFT, {}), (false_box, {}))
    drawn = draw_detections(grey(), found, AVA, ground_truth=people((LEFT, {}), (RIGHT, {})))
    assert along_top(drawn, LEFT, TRACK_COLOURS[0]).all()
    dashes = along_top(drawn, false_box, TRACK_COLOURS[1])
    assert 0.4 < dashes.mean() < 0.8 and dashes[:8].all() and dashes[-8:].all(), "corners are whole"
    dots = along_top(drawn, RIGHT, (255, 255, 255))
    assert 0.2 < dots.mean() < 0.5 and dots[0] and dots[-1]


def test_without_ground_truth_nothing_is_judged_and_nothing_changes() -> None:
    found = people((LEFT, {STAND: 0.9}))
    plain = draw_detections(grey(), found, AVA)
    judged = draw_detections(grey(), found, AVA, ground_truth=people((LEFT, {STAND: 1})))
    assert (plain != judged).any()
    sign = legend(Style(640, 360))
    corner = judged[360 - sign.height - 5 :, : sign.width + 5]
    assert (corner != 128).any() and (plain[360 - sign.height - 5 :, : sign.width + 5] == 128).all()


@pytest.mark.parametrize(
    ("found_score", "true_action", "expected"),
    [
        (0.9, STAND, [(STAND, Verdict.RIGHT)]),
        (0.9, WALK, [(STAND, Verdict.WRONG), (WALK, Verdict.MISSED)]),
        (0.1, STAND, [(STAND, Verdict.MISSED)]),
    ],
)
def test_marks_of_actions(
    found_score: float, true_action: int, expected: list[tuple[int, Verdict]], monkeypatch: pytest.MonkeyPatch
) -> None:
    chips: list[Chip] = []
    monkeypatch.setattr(
        "ava_detect.visualization.painter.render_chip", lambda chip: (chips.append(chip), render_chip(chip))[1]
    )
    found = people((LEFT, {STAND: found_score}))
    draw_detections(grey(), found, AVA, ground_truth=people((LEFT, {true_action: 1})))
    names = {STAND: "stand", WALK: "walk"}
    assert [(row.name, row.verdict) for row in chips[0].rows] == [(names[i], verdict) for i, verdict in expected]


def test_the_marks_are_apart_by_shape_too() -> None:
    """In shades of grey the three marks cover different pixels."""
    style, shapes = Style(1280, 720), []
    blank = render_chip(Chip((ChipRow("stand", AVA.by_id(STAND).kind, 0.5),), (230, 159, 0), "1", style))
    for verdict in (Verdict.RIGHT, Verdict.WRONG, Verdict.MISSED):
        chip = render_chip(Chip((ChipRow("stand", AVA.by_id(STAND).kind, 0.5, verdict),), (230, 159, 0), "1", style))
        assert chip.width > blank.width
        image = np.zeros((chip.height, chip.width, 3), np.uint8)
        chip.paste(image, 0, 0)
        shapes.append(image[:, blank.width :].max(axis=2) > 90)
    for first, second in ((0, 1), (0, 2), (1, 2)):
        common = (shapes[first] & shapes[second]).sum()
        assert shapes[first].sum() > 0 and common < 0.6 * min(shapes[first].sum(), shapes[second].sum())


@pytest.mark.parametrize("outline", list(Outline))
@pytest.mark.parametrize("box", [(0, 0, 1, 1), (3, 2, 5, 40), (0, 0, 64, 48)])
def test_outlines_of_any_size_stay_inside_the_box(outline: Outline, box: tuple[int, ...]) -> None:
    picture = np.zeros((48, 64, 3), np.uint8)
    paint_box(picture, np.array(box, np.float64), (255, 255, 255), 3, outline)
    outside = picture.copy()
    outside[box[1] : box[3], box[0] : box[2]] = 0
    assert not outside.any() and picture[box[1], box[0]].all() and picture[box[3] - 1, box[2] - 1].all()


def test_untracked_people_and_missing_actions_draw() -> None:
    found = replace(people((LEFT, {STAND: 0.9})), track_ids=None)
    drawn = draw_detections(grey(), found, AVA, ground_truth=people((RIGHT, {})), min_score=0.3)
    assert drawn.shape == (360, 640, 3)
