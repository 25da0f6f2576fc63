"""Pipes and devices as inputs are refused at once: a pipe would wait for its writer, and a device may never end."""

from __future__ import annotations

import pytest

ROW = "one,0,0.1,0.2,0.6,0.9,12,0\n"
RUN = ["--config", "demo", "--weights", "random"]
EVALUATE = ["evaluate", "--ground-truth", "truth.csv", "--detections", "truth.csv"]
CALLS = {
    "ground truth": ["evaluate", "--ground-truth", "special.csv", "--detections", "truth.csv"],
    "COCO": ["evaluate", "--ground-truth", "special.json", "--detections", "truth.csv"],
    "detections": ["evaluate", "--ground-truth", "truth.csv", "--detections", "special.csv"],
    "Parquet": ["evaluate", "--ground-truth", "truth.csv", "--detections", "special.parquet"],
    "label map": [*EVALUATE, "--label-map", "special.pbtxt"],
    "exclude": [*EVALUATE, "--exclude", "special.csv"],
    "subset": [*EVALUATE, "--subset", "special.txt"],
    "boxes": ["annotate", "one.mp4", "--out", "out", *RUN, "--boxes", "special.csv"],
    "check": ["data", "check", "--videos", ".", "--ground-truth", "special.csv"],
    "dataset": ["status", "dataset"],
    "kinetics": ["train", "--out", "out", "--config", "kinetics_slow_r50_4x16",
                 "--set", "data.train.annotations=special.csv", "--set", "data.train.videos=."],
}  # fmt: skip


@pytest.mark.parametrize("command", CALLS)
def test_a_device_is_refused_in_a_sentence(run_cli, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "truth.csv").write_text(ROW)
    (tmp_path / "one.mp4").touch()
    (tmp_path / "dataset").mkdir()
    names = [f"special.{suffix}" for suffix in ("csv", "json", "parquet", "pbtxt", "txt")]
    for path in (*(tmp_path / name for name in names), tmp_path / "dataset" / "run.json"):
        path.symlink_to("/dev/null")  # which ends at once, so that a fault here is no hang
    code, out, err = run_cli(*CALLS[command])
    assert code in (1, 2)
    assert "it is a device, not a file, and would be read more than once; save it to a file" in out + err
    assert ("run.json" if command == "dataset" else "special.") in out + err


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (["data", "synthesize", "--out", ""], "--out is empty"),
        (["data", "synthesize", "--out="], "--out is empty"),
        (["benchmark", "--out", "", "--config", "demo"], "--out is empty"),
        (["annotate", "", "--out", "out"], "an argument is empty"),
        (["hand-over", "results", "--to", "coco", "--out", ""], "--out is empty"),
        ([*EVALUATE, "--json", ""], "--json is empty"),
    ],
)
def test_an_empty_value_is_not_the_folder_where_one_stands(run_cli, tmp_path, monkeypatch, call, named):
    monkeypatch.chdir(tmp_path)
    code, out, err = run_cli(*call)
    assert (code, out) == (2, "")
    assert err == f"ava-detect: {named}; give a value, or leave it out\n"
    assert list(tmp_path.iterdir()) == []
