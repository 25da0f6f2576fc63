"""A still sheet: the telling moments of a video, drawn, side by side on one picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ava_detect.errors import AvaDetectError, VideoError
from ava_detect.storage.local_files import atomic_path
from ava_detect.structures import ActionDetections
from ava_detect.structures.labels import LabelMap
from ava_detect.video.reader import VideoReader
from ava_detect.visualization.draw import draw_detections
from ava_detect.visualization.tiles import tile

# A truth's keyframe may miss the detections' by a rounding.
_SAME_MOMENT_SECONDS = 0.02


def write_contact_sheet(
    video: str | Path,
    detections: Sequence[ActionDetections],
    path: str | Path,
    label_map: LabelMap,
    *,
    num_pictures: int = 12,
    columns: int = 3,
    picture_width: int = 640,
    ground_truth: Sequence[ActionDetections] = (),
    min_score: float = 0.3,
    max_actions: int = 3,
    banner: str = "",
) -> list[float]:
    """Write a sheet of at most ``num_pictures`` drawn keyframes as ``path`` (.png, .jpg, ...); returns their times.

    ``detections``: the keyframes of the file ``video``, in time order. The moments are spread over those with people:
    of each share the keyframe with the greatest sum of action scores from ``min_score`` on. Each is found by seeking,
    so that a long video takes no longer than a short one. ``ground_truth``: keyframes, compared where times agree.
    ``picture_width``: of one picture, pixels. The other settings are those of ``draw_detections``. Raises
    ``AvaDetectError`` where there is no keyframe, and ``VideoError`` where the video ends before one.
    """
    if num_pictures < 1 or columns < 1:
        raise AvaDetectError(f"num_pictures and columns are at least 1, got {num_pictures} and {columns}")
    chosen = _telling(detections, num_pictures, min_score)
    if not chosen:
        raise AvaDetectError(f"{video}: the results have no keyframe, so there is nothing to show on a sheet")
    reader = VideoReader(video)
    height = max(1, round(reader.info.height * picture_width / reader.info.width))
    pictures = []
    for keyframe in chosen:
        frame = next(reader.decode(keyframe.timestamp_seconds), None)
        if frame is None:
            raise VideoError(
                f"{video}: there is no picture at {keyframe.timestamp_seconds:g} s; is it the right video?"
            )
        drawn = draw_detections(
            frame.image(picture_width, height),
            keyframe,
            label_map,
            ground_truth=_at(ground_truth, keyframe.timestamp_seconds),
            min_score=min_score,
            max_actions=max_actions,
            banner=banner,
        )
        pictures.append(drawn)
    with atomic_path(path) as temporary:
        Image.fromarray(tile(pictures, min(columns, len(pictures)))).save(temporary, quality=90)
    return [keyframe.timestamp_seconds for keyframe in chosen]


def _telling(detections: Sequence[ActionDetections], count: int, min_score: float) -> list[ActionDetections]:
    """At most ``count`` keyframes, with people where there are any, one from each equal share of them."""
    occupied = [keyframe for keyframe in detections if len(keyframe)] or list(detections)
    shares = np.array_split(np.arange(len(occupied)), min(count, len(occupied))) if occupied else []
    return [max((occupied[i] for i in share.tolist()), key=lambda k: _weight(k, min_score)) for share in shares]


def _weight(keyframe: ActionDetections, min_score: float) -> float:
    return float(keyframe.action_scores[keyframe.action_scores >= min_score].sum())


def _at(keyframes: Sequence[ActionDetections], timestamp_seconds: float) -> ActionDetections | None:
    for keyframe in keyframes:
        if abs(keyframe.timestamp_seconds - timestamp_seconds) <= _SAME_MOMENT_SECONDS:
            return keyframe
    return None
