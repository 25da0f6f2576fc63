"""One connection to a live source: from opening it to the frame after which nothing comes any more.

A connection gives *stretches*: runs of frames of one size. Clips do not reach over the end of a stretch, as they do not
reach over the end of a file; what is missing is padded.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self

import av
import av.error
from av.container import InputContainer
from av.stream import Disposition
from av.video.reformatter import VideoReformatter

from ava_detect.video.clock import Clock
from ava_detect.video.live.catch_up import CatchUp
from ava_detect.video.live.opening import LostError, open_source, reason_of
from ava_detect.video.live.source import LiveSource
from ava_detect.video.live.stream_clock import StreamClock
from ava_detect.video.orientation import Orientation
from ava_detect.video.reader import DecodedFrame, VideoInfo, describe_video

_MAX_READ_ERRORS_IN_A_ROW = 64
# Formats whose packets have no time of the camera: FFmpeg counts them at 25 a second.
_WITHOUT_TIMES = frozenset({"mpjpeg", "mjpeg", "image2pipe", "jpeg_pipe"})

_NO_KEYFRAME = (
    ": packets came, but no keyframe of the codec; have the camera send one every 1 or 2 s, or wait longer for it "
    "(`lost_seconds`)"
)

# A decoded frame and its time.
_Timed = tuple[av.VideoFrame, float]


@dataclass
class StreamCounts:
    """What the reading of one source met, over all of its connections.

    Attributes:
        frames: Number of decoded frames.
        damaged_packets: Number of packets that came with gaps, could not be read or decoded, or gave a damaged picture.
        time_jumps: Number of jumps and restarts of the presentation times.
        catch_ups: How often frames had to be left out to be at the newest ones again.
    """

    frames: int = 0
    damaged_packets: int = 0
    time_jumps: int = 0
    catch_ups: int = 0


class Stretch:
    """Frames of one size from one connection; ``ClipSampler`` reads it as it reads a file.

    Args:
        info: The properties of the frames.
        start_seconds: Time of the first frame.
        frames: The frames.

    Attributes:
        info: The properties of the frames.
        start_seconds: Time of the first frame.
        end_seconds: End of the last frame that has come.
    """

    def __init__(self, info: VideoInfo, start_seconds: float, frames: Iterator[DecodedFrame]) -> None:
        self.info = info
        self.start_seconds = self.end_seconds = start_seconds
        self._frames = frames

    def decode(self, from_seconds: float = 0.0) -> Iterator[DecodedFrame]:
        """Yield the frames as they arrive; none is left out.

        Args:
            from_seconds: Not used: what is past cannot be read again.
        """
        last, distance = self.start_seconds, 1 / self.info.average_fps
        for frame in self._frames:
            now = frame.timestamp_seconds
            distance = now - last or distance
            last, self.end_seconds = now, now + distance
            yield frame


class Connection:
    """An open source; a context manager.

    Args:
        source: The source.
        clock: The source's clock.
        counts: Counts what is met.
        lost_seconds: Longest time without a frame.
        num_threads: Number of decoder threads.

    Attributes:
        is_finite: Whether it has an end, after which there is nothing to connect to.

    Raises:
        LostError: It cannot be opened.
    """

    def __init__(
        self, source: LiveSource, clock: StreamClock, counts: StreamCounts, *, lost_seconds: float, num_threads: int = 1
    ) -> None:
        self._clock, self._counts, self._lost_seconds = clock, counts, lost_seconds
        self._container = open_source(source, lost_seconds)
        try:
            self._stream = _film_of(self._container, num_threads)
        except LostError:
            self._container.close()
            raise
        has_end = self._container.duration is not None and self._container.duration > 0
        is_web, format_name = source.scheme in ("http", "https"), self._container.format.name
        self.is_finite = source.kind == "pipe" or (is_web and has_end)
        # What is sent as fast as it is read is read at the speed of its own clock.
        self._is_paced = self.is_finite or (is_web and format_name.startswith(("hls", "dash")))
        self._has_times = format_name not in _WITHOUT_TIMES
        self._has_begun = False
        self._catch_up = CatchUp()
        clock.reconnected()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.close()

    def stretches(self, stop: threading.Event) -> Generator[Stretch, None, None]:
        """Yield the stretches; each must be read to its end.

        Args:
            stop: Set to end the connection.

        Raises:
            LostError: Nothing comes any more, unless this is the end of a finite source.
        """
        frames = self._frames(stop)
        # The first frame of another size, from the stretch before it.
        other: list[_Timed] = []
        while True:
            first = other.pop() if other else next(frames, None)
            if first is None:
                return
            yield Stretch(self._describe(first[0]), first[1], _of_one_size(first, frames, other.append))

    def _describe(self, first: av.VideoFrame) -> VideoInfo:
        clock = Clock.of(self._container, self._stream).starting_with(self._stream, first)
        info = describe_video(self._container, self._stream, first, clock, Orientation.of(first))
        return replace(info, duration_seconds=None)

    def _frames(self, stop: threading.Event) -> Generator[_Timed, None, None]:
        """The frames when they are due, with their times."""
        clock, counts = self._clock, self._counts
        due_at_0: float | None = None
        for frame in self._decoded(stop):
            arrival, num_jumps = time.monotonic(), clock.num_jumps
            pts = None if frame.pts is None or frame.time_base is None else float(frame.pts * frame.time_base)
            seconds = clock.seconds(pts if self._has_times else None, arrival)
            if clock.num_jumps > num_jumps:
                # Delays before and after a jump cannot be compared.
                self._catch_up, due_at_0 = CatchUp(), None
                counts.time_jumps += 1
            if self._is_paced:
                due_at_0 = arrival - seconds if due_at_0 is None else due_at_0
                if stop.wait(max(0.0, due_at_0 + seconds - arrival)):
                    return
            elif self._has_times and pts is not None:
                num_times = self._catch_up.num_times
                self._stream.codec_context.skip_frame = self._catch_up.update(pts, arrival)
                counts.catch_ups += self._catch_up.num_times - num_times
            yield frame, seconds

    def _decoded(self, stop: threading.Event) -> Iterator[av.VideoFrame]:
        """The frames of the stream; ``LostError`` where none comes for too long, or the connection ends."""
        packets, errors_in_a_row, last = self._container.demux(), 0, time.monotonic()
        while not stop.is_set():
            try:
                packet = next(packets)
            except (StopIteration, av.error.EOFError):
                if self.is_finite:
                    return
                raise LostError("the stream ended") from None
            except av.error.InvalidDataError as error:
                # A failed read ends the generator but not the stream.
                self._counts.damaged_packets += 1
                errors_in_a_row += 1
                if errors_in_a_row > _MAX_READ_ERRORS_IN_A_ROW:
                    raise LostError(reason_of(error)) from None
                packets = self._container.demux()
                continue
            except (av.error.ExitError, TimeoutError):
                raise LostError(f"no answer for {self._lost_seconds:g} s") from None
            except (av.error.FFmpegError, OSError) as error:
                raise LostError(f"the connection broke off ({reason_of(error)})") from None
            errors_in_a_row = 0
            if packet.stream.index == self._stream.index:
                self._counts.damaged_packets += packet.is_corrupt
                for frame in self._decode(packet):
                    last = time.monotonic()
                    yield frame
            # Sound may go on, or packets of a codec that has changed.
            if time.monotonic() - last > self._lost_seconds:
                raise LostError(f"no picture for {self._lost_seconds:g} s" + ("" if self._has_begun else _NO_KEYFRAME))

    def _decode(self, packet: Any) -> list[av.VideoFrame]:
        # What comes before the first keyframe of the codec cannot be decoded, and is not damaged.
        self._has_begun |= packet.is_keyframe
        if packet.is_keyframe and packet.pts is not None and self._catch_up.skip == "NONKEY":
            seconds = float(packet.pts * packet.time_base)
            self._stream.codec_context.skip_frame = self._catch_up.at_keyframe(seconds, time.monotonic())
        try:
            frames = [frame for frame in packet.decode() if isinstance(frame, av.VideoFrame)]
        except av.error.FFmpegError:
            self._counts.damaged_packets += self._has_begun and not packet.is_corrupt
            return []
        # A network that loses packets, such as RTP over UDP, leaves a mark on the pictures only.
        self._counts.damaged_packets += not packet.is_corrupt and any(frame.is_corrupt for frame in frames)
        return frames


def _of_one_size(
    first: _Timed, frames: Iterator[_Timed], give_back: Callable[[_Timed], None]
) -> Iterator[DecodedFrame]:
    """Frames of the size of the first; the first one of another size is given back."""
    width, height = first[0].width, first[0].height
    orientation = Orientation.of(first[0])
    reformatters: dict[tuple[int, int], VideoReformatter] = {}
    yield DecodedFrame(*first, orientation, reformatters)
    for frame, seconds in frames:
        if (frame.width, frame.height) != (width, height) or Orientation.of(frame) != orientation:
            give_back((frame, seconds))
            return
        yield DecodedFrame(frame, seconds, orientation, reformatters)


def _film_of(container: InputContainer, num_threads: int) -> av.VideoStream:
    """The stream of the largest pictures, ready to be decoded."""
    streams = [
        stream
        for stream in container.streams.video
        if stream.codec_context is not None and not stream.disposition & Disposition.attached_pic
    ]
    if not streams:
        kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
        raise LostError(f"it holds no picture that can be decoded, only {kinds}; give the address of its video")
    stream = max(streams, key=lambda stream: stream.width * stream.height)
    stream.thread_type = "AUTO"
    stream.codec_context.thread_count = num_threads
    return stream
