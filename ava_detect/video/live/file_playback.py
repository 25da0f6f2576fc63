"""A file played in real time, for trials: its frames come when a camera would have given them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from ava_detect.video.reader import DecodedFrame, VideoInfo, VideoReader


class FilePlayback:
    """The frames of a file at the speed of its clock; ``ClipSampler`` reads it as it reads the file.

    Frames have the times of the file, so clips and scores are those of ``annotate``.

    Args:
        video: The file.
        speed: So many times as fast as its clock, above 0.
        stop: Set to end it.
    """

    start_seconds = 0.0

    def __init__(self, video: VideoReader, speed: float, stop: threading.Event) -> None:
        self._video, self._speed, self._stop = video, speed, stop

    @property
    def info(self) -> VideoInfo:
        """The properties of the frames."""
        return self._video.info

    @property
    def end_seconds(self) -> float:
        """End of the last frame."""
        return self._video.end_seconds

    def decode(self, from_seconds: float = 0.0) -> Iterator[DecodedFrame]:
        """Yield the frames when they are due.

        Args:
            from_seconds: As for ``VideoReader.decode``.
        """
        begun: float | None = None
        for frame in self._video.decode(from_seconds):
            now = time.monotonic()
            begun = now if begun is None else begun
            due = begun + (frame.timestamp_seconds - from_seconds) / self._speed
            if self._stop.wait(max(0.0, due - now)):
                return
            yield frame
