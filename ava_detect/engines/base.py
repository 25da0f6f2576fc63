"""The one interface between what is to be done and where: an ``Engine`` runs work over items and yields outcomes.

Work is made by a function without arguments, once in every process that works, and called with one item after another.
Both travel to other processes, so both must pickle. Every item comes back exactly once, as an ``Outcome``, in the order
in which they end; items are taken from their iterator only as workers become free, so a list of millions is no burden.
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
SignOfLife = Callable[[Any], None]
Work = Callable[[Item, SignOfLife], Result]
MakeWork = Callable[[], Work[Item, Result]]


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
    """Somewhere to work. ``cores_per_worker``: what the work may use."""

    cores_per_worker: int

    def run(
        self,
        make_work: MakeWork[Item, Result],
        items: Iterable[Item],
        on_sign_of_life: SignOfLife | None = None,
    ) -> Generator[Outcome[Item, Result], None, None]:
        """Every item's outcome. What ``items`` or ``make_work`` raises is raised here; closing ends all workers.

        ``on_sign_of_life``: shown what the work sends, where the engine carries it; any thread may call it.
        """


class Feed(Generic[Item]):
    """Items on their way to workers: those to be tried again first; any thread may take."""

    def __init__(self, items: Iterable[Item], tries: int) -> None:
        self._items = iter(items)
        self._again: deque[tuple[Item, int]] = deque()
        self._tries = tries
        self._lock = threading.Lock()

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
