"""Tubes on numbered frames of people that are tracked: the counterpart of ``tube_linking``, which links each action.

A person is linked once, whatever they do, by ``structures.linking``; each action of the person is then cut into spans
of time by ``structures.tubes``. Frames within a tube on which the person was not found are interpolated.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from ava_detect.structures.detections import ActionDetections
from ava_detect.structures.frame_numbers import FrameNumbers
from ava_detect.structures.frame_tubes import FrameTube
from ava_detect.structures.linking import Linker
from ava_detect.structures.tubes import action_tubes


@dataclass(frozen=True)
class TrackTubes:
    """Settings of the tubes of tracked people. An evaluation needs sure and unsure tubes, so the thresholds are low.

    Attributes:
        min_peak: Smoothed score that a tube reaches at least once, 0..1.
        min_score: Least smoothed score in a tube, from 0 to ``min_peak``.
        smoothing_seconds: Standard deviation of the Gaussian that smooths scores over time; 0 for none.
        max_gap: Greatest number of frames from one box of a person to the next.
    """

    min_peak: float = 0.1
    min_score: float = 0.05
    smoothing_seconds: float = 0.2
    max_gap: int = 5


def tubes_of_tracks(
    keyframes: Iterable[ActionDetections], numbers: FrameNumbers, settings: TrackTubes | None = None
) -> Iterator[FrameTube]:
    """Find the tubes of people on the frames of a video.

    Args:
        keyframes: The frames with people, in the order of time, their boxes in pixels. Where people have no track ids
            they are linked.
        numbers: Converts the times of the keyframes into numbers of frames.
        settings: The settings.

    Yields:
        The tubes; their score is the mean of the smoothed scores.
    """
    settings = settings or TrackTubes()
    linker = Linker((settings.max_gap + 0.5) / numbers.fps)
    linked = (keyframe if keyframe.track_ids is not None else linker.update(keyframe) for keyframe in keyframes)
    for tube in action_tubes(
        linked,
        min_peak=settings.min_peak,
        min_score=settings.min_score,
        smoothing_seconds=settings.smoothing_seconds,
    ):
        whole = FrameTube(
            tube.video_id,
            tube.action_id,
            numbers.at(tube.timestamps_seconds),
            tube.boxes_fraction.astype(np.float64),
            tube.mean_score,
        )
        yield whole.on_frames(int(whole.frames[0]), int(whole.frames[-1]))
