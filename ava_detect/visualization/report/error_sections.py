"""Sections of the evaluation report on errors: cost of each kind of error, oracles, groups of people, confusions."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from ava_detect.evaluation.classified_run import KINDS
from ava_detect.evaluation.error_analysis import ErrorAnalysis
from ava_detect.evaluation.frame_map_result import MeanAP
from ava_detect.structures.labels import LabelMap
from ava_detect.visualization.report import error_figures
from ava_detect.visualization.report.html import (
    NO_VALUE,
    Cell,
    Section,
    count_cell,
    figure_block,
    paragraph,
    points_cell,
    small_figures,
    table,
    text_cell,
)
from ava_detect.visualization.report.result_sections import wording_of
from ava_detect.visualization.report.wording import KEYFRAMES, Wording

_ERROR_NAMES = {
    "missed_person": "missed person",
    "missed_label": "missed label",
    "wrong_label": "wrong label",
    "bad_box": "bad box",
    "bad_box_and_label": "bad box and label",
    "duplicate": "duplicate",
    "background": "background",
}
_MEANINGS = {
    "missed_person": "no detection of any action is on the person",
    "missed_label": "the person is found, but not with this action",
    "wrong_label": "on a person who does not do that",
    "bad_box": "near a person who does it, but the {things} overlap too little",
    "bad_box_and_label": "as near a person who does not do it",
    "duplicate": "on a {thing} that is found already",
    "background": "on no person",
}
_ORACLES = {
    "as_is": ("as it is", "nothing changed"),
    "perfect_boxes": ("perfect boxes", "each detection moved exactly onto the person that it is nearest"),
    "perfect_time": ("perfect times only", "each tube given exactly the span of the one of its action that it meets"),
    "perfect_space": ("perfect places only", "each tube given exactly the right boxes on the frames that both have"),
    "perfect_labels": ("perfect labels", "each person that is found given exactly the right actions"),
}
_CONFUSED_CLASSES = 10
_CONFUSED_PAIRS = 20


def errors_section(errors: ErrorAnalysis, result: MeanAP) -> Section:
    """Return the section with the cost of each kind of error, and the mAP with perfect boxes or perfect labels.

    Args:
        errors: The error analysis.
        result: The evaluation.

    Returns:
        The section.
    """
    costs, words = {kind: getattr(errors.costs, kind) for kind in KINDS}, wording_of(result)
    by_cost = sorted(KINDS, key=lambda kind: -costs[kind])
    rows = [
        [
            text_cell(_ERROR_NAMES[kind]),
            text_cell(_MEANINGS[kind].format(thing=words.thing, things=words.things)),
            points_cell(costs[kind]),
            count_cell(errors.counts[kind]),
        ]
        for kind in by_cost
    ]
    oracles = [
        [
            text_cell(name),
            text_cell(meaning),
            points_cell(errors.oracles[key]),
            points_cell(errors.oracles[key] - errors.mAP, signed=True),
        ]
        for key, (name, meaning) in _ORACLES.items()
        if key in errors.oracles
    ]
    drawing = partial(error_figures.cost_bars, "costs", {_ERROR_NAMES[kind]: costs[kind] for kind in by_cost})
    caption = (
        "What the mAP would gain if one kind of error alone were set right (after TIDE). The bars do not add up to "
        "what is missing: setting one kind right changes what the others cost."
    )
    parts = [
        figure_block([drawing], caption),
        table("Errors by cost, in points of mAP", ("error", "what it is", "cost", "how many"), rows),
        "<h3>With perfect boxes, with perfect labels</h3>",
        paragraph(
            f"How far better {words.things}, or better labels, could bring this run. The greater of the two is where "
            "work pays."
        ),
        table("mAP as it is, and if one side were perfect", ("run", "what is changed", "mAP", "gain"), oracles),
        "<h3>Costs of each class</h3>",
        _class_costs(errors, result),
    ]
    return Section("errors", "Where the mAP goes", "\n".join(parts))


def _class_costs(errors: ErrorAnalysis, result: MeanAP) -> str:
    """Return the table of costs per class with ground truth, by descending AP."""
    kinds = list(_ERROR_NAMES)
    rows = []
    for i, costs in errors.costs_per_class.items():
        class_result = result.per_class[i]
        if class_result.num_gt:
            rows.append(
                [
                    text_cell(class_result.name),
                    points_cell(class_result.ap),
                    *(points_cell(getattr(costs, kind)) for kind in kinds),
                ]
            )
    rows.sort(key=lambda row: -float(row[1].sort_key))
    heads = ("action", "AP", *(_ERROR_NAMES[kind] for kind in kinds))
    caption = "Points of AP that setting right one kind of error would give, for each class with ground truth"
    return table(caption, heads, rows, is_sortable=True)


def groups_section(errors: ErrorAnalysis, words: Wording = KEYFRAMES) -> Section:
    """Return the section with mAP by the person's size, by the number of people and by class frequency.

    Args:
        errors: The error analysis.
        words: The words of the metric.

    Returns:
        The section.
    """
    values = [value for name in words.groupings for value in getattr(errors, name).values()]
    known = [100 * value for value in values if not math.isnan(value)]
    top = min(112.0, 1.2 * max(known, default=1.0) or 1.0)
    svgs = [
        error_figures.group_line(f"groups-{anchor}", title, getattr(errors, name), top)
        for name, (title, anchor) in words.groupings.items()
    ]
    rows = [
        [text_cell(group), text_cell(title.removeprefix("by ")), points_cell(value)]
        for name, (title, _) in words.groupings.items()
        for group, value in getattr(errors, name).items()
    ]
    return Section(
        "groups",
        "For whom it works",
        small_figures(svgs, words.groups)
        + "\n"
        + table("mAP by group, in points; a dash: no ground truth", ("group", "grouped by", "mAP"), rows),
    )


def confusions_section(errors: ErrorAnalysis, result: MeanAP, label_map: LabelMap) -> Section:
    """Return the section on confused actions, for the classes with the most confusions.

    Args:
        errors: The error analysis.
        result: The evaluation.
        label_map: Names and kinds of the actions.

    Returns:
        The section.
    """
    counts, words = errors.confusions, wording_of(result)  # [C, C], true action by predicted action
    if not counts.any():
        return Section("confusions", "Confusions", paragraph("No action is said of a person who does another."))
    totals = counts.sum(axis=0) + counts.sum(axis=1)  # [C], as the true or as the predicted action
    # Indices of the most confused classes, in the order of the matrix.
    most = np.sort(np.argsort(-totals, kind="stable")[: min(_CONFUSED_CLASSES, np.count_nonzero(totals))])
    actions = [label_map.by_id(errors.action_ids[index]) for index in most.tolist()]
    drawing = partial(error_figures.confusion_map, "confusions-map", actions, counts[np.ix_(most, most)])
    caption = (
        "In the rows what a person does, in the columns, in the same order, what was wrongly said of them, among as "
        f"many of the surest detections of an action as it has {words.things}. Shown: the {len(actions)} classes with "
        "the most."
    )
    if words is KEYFRAMES:
        caption += (
            " People do several things at once, so actions that most people do, such as standing, meet all others."
        )
    return Section("confusions", "Confusions", figure_block([drawing], caption) + "\n" + _pairs(errors, result))


def _pairs(errors: ErrorAnalysis, result: MeanAP) -> str:
    """Return the table of the most frequent pairs of true and predicted action."""
    counts = errors.confusions  # [C, C]
    # Indices into the flattened matrix, the most frequent first; pairs that never occur are left out.
    order = np.argsort(-counts, axis=None, kind="stable")[: min(_CONFUSED_PAIRS, np.count_nonzero(counts))]
    rows: list[list[Cell]] = []
    true_indices, predicted_indices = (indices.tolist() for indices in np.unravel_index(order, counts.shape))
    for i, j in zip(true_indices, predicted_indices, strict=True):
        true, predicted = (result.per_class[errors.action_ids[index]] for index in (i, j))
        number = int(counts[i, j])
        share = points_cell(number / true.num_gt) if true.num_gt else NO_VALUE
        rows.append([text_cell(true.name), text_cell(predicted.name), count_cell(number), share])
    heads = ("a person does", "the run says", "how often", f"per 100 {wording_of(result).things} of the first")
    return table(f"The {len(rows)} most frequent confusions", heads, rows)
