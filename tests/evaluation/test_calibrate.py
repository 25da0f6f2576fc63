"""Calibrations: fitted, measured, saved and read back, by hand and with what goes wrong."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from calibration_data import Scored, of_class, write_scored
from hypothesis import given
from hypothesis import strategies as st

from ava_detect.errors import AvaDetectError, ConfigError, FormatError
from ava_detect.evaluation.calibrate import CalibrationOptions, calibrate_files, fit_classes, measure_files
from ava_detect.evaluation.calibration import Calibration, ClassCalibration, path_beside
from ava_detect.evaluation.calibration_measures import NUM_BINS, Outcome, Reliability, measure_classes
from ava_detect.evaluation.class_scores import ClassScores, VideoScores
from ava_detect.evaluation.runs import EvaluationOptions
from ava_detect.evaluation.score_maps import IsotonicMap, PlattMap
from ava_detect.structures.labels import LabelMap

ALL = CalibrationOptions(min_positives=1)
# Stand: right at 0.9, 0.8 and 0.4, wrong at 0.6 and 0.2. Sit: right at 0.3, wrong at 0.1.
STAND = of_class(12, [(0.9, True), (0.8, True), (0.6, False), (0.4, True), (0.2, False)], "a")
SIT = of_class(11, [(0.3, True), (0.1, False)], "b")


def fit(folder: Path, rows, options=ALL, **evaluation):
    truth, found = write_scored(folder, rows)
    return calibrate_files(truth, [found], EvaluationOptions(**evaluation), options)


def test_a_calibration_by_hand(tmp_path):
    fitted = fit(tmp_path, STAND + SIT)
    sit, stand = fitted.calibration.classes
    # Stand: F1 at 0.9 2/4, 0.8 4/5, 0.6 4/6, 0.4 6/7, 0.2 6/8; half-way from 0.4 to 0.2. Sit: from 0.3 to 0.1.
    assert (stand.id, stand.name, stand.threshold, sit.threshold) == (12, "stand", 0.3, 0.2)
    assert (stand.num_gt, stand.num_det, stand.num_tp, stand.basis) == (3, 5, 3, "class")
    # 0.4 and 0.6 violate the order, and share 1/2.
    assert isinstance(stand.score_map, IsotonicMap)
    assert stand.score_map.probabilities == (0, 0.5, 0.5, 1, 1)
    assert fitted.calibration.thresholds == {11: 0.2, 12: 0.3}
    of_sit, of_stand = fitted.measures.classes
    assert (of_stand.before.num_kept, of_stand.before.num_right) == (3, 2)
    assert (of_stand.before.f1, of_stand.after.f1) == (pytest.approx(4 / 6), pytest.approx(6 / 7))
    # Each score is in a bin of its own: |0.9 - 1| + |0.8 - 1| + 0.6 + |0.4 - 1| + 0.2 over 5; then the two at 1/2.
    assert of_stand.before.error == pytest.approx((0.1 + 0.2 + 0.6 + 0.6 + 0.2) / 5)
    assert of_stand.after.error == pytest.approx(0)
    assert (of_sit.before.f1, of_sit.after.f1) == (0, 1)
    assert fitted.measures.mean("f1") == (pytest.approx((4 / 6 + 0) / 2), pytest.approx((6 / 7 + 1) / 2))
    assert fitted.measures.after.f1 == pytest.approx(2 * 4 / (5 + 4))
    assert "the same videos that the calibration was fitted to" in fitted.measures.note


def test_a_wanted_precision(tmp_path):
    """Of stand 0.75 is reached at 0.4 (3 of 4); of sit at 0.3; 0.9 of stand at 0.8."""
    reached = {p: fit(tmp_path, STAND + SIT, replace(ALL, precision=p)).calibration.thresholds for p in (0.75, 0.9)}
    assert reached == {0.75: {11: 0.3, 12: 0.4}, 0.9: {11: 0.3, 12: 0.8}}


def test_a_class_that_never_reaches_the_precision_gets_no_threshold(tmp_path):
    rows = STAND + of_class(11, [(0.5, False), (0.3, True), (0.1, True)], "b")
    fitted = fit(tmp_path, rows, replace(ALL, precision=0.9))
    assert fitted.calibration.thresholds == {11: None, 12: 0.8}
    sit = fitted.measures.classes[0].after
    assert (sit.num_kept, sit.f1, math.isnan(sit.precision)) == (0, 0, True)


def test_classes_with_few_positives_get_what_all_together_get(tmp_path):
    """With at least two: sit has one. All together: right 0.9 0.8 0.4 0.3, wrong 0.6 0.2 0.1; best at 0.3, 8/9."""
    fitted = fit(tmp_path, STAND + SIT, CalibrationOptions(min_positives=2))
    sit, stand = fitted.calibration.classes
    assert (sit.basis, sit.threshold, stand.basis, stand.threshold) == ("pooled", 0.25, "class", 0.3)
    assert sit.score_map != stand.score_map
    assert sit.score_map([0.1, 0.3]).tolist() == pytest.approx([0, 2 / 3])


def test_too_few_positives_at_all_are_refused_with_the_likely_reason(tmp_path):
    with pytest.raises(AvaDetectError, match=r"\.csv: 4 detections are true .* at least 30 in all; give more"):
        fit(tmp_path, STAND + SIT, CalibrationOptions())
    truth, found = write_scored(tmp_path, STAND)
    found.write_text(found.read_text().replace("a,", "other,"))
    with pytest.raises(AvaDetectError, match=r"\.csv: 0 detections .*other.*give more videos"):
        calibrate_files(truth, [found], None, ALL)
    found.write_text("")
    with pytest.raises(AvaDetectError, match=r"\.csv: 0 detections .*there is no detection"):
        calibrate_files(truth, [found], None, ALL)


def test_a_class_without_any_score_is_none_of_the_networks(tmp_path):
    rows = [*STAND, Scored("a", 0, 80, None, True)]
    assert list(fit(tmp_path, rows).calibration.thresholds) == [12]


def test_folds_measure_each_video_with_a_calibration_of_the_others(tmp_path):
    """Of video b every threshold is a's, 0.35, and of a it is b's, 0.65: F1 of 1 on both at 0.5 becomes 4/5 of a."""
    rows = of_class(12, [(0.9, True), (0.6, True), (0.1, False)], "a")
    rows += of_class(12, [(0.8, True), (0.7, True), (0.6, False)], "b")
    fitted = fit(tmp_path, rows, CalibrationOptions("none", min_positives=1, folds=2))
    (measured,) = fitted.measures.classes
    # a's own threshold is 0.35, with which b keeps its wrong 0.6; b's is 0.65, with which a loses its right 0.6.
    assert (measured.after.num_kept, measured.after.num_right, measured.after.num_gt) == (4, 3, 4)
    assert measured.after.reliability.counts.sum() == 6
    assert "held out, in 2 folds over 2 videos" in fitted.measures.note
    # The file itself is fitted to both.
    assert fitted.calibration.videos == ("a", "b")
    with pytest.raises(ConfigError, match="2 videos do not make 3 parts"):
        fit(tmp_path, rows, CalibrationOptions("none", min_positives=1, folds=3))
    with pytest.raises(
        AvaDetectError, match=r"without the videos of fold 1 of 2, 2 detections .*or give fewer `folds`"
    ):
        fit(tmp_path, rows, CalibrationOptions("none", min_positives=3, folds=2))


def test_a_calibration_is_measured_on_other_videos_and_says_which_it_knows(tmp_path):
    calibration = fit(tmp_path, STAND).calibration
    truth, found = write_scored(tmp_path, [row._replace(video="c") for row in STAND])
    measures = measure_files(calibration, truth, [found]).measures
    assert measures.classes[0].after.f1 == pytest.approx(6 / 7)
    assert "1 video, none of which the calibration was fitted to" in measures.note
    truth, found = write_scored(tmp_path, STAND)
    assert "the same videos" in measure_files(calibration, truth, [found]).measures.note


rows_of_videos = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from([11, 12]), st.integers(0, 10), st.booleans()),
    min_size=1,
    max_size=24,
)


def found_in(rows) -> VideoScores:
    """Scores in memory; one of them is right."""
    rows = [*rows, ("a", 12, 9, True)]
    classes = []
    for action in LabelMap.ava().subset((11, 12)):
        own = [(tenths / 10, yes, "abc".index(video)) for video, i, tenths, yes in rows if i == action.id]
        scores, is_right, videos = (np.array([row[column] for row in own]) for column in range(3))
        right, numbers = is_right.astype(np.bool_), videos.astype(np.int64)
        scores = scores.astype(np.float32).astype(np.float64)
        classes.append(ClassScores(action, scores, right, numbers, numbers[right]))
    return VideoScores(("a", "b", "c"), tuple(classes))


@given(rows_of_videos, st.randoms(use_true_random=False), st.sampled_from(["isotonic", "platt"]))
def test_the_order_of_the_rows_does_not_matter(rows, random, method):
    once, again = found_in(rows), found_in(random.sample(rows, len(rows)))
    options = CalibrationOptions(method, min_positives=1)
    fitted = fit_classes(once, options)
    assert fit_classes(again, options) == fitted
    measured = [measure_classes(found, fitted) for found in (once, again)]
    assert [one.after.to_json() for one in measured[0]] == [one.after.to_json() for one in measured[1]]


@given(rows_of_videos)
def test_f1_on_the_fitting_data_is_never_lower_than_before(rows):
    found = found_in(rows)
    for one in measure_classes(found, fit_classes(found, ALL)):
        assert not one.before.num_gt or one.after.f1 >= one.before.f1


def test_the_order_of_the_files_does_not_matter(tmp_path):
    once = fit(tmp_path, STAND + SIT)
    lines = (tmp_path / "found.csv").read_text().splitlines(keepends=True)
    (tmp_path / "1.csv").write_text("".join(lines[4:]))
    (tmp_path / "2.csv").write_text("".join(reversed(lines[:4])))
    files = [tmp_path / "1.csv", tmp_path / "2.csv"]
    both = [calibrate_files(tmp_path / "truth.csv", order, None, ALL) for order in (files, files[::-1])]
    assert both[0].calibration == both[1].calibration
    assert both[0].calibration.classes == once.calibration.classes
    assert both[0].measures.to_json() == both[1].measures.to_json() == once.measures.to_json()


def test_reliability_by_hand():
    """Bins of 1/15: 0.5 is in the eighth, with 0.52; 1 in the last, with 0.95."""
    bins = Reliability.of([0.0, 0.5, 0.52, 0.95, 1.0], [False, True, False, True, True])
    assert NUM_BINS == 15
    assert bins.counts.tolist() == [1, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 2]
    assert bins.error == pytest.approx((0 + abs(1.02 - 1) + abs(1.95 - 2)) / 5)
    both = bins + bins
    assert both.error == pytest.approx(bins.error)
    assert math.isnan(Reliability.of([], []).error)


def test_outcomes_without_anything_have_no_numbers():
    empty = Outcome(0, 0, 0, Reliability.of([], []))
    assert all(math.isnan(value) for value in (empty.precision, empty.recall, empty.f1, empty.error))
    assert empty.to_json()["f1"] is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "sigmoid"}, "`method` is one of isotonic, platt, none"),
        ({"precision": 0.0}, "`precision` is above 0 and at most 1, got 0"),
        ({"precision": float("nan")}, "`precision` is above 0"),
        ({"min_positives": 0}, "`min_positives` is at least 1"),
        ({"folds": 1}, "`folds` is from 2 to 1000, or 0"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(ConfigError, match=message):
        CalibrationOptions(**options)


# The value: applied, saved, read.


def calibration(**changes) -> Calibration:
    classes = (
        ClassCalibration(11, "sit", None, IsotonicMap((0.2, 0.6), (0.0, 1.0)), "pooled", 5, 10, 4),
        ClassCalibration(12, "stand", 0.25, IsotonicMap((0.5,), (0.75,)), "class", 5, 10, 4),
    )
    return replace(Calibration(classes, "isotonic", 0.8, 0.5, 10, ("a",), "0" * 64, {"ava_detect": "1"}), **changes)


def test_scores_become_probabilities_of_their_class():
    values = np.array([[0.4, 0.4], [0.9, 0.1]], np.float32)
    applied = calibration().apply(values, [11, 12])
    assert applied.dtype == np.float32
    np.testing.assert_allclose(applied, [[0.5, 0.75], [1, 0.75]], atol=1e-6)
    np.testing.assert_allclose(calibration().apply(values, [12, 11]), [[0.75, 0.5], [0.75, 0]], atol=1e-6)
    # Rows, each of its own class, and nothing at all.
    np.testing.assert_allclose(calibration().apply([0.4, 0.4, 0.5], [11, 12, 11]), [0.5, 0.75, 0.75], atol=1e-6)
    assert calibration().apply(np.zeros((0, 2)), [11, 12]).shape == (0, 2)
    assert values.tolist() == np.array([[0.4, 0.4], [0.9, 0.1]], np.float32).tolist()


@pytest.mark.parametrize(
    ("scores", "ids", "message"),
    [
        ([[0.4, 0.4]], [11, 99], "has no class 99; it has 11, 12"),
        ([[0.4]], [11, 12], r"`scores` has the shape \[1, 1\], and `action_ids` has \[2\]"),
        (0.4, [11], r"`scores` has the shape \[\]"),
        ([-3.0], [11], "`scores` are from 0 to 1; of logits take the sigmoid"),
        ([float("nan")], [11], "`scores` are from 0 to 1"),
    ],
)
def test_what_cannot_be_calibrated_is_refused(scores, ids, message):
    with pytest.raises(ConfigError, match=message):
        calibration().apply(scores, ids)


def test_a_file_gives_the_same_calibration_and_the_same_bytes(tmp_path):
    first, second = tmp_path / "a.json", tmp_path / "b.json"
    platt = tuple(replace(one, score_map=PlattMap(1.5, -0.25)) for one in calibration().classes)
    none = tuple(replace(one, score_map=None) for one in calibration().classes)
    for value in (calibration(), calibration(method="platt", classes=platt), calibration(method="none", classes=none)):
        value.save(first)
        loaded = Calibration.load(first)
        assert loaded == value
        loaded.save(second)
        assert first.read_bytes() == second.read_bytes()
        assert loaded.sha256 == value.sha256
    assert calibration().sha256 != calibration(method="none", classes=none).sha256


def test_the_classes_must_be_the_networks():
    ava, own = LabelMap.ava(), calibration()
    own.require_classes(ava.subset((12, 11)))
    for ids, message in (
        ((11,), "the calibration is for other classes than the network's: the network has no class 12"),
        ((11, 12, 80), "nothing is given for class 80"),
    ):
        with pytest.raises(ConfigError, match=message):
            own.require_classes(ava.subset(ids))
    named = LabelMap.from_text('item { id: 11 name: "kneel" } item { id: 12 name: "stand" }', "own")
    with pytest.raises(ConfigError, match="id 11 is 'sit' there and 'kneel' here"):
        own.require_classes(named)


def changed(path=(), value=None, remove=False):
    content = json.loads(json.dumps(calibration().to_json()))
    place = content
    for key in path[:-1]:
        place = place[key]
    if remove:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return json.dumps(content)


BROKEN = {
    "empty": ("", "no JSON"),
    "no JSON": ("id,threshold\n1,0.5\n", "no JSON"),
    "a list": ("[]", r"the file holds \[\]"),
    "not a number": ('{"format": NaN}', "it holds NaN"),
    "foreign": ('{"type": "FeatureCollection"}', "format is missing"),
    "other format": (changed(["format"], "x"), "format is ava_detect.calibration, got 'x'"),
    "a later version": (changed(["version"], 2), "it is of version 2, and this program reads version 1"),
    "method": (changed(["method"], "beta"), "method is one of isotonic, platt, none, got 'beta'"),
    "method list": (changed(["method"], []), "method is one of"),
    "another method": (changed(["method"], "none"), "there is a map, and the method is none"),
    "platt without": (changed(["method"], "platt"), "slope is missing"),
    "precision": (changed(["precision"], 2), "precision is a number from"),
    "iou": (changed(["iou_threshold"], 0), "iou_threshold is a number from"),
    "min positives": (changed(["min_positives"], 0.5), "min_positives is a whole number"),
    "videos": (changed(["videos"], [1]), "videos is text"),
    "classes": (changed(["classes"], {}), "classes holds {}"),
    "no classes": (changed(["classes"], remove=True), "classes is missing"),
    "id": (changed(["classes", 0, "id"], "11"), "id is a whole number"),
    "twice": (changed(["classes", 0, "id"], 12), "an id is given twice"),
    "threshold": (changed(["classes", 0, "threshold"], 1.5), "threshold is a number from 0 to 1, got 1.5"),
    "basis": (changed(["classes", 0, "basis"], "guess"), "basis is class or pooled, got 'guess'"),
    "counts": (changed(["classes", 0, "num_gt"], -1), "num_gt is a whole number"),
    "map": (changed(["classes", 0, "map"], None), "map holds None"),
    "knots": (changed(["classes", 0, "map", "probabilities"], [1, 0]), "the probabilities descend"),
    "sources": (changed(["sources"], 5), "sources holds 5"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_or_foreign_file_is_refused_with_its_name(tmp_path, name):
    text, message = BROKEN[name]
    path = tmp_path / "cal.json"
    path.write_text(text)
    with pytest.raises(FormatError, match=rf"cal\.json is no calibration .*{message}.*; calibrate again"):
        Calibration.load(path)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(FormatError, match=r"gone\.json cannot be read \(No such file"):
        Calibration.load(tmp_path / "gone.json")
    with pytest.raises(FormatError, match="cannot be read"):
        Calibration.load(tmp_path)


def test_the_file_beside_the_weights(tmp_path):
    (tmp_path / "net.pth").touch()
    assert path_beside(tmp_path / "net.pth") == tmp_path / "net.pth.calibration.json"
    with pytest.raises(ConfigError, match=r"demo is no file of weights on this machine"):
        path_beside("demo")
