"""Reads one live source, over all of its connections, into keyframes with their clips.

It always holds the newest frames only: those that the clips of the next keyframes need, resized already. A source that
is lost is connected to again, after a wait that doubles.
"""

from __future__ import annotations

import math
import random
import threading
import time
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Literal

from ava_detect.errors import message_of, shown
from ava_detect.storage.addresses import without_secrets
from ava_detect.structures import ClipSettings
from ava_detect.video.clip_sampler import ClipSampler, Keyframe
from ava_detect.video.cuts import ShotCounter
from ava_detect.video.live.connection import Connection, Stretch
from ava_detect.video.live.file_playback import FilePlayback
from ava_detect.video.live.opening import LostError
from ava_detect.video.live.previews import Previews
from ava_detect.video.live.source import LiveSource
from ava_detect.video.live.status import LiveNotice, OnNotice, SourceStatus, State
from ava_detect.video.live.stream_clock import StreamClock
from ava_detect.video.reader import DecodedFrame, VideoInfo, VideoReader

_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 0.5, 20.0
# A picture whose mean is below this level of 255, on so many keyframes in a row, is black.
_DARK_LEVEL, _DARK_KEYFRAMES = 6.0, 3
# Cuts that are remembered: only those of the last half second matter.
_MAX_CUTS = 16
_ROUNDING_SLACK = 1e-6


@dataclass(frozen=True)
class ReadSettings:
    """How live sources are read.

    Attributes:
        clip: How clips are sampled.
        every_seconds: Time between keyframes.
        keyframe_images: Whether keyframes have an image for a detector.
        lost_seconds: A source without a picture for so long is connected to again.
        speed: Files are played so many times as fast as their clock.
        num_threads: Number of decoder threads of each source.
    """

    clip: ClipSettings
    every_seconds: float = 1.0
    keyframe_images: bool = True
    lost_seconds: float = 10.0
    speed: float = 1.0
    num_threads: int = 1


@dataclass(frozen=True, eq=False)
class SeenKeyframe:
    """A keyframe of a live source.

    Attributes:
        keyframe: The keyframe, its time counted from the source's first frame.
        arrival_seconds: When its frame arrived, on ``time.monotonic``'s clock.
        is_last: Whether no frame follows it any more, so that it may be waited for.
    """

    keyframe: Keyframe
    arrival_seconds: float
    is_last: bool = False


def ending_now(settings: ClipSettings) -> ClipSettings:
    """Return settings by which the last frame of a clip, not one in its middle, is the keyframe.

    Args:
        settings: How clips are sampled.
    """
    offsets = settings.offsets
    return replace(settings, frame_offsets=tuple(offset - offsets[-1] for offset in offsets))


