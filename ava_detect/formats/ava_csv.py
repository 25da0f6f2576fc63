"""AVA's csv, both ways: one row per person and action, as the official evaluator reads it.

``video_id,timestamp,x1,y1,x2,y2,action_id[,score or person_id]``: the timestamp in seconds of the movie, boxes as
fractions of the frame. Detections carry a score in column 8, ground truth a person id.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ava_detect.files import atomic_path
from ava_detect.structures import ActionDetections


@dataclass(frozen=True, eq=False)
class AvaTable:
    """The rows of an AVA csv as columns; R rows.

    ``video_ids``: the distinct ids in order of first appearance; ``video_index``: int32 ``[R]`` into them.
    ``timestamps_seconds``: float64 ``[R]``, seconds of the movie as in the file. ``boxes_fraction``: float64
    ``[R, 4]`` xyxy as in the file, NaN in a row that only lists its keyframe (``video,timestamp``).
    ``action_ids``: int32 ``[R]``, 0 where the row names no action. ``scores``: float64 ``[R]``, NaN where the
    row has none. ``person_ids``: int64 ``[R]``, -1 where the row has none.
    """

    video_ids: tuple[str, ...]
    video_index: npt.NDArray[np.int32]
    timestamps_seconds: npt.NDArray[np.float64]
    boxes_fraction: npt.NDArray[np.float64]
    action_ids: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float64]
    person_ids: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.video_index)


def format_timestamp(seconds: float) -> str:
    """AVA's spelling: ``0902`` for a whole second, else up to six decimals (``0902.5``)."""
    whole = round(seconds)
    if abs(seconds - whole) < 5e-7:
        return f"{whole:04d}"
    return f"{seconds:011.6f}".rstrip("0")


def detection_rows(
    detections: Iterable[ActionDetections], *, start_seconds: float = 0.0, min_score: float = 0.0
) -> Iterator[list[str]]:
    """The csv rows of detections: every person with every action whose score is at least ``min_score``.

    ``start_seconds``: where in the movie the file starts (900 for the usual trimmed AVA files); it is added to
    every timestamp. Numbers are written in the shortest form that reads back as the same float32.
    """
    for keyframe in detections:
        timestamp = format_timestamp(keyframe.timestamp_seconds + start_seconds)
        for box, scores in zip(keyframe.boxes_fraction, keyframe.action_scores, strict=True):
            corners = [str(value) for value in box]
            for action_id, score in zip(keyframe.action_ids, scores, strict=True):
                if score >= min_score:
                    yield [keyframe.video_id, timestamp, *corners, str(action_id), str(score)]


def write_ava_csv(
    path: str | Path,
    detections: Iterable[ActionDetections],
    *,
    start_seconds: float = 0.0,
    min_score: float = 0.0,
) -> None:
    """Write detections as an AVA csv, atomically. See ``detection_rows`` for the meaning of the settings."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(
            detection_rows(detections, start_seconds=start_seconds, min_score=min_score)
        )
