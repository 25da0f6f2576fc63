"""Clips around keyframes, cut on a fixed time grid while the video is decoded once.

The grid: the networks were trained on frames cut at ``sampling_fps`` (30 for AVA). Grid point g shows the last
frame whose presentation time, rounded half up to the grid, is at most g; so a 30 fps file gives its own frames one
by one, and a file of any other rate gives the motion speed the network knows. This is what FFmpeg's ``fps`` filter
does, which the field cut its frames with.

A clip of T frames every r grid points around time t takes the points ``c - T*r//2 + r*i``, i = 0..T-1, with
``c = round(t * sampling_fps)`` (PySlowFast ``get_sequence``). The keyframe is frame T // 2. Points before the first or
behind the last frame repeat that frame: clips at the edges are padded, never dropped.

``sampling="frames"`` is how the field's other code reads a video instead: a frame's grid point is its number, whatever
its time, and the grid is as fine as the frame rate that the file declares. For constant 30 fps the two are the same.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import count
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ava_detect.errors import AvaDetectError, VideoError
from ava_detect.structures import Clip, ClipSettings, Resize
from ava_detect.video.cuts import ShotCounter
from ava_detect.video.reader import DecodedFrame, VideoReader
from ava_detect.video.transforms import resize, short_side_size, size_within

# Half a grid step rounds up; computed times carry rounding errors far below this share of a step.
_ROUNDING_SLACK = 1e-6
# The largest picture any of the field's detectors works on (Detectron's test size).
KEYFRAME_SHORT_SIDE, KEYFRAME_LONG_SIDE = 800, 1333

Image = npt.NDArray[np.uint8]


def grid_point(seconds: float, sampling_fps: float) -> int:
    """The grid point of a time: rounded to the nearest, half up."""
    return math.floor(seconds * sampling_fps + 0.5 + _ROUNDING_SLACK)


def clip_grid_points(seconds: float, settings: ClipSettings) -> list[int]:
    """The grid points of the clip around ``seconds``; those below 0 mean the first frame."""
    first = grid_point(seconds, settings.sampling_fps) - settings.num_frames * settings.sampling_rate // 2
    return [first + settings.sampling_rate * i for i in range(settings.num_frames)]


def keyframe_times(every_seconds: float) -> Iterator[float]:
    """0, every, 2 * every, ...; without end. ``AvaDetectError`` unless ``every_seconds`` is above 0."""
    if not (every_seconds > 0 and math.isfinite(every_seconds)):
        raise AvaDetectError(f"keyframes must be a positive number of seconds apart, got {every_seconds}; try 1")
    return (i * every_seconds for i in count())


@dataclass(frozen=True, eq=False)
class Keyframe:
    """What one keyframe needs: the clip around it, for the network, and its own picture, for the detector.

    ``image``: uint8 RGB ``[H, W, 3]``, at most 800x1333 pixels, larger than the clip's; None where none was asked for.
    ``shot``: the number of the uncut stretch that it lies in; 0 where shots were not asked for.
    """

    clip: Clip
    image: Image | None
    shot: int = 0

    @property
    def timestamp_seconds(self) -> float:
        """The keyframe's time from the start of the file."""
        return self.clip.timestamp_seconds


