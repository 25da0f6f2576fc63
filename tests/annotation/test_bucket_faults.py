"""From bucket to bucket on a cluster while everything fails that can, and with two runs in each other's way.

``AVA_DETECT_FAULT_RUNS=20 AVA_DETECT_BUCKET_VIDEOS=30`` runs the storm twenty times over thirty videos.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from annotate_inputs import options
from buckets import NAMES, NUM_VIDEOS, fill, rows_in, rows_on_disk, run
from concurrency import wait_until
from fault_proxy import FaultProxy
from moto_server import connect, s3_server
from poison import plugin
from processes import ava_detect
from ray_nodes import is_actor, is_child, kill_one, two_nodes

from ava_detect.storage.local_files import TEMPORARY_MARK
from ava_detect.storage.scratch import remove_abandoned_folders

pytestmark = pytest.mark.slow
NUM_STORMS = int(os.environ.get("AVA_DETECT_FAULT_RUNS", "1"))
TRIES = 2
BAD = ("empty", "segfaults", "hangs", "never-ends")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Videos in a bucket, good ones and bad, and Ray on two nodes that reach the bucket through a proxy only."""
    place = tmp_path_factory.mktemp("faults")
    scratch = place / "scratch"
    scratch.mkdir()
    with s3_server() as url, pytest.MonkeyPatch.context() as patch:
        files = connect(patch, url)
        fill(place, files, more_boxes=BAD)
        for name in BAD:
            files.pipe_file(f"videos/bad/{name}.mp4", b"" if name == "empty" else (place / "v00.mp4").read_bytes())
        started = time.monotonic()
        expected = rows_on_disk(place)
        # A worker that takes longer than all videos took on this machine, as busy as it is, hangs.
        patience = max(5.0, round(time.monotonic() - started, 1))
        with FaultProxy.before(url) as proxy:
            connect(patch, proxy.url)
            # What the libraries ask again for is then left to the package.
            patch.setenv("AWS_MAX_ATTEMPTS", "1")
            patch.setenv("TMPDIR", str(scratch))
            patch.setenv("RAY_TMPDIR", tempfile.gettempdir())
            patch.setenv("COLUMNS", "1000")
            patch.syspath_prepend(plugin(place / "plugin"))
            with two_nodes() as cluster:
                yield SimpleNamespace(
                    place=place, files=files, expected=expected, patience=patience, proxy=proxy, cluster=cluster,
                    scratch=scratch,
                )  # fmt: skip


