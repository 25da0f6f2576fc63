"""Ground-truth boxes against silhouettes measured on plain backgrounds, without the drawing code's own mask."""

from dataclasses import replace

import numpy as np
import pytest

from ava_detect.datasets.synthetic import stage as stage_module
from ava_detect.datasets.synthetic.actions import (
    CARRY,
    DRINK,
    FALL,
    LIE,
    PHONE,
    POSES,
    READ,
    SIT,
    STAND,
    WAVE,
    Activity,
)
from ava_detect.datasets.synthetic.camera import Camera
from ava_detect.datasets.synthetic.drawing import Face
from ava_detect.datasets.synthetic.planning import plan_movie
from ava_detect.datasets.synthetic.props import HELD
from ava_detect.datasets.synthetic.scene import Actor, Clutter, ClutterKind, Cue, Shot
from ava_detect.datasets.synthetic.stage import MIN_VISIBLE_SHARE, Stage

WIDTH, HEIGHT = 320, 180
UNFURNISHED = [*(Activity(pose) for pose in POSES if pose not in (SIT, LIE)), Activity(STAND, WAVE)]


CAMERA = Camera(focal_pixels=1.25 * HEIGHT, horizon_pixels=0.38 * HEIGHT, centre_pixels=WIDTH / 2, height_metres=1.45)


class PlainBackdrop:
    def __init__(self, level: float) -> None:
        self.level = level

    def view(self, camera_metres: float, shake: tuple[float, float]) -> np.ndarray:
        return np.full((3, HEIGHT, WIDTH), self.level, np.float32)


def shot_of(activity: Activity, *, x: float, yaw: float, seed: int) -> Shot:
    """One person at ``x`` metres, 4 m away, who does one thing."""
    shot = next(iter(plan_movie(seed, 3, WIDTH, HEIGHT, 1)))
    actor = replace(shot.actors[0], cues=(Cue(0.0, activity, yaw),), ground=np.array([x, 4.0]), speed=0.0)
    return replace(shot, actors=(actor,), clutter=(), camera=CAMERA, camera_speed=0.0, tint=np.ones(3))


