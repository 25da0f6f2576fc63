"""What the actors of a Ray cluster are: workers, each with one watched process, and servers, which hold the service."""

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

# Whoever has no Ray installed checks types as well.
ray: Any = ray_module

# A server that has not answered for so long is asked whether it is there, and has as long to say so.
_LOOK_SECONDS = 30.0
# Whoever waits behind a request that ends servers loses them too, but seldom so often in a row.
_MAX_SERVERS_LOST = 20


class Worker:
    """A watched process, and nothing that an item could break."""

    def __init__(self, work_factory: OpaqueWork, limits: Limits, servers: list[Any], number: int) -> None:
        """``number``: of the worker; each begins with another server."""
        # Ray's own program, which every process started from here would load again.
        vars(sys.modules["__main__"]).pop("__file__", None)
        ask = {"ask": _Asking(servers, number, limits)} if servers else {}
        self._guard: WatchedProcess[bytes, bytes] = WatchedProcess(work_factory, limits, **ask)

    def start(self) -> tuple[str, Any]:
        """``ready``; ``refused``, with a sentence for people; or ``broken``, with a reason."""
        try:
            self._guard.start()
        except (AvaDetectError, MissingDependencyError) as error:
            return "refused", str(error)
        except Stopped as stop:
            return "broken", stop.reason
        return "ready", None

    def work(self, item: bytes) -> tuple[str, Any]:
        """``result``, or ``stopped`` with the ``Stopped``."""
        try:
            return "result", self._guard(item)
        except Stopped as stop:
            return "stopped", stop


class Server:
    """The service in the actor itself: what it is asked is trusted, and arrays come to it without a copy.

    Ray starts it anew where it ends, on whatever node has room, and whoever asked asks again.
    """

    def __init__(self, service_factory: bytes, number: int, limits: Limits) -> None:
        self._make_service = service_factory
        self._number = number
        self._seconds = limits.stall_seconds
        self._service: Service | None = None

    def start(self) -> tuple[str, Any]:
        """``ready``, or ``refused``, with a sentence for people."""
        try:
            self._made()
        except (AvaDetectError, MissingDependencyError) as error:
            return "refused", str(error)
        return "ready", None

    def answer(self, request: Any) -> tuple[str, Any]:
        """``answer``; ``error``, which is the asker's; or ``broken``, with a reason, where this server is of no use."""
        try:
            service = self._made()
            # In a thread of C, which nothing that hangs can hold up; it ends this process.
            faulthandler.dump_traceback_later(self._seconds, exit=True)
            return "answer", service(request)
        except (AvaDetectError, MissingDependencyError) as error:
            return "error", error
        except Exception as error:  # A device may be of no more use to this process.
            return "broken", f"{type(error).__name__}: {error}"
        finally:
            faulthandler.cancel_dump_traceback_later()

    def is_there(self) -> bool:
        """Said beside the work."""
        return True

    def _made(self) -> Service:
        if self._service is None:
            service_factory: ServiceFactory = pickle.loads(self._make_service)
            self._service = service_factory(self._number)
        return self._service


class _Asking:
    """One worker's requests, each to the next server that is there."""

    def __init__(self, servers: list[Any], number: int, limits: Limits) -> None:
        self._servers = servers
        self._next = number
        self._patience_seconds = max(limits.stall_seconds, 4 * _LOOK_SECONDS)
        # Whoever owes a sign is passed over.
        self._owed: dict[int, Any] = {}

    def __call__(self, request: Any) -> Any:
        """See ``base.Ask``."""
        heard, lost, reason = time.monotonic(), 0, "none was there"
        while lost < _MAX_SERVERS_LOST and time.monotonic() - heard < self._patience_seconds:
            server = self._servers[self._choose()]
            answer = server.answer.remote(request)
            while not _is_ready(answer, _LOOK_SECONDS) and self._is_there():
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
        """The next that owes nothing, if there is one."""
        for _ in self._servers:
            self._next = (self._next + 1) % len(self._servers)
            owed = self._owed.get(self._next)
            if owed is None or _is_ready(owed):
                self._owed.pop(self._next, None)
                break
        return self._next

    def _is_there(self) -> bool:
        sign = self._servers[self._next].is_there.options(concurrency_group="signs").remote()
        if _is_ready(sign, _LOOK_SECONDS):
            return True
        self._owed[self._next] = sign
        return False


def _is_ready(reference: Any, seconds: float = 0.0) -> bool:
    return bool(ray.wait([reference], timeout=seconds)[0])
