"""Where the mAP goes: what kinds of errors cost how much, what perfect boxes or labels would give, and for whom.

After TIDE (Bolya et al., "TIDE: A General Toolbox for Identifying Object Detection Errors", ECCV 2020), fitted to
AVA, where a person has several actions at once: every false positive is of one kind, every missed box of one kind, and
the cost of a kind is how much mAP rises when it alone is set right.

A *person* here is a box of the evaluated ground truth; its actions are the classes of all rows with that box.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from ava_detect.evaluation.average_precision import Ranking
from ava_detect.evaluation.frame_map import FrameMAP
from ava_detect.evaluation.frame_map_result import mean_of_known, null_if_nan
from ava_detect.evaluation.keyframes import starts_run
from ava_detect.evaluation.matches import Matches
from ava_detect.evaluation.matching import BoolArray, FloatArray, GroundTruthIndex, IndexArray, first_claims
from ava_detect.structures.boxes import areas

AnyFloats = npt.NDArray[np.floating[Any]]
Groups = tuple[tuple[float, str], ...]

BACKGROUND_IOU = 0.1  # below it, a detection is on nobody: TIDE's t_b


@dataclass(frozen=True)
class ErrorCosts:
    """AP, 0..1, that would be gained by setting one kind of error right, the others staying.

    ``duplicate``: a box of the class is found again. ``wrong_label``: on a person, who does not do that.
    ``bad_box``: nearest a person who does that, with an IoU from 0.1 up to the threshold; set right by moving the box.
    ``bad_box_and_label``: as near a person who does not do that. ``background``: on nobody.
    ``missed_person``: no detection of any class is on the person. ``missed_label``: one is, but none for the action.
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
    """What became of a run; AP is 0..1, NaN where a class has no ground truth.

    ``costs``: over all classes, means; ``costs_per_class``. ``counts``: false positives and missed boxes of each kind.
    ``oracles``: mAP as it is, with every box moved onto the person that it is nearest (``perfect_boxes``), and with
    every person that is found given exactly the right actions (``perfect_labels``).
    ``by_size``, ``by_crowd``, ``by_frequency``: mAP by the person's area, by people on the keyframe, and by how many
    boxes a class has; keys are in words. ``confusions``: int64 ``[C, C]``, in row a and column b how often b was
    wrongly said of a person who does a, among the detections of b that rank within its number of boxes.
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
        """What each kind of error costs, in points of mAP, and how many there are; the oracles."""
        lines = [f"{'error':<20}{'points':>8}{'count':>10}"]
        lines += [f"{kind:<20}{100 * getattr(self.costs, kind):8.2f}{self.counts[kind]:10d}" for kind in KINDS]
        return "\n".join([*lines, "", *(f"mAP {name}: {100 * value:.2f}" for name, value in self.oracles.items())])

    def to_json(self) -> dict[str, Any]:
        """A dict for ``json.dumps``; NaN is None. Confusions as triples (done, said, count), most frequent first."""
        done, said = np.nonzero(self.confusions)
        triples = [
            (self.action_ids[a], self.action_ids[b], int(self.confusions[a, b]))
            for a, b in zip(done, said, strict=True)
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
_DUPLICATE, _WRONG_LABEL, _BAD_BOX, _BAD_BOX_AND_LABEL, _BACKGROUND = range(5)  # places in KINDS

# Upper ends of the groups, and what they are called.
_SIZES = ((0.05, "under 5% of the frame"), (0.2, "5 to 20% of the frame"), (np.inf, "over 20% of the frame"))
_CROWDS = ((1, "1 person at most"), (2, "2 people"), (3, "3 people"), (np.inf, "4 people or more"))
_FREQUENCIES = ((100, "up to 100 boxes"), (1000, "101 to 1000 boxes"), (np.inf, "over 1000 boxes"))


def analyze_errors(metric: FrameMAP) -> ErrorAnalysis:
    """Analyze a filled metric at its IoU threshold, on the matches that ``compute`` scores."""
    run = _Run(metric.match(), metric.iou_threshold)
    base = [run.ap(c) for c in run.classes]
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


class _Run:
    """The counted detections D of a run, class after class, with their fates. G ground-truth rows, P people."""

    def __init__(self, matches: Matches, iou_threshold: float) -> None:
        truth, found = matches.truth, matches.detections
        by_class = list(matches.by_class())
        rows = np.concatenate(by_class)
        self.classes = range(truth.num_classes)
        self.num_gt = np.bincount(truth.classes, minlength=truth.num_classes)
        self._truth, self._threshold = truth, iou_threshold
        self._bounds = np.cumsum([0, *map(len, by_class)])
        self._keyframes, self._class, self._scores = (
            found.keyframes_of(rows),
            found.classes[rows],
            found.scores[rows],
        )
        self._boxes: FloatArray = found.boxes_of(rows)
        self._is_tp = matches.true_positives(iou_threshold)[rows]
        # The box of its own class that each detection overlaps most, a place in truth ...
        iou, box = np.zeros(len(found.scores)), np.full(len(found.scores), -1)
        iou[matches.overlapping], box[matches.overlapping] = matches.iou, matches.box
        self._own_iou, self._own_box = iou[rows], box[rows]
        # ... and the person, whatever they do.
        self._people, self._person_of_truth = _people(truth)
        no_class = np.zeros(len(rows), np.int16)
        self._any_iou, self._person = self._people.best_overlaps(self._keyframes, no_class, self._boxes)
        self._kind = self._kinds()
        self._is_found = np.zeros(len(truth.boxes), np.bool_)
        self._is_found[self._own_box[self._is_tp]] = True
        is_person_found = np.zeros(len(self._people.boxes), np.bool_)
        is_person_found[self._person[self._any_iou >= iou_threshold]] = True
        self._is_person_found = is_person_found[self._person_of_truth]
        self._is_fixed = self._wins_moved_box()
        # Who does what: person * C + class, each once, ascending.
        self._deeds = np.unique(self._person_of_truth.astype(np.int64) * len(self.classes) + truth.classes)

    def _kinds(self) -> npt.NDArray[np.int8]:
        """The kind ``[D]`` of each false positive, a place in ``KINDS``."""
        cases = (
            (self._is_tp, _TRUE_POSITIVE),
            (self._own_iou >= self._threshold, _DUPLICATE),
            (self._any_iou >= self._threshold, _WRONG_LABEL),
            (self._own_iou >= BACKGROUND_IOU, _BAD_BOX),
            (self._any_iou >= BACKGROUND_IOU, _BAD_BOX_AND_LABEL),
        )
        return np.select([case for case, _ in cases], [kind for _, kind in cases], _BACKGROUND).astype(np.int8)

    def _wins_moved_box(self) -> BoolArray:
        """Bool ``[D]``: the ill-placed detections that, well placed, would find a box that nothing finds."""
        rows = np.flatnonzero(self._kind == _BAD_BOX)
        rows = rows[~self._is_found[self._own_box[rows]]]
        wins = np.zeros(len(self._scores), np.bool_)
        wins[rows[first_claims(self._own_box[rows].astype(np.int32), self._scores[rows])]] = True
        return wins

    def ap(
        self, c: int, keep: BoolArray | None = None, is_tp: BoolArray | None = None, num_gt: int | None = None
    ) -> float:
        """AP of class c, with some of its detections ``keep``, other ``is_tp`` or another ``num_gt``."""
        part = self._part(c)
        scores, hits = self._scores[part], self._is_tp[part] if is_tp is None else is_tp
        if keep is not None:
            scores, hits = scores[keep], hits[keep]
        return Ranking(scores).average_precision(hits, int(self.num_gt[c]) if num_gt is None else num_gt).ap

    def costs(self, c: int, base: float) -> ErrorCosts:
        """What each kind of error costs class c, whose AP is ``base``."""
        kind, is_fixed = self._kind[self._part(c)], self._is_fixed[self._part(c)]
        gains = [self.ap(c, keep=kind != wrong) - base for wrong in range(_BACKGROUND + 1)]
        moved = self._is_tp[self._part(c)] | is_fixed
        gains[_BAD_BOX] = self.ap(c, keep=(kind != _BAD_BOX) | is_fixed, is_tp=moved) - base
        is_missed = (self._truth.classes == c) & ~self._is_found
        for of_kind in (~self._is_person_found, self._is_person_found):
            left = int(self.num_gt[c]) - int(np.count_nonzero(is_missed & of_kind))
            # With nothing left to find there is nothing to lose.
            gains.append((self.ap(c, num_gt=left) if left or not self.num_gt[c] else 1.0) - base)
        return ErrorCosts(*gains)

    def counts(self) -> dict[str, int]:
        """How many errors of each kind there are."""
        wrong = np.bincount(self._kind[~self._is_tp], minlength=_BACKGROUND + 1).tolist()
        missed = ~self._is_found
        counts = [
            *wrong,
            np.count_nonzero(missed & ~self._is_person_found),
            np.count_nonzero(missed & self._is_person_found),
        ]
        return dict(zip(KINDS, map(int, counts), strict=True))

    def with_perfect_boxes(self) -> float:
        """MAP when every detection lies exactly on the person that it is nearest, if it is near one at all."""
        near = np.flatnonzero(self._any_iou >= BACKGROUND_IOU)
        wanted = self._person[near].astype(np.int64) * len(self.classes) + self._class[near]
        place = np.minimum(np.searchsorted(self._deeds, wanted), max(len(self._deeds) - 1, 0))
        does = self._deeds[place] == wanted if len(self._deeds) else np.zeros(0, np.bool_)
        near, place = near[does], place[does]
        is_tp = np.zeros(len(self._scores), np.bool_)
        is_tp[near[first_claims(place.astype(np.int32), self._scores[near])]] = True
        return mean_of_known([self.ap(c, is_tp=is_tp[self._part(c)]) for c in self.classes])

    def with_perfect_labels(self) -> float:
        """MAP when every person that is found has exactly the right actions: what is left is what is not found."""
        found = np.bincount(self._truth.classes[self._is_person_found], minlength=len(self.classes))
        return mean_of_known([found[c] / self.num_gt[c] if self.num_gt[c] else np.nan for c in self.classes])

    def by_size(self) -> dict[str, float]:
        """MAP by the area of the person, or where a detection finds nobody, its own."""
        truth_areas = areas(self._truth.boxes)
        own = np.where(self._is_tp, truth_areas[self._own_box] if len(truth_areas) else 0, areas(self._boxes))
        return self._by_group(truth_areas, own, _SIZES)

    def by_crowd(self) -> dict[str, float]:
        """MAP by how many people the keyframe has."""
        people = np.bincount(self._people.keyframes, minlength=len(self._truth.shelf)).astype(np.float64)
        return self._by_group(people[self._truth.keyframes], people[self._keyframes], _CROWDS)

    def confusions(self) -> npt.NDArray[np.int64]:
        """See ``ErrorAnalysis``."""
        person, deed = np.divmod(self._deeds, len(self.classes))
        starts = np.searchsorted(person, np.arange(len(self._people.boxes) + 1))
        columns = []
        for c in self.classes:
            part = self._part(c)
            best = part.start + Ranking(self._scores[part]).order[: self.num_gt[c]]
            mistaken = self._person[best[self._kind[best] == _WRONG_LABEL]]
            counts = starts[mistaken + 1] - starts[mistaken]
            within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
            done = deed[np.repeat(starts[mistaken], counts) + within]
            columns.append(np.bincount(done, minlength=len(self.classes)))
        return np.stack(columns, axis=1)

    def _by_group(self, of_truth: AnyFloats, of_detections: AnyFloats, groups: Groups) -> dict[str, float]:
        found = dict(_groups(of_detections, groups))
        result = {}
        for name, members in _groups(of_truth, groups):
            num_gt = np.bincount(self._truth.classes[members], minlength=len(self.classes))
            is_in = np.zeros(len(self._scores), np.bool_)
            is_in[found[name]] = True
            result[name] = mean_of_known(
                [self.ap(c, keep=is_in[self._part(c)], num_gt=int(num_gt[c])) for c in self.classes]
            )
        return result

    def _part(self, c: int) -> slice:
        return slice(int(self._bounds[c]), int(self._bounds[c + 1]))


def _people(truth: GroundTruthIndex) -> tuple[GroundTruthIndex, IndexArray]:
    """The distinct boxes of each keyframe as an index of one class, and for each ground-truth row its person."""
    order = np.lexsort((*truth.boxes.T, truth.keyframes))
    boxes, keyframes = truth.boxes[order], truth.keyframes[order]
    is_new = starts_run(keyframes)
    is_new[1:] |= (boxes[1:] != boxes[:-1]).any(axis=1)
    person = np.empty(len(order), np.intp)
    person[order] = np.cumsum(is_new) - 1
    none = np.zeros(np.count_nonzero(is_new), np.int64)
    people = GroundTruthIndex.build(
        keyframes[is_new],
        none.astype(np.int16),
        boxes[is_new],
        none,
        num_keyframes=len(truth.shelf),
        num_classes=1,
    )
    return people, person


def _groups(values: AnyFloats, groups: Groups) -> list[tuple[str, IndexArray]]:
    """For each group the places of the values above the end before, up to its own."""
    group = np.searchsorted([end for end, _ in groups], values, side="left")
    return [(name, np.flatnonzero(group == place)) for place, (_, name) in enumerate(groups)]


def _costs_to_json(costs: ErrorCosts) -> dict[str, float | None]:
    return {kind: null_if_nan(getattr(costs, kind)) for kind in KINDS}
