"""``ava-detect evaluate`` of tubes: pickles of MultiSports, UCF101-24 and JHMDB, csv files, results of ``annotate``."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from tube_files import LABELS, OWN_LABELS, data_set, results_folder, tube

from ava_detect.formats.ava_table import AvaTable
from ava_detect.formats.tube_pickles import write_detected_boxes, write_detected_tubes, write_tube_annotations
from ava_detect.results.tube_detections import TubeReading, read_detections
from ava_detect.results.tube_truth import truth_of_pickle


def rows(first, last, x=10.0):
    frames = np.arange(first, last + 1)
    return np.column_stack([frames, np.tile([x, 10, x + 20, 50], (len(frames), 1))])


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    truth = {
        "labels": ["jump", "throw"],
        "gttubes": {"a": {0: [rows(1, 20)]}, "b": {1: [rows(5, 30)]}},
        "nframes": {"a": 40, "b": 40},
        "train_videos": [[]],
        "test_videos": [["a", "b"]],
        "resolution": {"a": (240, 320), "b": (240, 320)},
    }
    tubes = {0: [("a", 0.9, rows(1, 16))], 1: [("b", 0.8, rows(5, 30)), ("a", 0.9, rows(1, 30, 100.0))]}
    parts = [(0, 0, rows(1, 16)), (1, 1, rows(5, 30))]
    boxes = np.array([[video, row[0], label, 0.9, *row[1:]] for video, label, part in parts for row in part])
    for name, content in (("truth", truth), ("tubes", tubes), ("boxes", boxes)):
        (tmp_path / f"{name}.pkl").write_bytes(pickle.dumps(content))
    return tmp_path


CALL = ("evaluate", "--ground-truth", "truth.pkl", "--detections")


def test_video_map_of_tubes(files, run_cli):
    code, out, err = run_cli(*CALL, "tubes.pkl", "--json", "out.json")
    assert (code, err) == (0, "")
    # jump: overlap 15 / 19 = 0.789; throw: a false one comes first, precision 1/2.
    assert "video-mAP 75.00 @ IoU 0.5 over 2 classes and 2 videos (dialect multisports;" in out
    assert "video-mAP averaged over IoU: 55.00 @ 0.50:0.95, 75.00 @ 0.05:0.45, 63.89 @ 0.10:0.90" in out
    content = json.loads((files / "out.json").read_text())
    assert content["averages"]["0.50:0.95"] == pytest.approx(0.55)
    assert [one["iou_threshold"] for one in content["per_iou"]] == [0.2, 0.5, 0.75]


def test_boxes_are_measured_as_such_or_linked(files, run_cli):
    code, out, _ = run_cli(*CALL, "boxes.pkl", "--metric", "frame")
    assert code == 0
    assert "frame-mAP 90.00 @ IoU 0.5 over 2 classes" in out  # 16 of 20 frames, and all
    for dialect in ("multisports", "act"):
        code, out, _ = run_cli(*CALL, "boxes.pkl", "--dialect", dialect, "--iou", "0.8")
        assert code == 0
        assert f"linked to 2 tubes ({'mmaction2' if dialect == 'multisports' else 'moc'})" in out
        # 15 / 19 is below 0.8, and 16 / 20 is not.
        assert f"video-mAP {50 if dialect == 'multisports' else 100}.00 @ IoU 0.8" in out


@pytest.mark.parametrize("metric", ["frame", "video"])
def test_a_bad_row_is_named_with_its_file(files, run_cli, metric):
    boxes = pickle.loads((files / "boxes.pkl").read_bytes())
    boxes[3, 1] = 4.25
    (files / "boxes.pkl").write_bytes(pickle.dumps(boxes))
    code, _, err = run_cli(*CALL, "boxes.pkl", "--metric", metric)
    assert code == 2
    assert "boxes.pkl: video 'a', frame 4.25: a frame number is whole, from 0" in err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["tubes.pkl", "--metric", "frame"], "tubes.pkl has tubes, and --metric frame takes boxes of single frames"),
        (["tubes.pkl", "--metric", "mean"], "--metric is video or frame, got 'mean'"),
        (["tubes.pkl", "--dialect", "official"], "--dialect is multisports or act, got 'official'"),
        (["tubes.pkl", "--split", "2"], "--split is a number from 1 to 1 for this data set, got 2"),
        (["tubes.pkl", "--exclude", "found.csv"], "--exclude is for csv files; a pickle of tubes has a split"),
        (["tubes.pkl", "--linking", "hungarian"], "--linking is moc or mmaction2 or tracks, got 'hungarian'"),
        (["truth.pkl"], "truth.pkl: detections are an array of rows"),
        (["found.csv"], "found.csv counts seconds, and tubes count frames; give the frames per second"),
        (["found.csv", "--fps", "0"], "expected a number above 0, at most 1,000, got '0'"),
        (["boxes.pkl", "--label-map", "found.csv", "--report", "truth.pkl"], "--report truth.pkl cannot be written to"),
        (["missing.pkl"], "missing.pkl"),
    ],
)
def test_a_wrong_call_is_one_sentence(files, run_cli, words, sentence):
    (files / "found.csv").write_text("a,1,0.1,0.1,0.2,0.2,1,0.5\n")
    code, out, err = run_cli(*CALL, *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert sentence in err


def test_the_options_of_tubes_are_refused_for_csv(files, run_cli):
    (files / "truth.csv").write_text("a,1,0.1,0.1,0.2,0.2,1,0\n")
    call = ("evaluate", "--ground-truth", "truth.csv", "--detections", "tubes.pkl")
    for words, sentence in (
        (["--split", "1"], "--split is for tubes: pickles of MultiSports, UCF101-24 and JHMDB, or --metric video"),
        (["--metric", "video", "--split", "1"], "--split is for pickles of tubes; --subset names the videos"),
        (["--metric", "video"], "--fps is needed: a csv counts seconds, and tubes count frames"),
        (["--metric", "video", "--fps", "1"], "tubes.pkl is a pickle, whose labels and pixels mean those of a pickle"),
        (["--dialect", "act", "--fps", "1"], "--dialect act counts the last pixel of a box"),
    ):
        code, _, err = run_cli(*call, *words)
        assert (code, err.count("\n")) == (2, 1)
        assert sentence in err


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A data set of which a network found one tube exactly and of another the first 16 of 20 frames."""
    monkeypatch.chdir(tmp_path)
    write_tube_annotations("truth.pkl", data_set(tube(), tube("throw/b", 1, 5, 24)))
    found = [tube(score=0.9), tube("throw/b", 1, 5, 20, score=0.8)]
    results_folder(tmp_path / "results", found)
    return found


