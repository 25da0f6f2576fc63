"""``kill -9`` at random moments, and resume: the files are those of a run that nobody disturbed.

``AVA_DETECT_KILLS`` says how often, 3 times by default; each costs about as long as half a run.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers import constant_rate, small_config_file, write_numbered_video

from ava_detect.files import TEMPORARY_MARK
from ava_detect.formats.ava_csv import AvaTable, write_ava_table

KILLS = int(os.environ.get("AVA_DETECT_KILLS", "3"))
NUM_VIDEOS = 20
BOOKS = {"manifest.jsonl", "summary.json"}  # hold times of day's work: not the same in any two runs


@pytest.fixture
def command(tmp_path):
    """The call, less its output folder: 20 videos of 2 to 4 seconds, two people on each second."""
    folder = tmp_path / "videos"
    folder.mkdir()
    rows = []
    for number in range(NUM_VIDEOS):
        write_numbered_video(folder / f"v{number:02}.mp4", constant_rate(60 + 3 * number, 30))
        rows += [(f"v{number:02}", second) for second in range(5) for _ in range(2)]
    ids, seconds = zip(*rows, strict=True)
    boxes = [[0.1, 0.1, 0.5, 0.9], [0.4, 0.2, 0.9, 0.8]] * (len(rows) // 2)
    write_ava_table(tmp_path / "boxes.csv", AvaTable.from_columns(ids, seconds, boxes))
    options = ["--config", small_config_file(tmp_path), "--weights", "random", "--boxes", tmp_path / "boxes.csv"]
    formats = ["--format", "csv,jsonl,parquet", "--workers", "2", "--quiet"]
    return [sys.executable, "-m", "ava_detect", "annotate", str(folder), *map(str, options), *formats, "--out"]


def results(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.iterdir() if path.name not in BOOKS}


def assert_whole(out: Path, expected: dict[str, bytes]) -> None:
    found = results(out)
    assert sorted(found) == sorted(expected), "nothing missing, and no temporary files left"
    assert [name for name in found if found[name] != expected[name]] == []
    entries = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()[1:]]
    assert sorted(entry["video_id"] for entry in entries) == [f"v{number:02}" for number in range(NUM_VIDEOS)]
    assert json.loads((out / "summary.json").read_text())["totals"]["videos"] == NUM_VIDEOS


def group_is_gone(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "killpg"), reason="process groups are POSIX")
def test_killed_at_random_moments_and_resumed_the_files_are_the_same(command, tmp_path):
    started = time.monotonic()
    subprocess.run([*command, str(tmp_path / "undisturbed")], check=True)
    duration = time.monotonic() - started
    expected = results(tmp_path / "undisturbed")
    assert len(expected) == 3 * NUM_VIDEOS
    assert not any(name.startswith(TEMPORARY_MARK) for name in expected)
    out, chance, kills, finished = tmp_path / "killed", random.Random(0), 0, 0
    while kills < KILLS:
        process = subprocess.Popen([*command, str(out)], start_new_session=True)
        try:
            assert process.wait(timeout=chance.uniform(0, duration)) == 0
        except subprocess.TimeoutExpired:
            kills += 1
            # All of its processes at once, or the first alone: its workers must then end by themselves.
            (os.killpg if chance.random() < 0.5 else os.kill)(process.pid, signal.SIGKILL)
            process.wait()
        else:
            finished += 1
            assert_whole(out, expected)
            shutil.rmtree(out)
        # A worker can only look for its parent once it has imported everything, which takes a busy machine a while.
        deadline = time.monotonic() + 20 + 2 * duration
        while not group_is_gone(process.pid):
            assert time.monotonic() < deadline, "workers outlived the process that they worked for"
            time.sleep(0.02)
    subprocess.run([*command, str(out)], check=True)
    assert_whole(out, expected)
    print(f"{kills} kills, {finished} runs that finished before theirs, {duration:.1f} s the undisturbed run")
