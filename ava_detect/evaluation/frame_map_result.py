"""What an evaluation found, as values that print, go into JSON and know how sure they are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from ava_detect.structures.labels import ActionKind

Dialect = Literal["official", "pyslowfast"]


@dataclass(frozen=True)
class ClassResult:
    """One action: ``ap`` in 0..1, NaN without ground truth; the tie interval; what was counted."""

    name: str
    kind: ActionKind
    ap: float
    num_gt: int
    num_det: int
    num_tp: int
    ap_tie_min: float
    ap_tie_max: float


@dataclass(frozen=True)
class FrameMAPResult:
    """The outcome of a frame-mAP evaluation.

    ``mAP`` is the mean of ``ap`` over the classes that have ground truth, NaN when none has. Equal scores leave
    the order of detections open: any order of those that count lands between ``tie_min`` and ``tie_max``.
    ``ignored`` counts rows that took no part, by reason; ``notes`` says it in words.
    """

    per_class: Mapping[int, ClassResult]
    dialect: Dialect
    iou_threshold: float
    num_keyframes: int
    ignored: Mapping[str, int] = field(default_factory=dict)

    @property
    def mAP(self) -> float:  # noqa: N802 (the name that the field uses)
        """Mean AP over the classes with ground truth."""
        return mean_of_known([result.ap for result in self.per_class.values()])

    @property
    def tie_min(self) -> float:
        """The least mAP that an order of equal scores can give."""
        return mean_of_known([result.ap_tie_min for result in self.per_class.values()])

    @property
    def tie_max(self) -> float:
        """The greatest mAP that an order of equal scores can give."""
        return mean_of_known([result.ap_tie_max for result in self.per_class.values()])

    @property
    def mean_per_kind(self) -> dict[ActionKind, float]:
        """Mean AP of each kind of action that the label map has, over its classes with ground truth."""
        kinds = dict.fromkeys(result.kind for result in self.per_class.values())
        return {kind: mean_of_known([r.ap for r in self.per_class.values() if r.kind is kind]) for kind in kinds}

    @property
    def num_classes(self) -> int:
        """How many classes the mean is taken over."""
        return sum(not math.isnan(result.ap) for result in self.per_class.values())

    @property
    def notes(self) -> list[str]:
        """Sentences about what was left out, for people."""
        return [f"{count:,} {_REASONS[reason]}" for reason, count in self.ignored.items() if count]

    def rows(self) -> list[tuple[str, ...]]:
        """The table for people: a heading, one row per class with ground truth, best first; AP in percent."""
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

    def summary(self) -> str:
        """The result in one line."""
        return (
            f"mAP {100 * self.mAP:.2f} @ IoU {self.iou_threshold:g} over {self.num_classes} classes and "
            f"{self.num_keyframes} keyframes (dialect {self.dialect}; "
            f"equal scores leave {100 * self.tie_min:.2f} to {100 * self.tie_max:.2f})"
        )

    def __str__(self) -> str:
        rows = self.rows()
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        table = [
            "  ".join(
                # Names read from the left, numbers from the right.
                cell.ljust(width) if column in (1, 2) else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        ]
        kinds = [f"{kind}: {100 * mean:.2f}" for kind, mean in self.mean_per_kind.items()]
        return "\n".join([*table, "", ", ".join(kinds), *self.notes, self.summary()])

    def to_json(self) -> dict[str, Any]:
        """A dict for ``json.dumps``; NaN is None."""
        return {
            "mAP": null_if_nan(self.mAP),
            "mAP_tie_min": null_if_nan(self.tie_min),
            "mAP_tie_max": null_if_nan(self.tie_max),
            "dialect": self.dialect,
            "iou_threshold": self.iou_threshold,
            "num_keyframes": self.num_keyframes,
            "num_classes": self.num_classes,
            "mean_per_kind": {str(kind): null_if_nan(mean) for kind, mean in self.mean_per_kind.items()},
            "per_class": {
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
            },
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
    """The mean of the values that are not NaN; NaN when there is none."""
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else math.nan


def null_if_nan(value: float) -> float | None:
    """For JSON, which has no NaN."""
    return None if math.isnan(value) else float(value)
