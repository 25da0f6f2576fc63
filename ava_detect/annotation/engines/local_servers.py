"""Server processes on this machine: watched, started again when they end, each with one request at a time."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ava_detect.annotation.engines.base import MAX_SERVER_LOSSES, Ask, Heartbeat, Limits, ServiceFactory, Stopped
from ava_detect.annotation.engines.watched_process import WatchedProcess
from ava_detect.errors import AvaDetectError, EngineError
from ava_detect.inference.background import Background


@dataclass(frozen=True)
class _ServiceWork:
    """A service as the work of a watched process."""

    service_factory: ServiceFactory
    number: int

    def __call__(self, ask: Ask) -> Callable[[Any, Heartbeat], Any]:
        service = self.service_factory(self.number)

        def work(request: Any, heartbeat: Heartbeat) -> Any:
            try:
                return service(request)
            except AvaDetectError as error:
                # About the request, for its sender; any other error may have left the process unusable.
                return error

        return work


class LocalServers:
    """Processes with the service, started when the first worker needs them.

    Args:
        service_factory: Makes the service in each process.
        number: Number of processes.
        limits: How long one answer may take.
        on_failure: Given the reason, by any thread, where no server can be started.
    """

    def __init__(
        self, service_factory: ServiceFactory, number: int, limits: Limits, on_failure: Callable[[BaseException], None]
    ) -> None:
        one_answer = replace(limits, total_seconds=limits.stall_seconds, memory_bytes=None)
        self._processes: list[WatchedProcess[Any, Any]] = [
            WatchedProcess(_ServiceWork(service_factory, i), one_answer) for i in range(number)
        ]
        self._on_failure = on_failure
        # None: no server will become free again.
        self._free: queue.SimpleQueue[WatchedProcess[Any, Any] | None] = queue.SimpleQueue()
        self._background = Background(self.interrupt)
        self._lock = threading.Lock()
        self._started = False

    def begin(self) -> None:
        """Start the processes, unless another worker has; return at once."""
        with self._lock:
            started, self._started = self._started, True
        if not started:
            for process in self._processes:
                self._background.start_thread(partial(self._start, process), "server start")

    def ask(self, request: Any) -> Any:
        """Send a request to the first server that is free; from any thread. See ``base.Ask``.

        Args:
            request: Anything that pickles.

        Returns:
            The server's reply.

        Raises:
            Stopped: The run has ended, or too many servers were lost over the request.
            AvaDetectError: What the service raises.
        """
        for _ in range(MAX_SERVER_LOSSES):
            process = self._free.get()
            if process is None:
                self._free.put(None)
                raise Stopped("the run has ended", again=False)
            try:
                reply = process(request)
            except Stopped as stop:
                process.end()
                reason = stop.reason
            except Exception as error:  # What ``service_factory`` raises in a process that was started again.
                self._on_failure(error)
                raise Stopped("the run has ended", again=False) from error
            else:
                if isinstance(reply, AvaDetectError):
                    raise reply
                return reply
            finally:
                self._free.put(process)
        raise Stopped(f"{MAX_SERVER_LOSSES} servers were lost over what it asked ({reason})", again=False)

    def interrupt(self) -> None:
        """End all processes, from any thread; threads that wait for a reply get ``Stopped``."""
        for process in self._processes:
            process.interrupt()
        self._free.put(None)

    def close(self) -> None:
        """End all processes and their threads, when no request is open."""
        self._background.close()
        for process in self._processes:
            process.close()

    def _start(self, process: WatchedProcess[Any, Any]) -> None:
        try:
            process.start()
        except Stopped as stop:
            self._on_failure(EngineError(f"a server cannot be started: {stop.reason}"))
        except Exception as error:  # What ``service_factory`` raises.
            self._on_failure(error)
        else:
            self._free.put(process)
