"""The command line as people meet it: exit codes, what goes to stdout and what to stderr."""

from __future__ import annotations

import json
from configparser import ConfigParser
from importlib.metadata import metadata
from pathlib import Path

import pytest
from annotate_inputs import BOX, options, write_boxes
from networks import small_config_file
from videos import constant_rate, write_numbered_video

from ava_detect import __version__
from ava_detect.cli.doctor import EXTRAS


@pytest.fixture
def work(tmp_path):
    write_numbered_video(tmp_path / "one.mp4", constant_rate(40, 30))
    write_boxes(tmp_path / "boxes.csv", [("one", second, BOX) for second in (0, 1)], scores=[0.9, 0.8])
    small_config_file(tmp_path)
    return tmp_path


def test_version_and_help(run_cli):
    assert run_cli("--version") == (0, f"ava-detect {__version__}\n", "")
    code, out, _ = run_cli("annotate", "--help")
    assert code == 0
    for option in ("--out", "--config", "--weights", "--detector", "--boxes", "--device", "--precision", "--every"):
        assert option in out
    for option in ("--min-score", "--format", "--draw", "--resume", "--restart", "--workers", "--json", "--quiet"):
        assert option in out


def test_annotate_says_what_it_did(run_cli, work):
    code, out, err = run_cli("annotate", work / "one.mp4", "--out", work / "out", *options(work))
    assert (code, err) == (0, "")
    heading, row = (line.split() for line in out.splitlines()[:2])
    assert heading == ["video", "keyframes", "people", "boxes", "rows", "seconds"]
    assert row[:5] == ["one", "2", "1", "2", "160"]
    assert "NOTE: untrained network (random weights): the action scores mean nothing." in out
    assert f"Results: {work / 'out'}" in out
    assert (work / "out" / "one.csv").is_file()


def test_annotate_in_a_script(run_cli, work):
    code, out, err = run_cli("annotate", work / "one.mp4", "--out", work / "out", *options(work), "--json")
    assert (code, err) == (0, "")
    summary = json.loads(out)
    assert summary["totals"]["keyframes"] == 2
    assert summary == json.loads((work / "out" / "summary.json").read_text())
    assert run_cli("annotate", work / "one.mp4", "--out", work / "out", *options(work), "--quiet") == (0, "", "")


def test_part_failed_is_1_and_named_on_stderr(run_cli, work):
    (work / "text.mp4").write_text("no video")
    code, out, err = run_cli(
        "annotate", work / "one.mp4", work / "text.mp4", work / "gone.mp4", "--out", work / "out", *options(work)
    )
    assert code == 1
    assert "text.mp4 cannot be opened as a video" in err
    assert "gone.mp4: there is no such file" in err
    assert err.count("\n") == 2
    assert "failed" in out
    assert (work / "out" / "one.csv").is_file()


def test_a_damaged_video_is_1_and_says_what_is_missing(run_cli, work, shared):
    video = shared / "videos" / "odd_truncfs.mp4"
    (work / "boxes.csv").write_text("odd_truncfs,0,0.1,0.1,0.9,0.9,,0.9\n")
    code, _, err = run_cli("annotate", video, "--out", work / "out", *options(work))
    assert code == 1
    assert "odd_truncfs.mp4: 1 damaged packet had to be left out and the video ends at 4.77 s" in err
    assert len((work / "out" / "odd_truncfs.jsonl").read_text().splitlines()) == 5


