"""Work without videos: an item says what becomes of the process that gets it."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from ava_detect.errors import ConfigError, StoreError, VideoError


@dataclass(frozen=True)
class Stub:
    """``folder``: where each try leaves a file."""

    folder: Path
    slow_seconds: float = 0.0

    def __call__(self):
        return self.work

    def work(self, item: str, sign):
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
    def __init__(self, one, two):
        super().__init__("one of a library's own")


def refuses():
    """A worker that cannot be made."""
    raise ConfigError("these settings are wrong")


def dies():
    """A worker that dies while it is made."""
    os._exit(3)
