"""``ava-detect live`` from the outside: lines on stdout, the rest on stderr, an orderly end, wrong calls refused."""

from __future__ import annotations

import json
import signal
import subprocess

import pytest
from networks import small_config_file
from processes import ava_detect, interruptible
from stream_server import transport_stream
from videos import constant_rate, write_numbered_video


@pytest.fixture(scope="module")
def movie(tmp_path_factory):
    folder = tmp_path_factory.mktemp("command")
    (folder / "boxes.csv").write_text("".join(f"movie,{second},0.1,0.1,0.5,0.9,,0.9\n" for second in range(100)))
    return write_numbered_video(folder / "movie.mp4", constant_rate(300, 10), rate=10)


def options_of(movie):
    folder = movie.parent
    config = small_config_file(folder)
    return ("--weights", "random", "--config", config, "--detector", f"boxes:{folder / 'boxes.csv'}")


def test_lines_go_to_stdout_and_files_and_everything_else_to_stderr(run_cli, movie, tmp_path):
    out = tmp_path / "out"
    code, printed, said = run_cli("live", movie, *options_of(movie), "--speed", 20, "--out", out, "--top", 3)
    assert code == 0, said
    lines = [json.loads(line) for line in printed.splitlines()]
    rows = [line for line in lines if "event" not in line]
    assert [json.loads(line) for line in (out / "movie.jsonl").read_text().splitlines()] == rows
    assert rows[0]["timestamp_seconds"] == 0.0
    assert rows[0]["people"][0]["track_id"] == 1
    assert len(rows[0]["people"][0]["actions"]) == 3
    assert "random" in rows[0]["note"] or "untrained" in rows[0]["note"]
    assert "movie: connected, 80x48, h264" in said
    assert "lag median" in said


@pytest.mark.parametrize(("source", "number"), [("movie", signal.SIGTERM), ("movie=-", signal.SIGINT)])
def test_a_signal_ends_it_whole(movie, source, number):
    """A file, and a container on the standard input, which stays open."""
    command = interruptible(ava_detect("live", movie if source == "movie" else source, *options_of(movie)))
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as running:
        if source != "movie":
            running.stdin.write(transport_stream(range(75)))
            running.stdin.flush()
        first = b""
        while b"video_id" not in first:
            line = running.stdout.readline()
            assert line, running.stderr.read()
            first += line
        running.send_signal(number)
        rest, said = running.stdout.read(), running.stderr.read().decode()
    assert running.returncode == 0, said
    lines = [json.loads(line) for line in (first + rest).splitlines()]
    assert any(line.get("video_id") == "movie" for line in lines)
    assert "Traceback" not in said
    assert "movie" in said.splitlines()[-1]  # the table


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--when", "fly > 0.5"), "--when"),
        (("--when", "stand"), "--when"),
        (("--webhook", "nowhere"), "--webhook"),
        (("--mqtt", "nowhere"), "--mqtt"),
        (("--latency", "late"), "--latency"),
        (("--transport", "sctp"), "--transport"),
        (("--quiet",), "--quiet"),
        (("--every", "0"), "--every"),
        (("--top", "0"), "--top"),
        (("--thresholds", "2"), "--thresholds"),
        (("--thresholds", "beside"), "random is no file of weights"),
        (("--calibration", "no_such.json"), "no_such.json"),
        (("--thresholds", "{one_class}"), "for other classes"),
        (("--certificates", "{one_class}"), "--certificates is a PEM file or any"),
    ],
)
def test_a_wrong_call_is_refused_before_a_network_is_loaded(run_cli, movie, tmp_path, monkeypatch, arguments, message):
    one_class = tmp_path / "thresholds.csv"
    one_class.write_text("1,0.5\n")
    arguments = [argument.format(one_class=one_class) for argument in arguments]
    monkeypatch.setattr("ava_detect.inference.pipeline.build_scorer", None)
    code, printed, said = run_cli("live", movie, "--weights", "random", "--config", "demo", *arguments)
    assert (code, printed) == (2, "")
    assert message in said


def test_a_source_that_gives_nothing_is_named(run_cli, movie):
    code, printed, said = run_cli(
        "live", "cam=rtsp://me:hunter2@127.0.0.1:9/s", *options_of(movie), "--max-seconds", "0.5"
    )
    assert code == 1
    assert "cam gave no picture: nothing listens at its port" in said
    assert "hunter2" not in printed + said
