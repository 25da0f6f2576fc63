"""Work in a child process under a watchdog: whatever an item does to the child, this process goes on and knows why.

A video can crash a decoder, fill the memory or hang; none of that can be caught inside the process where it happens.
The child's side is ``child_process.py``.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from functools import partial
from multiprocessing.connection import Connection
from typing import Any, Generic, Protocol

import psutil

from ava_detect.annotation.engines import child_process, messages
from ava_detect.annotation.engines.base import Ask, Heartbeat, Item, Limits, Result, Stopped, WorkFactory
from ava_detect.errors import AvaDetectError, MissingDependencyError, StoreError, message_of
from ava_detect.inference.background import Background
from ava_detect.storage.scratch import remove_abandoned_folders

_POLL_SECONDS = 0.2
# Starting reads libraries and weights from disks that other processes use as well.
_STARTING = Limits(stall_seconds=1800.0, total_seconds=1800.0)
_Message = tuple[str, Any]


class Child(Protocol):
    """A child process, as ``multiprocessing.Process`` is one."""

    @property
    def pid(self) -> int | None: ...  # noqa: D102

    @property
    def exitcode(self) -> int | None: ...  # noqa: D102

    def is_alive(self) -> bool: ...  # noqa: D102

    def kill(self) -> None: ...  # noqa: D102

    def join(self) -> None: ...  # noqa: D102


# Starts a process that answers at the other end of the pipe.
StartChild = Callable[[Connection], Child]


def _no_servers(request: Any) -> Any:
    raise Stopped("the work sent a request, and this run has no servers", again=False)


class WatchedProcess(Generic[Item, Result]):
    """One worker in a process of its own, started again after every item that ended it.

    Args:
        work_factory: Makes the work in the child process.
        limits: When an item is stopped.
        ask: Answers the requests of the work, one at a time, in a thread of its own; None where there is no service.
        start_child: Starts the process that has the work; None for a new interpreter, which shares no memory.
    """

    def __init__(
        self,
        work_factory: WorkFactory[Item, Result],
        limits: Limits,
        ask: Ask | None = None,
        start_child: StartChild | None = None,
    ) -> None:
        self._start_child = start_child or partial(_spawn, work_factory)
        self._limits = limits
        self._ask = ask or _no_servers
        # Otherwise multiprocessing would wait for the child when the interpreter ends.
        self._background = Background(self.interrupt)
        self._process: Child | None = None
        self._pipe: Connection | None = None
        # The thread that closes may be another than the one that waits for a result.
        self._lock = threading.Lock()
        self._closed = False

    def start(self) -> None:
        """Start the child process, unless it runs.

        Raises:
            Stopped: The child died while it started.
            Exception: What ``work_factory`` raises.
        """
        if self._process is not None and self._process.is_alive():
            return
        self.end()
        self._background.begin()
        ours, theirs = multiprocessing.Pipe()
        with self._lock, theirs:
            if self._closed:
                raise Stopped("the run has ended", again=False)
            self._process, self._pipe = self._start_child(theirs), ours
        kind, value = self._wait(_STARTING, None)
        if kind == "error":
            raise value

    def __call__(self, item: Item, on_heartbeat: Heartbeat | None = None) -> Result:
        """Run the work on one item.

        Args:
            item: The item.
            on_heartbeat: Given the heartbeats of the work.

        Returns:
            The result.

        Raises:
            Stopped: There is no result; it says why.
        """
        self.start()
        self._send(("item", item))
        kind, value = self._wait(self._limits, on_heartbeat)
        if kind == "error":
            raise Stopped(message_of(value), again=isinstance(value, StoreError | MemoryError))
        result: Result = value
        return result

    def end(self) -> None:
        """End the child; the next item starts another."""
        with self._lock:
            process, pipe, self._process, self._pipe = self._process, self._pipe, None, None
        if process is not None:
            process.kill()
            process.join()
            remove_abandoned_folders()
        if pipe is not None:
            pipe.close()

    def interrupt(self) -> None:
        """End the child and start no other; from any thread. The thread that waits for a result gets ``Stopped``."""
        with self._lock:
            self._closed = True
            process = self._process
        if process is not None:
            process.kill()

    def close(self) -> None:
        """End the child and release what it held; for the thread that waits for results."""
        self._background.close()
        self.end()

    def _send(self, message: _Message) -> None:
        assert self._pipe is not None, "a started child has a pipe"
        with contextlib.suppress(OSError):  # The child has died: ``_wait`` finds out why.
            messages.send(self._pipe, message)

    def _wait(self, limits: Limits, on_heartbeat: Heartbeat | None) -> _Message:
        """The child's answer; the child is killed where it exceeds a limit."""
        assert self._pipe is not None
        started = heard = time.monotonic()
        while True:
            try:
                if self._pipe.poll(_POLL_SECONDS):
                    kind, value = messages.receive(self._pipe)
                    heard = time.monotonic()
                    if kind == "ask":
                        self._answer(value, limits)
                        # Time spent waiting for servers does not count.
                        started += time.monotonic() - heard
                        heard = time.monotonic()
                    elif kind != "heartbeat":
                        return kind, value
                    elif on_heartbeat is not None:
                        on_heartbeat(value)
            except (EOFError, OSError):
                raise self._death() from None
            now = time.monotonic()
            if now - heard > limits.stall_seconds:
                self._stop(f"it hung: no heartbeat in {limits.stall_seconds:g} s")
            if now - started > limits.total_seconds:
                self._stop(f"it took longer than the {limits.total_seconds:g} s that one may take")
            self._watch_memory(limits)

    def _answer(self, request: Any, limits: Limits) -> None:
        """Answer a request of the child, which may go on with its item meanwhile and stays under the watchdog."""
        answer: Future[Any] = Future()

        def ask() -> None:
            try:
                answer.set_result(self._ask(request))
            except BaseException as error:  # Raised again below.
                answer.set_exception(error)

        # Nothing waits for this thread: a server may be stuck in what the child asked.
        threading.Thread(target=ask, daemon=True, name="ava-detect asking").start()
        while not wait([answer], _POLL_SECONDS).done:
            if self._closed:
                raise self._death()
            self._watch_memory(limits)
        try:
            self._send(("answer", answer.result()))
        except (AvaDetectError, MissingDependencyError) as error:
            self._send(("error", error))
        except Stopped:
            self.end()
            raise

    def _watch_memory(self, limits: Limits) -> None:
        if limits.memory_bytes is None or self._process is None:
            return
        held = 0
        with contextlib.suppress(psutil.Error):  # The child has just ended; reading its pipe finds out.
            held = psutil.Process(self._process.pid).memory_info().rss
        if held > limits.memory_bytes:
            self._stop(f"it took {held >> 20} MiB of memory, and {limits.memory_bytes >> 20} MiB is the limit")

    def _stop(self, reason: str) -> None:
        self.end()
        raise Stopped(reason)

    def _death(self) -> Stopped:
        process = self._process
        self.end()
        code = None if process is None else process.exitcode
        if code is not None and code < 0:
            with contextlib.suppress(ValueError):
                name = signal.Signals(-code).name
                hint = ", or the system ran out of memory" if name == "SIGKILL" else ""
                return Stopped(f"the process that read it died (signal {name}{hint})")
        return Stopped(f"the process that read it died (exit code {code})")


def _spawn(work_factory: WorkFactory[Any, Any], pipe: Connection) -> Child:
    """Start a new interpreter with the work."""
    # Not a daemon in the sense of multiprocessing: the work may have children of its own.
    process = multiprocessing.get_context("spawn").Process(
        target=child_process.run, args=(pipe, work_factory), name="ava-detect worker"
    )
    with _interrupts_blocked():
        process.start()
    return process


@contextlib.contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Start processes in this context that ignore Ctrl-C; this process ends them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
