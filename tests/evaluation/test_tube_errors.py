"""Error analysis, intervals and comparison of tubes: one error of each kind by hand, and what must hold for any run."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from tube_files import LABELS, tube

from ava_detect.evaluation.classified_run import KINDS
from ava_detect.evaluation.tube_errors import analyze_tube_errors, tube_precision_recall
from ava_detect.evaluation.tube_intervals import compare_tubes, tube_intervals
from ava_detect.evaluation.video_map import VideoMAP
from ava_detect.formats.ava_table import AvaTable
from ava_detect.structures.labels import LabelMap

JUMP, THROW, LIE = LABELS.ids
ANN, BOB = (10.0, 10.0, 50.0, 90.0), (60.0, 10.0, 100.0, 90.0)
NEAR_ANN = (30.0, 10.0, 70.0, 90.0)  # IoU 1/3 with Ann, 1/7 with Bob
NOBODY = (200.0, 10.0, 240.0, 90.0)
TRUTH = [
    tube("a", JUMP, box=ANN),
    tube("a", THROW, box=BOB),
    tube("b", JUMP, box=ANN),
    tube("c", LIE, box=ANN),
    tube("c", JUMP, box=ANN),
]
FOUND = [
    tube("a", JUMP, box=ANN, score=0.9),  # right
    tube("a", JUMP, box=ANN, score=0.8),  # duplicate
    tube("a", JUMP, box=BOB, score=0.7),  # wrong label: Bob throws
    tube("b", JUMP, box=NEAR_ANN, score=0.6),  # bad box; the person of b is found by nothing
    tube("a", THROW, box=NEAR_ANN, score=0.5),  # nearer to Ann, but also near Bob, who throws: bad box
    tube("b", THROW, box=NEAR_ANN, score=0.5),  # bad box and label
    tube("a", THROW, box=NOBODY, score=0.4),  # background
    tube("c", LIE, box=ANN, score=0.9),  # right; that the same person jumps is not found
]


def filled(truth, found, dialect="multisports", label_map=LABELS) -> VideoMAP:
    metric = VideoMAP(label_map, dialect, ["a", "b", "c", "d"])
    metric.update(ground_truth=truth, tubes=found, boxes=boxes_of(found))
    return metric


def boxes_of(tubes) -> AvaTable:
    rows = [(one, frame, box) for one in tubes for frame, box in zip(one.frames, one.boxes_xyxy, strict=True)]
    return AvaTable.from_columns(
        [one.video_id for one, _, _ in rows],
        [float(frame) for _, frame, _ in rows],
        np.array([box for _, _, box in rows]).reshape(-1, 4),
        [one.action_id for one, _, _ in rows],
        [one.score for one, _, _ in rows],
    )


@pytest.mark.parametrize(("kind", "number"), [("video", 1), ("frame", 20)])
def test_one_error_of_each_kind_by_hand(kind, number):
    """Each tube has 20 frames, so boxes give twenty times the counts of tubes, and the same AP."""
    analysis = analyze_tube_errors(filled(TRUTH, FOUND), 0.5, kind)
    assert analysis.counts == {
        "duplicate": number,
        "wrong_label": number,
        "bad_box": 2 * number,
        "bad_box_and_label": number,
        "background": number,
        "missed_person": number,
        "missed_label": 2 * number,
    }
    assert analysis.mAP == pytest.approx((1 / 3 + 0 + 1) / 3)
    jump = analysis.costs_per_class[JUMP]
    if kind == "video":
        # Ranked: right, duplicate, wrong label, bad box; 3 to find. The moved box is a true positive, at 2 of 4.
        assert jump.bad_box == pytest.approx(0.5 / 3)
        assert (jump.duplicate, jump.wrong_label) == (0, 0)
        assert jump.missed_person == pytest.approx(1 / 2 - 1 / 3)
        assert analysis.confusions.tolist() == [[0, 0, 0], [1, 0, 0], [0, 0, 0]]  # who throws is said to jump
    assert analysis.oracles["perfect_labels"] == pytest.approx((2 / 3 + 1 + 1) / 3)
    json.dumps(analysis.to_json(), allow_nan=False)


def test_space_and_time_apart():
    """A tube with the right boxes for half of the time, and one with half the boxes' overlap for all of it."""
    truth = [tube("a", JUMP, 1, 40, ANN), tube("b", THROW, 1, 40, ANN)]
    late = tube("a", JUMP, 1, 16, ANN, 0.9)  # 15 / 39
    beside = tube("b", THROW, 1, 40, NEAR_ANN, 0.9)  # 1 / 3
    analysis = analyze_tube_errors(filled(truth, [late, beside]))
    assert (analysis.mAP, analysis.counts["bad_box"]) == (0, 2)
    oracles = analysis.oracles
    assert (oracles["perfect_time"], oracles["perfect_space"], oracles["perfect_boxes"]) == (0.5, 0.5, 1.0)
    assert analysis.by_length["16 to 40 frames"] == 0
    assert math.isnan(analysis.by_length["over 100 frames"])


def test_groups_by_hand():
    """Video a has two people at the same time, d one; only the small one of d is found."""
    small = (10.0, 10.0, 30.0, 40.0)
    truth = [tube("a", JUMP, box=ANN), tube("a", THROW, box=BOB), tube("d", JUMP, box=small)]
    analysis = analyze_tube_errors(filled(truth, [tube("d", JUMP, box=small, score=0.9)]))
    assert analysis.by_crowd["1 person at most"] == 1
    assert analysis.by_crowd["2 people"] == 0
    assert analysis.by_size["up to 32 x 32 pixels"] == 1
    assert analysis.by_size["up to 96 x 96 pixels"] == 0
    fractions = [type(t)(t.video_id, t.action_id, t.frames, t.boxes_xyxy / 320, t.score) for t in truth]
    assert "under 5% of the frame" in analyze_tube_errors(filled(fractions, [])).by_size


