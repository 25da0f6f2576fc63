"""Sections of the evaluation report on the result: headline, classes, precision-recall curves, class frequency."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TypeVar

from ava_detect.evaluation.average_precision import PrecisionRecall
from ava_detect.evaluation.compare import Comparison
from ava_detect.evaluation.frame_map_result import ClassResult, Dialect, FrameMAPResult, MeanAP
from ava_detect.evaluation.resampling import APIntervals
from ava_detect.evaluation.video_map_result import TubeDialect, VideoMAPResult
from ava_detect.structures.labels import ActionKind
from ava_detect.visualization.report import result_figures
from ava_detect.visualization.report.html import (
    Cell,
    Section,
    count_cell,
    figure_block,
    interval_cell,
    interval_text,
    isolated,
    kind_cell,
    kind_label,
    legend,
    paragraph,
    points_cell,
    table,
    text_cell,
)
from ava_detect.visualization.report.wording import KEYFRAMES, TUBE_BOXES, TUBES, Wording

_MAX_ROWS_PER_FIGURE = 30
_DIALECTS: dict[Dialect | TubeDialect, str] = {
    "official": "ActivityNet's script: the best 50 detections of a keyframe count, and take boxes best score first",
    "pyslowfast": "PySlowFast's evaluator: all detections count, and take boxes in the order of the file",
    "multisports": "MultiSports' evaluator: a detection claims what it overlaps most, and AP is the area under the "
    "monotone envelope",
    "act": "the evaluator of ACT and MOC: the last pixel and the last frame count, what was taken is removed, and AP "
    "is the area of trapezoids",
}

Ranked = list[tuple[int, ClassResult]]  # action id and result of each class, best AP first
_Item = TypeVar("_Item")


def ranked_classes(result: MeanAP) -> Ranked:
    """Return the classes with ground truth.

    Args:
        result: The evaluation.

    Returns:
        Action id and result of each class, best AP first.
    """
    known = [(i, c) for i, c in result.per_class.items() if c.num_gt]
    return sorted(known, key=lambda item: -item[1].ap)


def headline(
    result: FrameMAPResult | VideoMAPResult,
    intervals: APIntervals,
    source: Mapping[str, str],
    averages: Mapping[str, float] | None = None,
) -> Section:
    """Return the section with the mAP, the numbers behind it, and the rows that were left out.

    Args:
        result: The evaluation.
        intervals: Bootstrap intervals of mAP and AP.
        source: Origin of the numbers, such as file names, as label and text.
        averages: mAP of tubes at other thresholds, and averaged, by name.

    Returns:
        The section.
    """
    words = wording_of(result)
    classes = result.per_class.values()
    is_keyframes = isinstance(result, FrameMAPResult)
    facts = {
        "dialect": result.dialect,
        "IoU at least": f"{result.iou_threshold:g}",
        "classes with ground truth": f"{sum(c.num_gt > 0 for c in classes)} of {len(classes)}",
        **(
            {"keyframes": f"{result.num_keyframes:,}"}
            if isinstance(result, FrameMAPResult)
            else {"metric": words.metric}
        ),
        "videos": f"{intervals.num_videos:,}",
        f"ground-truth {words.things}": f"{sum(c.num_gt for c in classes):,}",
        "detections that count": f"{sum(c.num_det for c in classes):,}",
        "true positives": f"{sum(c.num_tp for c in classes):,}",
    }
    items = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts.items())
    files = "".join(f"<dt>{html.escape(name)}</dt><dd>{isolated(value)}</dd>" for name, value in source.items())
    counts = "A box counts once for each action that its person does. " if is_keyframes else ""
    overlap = f"{words.overlap} " if words.overlap else ""
    parts = [
        _map_statement(result, intervals, words),
        f'<dl class="facts">{items}</dl>',
        paragraph(f"{counts}{overlap}Dialect {result.dialect!r}: {_DIALECTS[result.dialect]}."),
        _kinds_table(result) if isinstance(result, FrameMAPResult) else _averages_table(averages or {}, words),
        _exclusions(result),
        f'<dl class="source">{files}</dl>' if source else "",
    ]
    return Section("result", "Result", "\n".join(part for part in parts if part))


def wording_of(result: MeanAP) -> Wording:
    """Return the words of a result.

    Args:
        result: The evaluation.

    Returns:
        The words of its metric.
    """
    if not isinstance(result, VideoMAPResult):
        return KEYFRAMES
    return TUBES if result.metric == "video" else TUBE_BOXES


def _map_statement(result: MeanAP, intervals: APIntervals, words: Wording) -> str:
    """Return the mAP with its tie interval and its bootstrap interval, or the reason why there is none."""
    if not any(c.num_gt for c in result.per_class.values()):
        where = "its keyframes are not all excluded" if words is KEYFRAMES else "it has the videos of the split"
        return paragraph(
            "No ground truth takes part in this evaluation, so there is no mAP. Check that the ground-truth file is "
            f"the right one, that its actions are in the label map, and that {where}."
        )
    ties = f"Orders of equal scores give {interval_text(result.tie_min, result.tie_max)}"
    if result.tie_min == result.tie_max:
        ties = "Equal scores leave nothing open"
    sentences = [f"{ties}."]
    if intervals.num_videos > 1:
        sentences.append(
            f"Other videos of the same kind would give {interval_text(intervals.mAP.low, intervals.mAP.high)} "
            f"({intervals.confidence:.0%} interval, {intervals.num_resamples} bootstrap draws of "
            f"{intervals.num_videos} videos)."
        )
    else:
        sentences.append("With one video alone there is no interval over videos.")
    if not any(c.num_det for c in result.per_class.values()):
        sentences.append("No detection takes part, so every class with ground truth has AP 0.")
    return (
        f'<p class="headline"><strong>{100 * result.mAP:.2f}</strong> <span>{words.metric}, in points of 100, at IoU '
        f"{result.iou_threshold:g}</span></p>\n" + paragraph(" ".join(sentences))
    )


def _averages_table(averages: Mapping[str, float], words: Wording) -> str:
    rows = [[text_cell(name), points_cell(value)] for name, value in averages.items()]
    return table(f"{words.metric} at other thresholds, and averaged", ("IoU", "mAP"), rows) if rows else ""


def _kinds_table(result: FrameMAPResult) -> str:
    rows = []
    for kind, mean in result.mean_per_kind.items():
        members = [c for c in result.per_class.values() if c.kind is kind]
        known = sum(not math.isnan(c.ap) for c in members)
        rows.append([kind_cell(kind), points_cell(mean), count_cell(known), count_cell(sum(c.num_gt for c in members))])
    return table("Mean AP of each kind of action", ("kind", "mean AP", "classes", "ground-truth boxes"), rows)


def _exclusions(result: MeanAP) -> str:
    if not result.notes:
        return paragraph("No row was left out." if isinstance(result, FrameMAPResult) else "Nothing was left out.")
    items = "".join(f"<li>{html.escape(note)}</li>" for note in result.notes)
    return f"<h3>What took no part</h3>\n<ul>{items}</ul>"


def classes_section(result: MeanAP, ranked: Ranked, intervals: APIntervals) -> Section:
    """Return the section with a bar per class and the table of all classes.

    Args:
        result: The evaluation.
        ranked: The classes with ground truth, best first.
        intervals: Bootstrap intervals of AP.

    Returns:
        The section.
    """
    parts = [_bars(result, ranked, intervals)] if ranked else []
    return Section("classes", "Classes", "\n".join([*parts, _class_table(result, ranked, intervals)]))


def _bars(result: MeanAP, ranked: Ranked, intervals: APIntervals) -> str:
    with_intervals, things = intervals.num_videos > 1, wording_of(result).things
    ends = [100 * c.ap for _, c in ranked]
    if with_intervals:
        ends += [100 * intervals.per_class[i].high for i, _ in ranked]
    top = min(100.0, max(5.0, 1.04 * max(ends)))
    drawings = [
        partial(
            result_figures.class_bars,
            f"bars{number}",
            [c for _, c in part],
            [intervals.per_class[i] if with_intervals else None for i, _ in part],
            top,
            things,
        )
        for number, part in enumerate(_even_parts(ranked))
    ]
    caption = f"AP of each class, best first, and to the right its ground-truth {things} on a log scale."
    if with_intervals:
        caption += (
            f" Lines are {intervals.confidence:.0%} intervals over videos: where two overlap widely, another choice of "
            "videos may well turn the order round."
        )
    missing = len(result.per_class) - len(ranked)
    if missing:
        caption += f" Without ground truth, and so not shown: {missing} of {len(result.per_class)} classes."
    return _legend(ranked) + figure_block(drawings, caption)


def _class_table(result: MeanAP, ranked: Ranked, intervals: APIntervals) -> str:
    without = [(i, c) for i, c in result.per_class.items() if not c.num_gt]
    confidence = [f"{intervals.confidence:.0%} interval"] if intervals.num_videos > 1 else []
    has_kinds = _has_kinds([*ranked, *without])
    kind = ["kind"] if has_kinds else []
    heads = ["action", "id", *kind, "AP", *confidence, "ties", "ground truth", "detections", "true positives"]
    rows: list[list[Cell]] = []
    for i, c in [*ranked, *without]:
        interval = intervals.per_class[i]
        rows.append(
            [
                text_cell(c.name),
                count_cell(i),
                *([kind_cell(c.kind)] if has_kinds else []),
                points_cell(c.ap),
                *([interval_cell(interval.low, interval.high)] if confidence else []),
                interval_cell(c.ap_tie_min, c.ap_tie_max),
                *map(count_cell, (c.num_gt, c.num_det, c.num_tp)),
            ]
        )
    over = "over videos and over orders of equal scores" if confidence else "over orders of equal scores"
    caption = f"Every class: AP in points, intervals {over}, what was counted."
    if any(math.isnan(c.ap) for _, c in without):
        caption += " A dash: no ground truth."
    return table(caption, heads, rows, is_sortable=True)


def curves_section(ranked: Ranked, curves: Mapping[int, PrecisionRecall], words: Wording = KEYFRAMES) -> Section:
    """Return the section with a small precision-recall curve for each class, grouped by kind.

    Args:
        ranked: The classes with ground truth, best first.
        curves: Precision and recall by action id.
        words: The words of the metric.

    Returns:
        The section.
    """
    parts = [
        paragraph(
            f"Going right, more of the {words.things} are found; the height is the precision that is kept. The "
            "coloured area is the AP. A curve that ends early misses people or scores them too low to count; one that "
            "starts low has wrong detections among its surest."
        )
    ]
    for kind in _kinds_of([c for _, c in ranked]):
        items = "\n".join(_curve_item(i, c, curves[i]) for i, c in ranked if c.kind is kind)
        heading = f"<h3>{kind_label(kind)}</h3>\n" if _has_kinds(ranked) else ""
        parts.append(f'{heading}<ul class="curves">\n{items}\n</ul>')
    return Section("curves", "Precision and recall", "\n".join(parts))


def _curve_item(action_id: int, class_result: ClassResult, points: PrecisionRecall) -> str:
    svg = result_figures.precision_recall_curve(f"curve{action_id}", class_result, points)
    return f"<li>{svg}<p>{isolated(class_result.name)}<br>AP {100 * class_result.ap:.2f}</p></li>"


def frequency_section(ranked: Ranked, words: Wording = KEYFRAMES) -> Section:
    """Return the section with AP against class frequency.

    Args:
        ranked: The classes with ground truth, best first.
        words: The words of the metric.

    Returns:
        The section.
    """
    caption = (
        "Each mark is a class, with its action id where there is room; further right it has more ground-truth "
        f"{words.things}. "
        "A cloud that rises to the right says that what is rare is also hard."
    )
    drawing = partial(result_figures.ap_against_frequency, "frequency", ranked, words.things)
    return Section("frequency", "AP and frequency", _legend(ranked) + figure_block([drawing], caption))


def comparison_section(comparison: Comparison) -> Section:
    """Return the section that compares two runs: differences in AP with their intervals.

    Args:
        comparison: The comparison.

    Returns:
        The section.
    """
    known = [(i, d) for i, d in comparison.per_class.items() if not math.isnan(d.value)]
    if not known:
        return Section("comparison", "Comparison", paragraph("Without ground truth there is nothing to compare."))
    known.sort(key=lambda item: -item[1].value)
    num_clear = sum(d.is_clear for _, d in known)
    ends = [abs(100 * end) for _, d in known for end in (d.value, d.low, d.high)]
    reach = max(1.0, 1.05 * max(ends))
    drawings = [
        partial(result_figures.difference_rows, f"differences{number}", comparison, part, reach)
        for number, part in enumerate(_even_parts(known))
    ]
    summary = f"{comparison.summary()}. The intervals of {num_clear} of {len(known)} classes leave out 0"
    # Number of intervals that would leave out 0 if the two runs were equally good.
    chance = (1 - comparison.confidence) * len(known)
    return Section(
        "comparison",
        "Comparison",
        "\n".join(
            [
                paragraph(f"{summary}; about {chance:.0f} would do so by chance if nothing had changed."),
                figure_block(
                    drawings,
                    f"Second run minus first, in points of AP, with {comparison.confidence:.0%} intervals over videos. "
                    "A full mark: the interval leaves out 0. A hollow one: the videos alone could explain it.",
                ),
                _comparison_table(comparison),
            ]
        ),
    )


def _comparison_table(comparison: Comparison) -> str:
    rows = []
    for i, d in comparison.per_class.items():
        first, second = comparison.first.per_class[i], comparison.second.per_class[i]
        rows.append(
            [
                text_cell(first.name),
                count_cell(i),
                points_cell(first.ap),
                points_cell(second.ap),
                points_cell(d.value, signed=True),
                interval_cell(d.low, d.high, signed=True),
                text_cell("clear" if d.is_clear else ""),
            ]
        )
    # By descending difference; classes without ground truth have no sort key and come last.
    rows.sort(key=lambda row: -float(row[4].sort_key or "-inf"))
    confidence = f"{comparison.confidence:.0%} interval"
    heads = ("action", "id", "first run", "second run", "difference", confidence, "leaves out 0")
    return table("Both runs, AP in points; a dash: no ground truth", heads, rows, is_sortable=True)


def _even_parts(items: Sequence[_Item]) -> list[Sequence[_Item]]:
    """Split into one part, or an even number of parts, of at most 30 items and nearly equal length."""
    num_parts = math.ceil(len(items) / _MAX_ROWS_PER_FIGURE)
    if num_parts > 1:  # Drawings stand two beside each other.
        num_parts += num_parts % 2
    size = math.ceil(len(items) / max(num_parts, 1))
    return [items[begin : begin + size] for begin in range(0, len(items), max(size, 1))]


def _legend(ranked: Ranked) -> str:
    """Return the legend of the kinds of actions; nothing where the label map has none."""
    return legend(_kinds_of([c for _, c in ranked])) + "\n" if _has_kinds(ranked) else ""


def _has_kinds(ranked: Ranked) -> bool:
    return any(c.kind is not ActionKind.UNKNOWN for _, c in ranked)


def _kinds_of(classes: Sequence[ClassResult]) -> list[ActionKind]:
    """Return the kinds of these classes, in the order of ``ActionKind``."""
    present = {c.kind for c in classes}
    return [kind for kind in ActionKind if kind in present]
