"""Kinetics as the field lists it: a csv of ``path label``, one video per line (PySlowFast's ``DATASET.md``)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from ava_detect.datasets.classification import MAX_LIST_BYTES, TimedLabels
from ava_detect.datasets.packed import PackedLists
from ava_detect.errors import FormatError, VideoError, require_file, shown

_MOST_FILES_SHOWN = 3


def read_kinetics(path: str | Path, num_classes: int) -> tuple[list[str], TimedLabels]:
    """Read a list of videos with one label each.

    Path and label are separated by a space or a comma; a first line ``path,label`` is a header.

    Args:
        path: The list.
        num_classes: Number of label columns; labels are columns, from 0.

    Returns:
        The paths of the videos as the list has them, and their labels, which hold for the whole video.

    Raises:
        FormatError: If the list cannot be read or is empty, or a line lacks a path or a valid label; names file and
            line.
    """
    videos: list[str] = []
    labels: list[int] = []
    try:
        require_file(path, max_bytes=MAX_LIST_BYTES)
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(f"{path}: the list cannot be read ({error}); give a csv of path and label") from error
    for number, line in enumerate(lines, start=1):
        video, label = _split(line)
        if not line.strip() or (number == 1 and label == "label"):
            continue
        if not video or not label.isdecimal() or int(label) >= num_classes:
            raise FormatError(
                f"{path}, line {number}: expected a path and a label from 0 to {num_classes - 1} "
                f"(model.head.num_classes is {num_classes}), got {line!r:.120}"
            )
        videos.append(video)
        labels.append(int(label))
    if not videos:
        raise FormatError(f"{path}: the list is empty; give a csv of path and label")
    # Each action lasts from minus to plus infinity: it is a label of every clip.
    forever = torch.full((len(videos),), torch.inf, dtype=torch.float64)
    columns = PackedLists.of(np.array(labels, np.int16), np.ones(len(labels), np.int64))
    return videos, TimedLabels(columns, -forever, forever, num_classes)


def listed_files(folder: str | Path, videos: list[str]) -> list[str]:
    """Return the file of each video of a list.

    Args:
        folder: The folder that the list's paths are relative to.
        videos: The paths of the list.

    Returns:
        The path of each file.

    Raises:
        VideoError: If files are missing; names the first few.
    """
    files = [Path(folder) / video for video in videos]
    missing = [str(file) for file in files if not file.is_file()]
    if missing:
        more = len(missing) - _MOST_FILES_SHOWN
        names = shown(", ".join(missing[:_MOST_FILES_SHOWN])) + (f" and {more} more" if more > 0 else "")
        raise VideoError(
            f"{len(missing)} of {len(files)} listed videos are not there: {names}; paths are relative to "
            f"{shown(folder)}"
        )
    return [str(file) for file in files]


def _split(line: str) -> tuple[str, str]:
    """Split a line into path and label; a path may contain spaces."""
    video, _, label = line.strip().rpartition("," if "," in line else " ")
    return video.strip().strip('"'), label.strip()
