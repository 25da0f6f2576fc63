"""The pairs that differ by motion alone: a slow pathway sees the same of the two, a fast one does not."""

from __future__ import annotations

import numpy as np
import pytest

from ava_detect.datasets.synthetic.actions import CLAP, RUN, STAND, WALK, WAVE, Activity
from ava_detect.datasets.synthetic.motion_pairs import LOW_HERTZ, SLOW_PATHWAY_HERTZ, pair_hertz
from ava_detect.datasets.synthetic.movement import Style
from ava_detect.datasets.synthetic.planning import plan_movie
from ava_detect.datasets.synthetic.scene import Repertoire, ShotKind

PAIRS = [(WALK, None, RUN, None), (STAND, WAVE, STAND, CLAP)]


def arms_and_legs(activity: Activity, times: np.ndarray, phase: float) -> np.ndarray:
    # slow swaying while standing depends on the phase as well; arms and, for steps, legs are what the pair is about
    rows = slice(2, 6) if activity.gesture else slice(0, 10)
    return np.array([activity.pose_at(float(t), Style(phase=phase)).angles_degrees[rows] for t in times])


def both(pair: tuple[int, int | None, int, int | None], low: float) -> tuple[Activity, Activity]:
    slow_pose, slow_gesture, fast_pose, fast_gesture = pair
    return Activity(slow_pose, slow_gesture, low), Activity(fast_pose, fast_gesture, SLOW_PATHWAY_HERTZ - low)


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("low", [LOW_HERTZ[0], 1.0, LOW_HERTZ[1]])
def test_every_eighth_frame_of_one_action_is_every_eighth_frame_of_the_other(pair: tuple, low: float) -> None:
    slow, fast = both(pair, low)
    times = np.arange(8) * 8 / 30
    for phase in (0.0, 0.1, 0.6):
        # sin(-x) is sin(x + half a cycle): phase p of one is phase 1/2 - p of the other, and phases are uniform
        np.testing.assert_allclose(
            arms_and_legs(slow, times, phase), arms_and_legs(fast, times, 0.5 - phase), atol=1e-6
        )


@pytest.mark.parametrize("pair", PAIRS)
def test_at_fifteen_frames_a_second_no_phase_makes_them_alike(pair: tuple) -> None:
    slow, fast = both(pair, 1.0)
    times = np.arange(32) * 2 / 30
    seen = arms_and_legs(slow, times, 0.0)
    differences = [np.abs(arms_and_legs(fast, times, phase) - seen).mean() for phase in np.arange(0, 1, 0.02)]
    assert min(differences) > 0.4 * np.abs(seen - seen.mean(axis=0)).mean()


@pytest.mark.parametrize("pair", PAIRS)
def test_single_poses_are_the_same_set(pair: tuple) -> None:
    for activity in both(pair, 1.0):
        poses = arms_and_legs(activity, np.linspace(0, 1 / activity.pair_hertz, 721), 0.0)
        other = arms_and_legs(both(pair, 1.0)[0], np.linspace(0, 1, 721), 0.0)
        np.testing.assert_allclose(poses.min(axis=0), other.min(axis=0), atol=0.2)
        np.testing.assert_allclose(poses.max(axis=0), other.max(axis=0), atol=0.2)


def test_rates_of_a_pair_are_aliases_of_each_other() -> None:
    low = [pair_hertz(np.random.default_rng(seed), is_fast=False) for seed in range(50)]
    high = [pair_hertz(np.random.default_rng(seed), is_fast=True) for seed in range(50)]
    np.testing.assert_allclose(np.add(low, high), SLOW_PATHWAY_HERTZ)
    assert LOW_HERTZ[0] <= min(low) < max(low) <= LOW_HERTZ[1]


def test_nothing_but_the_cadence_tells_the_actions_of_a_shot_apart() -> None:
    speeds: dict[int, list[float]] = {WALK: [], RUN: []}
    yaws: dict[int, list[float]] = {WALK: [], RUN: [], WAVE: [], CLAP: []}
    for seed in range(40):
        for shot in plan_movie(seed, 30, 640, 360, None, Repertoire.MOTION_PAIRS):
            for actor in shot.actors:
                (cue,) = actor.cues
                (action_id,) = cue.activity.action_ids
                yaws[action_id].append(abs(cue.yaw_degrees))
                if shot.kind is ShotKind.PAIRED_STEPS:
                    assert actor.speed == shot.camera_speed
                    speeds[action_id].append(abs(actor.speed))
    assert np.mean(speeds[WALK]) == pytest.approx(np.mean(speeds[RUN]), rel=0.05)
    assert np.mean(yaws[WALK]) == pytest.approx(np.mean(yaws[RUN]), rel=0.05)
    assert np.mean(yaws[WAVE]) == pytest.approx(np.mean(yaws[CLAP]), rel=0.15)
