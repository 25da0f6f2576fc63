from __future__ import annotations

import numpy as np
import pytest

from ava_detect.evaluation.diagnosis import diagnose, diagnose_if_suspicious
from ava_detect.evaluation.frame_map import FrameMAP, matches_of
from ava_detect.formats.ava_csv import AvaTable

BOX = (0.1, 0.1, 0.5, 0.9)


def table(videos, seconds, box=BOX, action=12, **columns):
    return AvaTable.from_columns(videos, seconds, [box] * len(videos), [action] * len(videos), **columns)


def diagnosis(truth: AvaTable, found: AvaTable) -> list[str]:
    metric = FrameMAP()
    metric.update(ground_truth=truth, detections=found)
    return diagnose(matches_of(metric))


TRUTH = table(["a", "a", "b"], [902, 903, 902])


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (table(["a.mp4", "b.mp4"], [902, 902], scores=[0.9, 0.8]), "the names differ, as in 'a.mp4' and 'a'"),
        (
            table(["a", "a"], [2, 3], scores=[0.9, 0.8]),
            "in video 'a' the detections begin at second 2, the ground truth at 902",
        ),
        (
            table(["a", "b"], [902, 902], (40, 30, 200, 220), scores=[0.9, 0.8]),
            "100% of the boxes of the detections reach far",
        ),
        (table(["a"], [902], action=2, scores=[0.9]), "there is no detection of an evaluated action"),
    ],
)
def test_the_usual_mistakes_are_diagnosed(found, message):
    (sentence,) = diagnosis(TRUTH, found)
    assert message in sentence


def test_ground_truth_in_pixels_and_without_evaluated_actions():
    found = table(["a"], [902], scores=[0.9])
    assert "boxes of the ground truth" in diagnosis(table(["a"], [902], (4, 3, 20, 22)), found)[0]
    assert diagnosis(table(["a"], [902], action=2), found) == ["there is no ground truth of an evaluated action"]


@pytest.mark.parametrize(
    ("scores", "sentences"),
    [
        (
            [117, 0.5, -np.inf],
            [
                "2 of 3 detections have a score outside 0..1, from -inf to 117: only their order counts; is column 8 a "
                "person id?"
            ],
        ),
        ([0, 1, 1], ["all scores are 0 or 1; is column 8 a person id?"]),
        ([1, 1, 1], []),
        ([0, 1, 0.5], []),
    ],
)
def test_scores_that_are_none_are_said_whatever_the_map(scores, sentences):
    metric = FrameMAP()
    metric.update(ground_truth=TRUTH, detections=table(["a", "a", "b"], [902, 903, 902], scores=scores))
    assert diagnose_if_suspicious(metric, metric.compute()) == sentences


def test_boxes_that_are_none_are_counted_whatever_the_map():
    metric = FrameMAP()
    found = table(["a", "a", "b"], [902, 903, 902], scores=[0.9, 0.8, 0.7])
    found.boxes_fraction[:2, 1] = (np.nan, -np.inf)
    metric.update(ground_truth=TRUTH, detections=found)
    assert diagnose_if_suspicious(metric, metric.compute())[0] == (
        "2 of the 3 boxes of the detections have a NaN or infinite corner, and match none; the first is in video 'a' "
        "at second 902"
    )


def test_an_ordinary_run_has_no_diagnosis():
    rng = np.random.default_rng(0)
    found = table(["a", "a", "b"], [902, 903, 902], scores=rng.random(3))
    assert diagnosis(TRUTH, found) == []
