"""A Ray cluster of two nodes on this machine, and what can happen to its processes."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import pytest


@contextmanager
def two_nodes() -> Iterator[Any]:
    """Two nodes of two cores each, whatever the machine has; the test is skipped where Ray is not installed."""
    ray = pytest.importorskip("ray", reason="Ray is not installed (the extra [ray])")
    utils = pytest.importorskip("ray.cluster_utils", reason="this Ray has no cluster for tests")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
        cluster = utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
        cluster.add_node(num_cpus=2)
        ray.init(address=cluster.address, log_to_driver=False)
        try:
            yield cluster
        finally:
            ray.shutdown()
            cluster.shutdown()


def is_actor(process: psutil.Process) -> bool:
    """Whether a process is one of our actors."""
    try:
        return " ".join(process.cmdline()).startswith("ray::_Worker")
    except psutil.Error:
        return False


def is_child(process: psutil.Process) -> bool:
    """Whether a process is the watched one of an actor."""
    try:
        parent = process.parent()
    except psutil.Error:
        return False
    return parent is not None and is_actor(parent)


@contextmanager
def _killing(is_victim: Callable[[psutil.Process], bool], seconds: float, times: int) -> Iterator[list[int]]:
    """Kill a process every so many seconds; the ids of those killed."""
    over, killed = threading.Event(), []

    def kill() -> None:
        while len(killed) < times and not over.wait(seconds):
            victim = next((process for process in psutil.process_iter() if is_victim(process)), None)
            if victim is not None:
                os.kill(victim.pid, signal.SIGKILL)
                killed.append(victim.pid)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        over.set()
        thread.join()


def killing_actors(*, seconds: float, times: int) -> Any:
    """``kill -9`` for actors."""
    return _killing(is_actor, seconds, times)


def killing_children(*, seconds: float, times: int) -> Any:
    """``kill -9`` for the processes that actors watch."""
    return _killing(is_child, seconds, times)