def test_results_of_annotate_are_measured_as_tubes_and_as_boxes(own, run_cli):
    call = ("evaluate", "--ground-truth", "truth.pkl", "--detections", "results", "--fps", "25")
    for linking in ("moc", "mmaction2", "tracks"):
        code, out, err = run_cli(*call, "--linking", linking, "--iou", "0.75", "--json", "out.json", "--overwrite")
        assert (code, err) == (0, "")
        assert f"linked to 2 tubes ({linking})" in out
        assert "video-mAP 100.00 @ IoU 0.75 over 2 classes and 2 videos" in out  # 15 / 19 = 0.789
    code, out, _ = run_cli(*call, "--metric", "frame")
    assert (code, "frame-mAP 90.00 @ IoU 0.5 over 2 classes" in out) == (0, True)  # 16 of 20 frames
    code, _, err = run_cli(*call[:-2])
    assert code == 2
    assert "counts seconds, and tubes count frames" in err


def test_sparse_results_reach_every_frame(tmp_path, monkeypatch):
    """A keyframe on every fifth frame, 1 to 21: a box on each frame between, and two frames on either side."""
    monkeypatch.chdir(tmp_path)
    moving = tube(last=21, score=0.5)
    boxes = moving.boxes_xyxy + np.arange(21)[:, None]
    moving = type(moving)("jump/a", 0, moving.frames, boxes, 0.5)
    write_tube_annotations("truth.pkl", data_set(moving))
    results_folder(tmp_path / "results", [moving], step=5)
    found = read_detections("results", truth_of_pickle("truth.pkl"), TubeReading(fps=25))
    assert found.timestamps_seconds.tolist() == list(range(1, 24))  # no frame before the first
    np.testing.assert_allclose(found.boxes_fraction[:21], boxes, atol=1e-4)  # the file has float32
    np.testing.assert_allclose(found.boxes_fraction[21:], boxes[[20, 20]], atol=1e-4)
    assert set(found.person_ids) == {1}
    assert found.scores.tolist() == [0.5] * 23


