"""The report of tubes has the sections of the report of frame-mAP, with the numbers of the result."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
from report_page import Page, points
from tube_files import LABELS, tube

from ava_detect.evaluation.tube_errors import analyze_tube_errors
from ava_detect.evaluation.tube_runs import TubeRun
from ava_detect.evaluation.video_map import VideoMAP
from ava_detect.visualization.report.write_tube_report import write_tube_report


def run_of(truth, found, dialect="multisports") -> TubeRun:
    metric = VideoMAP(LABELS, dialect, ["a", "b", "c"])
    metric.update(ground_truth=truth, tubes=found)
    return TubeRun(Path("found.pkl"), tuple(metric.compute_at((0.2, 0.5))), {"0.50:0.95": 0.25}, metric=metric)


TRUTH = [tube(video, action, box=np.array([9.0, 9, 50, 90]) + 60 * action) for video in "abc" for action in (0, 1)]
FOUND = [
    tube(t.video_id, t.action_id if number % 3 else 0, 1, 20 - number, t.boxes_xyxy[0] + number, 1 - number / 10)
    for number, t in enumerate(TRUTH)
]


@pytest.mark.parametrize("dialect", ["multisports", "act"])
def test_the_page_has_the_numbers_of_the_result(tmp_path, dialect):
    run = run_of(TRUTH, FOUND, dialect)
    page = Page(write_tube_report(tmp_path, run, source={"linking": "moc"}, num_resamples=20))
    result = run.results[1]
    assert f"<strong>{points(result.mAP)}</strong> <span>video-mAP, in points of 100, at IoU 0.5" in page.text
    sections = [i for i in page.values("id") if i in ("result", "classes", "curves", "frequency", "errors", "groups")]
    assert sections == ["result", "classes", "curves", "frequency", "errors", "groups"]
    averages = page.table("at other thresholds")
    assert averages["0.2"] == [points(run.results[0].mAP)]
    assert averages["0.50:0.95"] == ["25.00"]
    errors = analyze_tube_errors(run.metric, 0.5)
    oracles = page.table("if one side were perfect")
    assert oracles["perfect times only"][1] == points(errors.oracles["perfect_time"])
    groups = page.table("mAP by group")
    assert groups["16 to 40 frames"] == ["length of the tube", points(errors.by_length["16 to 40 frames"])]
    assert "ground-truth tubes" in page.words
    assert "keyframe" not in page.words
    assert "unknown" not in page.words
    assert not re.search(r"https?:", page.text)


@pytest.mark.parametrize(
    ("truth", "found", "sentence"),
    [
        ([], FOUND, "No ground truth takes part"),
        (TRUTH, [], "No detection takes part, so every class with ground truth has AP 0."),
        ([], [], "No ground truth takes part"),
    ],
)
@pytest.mark.parametrize("dialect", ["multisports", "act"])
def test_a_result_without_tubes_says_so(tmp_path, truth, found, sentence, dialect):
    page = Page(write_tube_report(tmp_path, run_of(truth, found, dialect), num_resamples=5))
    assert sentence in page.words
    assert "nan" not in re.sub(r"<(style|script)>.*?</\1>", "", page.text, flags=re.DOTALL).lower()
    assert math.isnan(run_of([], []).results[0].mAP)
