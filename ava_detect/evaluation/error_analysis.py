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
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ava_detect.evaluation.average_precision import IntArray, area_under_envelope
from ava_detect.evaluation.classified_run import KINDS, ClassifiedRun, ErrorCosts, Groups, Overlaps
from ava_detect.evaluation.frame_map import FrameMAP, matches_of
from ava_detect.evaluation.frame_map_result import mean_of_known, null_if_nan
from ava_detect.evaluation.ground_truth_index import (
    GroundTruthIndex,
    IndexArray,
)
from ava_detect.evaluation.keyframes import starts_run
from ava_detect.evaluation.matches import Matches
from ava_detect.structures.boxes import areas


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
        by_length: mAP by the number of frames of a tube; empty for boxes.
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
    by_length: Mapping[str, float] = field(default_factory=dict)

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
            for name in ("oracles", "by_size", "by_crowd", "by_frequency", "by_length")
            if getattr(self, name)
        }
        return {
            "mAP": null_if_nan(self.mAP),
            "costs": _costs_to_json(self.costs),
            "costs_per_class": {str(i): _costs_to_json(costs) for i, costs in self.costs_per_class.items()},
            "counts": dict(self.counts),
            **numbers,
            "confusions": sorted(triples, key=lambda triple: -triple[2]),
        }


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
    matches = matches_of(metric)
    overlaps, people = _overlaps_of(matches, metric.iou_threshold)
    run = ClassifiedRun(overlaps, matches.truth.num_classes, metric.iou_threshold, _area)
    by_size, by_crowd = _by_size_and_crowd(run, matches, people)
    return summarized(run, metric.label_map.ids, {"by_size": by_size, "by_crowd": by_crowd}, _FREQUENCIES)


def summarized(
    run: ClassifiedRun,
    action_ids: tuple[int, ...],
    groups: Mapping[str, Mapping[str, float]],
    frequencies: Groups,
    oracles: Mapping[str, float] | None = None,
) -> ErrorAnalysis:
    """Compute the costs, and collect the analysis.

    Args:
        run: The classified detections.
        action_ids: Action id of each class.
        groups: mAP of groups, by the names of the fields.
        frequencies: The groups of classes, by the number of their ground-truth boxes or tubes.
        oracles: Further oracles.

    Returns:
        The analysis.
    """
    base = [run.ap(c) for c in run.classes]  # [C]
    costs = [run.costs(c, base[c]) for c in run.classes]
    return ErrorAnalysis(
        mean_of_known(base),
        ErrorCosts(*(mean_of_known([getattr(cost, kind) for cost in costs]) for kind in KINDS)),
        dict(zip(action_ids, costs, strict=True)),
        run.counts(),
        {
            "as_is": mean_of_known(base),
            "perfect_boxes": run.with_perfect_boxes(),
            **(oracles or {}),
            "perfect_labels": run.with_perfect_labels(),
        },
        by_frequency=run.by_frequency(frequencies),
        action_ids=action_ids,
        confusions=run.confusions(),
        **groups,
    )


def _area(ranks: IntArray, num_det: int, num_gt: int) -> float:
    return area_under_envelope(ranks, num_gt) if num_gt else np.nan


def _counted_rows(matches: Matches) -> IndexArray:
    """The detections that count, class after class, ``[D]``."""
    return np.concatenate(list(matches.by_class()))


def _overlaps_of(matches: Matches, iou_threshold: float) -> tuple[Overlaps, GroundTruthIndex]:
    """Return what is known of the detections, and the people as an index of one class."""
    truth, found = matches.truth, matches.detections
    rows = _counted_rows(matches)
    # The ground-truth row of its own class that each detection overlaps most: its IoU, 0 where there is none, and
    # its index, -1 where there is none.
    iou, index = np.zeros(len(found.scores)), np.full(len(found.scores), -1)  # [R]
    iou[matches.overlapping], index[matches.overlapping] = matches.iou, matches.truth_indices
    # The person that each detection overlaps most, whatever the person does: an index of one class only.
    people, person_of_truth = _people(truth)  # P boxes, [G]
    no_class = np.zeros(len(rows), np.int16)
    person_iou, person = people.best_overlaps(found.keyframes_of(rows), no_class, found.boxes_of(rows))  # [D]
    overlaps = Overlaps(
        found.scores[rows],
        found.classes[rows],
        matches.true_positives(iou_threshold)[rows],
        iou[rows],
        index[rows],
        person_iou,
        person,
        truth.classes,
        person_of_truth,
    )
    return overlaps, people


def _by_size_and_crowd(
    run: ClassifiedRun, matches: Matches, people: GroundTruthIndex
) -> tuple[dict[str, float], dict[str, float]]:
    """Return mAP by the area of the person, and by the number of people on the keyframe."""
    truth, rows = matches.truth, _counted_rows(matches)
    by_size = run.by_group(areas(truth.boxes), areas(matches.detections.boxes_of(rows)), _SIZES)
    num_people = np.bincount(people.keyframes, minlength=truth.num_keyframes).astype(np.float64)  # [K]
    found = num_people[matches.detections.keyframes_of(rows)]
    return by_size, run.by_group(num_people[truth.keyframes], found, _CROWDS)


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


def _costs_to_json(costs: ErrorCosts) -> dict[str, float | None]:
    return {kind: null_if_nan(getattr(costs, kind)) for kind in KINDS}