class LiveReader:
    """Reads one source; ``keyframes`` runs in a thread of its own.

    Args:
        source: The source.
        settings: How it is read.
        stop: Set to end it.
        on_notice: Told what happens to the source, by the thread that reads.
        previews: Gets small pictures of the frames; None for none.

    Attributes:
        source: The source.
        status: Its state.
        previews: The small pictures; None for none.
    """

    def __init__(
        self,
        source: LiveSource,
        settings: ReadSettings,
        stop: threading.Event,
        on_notice: OnNotice,
        previews: Previews | None = None,
    ) -> None:
        self.source = source
        self.status = SourceStatus(source.name)
        self.previews = previews
        self._settings = settings
        self._stop = stop
        self._on_notice = on_notice
        self._clock = StreamClock()
        self._shots = ShotCounter()
        self._arrivals = Arrivals(2 * settings.clip.span_seconds + 2 * settings.every_seconds)
        self._last_seconds = -math.inf  # of the last keyframe
        self._num_dark = 0

    def keyframes(self) -> Generator[SeenKeyframe, None, None]:
        """Yield the keyframes as soon as their clips are complete, until the source ends or is stopped.

        Raises:
            VideoError: A file cannot be read.
        """
        if self.source.kind == "file":
            yield from self._of_file()
            return
        wait, problem = _FIRST_WAIT_SECONDS, ""
        while not self._stop.is_set():
            num_frames = self.status.counts.frames
            try:
                yield from self._of_connection()
                break
            except LostError as error:
                if error.is_permanent:
                    self._tell("failed", str(error))
                    return
                if self.status.counts.frames > num_frames:
                    wait = _FIRST_WAIT_SECONDS
                wait = _LONGEST_WAIT_SECONDS if error.is_refused else wait
                problem = str(error)
                self._tell("lost", problem)
            self._stop.wait(random.uniform(wait / 2, wait))
            wait = min(2 * wait, _LONGEST_WAIT_SECONDS)
        self._tell("ended", "stopped" if self._stop.is_set() else "the source has ended")
        if problem and not self.status.counts.frames:
            self.status.reason = problem  # more than that it was stopped

    def fail(self, error: Exception) -> None:
        """Note that reading has ended by an error.

        Args:
            error: The error.
        """
        self._tell("failed", shown(without_secrets(message_of(error))))

    def _of_file(self) -> Generator[SeenKeyframe, None, None]:
        settings = self._settings
        video = VideoReader(self.source.path, num_threads=settings.num_threads)
        # A file is sampled as ``annotate`` samples it, also by frame numbers.
        yield from self._sampled(FilePlayback(video, settings.speed, self._stop), settings.clip)
        counts = self.status.counts
        counts.damaged_packets += video.damaged_packets
        self._tell("ended", "stopped" if self._stop.is_set() else video.damage() or "the file has ended")

    def _of_connection(self) -> Generator[SeenKeyframe, None, None]:
        settings = self._settings
        connection = Connection(
            self.source,
            self._clock,
            self.status.counts,
            lost_seconds=settings.lost_seconds,
            num_threads=settings.num_threads,
        )
        by_time = replace(settings.clip, sampling="time")
        with connection, closing(connection.stretches(self._stop)) as stretches:
            for stretch in stretches:
                yield from self._sampled(stretch, by_time)

    def _sampled(self, frames: Stretch | FilePlayback, clip: ClipSettings) -> Generator[SeenKeyframe, None, None]:
        """The keyframes of one stretch."""
        self._begin(frames.info)
        watched = _Watched(frames, self._arrivals, self.previews, self.status)
        sampler = ClipSampler(watched, clip, keyframe_images=self._settings.keyframe_images, find_shots=self._shots)
        for keyframe in sampler.sample(self._times(frames.start_seconds)):
            self._last_seconds = keyframe.timestamp_seconds
            del self._shots.cuts_seconds[:-_MAX_CUTS]
            self._look_for_darkness(keyframe)
            arrival = self._arrivals.of(keyframe.timestamp_seconds)
            yield SeenKeyframe(keyframe, arrival, is_last=watched.is_over and self.source.kind in ("file", "pipe"))

    def _begin(self, info: VideoInfo) -> None:
        """Note the first frame of a stretch."""
        status = self.status
        is_change = status.state == "running"
        status.width, status.height = info.width, info.height
        status.num_connections += not is_change
        self._tell("changed" if is_change else "connected", f"{info.width}x{info.height}, {info.codec}")

    def _times(self, start_seconds: float) -> Iterator[float]:
        """The times of keyframes from a start on, after the last one."""
        every = self._settings.every_seconds
        number = math.ceil((start_seconds - _ROUNDING_SLACK) / every)
        while number * every <= self._last_seconds + _ROUNDING_SLACK:
            number += 1
        while True:
            yield number * every
            number += 1

    def _look_for_darkness(self, keyframe: Keyframe) -> None:
        image = keyframe.clip.frames[keyframe.clip.keyframe_index]
        is_dark = float(image[::4, ::4].mean()) < _DARK_LEVEL
        self._num_dark = self._num_dark + 1 if is_dark else 0
        if is_dark and self._num_dark == _DARK_KEYFRAMES:
            self.status.is_dark = True
            self._on_notice(LiveNotice(self.source.name, "dark", "the picture is black"))
        elif not is_dark and self.status.is_dark:
            self.status.is_dark = False
            self._on_notice(LiveNotice(self.source.name, "bright", "the picture is no longer black"))

    def _tell(self, kind: Literal["connected", "changed", "lost", "ended", "failed"], text: str) -> None:
        """Change the state, and tell of it; an attempt in a row that fails for the same reason is not told again."""
        status = self.status
        is_known = (status.state, status.reason) == (kind, text)
        state: State = "running" if kind == "connected" or kind == "changed" else kind
        status.state, status.reason = state, "" if state == "running" else text
        if not is_known:
            self._on_notice(LiveNotice(self.source.name, kind, text))


class Arrivals:
    """When the frames of the last seconds arrived, by their times.

    Args:
        memory_seconds: How far back it is asked.
    """

    def __init__(self, memory_seconds: float) -> None:
        self._memory_seconds = memory_seconds
        self._known: deque[tuple[float, float]] = deque()

    def add(self, seconds: float, arrival_seconds: float) -> None:
        """Note a frame.

        Args:
            seconds: Its time.
            arrival_seconds: When it arrived, on ``time.monotonic``'s clock.
        """
        self._known.append((seconds, arrival_seconds))
        while len(self._known) > 2 and self._known[1][0] < seconds - self._memory_seconds:
            self._known.popleft()

    def of(self, seconds: float) -> float:
        """Return the arrival of the frame that was on display at a time; of the first one known for an earlier time.

        Args:
            seconds: The time.
        """
        arrival = self._known[0][1]
        for known, its_arrival in self._known:
            if known > seconds + _ROUNDING_SLACK:
                break
            arrival = its_arrival
        return arrival


class _Watched:
    """Frames on their way to the sampler, each seen as it arrives."""

    def __init__(
        self, frames: Stretch | FilePlayback, arrivals: Arrivals, previews: Previews | None, status: SourceStatus
    ) -> None:
        self._frames, self._arrivals, self._previews = frames, arrivals, previews
        self._counts = status.counts
        self.is_over = False

    @property
    def info(self) -> VideoInfo:
        return self._frames.info

    @property
    def end_seconds(self) -> float:
        return self._frames.end_seconds

    def decode(self, from_seconds: float = 0.0) -> Iterator[DecodedFrame]:
        for frame in self._frames.decode(from_seconds):
            self._counts.frames += 1
            self._arrivals.add(frame.timestamp_seconds, time.monotonic())
            if self._previews is not None:
                self._previews.add(frame, self._frames.info)
            yield frame
        self.is_over = True
