"""``ava-detect calibrate`` from the command line."""

from __future__ import annotations

import json

import pytest
from calibration_data import of_class, write_scored
from processes import WITHOUT_TORCH, run_python

from ava_detect.evaluation.calibration import Calibration

STAND = of_class(12, [(0.9, True), (0.8, True), (0.6, False), (0.4, True), (0.2, False)], "a")
SIT = of_class(11, [(0.3, True), (0.1, False)], "b")


@pytest.fixture
def work(tmp_path):
    write_scored(tmp_path, STAND + SIT)
    (tmp_path / "net.pth").write_text("weights")
    return tmp_path


def call(run_cli, work, *more, truth=True):
    given = ["--ground-truth", work / "truth.csv"] if truth else []
    return run_cli("calibrate", "--detections", work / "found.csv", *given, *more)


def test_thresholds_are_printed_and_written(run_cli, work):
    code, out, err = call(run_cli, work, "--out", work / "cal.json", "--min-positives", 1, "--report", work / "report")
    assert (code, err) == (0, "")
    rows = {line.split()[1]: line.split() for line in out.splitlines() if line.startswith(("11 ", "12 "))}
    assert rows["stand"] == ["12", "stand", "3", "0.300", "75.00", "66.67", "85.71", "34.00", "0.00"]
    assert rows["sit"][2:7] == ["1", "0.200", "100.00", "0.00", "100.00"]
    assert "Mean over classes: F1 33.33 -> 92.86" in out
    assert "NOTE: after: measured on the same videos" in out and "--folds 5 measures on held-out videos" in out
    assert "Classes: AVA's 80" in out and f"Calibration: {work / 'cal.json'}" in out
    assert Calibration.load(work / "cal.json").thresholds == {11: 0.2, 12: 0.3}
    page = (work / "report" / "index.html").read_text()
    assert page.count("<svg") == 3 and "stand: before calibration error 34.00 %, after calibration error 0.00 %" in page
    # Its own file and page may be replaced.
    again = call(run_cli, work, "--out", work / "cal.json", "--min-positives", 1, "--report", work / "report", "-q")
    assert again == (0, "", "")


def test_pooled_classes_and_classes_without_a_threshold_are_named(run_cli, work):
    code, out, _ = call(run_cli, work, "--out", work / "cal.json", "--min-positives", 2)
    assert code == 0
    assert "0.250*" in out and "* 1 of 2 classes have fewer than 2 true positives" in out
    write_scored(work, [*STAND, *of_class(11, [(0.5, False), (0.3, True)], "b")])
    code, out, _ = call(run_cli, work, "--out", work / "cal.json", "--min-positives", 1, "--precision", 0.9)
    assert code == 0
    assert "none: no threshold gives precision 0.9 for 1 class, of which nothing is kept: 11 sit" in out


def test_beside_the_weights(run_cli, work):
    code, out, _ = call(run_cli, work, "--beside", work / "net.pth", "--min-positives", 1)
    assert code == 0 and "net.pth.calibration.json" in out
    assert Calibration.load(work / "net.pth.calibration.json").thresholds
    assert (work / "net.pth").read_text() == "weights"


def test_a_calibration_is_checked_on_other_videos(run_cli, work):
    assert call(run_cli, work, "--out", work / "cal.json", "--min-positives", 1, "-q")[0] == 0
    before = (work / "cal.json").read_bytes()
    write_scored(work, [row._replace(video="c") for row in STAND])
    code, out, err = call(run_cli, work, "--check", work / "cal.json")
    assert (code, err) == (0, "")
    assert "NOTE: measured on 1 video, none of which the calibration was fitted to" in out
    assert "Classes: the 2 of the calibration" in out
    assert (work / "cal.json").read_bytes() == before
    code, out, _ = call(run_cli, work, "--check", work / "cal.json", "--json")
    assert json.loads(out)["after"]["f1"] == pytest.approx(6 / 7)


