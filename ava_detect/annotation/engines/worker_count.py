"""How many worker processes suit this machine."""

from __future__ import annotations

import os

from ava_detect.environment import usable_cores

_WORKER_BYTES = 3 << 30


def sensible_workers(num_videos: int, device: str) -> int:
    """Return the number of worker processes for ``workers="auto"``, at least 1.

    On a CPU one per core and per 3 GiB of memory: single threads do not wait for each other, and a network of the size
    of R101 with its clips fits. On a GPU, which all share, one per 4 cores and at most 4, since they only decode.

    Args:
        num_videos: Number of videos; more workers than videos would be idle.
        device: ``cpu`` or ``cuda``.
    """
    if device == "cpu":
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else _WORKER_BYTES
        most = min(usable_cores(), total // _WORKER_BYTES)
    else:
        most = min(usable_cores() // 4, 4)
    return max(1, min(num_videos, most))
