"""Which detections are right, and the thresholds they suggest: by hand, and by their properties."""

from __future__ import annotations

import numpy as np
import pytest
from calibration_data import of_class, write_scored
from hypothesis import given
from hypothesis import strategies as st

from ava_detect.errors import FormatError
from ava_detect.evaluation.class_scores import VideoScores, best_f1_threshold, precision_threshold
from ava_detect.evaluation.frame_map import FrameMAP, load_metric
from ava_detect.evaluation.score_maps import ScoreCounts
from ava_detect.formats.ava_csv import AvaTable
from ava_detect.structures.labels import LabelMap

STAND_SIT = LabelMap.ava().subset((12, 11))

scores = st.integers(0, 20).map(lambda n: n / 20)
detections = st.lists(st.tuples(scores, st.booleans()), min_size=1, max_size=30)


def counts_of(rows) -> ScoreCounts:
    return ScoreCounts.of(*zip(*rows, strict=True))


def f1_at(rows, num_gt: int, threshold: float) -> float:
    kept = [is_right for score, is_right in rows if score >= threshold]
    return 2 * sum(kept) / (len(kept) + num_gt)


def test_the_threshold_of_best_f1_by_hand():
    """Five people do it. At 0.9: 2/6; 0.8: 4/7; 0.6: 4/8; 0.5: 6/9; 0.3: 6/10; 0.2: 8/11, the best; 0.1: 8/12.

    The threshold is half-way from 0.2 to 0.1.
    """
    rows = [(0.9, True), (0.8, True), (0.6, False), (0.5, True), (0.3, False), (0.2, True), (0.1, False)]
    assert best_f1_threshold(counts_of(rows), num_gt=5) == pytest.approx(0.15)
    assert f1_at(rows, 5, 0.2) == pytest.approx(8 / 11)
    # Ten people: at 0.2 8/16, still the best.
    assert best_f1_threshold(counts_of(rows), num_gt=10) == pytest.approx(0.15)


def test_the_threshold_of_a_precision_by_hand():
    """Precision is 1 at 0.9 and 0.8, 2/3 at 0.6, 3/4 at 0.5, 3/5, 4/6, 4/7: it rises again where a right one comes."""
    rows = [(0.9, True), (0.8, True), (0.6, False), (0.5, True), (0.3, False), (0.2, True), (0.1, False)]
    wanted = {1.0: 0.8, 0.8: 0.8, 0.75: 0.5, 0.7: 0.5, 2 / 3: 0.2, 0.6: 0.2, 4 / 7: 0.1, 0.1: 0.1}
    assert {precision: precision_threshold(counts_of(rows), precision) for precision in wanted} == wanted


def test_equal_scores_stand_and_fall_together():
    rows = [(0.7, True), (0.5, True), (0.5, False), (0.5, False)]
    # At 0.7: 2/3 with two people; at 0.5: 4/6, the same, so the greater threshold, half-way between the two.
    assert best_f1_threshold(counts_of(rows), num_gt=2) == pytest.approx(0.6)
    assert precision_threshold(counts_of(rows), 0.6) == 0.7


def test_a_precision_that_is_never_reached_and_a_class_that_is_never_right_have_no_threshold():
    assert precision_threshold(counts_of([(0.9, False), (0.5, True)]), 0.6) is None
    assert best_f1_threshold(counts_of([(0.9, False)]), num_gt=3) is None
    assert best_f1_threshold(ScoreCounts.of([], []), num_gt=3) is None
    assert precision_threshold(ScoreCounts.of([], []), 0.5) is None


@given(detections, st.integers(0, 5), scores)
def test_the_threshold_never_lowers_f1_on_the_fitting_data(rows, num_missed, other):
    num_gt = sum(is_right for _, is_right in rows) + num_missed
    threshold = best_f1_threshold(counts_of(rows), num_gt)
    best = 0.0 if threshold is None else f1_at(rows, num_gt, threshold)
    assert not num_gt or best >= f1_at(rows, num_gt, other)


