"""Contact sheet: drawn keyframes from all over a video, on one image."""

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
from ava_detect.visualization.draw import DrawOptions, draw_detections
from ava_detect.visualization.image_grid import image_grid
from ava_detect.visualization.page.truth import KEYFRAME_TOLERANCE_SECONDS


def write_contact_sheet(
    video: str | Path,
    detections: Sequence[ActionDetections],
    path: str | Path,
    label_map: LabelMap,
    options: DrawOptions | None = None,
    *,
    num_frames: int = 12,
    columns: int = 3,
    frame_width: int = 640,
) -> list[float]:
    """Write drawn keyframes of a video as one image.

    The keyframes with people are divided into equal shares by time; from each share the keyframe with the greatest sum
    of action scores is drawn. Frames are found by seeking, so that the duration does not grow with the video's length.

    Args:
        video: The video file.
        detections: Keyframes of the video, in time order.
        path: Path of the image; the suffix selects the format (.png, .jpg, ...).
        label_map: Names and kinds of the actions.
        options: How the detections are drawn; None for the defaults. ``ground_truth`` is compared at its keyframes;
            ``keyframe_seconds`` and ``cuts_seconds`` are not used.
        num_frames: Most drawn keyframes.
        columns: Number of frames in a row.
        frame_width: Width of one drawn frame, pixels.

    Returns:
        Times of the drawn keyframes, seconds.

    Raises:
        AvaDetectError: There is no keyframe, or ``num_frames`` or ``columns`` is less than 1.
        VideoError: The video cannot be read, or ends before a keyframe.
    """
    options = options or DrawOptions()
    if num_frames < 1 or columns < 1:
        raise AvaDetectError(f"num_frames and columns are at least 1, got {num_frames} and {columns}")
    chosen = _choose_keyframes(detections, num_frames, options.min_score)
    if not chosen:
        raise AvaDetectError(f"{video}: the results have no keyframe, so there is nothing to show on a sheet")
    reader = VideoReader(video)
    height = max(1, round(reader.info.height * frame_width / reader.info.width))
    images = []
    for keyframe in chosen:
        frame = next(reader.decode(keyframe.timestamp_seconds), None)
        if frame is None:
            raise VideoError(f"{video}: there is no frame at {keyframe.timestamp_seconds:g} s; is it the right video?")
        drawn = draw_detections(
            frame.image(frame_width, height),
            keyframe,
            label_map,
            ground_truth=_keyframe_at(options.ground_truth, keyframe.timestamp_seconds),
            min_score=options.min_score,
            max_actions=options.max_actions,
            banner=options.banner,
        )
        images.append(drawn)
    with atomic_path(path) as temporary:
        Image.fromarray(image_grid(images, min(columns, len(images)))).save(temporary, quality=90)
    return [keyframe.timestamp_seconds for keyframe in chosen]


def _choose_keyframes(detections: Sequence[ActionDetections], count: int, min_score: float) -> list[ActionDetections]:
    """Return at most ``count`` keyframes, one from each equal share of those with people, or of all if none has any."""
    occupied = [keyframe for keyframe in detections if len(keyframe)] or list(detections)
    shares = np.array_split(np.arange(len(occupied)), min(count, len(occupied))) if occupied else []
    return [max((occupied[i] for i in share.tolist()), key=lambda k: _score_sum(k, min_score)) for share in shares]


def _score_sum(keyframe: ActionDetections, min_score: float) -> float:
    return float(keyframe.action_scores[keyframe.action_scores >= min_score].sum())


def _keyframe_at(keyframes: Sequence[ActionDetections], timestamp_seconds: float) -> ActionDetections | None:
    for keyframe in keyframes:
        if abs(keyframe.timestamp_seconds - timestamp_seconds) <= KEYFRAME_TOLERANCE_SECONDS:
            return keyframe
    return None
