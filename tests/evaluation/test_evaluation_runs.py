"""``ava-detect evaluate`` from the command line."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from processes import WITHOUT_TORCH, run_python

from ava_detect.formats.ava_csv import AvaTable, write_ava_table
from ava_detect.formats.jsonl import write_jsonl
from ava_detect.formats.parquet import write_parquet
from ava_detect.results.manifest import VideoRecord
from ava_detect.structures import ActionDetections
from ava_detect.structures.labels import Action, LabelMap

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
    assert "mAP 83.33 @ IoU 0.5 over 1 class and 2 keyframes (dialect official" in out
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


def write_run(work, name, suffix, start_seconds):
    """The folder of a run: video a as csv or Parquet, whose times count from the video's start, and b as csv."""
    folder = work / name
    folder.mkdir()
    for video in "ab":
        write_ava_table(folder / f"{video}.csv", AvaTable.from_columns([video], [902], [BOX], [12], scores=[0.9]))
    if suffix == "parquet":
        box, one = np.array([BOX], np.float32), np.ones(1, np.float32)
        found = ActionDetections("a", 902 - start_seconds, box, one, np.array([[0.9]], np.float32), np.array([12]))
        write_parquet(folder / "a.parquet", [found], LabelMap.ava())
    outputs = {"b": "b.csv", "a": f"a.{suffix}"}  # the first file does not speak for all
    records = [asdict(VideoRecord(video, f"{video}.mp4", "done", outputs=(file,))) for video, file in outputs.items()]
    lines = [{"settings": {"start_seconds": start_seconds}}, *records]
    (folder / "manifest.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return folder


def test_the_folder_of_a_run_is_one_run(run_cli, work):
    folder = write_run(work, "run", "csv", 0)
    code, out, err = run_cli(
        "evaluate", "--ground-truth", work / "truth.csv", "--detections", work / "poor.csv", "--detections", folder,
        "--json", work / "result.json",
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert "mAP 83.33 -> 100.00: +16.67" in out
    assert json.loads((work / "result.json").read_text())["runs"][1]["detections"] == str(folder)
    (folder / "manifest.jsonl").unlink()
    code, _, err = run_cli("evaluate", "--ground-truth", work / "truth.csv", "--detections", folder)
    assert code == 2
    assert f"{folder} holds no manifest.jsonl of a run; give the folder of `ava-detect annotate` or" in err


def test_times_of_parquet_start_where_their_run_says(run_cli, work):
    late, later = write_run(work, "late", "parquet", 900), write_run(work, "later", "parquet", 901)
    truth = ("--ground-truth", work / "truth.csv")
    for detections, score in (late, 100), (late / "a.parquet", 50), (later, 100):  # one file has one of the two people
        code, out, err = run_cli("evaluate", *truth, "--detections", detections)
        assert (code, err) == (0, "")
        assert f"mAP {score}.00" in out
    code, out, _ = run_cli("evaluate", *truth, "--detections", late, "--start-seconds", "0")
    assert "mAP 50.00" in out
    code, _, err = run_cli("evaluate", *truth, "--detections", late, "--detections", later)
    assert code == 2
    assert (
        f"the videos of {late / 'a.parquet'} start at 900 s of their movies, those of {later / 'a.parquet'} at" in err
    )
    # A csv has the movie's own times, wherever its run began.
    assert run_cli("evaluate", *truth, "--detections", late, "--detections", write_run(work, "csv", "csv", 7))[0] == 0


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
        assert "over 1 class and 1 keyframe" in out
    _, out, _ = call(
        run_cli, work, "poor", label_map=work / "mine.pbtxt", dialect="pyslowfast", json=work / "result.json"
    )
    result = json.loads((work / "result.json").read_text())
    assert (result["dialect"], sorted(result["per_class"])) == ("pyslowfast", ["12", "14"])


def test_a_report_is_written(run_cli, work):
    code, out, _ = call(run_cli, work, "poor", "good", report=work / "report")
    assert code == 0
    assert out.endswith(f"Open in a browser: {work / 'report' / 'index.html'}\n")
    page = (work / "report" / "index.html").read_text()
    assert "100.00" in page
    assert "://" not in page.replace("http://www.w3.org/", "")


def test_a_score_of_nothing_says_why(run_cli, work):
    write_ava_table(work / "early.csv", AvaTable.from_columns(["a"], [2], [BOX], [12], scores=[0.9]))
    code, out, err = call(run_cli, work, "early")
    assert code == 0
    assert "mAP 0.00" in out
    assert "early.csv: no detection lies on a keyframe that has ground truth: in video 'a' the detections" in err


OWN = {0: "knead", 1: "fold", 7: "bake"}


@pytest.fixture
def own(work):
    """Runs of three own actions, whose ids AVA has too, except 0."""
    truth = AvaTable.from_columns(["a"] * 3, [902] * 3, [BOX] * 3, [0, 1, 7], person_ids=[0] * 3)
    found = AvaTable.from_columns(["a"] * 2, [902] * 2, [BOX] * 2, [0, 1], scores=[0.9, 0.8])
    write_ava_table(work / "truth.csv", truth)
    write_ava_table(work / "found.csv", found)
    return work


def own_map(ids=tuple(OWN)) -> LabelMap:
    return LabelMap(tuple(Action(i, OWN[i]) for i in ids))


def named_by_jsonl(work):
    scores = np.array([[0.9, 0.8]], np.float32)
    boxes, one = np.array([BOX], np.float32), np.ones(1, np.float32)
    keyframe = ActionDetections("a", 902, boxes, one, scores, np.array([0, 1]))
    write_jsonl(work / "found.jsonl", [keyframe], own_map((0, 1)))
    return "found.jsonl", {"0": "knead", "1": "fold", "7": "action 7"}


def named_by_run(work):
    settings = {"config": {"labels": {"text": own_map().to_pbtxt()}}}
    (work / "manifest.jsonl").write_text(json.dumps({"settings": settings}) + "\n")
    named_by_jsonl(work)  # the label map of the run is complete, and comes first
    return "manifest.jsonl", {str(i): name for i, name in OWN.items()}


def named_by_label_map(work):
    (work / "label_map.pbtxt").write_text(own_map().to_pbtxt())
    return "label_map.pbtxt", {str(i): name for i, name in OWN.items()}


@pytest.mark.parametrize("record", [named_by_jsonl, named_by_run, named_by_label_map])
def test_the_names_beside_the_results_are_the_classes(run_cli, own, record):
    file, names = record(own)
    code, out, err = call(run_cli, own, "found", json=own / "result.json")
    assert (code, err) == (0, "")
    result = json.loads((own / "result.json").read_text())
    assert {i: one["name"] for i, one in result["per_class"].items()} == names
    assert result["mAP"] == pytest.approx(2 / 3)  # the class that was not found counts, named or not
    assert f"Classes: the 3 actions named in {own / file}; --label-map chooses others" in out


def test_that_avas_classes_are_assumed_is_said(run_cli, own):
    code, out, _ = call(run_cli, own, "found", json=own / "result.json")
    said = (
        "AVA's 60 and their names: no label map was given, and the results record no others; --label-map names others"
    )
    assert code == 0 and f"Classes: {said}" in out
    assert json.loads((own / "result.json").read_text())["classes"] == said
    (own / "mine.pbtxt").write_text(own_map().to_pbtxt())
    assert "record no others" not in call(run_cli, own, "found", label_map=own / "mine.pbtxt")[1]


def test_avas_names_beside_the_results_change_nothing(run_cli, work):
    (work / "label_map.pbtxt").write_text(LabelMap.ava().subset([12, 14, 17]).to_pbtxt())
    call(run_cli, work, "poor", json=work / "result.json")
    assert len(json.loads((work / "result.json").read_text())["per_class"]) == 60


def test_runs_that_name_one_id_differently_need_a_label_map(run_cli, own):
    for name, action in (("one", "knead"), ("two", "fold")):
        (own / name).mkdir()
        write_ava_table(own / name / "run.csv", AvaTable.from_columns(["a"], [902], [BOX], [0], scores=[0.9]))
        (own / name / "label_map.pbtxt").write_text(LabelMap((Action(0, action),)).to_pbtxt())
    code, _, err = call(run_cli, own, "one/run", "two/run")
    assert code == 2
    assert f"id 0 is 'knead' in {own / 'one' / 'label_map.pbtxt'} and 'fold' in" in err and "(--label-map)" in err


def test_two_classes_of_one_name_are_scored_and_named(run_cli, work):
    (work / "twice.pbtxt").write_text("item { id: 12 name: 'x' } item { id: 80 name: 'x' }")
    code, _, err = call(run_cli, work, "poor", label_map=work / "twice.pbtxt")
    assert code == 0
    assert "poor.csv: ids 12 and 80 of the label map are both called 'x'" in err


def test_ground_truth_in_any_format_gives_the_same(run_cli, own):
    """A csv, Parquet and COCO json, whose categories are the actions, of the same three boxes."""
    corners = [float(np.float32(value)) for value in BOX]
    rows = [{"video_id": "a", "timestamp_seconds": 2.0, "action_id": i} for i in OWN]
    table = pa.Table.from_pylist([row | dict(zip(("x1", "y1", "x2", "y2"), corners, strict=True)) for row in rows])
    pq.write_table(table, own / "truth.parquet")
    width, height = BOX[2] - BOX[0], BOX[3] - BOX[1]
    box = [1000 * value for value in (BOX[0], BOX[1], width, height)]
    coco = {
        "images": [{"id": 5, "video_id": "a", "timestamp": 902, "width": 1000, "height": 1000}],
        "categories": [{"id": i, "name": name} for i, name in OWN.items()],
        "annotations": [{"image_id": 5, "category_id": i, "bbox": box, "track_id": 0} for i in OWN],
    }
    (own / "truth.json").write_text(json.dumps(coco))
    (own / "mine.pbtxt").write_text(own_map().to_pbtxt())
    for name in ("truth.csv", "truth.parquet", "truth.json"):
        arguments = ("--detections", own / "found.csv", "--label-map", own / "mine.pbtxt", "--start-seconds", "900")
        code, out, err = run_cli("evaluate", "--ground-truth", own / name, *arguments)
        assert (code, err) == (0, ""), name
        assert "mAP 66.67 @ IoU 0.5 over 3 classes and 1 keyframe" in out, name


def test_ground_truth_without_any_action_is_refused(run_cli, work):
    write_ava_table(work / "truth.csv", AvaTable.from_columns(["a"], [902], [BOX]))
    code, _, err = call(run_cli, work, "poor")
    assert code == 2
    assert "truth.csv: no box of the ground truth has an action; is this a file of proposals?" in err


def test_quiet_prints_nothing(run_cli, work):
    code, out, err = run_cli(
        "evaluate", "--ground-truth", work / "truth.csv", "--detections", work / "good.csv", "--quiet"
    )
    assert (code, out, err) == (0, "", "")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"iou": "0"}, "--iou: expected a number above 0, at most 1, got '0'"),
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
