"""Threads and processes behind an iterator, which end with the iterator or with the interpreter.

An iterator that is still open when the interpreter ends (a loop that was left early, a run in a global variable, the
traceback of an error that holds it) must not keep the process alive. Python itself offers two kinds of threads. It
joins the first kind at exit, before the iterator can tell them to stop. It freezes the second kind, daemons, while they
may hold a lock, for which the iterator's destructor then waits for ever. So these are daemons that are stopped and
joined before they would be frozen, and after that nothing waits for them.
"""

from __future__ import annotations

import atexit

# Imported first: handlers run in reverse order, and multiprocessing's joins the child processes that are ended here.
import multiprocessing.util  # noqa: F401
import sys
import threading
import time
from collections.abc import Callable

# A thread in a network ends with its clip, which may take this long; one that a device blocks may never end.
_EXIT_SECONDS = 20.0


class Background:
    """What runs behind one iterator, or one object that is closed by its owner.

    It is stopped when the interpreter ends, unless it was closed before.

    Args:
        stop: Asks everything that runs to end, and returns at once; called by any thread, and more than once.
    """

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop
        self._threads: list[threading.Thread] = []

    def begin(self) -> None:
        """Have ``stop`` called when the interpreter ends."""
        _running.add(self)

    def start_thread(self, target: Callable[[], None], name: str) -> None:
        """Run a function in a new thread.

        Args:
            target: Returns soon after ``stop`` was called.
            name: The thread's name.
        """
        self.begin()
        thread = threading.Thread(target=target, daemon=True, name=f"ava-detect {name}")
        self._threads.append(thread)
        thread.start()

    def stop(self) -> None:
        """Ask everything that runs to end."""
        self._stop()

    def close(self) -> None:
        """Stop, and wait for the threads; where the interpreter has ended and frozen them, do not wait."""
        self._stop()
        if not sys.is_finalizing():
            self.join(threading.TIMEOUT_MAX)

    def join(self, seconds: float) -> None:
        """Wait for the threads.

        Args:
            seconds: Longest time to wait.
        """
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            # An interrupt can leave a thread here that was never started.
            if thread.is_alive():
                thread.join(max(0.0, deadline - time.monotonic()))
        _running.discard(self)


_running: set[Background] = set()


@atexit.register
def _end() -> None:
    """End everything that is open: first ask all, because threads wait for each other, then wait."""
    still_open = list(_running)
    for background in still_open:
        background.stop()
    deadline = time.monotonic() + _EXIT_SECONDS
    for background in still_open:
        background.join(deadline - time.monotonic())
