"""Waiting for other threads and processes, and calls made at the same time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

import pytest


def wait_until(condition: Callable[[], object], what: str = "it", *, seconds: float = 120) -> None:
    """Return as soon as the condition holds; fail the test after so many seconds.

    The limit only ends tests that would hang: a busy machine may take long, so it is generous.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"{what} did not happen within {seconds:g} seconds")
        time.sleep(0.01)


def run_at_once(calls: Iterable[Callable[[], object]]) -> None:
    """Make each call in a thread of its own, and return when all have ended."""
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