def random_case(seed, num_videos=4):
    random = np.random.default_rng(seed)
    truth, found = [], []
    for video in "abcd"[:num_videos]:
        for _ in range(int(random.integers(1, 4))):
            action, first = int(random.integers(2)), int(random.integers(1, 9))
            corner = random.uniform(0, 60, 2)
            box = np.concatenate([corner, corner + random.uniform(30, 60, 2)])
            truth.append(tube(video, action, first, first + int(random.integers(5, 20)), box))
            for _ in range(int(random.integers(0, 4))):
                said = action if random.uniform() < 0.7 else 1 - action
                score, begin = float(random.uniform()), first + int(random.integers(-1, 3))
                moved = box + random.normal(0, 6, 4)
                found.append(tube(video, said, max(begin, 1), begin + int(random.integers(5, 20)), moved, score))
    return truth, found


@pytest.mark.parametrize("dialect", ["multisports", "act"])
@pytest.mark.parametrize("kind", ["video", "frame"])
def test_what_holds_for_any_run(dialect, kind):
    for seed in range(6):
        metric = filled(*random_case(seed), dialect)
        (result,) = metric.compute_at((0.4,), kind)
        analysis = analyze_tube_errors(metric, 0.4, kind)
        assert analysis.mAP == pytest.approx(result.mAP, abs=1e-6)  # act rounds to float32
        of_classes = result.per_class.values()
        num_tp = sum(c.num_tp for c in of_classes)
        false = [analysis.counts[kind] for kind in KINDS[:5]]
        assert sum(false) == sum(c.num_det for c in of_classes) - num_tp
        assert analysis.counts["missed_person"] + analysis.counts["missed_label"] == (
            sum(c.num_gt for c in of_classes) - num_tp
        )
        assert min(getattr(analysis.costs, name) for name in KINDS) >= -1e-6
        curves = tube_precision_recall(metric, 0.4, kind)
        assert [len(curve.recall) for curve in curves.values()] == [c.num_tp for c in of_classes]
        for name in ("by_size", "by_crowd", "by_frequency"):
            assert all(math.isnan(value) or 0 <= value <= 1 for value in getattr(analysis, name).values())


@pytest.mark.parametrize("dialect", ["multisports", "act"])
def test_resampled_ap_is_the_ap_of_the_resampled_videos(dialect):
    """Each draw of the videos is scored anew, with copies of the drawn ones; scores are distinct but for copies."""
    from ava_detect.evaluation import tube_intervals as module

    truth, found = random_case(3)
    two = LabelMap(LABELS.actions[:2])
    metric = filled(truth, found, dialect, two)
    ranked = module._ranked(metric, 0.4, "video")
    draws = np.random.default_rng(5).multinomial(4, [1 / 4] * 4, 20)
    ours = module._resampler(metric, ranked, False).resampled(draws.T)
    for draw in range(20):
        copies = [(f"{v}{copy}", v) for v, n in zip("abcd", draws[draw].tolist(), strict=True) for copy in range(n)]
        again = VideoMAP(two, dialect)
        for side, tubes in (("ground_truth", truth), ("tubes", found)):
            again.update(**{side: [_renamed(t, name) for name, video in copies for t in tubes if t.video_id == video]})
        for place, of_class in enumerate(again.compute_at((0.4,))[0].per_class.values()):
            if not of_class.num_gt:
                assert ours[place, draw] == 0 if dialect == "act" else math.isnan(ours[place, draw])
                continue
            # Copies tie in score; weighing them is to put them at one rank, their best order.
            assert of_class.ap_tie_min - 1e-6 <= ours[place, draw] <= of_class.ap_tie_max + 1e-6
    ones = module._resampler(metric, ranked, False).resampled(np.ones((4, 1), np.int64))[:, 0]
    assert ones == pytest.approx([c.ap for c in metric.compute_at((0.4,))[0].per_class.values()], abs=1e-6)


def _renamed(one, video):
    return type(one)(video, one.action_id, one.frames, one.boxes_xyxy, one.score)


def test_intervals_and_comparison():
    truth, found = random_case(1)
    metric, empty = filled(truth, found), filled(truth, [])
    intervals = tube_intervals(metric, 0.4, num_resamples=100)
    assert intervals.mAP.low <= metric.compute(0.4).mAP <= intervals.mAP.high
    assert intervals.num_videos == 4
    assert list(intervals.per_class) == list(LABELS.ids)
    comparison = compare_tubes(empty, metric, 0.4, num_resamples=100)
    assert comparison.mAP.value == pytest.approx(metric.compute(0.4).mAP)
    assert comparison.share_better > 0.5
    # Detections in a video that is not measured are false in every draw in which they appear.
    other = filled(truth, [*found, tube("elsewhere", JUMP, score=0.99)])
    assert tube_intervals(other, 0.4, num_resamples=10).num_videos == 5
    assert compare_tubes(metric, other, 0.4, num_resamples=100).mAP.value < 0
    assert math.isnan(tube_intervals(filled([], []), num_resamples=5).mAP.low)
