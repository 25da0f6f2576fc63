"""The engine of one machine: so many watched processes, each with the next item as soon as it is free."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable

from ava_detect.engines.base import (
    Feed,
    Item,
    Limits,
    MakeService,
    MakeWork,
    Outcome,
    Result,
    Servers,
    SignOfLife,
    Stopped,
)
from ava_detect.engines.guard import Guard
from ava_detect.engines.servers import LocalServers
from ava_detect.errors import EngineError


class LocalEngine:
    """Processes of this machine."""

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
        make_work: MakeWork[Item, Result],
        items: Iterable[Item],
        on_sign_of_life: SignOfLife | None = None,
        make_service: MakeService | None = None,
    ) -> Generator[Outcome[Item, Result], None, None]:
        """See ``Engine.run``."""
        feed = Feed(items, self._limits.tries)
        # No longer than the workers are many: whoever does not take outcomes stops the work.
        outcomes: queue.Queue[Outcome[Item, Result] | BaseException | None] = queue.Queue(self.workers)
        closed = threading.Event()

        def put(outcome: Outcome[Item, Result] | BaseException | None) -> None:
            while not closed.is_set():
                try:
                    outcomes.put(outcome, timeout=0.2)
                except queue.Full:
                    continue
                return

        servers = self._start_servers(make_service, put)
        guards: list[Guard[Item, Result]] = [
            Guard(make_work, self._limits, servers.ask) if servers else Guard(make_work, self._limits)
            for _ in range(self.workers)
        ]

        def serve(guard: Guard[Item, Result]) -> None:
            try:
                while not closed.is_set() and (taken := feed.take()) is not None:
                    item, number = taken
                    if servers is not None:
                        servers.begin()
                    try:
                        guard.start()
                    except Stopped as stop:
                        raise EngineError(f"a worker cannot be started: {stop.reason}") from stop
                    try:
                        put(Outcome(item, guard(item, on_sign_of_life), tries=number))
                    except Stopped as stop:
                        if (outcome := feed.stopped(item, number, stop)) is not None:
                            put(outcome)
                put(None)
            except BaseException as error:  # Raised again where the outcomes are taken.
                put(error)
            finally:
                guard.close()

        threads = [threading.Thread(target=serve, args=(guard,), daemon=True) for guard in guards]
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
            for guard in guards:
                guard.interrupt()
            for thread in threads:
                thread.join()
            if servers is not None:
                servers.close()

    def _start_servers(
        self, make_service: MakeService | None, on_failure: Callable[[BaseException], None]
    ) -> LocalServers | None:
        if self.servers is None or make_service is None:
            return None
        return LocalServers(make_service, self.servers.number, self._limits, on_failure)
