"""``ava-detect evaluate`` with the pickles of MultiSports, UCF101-24 and JHMDB."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest


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
        assert "linked to 2 tubes" in out
        # 15 / 19 is below 0.8, and 16 / 20 is not.
        assert f"video-mAP {50 if dialect == 'multisports' else 100}.00 @ IoU 0.8" in out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["tubes.pkl", "--metric", "frame"], "tubes.pkl has tubes, and --metric frame takes boxes of single frames"),
        (["tubes.pkl", "--metric", "mean"], "--metric is video or frame, got 'mean'"),
        (["tubes.pkl", "--dialect", "official"], "--dialect is multisports or act, got 'official'"),
        (["tubes.pkl", "--split", "2"], "--split is a number from 1 to 1 for this data set, got 2"),
        (
            ["tubes.pkl", "--report", "page"],
            "--report measures AVA's csv files, and the ground truth is a pickle of tubes",
        ),
        (["truth.pkl"], "truth.pkl: detections are an array of rows"),
        (["found.csv"], "found.csv is no pickle"),
        (["missing.pkl"], "missing.pkl"),
    ],
)
def test_a_wrong_call_is_one_sentence(files, run_cli, words, sentence):
    (files / "found.csv").write_text("a,1,0.1,0.1,0.2,0.2,1,0.5\n")
    code, out, err = run_cli(*CALL, *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert sentence in err


def test_the_options_of_tubes_are_refused_for_csv(files, run_cli):
    (files / "truth.csv").write_text("a,1,0.1,0.1,0.2,0.2,1\n")
    code, _, err = run_cli("evaluate", "--ground-truth", "truth.csv", "--detections", "tubes.pkl", "--metric", "video")
    assert code == 2
    assert "--metric is for pickles of tubes (MultiSports, UCF101-24, JHMDB)" in err
