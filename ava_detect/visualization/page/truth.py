"""Comparison of predictions with ground truth, person by person: found people, right actions, missed people.

On every keyframe that both have, predicted and true people are matched one to one so that the sum of IoUs is greatest
(Hungarian method); pairs below ``MATCH_IOU`` are discarded. A predicted action is right when the matched true person
does it. frame-mAP matches each class separately, in the order of scores; one match per person is easier to
understand on a page that shows whole people.

Shapes: P predicted people, T true people, C actions, K keyframes; p and t people on one keyframe.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from ava_detect.results.people_table import Float32Array, IntArray, PeopleTable
from ava_detect.structures.boxes import iou

MATCH_IOU = 0.5
# Two keyframes are the same when their times differ by no more than this. AVA's keyframes are at whole seconds, and
# a predicted keyframe has the time of the nearest frame or a rounded time.
KEYFRAME_TOLERANCE_SECONDS = 0.02

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Verdicts:
    """How the predictions of one video compare with its ground truth.

    Attributes:
        judged: bool ``[P]``, whether the person's keyframe has ground truth.
        found: bool ``[P]``, whether the box matches a true person.
        right: bool ``[P, C]``, whether the matched true person does the action.
        partner: int64 ``[T]``, row of the matched predicted person, or -1.
        partner_scores: float32 ``[T, C]``, scores of the matched predicted person; 0 without one.
    """

    judged: BoolArray
    found: BoolArray
    right: BoolArray
    partner: IntArray
    partner_scores: Float32Array


def judge(predicted: PeopleTable, true: PeopleTable) -> Verdicts:
    """Compare the predicted people of a video with the true ones.

    Args:
        predicted: The predicted people.
        true: The true people, with the same score columns; an action with a score above 0 is true.

    Returns:
        The comparison.
    """
    judged = np.zeros(len(predicted), np.bool_)  # [P]
    partner = np.full(len(true), -1, np.int64)  # [T]
    for k, timestamp_seconds in enumerate(true.timestamps_seconds.tolist()):
        predicted_k = _keyframe_at(predicted.timestamps_seconds, timestamp_seconds)
        if predicted_k is None:
            continue
        # Rows of this keyframe's people in the two tables.
        start, end = predicted.offsets[predicted_k : predicted_k + 2].tolist()
        true_start, true_end = true.offsets[k : k + 2].tolist()
        judged[start:end] = True
        overlaps = iou(true.boxes_fraction[true_start:true_end], predicted.boxes_fraction[start:end])  # [t, p]
        overlaps[overlaps < MATCH_IOU] = 0
        rows, columns = linear_sum_assignment(overlaps, maximize=True)  # [min(t, p)] each
        # The assignment also returns pairs of IoU 0.
        is_match = overlaps[rows, columns] > 0
        partner[true_start + rows[is_match]] = start + columns[is_match]
    has_partner = partner >= 0  # [T]
    found = np.zeros(len(predicted), np.bool_)
    found[partner[has_partner]] = True
    # Each matched prediction gets the actions of its true person, and each matched true person the scores given to it.
    right = np.zeros(predicted.action_scores.shape, np.bool_)
    right[partner[has_partner]] = true.action_scores[has_partner] > 0
    partner_scores = np.zeros_like(true.action_scores)
    partner_scores[has_partner] = predicted.action_scores[partner[has_partner]]
    return Verdicts(judged, found, right, partner, partner_scores)


def _keyframe_at(timestamps_seconds: npt.NDArray[np.float64], timestamp_seconds: float) -> int | None:
    """Return the index of the keyframe at a time; None where no keyframe is within the tolerance."""
    if not len(timestamps_seconds):
        return None
    nearest = int(np.abs(timestamps_seconds - timestamp_seconds).argmin())
    is_same = abs(timestamps_seconds[nearest] - timestamp_seconds) <= KEYFRAME_TOLERANCE_SECONDS
    return nearest if is_same else None