@given(detections, st.floats(0.05, 1))
def test_the_precision_is_reached_and_at_no_lower_score(rows, precision):
    threshold = precision_threshold(counts_of(rows), precision)
    reached = {
        score for score, _ in rows if np.mean([is_right for other, is_right in rows if other >= score]) >= precision
    }
    assert threshold == min(reached, default=None)


def loaded(tmp_path, rows, **options) -> VideoScores:
    truth, found = write_scored(tmp_path, rows)
    return VideoScores.of(load_metric(truth, found, label_map=STAND_SIT, **options))


def test_what_is_right_is_what_frame_map_says(tmp_path):
    """In the order of the classes; a doubled detection and one beside the person are wrong."""
    rows = of_class(12, [(0.9, True), (0.4, False)], "b") + of_class(11, [(0.8, True)], "a")
    truth, found = write_scored(tmp_path, rows)
    with found.open("a") as file:
        file.write("b,0,0.1,0.1,0.5,0.9,12,0.7\nb,0,0.6,0.1,0.9,0.9,12,0.95\n")
    scores = VideoScores.of(load_metric(truth, found, label_map=STAND_SIT))
    assert scores.video_ids == ("a", "b")
    stand, sit = scores.classes
    assert sorted(zip(stand.scores.tolist(), stand.is_right.tolist(), strict=True)) == [
        (pytest.approx(0.4), False),
        (pytest.approx(0.7), False),
        (pytest.approx(0.9), True),
        (pytest.approx(0.95), False),
    ]
    assert (stand.num_gt, stand.num_tp, set(stand.videos.tolist())) == (1, 1, {1})
    assert (sit.num_gt, sit.truth_videos.tolist()) == (1, [0])
    pooled = scores.pooled()
    assert (len(pooled.scores), pooled.num_gt, pooled.num_tp) == (5, 2, 2)
    only_b = scores.of_videos(np.array([False, True]))
    assert [(len(one.scores), one.num_gt) for one in only_b.classes] == [(4, 1), (0, 0)]


def test_low_scores_of_a_crowded_keyframe_count():
    """The official evaluator looks at 50 detections a keyframe; a threshold is of all of them."""
    boxes = [(i / 100, 0.0, (i + 1) / 100, 1.0) for i in range(60)]
    columns = (["a"] * 60, [1.0] * 60, boxes, [12] * 60)
    metric = FrameMAP(STAND_SIT)
    metric.update(
        ground_truth=AvaTable.from_columns(*columns, person_ids=range(60)),
        detections=AvaTable.from_columns(*columns, scores=np.linspace(0.1, 0.9, 60)),
    )
    stand = VideoScores.of(metric).classes[0]
    assert (len(stand.scores), stand.num_tp) == (60, 60)
    assert metric.compute().per_class[12].num_det == 50


def test_scores_are_those_of_the_network_whatever_the_file(tmp_path):
    """0.7 in a csv is the float32 nearest to it, which is less than 0.7."""
    (one, _) = loaded(tmp_path, of_class(12, [(0.7, True)])).classes
    assert one.scores.tolist() == [float(np.float32(0.7))] != [0.7]
    assert precision_threshold(one.counts(), 1) == 0.7
    # Below the only score there is 0.
    assert best_f1_threshold(one.counts(), 1) == 0.35


def test_between_neighbouring_scores_there_is_no_half_way():
    low = np.float32(0.7)
    high = np.nextafter(low, np.float32(1))
    threshold = best_f1_threshold(ScoreCounts.of([high, low], [True, False]), 1)
    assert low < np.float32(threshold) <= high


def test_logits_are_no_scores(tmp_path):
    with pytest.raises(FormatError, match=r"a score of 'stand' is 2\.5, and scores are from 0 to 1"):
        loaded(tmp_path, of_class(12, [(0.5, True), (2.5, False)]))


def test_keyframes_without_ground_truth_take_no_part(tmp_path):
    rows = of_class(12, [(0.9, True)])
    truth, found = write_scored(tmp_path, [*rows, *(replace_video(row, "unlabelled") for row in rows)])
    truth.write_text("".join(line for line in truth.open() if "unlabelled" not in line))
    assert VideoScores.of(load_metric(truth, found, label_map=STAND_SIT)).video_ids == ("a",)


def replace_video(row, video):
    return row._replace(video=video)
