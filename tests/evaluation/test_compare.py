"""Differences between runs: the resampled AP is that of the resampled files, and the interval means what it says."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tolerances import FLOAT64_AP

from ava_detect.evaluation import resampling as module
from ava_detect.evaluation.compare import ap_intervals, compare, resampler_of
from ava_detect.evaluation.frame_map import FrameMAP, matches_of
from ava_detect.formats.ava_csv import AvaTable
from ava_detect.structures.labels import LabelMap

LABELS = LabelMap.ava().subset([12, 80, 3])
VIDEOS = [f"video{i}" for i in range(12)]


def truth_and_detections(seed: int, noise: float) -> tuple[AvaTable, AvaTable]:
    """Three people on five keyframes of each video; scores follow the truth as far as the noise lets them."""
    truth = np.random.default_rng(0)
    keyframes = [(video, second) for video in VIDEOS for second in range(5) for _ in range(3)]
    videos, seconds = zip(*keyframes, strict=True)
    x = truth.random(len(keyframes)) * 0.7
    boxes = np.stack([x, x * 0, x + 0.3, x * 0 + 1], axis=1)
    actions = truth.choice(LABELS.ids, len(keyframes))
    table = AvaTable.from_columns(videos, seconds, boxes, actions)
    run = np.random.default_rng(seed)
    repeated = np.repeat(np.arange(len(keyframes)), len(LABELS))
    guesses = np.tile(LABELS.ids, len(keyframes))
    scores = (guesses == actions[repeated]) + run.normal(0, noise, len(guesses))
    moved = boxes[repeated] + run.normal(0, 0.02, (len(guesses), 4))
    rows = [[column[i] for i in repeated] for column in (videos, seconds)]
    return table, AvaTable.from_columns(rows[0], rows[1], moved, guesses, scores)


def filled(seed: int, noise: float, dialect: str = "official") -> FrameMAP:
    metric = FrameMAP(LABELS, dialect)  # type: ignore[arg-type]
    truth, found = truth_and_detections(seed, noise)
    metric.update(ground_truth=truth, detections=found)
    return metric


def copies(table: AvaTable, weights: dict[str, int]) -> AvaTable:
    """Each video as often as its weight says, every copy under a name of its own."""
    parts = []
    for place, video in enumerate(table.video_ids):
        rows = table[table.video_index == place]
        for copy in range(weights[video]):
            names = [f"{video}#{copy}"] * len(rows)
            parts.append(
                AvaTable.from_columns(names, rows.timestamps_seconds, rows.boxes_fraction, rows.action_ids, rows.scores)
            )
    return AvaTable.concatenate(parts)


def test_resampled_ap_is_the_ap_of_the_resampled_videos(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RANKS_PER_STEP", 7)
    truth, found = truth_and_detections(1, 0.8)
    metric = filled(1, 0.8)
    draws = np.random.default_rng(5).multinomial(len(VIDEOS), [1 / len(VIDEOS)] * len(VIDEOS), 70)
    ours = resampler_of(matches_of(metric), 0.5, {video: i for i, video in enumerate(VIDEOS)}).resampled(draws.T)
    for draw in (0, 1, 69):
        weights = dict(zip(VIDEOS, draws[draw].tolist(), strict=True))
        again = FrameMAP(LABELS)
        again.update(ground_truth=copies(truth, weights), detections=copies(found, weights))
        # Copies tie in score; weighing them is to put them at one rank, their best order.
        for place, of_class in enumerate(again.compute().per_class.values()):
            assert of_class.ap_tie_min - FLOAT64_AP <= ours[place, draw] <= of_class.ap_tie_max + FLOAT64_AP
    ones = np.ones((len(VIDEOS), 1), np.int64)
    whole = resampler_of(matches_of(metric), 0.5, {video: i for i, video in enumerate(VIDEOS)}).resampled(ones)
    assert whole[:, 0] == pytest.approx([r.ap for r in metric.compute().per_class.values()], abs=FLOAT64_AP)


@pytest.mark.parametrize("dialect", ["official", "pyslowfast"])
def test_a_better_run_is_seen_to_be_better(dialect: str) -> None:
    comparison = compare(filled(1, 1.5, dialect), filled(2, 0.3, dialect), num_resamples=200)
    assert comparison.mAP.value == pytest.approx(comparison.second.mAP - comparison.first.mAP)
    assert 0 < comparison.mAP.low < comparison.mAP.value < comparison.mAP.high
    assert comparison.mAP.is_clear
    assert comparison.share_better == 1.0
    assert comparison.summary() in str(comparison)
    assert json.loads(json.dumps(comparison.to_json(), allow_nan=False))["per_class"]["12"]["name"] == "stand"


def test_a_run_equals_itself_and_equals_do_not_differ_clearly() -> None:
    same = compare(filled(1, 0.8), filled(1, 0.8), num_resamples=50)
    assert (same.mAP.value, same.mAP.low, same.mAP.high) == (0, 0, 0)
    assert not same.mAP.is_clear
    clear = [compare(filled(seed, 0.8), filled(seed + 50, 0.8), num_resamples=200).mAP.is_clear for seed in range(12)]
    assert sum(clear) <= 3  # 5% of 12 is 0.6


def test_the_seed_decides() -> None:
    a, b = filled(1, 0.8), filled(2, 0.8)
    first, again, other = (compare(a, b, num_resamples=50, seed=seed).mAP for seed in (3, 3, 4))
    assert first == again
    assert first != other


@pytest.mark.parametrize("dialect", ["official", "pyslowfast"])
def test_the_interval_of_one_run_holds_its_ap(dialect: str) -> None:
    metric = filled(1, 0.8, dialect)
    intervals, result = ap_intervals(metric, num_resamples=200), metric.compute()
    assert intervals.num_videos == len(VIDEOS)
    assert intervals.mAP.low < result.mAP < intervals.mAP.high
    for action_id, of_class in result.per_class.items():
        assert intervals.per_class[action_id].low < of_class.ap < intervals.per_class[action_id].high
    assert intervals == ap_intervals(metric, num_resamples=200)
    assert intervals.mAP != ap_intervals(metric, num_resamples=200, seed=1).mAP


def test_the_interval_by_hand() -> None:
    # Found in one video, missed in the other: the draws have AP 1, 1/2 and 0, a quarter, a half and a quarter of them.
    metric = FrameMAP(LABELS)
    box = [[0.1, 0.1, 0.5, 0.5]]
    metric.update(
        ground_truth=AvaTable.from_columns(["found", "missed"], [1, 1], box * 2, [12, 12]),
        detections=AvaTable.from_columns(["found"], [1], box, [12], [0.9]),
    )
    wide, narrow = (ap_intervals(metric, num_resamples=400, confidence=c) for c in (0.6, 0.4))
    assert (wide.per_class[12].low, wide.per_class[12].high) == (0, 1)
    assert (narrow.per_class[12].low, narrow.per_class[12].high) == (0.5, 0.5)
    assert np.isnan([wide.per_class[80].low, wide.per_class[80].high]).all()
    assert wide.mAP == wide.per_class[12]


def test_without_rows_the_interval_is_nan() -> None:
    intervals = ap_intervals(FrameMAP(LABELS), num_resamples=5)
    assert (intervals.num_videos, np.isnan(intervals.mAP.low)) == (0, True)


def test_only_like_is_compared() -> None:
    with pytest.raises(ValueError, match="same label map, dialect and iou_threshold"):
        compare(filled(1, 0.8), filled(1, 0.8, "pyslowfast"))
    other = filled(1, 0.8)
    other.update(ground_truth=AvaTable.from_columns(["video0"], [1], [[0, 0, 1, 1]], [12]))
    with pytest.raises(ValueError, match="different ground truth"):
        compare(filled(1, 0.8), other)
