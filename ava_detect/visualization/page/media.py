"""Video files for the page: playable in a browser, and compared with the file that was annotated.

Browsers play H.264 (8 bit, 4:2:0) in mp4, and VP8, VP9 and AV1 in webm. Such a file is linked, copied or referred to
unchanged. Any other file is transcoded to a proxy of at most 720p, without sound. A proxy is also made where the
browser's timestamps or picture would differ from ours: the video does not start at 0, is not the file's first video
stream, or is stored mirrored, which browsers ignore.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from PIL import Image

from ava_detect.errors import VideoError
from ava_detect.results.saved_run import AnnotatedFile
from ava_detect.storage.file_names import PAGE_MEDIA
from ava_detect.storage.local_files import atomic_path
from ava_detect.structures import Frame
from ava_detect.video.container import choose_stream, open_container
from ava_detect.video.reader import VideoInfo, VideoReader
from ava_detect.video.writer import VideoWriter
from ava_detect.visualization.motion import at_constant_rate, output_fps

Placing = Literal["link", "symlink", "copy", "refer"]
OnTimestamp = Callable[[float], None]


_PROXY_SHORT_SIDE = 720
_THUMBNAIL_WIDTH = 384
_LATE_START_SECONDS = 0.02
# The length that a container declares may be off by a frame.
_LENGTH_TOLERANCE_SECONDS = 0.5
# Relative. 29.97 and 30 frames per second are the same recording; 24 and 25 may be one film at two speeds.
_RATE_TOLERANCE = 0.005


@dataclass(frozen=True)
class PageVideo:
    """A video file of the page.

    Attributes:
        source: URL of the file, relative to the page.
        width: Width of the original video, pixels.
        height: Height of the original video, pixels.
        duration_seconds: Length of the file that is played, seconds.
        fps: Average frame rate of the original video.
        declared_seconds: Length that the container of the original video declares, seconds.
        is_proxy: Whether the file was transcoded for the page.
    """

    source: str
    width: int
    height: int
    duration_seconds: float
    fps: float
    declared_seconds: float
    is_proxy: bool


def place_video(
    path: Path, page: Path, stem: str, placing: Placing, on_timestamp: OnTimestamp | None = None
) -> PageVideo:
    """Make a video available to the page, as ``page-media/STEM.*`` or at its own path.

    Args:
        path: The video file.
        page: The folder of the page.
        stem: Name of the file in the page's folder, without suffix.
        placing: ``link`` (a hard link, or a copy where the file system has none), ``symlink``, ``copy``, or ``refer``
            to the file at its own path. A file that browsers cannot play is transcoded in all cases.
        on_timestamp: Called with the time of each transcoded frame, seconds.

    Returns:
        The video of the page.

    Raises:
        VideoError: The video cannot be read.
    """
    reader = VideoReader(path)
    info = reader.info
    suffix = _playable_suffix(path, info)
    for name in (f"{stem}.mp4", f"{stem}.webm"):
        # Of a page that was interrupted; writing to the name would replace the video that the link leads to.
        if (page / PAGE_MEDIA / name).is_symlink():
            (page / PAGE_MEDIA / name).unlink()
    if suffix is None:
        target = page / PAGE_MEDIA / f"{stem}.mp4"
        duration = _write_proxy(reader, target, on_timestamp)
        return _page_video(f"{PAGE_MEDIA}/{target.name}", info, duration, is_proxy=True)
    target = page / PAGE_MEDIA / f"{stem}{suffix}"
    if placing == "refer":
        source = quote(Path(os.path.relpath(path.resolve(), page.resolve())).as_posix())
    else:
        source = f"{PAGE_MEDIA}/{target.name}"
        with atomic_path(target) as temporary:
            _link_or_copy(path, temporary, placing)
    return _page_video(source, info, info.duration_seconds or _decoded_seconds(reader), is_proxy=False)


def _page_video(source: str, info: VideoInfo, duration_seconds: float, *, is_proxy: bool) -> PageVideo:
    return PageVideo(
        source,
        info.width,
        info.height,
        duration_seconds,
        info.average_fps,
        info.duration_seconds or duration_seconds,
        is_proxy,
    )


def differences(
    path: Path, video: PageVideo, timestamps_seconds: list[float], spacing_seconds: float, annotated: AnnotatedFile
) -> list[str]:
    """Describe how a video file differs from the file that was annotated.

    Args:
        path: The video file.
        video: The same file as a video of the page.
        timestamps_seconds: Times of the keyframes of the results, seconds. They reach to the end of the annotated file,
            and are compared with the file's length where the run did not record the length.
        spacing_seconds: Usual spacing of the keyframes, seconds.
        annotated: Size, frame rate and length that the run recorded.

    Returns:
        Sentences for the reader of the page; empty where nothing differs.
    """
    changes = []
    if annotated.fps and abs(video.fps / annotated.fps - 1) > _RATE_TOLERANCE:
        changes.append(f"{video.fps:.4g} frames a second where it had {annotated.fps:.4g}")
    if annotated.seconds and abs(video.declared_seconds - annotated.seconds) > _LENGTH_TOLERANCE_SECONDS:
        changes.append(f"{video.declared_seconds:.1f} s long where it was {annotated.seconds:.1f} s")
    if changes:
        return [
            f"{path.name} is not the file that was annotated: it is now {' and '.join(changes)}, so boxes may lie "
            "beside the people; give the folder with the one that was (`videos`), or annotate this one."
        ]
    sentences = [] if annotated.seconds else _length_notices(path, video, timestamps_seconds, spacing_seconds)
    size = path.stat().st_size
    if annotated.num_bytes and size != annotated.num_bytes:
        sentences.append(
            f"{path.name} has changed since it was annotated ({annotated.num_bytes:,} bytes then, {size:,} now; now "
            f"{video.fps:.4g} frames a second, {video.duration_seconds:.1f} s): boxes may lie beside the people."
        )
    return sentences


def _length_notices(path: Path, video: PageVideo, timestamps_seconds: list[float], spacing_seconds: float) -> list[str]:
    """Compare the file's length with the times of the keyframes."""
    last = timestamps_seconds[-1] if timestamps_seconds else 0.0
    length = f"{video.duration_seconds:.1f} s"
    if last > video.duration_seconds + _LENGTH_TOLERANCE_SECONDS:
        return [
            f"{path.name} is {length} long and the results go on to {last:.1f} s: is it the video that was annotated?"
        ]
    if timestamps_seconds and video.duration_seconds > last + 2 * spacing_seconds + _LENGTH_TOLERANCE_SECONDS:
        return [
            f"{path.name} is {length} long and the results end at {last:.1f} s: the rest was not annotated, "
            "or this is another video."
        ]
    return []


