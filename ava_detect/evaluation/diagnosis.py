"""Why a score is next to nothing: the mistakes that give mAP 0 and say nothing, found and said.

Users of every evaluator of this field meet them: other video names, times that count from another start, boxes in
pixels. A number alone leaves them guessing.
"""

from __future__ import annotations

import numpy as np

from ava_detect.evaluation.keyframes import IntArray, key_seconds, video_numbers
from ava_detect.evaluation.matches import Matches
from ava_detect.evaluation.matching import BoolArray, FloatArray

# Boxes are fractions of the frame; a little beyond it happens, this does not.
_BEYOND_ANY_FRAME = 2.0


def diagnose(matches: Matches) -> list[str]:
    """Sentences on what makes the two sides miss each other; empty when nothing obvious does."""
    if not len(matches.detections.scores):
        return ["there is no detection of an evaluated action"]
    if not len(matches.truth.classes):
        return ["there is no ground truth of an evaluated action"]
    found = matches.keys[np.unique(matches.detections.box_keyframes)]
    wanted = matches.keys[np.unique(matches.truth.keyframes)]
    return [*_missed_keyframes(matches.video_ids, found, wanted), *_pixels(matches)]


def _missed_keyframes(video_ids: tuple[str, ...], found: IntArray, wanted: IntArray) -> list[str]:
    if np.isin(found, wanted).any():
        return []
    found_videos, wanted_videos = np.unique(video_numbers(found)), np.unique(video_numbers(wanted))
    common = np.intersect1d(found_videos, wanted_videos)
    if not len(common):
        return [
            "no video of the detections has ground truth: the names differ, as in "
            f"{video_ids[found_videos[0]]!r} and {video_ids[wanted_videos[0]]!r}"
        ]
    video = common[0]
    found_second = key_seconds(found[video_numbers(found) == video]).min()
    wanted_second = key_seconds(wanted[video_numbers(wanted) == video]).min()
    return [
        f"no detection lies on a keyframe that has ground truth: in video {video_ids[video]!r} the detections begin at "
        f"second {found_second:g}, the ground truth at {wanted_second:g}; do both count from the start of the movie?"
    ]


def _pixels(matches: Matches) -> list[str]:
    sides = {
        "detections": _is_beyond_any_frame(matches.detections.boxes),
        "ground truth": _is_beyond_any_frame(matches.truth.boxes),
    }
    return [
        f"{share:.0%} of the boxes of the {side} reach far beyond 1; are they pixels instead of fractions?"
        for side, share in ((side, float(beyond.mean())) for side, beyond in sides.items())
        if share > 0.5
    ]


def _is_beyond_any_frame(boxes: FloatArray) -> BoolArray:
    beyond: BoolArray = np.abs(boxes).max(axis=1, initial=0.0) > _BEYOND_ANY_FRAME
    return beyond
