"""Streaming video reading on PyAV: upright frames with honest times, in bounded memory.

Time model: seconds from the start of the video stream, as float. They are presentation times where the container
has them; where it has none (raw streams), or only decoding times (AVI, whose frames come out in display
order), a frame's time is its number over the frame rate. Times never run backwards: where a container says so,
a frame comes one frame period after the one before it. ``tests/video/test_reader.py`` holds real files of each kind.

Pixel model: frames are turned by the rotation that the container asks for and stretched to square pixels, so
that width and height here are those which a player shows.

Damaged packets are counted and survived: decoding goes on behind them.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av
import av.error
import numpy as np
import numpy.typing as npt
from av.video.reformatter import VideoReformatter

from ava_detect.errors import VideoError
from ava_detect.structures import Frame
from ava_detect.video.container import Damage, choose_stream, decode_pictures, open_container
from ava_detect.video.cuts import THUMBNAIL_HEIGHT, THUMBNAIL_WIDTH, Thumbnail
from ava_detect.video.remote import RemoteVideo, as_video_file

# Containers that store no presentation times: what the demuxer reports there are decoding times, or nothing.
_ORDER_ONLY_CONTAINERS = frozenset({"avi", "h264", "hevc", "m4v", "mjpeg", "mpegvideo", "obu"})
_FALLBACK_FPS = Fraction(25)
# Their planes are Y, U and V, a byte a pixel, so that a thumbnail need not be converted.
_EIGHT_BIT_PLANAR = frozenset(f"yuv{j}{layout}p" for j in ("", "j") for layout in (420, 422, 444))
# A sound file may end a frame early or late; more than this is worth a sentence.
_SHORTFALL_SECONDS = 0.5


@dataclass(frozen=True)
class VideoInfo:
    """What the container says of its video.

    ``width``, ``height``: pixels, upright and square. ``rotation_degrees``: counter-clockwise, already applied.
    ``sample_aspect``: width over height of a stored pixel, already applied. ``duration_seconds``: None where unsaid.
    """

    width: int
    height: int
    rotation_degrees: int
    sample_aspect: float
    average_fps: float
    duration_seconds: float | None
    codec: str
    container: str


class DecodedFrame:
    """A decoded picture that is converted only when, and only as large as, somebody asks."""

    __slots__ = ("_picture", "_reformatters", "_turns", "timestamp_seconds")

    def __init__(
        self,
        picture: av.VideoFrame,
        timestamp_seconds: float,
        turns: int,
        reformatters: dict[tuple[int, int], VideoReformatter],
    ) -> None:
        self._picture = picture
        self._turns = turns
        self._reformatters = reformatters
        self.timestamp_seconds = timestamp_seconds

    def image(self, width: int, height: int) -> npt.NDArray[np.uint8]:
        """Upright RGB uint8 ``[height, width, 3]``: resized, converted and turned, the first two in one swscale pass.

        swscale's area filter is the nearest to OpenCV's bilinear, on which the field's networks were trained, of
        those that keep the picture in place: mean difference 1.5 of 255 from 720p and 1080p to 256 (bilinear 1.8,
        fast bilinear 3.2, which also shifts); measured 2026-11-22 on three real videos, PyAV 18.1.
        """
        stored = (height, width) if self._turns % 2 else (width, height)
        # swscale keeps its tables from call to call only as long as the size stays: one reformatter a size.
        reformatter = self._reformatters.setdefault(stored, VideoReformatter())
        resized = reformatter.reformat(self._picture, *stored, format="rgb24", interpolation="AREA", threads=1)
        return np.ascontiguousarray(np.rot90(resized.to_ndarray(), self._turns))

    def thumbnail(self) -> Thumbnail:
        """Some of the pixels as stored, YUV uint8 ``[3, 36, 64]``: enough to tell whether two frames look alike."""
        picture = self._picture
        if picture.format.name not in _EIGHT_BIT_PLANAR:
            size = (THUMBNAIL_WIDTH, THUMBNAIL_HEIGHT)
            reformatter = self._reformatters.setdefault(size, VideoReformatter())
            picture = reformatter.reformat(picture, *size, format="yuv444p", interpolation="POINT", threads=1)
        return np.stack([_some_pixels(plane) for plane in picture.planes[:3]])


def _some_pixels(plane: av.video.plane.VideoPlane) -> npt.NDArray[np.uint8]:
    """``[36, 64]`` pixels, evenly spread over a plane of bytes."""
    stored = np.frombuffer(memoryview(plane), np.uint8)
    pixels: npt.NDArray[np.uint8] = stored.take(_spread(plane.height, plane.width, plane.line_size))
    return pixels


@lru_cache(maxsize=16)
def _spread(height: int, width: int, line_size: int) -> npt.NDArray[np.intp]:
    """The places in a plane's memory, ``[36, 64]``."""
    rows = (np.arange(THUMBNAIL_HEIGHT) * 2 + 1) * height // (2 * THUMBNAIL_HEIGHT)
    columns = (np.arange(THUMBNAIL_WIDTH) * 2 + 1) * width // (2 * THUMBNAIL_WIDTH)
    places: npt.NDArray[np.intp] = rows[:, None] * line_size + columns
    return places