class ClipSampler:
    """Cuts the clips of many keyframes out of one decoding pass.

    Each decoded frame is resized at most once, and only when a clip needs it; clips that overlap share it. A clip is
    handed out as soon as its last frame is in. Memory depends on the length of a clip and the spacing of keyframes,
    not on the length of the video.
    """

    def __init__(
        self, video: VideoReader, settings: ClipSettings, *, keyframe_images: bool = True, find_shots: bool = False
    ) -> None:
        """``settings``: how the clips are cut; with ``sampling="frames"`` the file is always read from its start.

        ``keyframe_images``: also convert each keyframe at up to 800x1333 pixels, for a detector. ``find_shots``: also
        look for hard cuts between the decoded frames, so that keyframes know their shot.
        """
        info = video.info
        self._video = video
        self._by_number = settings.sampling == "frames"
        self._settings = replace(settings, sampling_fps=info.average_fps) if self._by_number else settings
        self._sizes = _Sizes(
            full=(info.width, info.height),
            clip=short_side_size(info.width, info.height, settings.short_side),
            keyframe=size_within(info.width, info.height, KEYFRAME_SHORT_SIDE, KEYFRAME_LONG_SIDE)
            if keyframe_images
            else None,
            resize=settings.resize,
        )
        self._shots = ShotCounter() if find_shots else None

    @property
    def cuts_seconds(self) -> tuple[float, ...]:
        """When the hard cuts were that the last pass has found so far; none where shots were not asked for."""
        return () if self._shots is None else tuple(self._shots.cuts_seconds)

    def sample(self, timestamps_seconds: Iterable[float]) -> Iterator[Keyframe]:
        """The keyframes at ``timestamps_seconds`` (ascending, possibly without end), as far as the video reaches.

        Seeks to the clip of the first and stops decoding when the last is complete. A keyframe belongs to the video
        when its time lies before the end of the last frame.
        """
        times = iter(timestamps_seconds)
        if self._shots is not None:
            self._shots = ShotCounter()
        pending: deque[_PendingClip] = deque()
        self._admit(times, pending)
        if not pending:
            return
        shown: _Picture | None = None
        # Frames can only be numbered from the first.
        start = 0.0 if self._by_number else max(0.0, pending[0].points[0] / self._settings.sampling_fps)
        num_frames = 0
        for frame in self._video.decode(start):
            if shown is not None:
                self._show(shown, self._point_of(frame, num_frames), times, pending)
                while pending and pending[0].is_complete:
                    yield pending.popleft().keyframe()
                if not pending and not self._admit(times, pending):
                    return
            shown = _Picture(frame, self._sizes, self._shot_of(frame))
            num_frames += 1
        if shown is not None:
            yield from self._finish(shown, num_frames, times, pending)

    def _shot_of(self, frame: DecodedFrame) -> int:
        return 0 if self._shots is None else self._shots.update(frame.thumbnail(), frame.timestamp_seconds)

    def _point_of(self, frame: DecodedFrame, number: int) -> int:
        """From which grid point on a frame is on display; ``number``: how many came before it."""
        return number if self._by_number else grid_point(frame.timestamp_seconds, self._settings.sampling_fps)

    def _admit(self, times: Iterator[float], pending: deque[_PendingClip]) -> bool:
        """Take one more keyframe into ``pending``; False when there is none."""
        time = next(times, None)
        if time is None:
            return False
        centre = grid_point(time, self._settings.sampling_fps)
        points = clip_grid_points(time, self._settings)
        pending.append(_PendingClip(time, centre, points, self._sizes))
        return True

    def _show(self, picture: _Picture, until_point: int, times: Iterator[float], pending: deque[_PendingClip]) -> None:
        """``picture`` is on display at every grid point below ``until_point`` that no earlier one has filled."""
        while (not pending or pending[-1].points[0] < until_point) and self._admit(times, pending):
            pass
        for clip in pending:
            clip.show(picture, until_point)

    def _finish(
        self, last: _Picture, num_frames: int, times: Iterator[float], pending: deque[_PendingClip]
    ) -> Iterator[Keyframe]:
        """The clips that reach past the end of the video: its last frame is repeated."""
        end_seconds = self._video.end_seconds - _ROUNDING_SLACK
        end_point = num_frames if self._by_number else grid_point(end_seconds, self._settings.sampling_fps)
        while pending or self._admit(times, pending):
            clip = pending.popleft()
            over = clip.centre >= end_point if self._by_number else clip.timestamp_seconds >= end_seconds
            if over:
                return
            clip.show(last, max(clip.points) + 1)
            yield clip.keyframe(end_point)


@dataclass(frozen=True)
class _Sizes:
    """The (width, height) of frames as decoded, in the clip, and for the detector; and how the clip's come about."""

    full: tuple[int, int]
    clip: tuple[int, int]
    keyframe: tuple[int, int] | None
    resize: Resize


class _Picture:
    """A decoded frame in the sizes that are wanted of it, each converted on first use."""

    def __init__(self, frame: DecodedFrame, sizes: _Sizes, shot: int) -> None:
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
    """A clip that waits for frames. ``points``: its grid points; ``centre``: the keyframe's own."""

    timestamp_seconds: float
    centre: int
    points: list[int]
    sizes: _Sizes
    images: list[Image] = field(default_factory=list)
    image: Image | None = None
    shot: int | None = None

    @property
    def is_complete(self) -> bool:
        return len(self.images) == len(self.points) and self.shot is not None

    def show(self, picture: _Picture, until_point: int) -> None:
        while len(self.images) < len(self.points) and self.points[len(self.images)] < until_point:
            self.images.append(picture.clip_image)
        if self.shot is None and self.centre < until_point:
            self.shot = picture.shot
            self.image = picture.keyframe_image

    def keyframe(self, end_point: int | None = None) -> Keyframe:
        padded = sum(point < 0 or (end_point is not None and point >= end_point) for point in self.points)
        clip = Clip(np.stack(self.images), self.timestamp_seconds, len(self.points) // 2, padded, self.sizes.full)
        assert self.shot is not None, "a clip is handed out once its keyframe was shown"
        return Keyframe(clip, self.image, self.shot)


def sample_clip(
    video: VideoReader | str | Path, timestamp_seconds: float, settings: ClipSettings | None = None
) -> Clip:
    """The clip around one time, found by seeking: equal to what a pass over the whole video gives.

    ``VideoError`` when the time lies outside the video.
    """
    reader = video if isinstance(video, VideoReader) else VideoReader(video)
    sampler = ClipSampler(reader, settings or ClipSettings(), keyframe_images=False)
    keyframe = next(sampler.sample([timestamp_seconds]), None) if timestamp_seconds >= 0 else None
    if keyframe is None:
        raise VideoError(
            f"{reader.path}: second {timestamp_seconds:g} lies outside the video, which ends at "
            f"{reader.end_seconds or reader.info.duration_seconds or 0:.2f} s"
        )
    return keyframe.clip
