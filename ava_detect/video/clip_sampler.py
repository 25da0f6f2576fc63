"""Sampling the clips around keyframes on a fixed time grid, with one decoding pass over the video.

The grid: the networks were trained on frames extracted at ``sampling_fps`` (30 for AVA). Grid point g shows the last
frame whose presentation time, rounded half up to the grid, is at most g. A 30 fps file therefore gives its own frames
one by one, and a file of another rate gives the speed of motion on which the network was trained. FFmpeg's ``fps``
filter, with which the field extracted its frames, selects frames in the same way.

A clip around time t consists of the points ``c + offset`` for each of ``ClipSettings.offsets``, with
``c = round(t * sampling_fps)``: by default every r-th point, ``c - T*r//2 + r*i`` for i = 0..T-1 (PySlowFast
``get_sequence``). Points before the first or after the last frame repeat that frame: clips at the ends of a video are
padded, never dropped.

``sampling="frames"`` reproduces how other code of the field reads a video: the grid point of a frame is its number,
whatever its time, and the grid is as fine as the frame rate that the file declares. For a constant rate of 30 fps both
give the same clips.

Shapes: T frames of a clip, H height, W width.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ava_detect.errors import VideoError, shown
from ava_detect.structures import Clip, ClipSettings, Resize
from ava_detect.video.cuts import ShotCounter, Thumbnail
from ava_detect.video.reader import VideoInfo, VideoReader
from ava_detect.video.transforms import resize, short_side_size, size_within

# Computed times have rounding errors far below this fraction of a grid step; a time that should be exactly half a step
# is still rounded up.
_ROUNDING_SLACK = 1e-6
# Size limits, in pixels, of a detector's image: the largest that the field's detectors use (Detectron's test size).
KEYFRAME_SHORT_SIDE, KEYFRAME_LONG_SIDE = 800, 1333

Image = npt.NDArray[np.uint8]


def grid_point(seconds: float, sampling_fps: float) -> int:
    """Return the grid point of a time.

    Args:
        seconds: Time from the start of the file.
        sampling_fps: Grid points per second.

    Returns:
        The nearest grid point; half a step is rounded up.
    """
    return math.floor(seconds * sampling_fps + 0.5 + _ROUNDING_SLACK)


def clip_grid_points(seconds: float, settings: ClipSettings) -> list[int]:
    """Return the grid points of the clip around a time.

    Args:
        seconds: The keyframe's time from the start of the file.
        settings: How clips are sampled.

    Returns:
        T ascending grid points; those below 0 show the first frame.
    """
    centre = grid_point(seconds, settings.sampling_fps)
    return [centre + offset for offset in settings.offsets]


@dataclass(frozen=True, eq=False)
class Keyframe:
    """The network's and the detector's input for one keyframe.

    Attributes:
        clip: The clip around the keyframe, for the network.
        image: The keyframe for the detector, uint8 RGB ``[H, W, 3]``, of the video's size or shrunk to at most
            800x1333 pixels; None if the sampler gives no keyframe images.
        shot: Number of the shot (the stretch between two hard cuts) that contains the keyframe; 0 if the sampler does
            not find shots.
    """

    clip: Clip
    image: Image | None
    shot: int = 0

    @property
    def timestamp_seconds(self) -> float:
        """The keyframe's time from the start of the file."""
        return self.clip.timestamp_seconds


class SourceFrame(Protocol):
    """A frame that is converted to RGB when its picture is asked for, as ``DecodedFrame`` is."""

    @property
    def timestamp_seconds(self) -> float:
        """Time from the start of the source."""

    def image(self, width: int, height: int) -> Image:
        """Convert to RGB at a size; see ``DecodedFrame.image``."""

    def thumbnail(self) -> Thumbnail:
        """Sample pixels for shot detection; see ``DecodedFrame.thumbnail``."""


class FrameSource(Protocol):
    """What clips are sampled from: a file, a folder of frames (``FrameFolder``), or a stretch of a live stream."""

    @property
    def info(self) -> VideoInfo:
        """The properties of the frames."""

    @property
    def end_seconds(self) -> float:
        """End of the last decoded frame."""

    def decode(self, from_seconds: float = 0.0) -> Iterator[SourceFrame]:
        """Decode the frames in display order; see ``VideoReader.decode``."""


