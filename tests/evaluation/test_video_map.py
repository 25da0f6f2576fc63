"""Video-mAP and frame-mAP of tubes: worked by hand, and against the rules written out one by one.

``tools/check_video_map.py`` compares the published programs, given copies of them.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from naive_video_map import naive_map

from ava_detect.errors import ConfigError, FormatError
from ava_detect.evaluation.tube_overlap import Counting, TubeStack, suppress, tube_iou
from ava_detect.evaluation.video_map import NOT_EVALUATED, VideoMAP
from ava_detect.formats.ava_table import AvaTable
from ava_detect.structures.frame_tubes import FrameTube
from ava_detect.structures.labels import Action, LabelMap

EXCLUSIVE, INCLUSIVE = Counting(0, 0), Counting(1, 1)
BOX = (10.0, 10.0, 30.0, 50.0)
CLASSES = LabelMap((Action(0, "jump"), Action(1, "throw")))


def tube(video="v", action=0, first=1, last=20, box=BOX, score=math.nan) -> FrameTube:
    frames = np.arange(first, last + 1)
    return FrameTube(video, action, frames, np.tile(np.array(box, np.float64), (len(frames), 1)), score)


def overlap(a: FrameTube, b: FrameTube, counting: Counting) -> float:
    pair = np.array([0]), np.array([0])
    return float(tube_iou(TubeStack.build([a]), TubeStack.build([b]), pair, counting)[0])


def test_overlap_in_time_by_hand():
    """16 of 20 frames: 15 / 19 as differences, 16 / 20 where the last frame counts."""
    assert overlap(tube(), tube(last=16), EXCLUSIVE) == pytest.approx(15 / 19)
    assert overlap(tube(), tube(last=16), INCLUSIVE) == pytest.approx(16 / 20)
    assert overlap(tube(last=5), tube(first=6), INCLUSIVE) == 0


def test_overlap_in_space_by_hand():
    """Moved by half its width of 20: 10 x 40 shared; with the last pixel 21 wide, 11 x 41 shared."""
    moved = tube(box=(20, 10, 40, 50))
    assert overlap(tube(), moved, EXCLUSIVE) == pytest.approx(400 / 1200)
    assert overlap(tube(), moved, INCLUSIVE) == pytest.approx(11 * 41 / (2 * 21 * 41 - 11 * 41))


def test_a_frame_that_one_tube_leaves_out_counts_for_neither():
    whole = tube(last=3)
    gap = FrameTube("v", 0, np.array([1, 3]), np.array([BOX, (20, 10, 40, 50)], np.float64))
    # Frames 1 and 3: IoU 1 and a third; both tubes span the same time.
    assert overlap(whole, gap, EXCLUSIVE) == pytest.approx((1 + 1 / 3) / 2)


def test_two_tubes_of_one_and_the_same_frame_have_no_time_to_share():
    assert math.isnan(overlap(tube(last=1), tube(last=1), EXCLUSIVE))
    assert overlap(tube(last=1), tube(last=1), INCLUSIVE) == 1


def test_a_tube_that_repeats_a_better_one_is_suppressed():
    best, repeat, apart = tube(score=0.9), tube(last=18, score=0.8), tube(box=(60, 10, 90, 50), score=0.1)
    assert suppress([[repeat, best, apart], [], [apart]], 0.3, INCLUSIVE) == [[1, 2], [], [0]]
    # Of equal scores the later one stays.
    assert suppress([[tube(score=0.5), tube(score=0.5)]], 0.3, INCLUSIVE) == [[1]]


def video_map(dialect, truth, found, threshold=0.5, **settings):
    metric = VideoMAP(CLASSES, dialect, **settings)
    metric.update(ground_truth=truth, tubes=found)
    return metric.compute(threshold)


def test_every_box_has_its_own_score():
    """mmaction2 gives all boxes the score of the last one of the file, and reports 50.0 for this case."""
    truth = [tube("a"), tube("b")]
    found = [tube("a", score=0.9), tube("b", box=(60, 10, 90, 50), score=0.1), tube("b", score=0.8)]
    assert video_map("multisports", truth, found).mAP == 1.0


def test_a_second_hit_is_false_in_one_dialect_and_takes_the_next_truth_in_the_other():
    """Two people close together; both detections overlap the first one most."""
    first, second = tube(box=(10, 10, 30, 50)), tube(box=(13, 10, 33, 50))
    found = [tube(last=10, score=0.9), tube(first=8, score=0.8)]
    assert [video_map(d, [first, second], found, 0.3).per_class[0].num_tp for d in ("multisports", "act")] == [1, 2]


def test_average_precision_by_hand():
    """Hit, miss, hit of 2 truths: the envelope gives (1 + 2/3) / 2, trapezoids 1/2 (1 + 1)/2 + 1/2 (1/2 + 2/3)/2."""
    truth = [tube("a"), tube("b")]
    found = [tube("a", score=0.9), tube("a", box=(60, 10, 90, 50), score=0.8), tube("b", score=0.7)]
    assert video_map("multisports", truth, found).per_class[0].ap == pytest.approx(5 / 6)
    assert video_map("act", truth, found).per_class[0].ap == pytest.approx(0.5 + (1 / 2 + 2 / 3) / 4, abs=1e-7)


def test_classes_without_truth():
    result = video_map("multisports", [tube()], [tube(score=0.9), tube(action=1, score=0.9)])
    assert (result.mAP, result.num_classes) == (1.0, 1)
    assert math.isnan(result.per_class[1].ap)
    assert video_map("act", [tube()], [tube(score=0.9), tube(action=1, score=0.9)]).mAP == 0.5


def test_the_six_classes_that_multisports_leaves_out():
    label_map = LabelMap((Action(0, "jump"), Action(1, sorted(NOT_EVALUATED)[0])))
    metric = VideoMAP(label_map, "multisports")
    metric.update(ground_truth=[tube(), tube(action=1)], tubes=[tube(score=0.9), tube(action=1, score=0.9)])
    result = metric.compute()
    assert list(result.per_class) == [0]
    assert result.notes == [
        "1 tubes of the ground truth of actions that are not evaluated were left out",
        "1 detections of actions that are not evaluated were left out",
    ]
    assert list(VideoMAP(label_map, "act").compute().per_class) == [0, 1]


def test_chunks_and_reset_change_nothing():
    truth, found = [tube("a"), tube("b", 1)], [tube("a", score=0.9), tube("b", 1, last=15, score=0.4)]
    metric = VideoMAP(CLASSES)
    for _ in range(2):
        for one in truth:
            metric.update(ground_truth=[one])
        for one in found:
            metric.update(tubes=[one])
        assert metric.compute().to_json() == video_map("multisports", truth, found).to_json()
        metric.reset()
    assert math.isnan(metric.compute().mAP)


def test_a_video_without_ground_truth_counts_as_false():
    result = video_map("multisports", [tube("a")], [tube("x", score=0.9), tube("a", score=0.8)])
    assert result.mAP == 0.5
    assert result.notes == ["1 detections are in videos that are not measured and count as false"]


def test_equal_scores_leave_an_interval():
    miss = tube("a", box=(60, 10, 90, 50), score=0.5)
    result = video_map("multisports", [tube("a")], [miss, tube("a", score=0.5)])
    assert (result.tie_min, result.mAP, result.tie_max) == (0.5, 0.5, 1.0)


@pytest.mark.parametrize("dialect", ["multisports", "act"])
@given(st.integers(0, 10**6), st.sampled_from([None, 1]))
def test_it_is_what_the_rules_say_one_by_one(dialect, seed, decimals):
    truth, found, boxes = _random_case(seed, decimals)
    metric = VideoMAP(CLASSES, dialect)
    metric.update(ground_truth=truth, tubes=found, boxes=boxes)
    thresholds = (0.1, 0.3, 0.5, 0.7)
    for kind, detections in (("video", found), ("frame", boxes)):
        for result in metric.compute_at(thresholds, kind):
            expected = naive_map(truth, detections, dialect, result.iou_threshold, CLASSES.ids)
            assert result.mAP == pytest.approx(expected, abs=1e-6, nan_ok=True)  # float32 in act
            assert not result.tie_max < result.mAP - 1e-6
            assert not result.tie_min > result.mAP + 1e-6


def _random_case(seed: int, decimals: int | None) -> tuple[list[FrameTube], list[FrameTube], AvaTable]:
    random = np.random.default_rng(seed)
    truth, found = [], []
    for video in ("a", "b"):
        for _ in range(random.integers(0, 4)):
            first, action = int(random.integers(1, 6)), int(random.integers(2))
            corner = random.uniform(0, 30, 2)
            box = np.concatenate([corner, corner + random.uniform(10, 30, 2)])
            truth.append(tube(video, action, first, first + int(random.integers(1, 9)), box))
            for _ in range(random.integers(0, 4)):
                score = float(random.uniform())
                begin = first + int(random.integers(0, 3))
                moved = box + random.normal(0, 3, 4)
                score = score if decimals is None else round(score, decimals)
                found.append(tube(video, action, begin, begin + int(random.integers(1, 9)), moved, score))
    rows = [(one, frame, box) for one in found for frame, box in zip(one.frames, one.boxes_xyxy, strict=True)]
    boxes = AvaTable.from_columns(
        [one.video_id for one, _, _ in rows],
        [float(frame) for _, frame, _ in rows],
        np.array([box for _, _, box in rows]).reshape(-1, 4),
        [one.action_id for one, _, _ in rows],
        [one.score for one, _, _ in rows],
    )
    return truth, found, boxes


def test_what_cannot_be_scored_is_refused():
    metric = VideoMAP(CLASSES)
    with pytest.raises(ConfigError, match="`dialect` is multisports or act, got 'moc'"):
        VideoMAP(CLASSES, "moc")
    with pytest.raises(FormatError, match="video 'v': a detected tube without a score"):
        metric.update(tubes=[tube()])
    for boxes, frame, score, what in (
        ([[0, 0, 1, 1]], 1.5, 0.5, "a frame number is whole"),
        ([[0, 0, 1, 1]], 1, math.nan, "without a score"),
        ([[0, 0, 1, math.inf]], 1, 0.5, "no finite number"),
    ):
        with pytest.raises(FormatError, match=what):
            metric.update(boxes=AvaTable.from_columns(["v"], [frame], boxes, [0], [score]))
    for threshold in (0, 1.1, math.nan):
        with pytest.raises(ValueError, match="iou_threshold"):
            metric.compute(threshold)
