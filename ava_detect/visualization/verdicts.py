"""Comparison of one keyframe with ground truth: true and false boxes, true actions, missed people.

Shapes: N detected people, T true people, C actions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ava_detect.results.people_table import PeopleTable
from ava_detect.structures import ActionDetections
from ava_detect.visualization.page.truth import judge


@dataclass(frozen=True, eq=False)
class KeyframeVerdicts:
    """How the detections of one keyframe compare with its ground truth.

    Attributes:
        is_found: bool ``[N]``, whether the box matches a true person.
        true_actions: For each of the N the ids of the actions that the matched true person does; empty for a false box.
        is_missed: bool ``[T]``, whether no box matches the true person.
    """

    is_found: npt.NDArray[np.bool_]
    true_actions: tuple[frozenset[int], ...]
    is_missed: npt.NDArray[np.bool_]


def judge_keyframe(detections: ActionDetections, truth: ActionDetections) -> KeyframeVerdicts:
    """Match the detected people of one keyframe with the true people.

    The matching is that of ``page.truth.judge``: one to one, IoU of at least 0.5, the greatest sum of IoUs.

    Args:
        detections: The detected people; timestamps are not compared.
        truth: The true people; an action with a score above 0 is true.

    Returns:
        The comparison.
    """
    # ``judge`` compares tables with the same score columns and pairs keyframes by their time.
    num_actions = max(detections.action_scores.shape[1], truth.action_scores.shape[1])
    predicted, true = (
        PeopleTable.from_keyframes([replace(_padded(k, num_actions), timestamp_seconds=0.0)], num_actions)
        for k in (detections, truth)
    )
    partner = judge(predicted, true).partner  # [T], row of the detection or -1
    true_actions = [frozenset[int]()] * len(detections)
    for row in np.flatnonzero(partner >= 0).tolist():
        true_actions[int(partner[row])] = actions_above_zero(truth, row)
    is_found = np.zeros(len(detections), np.bool_)
    is_found[partner[partner >= 0]] = True
    return KeyframeVerdicts(is_found, tuple(true_actions), partner < 0)


def actions_above_zero(keyframe: ActionDetections, row: int) -> frozenset[int]:
    """Return the ids of one person's actions with a score above 0.

    Args:
        keyframe: The people of a keyframe.
        row: Index of the person.

    Returns:
        The action ids.
    """
    return frozenset(keyframe.action_ids[keyframe.action_scores[row] > 0].tolist())


def _padded(keyframe: ActionDetections, num_actions: int) -> ActionDetections:
    """Append empty score columns up to ``num_actions``; the matching uses boxes only, so the ids are arbitrary."""
    missing = num_actions - keyframe.action_scores.shape[1]
    scores = np.pad(keyframe.action_scores, ((0, 0), (0, missing)))
    return replace(keyframe, action_scores=scores, action_ids=np.arange(1, num_actions + 1))
