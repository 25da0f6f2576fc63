"""Whether a reader falls behind its stream, and which frames it leaves out to be at the newest ones again.

A frame's delay is its arrival minus its presentation time. The smallest delay is that of a reader which is not behind;
what a frame has beyond it, it spent in buffers. The smallest delay is forgotten slowly, because clocks drift apart.

While only the codec's keyframes are decoded, a decoder that puts frames in order gives each of them when the next one
comes, seconds later. So it is the packets of keyframes that tell whether the reader is at the newest ones again.
"""

from __future__ import annotations

import math
from typing import Literal

Skip = Literal["DEFAULT", "NONREF", "NONKEY"]

# Seconds behind from which on frames that no other frame needs are left out, from which on all but the codec's
# keyframes are, and below which all are decoded again.
_SKIP_SOME_SECONDS, _SKIP_MOST_SECONDS, _CAUGHT_UP_SECONDS = 1.5, 4.0, 0.5
# More than any two clocks drift apart.
_DRIFT = 0.001


class CatchUp:
    """Follows the frames of one connection.

    Attributes:
        skip: What FFmpeg's decoder leaves out (``skip_frame``).
        num_times: How often frames had to be left out.
    """

    def __init__(self) -> None:
        self.skip: Skip = "DEFAULT"
        self.num_times = 0
        self._smallest: float | None = None
        self._last_arrival = 0.0
        self._caught_up_from = -math.inf

    def update(self, seconds: float, arrival_seconds: float) -> Skip:
        """Note the next frame.

        Args:
            seconds: Its presentation time.
            arrival_seconds: When it left the decoder, on a clock of this machine.

        Returns:
            What to leave out from now on.
        """
        delay = arrival_seconds - seconds
        if self._smallest is not None:
            self._smallest += _DRIFT * (arrival_seconds - self._last_arrival)
        self._smallest = delay if self._smallest is None else min(self._smallest, delay)
        self._last_arrival = arrival_seconds
        if seconds < self._caught_up_from:
            return self.skip
        behind = delay - self._smallest
        if behind > _SKIP_MOST_SECONDS:
            wanted: Skip = "NONKEY"
        elif behind > _SKIP_SOME_SECONDS:
            wanted = "NONREF" if self.skip == "DEFAULT" else self.skip
        else:
            wanted = "DEFAULT" if behind < _CAUGHT_UP_SECONDS else self.skip
        self.num_times += self.skip == "DEFAULT" and wanted != "DEFAULT"
        self.skip = wanted
        return wanted

    def at_keyframe(self, seconds: float, arrival_seconds: float) -> Skip:
        """Note the packet of a keyframe of the codec, before it is decoded.

        Args:
            seconds: Its presentation time.
            arrival_seconds: When it was read, on a clock of this machine.

        Returns:
            What to leave out from it on.
        """
        if self.skip == "NONKEY" and self._smallest is not None:
            behind = arrival_seconds - seconds - self._smallest
            if behind < _CAUGHT_UP_SECONDS:
                # The frames before it are still to come from the decoder, late.
                self.skip, self._caught_up_from = "DEFAULT", seconds
        return self.skip
