"""Frames of a video at given times, found by seeking, for pictures of its keyframes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ava_detect.errors import VideoError, shown
from ava_detect.storage.addresses import Address
from ava_detect.video.reader import VideoReader
from ava_detect.video.remote import RemoteVideo, as_video_file
from ava_detect.visualization.chips import RGBImage


def frames_at(
    video: str | Path | Address,
    times_seconds: Iterable[float],
    *,
    width: int | None = None,
    max_width: int | None = None,
) -> Iterator[RGBImage]:
    """Decode the frames on display at some times; the duration does not grow with the video's length.

    Args:
        video: The video file, or its address.
        times_seconds: The times in seconds from the start of the file.
        width: Width of the images in pixels; None for that of the video.
        max_width: Width in pixels to which a wider video is reduced; None for no limit.

    Yields:
        The image at each time, upright, uint8 RGB ``[H, W, 3]``.

    Raises:
        VideoError: The video cannot be read, or ends before a time.
    """
    with _reader(video) as reader:
        info = reader.info
        width = width or min(info.width, max_width or info.width)
        height = max(1, round(info.height * width / info.width))
        for seconds in times_seconds:
            frame = next(reader.decode(seconds), None)
            if frame is None:
                raise VideoError(f"{shown(video)}: there is no frame at {seconds:g} s; is it the right video?")
            yield frame.image(width, height)


def frame_size(video: str | Path | Address) -> tuple[int, int]:
    """Return the size of a video's frames, upright and with square pixels.

    Args:
        video: The video file, or its address.

    Returns:
        Width and height in pixels.

    Raises:
        VideoError: The video cannot be read.
    """
    with _reader(video) as reader:
        return reader.info.width, reader.info.height


@contextmanager
def _reader(video: str | Path | Address) -> Iterator[VideoReader]:
    file = as_video_file(video)
    try:
        yield VideoReader(file)
    finally:
        if isinstance(file, RemoteVideo):
            file.close()
