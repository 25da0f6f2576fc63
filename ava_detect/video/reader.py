"""Streaming video decoding with PyAV: upright frames with their times, in bounded memory.

Time model: seconds from the start of the video stream, as float. They are presentation times where the container stores
them. Where it stores only decoding times (AVI), the n-th frame has the n-th smallest of these; where it stores none
(raw streams), a frame's time is its number divided by the frame rate. Times always increase: where a container's times
do not, a frame gets the time of the frame before it plus one frame period. Time stamps that jump are joined (see
``clock``).
``tests/video/test_reader.py`` reads files of each kind.

Pixel model: frames are rotated and mirrored as the container's metadata says and stretched to square pixels; width and
height are those that a player shows.

Damaged packets are counted and skipped; decoding continues after them.

Shapes: H height, W width, F frames of the video.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property, lru_cache
from pathlib import Path
from typing import cast

import av
import av.error
import numpy as np
import numpy.typing as npt
from av.video.reformatter import VideoReformatter

from ava_detect.errors import VideoError, counted, shown
from ava_detect.structures import Frame
from ava_detect.video.clock import Clock, PacketTimes, average_fps
from ava_detect.video.container import Damage, choose_stream, decode_frames, open_container
from ava_detect.video.cuts import THUMBNAIL_HEIGHT, THUMBNAIL_WIDTH, Thumbnail
from ava_detect.video.orientation import Orientation
from ava_detect.video.remote import RemoteVideo, as_video_file

# Pixel formats with one byte per pixel in separate Y, U and V planes: their thumbnails need no conversion.
_EIGHT_BIT_PLANAR = frozenset(f"yuv{j}{layout}p" for j in ("", "j") for layout in (420, 422, 444))
# An undamaged file may end a frame earlier or later than its header says; a larger difference is reported.
_SHORTFALL_SECONDS = 0.5


@dataclass(frozen=True)
class VideoInfo:
    """The properties of a video according to its container.

    Attributes:
        width: Frame width, pixels, after rotation and stretching to square pixels.
        height: Frame height, pixels, likewise.
        rotation_degrees: Counter-clockwise rotation from the stored frame, applied in ``width`` and ``height``.
        is_mirrored: Whether the stored frame is mirrored left to right before it is rotated.
        sample_aspect: Width over height of a stored pixel, applied in ``width`` and ``height``.
        average_fps: Average frame rate, frames per second; 25 where the container has none.
        duration_seconds: Duration from the first frame on; None where the container has none. Once a whole pass has
            joined jumps of the time stamps, the duration without them.
        codec: FFmpeg's name of the codec.
        container: FFmpeg's name of the container format.
    """

    width: int
    height: int
    rotation_degrees: int
    is_mirrored: bool
    sample_aspect: float
    average_fps: float
    duration_seconds: float | None
    codec: str
    container: str

    @property
    def unstretched_size(self) -> tuple[int, int]:
        """Width and height of an upright frame in the file's own pixels, which need not be square.

        Programs that cut frames out of a video, such as FFmpeg and OpenCV, turn them upright but do not stretch them.
        """
        is_turned = round(self.rotation_degrees / 90) % 2 == 1
        width, height = (self.height, self.width) if is_turned else (self.width, self.height)
        width, height = round(width / max(self.sample_aspect, 1)), round(height * min(self.sample_aspect, 1))
        return (height, width) if is_turned else (width, height)


def describe_video(
    container: av.container.InputContainer,
    stream: av.VideoStream,
    first: av.VideoFrame,
    clock: Clock,
    orientation: Orientation,
) -> VideoInfo:
    """Collect the properties of a video from its container, its stream and its first frame.

    Args:
        container: The open container.
        stream: Its video stream.
        first: The first decoded frame.
        clock: The final clock of the stream.
        orientation: The steps that make the frames upright.

    Returns:
        The properties.
    """
    # A stream that was opened between two keyframes of the codec has its aspect only once a frame is decoded.
    aspect = Fraction(stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio or 1)
    # Pixels become square by enlarging one side, so that none is lost.
    width, height = round(first.width * max(aspect, Fraction(1))), round(first.height / min(aspect, Fraction(1)))
    if orientation.swaps_sides:
        width, height = height, width
    return VideoInfo(
        width=width,
        height=height,
        rotation_degrees=orientation.rotation_degrees,
        is_mirrored=orientation.is_mirrored,
        sample_aspect=float(aspect),
        average_fps=average_fps(stream, clock),
        duration_seconds=clock.duration_seconds,
        codec=stream.codec_context.name,
        container=container.format.name,
    )


class DecodedFrame:
    """A decoded frame that is converted to RGB on request, at the requested size.

    Args:
        frame: The frame as decoded.
        timestamp_seconds: Time from the start of the video stream.
        orientation: The steps that make the frame upright.
        reformatters: Converters by stored (width, height), shared by the frames of a pass.
    """

    __slots__ = ("_frame", "_orientation", "_reformatters", "timestamp_seconds")

    def __init__(
        self,
        frame: av.VideoFrame,
        timestamp_seconds: float,
        orientation: Orientation,
        reformatters: dict[tuple[int, int], VideoReformatter],
    ) -> None:
        self._frame = frame
        self._orientation = orientation
        self._reformatters = reformatters
        self.timestamp_seconds = timestamp_seconds

    def image(self, width: int, height: int) -> npt.NDArray[np.uint8]:
        """Convert the frame to an upright RGB image.

        One swscale pass resizes and converts to RGB. Of swscale's filters that do not shift the image, the area filter
        is the closest to OpenCV's bilinear resize, on which the field's networks were trained: mean difference 1.5 of
        255 from 720p and 1080p to 256 (bilinear 1.8; fast bilinear 3.2, and it shifts the image). Measured 2026-11-22
        on three real videos, PyAV 18.1.

        Args:
            width: Width of the upright image, pixels.
            height: Height of the upright image, pixels.

        Returns:
            uint8 RGB ``[height, width, 3]``.
        """
        stored = (height, width) if self._orientation.swaps_sides else (width, height)
        # A reformatter keeps swscale's tables between calls only while the size stays the same: one for each size.
        reformatter = self._reformatters.setdefault(stored, VideoReformatter())
        resized = reformatter.reformat(self._frame, *stored, format="rgb24", interpolation="AREA", threads=1)
        return self._orientation.upright(cast(npt.NDArray[np.uint8], resized.to_ndarray()))

    def thumbnail(self) -> Thumbnail:
        """Sample evenly spaced pixels of the stored frame, for shot detection.

        Returns:
            YUV uint8 ``[3, 36, 64]``, neither rotated nor mirrored.
        """
        frame = self._frame
        if frame.format.name not in _EIGHT_BIT_PLANAR:
            size = (THUMBNAIL_WIDTH, THUMBNAIL_HEIGHT)
            reformatter = self._reformatters.setdefault(size, VideoReformatter())
            frame = reformatter.reformat(frame, *size, format="yuv444p", interpolation="POINT", threads=1)
        return np.stack([_sample_pixels(plane) for plane in frame.planes[:3]])


def _sample_pixels(plane: av.video.plane.VideoPlane) -> npt.NDArray[np.uint8]:
    """Sample ``[36, 64]`` evenly spaced pixels of a plane of bytes."""
    stored = np.frombuffer(memoryview(plane), np.uint8)  # [plane.height * plane.line_size]
    pixels: npt.NDArray[np.uint8] = stored.take(_sample_offsets(plane.height, plane.width, plane.line_size))
    return pixels


@lru_cache(maxsize=16)
def _sample_offsets(height: int, width: int, line_size: int) -> npt.NDArray[np.intp]:
    """Compute the offsets ``[36, 64]`` of the sampled pixels in a plane's memory."""
    # The centres of 36 x 64 equal cells; lines in memory can be longer than the width.
    rows = (np.arange(THUMBNAIL_HEIGHT) * 2 + 1) * height // (2 * THUMBNAIL_HEIGHT)
    columns = (np.arange(THUMBNAIL_WIDTH) * 2 + 1) * width // (2 * THUMBNAIL_WIDTH)
    offsets: npt.NDArray[np.intp] = rows[:, None] * line_size + columns
    return offsets


