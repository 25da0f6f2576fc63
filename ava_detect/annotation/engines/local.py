"""Run work in worker processes on this machine, each under a watchdog (``WatchedProcess``).

There is one thread per worker process. It takes an item from a shared queue, passes it to its process, and puts the
outcome into a second queue, which the caller's thread reads. A crash or a hang costs one attempt at one item, not the
run.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable
from functools import partial

from ava_detect.annotation.engines.base import (
    Heartbeat,
    Item,
    Limits,
    Outcome,
    Result,
    Servers,
    ServiceFactory,
    Stopped,
    WorkFactory,
    WorkQueue,
)
from ava_detect.annotation.engines.fork_server import ForkServer, is_forkable
from ava_detect.annotation.engines.local_servers import LocalServers
from ava_detect.annotation.engines.watched_process import WatchedProcess
from ava_detect.errors import EngineError
from ava_detect.inference.background import Background


class LocalEngine:
    """An ``Engine`` that runs work in processes on this machine.

    Args:
        workers: Number of worker processes, which is also the number of items processed at a time.
        cores_per_worker: CPU cores that the work in one worker may use. The work reads and respects it; the engine
            does not enforce it.
        limits: Watchdog timeouts, memory limit and number of attempts per item; ``Limits()`` by default.
        servers: Number of server processes, for work that sends requests to a shared service (such as a model on the
            GPU); None where it sends none.
    """

    def __init__(
        self,
        workers: int,
        cores_per_worker: int = 1,
        limits: Limits | None = None,
        servers: Servers | None = None,
    ) -> None:
        self.workers = workers
        self.cores_per_worker = cores_per_worker
        self.servers = servers
        self._limits = limits or Limits()

    def run(
        self,
        work_factory: WorkFactory[Item, Result],
        items: Iterable[Item],
        on_heartbeat: Heartbeat | None = None,
        service_factory: ServiceFactory | None = None,
    ) -> Generator[Outcome[Item, Result], None, None]:
        """Run work over items; closing the generator ends all processes. See ``Engine.run``.

        Args:
            work_factory: Called once in each worker process; returns the work, which is then called per item.
            items: The items, consumed lazily as workers become free.
            on_heartbeat: Called with each heartbeat of the work, in this process, from one of the engine's threads.
            service_factory: Called once in each server process; ignored where the engine has no ``servers``.

        Yields:
            One outcome per item, in the order in which the items finish.

        Raises:
            EngineError: A worker or server process died or timed out while it started.
            Exception: What ``items``, ``work_factory`` or ``service_factory`` raises.
        """
        waiting = WorkQueue(items, self._limits.tries)
        # Bounded for back-pressure: workers pause while the caller does not consume outcomes. An exception is raised
        # again in the caller's thread; None means that one worker thread has finished.
        outcomes: queue.Queue[Outcome[Item, Result] | BaseException | None] = queue.Queue(self.workers)
        closed = threading.Event()

        def put(outcome: Outcome[Item, Result] | BaseException | None) -> None:
            # With a timeout, so that a full queue cannot block a thread after the caller has closed the generator.
            while not closed.is_set():
                try:
                    outcomes.put(outcome, timeout=0.2)
                except queue.Full:
                    continue
                return

        servers = self._make_servers(service_factory, put)
        fork_server = self._make_fork_server(work_factory)
        processes: list[WatchedProcess[Item, Result]] = [
            WatchedProcess(
                work_factory,
                self._limits,
                None if servers is None else servers.ask,
                None if fork_server is None else fork_server.start_child,
            )
            for _ in range(self.workers)
        ]

        def run_worker(process: WatchedProcess[Item, Result]) -> None:
            """Process items until none is left; the body of a worker thread."""
            try:
                while not closed.is_set() and (taken := waiting.take()) is not None:
                    item, attempt = taken
                    # Both return at once where the processes run. The servers start with the first item, so that an
                    # empty run loads no model; the worker is restarted after an item that ended it.
                    if servers is not None:
                        servers.begin()
                    try:
                        process.start()
                    except Stopped as stop:
                        raise EngineError(f"a worker cannot be started: {stop.reason}") from stop
                    try:
                        put(Outcome(item, process(item, on_heartbeat), tries=attempt))
                    except Stopped as stop:
                        if (outcome := waiting.stopped(item, attempt, stop)) is not None:
                            put(outcome)
                put(None)
            except BaseException as error:  # Raised again in the caller's thread.
                put(error)
            finally:
                process.close()

        def stop() -> None:
            # Kill the processes: threads that wait for a reply wake up, and can be joined.
            closed.set()
            for kind in (servers, fork_server):
                if kind is not None:
                    kind.interrupt()
            for process in processes:
                process.interrupt()

        background = Background(stop)
        try:
            for process in processes:
                background.start_thread(partial(run_worker, process), "worker")
            num_running = len(processes)
            while num_running:
                outcome = outcomes.get()
                if isinstance(outcome, BaseException):
                    raise outcome
                if outcome is None:
                    num_running -= 1
                else:
                    yield outcome
        finally:
            background.close()
            for kind in (servers, fork_server):
                if kind is not None:
                    kind.close()

    def _make_fork_server(self, work_factory: WorkFactory[Item, Result]) -> ForkServer | None:
        """Create the process from which workers are forked, where there are several and they can share memory."""
        return ForkServer(work_factory, self._limits) if self.workers > 1 and is_forkable(work_factory) else None

    def _make_servers(
        self, service_factory: ServiceFactory | None, on_failure: Callable[[BaseException], None]
    ) -> LocalServers | None:
        """Create the servers; ``on_failure`` is called, from any thread, with the error if one cannot be started."""
        if self.servers is None or service_factory is None:
            return None
        return LocalServers(service_factory, self.servers.number, self._limits, on_failure)
