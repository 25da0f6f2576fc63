"""Predictions beside ground truth, person by person: who is found, which action is right, what is missed.

On every keyframe that both have, predicted people and true people are paired one to one so that the IoU of the pairs is
greatest (Hungarian method); a pair below ``MATCH_IOU`` is none. A predicted action is right when the person's partner
does it. frame-mAP pairs each class by itself, best score first; for a page that shows whole people one pairing per
person is what can be understood by looking.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from ava_detect.results.people_table import Float32Array, IntArray, PeopleTable
from ava_detect.structures.boxes import iou

MATCH_IOU = 0.5
# AVA's keyframes are whole seconds; a frame's time may miss them by a rounding.
_SAME_MOMENT_SECONDS = 0.02

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Verdicts:
    """P predicted and T true people, C actions.

    ``judged``: bool ``[P]``, whether the keyframe has ground truth. ``found``: bool ``[P]``, whether the box is
    somebody's. ``right``: bool ``[P, C]``. ``partner``: int64 ``[T]``, the row of the predicted person, or -1.
    ``partner_scores``: float32 ``[T, C]``, what the partner's scores are; 0 without one.
    """

    judged: BoolArray
    found: BoolArray
    right: BoolArray
    partner: IntArray
    partner_scores: Float32Array


def judge(predicted: PeopleTable, true: PeopleTable) -> Verdicts:
    """Compare people of one video; both tables have the same score columns."""
    judged = np.zeros(len(predicted), np.bool_)
    partner = np.full(len(true), -1, np.int64)
    for k, moment in enumerate(true.timestamps_seconds.tolist()):
        nearest = _nearest(predicted.timestamps_seconds, moment)
        if nearest is None:
            continue
        start, end = predicted.offsets[nearest : nearest + 2].tolist()
        first, last = true.offsets[k : k + 2].tolist()
        judged[start:end] = True
        overlaps = iou(true.boxes_fraction[first:last], predicted.boxes_fraction[start:end])
        overlaps[overlaps < MATCH_IOU] = 0
        rows, columns = linear_sum_assignment(overlaps, maximize=True)
        kept = overlaps[rows, columns] > 0
        partner[first + rows[kept]] = start + columns[kept]
    has_partner = partner >= 0
    found = np.zeros(len(predicted), np.bool_)
    found[partner[has_partner]] = True
    right = np.zeros(predicted.action_scores.shape, np.bool_)
    right[partner[has_partner]] = true.action_scores[has_partner] > 0
    partner_scores = np.zeros_like(true.action_scores)
    partner_scores[has_partner] = predicted.action_scores[partner[has_partner]]
    return Verdicts(judged, found, right, partner, partner_scores)


def _nearest(timestamps: npt.NDArray[np.float64], moment: float) -> int | None:
    """The keyframe at ``moment``, or None."""
    if not len(timestamps):
        return None
    place = int(np.abs(timestamps - moment).argmin())
    return place if abs(timestamps[place] - moment) <= _SAME_MOMENT_SECONDS else None