def test_a_box_that_is_none_is_named_with_its_file(run_cli, work):
    """It is told in a fit, and in a check."""
    first, *others = (work / "found.csv").read_text().splitlines(keepends=True)
    video, second, *corners, action, score = first.split(",")
    (work / "found.csv").write_text(",".join([video, second, "nan", *corners[1:], action, score]) + "".join(others))
    for option in ("--out", "--check"):
        code, _, err = call(run_cli, work, option, work / "cal.json", "--min-positives", 1, "-q")
        assert code == 0
        assert f"{work / 'found.csv'}: 1 of the 7 boxes of the detections have a NaN or infinite corner" in err
        assert f"the first is in video '{video}' at second {float(second):g}" in err


def test_the_ground_truth_and_the_weights_of_a_benchmark_are_known(run_cli, work):
    run = work / "run"
    run.mkdir()
    (work / "found.csv").rename(run / "detections.csv")
    (run / "manifest.jsonl").write_text(json.dumps({"settings": {"weights": "f" * 64}}) + "\n")
    (run / "result.json").write_text(json.dumps({"inputs": {"ground_truth": str(work / "truth.csv")}}))
    code, _, err = run_cli("calibrate", "--detections", run, "--out", work / "cal.json", "--min-positives", 1)
    assert (code, err) == (0, "")
    assert Calibration.load(work / "cal.json").weights_sha256 == "f" * 64


def test_scores_that_were_left_out_are_a_warning_and_calibrated_ones_an_error(run_cli, work):
    (work / "manifest.jsonl").write_text(json.dumps({"settings": {"min_score": 0.3}}) + "\n")
    code, _, err = call(run_cli, work, "--out", work / "cal.json", "--min-positives", 1)
    assert code == 0 and "the detections were written with min-score, so scores are missing" in err
    (work / "manifest.jsonl").write_text(json.dumps({"settings": {"calibration": "x"}}) + "\n")
    code, _, err = call(run_cli, work, "--out", work / "cal.json", "--min-positives", 1)
    assert code == 2 and "the --detections have calibrated scores" in err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ((), "give one of --out (a file to write), --beside"),
        (("--out", "x.json", "--check", "y.json"), "got --out and --check"),
        (("--out", "{}/truth.csv"), "--out {}/truth.csv is also an input (--ground-truth)"),
        (("--out", "{}/other.csv"), "--out {}/other.csv exists and is not from an earlier run"),
        (("--beside", "demo"), "demo is no file of weights on this machine"),
        (("--out", "x.json", "--precision", "80"), "--precision: expected a number above 0, at most 1, got '80'"),
        (("--out", "x.json", "--method", "beta"), "--method is one of isotonic, platt, none, got 'beta'"),
        (("--out", "x.json", "--folds", "1"), "--folds is from 2 to 1000, or 0 for none"),
        (("--out", "x.json"), "4 detections are true positives, and a calibration needs at least 30 in all"),
        (("--check", "{}/truth.csv"), "truth.csv is no calibration as `ava-detect calibrate` writes it"),
    ],
)
def test_wrong_calls_are_refused_and_write_nothing(run_cli, work, monkeypatch, more, message):
    monkeypatch.chdir(work)
    (work / "other.csv").write_text("mine")
    before = {path: path.read_bytes() for path in work.iterdir()}
    code, _, err = call(run_cli, work, *(word.format(work) for word in more))
    assert code == 2
    assert message.format(work) in err
    assert {path: path.read_bytes() for path in work.iterdir()} == before


def test_ground_truth_is_needed(run_cli, work):
    code, _, err = call(run_cli, work, "--out", work / "cal.json", truth=False)
    assert code == 2 and "there is no --ground-truth; give the file, or the folder of a `benchmark`" in err


def test_it_needs_no_torch():
    run_python(WITHOUT_TORCH + "import ava_detect.evaluation.calibrate, ava_detect.evaluation.thresholds")
