"""The actors of a Ray cluster: workers, each with one watched process, and servers, which hold the service."""

from __future__ import annotations

import faulthandler
import pickle
import sys
import time
from typing import Any

import ray as ray_module

from ava_detect.annotation.engines.base import Limits, Service, ServiceFactory, Stopped
from ava_detect.annotation.engines.opaque_work import OpaqueWork
from ava_detect.annotation.engines.watched_process import WatchedProcess
from ava_detect.errors import AvaDetectError, MissingDependencyError

# Types are also checked where Ray is not installed.
ray: Any = ray_module

# A server without an answer for this long is sent a ping, and has as long again to reply to it.
_PING_SECONDS = 30.0
# A request that waits behind one that ends servers loses them too, but rarely this often in a row.
_MAX_SERVERS_LOST = 20


class Worker:
    """A watched process in an actor that an item cannot break.

    Args:
        work_factory: Makes the work in the process.
        limits: When an item is stopped.
        servers: The server actors; empty where there are none.
        number: The worker's number, so that each begins with another server.
    """

    def __init__(self, work_factory: OpaqueWork, limits: Limits, servers: list[Any], number: int) -> None:
        # Ray's own main program, which every process started from here would import again.
        vars(sys.modules["__main__"]).pop("__file__", None)
        ask = {"ask": _ServerRequests(servers, number, limits)} if servers else {}
        self._process: WatchedProcess[bytes, bytes] = WatchedProcess(work_factory, limits, **ask)

    def start(self) -> tuple[str, Any]:
        """Return ``ready``; ``refused`` with an error message for the user; or ``broken`` with a reason."""
        try:
            self._process.start()
        except (AvaDetectError, MissingDependencyError) as error:
            return "refused", str(error)
        except Stopped as stop:
            return "broken", stop.reason
        return "ready", None

    def work(self, item: bytes) -> tuple[str, Any]:
        """Run the work on one item.

        Args:
            item: The pickled item.

        Returns:
            ``result`` with the pickled result, or ``stopped`` with the ``Stopped``.
        """
        try:
            return "result", self._process(item)
        except Stopped as stop:
            return "stopped", stop


class Server:
    """The service in the actor itself: requests are trusted, and arrays arrive without a copy.

    Ray restarts it where it ends, on a node that has room; the worker sends its request again.

    Args:
        service_factory: The pickled ``ServiceFactory``.
        number: The server's number.
        limits: ``stall_seconds`` is how long one answer may take.
    """

    def __init__(self, service_factory: bytes, number: int, limits: Limits) -> None:
        self._make_service = service_factory
        self._number = number
        self._seconds = limits.stall_seconds
        self._service: Service | None = None

    def start(self) -> tuple[str, Any]:
        """Return ``ready``, or ``refused`` with an error message for the user."""
        try:
            self._get_service()
        except (AvaDetectError, MissingDependencyError) as error:
            return "refused", str(error)
        return "ready", None

    def answer(self, request: Any) -> tuple[str, Any]:
        """Answer a request.

        Args:
            request: What the work sent.

        Returns:
            ``answer``; ``error``, for the sender; or ``broken`` with a reason, where the server is unusable.
        """
        try:
            service = self._get_service()
            # A timer outside Python, which a hanging call cannot delay; it ends this process.
            faulthandler.dump_traceback_later(self._seconds, exit=True)
            return "answer", service(request)
        except (AvaDetectError, MissingDependencyError) as error:
            return "error", error
        except Exception as error:  # The device may be unusable for this process.
            return "broken", f"{type(error).__name__}: {error}"
        finally:
            faulthandler.cancel_dump_traceback_later()

    def ping(self) -> bool:
        """Reply to a ping; runs beside the work."""
        return True

    def _get_service(self) -> Service:
        if self._service is None:
            service_factory: ServiceFactory = pickle.loads(self._make_service)
            self._service = service_factory(self._number)
        return self._service


class _ServerRequests:
    """The requests of one worker, each sent to the next server that responds."""

    def __init__(self, servers: list[Any], number: int, limits: Limits) -> None:
        self._servers = servers
        self._next = number
        self._give_up_seconds = max(limits.stall_seconds, 4 * _PING_SECONDS)
        # Servers that have not replied to a ping are skipped.
        self._unanswered: dict[int, Any] = {}

    def __call__(self, request: Any) -> Any:
        """Send a request; see ``base.Ask``."""
        heard, lost, reason = time.monotonic(), 0, "none responded"
        while lost < _MAX_SERVERS_LOST and time.monotonic() - heard < self._give_up_seconds:
            server = self._servers[self._choose()]
            answer = server.answer.remote(request)
            while not _is_ready(answer, _PING_SECONDS) and self._responds():
                heard = time.monotonic()
            if not _is_ready(answer):
                continue
            try:
                kind, value = ray.get(answer)
            except ray.exceptions.RayTaskError:
                raise
            except ray.exceptions.RayError as error:
                kind, value = "lost", str(error).splitlines()[0]
            if kind == "answer":
                return value
            if kind == "error":
                raise value
            if kind == "broken":
                ray.kill(server, no_restart=False)
            lost, reason = lost + 1, value
            time.sleep(min(0.2 * lost, 5.0))
        raise Stopped(f"no server answered it; {lost} were lost ({reason})")

    def _choose(self) -> int:
        """The index of the next server without an open ping, if there is one."""
        for _ in self._servers:
            self._next = (self._next + 1) % len(self._servers)
            ping = self._unanswered.get(self._next)
            if ping is None or _is_ready(ping):
                self._unanswered.pop(self._next, None)
                break
        return self._next

    def _responds(self) -> bool:
        ping = self._servers[self._next].ping.options(concurrency_group="pings").remote()
        if _is_ready(ping, _PING_SECONDS):
            return True
        self._unanswered[self._next] = ping
        return False


def _is_ready(reference: Any, seconds: float = 0.0) -> bool:
    return bool(ray.wait([reference], timeout=seconds)[0])
