"""Making things in threads ahead of their use, at most so many at a time.

For work that lets other threads run meanwhile: FFmpeg, ONNX Runtime and PyTorch all do.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
Made = TypeVar("Made")


class _Failure:
    def __init__(self, error: BaseException) -> None:
        self.error = error


class _End:
    pass


def prefetch(items: Generator[T, None, None], depth: int) -> Generator[T, None, None]:
    """The same items in the same order, made by a thread of their own.

    At most ``depth`` are being made or wait to be taken, so a slow consumer stops the maker. What ``items`` raises is
    raised here, after the items before it. Closing this generator ends the thread, which closes ``items``, and waits
    until it has; the thread starts with the first ``next``.
    """
    made: queue.SimpleQueue[T | _Failure | _End] = queue.SimpleQueue()
    free = threading.Semaphore(depth)
    closed = threading.Event()

    # Held by the thread for as long as it has to do with ``items``.
    at_work = threading.Lock()

    def make() -> None:
        with at_work:
            if closed.is_set():
                return
            try:
                free.acquire()
                for item in items:
                    made.put(item)
                    free.acquire()
                    if closed.is_set():
                        return
                made.put(_End())
            except BaseException as error:  # Whatever it is, it is raised again where the items are used.
                made.put(_Failure(error))
            finally:
                items.close()

    # A daemon, so that an interpreter that ends in the middle of a video need not wait for it.
    maker = threading.Thread(target=make, daemon=True, name="ava-detect background")
    try:
        # An interrupt may come while this waits for a thread that is at work already.
        maker.start()
        while True:
            item = made.get()
            if isinstance(item, _End):
                return
            if isinstance(item, _Failure):
                raise item.error
            free.release()
            yield item
    finally:
        closed.set()
        free.release()
        with at_work:
            items.close()
        if maker.is_alive():
            maker.join()


def ordered_map(
    make: Callable[[T], Made], items: Iterator[T], num_threads: int, start_thread: Callable[[], None]
) -> Generator[Made, None, None]:
    """``make`` of each of ``items``, in their order, ``num_threads`` at a time; with one, in the caller's own thread.

    ``start_thread``: what each new thread does first. One item more than there are threads is held, so that none waits
    for the consumer to take the last result. What ``make`` or ``items`` raises is raised in its place in the order.
    Closing this generator waits for what is being made.
    """
    if num_threads == 1:
        yield from map(make, items)
        return
    pool = ThreadPoolExecutor(num_threads, "ava-detect side by side", start_thread)
    waiting: deque[Future[Made]] = deque()
    failure: Exception | None = None
    try:
        while True:
            try:
                waiting.append(pool.submit(make, next(items)))
            except StopIteration:
                break
            except Exception as error:  # Raised below, after what came before it.
                failure = error
                break
            if len(waiting) > num_threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
        if failure is not None:
            raise failure
    finally:
        pool.shutdown(cancel_futures=True)
