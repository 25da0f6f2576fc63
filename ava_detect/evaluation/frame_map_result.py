"""Results of a frame-mAP evaluation, with their tie intervals, as values that print and go into JSON; the dialects."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast, get_args

import numpy as np

from ava_detect.errors import ConfigError, counted, suggestion
from ava_detect.structures.labels import ActionKind

Dialect = Literal["official", "pyslowfast"]


def check_word(name: str, given: str, known: tuple[str, ...]) -> None:
    """Refuse a word that is not one of a few.

    Args:
        name: Name of the parameter.
        given: The word that was given.
        known: The words that are allowed.

    Raises:
        ConfigError: It is none of them.
    """
    if given not in known:
        raise ConfigError(f"`{name}` is {' or '.join(known)}, got {given!r}{suggestion(given, known)}")


def check_dialect(dialect: str) -> Dialect:
    """Return ``dialect`` if it is one.

    Args:
        dialect: The name that was given.

    Returns:
        The same name.

    Raises:
        ConfigError: It is neither ``official`` nor ``pyslowfast``.
    """
    check_word("dialect", dialect, get_args(Dialect))
    return cast(Dialect, dialect)


@dataclass(frozen=True)
class ClassResult:
    """The result of one action class.

    Attributes:
        name: Name of the action.
        kind: Kind of the action: pose, with an object, or with a person.
        ap: Average precision, 0..1; NaN without ground truth.
        num_gt: Number of ground-truth boxes.
        num_det: Number of detections that took part.
        num_tp: Number of true positives among them.
        ap_tie_min: The least AP over all orders of equal scores.
        ap_tie_max: The greatest AP over all orders of equal scores.
    """

    name: str
    kind: ActionKind
    ap: float
    num_gt: int
    num_det: int
    num_tp: int
    ap_tie_min: float
    ap_tie_max: float


class MeanAP(ABC):
    """What results of an average precision per class have in common.

    Attributes:
        per_class: Result of each class, by action id, in the order of the label map.
        iou_threshold: Least overlap of a true positive.
    """

    per_class: Mapping[int, ClassResult]
    iou_threshold: float

    @property
    @abstractmethod
    def mAP(self) -> float:  # noqa: N802 (the name that the field uses)
        """Mean AP over the classes, 0..1."""

    @property
    @abstractmethod
    def notes(self) -> list[str]:
        """A sentence for each reason for which something was left out."""

    @property
    def tie_min(self) -> float:
        """The least mAP over all orders of equal scores."""
        return mean_of_known([result.ap_tie_min for result in self.per_class.values()])

    @property
    def tie_max(self) -> float:
        """The greatest mAP over all orders of equal scores."""
        return mean_of_known([result.ap_tie_max for result in self.per_class.values()])

    @property
    def num_classes(self) -> int:
        """Number of classes over which the mean is taken: those whose AP is known."""
        return sum(not math.isnan(result.ap) for result in self.per_class.values())

    def rows(self) -> list[tuple[str, ...]]:
        """Return the table of the classes of the mean, as text.

        Returns:
            A heading, then a row for each class, the highest AP first; AP in percent.
        """
        found = [(i, r) for i, r in self.per_class.items() if not math.isnan(r.ap)]
        found.sort(key=lambda item: -item[1].ap)
        heading: tuple[str, ...] = (
            "id",
            "action",
            "kind",
            "AP",
            "ties",
            "ground truth",
            "detections",
            "true positives",
        )
        return [heading] + [
            (
                str(action_id),
                r.name,
                str(r.kind),
                f"{100 * r.ap:.2f}",
                f"{100 * r.ap_tie_min:.2f} to {100 * r.ap_tie_max:.2f}",
                str(r.num_gt),
                str(r.num_det),
                str(r.num_tp),
            )
            for action_id, r in found
        ]

    def classes_to_json(self) -> dict[str, dict[str, Any]]:
        """Return the results of all classes for ``json.dumps``.

        Returns:
            A dict for each class, by action id; None for NaN.
        """
        return {
            str(action_id): {
                "name": result.name,
                "kind": str(result.kind),
                "ap": null_if_nan(result.ap),
                "num_gt": result.num_gt,
                "num_det": result.num_det,
                "num_tp": result.num_tp,
                "ap_tie_min": null_if_nan(result.ap_tie_min),
                "ap_tie_max": null_if_nan(result.ap_tie_max),
            }
            for action_id, result in self.per_class.items()
        }


@dataclass(frozen=True)
class FrameMAPResult(MeanAP):
    """The result of a frame-mAP evaluation.

    ``mAP`` is the mean of ``ap`` over the classes that have ground truth, NaN when none has. Equal scores leave
    the order of detections open: every order of the detections that take part gives a mAP from ``tie_min`` to
    ``tie_max``.

    Attributes:
        per_class: Result of each class, by action id, in the order of the label map.
        dialect: Whose rules were applied.
        iou_threshold: Least IoU of a true positive with its box.
        num_keyframes: Number of keyframes that took part.
        ignored: Number of rows that took no part, by reason; ``notes`` has them as sentences.
    """

    per_class: Mapping[int, ClassResult]
    dialect: Dialect
    iou_threshold: float
    num_keyframes: int
    ignored: Mapping[str, int] = field(default_factory=dict)

    @property
    def mAP(self) -> float:  # noqa: N802 (the name that the field uses)
        """Mean AP over the classes with ground truth, 0..1; NaN when there is none."""
        return mean_of_known([result.ap for result in self.per_class.values()])

    @property
    def mean_per_kind(self) -> dict[ActionKind, float]:
        """Mean AP of each kind of action that the label map has, over its classes with ground truth."""
        kinds = dict.fromkeys(result.kind for result in self.per_class.values())
        return {kind: mean_of_known([r.ap for r in self.per_class.values() if r.kind is kind]) for kind in kinds}

    @property
    def notes(self) -> list[str]:
        """A sentence for each reason for which rows were left out."""
        return [f"{count:,} {_REASONS[reason]}" for reason, count in self.ignored.items() if count]

    def summary(self) -> str:
        """Return the result in one line.

        Returns:
            mAP in percent with its tie interval, threshold, dialect and counts.
        """
        classes = counted(self.num_classes, "class", "classes")
        return (
            f"mAP {100 * self.mAP:.2f} @ IoU {self.iou_threshold:g} over {classes} and "
            f"{counted(self.num_keyframes, 'keyframe')} (dialect {self.dialect}; "
            f"equal scores leave {100 * self.tie_min:.2f} to {100 * self.tie_max:.2f})"
        )

    def __str__(self) -> str:
        rows = self.rows()
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        table = [
            "  ".join(
                # Left-align names, right-align numbers.
                cell.ljust(width) if column in (1, 2) else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        ]
        kinds = [f"{kind}: {100 * mean:.2f}" for kind, mean in self.mean_per_kind.items()]
        return "\n".join([*table, "", ", ".join(kinds), *self.notes, self.summary()])

    def to_json(self) -> dict[str, Any]:
        """Return a dict for ``json.dumps``.

        Returns:
            mAP, its tie interval, the settings, the results of all classes by action id; None for NaN.
        """
        return {
            "mAP": null_if_nan(self.mAP),
            "mAP_tie_min": null_if_nan(self.tie_min),
            "mAP_tie_max": null_if_nan(self.tie_max),
            "dialect": self.dialect,
            "iou_threshold": self.iou_threshold,
            "num_keyframes": self.num_keyframes,
            "num_classes": self.num_classes,
            "mean_per_kind": {str(kind): null_if_nan(mean) for kind, mean in self.mean_per_kind.items()},
            "per_class": self.classes_to_json(),
            "ignored": dict(self.ignored),
        }


_REASONS = {
    "detections_of_other_actions": "detections of actions that the label map does not have were left out",
    "detections_on_excluded_keyframes": "detections on excluded keyframes were left out",
    "detections_on_unlisted_keyframes": "detections on keyframes without a ground-truth row were ignored",
    "detections_over_the_cap": "detections beyond the best 50 of their keyframe were dropped",
    "detections_with_empty_boxes": "detections without area (not x1 < x2 and y1 < y2) were removed",
    "ground_truth_of_other_actions": "ground-truth rows of actions that the label map does not have were left out",
    "ground_truth_on_excluded_keyframes": "ground-truth rows on excluded keyframes were left out",
}


def mean_of_known(values: Sequence[float]) -> float:
    """Compute the mean of the values that are not NaN.

    Args:
        values: Any number of values.

    Returns:
        The mean; NaN when every value is NaN or there is none.
    """
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else math.nan


def null_if_nan(value: float) -> float | None:
    """Return a value that JSON can hold, which has no NaN.

    Args:
        value: Any number.

    Returns:
        The value, None for NaN.
    """
    return None if math.isnan(value) else float(value)
