"""Kinetics as the field lists it: a csv of ``path label``, one video a line (PySlowFast's ``DATASET.md``)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from ava_detect.datasets.classification import TimedLabels
from ava_detect.datasets.packed import PackedLists
from ava_detect.errors import FormatError, VideoError


def read_kinetics(path: str | Path, num_classes: int) -> tuple[list[str], TimedLabels]:
    """The videos of a list, as it names them, and the label of each: the number of a column, from 0.

    Path and label stand apart by a space or a comma; a first line ``path,label`` is a header. Raises ``FormatError``
    naming file and line.
    """
    videos: list[str] = []
    labels: list[int] = []
    try:
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
    always = torch.full((len(videos),), torch.inf, dtype=torch.float64)
    columns = PackedLists.of(np.array(labels, np.int16), np.ones(len(labels), np.int64))
    return videos, TimedLabels(columns, -always, always, num_classes)


def listed_files(folder: str | Path, videos: list[str]) -> list[str]:
    """The file of each listed video, below ``folder``; ``VideoError`` names those that are not there."""
    files = [Path(folder) / video for video in videos]
    missing = [str(file) for file in files if not file.is_file()]
    if missing:
        shown = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
        raise VideoError(
            f"{len(missing)} of {len(files)} listed videos are not there: {shown}; paths count from {folder}"
        )
    return [str(file) for file in files]


def _split(line: str) -> tuple[str, str]:
    """Path and label; a path may hold spaces."""
    video, _, label = line.strip().rpartition("," if "," in line else " ")
    return video.strip().strip('"'), label.strip()
