"""Waiting for other threads and processes, and calls made at the same time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

import pytest


def wait_until(
    condition: Callable[[], object], what: str = "it", *, seconds: float = 120, every_seconds: float = 0.01
) -> None:
    """Return as soon as the condition holds, tried every ``every_seconds``; fail the test after ``seconds``.

    The limit only ends tests that would hang: a busy machine may take long, so it is generous.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"{what} did not happen within {seconds:g} seconds")
        time.sleep(every_seconds)


def run_at_once(calls: Iterable[Callable[[], object]]) -> None:
    """Make each call in a thread of its own, and return when all have ended."""
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
