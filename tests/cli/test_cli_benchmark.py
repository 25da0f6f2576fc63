"""``ava-detect benchmark`` as people and scripts meet it."""

from __future__ import annotations

import json

import pytest
from networks import small_config_file
from videos import constant_rate, write_numbered_video


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli_benchmark")
    (folder / "videos").mkdir()
    write_numbered_video(folder / "videos" / "one.mp4", constant_rate(40, 30))
    (folder / "truth.csv").write_text("one,0,0.1,0.2,0.6,0.9,12,0\none,1,0.1,0.2,0.6,0.9,14,0\n")
    (folder / "lost.csv").write_text("one,0,0.1,0.2,0.6,0.9,12,0\n[lost],1,0.1,0.2,0.6,0.9,14,0\n")
    small_config_file(folder)
    return folder


def call(work, out, truth="truth.csv", *more):
    return (
        "benchmark", "--config", work / "small.yaml", "--weights", "random", "--videos", work / "videos",
        "--ground-truth", work / truth, "--boxes", "ground-truth", "--out", out, *more,
    )  # fmt: skip


def test_it_says_the_score_what_it_cost_and_where_everything_is(run_cli, work, tmp_path):
    code, out, err = run_cli(*call(work, tmp_path))
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "1 video, 2 keyframes, 2 clips, 2 boxes, 160 rows"
    assert [line.split()[0] for line in lines[1:5]] == ["data", "detection", "action", "evaluation"]
    assert "clips a second" in lines[5]
    assert "NOTE: untrained network" in out
    assert f"Detections: {tmp_path / 'detections.csv'}" in out
    assert f"Result: {tmp_path / 'result.json'}" in out
    assert lines[-2].startswith("mAP ")
    assert "over 2 classes and 2 keyframes (dialect official; equal scores leave" in lines[-2]
    found, report = tmp_path / "detections.csv", tmp_path / "report"
    assert lines[-1].startswith("See what costs the score: ava-detect evaluate --ground-truth ")
    assert lines[-1].endswith(f" --detections {found} --report {report}")


def test_in_a_script(run_cli, work, tmp_path):
    code, out, err = run_cli(*call(work, tmp_path, "truth.csv", "--json", "--flip", "--scales", "32,48"))
    assert (code, err) == (0, "")
    assert json.loads(out) == json.loads((tmp_path / "result.json").read_text())
    assert json.loads(out)["settings"]["scales"] == [32, 48]
    assert run_cli(*call(work, tmp_path, "truth.csv", "--quiet", "--flip", "--scales", "32,48")) == (0, "", "")


def test_what_is_missing_is_named_and_the_exit_code_is_1(run_cli, work, tmp_path):
    code, out, err = run_cli(*call(work, tmp_path, "lost.csv"))
    assert code == 1
    assert "lost.csv: 1 of the 2 videos of the ground truth are not in" in err
    assert ": [lost]; the people on their 1 keyframe count as not found" in err
    assert err.count("\n") == 1
    assert "mAP" in out


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--dialect", "offical"), "did you mean 'official'?"),
        (("--scales", "big"), "--scales: expected a whole number from 32 to 4,096, got 'big'"),
        (("--scales", "8"), "--scales: expected a whole number from 32 to 4,096, got '8'"),
        (("--videos", "gone"), "there is no such file: gone"),
    ],
)
def test_a_wrong_call_is_2_and_leaves_nothing(run_cli, work, tmp_path, more, message):
    code, out, err = run_cli(*call(work, tmp_path / "out", "truth.csv", *more))
    assert (code, out) == (2, "")
    assert message in " ".join(err.replace("│", " ").split())
    assert not (tmp_path / "out").exists()


def test_an_interrupt_keeps_what_is_done(run_cli, work, tmp_path, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("ava_detect.benchmark.detection.score_videos", interrupt)
    code, out, err = run_cli(*call(work, tmp_path))
    assert (code, out) == (1, "")
    assert err == "ava-detect: interrupted; finished videos are kept, and the same command goes on from here\n"
