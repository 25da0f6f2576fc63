"""The times of a stream's frames, from their presentation times and from when they arrive.

Presentation times have the right distances but an unknown start, and cameras reset them; arrival times are shifted by
the network. So the first frame of a connection is placed by its arrival, and each frame after it by its presentation
time, as long as these go on as they can:

- a step back of more than a tenth of a second is a restart;
- a step forwards of more than 10 s (FFmpeg's limit, as in ``video/clock.py``) that did not take at least half that time
  to arrive is a jump.

After either, the frame is placed by its arrival again. Where a stream has no presentation times, frames are placed by
their arrival. Times always increase, and go on over connections.
"""

from __future__ import annotations

_MAX_STEP_BACK, _MAX_STEP = 0.1, 10.0
# Of a frame whose time did not increase: half of the shortest usual distance.
_SMALLEST_STEP = 0.005


class StreamClock:
    """Gives the frames of one source, over all of its connections, their times.

    Attributes:
        num_jumps: Number of jumps and restarts of the presentation times inside connections.
        last_seconds: Time of the last frame; None before the first.
    """

    def __init__(self) -> None:
        self.num_jumps = 0
        self.last_seconds: float | None = None
        self._origin: float | None = None  # arrival of the very first frame
        self._last_arrival = 0.0
        self._last_pts: float | None = None

    def reconnected(self) -> None:
        """Note that the next frame is the first one of a new connection."""
        self._last_pts = None

    def seconds(self, pts_seconds: float | None, arrival_seconds: float) -> float:
        """Return the time of the next frame.

        Args:
            pts_seconds: Its presentation time on the stream's own clock; None if it has none.
            arrival_seconds: When it arrived, on a clock of this machine that only goes forwards.

        Returns:
            Seconds from the source's first frame.
        """
        if self._origin is None or self.last_seconds is None:
            self._origin = arrival_seconds
            seconds = 0.0
        elif pts_seconds is None or self._last_pts is None:
            seconds = arrival_seconds - self._origin
        else:
            step, arrival_step = pts_seconds - self._last_pts, arrival_seconds - self._last_arrival
            if step < -_MAX_STEP_BACK or (step > _MAX_STEP and arrival_step < step / 2):
                self.num_jumps += 1
                step = arrival_step
            seconds = self.last_seconds + step
        if self.last_seconds is not None:
            seconds = max(seconds, self.last_seconds + _SMALLEST_STEP)
        self.last_seconds, self._last_arrival, self._last_pts = seconds, arrival_seconds, pts_seconds
        return seconds
