"""Says, now and then, how many keyframes were left out and what would suit the machine."""

from __future__ import annotations

import time

from ava_detect.inference.live.keyframe import LiveKeyframe

_FIRST_SECONDS, _LATER_SECONDS = 10.0, 300.0


class Drops:
    """The drops of one source. The first are told after ten seconds, later ones every five minutes.

    Args:
        source: The source's name.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._since = time.monotonic()
        self._wait = _FIRST_SECONDS
        self._num_dropped = self._num_done = 0

    def update(self, keyframe: LiveKeyframe) -> str:
        """Note a keyframe.

        Args:
            keyframe: The keyframe.

        Returns:
            A sentence on the last seconds; empty where nothing is to be told.
        """
        self._num_dropped += keyframe.num_dropped
        self._num_done += 1
        seconds = time.monotonic() - self._since
        if seconds < self._wait:
            return ""
        dropped, done = self._num_dropped, self._num_done
        self._since, self._num_dropped, self._num_done = time.monotonic(), 0, 0
        if not dropped:
            return ""
        self._wait = _LATER_SECONDS
        return (
            f"{self._source}: {dropped:,} of {dropped + done:,} keyframes were left out in the last {seconds:.0f} s, "
            f"because the network was busy; it manages one every {seconds / done:.1f} s"
        )
