"""Error analysis of a run: the cost of each kind of error, what perfect boxes or labels would give, and mAP by group.

After TIDE (Bolya et al., "TIDE: A General Toolbox for Identifying Object Detection Errors", ECCV 2020), adapted to
AVA, where a person has several actions at once. Every false positive has one kind, every missed box has one kind, and
the cost of a kind is the gain of mAP when errors of this kind alone are corrected.

A *person* here is a distinct box of the evaluated ground truth; its actions are the classes of all rows with that box.

Shapes: R detections, D counted detections, G ground-truth rows, P people, K keyframes, C classes, A pairs of a person
and an action of that person.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from ava_detect.evaluation.average_precision import Ranking
from ava_detect.evaluation.frame_map import FrameMAP, matches_of
from ava_detect.evaluation.frame_map_result import mean_of_known, null_if_nan
from ava_detect.evaluation.ground_truth_index import (
    BoolArray,
    FloatArray,
    GroundTruthIndex,
    IndexArray,
    assign_greedily,
)
from ava_detect.evaluation.keyframes import starts_run
from ava_detect.evaluation.matches import Matches
from ava_detect.structures.boxes import areas

AnyFloats = npt.NDArray[np.floating[Any]]
# (upper end of the group, its name), ascending
Groups = tuple[tuple[float, str], ...]

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


@dataclass(frozen=True)
class ErrorAnalysis:
    """Error analysis of a run; AP is 0..1, NaN where a class has no ground truth.

    Attributes:
        mAP: Mean AP of the run.
        costs: Cost of each kind of error, mean over the classes.
        costs_per_class: Cost of each kind of error in each class, by action id.
        counts: Number of false positives and missed boxes of each kind.
        oracles: mAP as it is (``as_is``), with every box moved onto the person nearest to it (``perfect_boxes``), and
            with every person that is found given exactly the right actions (``perfect_labels``).
        by_size: mAP by the area of the person's box; the keys of this and the next two are names of groups.
        by_crowd: mAP by the number of people on the keyframe.
        by_frequency: mAP by the number of ground-truth boxes of the class.
        action_ids: Action id of each class, C.
        confusions: int64 ``[C, C]``. Row a, column b: the number of detections of b on people who do a but not b, among
            the detections of b that rank within its number of ground-truth boxes.
    """

    mAP: float  # noqa: N815 (the name that the field uses)
    costs: ErrorCosts
    costs_per_class: Mapping[int, ErrorCosts]
    counts: Mapping[str, int]
    oracles: Mapping[str, float]
    by_size: Mapping[str, float]
    by_crowd: Mapping[str, float]
    by_frequency: Mapping[str, float]
    action_ids: tuple[int, ...]
    confusions: npt.NDArray[np.int64]

    def __str__(self) -> str:
        """Return cost in points of mAP and count of each kind of error, and the oracles."""
        lines = [f"{'error':<20}{'points':>8}{'count':>10}"]
        lines += [f"{kind:<20}{100 * getattr(self.costs, kind):8.2f}{self.counts[kind]:10d}" for kind in KINDS]
        return "\n".join([*lines, "", *(f"mAP {name}: {100 * value:.2f}" for name, value in self.oracles.items())])

    def to_json(self) -> dict[str, Any]:
        """Return a dict for ``json.dumps``.

        Returns:
            All fields; None for NaN, and confusions as triples (action id of the person, action id of the detection,
            count), the most frequent first.
        """
        true, predicted = np.nonzero(self.confusions)
        triples = [
            (self.action_ids[a], self.action_ids[b], int(self.confusions[a, b]))
            for a, b in zip(true, predicted, strict=True)
        ]
        numbers = {
            name: {key: null_if_nan(value) for key, value in getattr(self, name).items()}
            for name in ("oracles", "by_size", "by_crowd", "by_frequency")
        }
        return {
            "mAP": null_if_nan(self.mAP),
            "costs": _costs_to_json(self.costs),
            "costs_per_class": {str(i): _costs_to_json(costs) for i, costs in self.costs_per_class.items()},
            "counts": dict(self.counts),
            **numbers,
            "confusions": sorted(triples, key=lambda triple: -triple[2]),
        }


KINDS = tuple(field.name for field in fields(ErrorCosts))
_TRUE_POSITIVE = -1
_DUPLICATE, _WRONG_LABEL, _BAD_BOX, _BAD_BOX_AND_LABEL, _BACKGROUND = range(5)  # indices into KINDS

_SIZES = ((0.05, "under 5% of the frame"), (0.2, "5 to 20% of the frame"), (np.inf, "over 20% of the frame"))
_CROWDS = ((1, "1 person at most"), (2, "2 people"), (3, "3 people"), (np.inf, "4 people or more"))
_FREQUENCIES = ((100, "up to 100 boxes"), (1000, "101 to 1000 boxes"), (np.inf, "over 1000 boxes"))


def analyze_errors(metric: FrameMAP) -> ErrorAnalysis:
    """Analyze the errors of a run.

    Args:
        metric: The filled metric; the analysis uses its IoU threshold and the matches that ``compute`` scores.

    Returns:
        The analysis.
    """
    run = _ClassifiedRun(matches_of(metric), metric.iou_threshold)
    base = [run.ap(c) for c in run.classes]  # [C]
    costs = [run.costs(c, base[c]) for c in run.classes]
    ids = metric.label_map.ids
    return ErrorAnalysis(
        mean_of_known(base),
        ErrorCosts(*(mean_of_known([getattr(cost, kind) for cost in costs]) for kind in KINDS)),
        dict(zip(ids, costs, strict=True)),
        run.counts(),
        {
            "as_is": mean_of_known(base),
            "perfect_boxes": run.with_perfect_boxes(),
            "perfect_labels": run.with_perfect_labels(),
        },
        run.by_size(),
        run.by_crowd(),
        {
            name: mean_of_known([base[c] for c in members.tolist()])
            for name, members in _groups(run.num_gt.astype(np.float64), _FREQUENCIES)
        },
        ids,
        run.confusions(),
    )


class _ClassifiedRun:
    """The D counted detections of a run, class after class, each with its kind of error.

    Attributes:
        classes: The classes, 0 to C - 1.
        num_gt: int64 ``[C]``, number of ground-truth boxes of each class.
    """

    def __init__(self, matches: Matches, iou_threshold: float) -> None:
        truth, found = matches.truth, matches.detections
        by_class = list(matches.by_class())
        rows = np.concatenate(by_class)  # [D]
        self.classes = range(truth.num_classes)
        self.num_gt = np.bincount(truth.classes, minlength=truth.num_classes)
        self._truth, self._threshold = truth, iou_threshold
        # Class c has the detections _bounds[c] up to _bounds[c + 1].
        self._bounds = np.cumsum([0, *map(len, by_class)])  # [C + 1]
        self._keyframes, self._class, self._scores = (
            found.keyframes_of(rows),
            found.classes[rows],
            found.scores[rows],
        )
        self._boxes: FloatArray = found.boxes_of(rows)  # [D, 4]
        self._is_tp = matches.true_positives(iou_threshold)[rows]
        # The ground-truth row of its own class that each detection overlaps most: its IoU, 0 where there is none, and
        # its index, -1 where there is none.
        iou, index = np.zeros(len(found.scores)), np.full(len(found.scores), -1)  # [R]
        iou[matches.overlapping], index[matches.overlapping] = matches.iou, matches.truth_indices
        self._own_iou, self._own_index = iou[rows], index[rows]  # [D]
        # The person that each detection overlaps most, whatever the person does: an index of one class only.
        self._people, self._person_of_truth = _people(truth)  # P boxes, [G]
        no_class = np.zeros(len(rows), np.int16)
        self._person_iou, self._person = self._people.best_overlaps(self._keyframes, no_class, self._boxes)  # [D]
        self._kind = self._kinds()  # [D]
        # Ground-truth rows that a true positive has found, and those on whose person there is any detection.
        self._is_found = np.zeros(len(truth.boxes), np.bool_)  # [G]
        self._is_found[self._own_index[self._is_tp]] = True
        is_person_found = np.zeros(len(self._people.boxes), np.bool_)  # [P]
        is_person_found[self._person[self._person_iou >= iou_threshold]] = True
        self._is_person_found = is_person_found[self._person_of_truth]  # [G]
        self._is_fixed = self._wins_moved_box()  # [D]
        # The actions of each person as numbers person * C + class, each once, ascending.
        self._person_classes = np.unique(
            self._person_of_truth.astype(np.int64) * len(self.classes) + truth.classes
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
        return Ranking(scores).average_precision(is_class_tp, int(self.num_gt[c]) if num_gt is None else num_gt).ap

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
        is_missed = (self._truth.classes == c) & ~self._is_found  # [G]
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
        num_found = np.bincount(self._truth.classes[self._is_person_found], minlength=len(self.classes))  # [C]
        return mean_of_known([num_found[c] / self.num_gt[c] if self.num_gt[c] else np.nan for c in self.classes])

    def by_size(self) -> dict[str, float]:
        """Compute mAP by the area of the person; a false positive counts by its own area.

        Returns:
            mAP by the name of the group; NaN for a group without ground truth.
        """
        truth_areas = areas(self._truth.boxes)  # [G]
        # A true positive belongs to the group of its ground-truth box, so that none is lost between two groups.
        matched_areas = truth_areas[self._own_index] if len(truth_areas) else 0
        return self._by_group(truth_areas, np.where(self._is_tp, matched_areas, areas(self._boxes)), _SIZES)

    def by_crowd(self) -> dict[str, float]:
        """Compute mAP by the number of people on the keyframe.

        Returns:
            mAP by the name of the group; NaN for a group without ground truth.
        """
        num_people = np.bincount(self._people.keyframes, minlength=self._truth.num_keyframes).astype(np.float64)  # [K]
        return self._by_group(num_people[self._truth.keyframes], num_people[self._keyframes], _CROWDS)

    def confusions(self) -> npt.NDArray[np.int64]:
        """Count the wrong labels by the action of the person and the predicted action.

        Returns:
            int64 ``[C, C]``, see ``ErrorAnalysis``.
        """
        person, action = np.divmod(self._person_classes, len(self.classes))  # [A] each
        # Person p has the actions starts[p] up to starts[p + 1].
        starts = np.searchsorted(person, np.arange(len(self._people.boxes) + 1))  # [P + 1]
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

    def _by_group(self, truth_values: AnyFloats, detection_values: AnyFloats, groups: Groups) -> dict[str, float]:
        """Return the mAP within each group of ground truth (values ``[G]``) and detections (values ``[D]``)."""
        detections = dict(_groups(detection_values, groups))
        result = {}
        for name, members in _groups(truth_values, groups):
            num_gt = np.bincount(self._truth.classes[members], minlength=len(self.classes))  # [C]
            is_in = np.zeros(len(self._scores), np.bool_)  # [D]
            is_in[detections[name]] = True
            result[name] = mean_of_known(
                [self.ap(c, keep=is_in[self._part(c)], num_gt=int(num_gt[c])) for c in self.classes]
            )
        return result

    def _part(self, c: int) -> slice:
        """Return the slice of the detections of class ``c``."""
        return slice(int(self._bounds[c]), int(self._bounds[c + 1]))


def _people(truth: GroundTruthIndex) -> tuple[GroundTruthIndex, IndexArray]:
    """Return an index, of one class, of the P distinct boxes of each keyframe, and the person of each row ``[G]``."""
    # Rows with equal keyframe and box become neighbours; each new one is another person.
    order = np.lexsort((*truth.boxes.T, truth.keyframes))  # [G]
    boxes, keyframes = truth.boxes[order], truth.keyframes[order]
    is_new = starts_run(keyframes)
    is_new[1:] |= (boxes[1:] != boxes[:-1]).any(axis=1)
    person = np.empty(len(order), np.intp)
    person[order] = np.cumsum(is_new) - 1
    zeros = np.zeros(np.count_nonzero(is_new), np.int64)  # [P]
    # Keyframes ascend and priorities are equal, so the index keeps the order of people.
    people = GroundTruthIndex.build(
        keyframes[is_new],
        zeros.astype(np.int16),
        boxes[is_new],
        zeros,
        num_keyframes=truth.num_keyframes,
        num_classes=1,
    )
    return people, person


def _groups(values: AnyFloats, groups: Groups) -> list[tuple[str, IndexArray]]:
    """Return the indices of the values in each group: above the upper end of the group before, up to its own."""
    group = np.searchsorted([end for end, _ in groups], values, side="left")
    return [(name, np.flatnonzero(group == number)) for number, (_, name) in enumerate(groups)]


def _costs_to_json(costs: ErrorCosts) -> dict[str, float | None]:
    return {kind: null_if_nan(getattr(costs, kind)) for kind in KINDS}
