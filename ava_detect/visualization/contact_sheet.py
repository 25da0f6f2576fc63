"""Contact sheet: drawn keyframes from all over a video, on one image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ava_detect.errors import AvaDetectError
from ava_detect.storage.addresses import Address
from ava_detect.storage.local_files import atomic_path
from ava_detect.structures import ActionDetections
from ava_detect.structures.labels import LabelMap
from ava_detect.visualization.chips import RGBImage
from ava_detect.visualization.draw import DrawOptions, draw_detections
from ava_detect.visualization.image_grid import image_grid
from ava_detect.visualization.page.truth import KEYFRAME_TOLERANCE_SECONDS
from ava_detect.visualization.video_frames import frames_at

_NUM_FRAMES, _COLUMNS, _FRAME_WIDTH = 12, 3, 640


def write_contact_sheet(
    video: str | Path | Address,
    detections: Sequence[ActionDetections],
    path: str | Path,
    label_map: LabelMap,
    options: DrawOptions | None = None,
    *,
    num_frames: int = _NUM_FRAMES,
    columns: int = _COLUMNS,
    frame_width: int = _FRAME_WIDTH,
) -> list[float]:
    """Write drawn keyframes of a video as one image; ``contact_sheet`` says which.

    Args:
        video: The video file, or its address.
        detections: Keyframes of the video, in time order.
        path: Path of the image; the suffix selects the format (.png, .jpg, ...).
        label_map: Names and kinds of the actions.
        options: How the detections are drawn; None for the defaults.
        num_frames: Most drawn keyframes.
        columns: Number of frames in a row.
        frame_width: Width of one drawn frame, pixels.

    Returns:
        Times of the drawn keyframes, seconds.

    Raises:
        AvaDetectError: There is no keyframe, or ``num_frames`` or ``columns`` is less than 1.
        VideoError: The video cannot be read, or ends before a keyframe.
    """
    sheet, times = contact_sheet(
        video, detections, label_map, options, num_frames=num_frames, columns=columns, frame_width=frame_width
    )
    with atomic_path(path) as temporary:
        Image.fromarray(sheet).save(temporary, quality=90)
    return times


def contact_sheet(
    video: str | Path | Address,
    detections: Sequence[ActionDetections],
    label_map: LabelMap,
    options: DrawOptions | None = None,
    *,
    num_frames: int = _NUM_FRAMES,
    columns: int = _COLUMNS,
    frame_width: int = _FRAME_WIDTH,
) -> tuple[RGBImage, list[float]]:
    """Draw keyframes from all over a video on one image.

    The keyframes with people are divided into equal shares by time; from each share the keyframe with the greatest sum
    of action scores is drawn. Frames are found by seeking, so that the duration does not grow with the video's length.

    Args:
        video: The video file, or its address.
        detections: Keyframes of the video, in time order.
        label_map: Names and kinds of the actions.
        options: How the detections are drawn; None for the defaults. ``ground_truth`` is compared at its keyframes;
            ``keyframe_seconds`` and ``cuts_seconds`` are not used.
        num_frames: Most drawn keyframes.
        columns: Number of frames in a row.
        frame_width: Width of one drawn frame, pixels.

    Returns:
        The image, uint8 RGB ``[H, W, 3]``, and the times of the drawn keyframes in seconds.

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
    times, images = [keyframe.timestamp_seconds for keyframe in chosen], []
    for keyframe, frame in zip(chosen, frames_at(video, times, width=frame_width), strict=True):
        drawn = draw_detections(
            frame,
            keyframe,
            label_map,
            ground_truth=_keyframe_at(options.ground_truth, keyframe.timestamp_seconds),
            min_score=options.min_score,
            max_actions=options.max_actions,
            banner=options.banner,
        )
        images.append(drawn)
    return image_grid(images, min(columns, len(images))), times


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
