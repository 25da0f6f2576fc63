"""``ava-detect evaluate`` from the command line."""

from __future__ import annotations

import json

import pytest
from processes import WITHOUT_TORCH, run_python

from ava_detect.formats.ava_csv import AvaTable, write_ava_table
from ava_detect.structures.labels import LabelMap

BOX, ELSEWHERE = (0.1, 0.1, 0.5, 0.9), (0.6, 0.1, 0.9, 0.9)


@pytest.fixture
def work(tmp_path):
    """Two videos with one person each. The good run is right; the poor one has a surer box on no person."""
    truth = AvaTable.from_columns(["a", "b"], [902, 902], [BOX] * 2, [12, 12], person_ids=[0, 0])
    good = AvaTable.from_columns(["a", "b"], [902, 902], [BOX] * 2, [12, 12], scores=[0.9, 0.8])
    poor = AvaTable.from_columns(["a", "b", "b"], [902] * 3, [BOX, ELSEWHERE, BOX], [12] * 3, scores=[0.9, 0.8, 0.7])
    for name, table in (("truth", truth), ("good", good), ("poor", poor)):
        write_ava_table(tmp_path / f"{name}.csv", table)
    return tmp_path


def call(run_cli, work, *detections, **options):
    arguments = ["evaluate", "--ground-truth", work / "truth.csv"]
    for name in detections:
        arguments += ["--detections", work / f"{name}.csv"]
    for option, value in options.items():
        for one in value if isinstance(value, list) else [value]:
            arguments += [f"--{option.replace('_', '-')}", one]
    return run_cli(*arguments)


def test_one_run_by_hand(run_cli, work):
    code, out, err = call(run_cli, work, "poor", json=work / "result.json")
    assert (code, err) == (0, "")
    # One true positive first, one false, one true: (1 + 2/3) / 2.
    assert "mAP 83.33 @ IoU 0.5 over 1 classes and 2 keyframes (dialect official" in out
    result = json.loads((work / "result.json").read_text())
    assert result["mAP"] == pytest.approx(5 / 6)
    assert result["dialect"] == "official"
    assert len(result["per_class"]) == 60
    stand = result["per_class"]["12"]
    assert (stand["name"], stand["num_gt"], stand["num_det"], stand["num_tp"]) == ("stand", 2, 3, 2)
    assert stand["ap_tie_min"] <= stand["ap"] <= stand["ap_tie_max"]
    assert result["per_class"]["1"]["ap"] is None


def test_several_runs_are_compared(run_cli, work):
    code, out, _ = call(run_cli, work, "poor", "good", json=work / "result.json")
    assert code == 0
    assert "mAP 83.33 -> 100.00: +16.67" in out
    result = json.loads((work / "result.json").read_text())
    assert [run["mAP"] for run in result["runs"]] == [pytest.approx(5 / 6), 1]
    assert result["comparisons"][0]["difference"]["value"] == pytest.approx(1 / 6)


def test_several_thresholds(run_cli, work):
    moved = AvaTable.from_columns(["a", "b"], [902] * 2, [BOX, (0.1, 0.1, 0.5, 0.6)], [12] * 2, scores=[0.9, 0.8])
    write_ava_table(work / "moved.csv", moved)
    code, out, _ = call(run_cli, work, "moved", iou=["0.5", "0.75"], json=work / "result.json")
    assert code == 0
    result = json.loads((work / "result.json").read_text())
    # The second box overlaps by 5/8: enough at 0.5, not at 0.75.
    assert [one["mAP"] for one in result["per_iou"]] == [1, 0.5]
    assert out.count("mAP") == 2


def test_subset_exclusions_dialect_and_label_map(run_cli, work):
    (work / "only_a.txt").write_text("a.mkv\n")
    (work / "excluded.csv").write_text("b,0902\n")
    (work / "mine.pbtxt").write_text(LabelMap.ava().subset([12, 14]).to_pbtxt())
    for options in ({"subset": work / "only_a.txt"}, {"exclude": work / "excluded.csv"}):
        _, out, _ = call(run_cli, work, "poor", json=work / "result.json", **options)
        assert json.loads((work / "result.json").read_text())["mAP"] == 1
        assert "over 1 classes and 1 keyframes" in out
    _, out, _ = call(
        run_cli, work, "poor", label_map=work / "mine.pbtxt", dialect="pyslowfast", json=work / "result.json"
    )
    result = json.loads((work / "result.json").read_text())
    assert (result["dialect"], sorted(result["per_class"])) == ("pyslowfast", ["12", "14"])


def test_a_report_is_written(run_cli, work):
    code, out, _ = call(run_cli, work, "poor", "good", report=work / "report")
    assert code == 0
    assert f"Report: {work / 'report' / 'index.html'}" in out
    page = (work / "report" / "index.html").read_text()
    assert "100.00" in page
    assert "://" not in page.replace("http://www.w3.org/", "")


def test_a_score_of_nothing_says_why(run_cli, work):
    write_ava_table(work / "early.csv", AvaTable.from_columns(["a"], [2], [BOX], [12], scores=[0.9]))
    code, out, err = call(run_cli, work, "early")
    assert code == 0
    assert "mAP 0.00" in out
    assert "early.csv: no detection lies on a keyframe that has ground truth: in video 'a' the detections" in err


def test_quiet_prints_nothing(run_cli, work):
    code, out, err = run_cli(
        "evaluate", "--ground-truth", work / "truth.csv", "--detections", work / "good.csv", "--quiet"
    )
    assert (code, out, err) == (0, "", "")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"iou": "0"}, "each of --iou is above 0 and at most 1, got 0"),
        ({"dialect": "offical"}, "--dialect is official or pyslowfast, got 'offical' (did you mean 'official'?)"),
        ({"label_map": "gone.pbtxt"}, "gone.pbtxt: the label map cannot be read"),
        ({"exclude": "gone.csv"}, "gone.csv"),
        ({"subset": "gone.txt"}, "gone.txt: the list of videos cannot be read"),
    ],
)
def test_a_wrong_call_is_2_and_one_sentence(run_cli, work, change, message):
    code, out, err = call(run_cli, work, "good", json=work / "result.json", **change)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert not (work / "result.json").exists()


def test_a_bad_row_is_refused_with_file_and_line(run_cli, work):
    with (work / "good.csv").open("a") as file:
        file.write("a,903,0.1,0.1,0.5,0.9,12,high\n")
    code, _, err = call(run_cli, work, "good")
    assert code == 2
    assert "good.csv, line 3" in err
    assert "high" in err


def test_it_works_where_torch_is_absent(work):
    program = (
        f"sys.argv = ['ava-detect', 'evaluate', '--ground-truth', {str(work / 'truth.csv')!r},\n"
        f"            '--detections', {str(work / 'good.csv')!r}, '--report', {str(work / 'report')!r}]\n"
        "from ava_detect.cli.app import main\n"
        "main()\n"
    )
    assert "mAP 100.00" in run_python(WITHOUT_TORCH + program).stdout