def start(world, source: str, out: str, *more: str) -> subprocess.Popen[str]:
    """The command, in a process of its own."""
    cluster = ("--engine", "ray", "--address", world.cluster.address)
    command = ava_detect("annotate", source, "--out", out, *options(world.place), *cluster, "--quiet", *more)
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def shuffled_list(world, chance: random.Random, never: str) -> str:
    """All good videos and three bad ones as a list in the bucket, the bad ones not at its end."""
    uris = {name: f"s3://videos/in/{name}.mp4" for name in NAMES}
    names = chance.sample(NAMES, len(NAMES))
    for bad in ("empty", "segfaults", never):
        names.insert(chance.randrange(1 + len(names) // 2), bad)
        uris[bad] = f"s3://videos/bad/{bad}.mp4"
    path = f"videos/lists/{chance.randrange(10**9)}.csv"
    world.files.pipe_file(path, "".join(["video_id,uri\n", *(f"{n},{uris[n]}\n" for n in names)]).encode())
    return f"s3://{path}"


def wait_for_rows(world, out: str, number: int, driver: subprocess.Popen[str]) -> None:
    def enough() -> bool:
        assert driver.poll() is None, f"the run ended with {driver.returncode}: {driver.communicate()[1]}"
        return len(world.files.find(f"{out}/rows")) >= number

    wait_until(enough, f"the rows of video {number}", seconds=60 * world.patience, every_seconds=0.3)


@pytest.mark.parametrize("seed", range(NUM_STORMS))
def test_a_storm_loses_nothing_and_doubles_nothing(world, seed, run_cli):
    """Child, actor, node and driver are killed, in the seed's order and at its moments, over a store that fails."""
    chance, out = random.Random(seed), f"storm{seed}/out"
    world.files.mkdir(f"storm{seed}")
    never = chance.choice(["hangs", "never-ends"])
    source = shuffled_list(world, chance, never)
    victims = chance.sample(["child", "actor", "node", "driver"], 4)
    moments = sorted(chance.randrange(1 + len(NAMES) // 2) for _ in victims)
    limits = ["--stall-limit", f"{world.patience}", "--time-limit", f"{1.2 * world.patience}", "--tries", f"{TRIES}"]
    world.proxy.refuse, world.proxy.cut, world.proxy.slow_seconds = 0.2, 0.05, 0.1
    before = world.proxy.counts.copy()

    driver = start(world, source, f"s3://{out}", "--workers", "2", *limits)
    try:
        for victim, moment in zip(victims, moments, strict=True):
            wait_for_rows(world, out, moment, driver)
            time.sleep(chance.random())
            if victim == "driver":
                driver.kill()
                driver.communicate()
                driver = start(world, source, f"s3://{out}", "--workers", "2", *limits)
            elif victim == "node":
                world.cluster.remove_node(next(iter(world.cluster.worker_nodes)), allow_graceful=False)
                world.cluster.add_node(num_cpus=2)
            else:
                kill_one(is_actor if victim == "actor" else is_child, chance, within_seconds=30 * world.patience)
        _, said = driver.communicate(timeout=120 * world.patience)
    finally:
        driver.kill()
        world.proxy.refuse = world.proxy.cut = world.proxy.slow_seconds = 0.0

    print(driver.returncode, said)  # pytest shows it where rows are missing
    # Of few requests none may have been cut.
    happened = ("refused", "cut") if NUM_VIDEOS >= 30 else ("refused",)
    assert all(world.proxy.counts[fault] > before[fault] for fault in happened)
    assert_whole(world, out)
    assert driver.returncode == 1, said
    assert_bad_ones_are_named(said, never, world.patience)
    code, shown, problems = run_cli("status", f"s3://{out}")
    assert code == 1
    assert f"{len(NAMES)} of {len(NAMES) + 3} videos done, 0 of them damaged" in shown
    assert_bad_ones_are_named(problems, never, world.patience)
    remove_abandoned_in(world.scratch)
    assert not list(world.scratch.iterdir())


def assert_whole(world, out: str) -> None:
    """Every good video's rows are there, once and as they are without faults, and nothing half done lies about."""
    pd.testing.assert_frame_equal(rows_in(world.files, out), world.expected)
    objects = world.files.find(out)
    assert sum("/rows/" in name for name in objects) == len(NAMES)
    assert not [name for name in objects if TEMPORARY_MARK in name]


def assert_bad_ones_are_named(said: str, never: str, patience: float) -> None:
    hung = {
        "hangs": f"it hung: no heartbeat in {patience:g} s",
        "never-ends": f"it took longer than the {1.2 * patience:g} s that one may take",
    }
    # A child may be killed over a bad video just as over a good one.
    died = r"the process that read it died \(signal SIGKILL[^)]*\)"
    reasons = {
        "empty": "cannot be opened as a video",
        "segfaults": rf"(the process that read it died \(signal SIGSEGV\)|{died}) \({TRIES} tries\)",
        never: rf"({re.escape(hung[never])}|{died}) \({TRIES} tries\)",
    }
    named = re.findall(r"s3://videos/\S*?/([^/\s]+)\.mp4", said)
    assert sorted(set(named)) == sorted(reasons), said
    for name, reason in reasons.items():
        assert re.search(rf"videos/bad/{name}\.mp4.*{reason}", said), said


def remove_abandoned_in(folder: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(folder))
        remove_abandoned_folders()


def test_two_runs_at_once_on_a_cluster_make_one_whole_result(world):
    """Their rows are the local engine's, which finds nothing left to do."""
    world.files.mkdir("twice")
    both = [start(world, "s3://videos/in", "s3://twice/out", "--workers", "1") for _ in range(2)]
    try:
        said = [driver.communicate(timeout=120 * world.patience)[1] for driver in both]
    finally:
        for driver in both:
            driver.kill()
    assert [driver.returncode for driver in both] == [0, 0], said
    assert_whole(world, "twice/out")
    again = run(world.place, "s3://twice/out")
    assert (again.totals.done, again.num_before) == (0, len(NAMES))
