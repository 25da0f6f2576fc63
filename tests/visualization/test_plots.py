"""The page of plots: its numbers by hand, odd results, and nothing loaded from outside."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from ava_detect.evaluation.frame_map import FrameMAP
from ava_detect.formats.ava_csv import AvaTable
from ava_detect.structures import ActionDetections
from ava_detect.structures.labels import Action, ActionKind, LabelMap
from ava_detect.structures.tubes import action_tubes
from ava_detect.visualization.plots import PlottedVideo, write_plots

MAP = LabelMap((Action(1, "stand", ActionKind.POSE), Action(2, 'say "<b>"', ActionKind.PERSON), Action(3, "unseen")))


def plotted(video_id: str, scores: list[list[float]]) -> PlottedVideo:
    """Person 1 with a row of scores per second."""
    keyframes = [
        ActionDetections(
            video_id, float(t), [[0.1, 0.1, 0.5, 0.9]], [1.0], [row], np.array(MAP.ids), track_ids=np.array([1])
        )
        for t, row in enumerate(scores)
    ]
    return PlottedVideo(video_id, keyframes, tuple(action_tubes(keyframes, smoothing_seconds=0)))


def text_of(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", re.sub(r"<(style|script|svg).*?</\1>", " ", page, flags=re.S)).split())


def test_counts_percentiles_and_shares(tmp_path: Path) -> None:
    """Stand: 0.9, 0.6, 0.2 are believed, two of them count; say: 0.8 once, beside standing."""
    videos = [plotted("v<i>", [[0.9, 0.8, 0.0], [0.6, 0.0, 0.0], [0.2, 0.0, 0.0]])]
    page = write_plots(tmp_path, videos, MAP).read_text()
    text = text_of(page)
    assert "1 video, 3 keyframes, 1 person followed, 3 boxes" in text
    assert "2 tubes in 1 video." in text
    # 10th percentile of 0.2, 0.6, 0.9 is 0.28, the 90th 0.84.
    assert "▲ person" in text[: text.index("2 tubes")] and "◆" not in text, "the legend has the kinds that are drawn"
    assert "stand ● pose 2 28.00 60.00 84.00" in text
    assert "say &quot;&lt;b&gt;&quot; ▲ person 1 80.00 80.00 80.00" in text
    assert "unseen" not in text and "<b>" not in page and "<i>" not in page
    shares = re.findall(r">\s*(\d+)\s*</text>", page[page.index('aria-label="How often') :])
    assert "50" in shares and "100" in shares, "half of standing is saying; all of saying is standing"
    assert not re.findall(r'(?:src|href)="(?!#)', page)


def test_ground_truth_adds_ap_and_curves(tmp_path: Path) -> None:
    video = plotted("v", [[0.9, 0.0, 0.0], [0.6, 0.0, 0.0]])
    metric = FrameMAP(MAP)
    truth = AvaTable.from_columns(["v"], [0.0], [[0.1, 0.1, 0.5, 0.9]], [1], person_ids=[0])
    metric.update(ground_truth=truth, detections=AvaTable.from_detections(video.keyframes))
    text = text_of(write_plots(tmp_path, [video], MAP, metric=metric).read_text())
    assert "AP of each class, best first" in text and "Precision and recall" in text


def test_nothing_found_is_said(tmp_path: Path) -> None:
    empty = PlottedVideo("v", [ActionDetections("v", 0.0, [], [], np.zeros((0, 3)), np.array(MAP.ids))], ())
    text = text_of(write_plots(tmp_path, [empty], MAP, note="untrained network").read_text())
    assert "untrained network" in text
    assert text.count("No person was found") == 3


@pytest.mark.parametrize(
    ("scores", "sentence"),
    [
        ([[0.9, 0.0, 0.0], [0.0, 0.8, 0.0]], "Of the 2 actions that are done, no two are done by one person"),
        ([[0.9, 0.0, 0.0]], "One action only reaches the score"),
        ([[0.2, 0.3, 0.0]], "No action reaches the score"),
    ],
)
def test_a_matrix_that_would_be_empty_is_a_sentence(scores: list[list[float]], sentence: str, tmp_path: Path) -> None:
    page = write_plots(tmp_path, [plotted("v", scores)], MAP).read_text()
    assert sentence in text_of(page) and "Done together" in text_of(page)
    assert 'aria-label="How often' not in page


def test_actions_that_are_done_alone_are_left_out_of_the_matrix_and_counted(tmp_path: Path) -> None:
    page = write_plots(tmp_path, [plotted("v", [[0.9, 0.8, 0.0], [0.0, 0.0, 0.7]])], MAP).read_text()
    assert "1 action is never done with another" in text_of(page)
    assert 'aria-label="How often 2 actions' in page


def test_a_drawing_alone_is_as_wide_as_the_page_and_two_stand_beside_each_other(tmp_path: Path) -> None:
    one = plotted("v", [[0.9, 0.0, 0.0]])
    page = write_plots(tmp_path, [one], MAP).read_text()
    ids = re.findall(r' id="(.*?)"', page)
    assert len(ids) == len(set(ids)), "one drawing in two widths has two sets of ids"
    assert page.count('class="on-wide"') == page.count('class="on-narrow"') == 2, "timeline and scores"
    page = write_plots(tmp_path, [one, plotted("w", [[0.9, 0.0, 0.0]])], MAP).read_text()
    assert page.count('class="on-wide"') == 1, "the two timelines are a pair"


def test_of_many_rows_the_longest_are_drawn_and_the_rest_counted(tmp_path: Path) -> None:
    actions = LabelMap(tuple(Action(i, f"action {i}", ActionKind.OBJECT) for i in range(1, 51)))
    scores = np.full((1, 50), 0.9, np.float32)
    frame = ActionDetections("v", 0.0, [[0, 0, 1, 1]], [1.0], scores, np.array(actions.ids), np.array([1]))
    video = PlottedVideo("v", [frame], tuple(action_tubes([frame], smoothing_seconds=0)))
    text = text_of(write_plots(tmp_path, [video], actions).read_text())
    assert "the 40 rows with the most time are drawn; 10 are not" in text
