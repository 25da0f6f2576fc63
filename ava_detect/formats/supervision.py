"""Keyframes as ``supervision.Detections``, for the trackers, zones and annotators of that library (an extra)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ava_detect.environment import install_line
from ava_detect.errors import MissingDependencyError
from ava_detect.structures import ActionDetections
from ava_detect.structures.boxes import fractions_to_pixels
from ava_detect.structures.labels import NO_ACTION, LabelMap

if TYPE_CHECKING:
    from supervision import Detections


def keyframe_to_supervision(
    keyframe: ActionDetections, label_map: LabelMap, *, width: int, height: int, note: str = ""
) -> Detections:
    """Convert a keyframe with N people and C actions.

    Args:
        keyframe: The keyframe.
        label_map: The source of the action names; an action that it lacks is named ``action 99``.
        width: Width of the frame in pixels.
        height: Height of the frame in pixels.
        note: A warning about the scores, for the metadata; empty: none.

    Returns:
        The people: ``xyxy`` in pixels of the frame, ``confidence`` the detector's score, ``class_id`` the id of the
        action with the highest score (-1 where no score is above 0), ``tracker_id`` where people are linked. ``data``
        has ``class_name`` and ``action_score`` of that action, and ``action_ids``, ``action_names`` and
        ``action_scores`` of all actions, ``[N, C]``.

    Raises:
        MissingDependencyError: supervision is not installed.
    """
    try:
        from supervision import Detections
    except ImportError as error:
        raise MissingDependencyError(f"supervision is not installed; try: {install_line('supervision')}") from error
    num_people = len(keyframe)
    names = {action.id: action.name for action in label_map}
    ids = keyframe.action_ids  # [C]
    all_names = np.array([names.get(i, f"action {i}") for i in ids.tolist()], object)  # [C]
    # A column in front stands for no action at all, which results of few actions have.
    scores = np.insert(keyframe.action_scores, 0, 0, axis=1)  # [N, C + 1]
    best = scores.argmax(axis=1)  # [N]
    metadata = {"video_id": keyframe.video_id, "timestamp_seconds": keyframe.timestamp_seconds}
    return Detections(
        xyxy=fractions_to_pixels(keyframe.boxes_fraction.astype(np.float64), width, height).astype(np.float32),
        confidence=keyframe.person_scores.copy(),
        class_id=np.insert(ids, 0, NO_ACTION)[best],
        tracker_id=None if keyframe.track_ids is None else keyframe.track_ids.copy(),
        data={
            "class_name": np.insert(all_names, 0, "")[best].astype(str),
            "action_score": scores[np.arange(num_people), best],
            "action_ids": np.tile(ids, (num_people, 1)),
            "action_names": np.tile(all_names, (num_people, 1)),
            "action_scores": keyframe.action_scores.copy(),
        },
        metadata=metadata | ({"note": note} if note else {}),
    )