class ClipSampler:
    """Samples the clips of many keyframes in one decoding pass.

    Each decoded frame is resized at most once, and only if a clip needs it; overlapping clips share it. A clip is
    yielded as soon as its last frame is decoded. Memory depends on the length of a clip and the spacing of keyframes,
    not on the length of the video.

    Args:
        video: The video.
        settings: How clips are sampled; with ``sampling="frames"`` the file is always decoded from its start.
        keyframe_images: Whether to convert each keyframe to an image of up to 800x1333 pixels for a detector.
        find_shots: Whether to find hard cuts between the decoded frames, so that each keyframe has its shot. A counter
            of shots goes on with its numbers.
    """

    def __init__(
        self,
        video: FrameSource,
        settings: ClipSettings,
        *,
        keyframe_images: bool = True,
        find_shots: bool | ShotCounter = False,
    ) -> None:
        info = video.info
        self._video = video
        self._by_number = settings.sampling == "frames"
        self._settings = replace(settings, sampling_fps=info.average_fps) if self._by_number else settings
        self._sizes = _Sizes(
            full=(info.width, info.height),
            clip=short_side_size(info.width, info.height, settings.short_side, long_side=settings.long_side),
            keyframe=size_within(info.width, info.height, KEYFRAME_SHORT_SIDE, KEYFRAME_LONG_SIDE)
            if keyframe_images
            else None,
            resize=settings.resize,
        )
        self._shots = find_shots if isinstance(find_shots, ShotCounter) else ShotCounter() if find_shots else None
        self._starts_anew = find_shots is True

    @property
    def cuts_seconds(self) -> tuple[float, ...]:
        """Times of the hard cuts that the last pass has found so far; empty if the sampler does not find shots."""
        return () if self._shots is None else tuple(self._shots.cuts_seconds)

    def sample(self, timestamps_seconds: Iterable[float]) -> Iterator[Keyframe]:
        """Sample the keyframes at some times, up to the end of the video.

        Decoding starts at the clip of the first keyframe and stops when that of the last one is complete. A keyframe
        belongs to the video if its time is before the end of the last frame.

        Args:
            timestamps_seconds: Times from the start of the file, from 0, ascending; may be infinite.

        Yields:
            The keyframes, in the order of their times.

        Raises:
            VideoError: If the file cannot be opened.
        """
        times = iter(timestamps_seconds)
        if self._starts_anew:
            self._shots = ShotCounter()
        pending: deque[_PendingClip] = deque()
        self._admit(times, pending)
        if not pending:
            return
        # The last decoded frame: it is on display until the next frame's grid point, which must be known first.
        displayed: _DisplayedFrame | None = None
        # Frames can be numbered only from the first frame of the file.
        start = 0.0 if self._by_number else max(0.0, pending[0].points[0] / self._settings.sampling_fps)
        num_frames = 0
        for frame in self._video.decode(start):
            if displayed is not None:
                self._show(displayed, self._point_of(frame, num_frames), times, pending)
                while pending and pending[0].is_complete:
                    yield pending.popleft().keyframe()
                if not pending and not self._admit(times, pending):
                    return
            displayed = _DisplayedFrame(frame, self._sizes, self._shot_of(frame))
            num_frames += 1
        if displayed is not None:
            yield from self._finish(displayed, num_frames, times, pending)

    def _shot_of(self, frame: SourceFrame) -> int:
        return 0 if self._shots is None else self._shots.update(frame.thumbnail(), frame.timestamp_seconds)

    def _point_of(self, frame: SourceFrame, number: int) -> int:
        """Return the first grid point at which a frame is on display; ``number``: its number, from 0."""
        return number if self._by_number else grid_point(frame.timestamp_seconds, self._settings.sampling_fps)

    def _admit(self, times: Iterator[float], pending: deque[_PendingClip]) -> bool:
        """Append the next keyframe to ``pending``; return False if there is none."""
        time = next(times, None)
        if time is None:
            return False
        centre = grid_point(time, self._settings.sampling_fps)
        points = clip_grid_points(time, self._settings)
        pending.append(_PendingClip(time, centre, points, self._settings.keyframe_index, self._sizes))
        return True

    def _show(
        self, frame: _DisplayedFrame, until_point: int, times: Iterator[float], pending: deque[_PendingClip]
    ) -> None:
        """Add a frame to the clips, at all grid points below ``until_point`` that earlier frames did not fill."""
        # Take in every keyframe whose clip begins before that point.
        while (not pending or pending[-1].points[0] < until_point) and self._admit(times, pending):
            pass
        for clip in pending:
            clip.show(frame, until_point)

    def _finish(
        self, last: _DisplayedFrame, num_frames: int, times: Iterator[float], pending: deque[_PendingClip]
    ) -> Iterator[Keyframe]:
        """Yield the clips that extend beyond the end of the video, padded with its last frame."""
        end_seconds = self._video.end_seconds - _ROUNDING_SLACK
        end_point = num_frames if self._by_number else grid_point(end_seconds, self._settings.sampling_fps)
        while pending or self._admit(times, pending):
            clip = pending.popleft()
            is_beyond_end = clip.centre >= end_point if self._by_number else clip.timestamp_seconds >= end_seconds
            if is_beyond_end:
                return
            clip.show(last, max(clip.points) + 1)
            yield clip.keyframe(end_point)


