"""``kill -9`` at random moments, and resume: the files are those of an undisturbed run.

``AVA_DETECT_KILLS`` is the number of kills, by default 6: half with one worker and half with two.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from annotate_inputs import options, write_boxes
from concurrency import wait_until
from networks import small_config_file
from processes import ava_detect
from videos import constant_rate, write_numbered_video
from warm_runs import WarmRuns, group_has_ended

from ava_detect.storage.local_files import TEMPORARY_MARK

KILLS = int(os.environ.get("AVA_DETECT_KILLS", "6"))
# One run of two workers in so many is started by the command itself, whose processes load everything for themselves.
# (One process that does so is killed in ``test_annotate.py``.)
ONE_COLD_IN = 10
NUM_VIDEOS = 12
BOXES = ((0.1, 0.1, 0.5, 0.9), (0.4, 0.2, 0.9, 0.8))
BOOKS = {"manifest.jsonl", "summary.json"}  # hold measured times, which differ from run to run


@pytest.fixture(scope="module")
def arguments(tmp_path_factory):
    """The call, less its workers and output folder: 12 videos of 2 to 3 seconds, two people on each second."""
    place = tmp_path_factory.mktemp("kills")
    folder = place / "videos"
    folder.mkdir()
    rows = []
    for number in range(NUM_VIDEOS):
        write_numbered_video(folder / f"v{number:02}.mp4", constant_rate(60 + 3 * number, 30))
        rows += [(f"v{number:02}", second, box) for second in range(5) for box in BOXES]
    write_boxes(place / "boxes.csv", rows)
    small_config_file(place)
    return ["annotate", str(folder), *options(place), "--format", "csv,jsonl,parquet", "--quiet"]


@pytest.fixture(scope="module")
def warm():
    runs = WarmRuns()
    yield runs
    runs.close()


def results(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.iterdir() if path.name not in BOOKS}


def assert_whole(out: Path, expected: dict[str, bytes]) -> None:
    found = results(out)
    assert sorted(found) == sorted(expected), "nothing missing, and no temporary files left"
    assert [name for name in found if found[name] != expected[name]] == []
    entries = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()[1:]]
    assert sorted(entry["video_id"] for entry in entries) == [f"v{number:02}" for number in range(NUM_VIDEOS)]
    assert json.loads((out / "summary.json").read_text())["totals"]["videos"] == NUM_VIDEOS


def started_cold(arguments: list[str], out: Path) -> subprocess.Popen[bytes]:
    """A run that has got as far as its manifest: before that nothing is written, so that nothing can go wrong."""
    before = (out / "manifest.jsonl").stat().st_mtime_ns if (out / "manifest.jsonl").exists() else 0
    process = subprocess.Popen(ava_detect(*arguments), start_new_session=True)
    manifest = out / "manifest.jsonl"
    wait_until(
        lambda: process.poll() is not None or (manifest.exists() and manifest.stat().st_mtime_ns != before),
        seconds=300,
    )
    return process


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "killpg"), reason="process groups are POSIX")
@pytest.mark.parametrize("workers", [1, 2])
def test_killed_at_random_moments_and_resumed_the_files_are_the_same(arguments, warm, tmp_path, workers):
    call, out = [*arguments, "--workers", str(workers), "--out"], tmp_path / "killed"
    started = time.monotonic()
    assert warm.start([*call, str(tmp_path / "undisturbed")]).wait() == 0
    duration = time.monotonic() - started
    expected = results(tmp_path / "undisturbed")
    assert len(expected) == 3 * NUM_VIDEOS
    assert not any(name.startswith(TEMPORARY_MARK) for name in expected)
    chance, kills, finished, left_unfinished = random.Random(workers), 0, 0, 0
    while kills < KILLS // 2:
        is_cold, is_first = workers > 1 and kills % ONE_COLD_IN == 0, not out.exists()
        process = started_cold([*call, str(out)], out) if is_cold else warm.start([*call, str(out)])
        begun = time.monotonic()
        try:
            assert process.wait(timeout=chance.uniform(0, duration)) == 0
        except subprocess.TimeoutExpired:
            kills += 1
            # All of its processes at once, or the first alone: its workers must then end by themselves.
            with contextlib.suppress(ProcessLookupError):  # It ended in this very moment.
                (os.killpg if chance.random() < 0.5 else os.kill)(process.pid, signal.SIGKILL)
            process.wait()
            left_unfinished += out.exists() and any(p.name.startswith(TEMPORARY_MARK) for p in out.iterdir())
        else:
            finished += 1
            # The undisturbed run had less of the machine.
            duration = min(duration, time.monotonic() - begun) if is_first else duration
            assert_whole(out, expected)
            shutil.rmtree(out)
        # A process that has just been started looks for its parent once Python itself is loaded.
        wait_until(lambda: group_has_ended(process.pid), "the end of the workers whose parent died")  # noqa: B023
    assert warm.start([*call, str(out)]).wait() == 0
    assert_whole(out, expected)
    print(
        f"{workers} workers: {kills} kills, of which {left_unfinished} in the middle of a file, {finished} runs that "
        f"finished before theirs, {duration:.1f} s the undisturbed run"
    )