def test_a_csv_of_tubes_is_measured_as_the_pickle_is(own, run_cli):
    """The same ground truth as csv, the same detections as csv and as results; times of a movie from second 100 on."""
    convert = ("data", "convert", "--fps", "25", "--start-seconds", "100")
    assert run_cli(*convert, "truth.pkl", "--out", "text")[0] == 0
    assert run_cli(*convert, "results", "--ground-truth", "truth.pkl", "--out", "found.csv")[0] == 0
    call = ("evaluate", "--ground-truth", "text/ground_truth.csv", "--fps", "25", "--start-seconds", "100")
    call = (*call, "--subset", "text/split1_test.txt", "--label-map", "text/label_map.pbtxt", "--metric", "video")
    for detections in ("found.csv", "results"):
        code, out, err = run_cli(*call, "--detections", detections, "--iou", "0.75", "--iou", "0.79")
        assert (code, err) == (0, "")
        assert "video-mAP 100.00 @ IoU 0.75 over 2 classes and 2 videos" in out
        assert "video-mAP 50.00 @ IoU 0.79 over 2 classes and 2 videos" in out
    # Without frames 21 to 24 of the second video both tubes are exact.
    rows = "".join(f"throw/b,{100 + (frame - 1) / 25:.6f}\n" for frame in range(21, 25))
    Path("out.csv").write_text(rows)
    code, out, _ = run_cli(*call, "--detections", "found.csv", "--exclude", "out.csv", "--iou", "0.95")
    assert (code, "video-mAP 100.00 @ IoU 0.95" in out) == (0, True)


def test_two_runs_are_compared_and_the_report_is_about_the_second(own, run_cli, tmp_path):
    truth = data_set(tube(), tube("throw/b", 1, 5, 24))
    write_detected_tubes("first.pkl", own[:1], LABELS)
    write_detected_tubes("second.pkl", own, LABELS)
    call = ("evaluate", "--ground-truth", "truth.pkl", "--detections", "first.pkl", "--detections", "second.pkl")
    code, out, err = run_cli(*call, "--report", "page", "--json", "out.json")
    assert (code, err) == (0, "")
    assert "mAP 50.00 -> 100.00: +50.00" in out
    assert "Open in a browser:" in out
    content = json.loads((tmp_path / "out.json").read_text())
    assert [run["mAP"] for run in content["runs"]] == [0.5, 1.0]
    assert content["comparisons"][0]["difference"]["value"] == 0.5
    page = (tmp_path / "page" / "index.html").read_text()
    assert "<strong>100.00</strong> <span>video-mAP" in page
    write_detected_boxes("boxes.pkl", _rows(own), truth.test_videos())
    code, out, _ = run_cli(*call[:3], "--detections", "boxes.pkl", "--metric", "frame", "--report", "page")
    assert (code, "Open in a browser:" in out) == (0, True)
    assert "<strong>90.00</strong> <span>frame-mAP" in (tmp_path / "page" / "index.html").read_text()


def _rows(tubes):
    rows = [(one, frame, box) for one in tubes for frame, box in zip(one.frames, one.boxes_xyxy, strict=True)]
    return AvaTable.from_columns(
        [one.video_id for one, _, _ in rows],
        [float(frame) for _, frame, _ in rows],
        np.array([box for _, _, box in rows]),
        [one.action_id for one, _, _ in rows],
        [one.score for one, _, _ in rows],
    )


def test_results_of_other_actions_or_videos_are_refused(own, run_cli, tmp_path):
    call = ("evaluate", "--ground-truth", "truth.pkl", "--fps", "25", "--detections")
    other = type(OWN_LABELS)(tuple(type(a)(a.id, f"my {a.name}") for a in OWN_LABELS))
    results_folder(tmp_path / "other", own, labels=other)
    code, _, err = run_cli(*call, "other")
    assert code == 2
    assert "other: none of its actions (my jump, my throw, my lie, ...) is one of the ground truth (jump" in err
    results_folder(tmp_path / "elsewhere", [tube("elsewhere/z", score=0.5)])
    code, _, err = run_cli(*call, "elsewhere")
    assert code == 2
    assert "elsewhere: none of its videos is one of the ground truth, such as jump/a" in err
