"""Reasons for a mAP near 0: common mistakes in the files, found in the matches and named in sentences.

Other video names, timestamps that count from another start, and boxes in pixels give a low number and no error in
every evaluator of this field.

Shapes: U boxes.
"""

from __future__ import annotations

import math

import numpy as np

from ava_detect.evaluation.frame_map import FrameMAP, matches_of
from ava_detect.evaluation.frame_map_result import FrameMAPResult
from ava_detect.evaluation.ground_truth_index import BoolArray, FloatArray
from ava_detect.evaluation.keyframes import IntArray, key_seconds, video_numbers
from ava_detect.evaluation.matches import Matches

# Below this mAP the files are most likely at fault, and not the detector.
_SUSPICIOUS_MAP = 0.01
# Boxes are fractions of the frame. Detectors reach a little beyond it, but not to twice its size.
_MAX_PLAUSIBLE_FRACTION = 2.0
_FIRST_SCORES = 1000  # tried first: one of them mostly shows that not all scores are whole numbers


def diagnose_if_suspicious(metric: FrameMAP, result: FrameMAPResult) -> list[str]:
    """Diagnose scores that are no scores; and, where the mAP is under 1% or NaN, what is most likely at fault.

    Args:
        metric: The filled metric.
        result: Its result at any IoU threshold.

    Returns:
        Sentences; none where scores and mAP are plausible.
    """
    is_suspicious = math.isnan(result.mAP) or result.mAP < _SUSPICIOUS_MAP
    matches = matches_of(metric)
    always = [*_no_probabilities(matches.detections.scores), *_no_boxes(matches)]
    return [*always, *(diagnose(matches) if is_suspicious else [])]


def diagnose(matches: Matches) -> list[str]:
    """Return sentences on why detections and ground truth do not meet.

    Args:
        matches: The matches of a run.

    Returns:
        A sentence for each mistake found; empty when there is no obvious one.
    """
    if not len(matches.detections.scores):
        return ["there is no detection of an evaluated action"]
    if not len(matches.truth.classes):
        return ["there is no ground truth of an evaluated action"]
    detection_keys = matches.keys[np.unique(matches.detections.box_keyframes)]
    truth_keys = matches.keys[np.unique(matches.truth.keyframes)]
    return [*_missed_keyframes(matches.video_ids, detection_keys, truth_keys), *_pixels(matches)]


def _no_probabilities(scores: FloatArray) -> list[str]:
    """Say that scores ``[R]`` lie outside 0..1, or are the whole numbers that person ids are."""
    if not len(scores):
        return []
    if num_outside := int(np.count_nonzero((scores < 0) | (scores > 1))):
        low, high = float(scores.min()), float(scores.max())
        return [
            f"{num_outside:,} of {len(scores):,} detections have a score outside 0..1, from {low:g} to {high:g}: only "
            "their order counts; is column 8 a person id?"
        ]
    if np.isin(scores[:_FIRST_SCORES], (0, 1)).all() and np.isin(scores, (0, 1)).all() and not scores.all():
        return ["all scores are 0 or 1; is column 8 a person id?"]
    return []


def _no_boxes(matches: Matches) -> list[str]:
    """Say on which side boxes have a corner that is NaN or infinite; they overlap with no other."""
    sides = {
        "detections": (matches.detections.boxes, matches.detections.box_keyframes),
        "ground truth": (matches.truth.boxes, matches.truth.keyframes),
    }
    sentences = []
    for side, (boxes, keyframes) in sides.items():
        bad = np.flatnonzero(~np.isfinite(boxes).all(axis=1))
        if len(bad):
            key = matches.keys[keyframes[bad[:1]]]  # int64 [1]
            video, second = matches.video_ids[video_numbers(key)[0]], key_seconds(key)[0]
            sentences.append(
                f"{len(bad):,} of the {len(boxes):,} boxes of the {side} have a NaN or infinite corner, and match "
                f"none; the first is in video {video!r} at second {second:g}"
            )
    return sentences


def _missed_keyframes(video_ids: tuple[str, ...], detection_keys: IntArray, truth_keys: IntArray) -> list[str]:
    """Say which of video names and timestamps differ, where no keyframe has both detections and ground truth."""
    if np.isin(detection_keys, truth_keys).any():
        return []
    detection_videos, truth_videos = np.unique(video_numbers(detection_keys)), np.unique(video_numbers(truth_keys))
    common = np.intersect1d(detection_videos, truth_videos)
    if not len(common):
        return [
            "no video of the detections has ground truth: the names differ, as in "
            f"{video_ids[detection_videos[0]]!r} and {video_ids[truth_videos[0]]!r}"
        ]
    video = common[0]
    detection_second = key_seconds(detection_keys[video_numbers(detection_keys) == video]).min()
    truth_second = key_seconds(truth_keys[video_numbers(truth_keys) == video]).min()
    return [
        f"no detection lies on a keyframe that has ground truth: in video {video_ids[video]!r} the detections begin at "
        f"second {detection_second:g}, the ground truth at {truth_second:g}; do both count from the start of the movie?"
    ]


def _pixels(matches: Matches) -> list[str]:
    """Say on which side most boxes reach far beyond the frame."""
    sides = {
        "detections": _is_beyond_any_frame(matches.detections.boxes),
        "ground truth": _is_beyond_any_frame(matches.truth.boxes),
    }
    return [
        f"{share:.0%} of the boxes of the {side} reach far beyond 1; are they pixels instead of fractions?"
        for side, share in ((side, float(is_beyond.mean())) for side, is_beyond in sides.items())
        if share > 0.5
    ]


def _is_beyond_any_frame(boxes: FloatArray) -> BoolArray:
    """Return which boxes ``[U, 4]`` have a coordinate that no fraction of a frame has, bool ``[U]``."""
    is_beyond: BoolArray = np.abs(boxes).max(axis=1, initial=0.0) > _MAX_PLAUSIBLE_FRACTION
    return is_beyond
