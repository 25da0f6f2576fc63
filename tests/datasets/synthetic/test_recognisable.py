"""The figures look enough like people for the detector that comes with the package to find them."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from ava_detect.datasets.synthetic.actions import ACTION_IDS
from ava_detect.datasets.synthetic.planning import plan_movie
from ava_detect.datasets.synthetic.scene import Repertoire
from ava_detect.datasets.synthetic.stage import Stage
from ava_detect.detectors import build_detector
from ava_detect.structures import boxes

# Of the seeds from 200 on, those whose movies have the most people and actions.
FULL_MOVIES = (200, 201, 217, 221, 222, 227, 228, 251, 253)


@dataclass
class Tally:
    """Counts of people, of people found, and of detections on no person; both numbers of people by action."""

    people: int = 0
    found: int = 0
    strays: int = 0
    people_of: Counter[int] = field(default_factory=Counter)
    found_of: Counter[int] = field(default_factory=Counter)


def tally_of(seeds: Iterable[int], seconds: int, repertoire: Repertoire = Repertoire.EVERYDAY) -> Tally:
    """Every second keyframe of movies at 640x360. A detection counts for one figure at most."""
    detector = build_detector("builtin")
    tally = Tally()
    for seed in seeds:
        for shot in plan_movie(seed, seconds, 640, 360, None, repertoire):
            stage = Stage(shot, 640, 360)
            first = int(np.ceil(shot.start_seconds))
            for second in range(first + first % 2, int(np.ceil(shot.end_seconds)), 2):
                image, people = stage.film(second)
                truth = np.array([person.box_xyxy for person in people]).reshape(-1, 4)
                hits = boxes.iou(truth, detector([image])[0].boxes_xyxy.astype(float)) >= 0.5
                found = {
                    int(row) for row, column in zip(*linear_sum_assignment(~hits), strict=True) if hits[row, column]
                }
                tally.strays += int((~hits.any(axis=0)).sum())
                tally.people += len(people)
                tally.found += len(found)
                for index, person in enumerate(people):
                    tally.people_of.update(person.action_ids)
                    tally.found_of.update(person.action_ids if index in found else ())
    return tally


def test_the_builtin_detector_finds_the_figures_of_motion_pairs() -> None:
    tally = tally_of(range(4), 8, Repertoire.MOTION_PAIRS)
    assert tally.people >= 20
    assert tally.found / tally.people >= 0.95


@pytest.mark.slow
def test_it_finds_the_figures_in_many_movies_whatever_they_do_and_little_else() -> None:
    tally = tally_of(FULL_MOVIES, 14)
    assert {tally.people_of[action_id] >= 3 for action_id in ACTION_IDS} == {True}
    assert tally.people >= 200
    assert tally.found / tally.people >= 0.95
    assert tally.strays <= 0.1 * tally.people
    recalls = {action_id: tally.found_of[action_id] / tally.people_of[action_id] for action_id in ACTION_IDS}
    assert {action_id: recall for action_id, recall in recalls.items() if recall < 0.8} == {}
