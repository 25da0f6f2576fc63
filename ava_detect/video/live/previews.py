"""Small pictures of the last seconds of a live source: for the page, and for clips of what happened."""

from __future__ import annotations

import io
import threading
import time
from collections import deque
from dataclasses import dataclass

from PIL import Image

from ava_detect.video.reader import DecodedFrame, VideoInfo
from ava_detect.video.transforms import size_within

_QUALITY = 82
# Presentation times are rounded: a frame that comes a little too early is not too many.
_SLACK = 0.1


@dataclass(frozen=True)
class Preview:
    """A small picture.

    Attributes:
        seconds: Time of its frame from the source's first frame.
        jpeg: The picture.
    """

    seconds: float
    jpeg: bytes


class Previews:
    """The pictures of the last seconds of one source, at a few a second; may be used by several threads.

    Args:
        seconds: How long pictures are kept.
        per_second: The most pictures a second.
        short_side: Longest short side, pixels.
        long_side: Longest long side, pixels.
    """

    def __init__(
        self, seconds: float, *, per_second: float = 10.0, short_side: int = 480, long_side: int = 854
    ) -> None:
        self._seconds, self._distance = seconds, 1 / per_second
        self._limits = short_side, long_side
        self._lock = threading.Lock()
        self._arrival = 0.0  # of the newest picture
        self._kept: deque[Preview] = deque(maxlen=round(seconds * per_second * (1 + _SLACK)) + 2)

    def add(self, frame: DecodedFrame, info: VideoInfo) -> None:
        """Take a frame, unless the last picture is too close to it.

        Args:
            frame: The frame.
            info: The properties of the frames.
        """
        now = frame.timestamp_seconds
        if self._kept and now - self._kept[-1].seconds < self._distance * (1 - _SLACK):
            return
        size = size_within(info.width, info.height, *self._limits)
        file = io.BytesIO()
        Image.fromarray(frame.image(*size)).save(file, "JPEG", quality=_QUALITY)
        with self._lock:
            self._kept.append(Preview(now, file.getvalue()))
            self._arrival = time.monotonic()
            while self._kept[0].seconds < now - self._seconds:
                self._kept.popleft()

    def between(self, start_seconds: float, end_seconds: float) -> list[Preview]:
        """Return the pictures of a span of time, both ends included.

        Args:
            start_seconds: Its start.
            end_seconds: Its end.
        """
        with self._lock:
            return [kept for kept in self._kept if start_seconds <= kept.seconds <= end_seconds]

    def at(self, seconds: float) -> Preview | None:
        """Return the picture on display at a time: the last one up to it, or the first.

        Args:
            seconds: The time.

        Returns:
            The picture; None where there is none yet.
        """
        with self._lock:
            shown = None
            for kept in self._kept:
                if shown is not None and kept.seconds > seconds:
                    break
                shown = kept
            return shown

    @property
    def now_seconds(self) -> float | None:
        """The time now on the clock of the frames, which goes on where no picture comes; None before the first."""
        with self._lock:
            return self._kept[-1].seconds + time.monotonic() - self._arrival if self._kept else None

    @property
    def newest_seconds(self) -> float | None:
        """Time of the newest picture; None where there is none yet."""
        with self._lock:
            return self._kept[-1].seconds if self._kept else None