class VideoReader:
    """The frames of one video file, here or at an address (``s3://`` ...), in display order, one at a time.

    >>> video = VideoReader("movie.mp4")
    >>> for frame in video:
    ...     frame.image, frame.timestamp_seconds

    ``num_threads``: decoder threads. 1 loses nothing; with more, decoding is faster, but a decoder that meets a damaged
    packet near the end can drop sound pictures that its other threads still held (seen with FFmpeg 8's H.264).
    Of several video streams the largest is read; cover pictures are none. Raises ``VideoError`` when the file cannot
    be opened or holds no picture. Each pass opens the file anew; after a full one ``num_frames``, ``damaged_packets``
    and ``end_seconds`` say what was read.
    """

    def __init__(self, path: str | Path | RemoteVideo, *, num_threads: int = 1) -> None:
        self.path = as_video_file(path)
        self.num_frames = 0
        self.end_seconds = 0.0
        self._damage = Damage()
        self._num_threads = num_threads
        with open_container(self.path) as container:
            stream = choose_stream(container, self.path, num_threads)
            damage = Damage()
            first = next(decode_pictures(container, stream, damage), None)
            if first is None:
                raise VideoError(f"{self.path}: no picture could be decoded ({damage.packets} damaged packets)")
            self._clock = _Clock.of(container, stream, first)
            self._turns = round(first.rotation / 90) % 4
            self.info = _describe(container, stream, first)

    @property
    def damaged_packets(self) -> int:
        """How many packets of the last pass could not be read or decoded."""
        return self._damage.packets

    def __iter__(self) -> Iterator[Frame]:
        """Every frame at full size."""
        for decoded in self.decode():
            image = decoded.image(self.info.width, self.info.height)
            yield Frame(image, decoded.timestamp_seconds, self.path.stem)

    def decode(self, from_seconds: float = 0.0) -> Iterator[DecodedFrame]:
        """Frames not yet converted, beginning with the one that is on display at ``from_seconds``."""
        margin = 0.0
        while True:
            start = max(0.0, from_seconds - margin)
            frames = self._decode_pass(start)
            shown = next(frames, None)
            if start == 0.0 or (shown is not None and shown.timestamp_seconds <= from_seconds):
                break
            # An index goes by decoding time and can lead behind the wanted picture, or to a damaged place: try from
            # further ahead.
            frames.close()
            margin = 2 * margin + 2.0
        if shown is None:
            return
        for frame in frames:
            if frame.timestamp_seconds > from_seconds:
                yield shown
            shown = frame
        yield shown

    def frame_times(self) -> npt.NDArray[np.float64]:
        """When each frame comes on display, float64 ``[F]`` rising, read from the packets without decoding any.

        The frame on display at t is ``searchsorted(times, t, "right") - 1``: the number that other tools give it, also
        where the frame rate varies. Raises ``VideoError`` where the file cannot be read to its end.
        """
        with open_container(self.path) as container:
            stream = choose_stream(container, self.path, 1)
            try:
                packets = [packet for packet in container.demux(stream) if packet.size and not packet.is_discard]
            except av.error.FFmpegError as error:
                raise VideoError(f"{self.path} cannot be read to its end ({error})") from error
        seconds = [self._clock.seconds(packet) for packet in packets]
        if None in seconds:
            return np.arange(len(seconds), dtype=np.float64) * self._clock.period
        return np.sort(np.array(seconds, np.float64))

    def damage(self) -> str:
        """After a full pass: what is wrong with the file, in a sentence; empty when nothing is."""
        parts = []
        if self.damaged_packets:
            plural = "s" if self.damaged_packets > 1 else ""
            parts.append(f"{self.damaged_packets} damaged packet{plural} had to be left out")
        declared = self.info.duration_seconds
        if declared is not None and declared - self.end_seconds > _SHORTFALL_SECONDS:
            parts.append(f"the video ends at {self.end_seconds:.2f} s of the {declared:.2f} s that its header promises")
        return " and ".join(parts)

    def _decode_pass(self, from_seconds: float) -> Generator[DecodedFrame, None, None]:
        """All frames from a place at or before ``from_seconds``, their times made monotonic."""
        self._damage = Damage()
        self.num_frames, self.end_seconds = 0, 0.0
        reformatters: dict[tuple[int, int], VideoReformatter] = {}
        period, previous = self._clock.period, -math.inf
        with open_container(self.path) as container:
            stream = choose_stream(container, self.path, self._num_threads)
            self._clock.seek(container, stream, from_seconds)
            for picture in decode_pictures(container, stream, self._damage):
                seconds = self._clock.seconds(picture)
                if seconds is None or seconds <= previous:
                    seconds = max(previous + period, 0.0)
                previous = seconds
                self.num_frames += 1
                self.end_seconds = seconds + self._clock.length(picture)
                yield DecodedFrame(picture, seconds, self._turns, reformatters)


