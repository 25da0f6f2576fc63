"""What a live run measures of each source: keyframes, drops, and the lag of the last thousand."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from ava_detect.video.live.status import SourceStatus, State

_REMEMBERED = 1000


@dataclass(frozen=True)
class LiveStatus:
    """How a source is doing.

    Attributes:
        name: The source's name.
        state: ``connecting``, ``running``, ``lost`` (it is tried again), ``ended`` or ``failed`` (it is not).
        reason: Why it is lost, has ended or failed; empty where it runs.
        width: Width of its pictures, pixels; 0 before the first.
        height: Height of its pictures, pixels.
        is_dark: Whether its picture is black.
        num_connections: Number of connections so far.
        num_frames: Number of decoded frames.
        num_keyframes: Number of keyframes whose rows are out.
        num_dropped: Number of keyframes that were left out because the network was busy.
        damaged_packets: Number of packets that came with gaps, could not be read or decoded, or gave a damaged picture.
        time_jumps: Number of jumps and restarts of the presentation times.
        catch_ups: How often frames had to be left out to be at the newest ones again.
        lag_median_seconds: Median of the last 1000 lags, from frame seen to rows out; None before the first.
        lag_p99_seconds: Their 99th percentile.
    """

    name: str
    state: State
    reason: str
    width: int
    height: int
    is_dark: bool
    num_connections: int
    num_frames: int
    num_keyframes: int
    num_dropped: int
    damaged_packets: int
    time_jumps: int
    catch_ups: int
    lag_median_seconds: float | None
    lag_p99_seconds: float | None


class Measures:
    """The keyframes of one source.

    Attributes:
        num_keyframes: Number of keyframes so far.
    """

    def __init__(self) -> None:
        self.num_keyframes = 0
        self._lags: deque[float] = deque(maxlen=_REMEMBERED)

    def add(self, lag_seconds: float) -> None:
        """Note a keyframe.

        Args:
            lag_seconds: Time from its arrival until its rows were ready.
        """
        self.num_keyframes += 1
        self._lags.append(lag_seconds)

    def status(self, source: SourceStatus, num_dropped: int) -> LiveStatus:
        """Return how the source is doing.

        Args:
            source: The state of its reading.
            num_dropped: Number of keyframes that were left out.
        """
        lags, counts = list(self._lags), source.counts
        return LiveStatus(
            source.name,
            source.state,
            source.reason,
            source.width,
            source.height,
            source.is_dark,
            source.num_connections,
            counts.frames,
            self.num_keyframes,
            num_dropped,
            counts.damaged_packets,
            counts.time_jumps,
            counts.catch_ups,
            float(np.median(lags)) if lags else None,
            float(np.percentile(lags, 99)) if lags else None,
        )
