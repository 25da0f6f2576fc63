"""Where the clips of a data set come from: video files, or frames that somebody extracted before.

Both are found by the number of a video in a list of ids, and hold nothing open between clips: a loader's workers each
get their own cheap copy.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import av
import numpy as np
import numpy.typing as npt
import torch
from av.video.reformatter import VideoReformatter
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from ava_detect.datasets.packed import PackedStrings, Recent
from ava_detect.errors import VideoError
from ava_detect.structures import Clip, ClipSettings
from ava_detect.video.clip_sampler import clip_grid_points, sample_clip
from ava_detect.video.reader import DecodedFrame, VideoReader
from ava_detect.video.sources import videos_by_id
from ava_detect.video.transforms import resize_short_side, short_side_size

_READERS_KEPT, _FOLDERS_KEPT = 64, 1024
_FRAME_NAME = re.compile(r"(?P<prefix>.*?)(?P<number>\d+)(?P<suffix>\.(?:jpe?g|png))", re.IGNORECASE)
_WHAT_TO_DO = "'ava-detect data check' lists every such fault of a data set before training"


class ClipSource(Protocol):
    """Clips by the number of their video."""

    def duration_seconds(self, video: int, settings: ClipSettings) -> float:
        """How long the video is."""
        ...

    def to_file_seconds(self, video: int, seconds: float) -> float:
        """The time from the start of the file, given the time that the annotations state."""
        ...

    def clip(self, video: int, file_seconds: float, settings: ClipSettings) -> Clip:
        """The clip around a time; ``VideoError`` naming the file and the time when it cannot be had."""
        ...


class VideoClips:
    """Clips cut out of video files. Nothing needs to be extracted beforehand."""

    def __init__(self, paths: Sequence[str], start_seconds: Tensor | None = None) -> None:
        """``paths``: the file of each video. ``start_seconds``: float64, where in its movie each file starts; 0 by
        default.
        """
        self._paths = PackedStrings.of(paths)
        self._start_seconds = torch.zeros(len(paths), dtype=torch.float64) if start_seconds is None else start_seconds
        # Looking into a file costs as much as decoding a few frames, so what was found is kept for a while.
        self._readers = Recent(_READERS_KEPT, self._open)

    @classmethod
    def of_folder(cls, folder: str | Path, video_ids: Sequence[str], *, start_seconds: float = 0.0) -> VideoClips:
        """The files below ``folder``; which of them is which video: ``sources.videos_by_id``.

        ``start_seconds``: where in its movie a file starts (900 for AVA's trimmed files). A file ``ID_000012_000022``,
        as AVA-Kinetics is handed round, starts at 12 instead. ``VideoError`` names the ids for which there is no file.
        """
        places = videos_by_id(folder)
        _check_found(folder, [name for name in video_ids if name not in places], len(video_ids))
        found = [places[name][0] for name in video_ids]
        starts = [start_seconds if place.start_seconds is None else place.start_seconds for place in found]
        return cls([str(place.path) for place in found], torch.tensor(starts, dtype=torch.float64))

    def to_file_seconds(self, video: int, seconds: float) -> float:
        """See ``ClipSource``."""
        return seconds - float(self._start_seconds[video])

    def clip(self, video: int, file_seconds: float, settings: ClipSettings) -> Clip:
        """See ``ClipSource``. Reading begins shortly before the clip, at a picture that stands by itself."""
        reader = self._readers[video]
        try:
            clip = sample_clip(reader, file_seconds, settings)
        except VideoError as error:
            raise VideoError(f"{error}; {_WHAT_TO_DO}") from error
        if reader.damaged_packets:
            # Once a file and worker, as long as the message is the same.
            warnings.warn(f"{reader.path}: damaged; clips repeat the frame before. {_WHAT_TO_DO}", stacklevel=2)
        return clip

    def duration_seconds(self, video: int, settings: ClipSettings) -> float:
        """What the file's header says, or, where it says nothing, what reading it to the end shows."""
        reader = self._readers[video]
        if reader.info.duration_seconds is not None:
            return reader.info.duration_seconds
        for _ in reader.decode():
            pass
        return reader.end_seconds

    def _open(self, video: int) -> VideoReader:
        try:
            return VideoReader(self._paths[video])
        except VideoError as error:
            raise VideoError(f"{error}; {_WHAT_TO_DO}") from error


class _FrameNames(NamedTuple):
    """What the files of one video's frames are called: ``prefix``, then the number in ``digits``, then ``suffix``."""

    prefix: str
    digits: int
    suffix: str
    first: int
    number: int

    def name(self, index: int) -> str:
        return f"{self.prefix}{self.first + index:0{self.digits}d}{self.suffix}"


class FrameClips:
    """Clips made of extracted frames as PySlowFast lays them out: ``FOLDER/ID/ID_000001.jpg`` and on.

    The first frame is second ``start_seconds`` of the movie; the frames were cut at ``settings.sampling_fps`` (30 for
    AVA, 24 for Charades).
    """

    def __init__(self, folder: str | Path, video_ids: Sequence[str], *, start_seconds: float = 0.0) -> None:
        """``VideoError`` names the ids for which there is no folder."""
        self._folder = Path(folder)
        self._video_ids = PackedStrings.of(video_ids)
        self._start_seconds = start_seconds
        # Found on first use, since a data set has millions of frames.
        self._names = Recent(_FOLDERS_KEPT, self._list_frames)
        present: set[str] = set()
        if self._folder.is_dir():
            with os.scandir(self._folder) as entries:
                present = {entry.name for entry in entries if entry.is_dir()}
        _check_found(folder, [name for name in video_ids if name not in present], len(video_ids))

    def duration_seconds(self, video: int, settings: ClipSettings) -> float:
        """See ``ClipSource``."""
        return self._names[video].number / settings.sampling_fps

    def to_file_seconds(self, video: int, seconds: float) -> float:
        """See ``ClipSource``."""
        return seconds - self._start_seconds

    def clip(self, video: int, file_seconds: float, settings: ClipSettings) -> Clip:
        """See ``ClipSource``."""
        folder, names = self._folder / self._video_ids[video], self._names[video]
        last = names.number - 1
        points = clip_grid_points(file_seconds, settings)
        if not 0 <= points[0] + settings.num_frames * settings.sampling_rate // 2 <= last:
            raise VideoError(
                f"{folder}: second {file_seconds:g} lies outside its {last + 1} frames, which are "
                f"{settings.sampling_fps:g} a second; {_WHAT_TO_DO}"
            )
        indices = [min(max(point, 0), last) for point in points]
        images = {index: read_image(folder / names.name(index)) for index in dict.fromkeys(indices)}
        height, width = images[indices[0]].shape[:2]
        resized = dict(zip(images, _resized(images.values(), settings), strict=True))
        num_padded = sum(not 0 <= point <= last for point in points)
        frames = np.stack([resized[index] for index in indices])
        return Clip(frames, file_seconds, len(points) // 2, num_padded, (width, height))

    def _list_frames(self, video: int) -> _FrameNames:
        return _names_in(self._folder / self._video_ids[video])


def _names_in(folder: Path) -> _FrameNames:
    with os.scandir(folder) as entries:
        matches = [match for entry in entries if (match := _FRAME_NAME.fullmatch(entry.name))]
    if not matches:
        raise VideoError(f"{folder}: there are no frames here; they are called {folder.name}_000001.jpg and so on")
    numbers = sorted(int(match["number"]) for match in matches)
    first = min(matches, key=lambda match: int(match["number"]))
    if numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        raise VideoError(
            f"{folder}: of the frames {numbers[0]} to {numbers[-1]} only {len(numbers)} are there; extract them again"
        )
    return _FrameNames(first["prefix"], len(first["number"]), first["suffix"], numbers[0], len(numbers))


def read_image(path: Path) -> npt.NDArray[np.uint8]:
    """A picture file as uint8 RGB ``[H, W, 3]``; ``VideoError`` naming the file when it cannot be read."""
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, UnidentifiedImageError) as error:
        raise VideoError(f"{path}: the frame cannot be read ({error}); {_WHAT_TO_DO}") from error


def _resized(images: Iterable[npt.NDArray[np.uint8]], settings: ClipSettings) -> Iterator[npt.NDArray[np.uint8]]:
    """As ``ClipSampler`` resizes the frames of a video."""
    reformatters: dict[tuple[int, int], VideoReformatter] = {}
    for image in images:
        if settings.resize == "opencv":
            frames, _ = resize_short_side(image[None], np.zeros((0, 4), np.float32), settings.short_side)
            yield frames[0]
        else:
            picture = av.VideoFrame.from_ndarray(image, format="rgb24")
            size = short_side_size(picture.width, picture.height, settings.short_side)
            yield DecodedFrame(picture, 0.0, 0, reformatters).image(*size)


def _check_found(folder: str | Path, missing: list[str], num_wanted: int) -> None:
    if missing:
        shown = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
        raise VideoError(
            f"{folder}: {len(missing)} of the {num_wanted} videos that the annotations name are not there: {shown}; "
            "get them, or leave their rows out ('ava-detect data check' lists them all)"
        )
