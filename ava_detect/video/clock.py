"""The times of a video's frames, from the time stamps of its packets, also where these jump or are missing.

Time stamps that jump are joined as FFmpeg's own program does it (``ts_discontinuity_detect`` in ``ffmpeg_demux.c``). In
containers that allow jumps (MPEG-TS, MPEG-PS, Ogg), more than 10 s forwards or 0.1 s backwards is a jump; in others 30
hours are. There, FFmpeg believes shorter gaps; here one of more than an hour that makes up most of the declared
duration is a jump too: one broken time stamp, not a picture on display for hours.

AVI stores decoding times only, and counts chunks without a picture (frames that a capture dropped): the n-th picture
has the n-th smallest decoding time of the packets with a picture.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import cast

import av
from av.format import Flags

# Containers without presentation times: their demuxers report decoding times, or none.
_CONTAINERS_WITHOUT_TIMES = frozenset({"avi", "h264", "hevc", "m4v", "mjpeg", "mpegvideo", "obu"})
# Containers whose declared duration counts from 0 and not from their first time stamp.
_DURATION_FROM_ZERO = frozenset({"matroska,webm", "nut", "asf", "wtv"})
_FALLBACK_FPS = Fraction(25)
# FFmpeg's dts_delta_threshold and dts_error_threshold, and its tolerance backwards, in seconds.
_MAX_GAP_WHERE_JUMPS_ARE_ALLOWED, _MAX_STEP_BACK, _MAX_GAP_ELSEWHERE = 10.0, 0.1, 30 * 3600.0
_MIN_BROKEN_GAP = 3600.0
# A file of more than an hour, as it says, with fewer bits is not believed before its packets have been read.
_MIN_BITS_PER_SECOND = 1000


@dataclass(frozen=True)
class Clock:
    """Converts the time stamps of one file to seconds from the start of its video stream.

    Attributes:
        by_order: Whether the container stores no presentation times: frames are timed by their order.
        has_decoding_times: Whether the decoding times of the packets, in order, are the times of the frames (AVI).
        time_base: Seconds per unit of the time stamps; None if there is none.
        origin: The time stamp, in seconds, that counts as 0.
        period: Usual time from frame to frame, in seconds.
        duration_seconds: Duration from ``origin`` on according to the container; None where it has none.
        max_seconds: Frames after this time have a corrupt time stamp; infinite where there is no limit.
        max_gap_seconds: A longer gap between time stamps is a jump.
        max_step_back_seconds: A longer step backwards is a jump.
        allows_jumps: Whether the container's format allows jumps.
        num_indexed: Number of pictures that the index of a complete AVI file lists; 0 if unknown.
    """

    by_order: bool
    has_decoding_times: bool
    time_base: Fraction | None
    origin: float
    period: float
    duration_seconds: float | None
    max_seconds: float
    max_gap_seconds: float
    max_step_back_seconds: float
    allows_jumps: bool
    num_indexed: int

    @classmethod
    def of(cls, container: av.container.InputContainer, stream: av.VideoStream) -> Clock:
        """Derive the clock before anything is decoded.

        Args:
            container: The open container.
            stream: Its video stream.

        Returns:
            The clock; ``starting_with`` completes it.
        """
        declared, start = _declared_seconds(container, stream), _seconds(stream.start_time, stream.time_base)
        is_avi = container.format.name == "avi"
        allows_jumps = bool(container.format.flags & cast(int, Flags.ts_discont.value))
        counts_from_zero = container.format.name in _DURATION_FROM_ZERO and 0 < start < (declared or 0)
        max_gap = _MAX_GAP_ELSEWHERE if declared is None else max(_MIN_BROKEN_GAP, declared / 2)
        return cls(
            by_order=container.format.name in _CONTAINERS_WITHOUT_TIMES,
            has_decoding_times=is_avi,
            time_base=stream.time_base,
            origin=0.0 if is_avi else start,
            period=float(1 / Fraction(stream.guessed_rate or stream.average_rate or _FALLBACK_FPS)),
            duration_seconds=declared - start if declared is not None and counts_from_zero else declared,
            max_seconds=math.inf if allows_jumps or declared is None else 2 * declared + 10,
            max_gap_seconds=_MAX_GAP_WHERE_JUMPS_ARE_ALLOWED if allows_jumps else min(max_gap, _MAX_GAP_ELSEWHERE),
            max_step_back_seconds=_MAX_STEP_BACK if allows_jumps else _MAX_GAP_ELSEWHERE,
            allows_jumps=allows_jumps,
            num_indexed=len(stream.index_entries) if is_avi and stream.duration == stream.frames else 0,
        )

    def starting_with(self, stream: av.VideoStream, first: av.VideoFrame) -> Clock:
        """Complete the clock by the first decoded frame, whose time stamp may be the lowest one, or missing.

        Args:
            stream: The video stream.
            first: The frame.

        Returns:
            The final clock.
        """
        if self.has_decoding_times:
            return self
        if first.pts is None or self.time_base is None:
            period = _seconds(first.duration, first.time_base) or self.period
            return replace(self, by_order=True, period=period)
        start = first.pts if stream.start_time is None else min(first.pts, stream.start_time)
        return replace(self, origin=_seconds(start, self.time_base))

    def seconds(self, frame: av.VideoFrame) -> float | None:
        """Return the presentation time of a frame.

        Args:
            frame: The frame as decoded.

        Returns:
            Seconds from the start of the video stream; None if it has no plausible time.
        """
        if self.by_order or frame.pts is None or frame.time_base is None:
            return None
        seconds = float(frame.pts * frame.time_base) - self.origin
        # A time far beyond the declared end is a corrupt time stamp, not a long pause.
        return None if seconds > self.max_seconds else seconds

    def display_seconds(self, frame: av.VideoFrame) -> float:
        """Return for how long a frame is on display.

        Args:
            frame: The frame as decoded.

        Returns:
            Seconds, above 0.
        """
        duration = 0.0 if self.has_decoding_times else _seconds(frame.duration, frame.time_base)
        return duration if 0 < duration <= self.max_gap_seconds else self.period

    def seek(self, container: av.container.InputContainer, stream: av.VideoStream, seconds: float) -> None:
        """Seek to a keyframe of the codec at or before a time; not if frames are timed by their order.

        Args:
            container: The open container.
            stream: Its video stream.
            seconds: The time from the start of the video stream.
        """
        if seconds > 0 and not self.by_order and stream.time_base is not None:
            container.seek(int((seconds + self.origin) / float(stream.time_base)), stream=stream, backward=True)

    def is_doubtful(self, num_bytes: int) -> bool:
        """Tell whether a file holds too little for the duration that it declares.

        Args:
            num_bytes: Size of the file.

        Returns:
            True for more than an hour of less than 1000 bits per second.
        """
        declared = self.duration_seconds or 0.0
        return declared > _MIN_BROKEN_GAP and num_bytes * 8 < declared * _MIN_BITS_PER_SECOND


class PacketTimes:
    """Follows the time stamps of the packets of one pass: joins jumps, and keeps the decoding times of AVI.

    Args:
        clock: The file's clock; its origin and period need not be final.

    Attributes:
        num_packets: Number of packets with content so far.
        end_seconds: The latest end of a packet so far, in seconds from the time stamp 0, jumps joined.
    """

    def __init__(self, clock: Clock) -> None:
        self.num_packets = 0
        self.end_seconds = 0.0
        self._clock = clock
        self._jumps: list[tuple[float, float]] = []
        self._waiting: list[int] = []
        # In units of the time base from here on.
        self._time_base = clock.time_base or Fraction(1, av.time_base)
        self._max_gap = math.floor(clock.max_gap_seconds / self._time_base)
        self._max_step_back = math.floor(clock.max_step_back_seconds / self._time_base)
        self._shift = 0
        self._last: int | None = None
        self._step = 0  # from packet to packet; 0 before the second one
        self._duration = 0  # of the last packet

    @property
    def jumps(self) -> list[tuple[float, float]]:
        """The jumps so far: the time in seconds from the time stamp 0, and the seconds by which time stamps jump."""
        # No packet follows that would show whether a picture that claims to be on display for hours is.
        is_broken = self._duration > self._max_gap
        return (
            [*self._jumps, (self.end_seconds, _seconds(self._duration, self._time_base))] if is_broken else self._jumps
        )

    @property
    def period_seconds(self) -> float:
        """Seconds from packet to packet: the last step that was no jump, or else the clock's period."""
        return _seconds(self._step, self._time_base) or self._clock.period

    def feed(self, packet: av.Packet[av.VideoStream]) -> None:
        """Note the next packet, before it is decoded; change its time stamps where they have jumped.

        Args:
            packet: The packet, in the order of the file.
        """
        if packet.size:
            self.num_packets += 1
        if self._clock.has_decoding_times:
            if packet.size and packet.dts is not None:
                heapq.heappush(self._waiting, packet.dts)
            return
        if packet.dts is not None:
            self._join(packet, packet.dts + self._shift)
        if packet.pts is None:
            return
        if self._shift:
            packet.pts += self._shift
        if self._last is not None and packet.pts - self._last > self._max_gap:
            # The decoding time says where the packet belongs; only its presentation time is broken.
            self._note_jump(packet.pts - self._last)
            packet.pts = None
        else:
            self.end_seconds = max(self.end_seconds, _seconds(packet.pts + self._usual_duration(), self._time_base))

    def _join(self, packet: av.Packet[av.VideoStream], stamp: int) -> None:
        """Compare a decoding time with that of the packet before, and shift it where it has jumped."""
        if self._last is not None:
            expected = self._last + self._usual_duration()
            if stamp - expected > self._max_gap or stamp < self._last - self._max_step_back:
                self._note_jump(stamp - expected)
                self._shift -= stamp - expected
                stamp = expected
            elif stamp > self._last:
                self._step = stamp - self._last
        if self._shift:
            packet.dts = stamp
        self._last, self._duration = stamp, packet.duration or 0

    def _usual_duration(self) -> int:
        """Return the last step from packet to packet; before the second packet, the first one's duration."""
        known = self._step or (self._duration if self._duration <= self._max_gap else 0)
        return known or max(1, round(self._clock.period / self._time_base))

    def lose(self, packet: av.Packet[av.VideoStream]) -> None:
        """Note that a packet could not be decoded: no frame has its decoding time.

        Args:
            packet: The packet.
        """
        if packet.dts in self._waiting:
            self._waiting.remove(packet.dts)
            heapq.heapify(self._waiting)

    def take_decoding_seconds(self, max_waiting: int) -> float | None:
        """Return the time of the next frame in display order: the smallest decoding time not taken yet.

        Args:
            max_waiting: The most packets that the decoder can hold back. Where more wait, some gave no frame.

        Returns:
            Seconds from the time stamp 0; None if no decoding time is left.
        """
        while len(self._waiting) > max_waiting + 1:
            heapq.heappop(self._waiting)
        return _seconds(heapq.heappop(self._waiting), self._time_base) if self._waiting else None

    def _note_jump(self, by: int) -> None:
        self._jumps.append((self.end_seconds, _seconds(by, self._time_base)))