@dataclass(frozen=True)
class _Sizes:
    """The sizes of a video's frames, each (width, height) in pixels.

    Attributes:
        full: As decoded.
        clip: In clips.
        keyframe: Of the detector's images; None if there are none.
        resize: The method by which the frames of clips are resized.
    """

    full: tuple[int, int]
    clip: tuple[int, int]
    keyframe: tuple[int, int] | None
    resize: Resize


class _DisplayedFrame:
    """A decoded frame with its images for clips and for the detector, each converted on first use."""

    def __init__(self, frame: SourceFrame, sizes: _Sizes, shot: int) -> None:
        self._frame = frame
        self._sizes = sizes
        self.shot = shot

    @cached_property
    def clip_image(self) -> Image:
        if self._sizes.resize == "swscale":
            return self._frame.image(*self._sizes.clip)
        full = self._frame.image(*self._sizes.full)
        frames, _ = resize(full[None], np.zeros((0, 4), np.float32), *self._sizes.clip)
        image: Image = frames[0]
        return image

    @cached_property
    def keyframe_image(self) -> Image | None:
        return None if self._sizes.keyframe is None else self._frame.image(*self._sizes.keyframe)


@dataclass(eq=False)
class _PendingClip:
    """A clip whose frames are not all decoded yet.

    Attributes:
        timestamp_seconds: The keyframe's time.
        centre: The keyframe's grid point.
        points: The T grid points of the clip, ascending.
        keyframe_index: The index of the frame that shows the keyframe.
        sizes: The sizes of the video's frames.
        images: The frames so far, at the first ``len(images)`` points.
        image: The detector's image of the keyframe, once it is known.
        shot: The keyframe's shot; None until the keyframe was on display.
    """

    timestamp_seconds: float
    centre: int
    points: list[int]
    keyframe_index: int
    sizes: _Sizes
    images: list[Image] = field(default_factory=list)
    image: Image | None = None
    shot: int | None = None

    @property
    def is_complete(self) -> bool:
        return len(self.images) == len(self.points) and self.shot is not None

    def show(self, frame: _DisplayedFrame, until_point: int) -> None:
        """Fill the unfilled grid points below ``until_point`` with a frame."""
        while len(self.images) < len(self.points) and self.points[len(self.images)] < until_point:
            self.images.append(frame.clip_image)
        if self.shot is None and self.centre < until_point:
            self.shot = frame.shot
            self.image = frame.keyframe_image

    def keyframe(self, end_point: int | None = None) -> Keyframe:
        """Build the keyframe; ``end_point``: the first grid point after the video, None if the clip ends before it."""
        padded = sum(point < 0 or (end_point is not None and point >= end_point) for point in self.points)
        clip = Clip(np.stack(self.images), self.timestamp_seconds, self.keyframe_index, padded, self.sizes.full)
        assert self.shot is not None, "the keyframe of a complete clip was on display"
        return Keyframe(clip, self.image, self.shot)


def sample_clip(
    video: VideoReader | str | Path, timestamp_seconds: float, settings: ClipSettings | None = None
) -> Clip:
    """Sample the clip around one time by seeking; the result equals that of a pass over the whole video.

    Args:
        video: The open video, or a file's path.
        timestamp_seconds: The keyframe's time from the start of the file.
        settings: How clips are sampled; None: the defaults of ``ClipSettings``.

    Returns:
        The clip.

    Raises:
        VideoError: If the file cannot be opened or the time is outside the video.

    Example:
        >>> clip = sample_clip("movie.mp4", 12.5)
    """
    reader = video if isinstance(video, VideoReader) else VideoReader(video)
    sampler = ClipSampler(reader, settings or ClipSettings(), keyframe_images=False)
    keyframe = next(sampler.sample([timestamp_seconds]), None) if timestamp_seconds >= 0 else None
    if keyframe is None:
        raise VideoError(
            f"{shown(reader.path)}: second {timestamp_seconds:g} lies outside the video, which ends at "
            f"{reader.end_seconds or reader.info.duration_seconds or 0:.2f} s"
        )
    return keyframe.clip
