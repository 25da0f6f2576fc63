"""Work without videos: each item's name decides the fate of the process that gets it."""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from ava_detect.errors import ConfigError, StoreError, VideoError

# Asks the run's service; tells that the work goes on; and works on an item.
Ask = Callable[[Any], Any]
Sign = Callable[[object], None]
Work = Callable[[Any, Sign], Any]


@dataclass(frozen=True)
class Stub:
    """Work that leaves a file in ``folder`` for each try."""

    folder: Path
    slow_seconds: float = 0.0

    def __call__(self, ask: Ask) -> Work:
        return self.work

    def work(self, item: str, sign: Sign) -> str:
        tries = self.folder / f"{item}-{os.getpid()}-{time.monotonic_ns()}"
        tries.touch()
        first = len(list(self.folder.glob(f"{item}-*"))) == 1
        kind = item.partition("_")[0]
        if kind == "exit":
            os._exit(11)
        elif kind == "segv" or (kind == "once" and first):
            os.kill(os.getpid(), signal.SIGSEGV)
        elif kind == "hang":
            time.sleep(1000)
        elif kind == "endless":
            while True:
                sign("still there")
                time.sleep(0.05)
        elif kind == "eat":
            held = bytearray(b"x") * (600 << 20)
            time.sleep(len(held))
        elif kind == "broken":
            raise VideoError(f"{item} is no video")
        elif kind == "odd":
            raise _OddError(1, 2)
        elif kind == "store" and first:
            raise StoreError("503")
        for _ in range(3):
            sign(item)
            time.sleep(self.slow_seconds)
        return item.upper()


class _OddError(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__("one of a library's own")


@dataclass(frozen=True)
class SharedStub(Stub):
    """The same, with a part that one process loads for all workers; it leaves ``loaded-PID`` in ``folder``."""

    shared_mib: int = 1
    part: bytes = b""
    is_forkable: bool = True

    def load(self) -> SharedStub:
        (self.folder / f"loaded-{os.getpid()}").touch()
        return replace(self, part=os.urandom(1 << 20) * self.shared_mib)

    def work(self, item: str, sign: Sign) -> Any:
        if item == "own memory":
            assert len(self.part) == self.shared_mib << 20
            return psutil.Process().memory_full_info().uss
        return super().work(item, sign)


@dataclass(frozen=True)
class BadShare:
    """Work whose shared part cannot be loaded."""

    factory: Callable[[Ask], Work]
    is_forkable: bool = True

    def load(self) -> Any:
        return self.factory(print)

    def __call__(self, ask: Ask) -> Work:
        raise AssertionError("nothing to work with")


@dataclass(frozen=True)
class SlowShare(BadShare):
    """Work whose shared part is loaded for minutes, after ``loading`` has appeared in ``folder``."""

    folder: Path = Path()

    def load(self) -> Any:
        (self.folder / "loading").touch()
        time.sleep(1000)


def endless_items(taken: list[str]) -> Iterator[str]:
    """``item0``, ``item1``, ... without end; those that were taken are added to the list."""
    for number in itertools.count():
        taken.append(f"item{number}")
        yield taken[-1]


def refuses(ask: Ask) -> Work:
    """A worker that cannot be made."""
    raise ConfigError("these settings are wrong")


def dies(ask: Ask) -> Work:
    """A worker that dies while it is made."""
    os._exit(3)


@dataclass(frozen=True)
class Asking:
    """Work that asks the service three times for the square of each item's number, sending a large array."""

    def __call__(self, ask: Ask) -> Work:
        def work(item: Any, sign: Sign) -> int | None:
            number = item if isinstance(item, int) else 0
            frames = np.full((50, 40, 40, 3), number, np.uint8)
            replies = [ask((item, frames)) for _ in range(3)]
            # Any server may answer, always for this request.
            assert all((reply["sum"] == number * frames.size).all() for reply in replies)
            frames[:] = 0
            return number * number if [reply["square"] for reply in replies] == 3 * [number * number] else None

        return work


@dataclass(frozen=True)
class Squares:
    """A service that leaves a file for each answer, named by the times of its begin and end."""

    folder: Path
    slow_seconds: float = 0.0

    def __call__(self, number: int) -> Ask:
        return self.answer

    def answer(self, request: Any) -> dict[str, Any]:
        item, frames = request
        begun = time.monotonic()
        first = not any(self.folder.glob(f"lost-{item}-*"))
        if isinstance(item, str) and (item.startswith("kills") or (item.startswith("once") and first)):
            (self.folder / f"lost-{item}-{time.monotonic_ns()}").touch()
            os._exit(9)
        if item == "refused":
            raise VideoError("such boxes are none")
        if item == "odd" and first:
            (self.folder / f"lost-{item}-{time.monotonic_ns()}").touch()
            raise _OddError(1, 2)
        if item == "hangs" or (item == "hangs once" and first):
            (self.folder / f"lost-{item}-{time.monotonic_ns()}").touch()
            time.sleep(1000)
        time.sleep(self.slow_seconds)
        number = item if isinstance(item, int) else 0
        (self.folder / f"{item}-{os.getpid()}-{begun}-{time.monotonic()}").touch()
        return {"square": number * number, "sum": np.full(20_000, int(frames.sum()), np.int64)}


def no_service(number: int) -> Ask:
    """A service that cannot be made."""
    raise ConfigError("there is no such network")


def dead_service(number: int) -> Ask:
    """A service that dies while it is made."""
    os._exit(5)
