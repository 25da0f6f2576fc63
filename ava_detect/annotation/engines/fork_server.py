"""Worker processes that are forked from one that has loaded all they share, which is in memory once.

The system copies a page of memory only when a process writes to it, so forks share libraries and weights. A fork has
one thread, whatever its parent had: a thread pool would be missing there. So the process that forks, the server, runs
no pools, and what has threads or connections (detectors, stores) is made in each worker.
"""

from __future__ import annotations

import gc
import multiprocessing
import sys
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from typing import Any, TypeGuard

import psutil

from ava_detect.annotation.engines import child_process
from ava_detect.annotation.engines.base import Ask, Heartbeat, Limits, SharedWork, Stopped, WorkFactory
from ava_detect.annotation.engines.watched_process import WatchedProcess
from ava_detect.inference.freed_memory import give_back_freed_memory

_POLL_SECONDS = 0.01
# A connection of a worker to be forked, or the process id of a forked one that has been killed or has died.
_Request = Connection | int


def can_fork() -> bool:
    """Return whether processes of this system may be forked.

    Returns:
        True on Linux. macOS has forks, too, but its own libraries do not survive them.
    """
    return sys.platform == "linux"


def is_forkable(work_factory: object) -> TypeGuard[SharedWork]:
    """Return whether workers can be forked from a process that has loaded what they share.

    Args:
        work_factory: Makes their work.

    Returns:
        True where the system and the work allow it.
    """
    return can_fork() and isinstance(work_factory, SharedWork) and work_factory.is_forkable


class ForkServer:
    """Starts workers as forks of a server process, which loads what they share once.

    Args:
        work: Loads what is shared; ``is_forkable`` says whether it can.
        limits: When an answer of the server is late.
    """

    def __init__(self, work: SharedWork, limits: Limits) -> None:
        unlimited = replace(limits, memory_bytes=None)
        self._server: WatchedProcess[_Request, int] = WatchedProcess(_Forks(work), unlimited)
        # The server answers one request at a time.
        self._lock = threading.Lock()
        self._is_loading = self._has_ended = False

    def start_child(self, pipe: Connection) -> ForkedProcess:
        """Fork a worker; the first one waits until the server has loaded what they share. See ``StartChild``.

        Args:
            pipe: The worker's end of its connection.

        Returns:
            The worker.

        Raises:
            Stopped: The server died, or the run has ended.
            Exception: What loading raises.
        """
        with self._lock:
            self._is_loading = True
            if self._has_ended:
                raise Stopped("the run has ended", again=False)
            self._server.start()
            self._is_loading = False
            return ForkedProcess(self._server(pipe), self.exit_code)

    def exit_code(self, pid: int) -> int:
        """Wait for the end of a worker.

        Args:
            pid: Its process id.

        Returns:
            Its exit code, negative for a signal.

        Raises:
            Stopped: The server died, or the run has ended.
        """
        with self._lock:
            return self._server(pid)

    def interrupt(self) -> None:
        """Fork no more, from any thread; a server that has loaded waits for the end of its workers."""
        self._has_ended = True
        if self._is_loading:
            self._server.interrupt()

    def close(self) -> None:
        """End the server, after its workers."""
        self._server.interrupt()
        self._server.close()


class ForkedProcess:
    """A worker that was forked from the server (a ``Child``).

    Args:
        pid: Its process id, which stays its own until the server has told its exit code.
        exit_code: Waits for its exit code; ``Stopped`` where the server cannot tell it.
    """

    def __init__(self, pid: int, exit_code: Callable[[int], int]) -> None:
        self.pid = pid
        self.exitcode: int | None = None
        self._process = psutil.Process(pid)
        self._exit_code = exit_code

    def is_alive(self) -> bool:
        """Return whether it has not ended."""
        with suppress(psutil.NoSuchProcess):
            has_ended = self.exitcode is not None or not self._process.is_running()
            return not has_ended and self._process.status() != psutil.STATUS_ZOMBIE
        return False

    def kill(self) -> None:
        """End it."""
        with suppress(psutil.NoSuchProcess):
            self._process.kill()

    def join(self) -> None:
        """Wait for its end."""
        try:
            self.exitcode = self._exit_code(self.pid)
        except Stopped:
            while self.is_alive():
                time.sleep(_POLL_SECONDS)


@dataclass(frozen=True)
class _Forks:
    """The work of the server: it answers a connection with the id of a worker's process, and an id with its exit code.

    Attributes:
        work: Loads what the workers share.
    """

    work: SharedWork

    def __call__(self, ask: Ask) -> Callable[[_Request, Heartbeat], int]:
        loaded = self.work.load()
        # A collection of garbage would write to the memory of all objects, and so would the use of what was freed.
        gc.collect()
        gc.freeze()
        give_back_freed_memory()
        # The other threads here are one that waits for the parent's end, and those of libraries that prepare for forks
        # (Arrow's allocator, OpenBLAS).
        warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
        workers: dict[int, multiprocessing.process.BaseProcess] = {}

        def work(request: _Request, heartbeat: Heartbeat) -> int:
            if isinstance(request, int):
                worker = workers.pop(request)
                worker.join()
                assert worker.exitcode is not None, "it has ended"
                return worker.exitcode
            worker = _fork(loaded, request)
            assert worker.pid is not None, "it was started"
            workers[worker.pid] = worker
            return worker.pid

        return work


def _fork(work_factory: WorkFactory[Any, Any], pipe: Connection) -> multiprocessing.process.BaseProcess:
    worker = multiprocessing.get_context("fork").Process(
        target=child_process.run, args=(pipe, work_factory), name="ava-detect worker"
    )
    with pipe:
        worker.start()
    return worker
