"""What ground truth says of the people of one moment: whose boxes are right, which actions are, and what was missed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ava_detect.results.people_table import PeopleTable
from ava_detect.structures import ActionDetections
from ava_detect.visualization.page.truth import judge


@dataclass(frozen=True, eq=False)
class Judgement:
    """N people, T true people.

    ``is_found``: bool ``[N]``, the box is somebody's. ``true_actions``: for each of the N, what their true self does,
    none for a false box. ``is_missed``: bool ``[T]``, nobody's box is theirs.
    """

    is_found: npt.NDArray[np.bool_]
    true_actions: tuple[frozenset[int], ...]
    is_missed: npt.NDArray[np.bool_]


def judge_moment(people: ActionDetections, truth: ActionDetections) -> Judgement:
    """Pair the people of a moment with the true ones; an action of ``truth`` with a score above 0 is true.

    Pairs as the page does: one to one, an IoU of at least 0.5, the sum of the IoUs as great as can be.
    """
    num_actions = max(people.action_scores.shape[1], truth.action_scores.shape[1])
    moment = [replace(_padded(k, num_actions), timestamp_seconds=0.0) for k in (people, truth)]
    predicted, true = (PeopleTable.from_keyframes([keyframe], num_actions) for keyframe in moment)
    partner = judge(predicted, true).partner
    actions = [frozenset[int]()] * len(people)
    for row in np.flatnonzero(partner >= 0).tolist():
        actions[int(partner[row])] = actions_above_zero(truth, row)
    is_found = np.zeros(len(people), np.bool_)
    is_found[partner[partner >= 0]] = True
    return Judgement(is_found, tuple(actions), partner < 0)


def actions_above_zero(keyframe: ActionDetections, row: int) -> frozenset[int]:
    """The ids of the actions of one person that have any score."""
    return frozenset(keyframe.action_ids[keyframe.action_scores[row] > 0].tolist())


def _padded(keyframe: ActionDetections, num_actions: int) -> ActionDetections:
    """With ``num_actions`` score columns; which is whose plays no part in the pairing."""
    missing = num_actions - keyframe.action_scores.shape[1]
    scores = np.pad(keyframe.action_scores, ((0, 0), (0, missing)))
    return replace(keyframe, action_scores=scores, action_ids=np.arange(1, num_actions + 1))
