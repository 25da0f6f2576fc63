"""The usual distance of a source's keyframes, which grows where the network is too slow for all of them."""

from __future__ import annotations

import statistics
from collections import deque
from itertools import pairwise

_KNOWN = 6


class Spacing:
    """Follows the keyframes of one source.

    Args:
        every_seconds: Their distance where none is dropped.
    """

    def __init__(self, every_seconds: float) -> None:
        self._every_seconds = every_seconds
        self._times: deque[float] = deque(maxlen=_KNOWN)

    def update(self, timestamp_seconds: float, num_dropped: int) -> float:
        """Note the next keyframe.

        Args:
            timestamp_seconds: Its time.
            num_dropped: Number of keyframes that were left out before it.

        Returns:
            The median distance of the last few keyframes; at least as much as those that were left out explain.
        """
        self._times.append(timestamp_seconds)
        distances = [later - earlier for earlier, later in pairwise(self._times)]
        explained = (num_dropped + 1) * self._every_seconds
        return max(explained, statistics.median(distances) if distances else 0.0)
