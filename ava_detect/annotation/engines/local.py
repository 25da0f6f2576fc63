"""The engine of one machine: watched processes, each given the next item as soon as it is free."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable

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
from ava_detect.annotation.engines.local_servers import LocalServers
from ava_detect.annotation.engines.watched_process import WatchedProcess
from ava_detect.errors import EngineError


class LocalEngine:
    """Worker processes on this machine.

    Args:
        workers: Number of worker processes.
        cores_per_worker: Cores that the work in one worker may use.
        limits: When an item is stopped.
        servers: The server processes, where the work asks a service.
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
        """Run work over items; see ``Engine.run``."""
        waiting = WorkQueue(items, self._limits.tries)
        # Bounded, so that a consumer that takes no outcomes stops the work.
        outcomes: queue.Queue[Outcome[Item, Result] | BaseException | None] = queue.Queue(self.workers)
        closed = threading.Event()

        def put(outcome: Outcome[Item, Result] | BaseException | None) -> None:
            while not closed.is_set():
                try:
                    outcomes.put(outcome, timeout=0.2)
                except queue.Full:
                    continue
                return

        servers = self._start_servers(service_factory, put)
        processes: list[WatchedProcess[Item, Result]] = [
            WatchedProcess(work_factory, self._limits, servers.ask)
            if servers
            else WatchedProcess(work_factory, self._limits)
            for _ in range(self.workers)
        ]

        def serve(process: WatchedProcess[Item, Result]) -> None:
            try:
                while not closed.is_set() and (taken := waiting.take()) is not None:
                    item, number = taken
                    if servers is not None:
                        servers.begin()
                    try:
                        process.start()
                    except Stopped as stop:
                        raise EngineError(f"a worker cannot be started: {stop.reason}") from stop
                    try:
                        put(Outcome(item, process(item, on_heartbeat), tries=number))
                    except Stopped as stop:
                        if (outcome := waiting.stopped(item, number, stop)) is not None:
                            put(outcome)
                put(None)
            except BaseException as error:  # Raised again in the thread that takes the outcomes.
                put(error)
            finally:
                process.close()

        threads = [threading.Thread(target=serve, args=(process,), daemon=True) for process in processes]
        try:
            for thread in threads:
                thread.start()
            working = len(threads)
            while working:
                outcome = outcomes.get()
                if isinstance(outcome, BaseException):
                    raise outcome
                if outcome is None:
                    working -= 1
                else:
                    yield outcome
        finally:
            closed.set()
            if servers is not None:
                servers.interrupt()
            for process in processes:
                process.interrupt()
            for thread in threads:
                thread.join()
            if servers is not None:
                servers.close()

    def _start_servers(
        self, service_factory: ServiceFactory | None, on_failure: Callable[[BaseException], None]
    ) -> LocalServers | None:
        if self.servers is None or service_factory is None:
            return None
        return LocalServers(service_factory, self.servers.number, self._limits, on_failure)