def measured_box(shot: Shot, seconds: float, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The box of all pixels that look nearly the same before black and before white."""
    monkeypatch.setattr(stage_module, "drop_shadow", lambda *_: None)
    monkeypatch.setattr(stage_module, "GRAIN", 0.0)
    pictures = []
    for level in (0.0, 255.0):
        stage = Stage(shot, WIDTH, HEIGHT)
        monkeypatch.setattr(stage, "_backdrop", PlainBackdrop(level))
        pictures.append(stage.film(seconds)[0].astype(float))
    see_through = (pictures[1] - pictures[0]).mean(axis=2)
    rows, columns = np.nonzero(see_through < 100)
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


@pytest.mark.parametrize("activity", UNFURNISHED, ids=str)
def test_boxes_are_tight_around_the_visible_figure(activity: Activity, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed, (x, yaw, seconds) in enumerate([(0.0, 20, 0.4), (0.3, -75, 1.1), (-1.35, 60, 2.0)]):
        shot = shot_of(activity, x=x, yaw=yaw, seed=seed)
        (person,) = Stage(shot, WIDTH, HEIGHT).film(seconds)[1]
        np.testing.assert_allclose(person.box_xyxy, measured_box(shot, seconds, monkeypatch), atol=1)
        assert person.action_ids == activity.action_ids


def test_people_outside_the_frame_are_not_in_the_ground_truth() -> None:
    edge = 4.0 / (1.25 * HEIGHT) * WIDTH / 2  # metres from the middle to the right edge
    seen = {
        x: Stage(shot_of(Activity(STAND), x=x, yaw=0, seed=1), WIDTH, HEIGHT).film(1.0)[1]
        for x in (0.0, edge - 0.1, edge + 0.1, 9.0)
    }
    assert [len(people) for people in seen.values()] == [1, 1, 0, 0]
    assert seen[0.0][0].visible_share > 0.95
    cut = seen[edge - 0.1][0]
    assert MIN_VISIBLE_SHARE <= cut.visible_share < 0.9
    assert cut.box_xyxy[2] == WIDTH


def two_people(offset_metres: float) -> Shot:
    """Person 0 at 4 m, and person 1 a metre nearer and ``offset_metres`` to the right."""
    shot = shot_of(Activity(STAND), x=0.0, yaw=0, seed=1)
    nearer: Actor = replace(shot.actors[0], person_id=1, ground=np.array([offset_metres, 3.0]))
    return replace(shot, actors=(shot.actors[0], nearer))


def test_who_is_partly_hidden_keeps_the_whole_box_and_who_is_mostly_hidden_has_none() -> None:
    alone = Stage(shot_of(Activity(STAND), x=0.0, yaw=0, seed=1), WIDTH, HEIGHT).film(1.0)[1][0]
    far, near = Stage(two_people(0.4), WIDTH, HEIGHT).film(1.0)[1]
    assert (far.person_id, near.person_id) == (0, 1)
    assert far.box_xyxy.tolist() == alone.box_xyxy.tolist()
    assert 0.5 <= far.visible_share < alone.visible_share - 0.05
    assert near.visible_share > far.visible_share
    (only,) = Stage(two_people(0.0), WIDTH, HEIGHT).film(1.0)[1]
    assert only.person_id == 1


def test_things_in_front_hide_people_and_things_behind_do_not() -> None:
    shot = shot_of(Activity(STAND), x=0.0, yaw=0, seed=1)
    shares = {}
    for z in (3.2, 5.0):
        bench = Clutter(ClutterKind.BENCH, 0.0, z, 0.0, seed=1)
        shares[z] = Stage(replace(shot, clutter=(bench,)), WIDTH, HEIGHT).film(1.0)[1][0].visible_share
    (alone,) = Stage(shot, WIDTH, HEIGHT).film(1.0)[1]
    assert shares[5.0] == alone.visible_share
    assert shares[3.2] < alone.visible_share - 0.03


def test_the_box_leaves_out_the_chair() -> None:
    shot = shot_of(Activity(11), x=0.0, yaw=70, seed=2)
    (person,) = Stage(shot, WIDTH, HEIGHT).film(1.0)[1]
    with_shadow_and_chair = Stage(shot, WIDTH, HEIGHT).film(1.0)[0].astype(int)
    without = Stage(replace(shot, actors=()), WIDTH, HEIGHT).film(1.0)[0].astype(int)
    columns = np.flatnonzero((np.abs(with_shadow_and_chair - without).max(axis=2) > 40).sum(axis=0) > 5)
    assert columns.min() < person.box_xyxy[0] - 1  # the backrest is behind the figure, outside its box


@pytest.mark.parametrize("gesture", [CARRY, READ, PHONE, DRINK])
def test_what_is_held_is_seen_and_not_in_the_box(gesture: int, monkeypatch: pytest.MonkeyPatch) -> None:
    shot = shot_of(Activity(STAND, gesture), x=0.0, yaw=30, seed=3)
    picture, (with_thing,) = Stage(shot, WIDTH, HEIGHT).film(1.0)
    monkeypatch.delitem(HELD, gesture)
    empty_handed_picture, (without,) = Stage(shot, WIDTH, HEIGHT).film(1.0)
    changed = np.abs(picture.astype(int) - empty_handed_picture).max(axis=2) > 20
    assert changed.sum() > 20
    assert with_thing.box_xyxy.tolist() == without.box_xyxy.tolist()


def test_a_person_who_lies_has_a_wide_box_and_a_mat_that_is_not_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    shot = shot_of(Activity(LIE), x=0.0, yaw=85, seed=4)
    picture, (person,) = Stage(shot, WIDTH, HEIGHT).film(1.0)
    x1, y1, x2, y2 = person.box_xyxy
    assert x2 - x1 > 1.3 * (y2 - y1)
    monkeypatch.setattr(stage_module.props, "mat", lambda *_: [Face(np.zeros((3, 2)), np.zeros(3), 1.0)])
    bare_floor, (same_person,) = Stage(shot, WIDTH, HEIGHT).film(1.0)
    assert (np.abs(picture.astype(int) - bare_floor).max(axis=2) > 20).sum() > 300
    assert same_person.box_xyxy.tolist() == person.box_xyxy.tolist()


def test_a_fall_is_shown_from_the_start_on_every_half_second() -> None:
    stage = Stage(shot_of(Activity(FALL), x=0.0, yaw=70, seed=5), WIDTH, HEIGHT)
    heights = {t: np.diff(stage.film(t)[1][0].box_xyxy[1::2])[0] for t in (0.6, 1.0, 1.4, 1.6)}
    assert heights[0.6] > heights[1.0] > heights[1.4]
    assert heights[1.6] == pytest.approx(heights[0.6], abs=4)


def test_pictures_follow_from_the_seed_and_the_time_alone() -> None:
    shot = next(iter(plan_movie(5, 4, WIDTH, HEIGHT, 2)))
    first = Stage(shot, WIDTH, HEIGHT)
    first.film(0.5)
    again = Stage(shot, WIDTH, HEIGHT)
    assert (first.film(1.5)[0] == again.film(1.5)[0]).all()
