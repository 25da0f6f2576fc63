"""Freed memory goes back to the system: while a long video is annotated, and before processes share memory."""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Callable

INTERVAL_SECONDS = 1.0


class FreedMemory:
    """Returns what the C library has freed but keeps, every second at most.

    The GNU C library gives the system only what lies at the end of its heaps. Feature maps of several megabytes that
    come and go in several threads leave more and more holes before the end, and a process that holds the same all the
    time takes more memory from minute to minute; workers hold 50 MiB more each where it is done every ten seconds. A
    call takes milliseconds. Other C libraries are left alone.
    """

    def __init__(self) -> None:
        self._due_seconds = time.monotonic() + INTERVAL_SECONDS

    def give_back(self) -> bool:
        """Give free memory back to the system, if the last time is long enough ago.

        Returns:
            Whether it was time, and the C library can.
        """
        now = time.monotonic()
        if now < self._due_seconds:
            return False
        self._due_seconds = now + INTERVAL_SECONDS
        return give_back_freed_memory()


def give_back_freed_memory() -> bool:
    """Give free memory back to the system now.

    Returns:
        Whether the C library can.
    """
    trim = _malloc_trim()
    if trim is not None:
        trim(0)
    return trim is not None


def _malloc_trim() -> Callable[[int], int] | None:
    if sys.platform != "linux":
        return None
    return getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
