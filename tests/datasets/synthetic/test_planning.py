import math
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ava_detect.datasets.synthetic.actions import FIGHT, LIE, SIT, STAND, WAVE, Activity
from ava_detect.datasets.synthetic.appearance import Look
from ava_detect.datasets.synthetic.camera import facing_axes
from ava_detect.datasets.synthetic.casting import DISTANCE
from ava_detect.datasets.synthetic.movement import Style
from ava_detect.datasets.synthetic.planning import ACTION_IDS, MAX_PEOPLE, plan_movie
from ava_detect.datasets.synthetic.scene import Actor, ClutterKind, Cue, Repertoire, Shot, ShotKind
from ava_detect.structures.labels import LabelMap


def planned(num_movies: int, seconds: float, repertoire: Repertoire = Repertoire.EVERYDAY) -> list[Shot]:
    return [shot for seed in range(num_movies) for shot in plan_movie(seed, seconds, 640, 360, None, repertoire)]


@pytest.mark.parametrize("repertoire", list(Repertoire))
@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**9), st.floats(0.1, 30), st.sampled_from([None, 1, 2, 3]))
def test_shots_follow_each_other_without_gaps(
    repertoire: Repertoire, seed: int, seconds: float, num_people: int | None
) -> None:
    shots = list(plan_movie(seed, seconds, 640, 360, num_people, repertoire))
    assert shots[0].start_seconds == 0
    assert shots[-1].end_seconds == seconds
    for before, after in pairwise(shots):
        assert before.end_seconds == after.start_seconds
        assert after.start_seconds % 1 == 0.5
        assert 3 <= before.end_seconds - before.start_seconds <= 7
    people = [actor.person_id for shot in shots for actor in shot.actors]
    assert people == list(range(len(people)))
    for shot in shots:
        assert 1 <= len(shot.actors) <= MAX_PEOPLE[repertoire]
        assert num_people is None or len(shot.actors) == num_people


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**9))
def test_activities_change_on_half_seconds_and_have_ids_of_ava(seed: int) -> None:
    for shot in plan_movie(seed, 20, 640, 360, None):
        for actor in shot.actors:
            assert actor.cues[0].start_seconds == shot.start_seconds
            assert all(cue.start_seconds % 1 == 0.5 for cue in actor.cues[1:])
            assert all(shot.start_seconds < cue.start_seconds < shot.end_seconds for cue in actor.cues[1:])
            assert all(action_id in LabelMap.ava() for cue in actor.cues for action_id in cue.activity.action_ids)
            assert len({cue.activity.needs_seat for cue in actor.cues}) == 1


def test_the_same_seed_plans_the_same_and_another_one_does_not() -> None:
    def script(seed: int) -> list[object]:
        return [
            (a.cues, a.look.height_metres, shot.seed) for shot in plan_movie(seed, 12, 640, 360, 2) for a in shot.actors
        ]

    assert script(3) == script(3)
    assert script(3) != script(4)


def test_every_kind_of_shot_and_every_number_of_people_occurs() -> None:
    everyday = planned(60, 20)
    paired = {ShotKind.PAIRED_HANDS, ShotKind.PAIRED_STEPS}
    assert {shot.kind for shot in everyday} == set(ShotKind) - paired
    assert {len(shot.actors) for shot in everyday} == {1, 2, 3, 4}
    assert {thing.kind for shot in everyday for thing in shot.clutter} == set(ClutterKind)
    assert {shot.kind for shot in planned(10, 20, Repertoire.MOTION_PAIRS)} == paired


@pytest.mark.parametrize("repertoire", list(Repertoire))
def test_no_action_is_rare(repertoire: Repertoire) -> None:
    smallest_share = {Repertoire.EVERYDAY: 0.022, Repertoire.MOTION_PAIRS: 0.2}[repertoire]
    rows: Counter[int] = Counter()
    people = 0
    for shot in planned(60, 30, repertoire):
        for second in range(math.ceil(shot.start_seconds), math.ceil(shot.end_seconds)):
            for actor in shot.actors:
                people += 1
                rows.update(actor.activity_at(second).action_ids)
    assert set(rows) == set(ACTION_IDS[repertoire])
    assert min(rows.values()) / people > smallest_share


