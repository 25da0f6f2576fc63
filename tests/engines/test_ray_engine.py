"""The Ray engine on two nodes on this machine: the outcomes of the local engine, and every loss survived."""

from __future__ import annotations

import sys
import time

import psutil
import pytest
from ray_nodes import is_child, killing_actors, killing_children, two_nodes
from stub_work import Stub, refuses

from ava_detect.engines.base import Limits
from ava_detect.engines.local import LocalEngine
from ava_detect.errors import ConfigError, MissingDependencyError

pytestmark = pytest.mark.slow
LIMITS = Limits(stall_seconds=5.0, total_seconds=60.0, memory_bytes=400 << 20)


@pytest.fixture(scope="module")
def cluster():
    with two_nodes() as cluster:
        yield cluster


def engine(**settings):
    from ava_detect.engines.ray_engine import RayEngine

    return RayEngine(**{"limits": LIMITS, **settings})


def outcomes_of(run):
    return {outcome.item: (outcome.result, outcome.reason, outcome.tries) for outcome in run}


def test_outcomes_are_those_of_the_local_engine(cluster, tmp_path):
    items = [*(f"item{n}" for n in range(20)), "exit", "segv", "hang", "broken", "odd", "once", "store"]
    for name in ("local", "ray"):
        (tmp_path / name).mkdir()
    here = outcomes_of(LocalEngine(2, limits=LIMITS).run(Stub(tmp_path / "local"), items))
    there = outcomes_of(engine().run(Stub(tmp_path / "ray"), items))
    assert there == here
    assert len(there) == len(items)


def test_items_are_taken_only_as_actors_become_free(cluster, tmp_path):
    taken = 0

    def items():
        nonlocal taken
        for number in range(10**9):
            taken += 1
            yield f"item{number}"

    run = engine(workers=2).run(Stub(tmp_path), items())
    assert len({next(run).item for _ in range(20)}) == 20
    assert taken <= 22
    run.close()


def test_work_that_cannot_be_made_is_said_at_once(cluster):
    with pytest.raises(ConfigError, match="these settings are wrong"):
        list(engine().run(refuses, ["a"]))


@pytest.mark.parametrize("kill", [killing_actors, killing_children])
def test_workers_that_are_killed_lose_nothing(cluster, tmp_path, kill):
    items = [f"item{n}" for n in range(30)]
    with kill(seconds=1.5, times=3) as killed:
        found = list(engine(workers=3, limits=Limits(tries=4)).run(Stub(tmp_path, slow_seconds=0.3), items))
    assert killed
    assert sorted(outcome.item for outcome in found) == sorted(items)
    assert all(outcome.result for outcome in found), [outcome.reason for outcome in found if not outcome.result]


def test_a_node_that_goes_takes_nothing_along(cluster, tmp_path):
    items = [f"item{n}" for n in range(30)]
    node = cluster.add_node(num_cpus=2)
    cluster.wait_for_nodes()
    run = engine(workers=6).run(Stub(tmp_path, slow_seconds=0.4), items)
    found = [next(run) for _ in range(4)]
    cluster.remove_node(node, allow_graceful=False)
    found += list(run)
    assert sorted(outcome.item for outcome in found) == sorted(items)
    assert all(outcome.result for outcome in found)


def test_children_end_with_their_actors(cluster, tmp_path):
    run = engine(workers=2).run(Stub(tmp_path), ["a", "hang"])
    next(run)
    children = [p for p in psutil.process_iter() if is_child(p)]
    assert children
    run.close()
    deadline = time.monotonic() + 30
    while any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in children) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in children)


def test_without_ray_the_install_line_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "ava_detect\[ray\]"'):
        engine()
