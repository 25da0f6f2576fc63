"""How many worker processes suit this machine."""

from __future__ import annotations

import os

from ava_detect.annotation.engines.fork_server import can_fork
from ava_detect.environment import usable_cores

# A network of the size of R101 with its clips fits; a fork shares its libraries and weights with the first.
_FIRST_WORKER_BYTES = 3 << 30
_FORKED_WORKER_BYTES = 1 << 30


def sensible_workers(num_videos: int, device: str) -> int:
    """Return the number of worker processes for ``workers="auto"``, at least 1.

    On a CPU one per core, since single threads do not wait for each other, as far as memory goes: 3 GiB for the first
    and 1 GiB for each other where workers are forked (on Linux), else 3 GiB each. On a GPU, which all share, one per 4
    cores and at most 4, since they only decode.

    Args:
        num_videos: Number of videos; more workers than videos would be idle.
        device: ``cpu`` or ``cuda``.
    """
    most = min(usable_cores(), _fitting_into_memory()) if device == "cpu" else min(usable_cores() // 4, 4)
    return max(1, min(num_videos, most))


def _fitting_into_memory() -> int:
    if not hasattr(os, "sysconf"):
        return 1
    left = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") - _FIRST_WORKER_BYTES
    return 1 + left // (_FORKED_WORKER_BYTES if can_fork() else _FIRST_WORKER_BYTES)
