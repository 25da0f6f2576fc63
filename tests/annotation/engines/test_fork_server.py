"""Forked workers share memory, and live and die as others do."""

from __future__ import annotations

import json
import multiprocessing
import threading
from pathlib import Path

import psutil
import pytest
from concurrency import wait_until
from networks import SMALL_CONFIG
from processes import run_python
from stub_work import BadShare, SharedStub, SlowShare, dies, refuses

from ava_detect.annotation.engines.base import Limits, Stopped
from ava_detect.annotation.engines.fork_server import ForkServer, can_fork, is_forkable
from ava_detect.annotation.engines.local import LocalEngine
from ava_detect.annotation.engines.watched_process import WatchedProcess
from ava_detect.annotation.settings import AnnotateSettings
from ava_detect.annotation.video_worker import IntoFolder, VideoWork
from ava_detect.config import Config
from ava_detect.errors import ConfigError, EngineError

pytestmark = pytest.mark.skipif(not can_fork(), reason="workers are forked on Linux")

QUICK = Limits(stall_seconds=4.0, total_seconds=6.0, memory_bytes=400 << 20)
KINDS = ["exit", "segv", "hang", "endless", "eat", "broken", "odd", "once", "store"]


def loads(folder: Path) -> int:
    return len(list(folder.glob("loaded-*")))


def test_items_that_end_their_workers_are_told_from_others_and_the_shared_part_is_loaded_once(tmp_path):
    items = ["a", *KINDS, "b"]
    outcomes = list(LocalEngine(3, limits=QUICK).run(SharedStub(tmp_path), items))
    assert sorted(outcome.item for outcome in outcomes) == sorted(items)
    results = {outcome.item: outcome.result for outcome in outcomes if outcome.result}
    assert results == {item: item.upper() for item in ("a", "b", "once", "store")}
    reasons = {outcome.item: (outcome.reason, outcome.tries) for outcome in outcomes if not outcome.result}
    assert reasons.pop("eat")[0].endswith(" MiB of memory, and 400 MiB is the limit")
    assert reasons == {
        "exit": ("the process that read it died (exit code 11)", 2),
        "segv": ("the process that read it died (signal SIGSEGV)", 2),
        "hang": ("it hung: no heartbeat in 4 s", 2),
        "endless": ("it took longer than the 6 s that one may take", 2),
        "broken": ("broken is no video", 1),
        "odd": ("RuntimeError: _OddError: one of a library's own", 1),
    }
    assert loads(tmp_path) == 1
    assert not multiprocessing.active_children()


def test_the_shared_part_takes_none_of_a_workers_own_memory(tmp_path):
    work = SharedStub(tmp_path, shared_mib=300)
    outcomes = list(LocalEngine(2, limits=Limits()).run(work, ["own memory"] * 4))
    # Of a process that has loaded nothing else it is some 10 MiB.
    assert max(outcome.result for outcome in outcomes) < 150 << 20
    assert loads(tmp_path) == 1


@pytest.mark.parametrize(("workers", "is_allowed"), [(1, True), (2, False)], ids=["one worker", "work that forbids it"])
def test_otherwise_each_worker_is_a_new_interpreter(tmp_path, workers, is_allowed):
    work = SharedStub(tmp_path, is_forkable=is_allowed)
    assert [o.result for o in LocalEngine(workers, limits=QUICK).run(work, ["a"])] == ["A"]
    assert loads(tmp_path) == 0


@pytest.mark.parametrize(
    ("factory", "error", "message"),
    [
        (refuses, ConfigError, "these settings are wrong"),
        (dies, EngineError, r"a worker cannot be started: the process that read it died \(exit code 3\)"),
    ],
)
def test_a_shared_part_that_cannot_be_loaded_is_an_error_at_once(factory, error, message):
    with pytest.raises(error, match=message):
        list(LocalEngine(2, limits=QUICK).run(BadShare(factory), ["a", "b"]))
    assert not multiprocessing.active_children()


def test_a_run_that_ends_while_the_shared_part_is_loaded_does_not_wait_for_it(tmp_path):
    server = ForkServer(SlowShare(refuses, folder=tmp_path), QUICK)
    worker = WatchedProcess(refuses, QUICK, start_child=server.start_child)

    def interrupt_when_loading():
        wait_until(lambda: (tmp_path / "loading").exists())
        server.interrupt()
        worker.interrupt()

    threading.Thread(target=interrupt_when_loading).start()
    with pytest.raises(Stopped):
        worker.start()
    worker.close()
    server.close()
    assert not multiprocessing.active_children()


def test_workers_end_with_their_server_and_their_items_are_done_by_others(tmp_path):
    work = SharedStub(tmp_path, slow_seconds=0.5)
    outcomes = LocalEngine(2, limits=Limits()).run(work, ["a", "b", "c", "d"])
    killed: list[psutil.Process] = []

    def kill_the_server():
        wait_until(lambda: list(tmp_path.glob("a-*")) and list(tmp_path.glob("b-*")))
        (server,) = (psutil.Process(child.pid) for child in multiprocessing.active_children())
        killed.extend([*server.children(), server])
        server.kill()

    threading.Thread(target=kill_the_server).start()
    assert sorted(outcome.result for outcome in outcomes) == ["A", "B", "C", "D"]
    assert loads(tmp_path) == 2
    assert len(killed) >= 2
    wait_until(lambda: not any(process.is_running() and process.status() != "zombie" for process in killed))


def test_an_interrupt_leaves_no_process_and_no_zombie(tmp_path):
    outcomes = LocalEngine(2, limits=Limits()).run(SharedStub(tmp_path), ["a", "hang", "hang", "hang"])
    assert next(outcomes).item == "a"
    wait_until(lambda: len(list(tmp_path.glob("hang-*"))) == 2)
    (server,) = (psutil.Process(child.pid) for child in multiprocessing.active_children())
    processes = [*server.children(), server]
    assert len(processes) == 3
    outcomes.close()
    assert not any(process.is_running() for process in processes)


@pytest.mark.parametrize(
    ("device", "served", "expected"), [("cpu", False, True), ("cuda", False, False), ("cuda", True, True)]
)
def test_videos_are_annotated_by_forks_where_no_worker_uses_a_gpu(tmp_path, device, served, expected):
    chosen = AnnotateSettings(Config.model_validate(SMALL_CONFIG), "random", None, device=device)
    assert is_forkable(VideoWork(chosen, IntoFolder(tmp_path), None, 1, served)) == expected


def test_the_process_that_forks_has_no_thread_pool():
    run_python(_LOADED_WORK, json.dumps(SMALL_CONFIG))


# Two threads each by default, so that a pool would show.
_LOADED_WORK = """
import json, os, sys
os.environ["OMP_NUM_THREADS"] = "2"
import torch
from ava_detect.annotation import video_annotator
from ava_detect.annotation.settings import AnnotateSettings
from ava_detect.annotation.video_worker import IntoFolder, VideoWork
from ava_detect.config import Config

def threads():
    return len(os.listdir("/proc/self/task"))

before = threads()
settings = AnnotateSettings(Config.model_validate(json.loads(sys.argv[1])), "random", None, device="cpu")
work = VideoWork(settings, IntoFolder("out"), None, 2).load()
assert threads() == before, f"{threads()} threads, {before} before"
torch.set_num_threads(2)
torch.rand(4000, 4000) @ torch.rand(4000, 4000)
assert threads() > before, "a pool is one more thread"
"""
