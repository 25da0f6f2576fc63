"""The Ray engine on two nodes on this machine: the outcomes of the local engine, and every loss survived."""

from __future__ import annotations

import sys

import psutil
import pytest
from annotate_inputs import objects_of_run, write_inputs
from concurrency import wait_until
from networks import lively_model, save_pyslowfast
from ray_nodes import is_child, killing_actors, killing_children, killing_servers, two_nodes
from stub_work import Asking, Squares, Stub, dead_service, endless_items, no_service, refuses

from ava_detect.annotation.engines.base import Limits, Servers
from ava_detect.annotation.engines.local import LocalEngine
from ava_detect.annotation.engines.settings import ClusterSettings
from ava_detect.errors import ConfigError, EngineError, MissingDependencyError

pytestmark = pytest.mark.slow
LIMITS = Limits(stall_seconds=4.0, total_seconds=60.0, memory_bytes=400 << 20)


@pytest.fixture(scope="module")
def cluster():
    with two_nodes() as cluster:
        yield cluster


def engine(**settings):
    from ava_detect.annotation.engines.ray_engine import RayEngine

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
    taken: list[str] = []
    run = engine(workers=2).run(Stub(tmp_path), endless_items(taken))
    assert len({next(run).item for _ in range(20)}) == 20
    assert len(taken) <= 22
    run.close()


def test_work_that_cannot_be_made_is_an_error_at_once(cluster):
    with pytest.raises(ConfigError, match="these settings are wrong"):
        list(engine().run(refuses, ["a"]))


@pytest.mark.parametrize("kill", [killing_actors, killing_children])
def test_workers_that_are_killed_lose_nothing(cluster, tmp_path, kill):
    items = [f"item{n}" for n in range(30)]
    with kill(seconds=1.0, times=3) as killed:
        found = list(engine(workers=3, limits=Limits(tries=4)).run(Stub(tmp_path, slow_seconds=0.2), items))
    assert killed
    assert sorted(outcome.item for outcome in found) == sorted(items)
    assert all(outcome.result for outcome in found), [outcome.reason for outcome in found if not outcome.result]


def test_a_node_that_goes_takes_nothing_along(cluster, tmp_path):
    items = [f"item{n}" for n in range(30)]
    node = cluster.add_node(num_cpus=2)
    cluster.wait_for_nodes()
    run = engine(workers=6).run(Stub(tmp_path, slow_seconds=0.2), items)
    found = [next(run) for _ in range(4)]
    cluster.remove_node(node, allow_graceful=False)
    found += list(run)
    cluster.wait_for_nodes()
    assert sorted(outcome.item for outcome in found) == sorted(items)
    assert all(outcome.result for outcome in found)


def test_children_end_with_their_actors(cluster, tmp_path):
    run = engine(workers=2).run(Stub(tmp_path), ["a", "hang"])
    next(run)
    children = [p for p in psutil.process_iter() if is_child(p)]
    assert children
    run.close()
    wait_until(lambda: not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in children))


def test_without_ray_the_error_gives_the_install_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDependencyError, match=r"try: .*pip install .*\[ray\]"):
        engine()


def test_servers_take_their_cores_and_workers_what_is_left(cluster, tmp_path):
    outcomes = list(
        engine(servers=Servers(1, cores=2)).run(Asking(), list(range(8)), service_factory=Squares(tmp_path, 0.05))
    )
    assert {outcome.item: outcome.result for outcome in outcomes} == {number: number**2 for number in range(8)}
    moments = [path.name.split("-") for path in tmp_path.iterdir()]
    assert len({pid for _, pid, _, _ in moments}) == 1
    assert len(moments) == 24
    with pytest.raises(ConfigError, match="no node of the Ray cluster holds a worker of 2 cores and 0 GPUs beside 3"):
        list(engine(servers=Servers(3), cores_per_worker=2).run(Asking(), [1], service_factory=Squares(tmp_path)))


def test_servers_that_are_killed_or_hang_lose_nothing(cluster, tmp_path):
    items = [*range(30), "once", "odd", "refused", "hangs once"]
    limits = Limits(stall_seconds=4.0, total_seconds=60.0)
    run = engine(servers=Servers(2), workers=2, limits=limits).run(
        Asking(), items, service_factory=Squares(tmp_path, 0.05)
    )
    with killing_servers(seconds=1.0, times=2) as killed:
        found = {outcome.item: outcome for outcome in run}
    assert len(killed) == 2
    refused = found.pop("refused")
    assert refused.reason == "such boxes are none"
    expected = {item: item * item if isinstance(item, int) else 0 for item in items if item != "refused"}
    assert {item: outcome.result for item, outcome in found.items()} == expected
    assert {outcome.tries for outcome in found.values()} == {1}


def test_a_servers_node_that_goes_is_not_noticed(cluster, tmp_path):
    """What it was asked is asked again, and it stands again where there is room."""
    from ray.util import placement_group_table

    cluster.add_node(num_cpus=2)
    cluster.wait_for_nodes()
    run = engine(servers=Servers(3), workers=1).run(
        Asking(), list(range(20)), service_factory=Squares(tmp_path, slow_seconds=0.1)
    )
    found = [next(run)]
    groups = [group for group in placement_group_table().values() if group["state"] == "CREATED"]
    holding = {node for group in groups for node in group["bundles_to_node_id"].values()}
    lost = next(node for node in cluster.worker_nodes if node.node_id in holding)
    cluster.remove_node(lost, allow_graceful=False)
    found += list(run)
    cluster.wait_for_nodes()
    assert len(groups) == 3
    assert sorted((outcome.item, outcome.result, outcome.tries) for outcome in found) == [
        (number, number**2, 1) for number in range(20)
    ]


@pytest.mark.parametrize(
    ("service", "error", "message"),
    [
        (no_service, ConfigError, "there is no such network"),
        (dead_service, EngineError, "5 servers in a row could not be started"),
    ],
)
def test_a_service_that_cannot_be_made_is_an_error_at_once(cluster, service, error, message):
    with pytest.raises(error, match=message):
        list(engine(servers=Servers(1), workers=1).run(Asking(), [1], service_factory=service))


def test_counts_reach_the_counters_of_ray(cluster, tmp_path, monkeypatch):
    """Without the extra that serves Ray's Prometheus endpoint: what reaches Ray's own counters."""
    from ray.util import metrics

    counted = []

    def inc(counter, value=1.0, tags=None):
        counted.append((counter.info["name"], value))

    monkeypatch.setattr(metrics.Counter, "inc", inc)
    run = engine(workers=1, count=lambda outcome: {"items_done": 1.0, "letters": len(outcome.result), "lost": 0.0})
    list(run.run(Stub(tmp_path), ["a", "item"]))
    assert sorted(counted) == [("items_done", 1.0), ("items_done", 1.0), ("letters", 1), ("letters", 4)]


def test_a_shared_network_gives_the_objects_of_a_worker_with_its_own(cluster, tmp_path):
    folder = write_inputs(tmp_path, {"one": 3.2, "two": 1.0, "three": 2.5}, empty_seconds=[1])
    save_pyslowfast(lively_model(), folder / "lively.pth")
    expected = objects_of_run(folder, tmp_path / "own", workers=1)
    shared = {"engine": "ray", "workers": 1, "cluster": ClusterSettings(models=1)}
    assert objects_of_run(folder, tmp_path / "shared", **shared) == expected
