"""A service in processes of this machine: watched, started anew when they end, each with one request at a time."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from ava_detect.annotation.engines.base import MAX_SERVER_LOSSES, Ask, Heartbeat, Limits, ServiceFactory, Stopped
from ava_detect.annotation.engines.watched_process import WatchedProcess
from ava_detect.errors import AvaDetectError, EngineError


@dataclass(frozen=True)
class _Answering:
    """A service as the work of a watched process."""

    service_factory: ServiceFactory
    number: int

    def __call__(self, ask: Ask) -> Callable[[Any, Heartbeat], Any]:
        service = self.service_factory(self.number)

        def work(request: Any, sign: Heartbeat) -> Any:
            try:
                return service(request)
            except AvaDetectError as error:
                # Said of the request, for whoever asked; any other error may have left the process unfit to go on.
                return error

        return work


class LocalServers:
    """So many processes with the service, begun with the first that needs them."""

    def __init__(
        self, service_factory: ServiceFactory, number: int, limits: Limits, on_failure: Callable[[BaseException], None]
    ) -> None:
        """``limits``: how long one answer may take. ``on_failure``: is told, by any thread, why none can be begun."""
        one_answer = replace(limits, total_seconds=limits.stall_seconds, memory_bytes=None)
        self._guards: list[WatchedProcess[Any, Any]] = [
            WatchedProcess(_Answering(service_factory, i), one_answer) for i in range(number)
        ]
        self._on_failure = on_failure
        # None: there will be no more.
        self._free: queue.SimpleQueue[WatchedProcess[Any, Any] | None] = queue.SimpleQueue()
        self._starting = [threading.Thread(target=self._start, args=(guard,), daemon=True) for guard in self._guards]
        self._lock = threading.Lock()
        self._begun = False

    def begin(self) -> None:
        """Have them started, by whoever is first; returns at once."""
        with self._lock:
            begun, self._begun = self._begun, True
        if not begun:
            for thread in self._starting:
                thread.start()

    def ask(self, request: Any) -> Any:
        """The reply of the first that is free; from any thread. See ``base.Ask``."""
        for _ in range(MAX_SERVER_LOSSES):
            guard = self._free.get()
            if guard is None:
                self._free.put(None)
                raise Stopped("the run has ended", again=False)
            try:
                reply = guard(request)
            except Stopped as stop:
                guard.end()
                reason = stop.reason
            except Exception as error:  # What ``service_factory`` raises where it is made again.
                self._on_failure(error)
                raise Stopped("the run has ended", again=False) from error
            else:
                if isinstance(reply, AvaDetectError):
                    raise reply
                return reply
            finally:
                self._free.put(guard)
        raise Stopped(f"{MAX_SERVER_LOSSES} servers were lost over what it asked ({reason})", again=False)

    def interrupt(self) -> None:
        """From any thread: end them all; whoever waits for an answer gets ``Stopped``."""
        for guard in self._guards:
            guard.interrupt()
        self._free.put(None)

    def close(self) -> None:
        """Clear up, when nobody asks any more."""
        self.interrupt()
        if self._begun:
            for thread in self._starting:
                thread.join()
        for guard in self._guards:
            guard.close()

    def _start(self, guard: WatchedProcess[Any, Any]) -> None:
        try:
            guard.start()
        except Stopped as stop:
            self._on_failure(EngineError(f"a server cannot be started: {stop.reason}"))
        except Exception as error:  # What ``service_factory`` raises.
            self._on_failure(error)
        else:
            self._free.put(guard)
