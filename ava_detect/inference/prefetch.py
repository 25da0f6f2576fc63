"""Work in threads ahead of its use, bounded in number.

For work that releases the interpreter lock: FFmpeg, ONNX Runtime and PyTorch all do.
"""

from __future__ import annotations

import queue
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from typing import TypeVar, cast

from ava_detect.inference.background import Background

T = TypeVar("T")
R = TypeVar("R")


class _Failure:
    def __init__(self, error: BaseException) -> None:
        self.error = error


class _End:
    pass


def prefetch(items: Generator[T, None, None], depth: int) -> Generator[T, None, None]:
    """Yield the items of a generator that runs ahead in a thread of its own.

    What ``items`` raises is raised here, after the items before it. Closing this generator stops the thread, which
    closes ``items``, and waits for both; the thread starts with the first ``next``.

    Args:
        items: The generator to run ahead.
        depth: Number of items that are being made or wait to be taken; a slow consumer stops the thread.

    Yields:
        The same items in the same order.
    """
    yield from start_prefetch(items, depth)


def start_prefetch(items: Generator[T, None, None], depth: int) -> Generator[T, None, None]:
    """Do the same as ``prefetch``, but start the thread now. The result must be closed, also if nothing is taken.

    Args:
        items: The generator to run ahead.
        depth: Number of items that are being made or wait to be taken.

    Returns:
        A generator of the same items in the same order.
    """
    running = _prefetched(items, depth)
    next(running)
    # What is yielded after the start are items.
    return cast(Generator[T, None, None], running)


def _prefetched(items: Generator[T, None, None], depth: int) -> Generator[T | None, None, None]:
    """Yield None once the thread has started, then the items."""
    made: queue.SimpleQueue[T | _Failure | _End] = queue.SimpleQueue()
    free = threading.Semaphore(depth)
    closed = threading.Event()

    # Held by the thread while it uses ``items``.
    using_items = threading.Lock()

    def make() -> None:
        with using_items:
            if closed.is_set():
                return
            try:
                free.acquire()
                for item in items:
                    made.put(item)
                    free.acquire()
                    if closed.is_set():
                        raise _stopped()
                made.put(_End())
            except BaseException as error:  # Raised again where the items are used.
                made.put(_Failure(error))
            finally:
                items.close()

    def stop() -> None:
        closed.set()
        free.release()

    background = Background(stop)
    try:
        # An interrupt may arrive while this waits for a thread that has already started.
        background.start_thread(make, "prefetch")
        yield None
        while True:
            item = made.get()
            if isinstance(item, _End):
                return
            if isinstance(item, _Failure):
                raise item.error
            free.release()
            yield item
    finally:
        background.stop()
        if not sys.is_finalizing():
            with using_items:
                items.close()
        background.close()


def _stopped() -> SystemExit:
    """The error of a consumer in another thread when the interpreter ends, which is not the end of its items."""
    return SystemExit("the interpreter ends")


def ordered_map(
    function: Callable[[T], R], items: Iterator[T], num_threads: int, start_thread: Callable[[], None]
) -> Iterator[R]:
    """Map ``function`` over items in parallel, keeping their order.

    One item more than there are threads is held, so that no thread waits for the consumer to take the last result.
    What ``function`` or ``items`` raises is raised at its position in the order.

    Args:
        function: Called once for each item.
        items: Read by the thread that iterates over the results.
        num_threads: Number of calls at the same time; with 1 they happen in the caller's own thread.
        start_thread: Called first in each new thread.

    Returns:
        The results in the order of the items; with several threads a generator, which waits for running calls when it
        is closed.
    """
    return map(function, items) if num_threads == 1 else _parallel_map(function, items, num_threads, start_thread)


def _parallel_map(
    function: Callable[[T], R], items: Iterator[T], num_threads: int, start_thread: Callable[[], None]
) -> Generator[R, None, None]:
    tasks: queue.SimpleQueue[tuple[T, Future[R]] | None] = queue.SimpleQueue()
    closed = threading.Event()

    def work() -> None:
        is_prepared = False
        while (task := tasks.get()) is not None:
            item, result = task
            try:
                if closed.is_set():
                    raise _stopped()
                if not is_prepared:
                    start_thread()
                    is_prepared = True
                result.set_result(function(item))
            except BaseException as error:  # Raised again where the results are used.
                result.set_exception(error)

    def stop() -> None:
        closed.set()
        for _ in range(num_threads):
            tasks.put(None)

    background = Background(stop)
    waiting: deque[Future[R]] = deque()
    failure: Exception | None = None
    try:
        for _ in range(num_threads):
            background.start_thread(work, "map")
        while True:
            try:
                item = next(items)
            except StopIteration:
                break
            except Exception as error:  # Raised below, after the results of the items before it.
                failure = error
                break
            waiting.append(Future())
            tasks.put((item, waiting[-1]))
            if len(waiting) > num_threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
        if failure is not None:
            raise failure
    finally:
        background.close()
