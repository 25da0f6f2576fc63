"""Keyframes as a live run gives them, with scores that are written down."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import numpy as np

from ava_detect.inference.live.keyframe import LiveKeyframe
from ava_detect.structures.labels import Action, LabelMap

NOON = datetime(2026, 11, 30, 12, 0, 0, tzinfo=UTC)
_NAMES = ("stand", "fight/hit (a person)", "hand wave", "hand clap")
LABELS = LabelMap(tuple(Action(number, name) for number, name in enumerate(_NAMES, start=1)))


def live_keyframe(
    seconds: float, scores: Mapping[int, tuple[float, ...]], *, name: str = "cam", num_dropped: int = 0
) -> LiveKeyframe:
    """A keyframe with people by track id, each with the scores of the four actions."""
    people = len(scores)
    return LiveKeyframe(
        name,
        seconds,
        np.tile(np.array([0.1, 0.1, 0.5, 0.9], np.float32), (people, 1)),
        np.full(people, 0.9, np.float32),
        np.array(list(scores.values()), np.float32).reshape(people, len(LABELS)),
        np.array(LABELS.ids, np.int64),
        np.array(list(scores), np.int64),
        LABELS,
        seen=NOON + timedelta(seconds=seconds),
        lag_seconds=1.25,
        num_dropped=num_dropped,
    )