def write_thumbnail(path: Path, target: Path, timestamp_seconds: float) -> None:
    """Write a small JPEG of the frame that is on screen at a time.

    Args:
        path: The video file.
        target: Path of the JPEG.
        timestamp_seconds: The time, seconds.

    Raises:
        VideoError: There is no frame at this time, or the video cannot be read.
    """
    reader = VideoReader(path)
    frame = next(reader.decode(timestamp_seconds), None)
    if frame is None:
        raise VideoError(f"{path}: there is no frame at {timestamp_seconds:g} s")
    width = min(_THUMBNAIL_WIDTH, reader.info.width)
    height = max(1, round(reader.info.height * width / reader.info.width))
    with atomic_path(target) as temporary:
        Image.fromarray(frame.image(width, height)).save(temporary, "JPEG", quality=82)


def _playable_suffix(path: Path, info: VideoInfo) -> str | None:
    """Return the suffix with which a browser plays the file unchanged; None where it needs a proxy."""
    with open_container(path) as container:
        stream = choose_stream(container, path, 1)
        pixel_format = stream.codec_context.pix_fmt
        starts_late = abs(float((stream.start_time or 0) * (stream.time_base or 0))) > _LATE_START_SECONDS
        is_first = stream == container.streams.video[0]
    if starts_late or not is_first or info.is_mirrored:
        return None
    if "mp4" in info.container.split(",") and info.codec == "h264" and pixel_format in ("yuv420p", "yuvj420p"):
        return ".mp4"
    if path.suffix.lower() == ".webm" and info.codec in ("vp8", "vp9", "av1", "libdav1d"):
        return ".webm"
    return None


def _link_or_copy(path: Path, target: Path, placing: Placing) -> None:
    if placing != "copy":
        link = target.hardlink_to if placing == "link" else target.symlink_to
        try:
            link(path.resolve())
            return
        except OSError:
            # The page is on another file system, or the file system has no links.
            pass
    shutil.copyfile(path, target)


def _write_proxy(reader: VideoReader, target: Path, on_timestamp: OnTimestamp | None) -> float:
    """Transcode the video for browsers; return its length in seconds."""
    info = reader.info
    factor = min(1.0, _PROXY_SHORT_SIDE / min(info.width, info.height))
    # H.264 with 4:2:0 chroma needs even sides.
    width, height = (max(2, round(side * factor) // 2 * 2) for side in (info.width, info.height))
    fps = output_fps(info.average_fps)

    def frames() -> Iterator[Frame]:
        for decoded in reader.decode():
            if on_timestamp is not None:
                on_timestamp(decoded.timestamp_seconds)
            yield Frame(decoded.image(width, height), decoded.timestamp_seconds)

    with VideoWriter(target, fps, quality=23) as writer:
        for frame in at_constant_rate(frames(), fps):
            writer.write(frame.image)
    return reader.end_seconds


def _decoded_seconds(reader: VideoReader) -> float:
    """Decode the video to find its length, for containers that do not declare it."""
    for _ in reader.decode():
        pass
    return reader.end_seconds
