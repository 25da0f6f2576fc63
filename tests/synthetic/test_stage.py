"""Ground-truth boxes against silhouettes measured on plain backgrounds, without the drawing code's own mask."""

from dataclasses import replace

import numpy as np
import pytest

from ava_detect.synthetic import stage as stage_module
from ava_detect.synthetic.actions import MOVING_ACTIVITIES, STANDING_ACTIVITIES, Activity
from ava_detect.synthetic.planning import plan_movie
from ava_detect.synthetic.scene import Cue, Shot
from ava_detect.synthetic.stage import MIN_VISIBLE_SHARE, Stage

WIDTH, HEIGHT = 320, 180
EMPTY_HANDED = [activity for activity in (*STANDING_ACTIVITIES, *MOVING_ACTIVITIES) if activity.gesture != 17]


class PlainBackdrop:
    def __init__(self, level: float) -> None:
        self.level = level

    def view(self, camera_metres: float, unrest: tuple[float, float]) -> np.ndarray:
        return np.full((HEIGHT, WIDTH, 3), self.level, np.float32)


def shot_of(activity: Activity, *, x: float, yaw: float, seed: int) -> Shot:
    """One person at ``x`` metres, 4 m away, who does one thing."""
    shot = next(iter(plan_movie(seed, 3, WIDTH, HEIGHT, 1)))
    actor = replace(shot.actors[0], cues=(Cue(0.0, activity, yaw),), ground=np.array([x, 4.0]), speed=0.0)
    return replace(shot, actors=(actor,), camera_speed=0.0, tint=np.ones(3))


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


@pytest.mark.parametrize("activity", EMPTY_HANDED, ids=str)
def test_boxes_are_tight_around_the_visible_figure(activity: Activity, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed, (x, yaw, seconds) in enumerate([(0.0, 20, 0.4), (0.3, -75, 1.1), (-1.35, 60, 2.0)]):
        shot = shot_of(activity, x=x, yaw=yaw, seed=seed)
        (person,) = Stage(shot, WIDTH, HEIGHT).film(seconds)[1]
        np.testing.assert_allclose(person.box_xyxy, measured_box(shot, seconds, monkeypatch), atol=1)
        assert person.action_ids == activity.action_ids


def test_people_outside_the_frame_are_not_in_the_ground_truth() -> None:
    stand = Activity(12)
    edge = 4.0 / (1.25 * HEIGHT) * WIDTH / 2  # metres from the middle to the right edge
    seen = {x: Stage(shot_of(stand, x=x, yaw=0, seed=1), WIDTH, HEIGHT).film(1.0)[1] for x in (edge, edge + 0.4, 9.0)}
    assert len(seen[edge]) == 1  # half of the figure is more than the share that counts
    assert MIN_VISIBLE_SHARE < 0.5
    assert seen[edge][0].box_xyxy[2] == WIDTH
    assert not seen[edge + 0.4]
    assert not seen[9.0]


def test_the_box_leaves_out_the_chair() -> None:
    shot = shot_of(Activity(11), x=0.0, yaw=70, seed=2)
    (person,) = Stage(shot, WIDTH, HEIGHT).film(1.0)[1]
    with_shadow_and_chair = Stage(shot, WIDTH, HEIGHT).film(1.0)[0].astype(int)
    without = Stage(replace(shot, actors=()), WIDTH, HEIGHT).film(1.0)[0].astype(int)
    columns = np.flatnonzero((np.abs(with_shadow_and_chair - without).max(axis=2) > 40).sum(axis=0) > 5)
    assert columns.min() < person.box_xyxy[0] - 1  # the backrest is behind the figure, outside its box


def test_the_box_leaves_out_what_is_carried(monkeypatch: pytest.MonkeyPatch) -> None:
    shot = shot_of(Activity(12, 17), x=0.0, yaw=80, seed=3)
    picture, (with_parcel,) = Stage(shot, WIDTH, HEIGHT).film(1.0)
    monkeypatch.setattr(stage_module.props, "carried_box", lambda *_: [])
    empty_handed_picture, (without,) = Stage(shot, WIDTH, HEIGHT).film(1.0)
    assert (picture != empty_handed_picture).any()
    assert with_parcel.box_xyxy.tolist() == without.box_xyxy.tolist()


def test_pictures_follow_from_the_seed_and_the_time_alone() -> None:
    shot = next(iter(plan_movie(5, 4, WIDTH, HEIGHT, 2)))
    first = Stage(shot, WIDTH, HEIGHT)
    first.film(0.5)
    again = Stage(shot, WIDTH, HEIGHT)
    assert (first.film(1.5)[0] == again.film(1.5)[0]).all()