def average_fps(stream: av.VideoStream, clock: Clock) -> float:
    """Return the average frame rate that agrees with the clock.

    Args:
        stream: The video stream.
        clock: The final clock of the stream.

    Returns:
        Frames per second: pictures over duration where an index lists them (AVI); the clock's rate where frames are
        numbered; else the container's average.
    """
    if clock.num_indexed and clock.duration_seconds:
        return clock.num_indexed / clock.duration_seconds
    if clock.by_order:
        return 1 / clock.period
    average, guessed = stream.average_rate, stream.guessed_rate
    # A demuxer that knows no rate reports one frame per unit of the time stamps (60000 for DV).
    is_unit = average is not None and stream.time_base is not None and average * stream.time_base == 1
    if average and not (is_unit and guessed and guessed < average):
        return float(average)
    return float(guessed or _FALLBACK_FPS)


def _declared_seconds(container: av.container.InputContainer, stream: av.VideoStream) -> float | None:
    if stream.duration is None or stream.time_base is None:
        return container.duration / av.time_base if container.duration else None
    # FFmpeg shortens the duration of a truncated AVI file; the header's number of chunks is what was written.
    units = max(stream.duration, stream.frames) if container.format.name == "avi" else stream.duration
    return float(units * stream.time_base)


def _seconds(stamp: int | None, time_base: Fraction | None) -> float:
    return float(stamp * time_base) if stamp and time_base else 0.0
