"""Detected people with the scores of AVA's 80 actions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ava_detect.structures import ActionDetections


def detections(
    boxes_fraction: Sequence[Sequence[float]],
    actions: Sequence[Mapping[int, float]],
    *,
    video_id: str = "v",
    seconds: float = 0.0,
    person_scores: Sequence[float] | float = 1.0,
    track_ids: Sequence[int] | None = None,
) -> ActionDetections:
    """A keyframe with a box and ``{action id: score}`` for each person; scores that are not named are 0."""
    scores = np.zeros((len(boxes_fraction), 80), np.float32)
    for row, named in enumerate(actions):
        for action_id, score in named.items():
            scores[row, action_id - 1] = score
    return ActionDetections(
        video_id,
        seconds,
        np.array(boxes_fraction, np.float32).reshape(-1, 4),
        np.broadcast_to(np.array(person_scores, np.float32), len(boxes_fraction)),
        scores,
        track_ids=None if track_ids is None else np.array(track_ids, np.int64),
    )
