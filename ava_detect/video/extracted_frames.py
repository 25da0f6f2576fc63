"""Videos as folders of image files, extracted beforehand: how the files are called, and which times they hold.

Training and ``benchmark`` read clips from such folders and ``data check`` examines them, all by the functions here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from ava_detect.errors import VideoError, shown
from ava_detect.structures.video_ids import ByVideoId
from ava_detect.video.clip_sampler import grid_point

_FRAME_NAME = re.compile(r"(?!\.)(?P<prefix>.*?)(?P<number>[0-9]+)(?P<suffix>\.(?:jpe?g|png))", re.IGNORECASE)
_MOST_NAMES_SHOWN = 3
_GREATEST_NUMBER_DIGITS = 9


@dataclass(frozen=True)
class FrameSequence:
    """The files of a video's frames, without gaps: ``prefix``, the number in at least ``digits`` digits, ``suffix``.

    Attributes:
        folder: The folder of the files.
        prefix: What precedes the number, such as ``img_``.
        digits: Least number of digits, with zeros in front.
        suffix: What follows the number, such as ``.jpg``.
        first: Number of the first frame, 0 or 1.
        num_frames: Number of frames N, at least 1.
    """

    folder: Path
    prefix: str
    digits: int
    suffix: str
    first: int
    num_frames: int

    @cached_property
    def size(self) -> tuple[int, int]:
        """Width and height of the first frame in pixels, which all others share.

        Raises:
            VideoError: If its file cannot be read; names it.
        """
        with _readable(self.path(0)) as image:
            return image.size

    def path(self, index: int) -> Path:
        """Return the file of a frame.

        Args:
            index: The frame, 0 to N - 1.

        Returns:
            The path.
        """
        return self.folder / f"{self.prefix}{self.first + index:0{self.digits}d}{self.suffix}"

    def holds(self, file_seconds: float, sampling_fps: float) -> bool:
        """Return whether the frame of a time is among the files.

        Args:
            file_seconds: The time, in seconds from the first frame.
            sampling_fps: Frames per second.

        Returns:
            Whether it is.
        """
        return 0 <= grid_point(file_seconds, sampling_fps) < self.num_frames


def find_frames(folder: Path) -> FrameSequence:
    """Find the frames in a folder.

    A frame's name ends in its number and ``.jpg``, ``.jpeg`` or ``.png``: ``VIDEO_000001.jpg`` (PySlowFast),
    ``img_00001.jpg`` (mmaction2), ``000001.png``. Numbers begin at 0 or 1. Where a folder has several such series, as
    with optical flow beside the frames, the one is taken that is called like the folder, ``img_``, ``frame_`` or
    nothing.

    Args:
        folder: The folder, named like the video.

    Returns:
        The frames.

    Raises:
        VideoError: The folder cannot be read, holds no frames, or numbers are left out; names what is missing.
    """
    try:
        with os.scandir(folder) as entries:
            matches = [match for entry in entries if (match := _FRAME_NAME.fullmatch(entry.name))]
    except OSError as error:
        raise VideoError(
            f"{shown(folder)}: the folder cannot be read ({error.strerror}); extract the frames again"
        ) from None
    series: dict[tuple[str, str], list[str]] = {}
    for match in matches:
        series.setdefault((match["prefix"], match["suffix"]), []).append(match["number"])
    if not series:
        raise VideoError(
            f"{shown(folder)}: there are no frames here; they are called {shown(folder.name)}_000001.jpg, "
            "img_00001.jpg, 000001.png and so on"
        )
    prefix, suffix = _chosen_series(folder, list(series))
    return _sequence(folder, prefix, suffix, series[prefix, suffix])


def _chosen_series(folder: Path, series: list[tuple[str, str]]) -> tuple[str, str]:
    """Return prefix and suffix of the frames; raise ``VideoError`` where several series may be meant."""
    if len(series) == 1:
        return series[0]
    for prefix in (f"{folder.name}_", "img_", "frame_", "frame", ""):
        if len(found := [one for one in series if one[0] == prefix]) == 1:
            return found[0]
    names = [shown(f"{prefix}1{suffix}") for prefix, suffix in sorted(series)[:_MOST_NAMES_SHOWN]]
    raise VideoError(
        f"{shown(folder)}: {len(series)} series of images are here, as in {', '.join(names)}; leave only the "
        "frames of the video, or call them img_00001.jpg and so on"
    )


def _sequence(folder: Path, prefix: str, suffix: str, numbers: list[str]) -> FrameSequence:
    """Check that numbers are complete and written alike."""
    by_number: dict[int, str] = {}
    for text in numbers:
        if len(text.lstrip("0")) > _GREATEST_NUMBER_DIGITS:
            raise VideoError(
                f"{shown(folder)}: {shown(prefix + text + suffix)} is no number of a frame; rename or remove it"
            )
        if (other := by_number.setdefault(int(text), text)) != text:
            names = shown(f"{prefix}{other}{suffix} and {prefix}{text}{suffix}")
            raise VideoError(f"{shown(folder)}: {names} have one number; extract the frames again")
    first, last = min(by_number), max(by_number)
    start = min(first, 1)
    num_missing = last - start + 1 - len(by_number)
    if num_missing:
        gap = next(number for number in range(start, last + 1) if number not in by_number)
        raise VideoError(
            f"{shown(folder)}: of the frames {start} to {last} only {len(by_number)} are there, the first that is "
            f"missing is {gap}; extract them again, numbered from 0 or 1"
        )
    # The padding is that of the first number: later ones may be longer, never shorter.
    sequence = FrameSequence(folder, prefix, len(by_number[first]), suffix, first, len(by_number))
    for number, text in by_number.items():
        if sequence.path(number - first).name != f"{prefix}{text}{suffix}":
            raise VideoError(
                f"{shown(folder)}: {shown(prefix + text + suffix)} does not have the digits of "
                f"{shown(sequence.path(0).name)}; write all numbers with as many zeros"
            )
    return sequence


def read_image(path: Path) -> npt.NDArray[np.uint8]:
    """Read an image file.

    Args:
        path: The file.

    Returns:
        uint8 RGB ``[H, W, 3]``.

    Raises:
        VideoError: If the file cannot be read; names it.
    """
    with _readable(path) as image:
        return np.asarray(image.convert("RGB"))


@contextmanager
def _readable(path: Path) -> Iterator[Image.Image]:
    """Open an image file; an error of the block is one of the file, which the message names."""
    try:
        with Image.open(path) as image:
            yield image
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise VideoError(f"{shown(path)}: the frame cannot be read ({shown(error)}); extract it again") from error


def frame_folders(folder: Path, video_ids: Iterable[str]) -> ByVideoId[Path]:
    """Find the folders of videos' frames.

    Args:
        folder: The folder of all of them; it need not exist.
        video_ids: The ids of the videos. An id with a folder in it is the path of its frames.

    Returns:
        The folder of each video that has one.
    """
    present: ByVideoId[str] = ByVideoId()
    if folder.is_dir():
        with os.scandir(folder) as entries:
            present = ByVideoId((entry.name, entry.name) for entry in entries if entry.is_dir())
    found = [one for one in video_ids if one in present or ("/" in one and (folder / one).is_dir())]
    return ByVideoId((one, folder / present.get(one, one)) for one in found)
