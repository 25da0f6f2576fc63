"""The one interface between what is to be done and where: an ``Engine`` runs work over items and yields outcomes.

Work is made by a function, once in every process that works, and called with one item after another. Both travel to
other processes, so both must pickle. Every item comes back exactly once, as an ``Outcome``, in the order in which they
end; items are taken from their iterator only as workers become free, so a list of millions is no burden.

What is large, and wanted by all workers now and then, is held apart from them: a service, made once in each of a few
server processes, that answers what work asks. A worker asks one thing at a time, so no more wait than there are
workers. Servers are lost and replaced without the work's noticing.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from ava_detect.errors import ConfigError

Item = TypeVar("Item")
Result = TypeVar("Result")
# Called by the work whenever it has got further: with anything that pickles, which whoever watches may be shown.
Heartbeat = Callable[[Any], None]
Work = Callable[[Item, Heartbeat], Result]
# A request -> its reply, from whichever server is free; both pickle. It raises what the service raised where that is an
# ``AvaDetectError``. Work returns only when nothing of it asks any more. Without servers there is nobody to ask.
Ask = Callable[[Any], Any]
WorkFactory = Callable[[Ask], Work[Item, Result]]
# What a server does: any request may come to any server, and may come again where a server was lost over it.
Service = Callable[[Any], Any]
# Called with the server's number, from 0 on.
ServiceFactory = Callable[[int], Service]

# A request over which so many servers were lost may be what ends them.
MAX_SERVER_LOSSES = 5


@dataclass(frozen=True)
class Limits:
    """When an item is stopped, and how often it is tried.

    ``stall_seconds``: without a sign of life. ``total_seconds``: whatever it does. ``memory_bytes``: resident, of the
    process that works on it; None: no limit. ``tries``: so many workers are given an item that ended one of them.
    """

    stall_seconds: float = 600.0
    total_seconds: float = 24 * 3600.0
    memory_bytes: int | None = None
    tries: int = 2

    def __post_init__(self) -> None:
        if self.stall_seconds <= 0 or self.total_seconds <= 0 or self.tries < 1:
            raise ConfigError(
                f"limits are positive seconds and at least one try, got {self.stall_seconds:g} s, "
                f"{self.total_seconds:g} s and {self.tries} tries"
            )


@dataclass(frozen=True)
class Servers:
    """So many processes that hold the service. ``cores``: of each. ``gpus``: of each, None: 1 where there are any."""

    number: int
    cores: int = 1
    gpus: float | None = None


@dataclass(frozen=True)
class Outcome(Generic[Item, Result]):
    """What became of an item: its ``result``, or, where that is None, the ``reason``, after so many ``tries``."""

    item: Item
    result: Result | None
    reason: str = ""
    tries: int = 1


class Stopped(Exception):  # noqa: N818 - not an error of the program: an event that the engine deals with
    """An item ended its worker, or was ended. ``again``: whether another try may help."""

    def __init__(self, reason: str, *, again: bool = True) -> None:
        super().__init__(reason)
        self.reason = reason
        self.again = again

    def __reduce__(self) -> tuple[Callable[..., Stopped], tuple[str, bool]]:
        return _stopped, (self.reason, self.again)


def _stopped(reason: str, again: bool) -> Stopped:
    return Stopped(reason, again=again)


class Engine(Protocol):
    """Somewhere to work. ``cores_per_worker``: what the work may use. ``servers``: None: workers have nobody to ask."""

    cores_per_worker: int
    servers: Servers | None

    def run(
        self,
        work_factory: WorkFactory[Item, Result],
        items: Iterable[Item],
        on_heartbeat: Heartbeat | None = None,
        service_factory: ServiceFactory | None = None,
    ) -> Generator[Outcome[Item, Result], None, None]:
        """Every item's outcome. What ``items``, ``work_factory`` or ``service_factory`` raises is raised here; closing
        ends all processes.

        ``on_heartbeat``: shown what the work sends, where the engine carries it; any thread may call it.
        ``service_factory``: what the servers hold, where the engine has any.
        """


class WorkQueue(Generic[Item]):
    """Items on their way to workers: those to be tried again first; any thread may take."""

    def __init__(self, items: Iterable[Item], tries: int) -> None:
        self._items = iter(items)
        self._again: deque[tuple[Item, int]] = deque()
        self._tries = tries
        self._lock = threading.Lock()

    def is_empty(self) -> bool:
        """Whether nothing waits."""
        taken = self.take()
        if taken is not None:
            self.give_back(*taken)
        return taken is None

    def take(self) -> tuple[Item, int] | None:
        """An item and the number of the try; None when nothing waits."""
        with self._lock:
            if self._again:
                return self._again.popleft()
            for item in self._items:
                return item, 1
            return None

    def stopped(self, item: Item, number: int, stop: Stopped) -> Outcome[Item, Any] | None:
        """The item waits for another worker, or, where that was the last try, its outcome."""
        if stop.again and number < self._tries:
            self.give_back(item, number + 1)
            return None
        return Outcome(item, None, stop.reason, number)

    def give_back(self, item: Item, number: int) -> None:
        """To be taken again, before all others."""
        with self._lock:
            self._again.append((item, number))
