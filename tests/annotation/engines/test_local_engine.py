"""Every item comes back once, whatever it does to the process that works on it."""

from __future__ import annotations

import multiprocessing
import threading
import time

import psutil
import pytest
from concurrency import wait_until
from stub_work import Stub, dies, endless_items, refuses

from ava_detect.annotation.engines.base import Limits, Stopped
from ava_detect.annotation.engines.local import LocalEngine
from ava_detect.annotation.engines.watched_process import WatchedProcess
from ava_detect.errors import ConfigError, EngineError

# Short, as two items run into each; long enough for a process that gets little of a busy machine.
QUICK = Limits(stall_seconds=4.0, total_seconds=6.0, memory_bytes=400 << 20)


def test_every_item_comes_back_once_and_the_bad_ones_with_their_reason(tmp_path):
    items = ["a", "exit", "b", "segv", "hang", "c", "endless", "eat", "broken", "odd", "once", "store", "d"]
    outcomes = list(LocalEngine(3, limits=QUICK).run(Stub(tmp_path), items))
    assert sorted(outcome.item for outcome in outcomes) == sorted(items)
    results = {outcome.item: outcome.result for outcome in outcomes if outcome.result}
    assert results == {item: item.upper() for item in ("a", "b", "c", "d", "once", "store")}
    reasons = {outcome.item: (outcome.reason, outcome.tries) for outcome in outcomes if not outcome.result}
    held, _ = reasons.pop("eat")
    assert held.startswith("it took ") and held.endswith(" MiB of memory, and 400 MiB is the limit")
    assert reasons == {
        "exit": ("the process that read it died (exit code 11)", 2),
        "segv": ("the process that read it died (signal SIGSEGV)", 2),
        "hang": ("it hung: no heartbeat in 4 s", 2),
        "endless": ("it took longer than the 6 s that one may take", 2),
        "broken": ("broken is no video", 1),
        "odd": ("RuntimeError: _OddError: one of a library's own", 1),
    }
    tries = {item: len(list(tmp_path.glob(f"{item}-*"))) for item in items}
    assert tries == dict.fromkeys(items, 1) | dict.fromkeys(
        ("exit", "segv", "hang", "endless", "eat", "once", "store"), 2
    )
    assert not multiprocessing.active_children()


def test_items_are_taken_only_as_workers_become_free(tmp_path):
    taken: list[str] = []
    outcomes = LocalEngine(2, limits=QUICK).run(Stub(tmp_path), endless_items(taken))
    got = {next(outcomes).item for _ in range(5)}
    assert len(got) == 5
    time.sleep(0.5)  # for more to be taken, if that were possible
    assert len(taken) <= 5 + 2 * 2 + 1, "done, waiting to be taken, in work"
    outcomes.close()
    assert not multiprocessing.active_children()


def test_heartbeats_reach_the_caller(tmp_path):
    seen = []
    list(LocalEngine(1, limits=QUICK).run(Stub(tmp_path, slow_seconds=0.3), ["a"], seen.append))
    assert seen[:2] == ["a", "a"]


@pytest.mark.parametrize(
    ("work_factory", "error", "message"),
    [
        (refuses, ConfigError, "these settings are wrong"),
        (dies, EngineError, r"a worker cannot be started: the process that read it died \(exit code 3\)"),
    ],
)
def test_work_that_cannot_be_made_is_an_error_at_once(work_factory, error, message):
    with pytest.raises(error, match=message):
        list(LocalEngine(2, limits=QUICK).run(work_factory, ["a", "b"]))
    assert not multiprocessing.active_children()


def test_an_error_in_the_list_of_items_reaches_the_caller(tmp_path):
    def items():
        yield "a"
        raise ConfigError("line 2 of the list is no line")

    with pytest.raises(ConfigError, match="line 2"):
        list(LocalEngine(1, limits=QUICK).run(Stub(tmp_path), items()))


def test_interrupting_a_watched_process_wakes_the_thread_that_waits(tmp_path):
    guard = WatchedProcess(Stub(tmp_path), Limits())
    guard.start()
    process = psutil.Process(multiprocessing.active_children()[0].pid)

    def interrupt_when_at_work():
        wait_until(lambda: list(tmp_path.glob("hang-*")))
        guard.interrupt()

    threading.Thread(target=interrupt_when_at_work).start()
    with pytest.raises(Stopped, match="died"):
        guard("hang")
    guard.close()
    assert not process.is_running()
    with pytest.raises(Stopped, match="the run has ended"):
        guard("a")


@pytest.mark.parametrize("limits", [{"stall_seconds": 0}, {"total_seconds": -1}, {"tries": 0}])
def test_limits_that_limit_nothing_are_refused(limits):
    with pytest.raises(ConfigError, match="limits are positive seconds and at least one try"):
        Limits(**limits)