def wrong_calls(work):
    video, out = work / "one.mp4", ("--out", work / "out")
    good = options(work)
    (work / "empty").mkdir()
    (work / "torch.pyth").write_bytes(b"PK\x03\x04 no checkpoint")
    (work / "other.csv").write_text("another,0,0.1,0.1,0.9,0.9,,0.9\n")
    (work / "bad.csv").write_text("one,0,0.1,0.1,0.9,0.9,,0.9\none,1,0.1,oops,0.9,0.9,,0.9\n")
    (work / "taken").touch()
    return {
        "missing file": ((work / "gone.mp4", *out, *good), "there is no such file"),
        "folder without videos": ((work / "empty", *out, *good), "holds no video"),
        "no weights": ((video, *out, "--config", "demo"), "there are no weights: give --weights FILE"),
        "unknown config": ((video, *out, "--config", "demoo", "--weights", "random"), "did you mean 'demo'?"),
        "wrong weights": ((video, *out, "--weights", work / "torch.pyth"), "is not a readable torch checkpoint"),
        "every 0": ((video, *out, *good, "--every", 0), "--every: expected a number from 0.001 to 10,000,000, got '0'"),
        "format": ((video, *out, *good, "--format", "xml"), "unknown result format xml"),
        "detector": ((video, *out, "--weights", "random", "--detector", "yolo"), "there is no kind 'yolo'"),
        "bad csv": ((video, *out, *good[:4], "--boxes", work / "bad.csv"), "bad.csv, line 2"),
        "unwritable": ((video, "--out", work / "taken", *good), "cannot be written to"),
    }


@pytest.mark.parametrize(
    "name",
    [
        "missing file",
        "folder without videos",
        "no weights",
        "unknown config",
        "wrong weights",
        "every 0",
        "format",
        "detector",
        "bad csv",
        "unwritable",
    ],
)
def test_a_wrong_call_is_2_one_sentence_and_leaves_nothing(run_cli, work, name):
    arguments, message = wrong_calls(work)[name]
    before = sorted(work.rglob("*"))
    code, out, err = run_cli("annotate", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("ava-detect: ")
    assert message in err
    assert err.count("\n") == 1
    assert "Traceback" not in err
    assert sorted(work.rglob("*")) == before


def test_boxes_of_another_video_are_the_videos_failure(run_cli, work):
    (work / "other.csv").write_text("another,0,0.1,0.1,0.9,0.9,,0.9\n")
    code, _, err = run_cli(
        "annotate", work / "one.mp4", "--out", work / "out", *options(work)[:4], "--boxes", work / "other.csv"
    )
    assert code == 1
    assert "other.csv: no row is of the video 'one'; it has another" in err
    assert not (work / "out" / "one.csv").exists()


@pytest.mark.parametrize("arguments", [("annotate",), ("annotate", "x.mp4"), ("nonsense",), ("annotate", "x", "--bad")])
def test_calls_that_typer_refuses_are_2_too(run_cli, arguments):
    code, out, err = run_cli(*arguments)
    assert (code, out) == (2, "")
    assert err


def test_doctor(run_cli):
    code, out, _ = run_cli("doctor")
    assert code == 0
    for what in ("torch", "builtin person detector", "video decoding and encoding", "detectron2"):
        assert what in out
    findings = {finding["name"]: finding for finding in json.loads(run_cli("doctor", "--json")[1])}
    assert findings["builtin person detector"]["state"] == "ok"
    extras = {name.removeprefix("extra ") for name in findings if name.startswith("extra ")}
    assert extras == set(metadata("ava_detect").get_all("Provides-Extra"))
    lost = [f for f in findings.values() if f["state"] == "missing" and f["advice"]]
    assert all(f"  {finding['name']}: {finding['advice']}\n" in out for finding in lost), "a command stays in one line"
    assert findings["AVA label maps"]["detail"] == "80 actions, 60 of them evaluated"


def test_every_extra_of_the_package_is_explained():
    setup = ConfigParser()
    setup.read(Path(__file__).resolve().parents[2] / "setup.cfg")
    assert set(EXTRAS) == set(setup["options.extras_require"]), "doctor says of each what it brings, and its size"


def test_doctor_names_what_is_broken_and_how_to_mend_it(run_cli, monkeypatch):
    monkeypatch.setattr("ava_detect.video.writer.VideoWriter.__enter__", lambda self: 1 / 0)
    code, out, _ = run_cli("doctor")
    assert code == 1
    assert "BROKEN" in out
    assert "ZeroDivisionError" in out
    assert "pip install --upgrade av" in out