class VideoReader:
    """Decodes the frames of one video file, on this machine or at an address (``s3://`` ...), in display order.

    Of several video streams, the film is decoded: cover and still pictures come last, the default stream first, then
    the one with the largest frames. Each pass over the frames opens the file again. After a full pass ``num_frames``,
    ``damaged_packets``, ``end_seconds``, ``damage`` and ``time_jumps`` describe it.

    Args:
        path: The file's path or address, or an open remote video.
        num_threads: Number of decoder threads. With more than one, decoding is faster, but a damaged packet near the
            end of the file can make the decoder drop undamaged frames held by its other threads (seen with FFmpeg 8's
            H.264 decoder). One thread loses none.

    Attributes:
        path: The file's path, or the remote video.
        info: The properties of the video.
        num_frames: Number of frames decoded in the last pass.
        end_seconds: End of the last frame decoded in the last pass.

    Raises:
        VideoError: If the file cannot be opened or no frame can be decoded.
        StoreError: If the store of a remote file does not answer.

    Example:
        >>> video = VideoReader("movie.mp4")
        >>> for frame in video:
        ...     frame.image, frame.timestamp_seconds
    """

    def __init__(self, path: str | Path | RemoteVideo, *, num_threads: int = 1) -> None:
        self.path = as_video_file(path)
        self.num_frames = 0
        self.end_seconds = 0.0
        self._first_seconds = 0.0
        self._damage = Damage()
        self._num_threads = num_threads
        with open_container(self.path) as container:
            stream = choose_stream(container, self.path, num_threads)
            clock, damage = Clock.of(container, stream), Damage()
            first = next(decode_frames(container, stream, damage, PacketTimes(clock)), None)
            if first is None:
                raise VideoError(f"{shown(self.path)}: no picture could be decoded ({damage.packets} damaged packets)")
            self._clock = clock.starting_with(stream, first)
            self._orientation = Orientation.of(first)
            self.info = describe_video(container, stream, first, self._clock, self._orientation)
            is_doubtful = self._clock.is_doubtful(container.size)
        self._times = PacketTimes(self._clock)
        if is_doubtful:
            scanned = self._scanned_times
            if scanned.jumps:
                # The container's rate is pictures over a duration of hours.
                duration, period = scanned.end_seconds - self._clock.origin, scanned.period_seconds
                self._clock = replace(self._clock, duration_seconds=duration, period=period)
                fps = scanned.num_packets / duration if duration > 0 else 1 / period
                self.info = replace(self.info, duration_seconds=duration, average_fps=fps)

    @cached_property
    def _scanned_times(self) -> PacketTimes:
        """The time stamps of the whole file, read without decoding."""
        times = PacketTimes(self._clock)
        with open_container(self.path) as container, suppress(av.error.FFmpegError):
            for packet in container.demux(choose_stream(container, self.path, 1)):
                times.feed(packet)
        return times

    @property
    def damaged_packets(self) -> int:
        """Number of packets of the last pass that could not be read or decoded."""
        return self._damage.packets

    @property
    def start_seconds(self) -> float:
        """Time that a player shows at the first frame: the start of the video stream on the file's clock, at least 0.

        Sound may begin before the picture; the times of this package count from the picture.
        """
        return max(self._clock.origin, 0.0)

    def __iter__(self) -> Iterator[Frame]:
        """Yield every frame at full size."""
        for decoded in self.decode():
            image = decoded.image(self.info.width, self.info.height)
            yield Frame(image, decoded.timestamp_seconds, self.path.stem)

    def decode(self, from_seconds: float = 0.0) -> Iterator[DecodedFrame]:
        """Decode frames without converting them, from a position on.

        Args:
            from_seconds: Time from the start of the video stream, at least 0. The first frame is the one on display at
                this time.

        Yields:
            The frames, in display order.

        Raises:
            VideoError: If the file cannot be opened.
        """
        # Seek to earlier and earlier positions until a frame at or before the wanted time comes first.
        margin = 0.0
        while True:
            start = max(0.0, from_seconds - margin)
            frames = self._decode_pass(start)
            displayed = next(frames, None)
            if start == 0.0 or (displayed is not None and displayed.timestamp_seconds <= from_seconds):
                break
            # A container's index is ordered by decoding time, so a seek can end after the wanted frame, or at damaged
            # packets.
            frames.close()
            margin = 2 * margin + 2.0
        if displayed is None:
            return
        # A frame is on display until the next one; those that end before the wanted time are skipped.
        for frame in frames:
            if frame.timestamp_seconds > from_seconds:
                yield displayed
            displayed = frame
        yield displayed

    def frame_times(self) -> npt.NDArray[np.float64]:
        """Find the times of all frames that can be decoded; this decodes the whole file.

        The frame on display at time t has the number ``searchsorted(times, t, "right") - 1``, also in other tools and
        where the frame rate varies. Packets do not show which of them are damaged and give no frame, so they are not
        enough.

        Returns:
            float64 ``[F]``, in seconds from the start of the video stream, ascending.

        Raises:
            VideoError: If the file cannot be opened.
        """
        return np.array([frame.timestamp_seconds for frame in self.decode()], np.float64)

    def damage(self) -> str:
        """Describe the damage that the last pass found; call it after a full pass.

        Returns:
            A clause for a message (damaged packets, an early end); empty if the file is undamaged.
        """
        parts = []
        if self.damaged_packets:
            parts.append(f"{counted(self.damaged_packets, 'damaged packet')} had to be left out")
        if self._first_seconds > _SHORTFALL_SECONDS:
            parts.append(f"no picture can be decoded before {self._first_seconds:.2f} s, and that one is shown instead")
        declared = self.info.duration_seconds
        if declared is not None and declared - self.end_seconds > _SHORTFALL_SECONDS and not self._times.jumps:
            parts.append(f"the video ends at {self.end_seconds:.2f} s of the {declared:.2f} s that its header promises")
        return " and ".join(parts)

    def time_jumps(self) -> str:
        """Describe the jumps of the time stamps that the last pass joined; call it after a full pass.

        Returns:
            A clause for a message; empty if there were none.
        """
        jumps = self._times.jumps
        if not jumps:
            return ""
        seconds, by_seconds = jumps[0]
        others = f" and {len(jumps) - 1} times more" if len(jumps) > 1 else ""
        return (
            f"its time stamps jump by {by_seconds:+,.2f} s at {max(0.0, seconds - self._clock.origin):.2f} s{others}; "
            "the parts were joined, and times are counted through"
        )

    def _decode_pass(self, from_seconds: float) -> Generator[DecodedFrame, None, None]:
        """Decode all frames from a position at or before ``from_seconds``, with strictly increasing times."""
        clock = self._clock
        starts_at_zero = clock.by_order or from_seconds <= 0
        if from_seconds > 0 and clock.allows_jumps and self._scanned_times.jumps:
            # Seeking goes by the file's own time stamps.
            from_seconds, starts_at_zero = 0.0, True
        damage, times = Damage(), PacketTimes(clock)
        self._damage, self._times = damage, times
        self.num_frames, self.end_seconds, self._first_seconds = 0, 0.0, 0.0
        reformatters: dict[tuple[int, int], VideoReformatter] = {}
        previous = -math.inf
        with open_container(self.path) as container:
            stream = choose_stream(container, self.path, self._num_threads)
            clock.seek(container, stream, from_seconds)
            for frame in decode_frames(container, stream, damage, times):
                if clock.has_decoding_times:
                    seconds = times.take_decoding_seconds(stream.codec_context.reorder_depth + self._num_threads - 1)
                else:
                    seconds = clock.seconds(frame)
                if seconds is None or seconds <= previous:
                    seconds = max(previous + clock.period, 0.0)
                if not self.num_frames and starts_at_zero:
                    self._first_seconds = seconds
                previous = seconds
                self.num_frames += 1
                self.end_seconds = seconds + clock.display_seconds(frame)
                yield DecodedFrame(frame, seconds, self._orientation, reformatters)
        if times.jumps and starts_at_zero:
            self.info = replace(self.info, duration_seconds=self.end_seconds)
        if clock.num_indexed and times.num_packets == clock.num_indexed:
            # Nothing is missing: the last picture stays on display for the chunks without a picture after it.
            self.end_seconds = max(self.end_seconds, clock.duration_seconds or 0.0)
