"""The keyframe that an image of a video shows, from the name of the image.

Names end in the second or in the number of the frame: ``VIDEO/0902.jpg``, ``VIDEO_1.5.png``,
``VIDEO/frame_000012.png``, ``VIDEO/img_00013.jpg``, ``VIDEO/VIDEO_000014.jpg``. A number is that of a frame after
``frame``, ``img`` or ``image``, where it has five digits or more with leading zeros or six without, and where the
numbers are no seconds of the video.
Frames count from 0 after ``frame`` (CVAT, Datumaro) and where there is a frame 0; else from 1, as FFmpeg's ``%d`` does.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from ava_detect.errors import FormatError, shown
from ava_detect.results.importing.videos import VideoLookup, as_path
from ava_detect.results.measured_video import MeasuredVideo

Key = TypeVar("Key", bound=Hashable)

_NAME = re.compile(
    r"(?:(?P<video>.+?)[/_,-])??(?:(?P<word>frame|img|image)[_-]?)?(?P<number>\d{1,12}(?:\.\d{1,9})?)"
    r"(?:\.(?:jpe?g|png|bmp|webp|tiff?))?",
    re.IGNORECASE,
)
# Folders that are named by what they hold and not by a video.
_NO_VIDEO = frozenset({"", "data", "default", "frames", "images", "img", "rgb", "test", "train", "val"})
# Seconds are dense: fewer keyframes than this share of their span may be numbers of frames instead.
_DENSE = 0.4


class _Named(NamedTuple):
    """What the name of an image says."""

    video: str
    word: str
    number: str

    @property
    def is_frame(self) -> bool:
        """Whether the number alone is known to be that of a frame."""
        is_padded = len(self.number) > 4 and self.number[0] == "0"
        return "." not in self.number and bool(self.word or is_padded or len(self.number) > 5)


class Keyframe(NamedTuple):
    """A frame of a video.

    Attributes:
        video: The name of the video in the tool's file, or its id where it was found.
        seconds: Time of the frame from the first frame of the file.
    """

    video: str
    seconds: float


def keyframes_of_names(names: Mapping[Key, str], videos: VideoLookup, where: str) -> dict[Key, Keyframe]:
    """Find the keyframes that images show.

    Args:
        names: Name, path or address of each image.
        videos: Finds the videos, whose frame times are needed where names have numbers of frames.
        where: The file that has the names, for messages.

    Returns:
        The keyframe of each image.

    Raises:
        FormatError: A name has no number or no video, or its video is needed and is not there.
        VideoError: The file of a video cannot be decoded.
    """
    by_video: dict[str, dict[Key, _Named]] = {}
    for key, name in names.items():
        named = _parse(name, videos, where)
        by_video.setdefault(named.video, {})[key] = named
    return {
        key: Keyframe(video, seconds)
        for name, images in by_video.items()
        for video, times in [_times(name, list(images.values()), videos, where)]
        for key, seconds in zip(images, times, strict=True)
    }


def movie_to_file_seconds(seconds: float, start_seconds: float) -> float:
    """Convert a second in the name of an image to the time from the first frame of the file.

    Args:
        seconds: A second of the file, or of the movie from which the file was cut.
        start_seconds: Time in the movie, in seconds, at which the file starts.

    Returns:
        The second of the file; a second below ``start_seconds`` is one already.
    """
    return round(seconds - start_seconds, 6) if start_seconds > 0 and seconds >= start_seconds else seconds


def frame_seconds(video: MeasuredVideo, frame: int, where: str) -> float:
    """Return the time of a frame by its number.

    Args:
        video: The video.
        frame: Number of the frame, from 0.
        where: The file and the entry that have the number, for the message.

    Returns:
        Seconds from the first frame of the file.

    Raises:
        FormatError: The video has no such frame.
    """
    if not 0 <= frame < video.num_frames:
        raise FormatError(
            f"{where}: frame {frame:,}, counted from 0, is not in {shown(video.path)}, which has {video.num_frames:,} "
            "frames; is it the video that was labelled?"
        )
    return float(video.frame_times[frame])


def _parse(name: str, videos: VideoLookup, where: str) -> _Named:
    path = as_path(name).replace("\\", "/").strip()
    match = _NAME.fullmatch(path)
    if not match:
        raise FormatError(
            f"{where}: the name of an image ends in its second or in the number of its frame, such as VIDEO/0902.jpg "
            f"or VIDEO/frame_000012.png, got {shown(name)!r:.120}"
        )
    video = match["video"] or ""
    if video.rsplit("/", 1)[-1].casefold() in _NO_VIDEO and videos.find(video) is None:
        if len(videos.paths) != 1:
            raise FormatError(
                f"{where}: the image {shown(name)!r:.120} does not name its video; give a folder with that video alone "
                "(`videos`)"
            )
        video = videos.paths[0].name
    return _Named(video, (match["word"] or "").casefold(), match["number"])


def _times(name: str, images: Sequence[_Named], videos: VideoLookup, where: str) -> tuple[str, list[float]]:
    """Return the video that a name means, and the times of its images in seconds."""
    are_frames = all(image.is_frame for image in images)
    if not are_frames:
        seconds = [movie_to_file_seconds(float(image.number), videos.start_seconds) for image in images]
        video = None if _are_dense(seconds) else videos.find(name)
        are_frames = video is not None and max(seconds) > video.duration_seconds + 1
        if not are_frames:
            return name, seconds
    video = videos.get(name, where=where, need="numbers of frames become times")
    numbers = [int(float(image.number)) for image in images]
    first = 0 if 0 in numbers or any(image.word == "frame" for image in images) else 1
    return video.video_id, [frame_seconds(video, number - first, where) for number in numbers]


def _are_dense(seconds: Sequence[float]) -> bool:
    return len(set(seconds)) >= _DENSE * (max(seconds) - min(seconds))
