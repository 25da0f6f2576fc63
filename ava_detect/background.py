"""Making things in a thread ahead of their use, at most so many at a time.

For work that lets other threads run meanwhile: FFmpeg, ONNX Runtime and PyTorch all do.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator
from typing import TypeVar

T = TypeVar("T")


class _Failure:
    def __init__(self, error: BaseException) -> None:
        self.error = error


class _End:
    pass


def in_background(items: Generator[T, None, None], depth: int) -> Generator[T, None, None]:
    """The same items in the same order, made by a thread of their own.

    At most ``depth`` are being made or wait to be taken, so a slow consumer stops the maker. What ``items`` raises is
    raised here, after the items before it. Closing this generator ends the thread, which closes ``items``, and waits
    until it has; the thread starts with the first ``next``.
    """
    made: queue.SimpleQueue[T | _Failure | _End] = queue.SimpleQueue()
    free = threading.Semaphore(depth)
    closed = threading.Event()

    def make() -> None:
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
    maker.start()
    try:
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
        maker.join()
