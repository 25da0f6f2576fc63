"""A Ray cluster of two nodes on this machine, and ways to kill its processes."""

from __future__ import annotations

import importlib
import inspect
import os
import random
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from filelock import FileLock

_PORTS = ("metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port", "runtime_env_agent_port")


@contextmanager
def two_nodes() -> Iterator[Any]:
    """Two nodes of two cores each, whatever the machine has; the test is skipped where Ray is not installed.

    One such cluster at a time: tests kill any of Ray's processes that they find.
    """
    ray = pytest.importorskip("ray", reason="Ray is not installed (the extra [ray])")
    utils = pytest.importorskip("ray.cluster_utils", reason="this Ray has no cluster for tests")
    with FileLock(Path(tempfile.gettempdir()) / "ava_detect_ray_nodes.lock"), pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
        # By default Ray runs workers at niceness 15: beside busy processes they get next to nothing, and time limits
        # measured in this process end every one of them.
        patch.setenv("RAY_worker_niceness", "0")
        # Ray waits 30 s for a node, without a setting for it: on a busy machine that is too short.
        patch.setattr("ray._private.node.time", SimpleNamespace(**{**vars(time), "monotonic": _slow_clock}))
        services = importlib.import_module("ray._private.services")
        patch.setattr(services, "start_raylet", _with_ports(services.start_raylet))
        cluster = utils.Cluster()
        try:
            cluster.add_node(num_cpus=2, include_dashboard=False)
            # Before the second node is there, for early versions of Ray connect to any, and that one may be removed.
            ray.init(address=cluster.address, log_to_driver=False)
            cluster.add_node(num_cpus=2)
            yield cluster
        finally:
            ray.shutdown()
            cluster.shutdown()


def _with_ports(start_raylet: Callable[..., Any]) -> Callable[..., Any]:
    """The function that starts a node's raylet, with ports for the agents of the raylet.

    Otherwise each agent chooses one and writes it into a file for which the raylet waits 15 s, without a setting for
    it, and then aborts: on a busy machine that is too short.
    """
    signature = inspect.signature(start_raylet)
    names = [name for name in _PORTS if name in signature.parameters]

    def start(*arguments: Any, **settings: Any) -> Any:
        given = signature.bind(*arguments, **settings).arguments
        with ExitStack() as stack:
            sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in names]
            ports = {name: held.getsockname()[1] for name, held in zip(names, sockets, strict=True)}
        for name, port in ports.items():
            Path(given["session_dir"], f"{name}_{given['node_id']}").write_text(str(port))
        return start_raylet(*arguments, **settings | ports)

    return start


def _slow_clock() -> float:
    return time.monotonic() / 10


def _command(process: psutil.Process) -> str:
    """The command line; empty for a process that has ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def is_actor(process: psutil.Process) -> bool:
    """Whether a process is one of our actors."""
    return _command(process).startswith("ray::Worker")


def is_server(process: psutil.Process) -> bool:
    """Whether a process is an actor that serves the network."""
    return _command(process).startswith("ray::Server")


def is_child(process: psutil.Process) -> bool:
    """Whether a process is the watched one of an actor."""
    try:
        parent = process.parent()
        # An actor also has a child that keeps track of shared memory.
        is_work = "spawn_main" in " ".join(process.cmdline())
    except psutil.Error:
        return False
    return is_work and parent is not None and is_actor(parent)


def kill_one(is_victim: Callable[[psutil.Process], bool], chance: random.Random, *, within_seconds: float) -> int:
    """``kill -9`` for one of this process's descendants, as soon as there is one; its id."""
    deadline = time.monotonic() + within_seconds
    while time.monotonic() < deadline:
        victims = [process for process in psutil.Process().children(recursive=True) if is_victim(process)]
        if victims:
            victim = chance.choice(victims)
            with suppress(psutil.NoSuchProcess):
                victim.kill()
                return int(victim.pid)
        time.sleep(0.2)
    raise AssertionError(f"there was no process to kill in {within_seconds:g} s")


@contextmanager
def _killing(is_victim: Callable[[psutil.Process], bool], seconds: float, times: int) -> Iterator[list[int]]:
    """Kill a process every ``seconds``, up to ``times``; the ids of those killed."""
    killed: list[int] = []
    over = threading.Event()

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


def killing_servers(*, seconds: float, times: int) -> Any:
    """``kill -9`` for the actors that serve the network."""
    return _killing(is_server, seconds, times)
