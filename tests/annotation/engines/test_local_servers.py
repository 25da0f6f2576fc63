"""Work asks servers: every request answered, whatever becomes of a server; never more requests than workers."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from contextlib import suppress

import psutil
import pytest
from concurrency import wait_until
from stub_work import Asking, Squares, Stub, dead_service, no_service

from ava_detect.annotation.engines.base import MAX_SERVER_LOSSES, Limits, Servers
from ava_detect.annotation.engines.local import LocalEngine
from ava_detect.errors import ConfigError, EngineError

LIMITS = Limits(stall_seconds=60.0, total_seconds=120.0)


def run(workers, servers, items, service, limits=LIMITS):
    engine = LocalEngine(workers, limits=limits, servers=Servers(servers))
    return list(engine.run(Asking(), items, service_factory=service))


def overlapping(folder):
    """How many answers were at work at once, at most, and the processes that gave them."""
    names = [path.name.split("-") for path in folder.iterdir() if not path.name.startswith("lost")]
    moments = sorted([(float(begun), 1) for _, _, begun, _ in names] + [(float(over), -1) for *_, over in names])
    most = now = 0
    for _, change in moments:
        now += change
        most = max(most, now)
    return most, {pid for _, pid, _, _ in names}, len(names)


def test_every_request_is_answered_by_a_free_server(tmp_path):
    outcomes = run(3, 2, list(range(12)), Squares(tmp_path, slow_seconds=0.02))
    assert {outcome.item: outcome.result for outcome in outcomes} == {number: number**2 for number in range(12)}
    most, servers, answers = overlapping(tmp_path)
    assert (most, len(servers), answers) == (2, 2, 36)
    assert not multiprocessing.active_children()


def test_a_worker_asks_one_thing_at_a_time(tmp_path):
    run(1, 2, list(range(6)), Squares(tmp_path, slow_seconds=0.02))
    most, _, answers = overlapping(tmp_path)
    assert (most, answers) == (1, 18)


def test_what_ends_a_server_is_asked_again_and_set_aside_at_last(tmp_path):
    items = [1, "kills", 2, "once", "refused", "odd", 3]
    outcomes = {outcome.item: outcome for outcome in run(2, 2, items, Squares(tmp_path))}
    assert {item: outcomes[item].result for item in (1, 2, 3, "once", "odd")} == {1: 1, 2: 4, 3: 9, "once": 0, "odd": 0}
    assert outcomes["refused"].reason == "such boxes are none"
    assert outcomes["kills"].reason == (
        f"{MAX_SERVER_LOSSES} servers were lost over what it asked (the process that read it died (exit code 9))"
    )
    assert {outcome.tries for outcome in outcomes.values()} == {1}
    lost = [path.name.split("-")[1] for path in tmp_path.glob("lost-*")]
    assert {item: lost.count(item) for item in set(lost)} == {"kills": MAX_SERVER_LOSSES, "once": 1, "odd": 1}


def test_servers_that_are_killed_lose_nothing(tmp_path):
    engine, items = LocalEngine(3, limits=LIMITS, servers=Servers(2)), list(range(40))
    outcomes = engine.run(Asking(), items, service_factory=Squares(tmp_path, slow_seconds=0.05))
    found = [next(outcomes)]
    for _ in range(2):
        server = next(iter(tmp_path.iterdir())).name.split("-")[1]
        for path in tmp_path.iterdir():
            path.unlink()
        os.kill(int(server), signal.SIGKILL)
        found += [next(outcomes) for _ in range(4)]
    found += list(outcomes)
    assert sorted((outcome.item, outcome.result, outcome.tries) for outcome in found) == [(n, n * n, 1) for n in items]


def test_waiting_for_a_busy_server_is_no_stall_and_a_server_that_hangs_is_replaced(tmp_path):
    limits = Limits(stall_seconds=2.0, total_seconds=3.0)
    # Three workers wait for one server: each for 3 x 0.8 s, three times.
    outcomes = run(3, 1, ["hangs once", 1, 2], Squares(tmp_path, slow_seconds=0.8), limits)
    found = {outcome.item: (outcome.result, outcome.reason, outcome.tries) for outcome in outcomes}
    assert found == {"hangs once": (0, "", 1), 1: (1, "", 1), 2: (4, "", 1)}
    assert len(list(tmp_path.glob("lost-*"))) == 1


@pytest.mark.parametrize(
    ("service", "error", "message"),
    [
        (no_service, ConfigError, "there is no such network"),
        (dead_service, EngineError, r"a server cannot be started: the process that read it died \(exit code 5\)"),
    ],
)
def test_a_service_that_cannot_be_made_is_an_error_at_once(service, error, message):
    # Where something waited for these limits, this test would not end.
    with pytest.raises(error, match=message):
        run(2, 2, [1, 2], service, Limits(stall_seconds=1e5, total_seconds=1e5))
    assert not multiprocessing.active_children()


def test_nothing_is_started_where_nothing_waits(tmp_path):
    assert run(2, 2, [], dead_service) == []


def test_closing_ends_servers_and_the_threads_that_wait_for_them(tmp_path):
    def items():
        yield 1
        wait_until(lambda: len(list(tmp_path.glob("1-*"))) == 3)
        yield "hangs"
        yield "hangs"

    engine = LocalEngine(2, limits=LIMITS, servers=Servers(1))
    outcomes = engine.run(Asking(), items(), service_factory=Squares(tmp_path))
    assert next(outcomes).result == 1
    wait_until(lambda: list(tmp_path.glob("lost-*")))
    children: list[psutil.Process] = []

    def all_run() -> bool:
        # On a busy machine, the server that hangs may just be between its end and its replacement.
        with suppress(psutil.NoSuchProcess):
            children[:] = [psutil.Process(child.pid) for child in multiprocessing.active_children()]
            return len(children) == 3
        return False

    wait_until(all_run)
    outcomes.close()
    assert not any(child.is_running() for child in children)
    # They end by themselves: closing does not wait for answers that are no longer wanted.
    wait_until(lambda: not any(thread.name.startswith("ava-detect asking") for thread in threading.enumerate()))


def test_work_that_asks_without_servers_gets_an_error(tmp_path):
    (outcome,) = LocalEngine(1, limits=LIMITS).run(Asking(), [1])
    assert outcome.reason == "the work sent a request, and this run has no servers"
    assert [outcome.result for outcome in LocalEngine(1).run(Stub(tmp_path), ["a"])] == ["A"]
