"""Which scores are written: the rules by hand, and in the files of a run."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pandas as pd
import pytest
from annotate_inputs import settings as default_settings
from annotate_inputs import write_inputs

from ava_detect.annotation.annotate import annotate_videos
from ava_detect.errors import AvaDetectWarning, ConfigError
from ava_detect.evaluation.calibration import Calibration, ClassCalibration
from ava_detect.evaluation.score_maps import IsotonicMap
from ava_detect.evaluation.thresholds import Thresholds
from ava_detect.evaluation.written_scores import ScoreRules
from ava_detect.formats.ava_csv import read_ava_csv
from ava_detect.structures import ActionDetections
from ava_detect.structures.labels import LabelMap

THREE = LabelMap.ava().subset((11, 12, 80))
# Two people: the actions 11, 12 and 80.
SCORES = np.array([[0.9, 0.5, 0.3], [0.2, 0.5, 0.5]], np.float32)


def keyframe() -> ActionDetections:
    boxes = np.tile(np.array([0.1, 0.1, 0.5, 0.9], np.float32), (2, 1))
    return ActionDetections("v", 1.0, boxes, np.ones(2), SCORES, np.array([11, 12, 80]), np.array([1, 2]))


def calibration(label_map: LabelMap = THREE, threshold: float | None = 0.5, **changes) -> Calibration:
    """Every score is halved."""
    half = IsotonicMap((0.0, 1.0), (0.0, 0.5))
    classes = tuple(ClassCalibration(a.id, a.name, threshold, half, "class", 9, 9, 9) for a in label_map)
    return Calibration(classes, "isotonic", None, 0.5, 1, **changes)


@pytest.mark.parametrize(
    ("rules", "kept"),
    [
        ({}, [[1, 1, 1], [1, 1, 1]]),
        ({"min_score": 0.5}, [[1, 1, 0], [0, 1, 1]]),
        ({"thresholds": Thresholds(0.5)}, [[1, 1, 0], [0, 1, 1]]),
        # A class of its own, one that is left out, and the rest.
        ({"thresholds": Thresholds(0.4, {11: 0.95, 80: None})}, [[0, 1, 0], [0, 1, 0]]),
        # Both must be reached.
        ({"thresholds": Thresholds(0.1, {11: 0.95}), "min_score": 0.4}, [[0, 1, 0], [0, 1, 1]]),
        # The best of each; of equal scores the first class.
        ({"top": 1}, [[1, 0, 0], [0, 1, 0]]),
        ({"top": 2}, [[1, 1, 0], [0, 1, 1]]),
        ({"top": 9}, [[1, 1, 1], [1, 1, 1]]),
        # Among those that the thresholds leave.
        ({"top": 1, "thresholds": Thresholds(0.1, {11: None})}, [[0, 1, 0], [0, 1, 0]]),
        # A calibration's thresholds are of the network's scores; a number is of those that are written.
        (
            {"calibration": calibration(), "thresholds": Thresholds.from_calibration(calibration())},
            [[1, 1, 0], [0, 1, 1]],
        ),
        ({"calibration": calibration(), "thresholds": Thresholds(0.45)}, [[1, 0, 0], [0, 0, 0]]),
        ({"calibration": calibration(), "min_score": 0.25}, [[1, 1, 0], [0, 1, 1]]),
    ],
)
def test_the_rules_by_hand(rules, kept):
    written, is_kept = ScoreRules(**rules).for_classes(THREE)(keyframe())
    assert is_kept.astype(int).tolist() == kept
    expected = SCORES / 2 if "calibration" in rules else SCORES
    np.testing.assert_allclose(written.action_scores, expected)


def test_of_scores_that_a_calibration_makes_equal_the_networks_are_the_best():
    flat = IsotonicMap((0.0,), (0.25,))
    classes = tuple(ClassCalibration(a.id, a.name, None, flat, "class", 9, 9, 9) for a in THREE)
    rules = ScoreRules(top=1, calibration=Calibration(classes, "isotonic", None, 0.5, 1))
    assert rules.for_classes(THREE)(keyframe())[1].astype(int).tolist() == [[1, 0, 0], [0, 1, 0]]


def test_a_keyframe_without_people_has_no_scores():
    empty = keyframe()[np.zeros(2, np.bool_)]
    written, kept = ScoreRules(0.1, Thresholds(0.5), 2, calibration()).for_classes(THREE)(empty)
    assert (len(written), kept.shape) == (0, (0, 3))


def test_what_is_left_out_is_not_drawn():
    rules = ScoreRules(thresholds=Thresholds(0.1, {80: None})).for_classes(THREE)
    drawn = rules.drawn(*rules(keyframe()))
    np.testing.assert_array_equal(drawn.action_scores, SCORES * [1, 1, 0])
    assert 0 < (rules.least_drawn or 0) < 1e-6
    plain = ScoreRules().for_classes(THREE)
    assert plain.least_drawn is None and plain.drawn(*plain(keyframe())).action_scores is not None


@pytest.mark.parametrize("top", [0, -1, 1.5, True])
def test_top_is_a_number_of_actions(top):
    with pytest.raises(ConfigError, match="`top` is the number of actions of a person, at least 1"):
        ScoreRules(top=top)


def test_rules_that_do_nothing_leave_no_trace_in_the_record():
    assert ScoreRules(0.3).fingerprint() == {}
    both = ScoreRules(0.0, Thresholds(0.5, {80: None}), 2, calibration()).fingerprint()
    assert both["thresholds"] == {"80": None, "default": 0.5}
    assert (both["top"], len(both["calibration"])) == (2, 64)
    of_network = ScoreRules(0.0, Thresholds.from_calibration(calibration()), None, calibration()).fingerprint()
    assert of_network["thresholds_of_network_scores"] is True


# In the files of a run.


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return write_inputs(tmp_path_factory.mktemp("inputs"), {"one": 2})


@pytest.fixture
def annotate(inputs, tmp_path):
    def call(out="out", **rules):
        return annotate_videos(inputs / "videos", tmp_path / out, **default_settings(inputs), **rules)

    return call


@pytest.fixture(scope="module")
def raw(inputs, tmp_path_factory):
    """The scores of a run without rules, ``[2 keyframes, 80]``."""
    out = tmp_path_factory.mktemp("raw")
    annotate_videos(inputs / "videos", out, **default_settings(inputs), formats=("csv",))
    return read_ava_csv(out / "one.csv").scores.reshape(2, 80)


def test_every_file_has_the_same_scores_and_people_stay(annotate, raw, tmp_path):
    limit = float(np.sort(raw, axis=None)[-20])
    summary = annotate(thresholds=limit, top=3)
    (record,) = summary.videos
    rows = read_ava_csv(tmp_path / "out" / "one.csv")
    lines = [json.loads(line) for line in (tmp_path / "out" / "one.jsonl").open()]
    listed = [action["score"] for line in lines for person in line["people"] for action in person["actions"]]
    assert record.num_rows == len(rows) == len(listed) == len(pd.read_parquet(tmp_path / "out" / "one.parquet"))
    assert all(len(person["actions"]) <= 3 for line in lines for person in line["people"])
    assert min(listed) >= limit
    best = np.sort(raw, axis=1)[:, -3:]
    assert sorted(listed) == pytest.approx(sorted(best[best >= np.float32(limit)].tolist()))


def test_people_whose_actions_all_fall_below_keep_their_line(annotate, tmp_path):
    summary = annotate(thresholds=1.0)
    assert (summary.totals.rows, summary.totals.boxes, summary.totals.people) == (0, 2, 1)
    assert (tmp_path / "out" / "one.csv").read_text() == ""
    people = [person for line in (tmp_path / "out" / "one.jsonl").open() for person in json.loads(line)["people"]]
    assert [person["actions"] for person in people] == [[], []]


def test_a_calibration_changes_scores_only_where_it_is_asked_for(annotate, raw, tmp_path):
    path = tmp_path / "cal.json"
    calibration(LabelMap.ava(), threshold=0.0).save(path)
    annotate("thresholds", thresholds=path)
    np.testing.assert_array_equal(read_ava_csv(tmp_path / "thresholds" / "one.csv").scores.reshape(2, 80), raw)
    summary = annotate("calibrated", calibration=path, thresholds=str(path))
    written = read_ava_csv(tmp_path / "calibrated" / "one.csv").scores.reshape(2, 80)
    np.testing.assert_allclose(written, raw / 2, rtol=1e-6)
    assert summary.settings["calibration"] == Calibration.load(path).sha256


def test_other_rules_are_other_settings(annotate, tmp_path):
    annotate(top=2)
    with pytest.raises(ConfigError, match=r"top was 2, now 3\); choose another `out`"):
        annotate(top=3)
    with pytest.raises(ConfigError, match=r"thresholds was None, now 0\.5"):
        annotate(top=2, thresholds=0.5)
    assert annotate(top=2).all_well


def test_other_classes_and_missing_files_are_refused_before_anything_is_written(annotate, tmp_path):
    calibration().save(tmp_path / "cal.json")
    for rules in ({"thresholds": tmp_path / "cal.json"}, {"calibration": tmp_path / "cal.json"}):
        with pytest.raises(ConfigError, match=r"cal\.json is for other classes .*: nothing is given for class 1, 2, 3"):
            annotate(**rules)
    with pytest.raises(ConfigError, match="random is no file of weights on this machine"):
        annotate(thresholds="beside")
    assert not (tmp_path / "out").exists()


def test_a_calibration_of_other_weights_is_a_warning(annotate, tmp_path):
    with pytest.warns(AvaDetectWarning, match="fitted to the scores of other weights than these"):
        annotate(calibration=calibration(LabelMap.ava(), weights_sha256="0" * 64))
    with warnings.catch_warnings():
        warnings.simplefilter("error", AvaDetectWarning)
        annotate("other", calibration=calibration(LabelMap.ava()))


def test_an_input_is_never_replaced(annotate, tmp_path):
    annotate()
    thresholds = tmp_path / "out" / "one.csv"
    thresholds.write_text("default,0.5\n")
    with pytest.raises(ConfigError, match=r"one\.csv is also an input \(`thresholds`\)"):
        annotate(thresholds=thresholds)
