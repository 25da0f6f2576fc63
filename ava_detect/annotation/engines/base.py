"""The interface between work and the machines that do it: an ``Engine`` runs work over items and yields outcomes.

A factory makes the work once in every worker process; the work is then called with one item after another. Factories,
items and results pickle. Every item has exactly one ``Outcome``, in the order in which they end. Items are taken from
their iterator only as workers become free, so millions of them need no memory.

What is large and shared by all workers is held apart from them: a service, made once in each of a few server processes,
which answers requests of the work. A worker sends one request at a time, so no more requests wait than there are
workers. Servers that are lost are replaced without the work noticing.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

from ava_detect.errors import ConfigError

Item = TypeVar("Item")
Result = TypeVar("Result")
# Called by the work whenever it has made progress, with anything that pickles.
Heartbeat = Callable[[Any], None]
Work = Callable[[Item, Heartbeat], Result]
# Sends a request to a server that is free and returns its reply; both pickle. It raises the service's error where that
# is an ``AvaDetectError``. Work returns only when none of its requests is open.
Ask = Callable[[Any], Any]
WorkFactory = Callable[[Ask], Work[Item, Result]]


@runtime_checkable
class SharedWork(Protocol):
    """A work factory whose workers have a large part in common, which one process can load for all of them.

    Attributes:
        is_forkable: Whether a process may be forked after ``load``, which a GPU, for one, does not survive.
    """

    @property
    def is_forkable(self) -> bool: ...  # noqa: D102

    def load(self) -> WorkFactory[Any, Any]:
        """Load the part in common, in one thread and without connections to elsewhere.

        Returns:
            The work factory, with that part; it is called in forks of this process.
        """
        ...


# Answers a request in a server; any request may go to any server, and again to another where a server was lost.
Service = Callable[[Any], Any]
# Called with the server's number, from 0 on.
ServiceFactory = Callable[[int], Service]

# A request that is open while this many servers are lost may be what ends them.
MAX_SERVER_LOSSES = 5


@dataclass(frozen=True)
class Limits:
    """When an item is stopped, and how often it is tried.

    Attributes:
        stall_seconds: Time without a heartbeat after which an item is stopped.
        total_seconds: Time after which an item is stopped in any case.
        memory_bytes: Resident memory of the worker process above which an item is stopped; None: no limit.
        tries: Number of workers that are given an item that ended its worker.

    Raises:
        ConfigError: A limit is not positive.
    """

    stall_seconds: float = 600.0
    total_seconds: float = 24 * 3600.0
    memory_bytes: int | None = None
    tries: int = 2

    def __post_init__(self) -> None:
        # Written so that NaN is refused, too.
        if not (self.stall_seconds > 0 and self.total_seconds > 0 and self.tries >= 1):
            raise ConfigError(
                f"limits are positive seconds and at least one try, got {self.stall_seconds:g} s, "
                f"{self.total_seconds:g} s and {self.tries} tries"
            )
        if self.memory_bytes is not None and not self.memory_bytes > 0:
            raise ConfigError(f"a memory limit is above 0, got {self.memory_bytes} bytes")


@dataclass(frozen=True)
class Servers:
    """The server processes of a run.

    Attributes:
        number: Number of processes.
        cores: Cores of each.
        gpus: GPUs of each; None: 1 where there are any.
    """

    number: int
    cores: int = 1
    gpus: float | None = None


@dataclass(frozen=True)
class Outcome(Generic[Item, Result]):
    """What became of an item.

    Attributes:
        item: The item.
        result: The result of the work; None where there is none.
        reason: Why there is none.
        tries: Number of workers that were given the item.
    """

    item: Item
    result: Result | None
    reason: str = ""
    tries: int = 1


class Stopped(Exception):  # noqa: N818 - not an error of the program: an event that the engine handles
    """An item ended its worker, or was stopped.

    Args:
        reason: Why, as a sentence for the user.
        again: Whether another try may help.
    """

    def __init__(self, reason: str, *, again: bool = True) -> None:
        super().__init__(reason)
        self.reason = reason
        self.again = again

    def __reduce__(self) -> tuple[Callable[..., Stopped], tuple[str, bool]]:
        return _stopped, (self.reason, self.again)


def _stopped(reason: str, again: bool) -> Stopped:
    return Stopped(reason, again=again)


class Engine(Protocol):
    """A way to run work on machines.

    Attributes:
        cores_per_worker: Cores that the work in one worker may use.
        servers: The server processes; None where workers have no service to ask.
    """

    cores_per_worker: int
    servers: Servers | None

    def run(
        self,
        work_factory: WorkFactory[Item, Result],
        items: Iterable[Item],
        on_heartbeat: Heartbeat | None = None,
        service_factory: ServiceFactory | None = None,
    ) -> Generator[Outcome[Item, Result], None, None]:
        """Run work over items; closing the generator ends all processes.

        Args:
            work_factory: Makes the work in each worker.
            items: The items, taken as workers become free.
            on_heartbeat: Given the heartbeats of the work, where the engine carries them; called by any thread.
            service_factory: Makes the service of each server, where the engine has any.

        Yields:
            The outcome of every item, in the order in which they end.

        Raises:
            Exception: What ``items``, ``work_factory`` or ``service_factory`` raises.
        """


class WorkQueue(Generic[Item]):
    """Items that wait for a worker, those to be tried again first; any thread may take one.

    Args:
        items: The items.
        tries: Number of workers that are given an item that ended its worker.
    """

    def __init__(self, items: Iterable[Item], tries: int) -> None:
        self._items = iter(items)
        self._again: deque[tuple[Item, int]] = deque()
        self._tries = tries
        self._lock = threading.Lock()

    def is_empty(self) -> bool:
        """Return whether no item waits."""
        taken = self.take()
        if taken is not None:
            self.give_back(*taken)
        return taken is None

    def take(self) -> tuple[Item, int] | None:
        """Return an item and the number of its try, from 1; None when no item waits."""
        with self._lock:
            if self._again:
                return self._again.popleft()
            for item in self._items:
                return item, 1
            return None

    def stopped(self, item: Item, number: int, stop: Stopped) -> Outcome[Item, Any] | None:
        """Queue a stopped item for another worker.

        Args:
            item: The item.
            number: The number of the try.
            stop: Why it stopped.

        Returns:
            None, or the outcome where that was the last try.
        """
        if stop.again and number < self._tries:
            self.give_back(item, number + 1)
            return None
        return Outcome(item, None, stop.reason, number)

    def give_back(self, item: Item, number: int) -> None:
        """Queue an item before all others.

        Args:
            item: The item.
            number: The number of its next try.
        """
        with self._lock:
            self._again.append((item, number))