def test_most_labelled_seconds_are_more_than_a_second_from_a_change_of_activity() -> None:
    near = total = 0
    for shot in planned(60, 30):
        for actor in shot.actors:
            for second in range(math.ceil(shot.start_seconds), math.ceil(shot.end_seconds)):
                near += any(abs(cue.start_seconds - second) < 1 for cue in actor.cues[1:])
                total += 1
    assert near / total < 0.12


def test_a_tracking_camera_goes_as_fast_as_the_people() -> None:
    for shot in planned(30, 20):
        if shot.kind is ShotKind.TRACKING:
            for actor in shot.actors:
                assert actor.speed == shot.camera_speed
                assert abs(actor.cues[0].activity.speed(actor.look.height_metres, actor.style)) == pytest.approx(
                    abs(actor.speed)
                )


def test_people_who_do_something_together_face_each_other_and_keep_time() -> None:
    pairs = 0
    for shot in planned(40, 20):
        if shot.kind is not ShotKind.TOGETHER:
            continue
        for first, second in pairwise(shot.actors):
            activity = first.cues[0].activity
            if activity.gesture in DISTANCE and first.person_id % 2 == shot.actors[0].person_id % 2:
                pairs += 1
                assert second.cues[0].activity == activity
                between = second.ground - first.ground
                assert np.hypot(*between) == pytest.approx(
                    DISTANCE[activity.gesture] * max(first.look.height_metres, second.look.height_metres)
                )
                for actor, towards in ((first, between), (second, -between)):
                    forward = facing_axes(actor.cues[0].yaw_degrees)[2][[0, 2]]
                    np.testing.assert_allclose(forward, towards / np.hypot(*towards), atol=1e-9)
                assert first.style.tempo == second.style.tempo
                turn = 0.5 if activity.gesture == FIGHT else 0.0
                assert (second.style.phase - first.style.phase) % 1 == pytest.approx(turn)
    assert pairs > 20


def test_nothing_stands_in_front_of_people_who_are_low() -> None:
    for shot in planned(60, 20):
        nearest = min(actor.ground[1] for actor in shot.actors)
        poses = {cue.activity.pose for actor in shot.actors for cue in actor.cues}
        if any(thing.speed == 0 and thing.z_metres < nearest for thing in shot.clutter):
            assert not poses & {SIT, LIE}


@pytest.fixture
def waver() -> Actor:
    """A person who stands and starts to wave at 2.5 s."""
    look = Look.random(np.random.default_rng(0))
    cues = (Cue(0.0, Activity(STAND), 0.0), Cue(2.5, Activity(STAND, WAVE), 40.0))
    return Actor(0, look, Style(), cues, np.array([0.0, 4.0]), 0.0, np.zeros(3))


def test_labels_follow_the_cues(waver: Actor) -> None:
    ids = {t: waver.activity_at(t).action_ids for t in (0.0, 2.0, 2.499, 2.5, 3.0, 99.0)}
    assert ids == {0.0: (12,), 2.0: (12,), 2.499: (12,), 2.5: (12, 69), 3.0: (12, 69), 99.0: (12, 69)}


def test_a_change_of_activity_is_a_movement_and_over_before_the_next_whole_second(waver: Actor) -> None:
    times = np.arange(2.0, 3.0, 1 / 60)
    yaws = np.array([waver.pose_at(float(t))[1] for t in times])
    assert yaws[0] == 0
    assert yaws[-1] == 40
    assert waver.pose_at(2.5)[1] == pytest.approx(20)
    assert np.abs(np.diff(yaws)).max() < 5  # degrees in a sixtieth of a second
    pose, _ = waver.pose_at(3.0)
    np.testing.assert_allclose(pose.angles_degrees, Activity(STAND, WAVE).pose_at(3.0, Style()).angles_degrees)
