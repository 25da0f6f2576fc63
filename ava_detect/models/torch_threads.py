"""PyTorch's number of threads in single threads of this process, and independent work with one thread each."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import torch

R = TypeVar("R")


def set_threads_here(num_threads: int, of_process: int) -> None:
    """Set PyTorch's number of threads in the calling thread only.

    Args:
        num_threads: The number here, at least 1.
        of_process: The number in the rest of the process.
    """
    # A thread reads the process's number when it first needs one, even if it has set its own before.
    torch.get_num_threads()
    torch.set_num_threads(num_threads)
    # Setting it also changes the number for threads that have not computed yet: another thread restores that.
    restoring = threading.Thread(target=torch.set_num_threads, args=(of_process,))
    restoring.start()
    restoring.join()


def run_one_thread_each(calls: Iterable[Callable[[], R]]) -> list[R]:
    """Make independent calls in parallel, as many at once as PyTorch has threads, each with one of them.

    Many small steps in parallel take less time than one after the other with several threads, which wait for each
    other at every step; most of all where other programs want the cores as well.

    Args:
        calls: The calls.

    Returns:
        Their results, in order.
    """
    num_threads = torch.get_num_threads()
    with ThreadPoolExecutor(num_threads, "ava-detect fold", partial(set_threads_here, 1, num_threads)) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]
