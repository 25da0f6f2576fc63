"""Frames of a video with a report on how far they have been read."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from ava_detect.structures.clip import Frame
from ava_detect.video.reader import VideoReader

_SECONDS_BETWEEN_REPORTS = 1.0


def reported_frames(video: VideoReader, report: Callable[[float, float | None], None]) -> Iterator[Frame]:
    """Yield the frames of a video, and report the position once per second of video.

    Args:
        video: The video.
        report: Called with the position and the duration in seconds; the duration is None where it is unknown.

    Yields:
        Every frame.
    """
    reported = -math.inf
    for frame in video:
        if frame.timestamp_seconds >= reported + _SECONDS_BETWEEN_REPORTS:
            reported = frame.timestamp_seconds
            report(reported, video.info.duration_seconds)
        yield frame