@dataclass(frozen=True)
class _Clock:
    """Turns the time stamps of one file into seconds.

    ``by_order``: the container stores none worth reading; frames are counted. ``origin``: the time stamp, in
    seconds, that counts as 0. ``period``: the usual time from frame to frame.
    """

    by_order: bool
    origin: float
    period: float
    duration_seconds: float | None

    @classmethod
    def of(cls, container: av.container.InputContainer, stream: av.VideoStream, first: av.VideoFrame) -> _Clock:
        rate = Fraction(stream.guessed_rate or stream.average_rate or _FALLBACK_FPS)
        by_order = first.pts is None or container.format.name in _ORDER_ONLY_CONTAINERS
        origin = 0.0
        if first.pts is None or stream.time_base is None:
            if first.duration and first.time_base:
                rate = 1 / (first.duration * first.time_base)
        else:
            start = first.pts if stream.start_time is None else min(first.pts, stream.start_time)
            origin = float(start * stream.time_base)
        return cls(by_order, origin, float(1 / rate), _duration(container, stream))

    def seconds(self, picture: av.VideoFrame | av.Packet[av.VideoStream]) -> float | None:
        """The picture's (or its packet's) presentation time; None where it has none that can be believed."""
        if self.by_order or picture.pts is None or picture.time_base is None:
            return None
        seconds = float(picture.pts * picture.time_base) - self.origin
        # Far behind the declared end the time stamp is broken: not a very long pause.
        broken = self.duration_seconds is not None and seconds > 2 * self.duration_seconds + 10
        return None if broken else seconds

    def length(self, picture: av.VideoFrame) -> float:
        """How long the picture stays on display, in seconds."""
        length = float(picture.duration * picture.time_base) if picture.duration and picture.time_base else 0.0
        return length if length > 0 else self.period

    def seek(self, container: av.container.InputContainer, stream: av.VideoStream, seconds: float) -> None:
        """Go to a picture that decodes by itself at or before ``seconds``; counted frames start at the first."""
        if seconds > 0 and not self.by_order and stream.time_base is not None:
            container.seek(int((seconds + self.origin) / float(stream.time_base)), stream=stream, backward=True)


def _duration(container: av.container.InputContainer, stream: av.VideoStream) -> float | None:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return container.duration / av.time_base if container.duration else None


def _describe(container: av.container.InputContainer, stream: av.VideoStream, first: av.VideoFrame) -> VideoInfo:
    aspect = Fraction(stream.sample_aspect_ratio or 1)
    # The side that must grow is stretched, so that no pixel is lost.
    width, height = round(first.width * max(aspect, Fraction(1))), round(first.height / min(aspect, Fraction(1)))
    if round(first.rotation / 90) % 2:
        width, height = height, width
    return VideoInfo(
        width=width,
        height=height,
        rotation_degrees=int(first.rotation),
        sample_aspect=float(aspect),
        average_fps=float(stream.average_rate or stream.guessed_rate or _FALLBACK_FPS),
        duration_seconds=_duration(container, stream),
        codec=stream.codec_context.name,
        container=container.format.name,
    )
