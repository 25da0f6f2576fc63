"""Tracks keep people's identities: IDF1 by hand, and in the puppet world, whose movies have cuts and person ids."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from identity_score import found_f1, idf1

from ava_detect.datasets.synthetic.world import render_movie
from ava_detect.detectors import build_detector
from ava_detect.results.people_table import PeopleTable
from ava_detect.results.saved import keyframes_of
from ava_detect.structures import ActionDetections, ClipSettings, Frame, boxes
from ava_detect.structures.clip import keyframe_times
from ava_detect.structures.labels import LabelMap
from ava_detect.structures.linking import Linker
from ava_detect.video.clip_sampler import ClipSampler
from ava_detect.video.reader import VideoReader

# One more than the first, of which nothing is known but its number.
SEEDS = [5, pytest.param(21, marks=pytest.mark.slow)]
A, B = (0.1, 0.1, 0.3, 0.9), (0.6, 0.1, 0.8, 0.9)


def tracked(time: float, people: dict[int, tuple[float, ...]]) -> ActionDetections:
    box = np.array(list(people.values()), np.float32).reshape(-1, 4)
    ids = np.array([*people], np.int64)
    return ActionDetections("v", time, box, np.ones(len(ids)), np.zeros((len(ids), 1)), track_ids=ids)


def test_idf1_by_hand() -> None:
    """Two people, three keyframes; the tracks swap on the last: 4 of 6 boxes keep their identity."""
    truth = [tracked(t, {1: A, 2: B}) for t in range(3)]
    assert idf1(truth, truth) == 1.0
    swapped = [*truth[:2], tracked(2, {1: B, 2: A})]
    assert idf1(truth, swapped) == pytest.approx(4 / 6)
    # One box missed and one false: 2 * 5 / (6 + 6).
    missed = [*truth[:2], tracked(2, {1: A, 9: (0.4, 0.1, 0.5, 0.2)})]
    assert idf1(truth, missed) == pytest.approx(10 / 12)
    assert [found_f1(truth, found) for found in (truth, swapped, missed)] == pytest.approx([1, 1, 10 / 12])


@pytest.fixture(scope="module", params=SEEDS)
def movie(request, tmp_path_factory):
    """A movie of half a minute with several shots: its keyframes with pictures, and its truth."""
    path = tmp_path_factory.mktemp("world") / "movie.mp4"
    table = render_movie(path, seed=request.param, seconds=30, fps=3, width=480, height=270)
    settings = ClipSettings(num_frames=2, sampling_rate=1, short_side=32)
    sampler = ClipSampler(VideoReader(path), settings, find_shots=True)
    keyframes = list(sampler.sample(keyframe_times(1)))
    assert len(sampler.cuts_seconds) >= 3
    label_map = LabelMap.ava()
    truth = {k.timestamp_seconds: k for k in keyframes_of("movie", PeopleTable.from_rows(table, label_map), label_map)}
    empty = ActionDetections.empty("movie", 0.0)
    empty = replace(empty, track_ids=np.zeros(0, np.int64))
    return keyframes, [truth.get(t, replace(empty, timestamp_seconds=t)) for t in map(_time, keyframes)]


def _time(keyframe) -> float:
    return keyframe.timestamp_seconds


def link(
    keyframes, found: list[ActionDetections], *, with_shots: bool = True, start_score: float = 0.0
) -> list[ActionDetections]:
    linker = Linker(start_score=start_score)
    return [linker.update(d, shot=k.shot if with_shots else 0) for d, k in zip(found, keyframes, strict=True)]


def test_with_true_boxes_people_keep_their_ids(movie) -> None:
    keyframes, truth = movie
    assert idf1(truth, link(keyframes, truth)) >= 0.98
    assert idf1(truth, link(keyframes, truth, with_shots=False)) < 0.9, "without its cuts the movie is no test"


def test_with_detected_boxes_people_keep_their_ids(movie) -> None:
    """0.9, or nearly what the boxes allow: no linking finds whom the detector misses or takes for one with another."""
    keyframes, truth = movie
    detector = build_detector("builtin")
    found = []
    for keyframe in keyframes:
        people = detector([Frame(keyframe.image, keyframe.timestamp_seconds, "movie")])[0]
        height, width = keyframe.image.shape[:2]
        fractions = boxes.pixels_to_fractions(people.boxes_xyxy, width, height).astype(np.float32)
        scores = np.zeros((len(people), 80), np.float32)
        found.append(ActionDetections("movie", keyframe.timestamp_seconds, fractions, people.scores, scores))
    tracked_people = link(keyframes, found, start_score=0.6)
    score, possible = idf1(truth, tracked_people), found_f1(truth, tracked_people)
    assert score >= min(0.9, possible - 0.04)
    assert possible > 0.87
