"""A run of which every detection has its kind of error: costs, counts, oracles, groups and confusions.

Boxes on keyframes (``error_analysis``) and tubes (``tube_errors``) are classified by the same rules. A *person* is a
distinct box, or tube, of the evaluated ground truth; its actions are the classes of all ground truth that is equal.

Shapes: D detections, G ground-truth boxes or tubes, P people, C classes, A pairs of a person and an action of that
person.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from ava_detect.evaluation.average_precision import IntArray, Ranking
from ava_detect.evaluation.frame_map_result import mean_of_known
from ava_detect.evaluation.ground_truth_index import BoolArray, FloatArray, IndexArray, assign_greedily

AnyFloats = npt.NDArray[np.floating[Any]]
# (upper end of the group, its name), ascending
Groups = tuple[tuple[float, str], ...]
#: AP of ascending ranks of the true positives, the number of detections and the number of ground-truth boxes.
Area = Callable[[IntArray, int, int], float]

BACKGROUND_IOU = 0.1  # TIDE's t_b: below it, a detection is on the background


@dataclass(frozen=True)
class ErrorCosts:
    """AP, 0..1, gained by correcting one kind of error, the others staying.

    Attributes:
        duplicate: On a box of its class that another detection has taken.
        wrong_label: On a person, for an action that the person does not do.
        bad_box: Near a person who does the action, with an IoU from 0.1 up to the threshold. Corrected by moving the
            box onto the person.
        bad_box_and_label: As near to a person who does not do the action.
        background: Near no person.
        missed_person: A ground-truth box on whose person there is no detection of any class.
        missed_label: A ground-truth box on whose person there are detections, but none of its class.
    """

    duplicate: float
    wrong_label: float
    bad_box: float
    bad_box_and_label: float
    background: float
    missed_person: float
    missed_label: float


KINDS = tuple(field.name for field in fields(ErrorCosts))
_TRUE_POSITIVE = -1
_DUPLICATE, _WRONG_LABEL, _BAD_BOX, _BAD_BOX_AND_LABEL, _BACKGROUND = range(5)  # indices into KINDS


@dataclass(frozen=True, eq=False)
class Overlaps:
    """What is known of each detection and each box or tube of the ground truth.

    Attributes:
        scores: float64 ``[D]``; of equal ones of a class the later ranks first.
        classes: int ``[D]``, index of the class, ascending.
        is_tp: bool ``[D]``, the true positives.
        own_iou: float64 ``[D]``, overlap with the ground truth of the same class that a detection matched or else
            overlaps most; 0 where there is none.
        own_index: int ``[D]``, index of that ground truth; -1 where there is none.
        person_iou: float64 ``[D]``, overlap with the person that the detection overlaps most, whatever the person does.
        person: int ``[D]``, index of that person; -1 where there is none.
        truth_classes: int ``[G]``, index of the class.
        person_of_truth: int ``[G]``, index of the person, 0 to P - 1.
    """

    scores: FloatArray
    classes: npt.NDArray[np.integer[Any]]
    is_tp: BoolArray
    own_iou: FloatArray
    own_index: npt.NDArray[np.integer[Any]]
    person_iou: FloatArray
    person: npt.NDArray[np.integer[Any]]
    truth_classes: npt.NDArray[np.integer[Any]]
    person_of_truth: IndexArray


class ClassifiedRun:
    """The detections of a run, class after class, each with its kind of error.

    Args:
        overlaps: The detections and the ground truth.
        num_classes: Number of classes, C.
        iou_threshold: Least overlap of a true positive.
        area: Computes AP.

    Attributes:
        classes: The classes, 0 to C - 1.
        num_gt: int64 ``[C]``, number of ground-truth boxes or tubes of each class.
    """

    def __init__(self, overlaps: Overlaps, num_classes: int, iou_threshold: float, area: Area) -> None:
        self.classes = range(num_classes)
        self.num_gt = np.bincount(overlaps.truth_classes, minlength=num_classes)
        self._threshold, self._area = iou_threshold, area
        # Class c has the detections _bounds[c] up to _bounds[c + 1].
        self._bounds = np.searchsorted(overlaps.classes, np.arange(num_classes + 1))  # [C + 1]
        self._class, self._scores, self._is_tp = overlaps.classes, overlaps.scores, overlaps.is_tp
        self._own_iou, self._own_index = overlaps.own_iou, overlaps.own_index
        self._person_iou, self._person = overlaps.person_iou, overlaps.person
        self._truth_classes, self._person_of_truth = overlaps.truth_classes, overlaps.person_of_truth
        self._num_people = int(self._person_of_truth.max(initial=-1)) + 1  # P
        self._kind = self._kinds()  # [D]
        # Ground truth that a true positive has found, and that on whose person there is any detection.
        self._is_found = np.zeros(len(self._truth_classes), np.bool_)  # [G]
        self._is_found[self._own_index[self._is_tp]] = True
        is_person_found = np.zeros(self._num_people, np.bool_)  # [P]
        is_person_found[self._person[self._person_iou >= iou_threshold]] = True
        self._is_person_found = is_person_found[self._person_of_truth]  # [G]
        self._is_fixed = self._wins_moved_box()  # [D]
        # The actions of each person as numbers person * C + class, each once, ascending.
        self._person_classes = np.unique(
            self._person_of_truth.astype(np.int64) * num_classes + self._truth_classes
        )  # [A]

    def _kinds(self) -> npt.NDArray[np.int8]:
        """Return the kind ``[D]`` of each false positive, an index into ``KINDS``; -1 for a true positive."""
        # The first case that holds decides.
        cases = (
            (self._is_tp, _TRUE_POSITIVE),
            (self._own_iou >= self._threshold, _DUPLICATE),
            (self._person_iou >= self._threshold, _WRONG_LABEL),
            (self._own_iou >= BACKGROUND_IOU, _BAD_BOX),
            (self._person_iou >= BACKGROUND_IOU, _BAD_BOX_AND_LABEL),
        )
        return np.select([case for case, _ in cases], [kind for _, kind in cases], _BACKGROUND).astype(np.int8)

    def _wins_moved_box(self) -> BoolArray:
        """Return which bad boxes ``[D]`` would be true positives if they were moved onto their ground-truth box."""
        rows = np.flatnonzero(self._kind == _BAD_BOX)
        # Only a box that no true positive has found is to be won, and by one detection alone.
        rows = rows[~self._is_found[self._own_index[rows]]]
        wins = np.zeros(len(self._scores), np.bool_)
        wins[rows[assign_greedily(self._own_index[rows].astype(np.int32), self._scores[rows])]] = True
        return wins

    def ap(
        self, c: int, keep: BoolArray | None = None, is_tp: BoolArray | None = None, num_gt: int | None = None
    ) -> float:
        """Compute the AP of one class, as it is or changed.

        Args:
            c: The class; the following masks are over its detections, ``[d]``.
            keep: The detections that stay; None for all.
            is_tp: Other true positives than those of the run.
            num_gt: Another number of ground-truth boxes.

        Returns:
            AP, 0..1; NaN without ground truth.
        """
        part = self._part(c)
        scores, is_class_tp = self._scores[part], self._is_tp[part] if is_tp is None else is_tp
        if keep is not None:
            scores, is_class_tp = scores[keep], is_class_tp[keep]
        ranks = np.flatnonzero(is_class_tp[Ranking(scores).order])
        return self._area(ranks, len(scores), int(self.num_gt[c]) if num_gt is None else num_gt)

    def costs(self, c: int, base: float) -> ErrorCosts:
        """Compute the cost of each kind of error in one class.

        Args:
            c: The class.
            base: Its AP.

        Returns:
            The gains of AP over ``base``.
        """
        kind, is_fixed = self._kind[self._part(c)], self._is_fixed[self._part(c)]  # [d]
        # False positives of a kind are corrected by removing them ...
        gains = [self.ap(c, keep=kind != wrong) - base for wrong in range(_BACKGROUND + 1)]
        # ... except bad boxes: those that would win a box become true positives, only the others are removed.
        with_fixed = self._is_tp[self._part(c)] | is_fixed
        gains[_BAD_BOX] = self.ap(c, keep=(kind != _BAD_BOX) | is_fixed, is_tp=with_fixed) - base
        # Missed boxes are corrected by removing them from the ground truth.
        is_missed = (self._truth_classes == c) & ~self._is_found  # [G]
        for is_of_kind in (~self._is_person_found, self._is_person_found):
            num_left = int(self.num_gt[c]) - int(np.count_nonzero(is_missed & is_of_kind))
            # Where all boxes of a class are removed, no error is left: AP 1. Without ground truth AP stays NaN.
            gains.append((self.ap(c, num_gt=num_left) if num_left or not self.num_gt[c] else 1.0) - base)
        return ErrorCosts(*gains)

    def counts(self) -> dict[str, int]:
        """Count the errors of each kind.

        Returns:
            Number of false positives or missed boxes, by the names in ``KINDS``.
        """
        false_positives = np.bincount(self._kind[~self._is_tp], minlength=_BACKGROUND + 1).tolist()
        is_missed = ~self._is_found
        counts = [
            *false_positives,
            np.count_nonzero(is_missed & ~self._is_person_found),
            np.count_nonzero(is_missed & self._is_person_found),
        ]
        return dict(zip(KINDS, map(int, counts), strict=True))

    def with_perfect_boxes(self) -> float:
        """Compute the mAP with every detection moved onto the person nearest to it, where one is near.

        Returns:
            mAP, 0..1.
        """
        near = np.flatnonzero(self._person_iou >= BACKGROUND_IOU)  # [n]
        # Look up (person, class of the detection) among the actions of all people.
        wanted = self._person[near].astype(np.int64) * len(self.classes) + self._class[near]  # [n]
        index = np.minimum(np.searchsorted(self._person_classes, wanted), max(len(self._person_classes) - 1, 0))
        is_right = self._person_classes[index] == wanted if len(self._person_classes) else np.zeros(0, np.bool_)
        near, index = near[is_right], index[is_right]
        # Each action of each person goes to one detection, the best.
        is_tp = np.zeros(len(self._scores), np.bool_)  # [D]
        is_tp[near[assign_greedily(index.astype(np.int32), self._scores[near])]] = True
        return mean_of_known([self.ap(c, is_tp=is_tp[self._part(c)]) for c in self.classes])

    def with_perfect_labels(self) -> float:
        """Compute the mAP with exactly the right actions on every person that is found.

        Then AP is recall: the only errors are people that are not found.

        Returns:
            mAP, 0..1.
        """
        num_found = np.bincount(self._truth_classes[self._is_person_found], minlength=len(self.classes))  # [C]
        found_and_all = zip(num_found.tolist(), self.num_gt.tolist(), strict=True)
        return mean_of_known([self._area(np.arange(found), found, num_gt) for found, num_gt in found_and_all])

    def confusions(self) -> npt.NDArray[np.int64]:
        """Count the wrong labels by the action of the person and the predicted action.

        Returns:
            int64 ``[C, C]``, see ``ErrorAnalysis``.
        """
        person, action = np.divmod(self._person_classes, len(self.classes))  # [A] each
        # Person p has the actions starts[p] up to starts[p + 1].
        starts = np.searchsorted(person, np.arange(self._num_people + 1))  # [P + 1]
        columns = []
        for c in self.classes:
            part = self._part(c)
            # The N best detections of a class with N ground-truth boxes; among these the wrong labels.
            best = part.start + Ranking(self._scores[part]).order[: self.num_gt[c]]
            mislabelled = self._person[best[self._kind[best] == _WRONG_LABEL]]  # [m], people
            # Expand each person to its actions: starts[p], starts[p] + 1, ...
            counts = starts[mislabelled + 1] - starts[mislabelled]  # [m]
            within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
            true_actions = action[np.repeat(starts[mislabelled], counts) + within]
            columns.append(np.bincount(true_actions, minlength=len(self.classes)))  # [C]
        return np.stack(columns, axis=1)

    def by_group(self, truth_values: AnyFloats, detection_values: AnyFloats, groups: Groups) -> dict[str, float]:
        """Compute mAP within groups; a true positive belongs to the group of its ground truth.

        Args:
            truth_values: ``[G]``, by which the ground truth is grouped.
            detection_values: ``[D]``, by which the other detections are.
            groups: The groups.

        Returns:
            mAP by the name of the group; NaN for a group without ground truth.
        """
        # So no true positive is lost between two groups.
        of_matched = truth_values[self._own_index] if len(truth_values) else 0.0
        detections = dict(members_of(np.where(self._is_tp, of_matched, detection_values), groups))
        result = {}
        for name, members in members_of(truth_values, groups):
            num_gt = np.bincount(self._truth_classes[members], minlength=len(self.classes))  # [C]
            is_in = np.zeros(len(self._scores), np.bool_)  # [D]
            is_in[detections[name]] = True
            result[name] = mean_of_known(
                [self.ap(c, keep=is_in[self._part(c)], num_gt=int(num_gt[c])) for c in self.classes]
            )
        return result

    def by_frequency(self, groups: Groups) -> dict[str, float]:
        """Compute mAP over the classes of each group.

        Args:
            groups: The groups, by the number of ground-truth boxes of a class.

        Returns:
            mAP by the name of the group.
        """
        return {
            name: mean_of_known([self.ap(c) for c in members.tolist()])
            for name, members in members_of(self.num_gt.astype(np.float64), groups)
        }

    def _part(self, c: int) -> slice:
        """Return the slice of the detections of class ``c``."""
        return slice(int(self._bounds[c]), int(self._bounds[c + 1]))


def members_of(values: AnyFloats, groups: Groups) -> list[tuple[str, IndexArray]]:
    """Sort values into groups.

    Args:
        values: ``[N]``.
        groups: Upper end and name of each group, ascending.

    Returns:
        The name of each group with the indices of its values: above the end of the group before, up to its own.
    """
    group = np.searchsorted([end for end, _ in groups], values, side="left")
    return [(name, np.flatnonzero(group == number)) for number, (_, name) in enumerate(groups)]
