"""Figures of the evaluation report on the result: AP of the classes, their curves, AP against class frequency.

AP is drawn in points, 0 to 100, as papers print it. Each function returns one ``svg`` element; its ``svg_id`` must be
unique on the page.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, NullLocator

from ava_detect.evaluation.average_precision import PrecisionRecall
from ava_detect.evaluation.compare import Comparison, Difference
from ava_detect.evaluation.frame_map_result import ClassResult
from ava_detect.evaluation.resampling import Interval
from ava_detect.visualization.kind_marks import KIND_MARKS
from ava_detect.visualization.report.svg import (
    INK,
    KIND_COLOURS,
    LINE,
    NARROW,
    ROW_POINTS,
    SOFT,
    WIDE,
    Canvas,
    FigureWidth,
    axes_with_counts,
    draw_row_names,
    set_rows,
    write_count,
)

# Points, across and up: centre of a label from its mark, and least distance of a label's centre to others.
_LABEL_OFFSET, _LABEL_DISTANCE = (8.5, 4.5), (8, 6.5)
_MAX_CURVE_POINTS = 200  # enough for the size at which the curves are drawn


def class_bars(
    svg_id: str,
    classes: Sequence[ClassResult],
    intervals: Sequence[Interval | None],
    max_points: float,
    things: str,
    *,
    width: FigureWidth = NARROW,
) -> str:
    """Draw a row per class: its AP as a bar with an interval, and its number of ground-truth boxes on a log scale.

    Args:
        svg_id: Id of the figure.
        classes: The classes, drawn from the top; all have ground truth.
        intervals: Interval of each class's AP; None for none.
        max_points: End of the AP axis, points; the same for all parts of a figure.
        things: What is counted: ``boxes`` or ``tubes``.
        width: The width.

    Returns:
        The figure.
    """
    rows = np.arange(len(classes))
    with Canvas(ROW_POINTS * len(classes) + 46, width.points) as canvas:
        bars, counts = axes_with_counts(canvas, width)
        draw_row_names(bars, [c.name for c in classes], [c.kind for c in classes], width)
        colours = [KIND_COLOURS[c.kind] for c in classes]
        bars.barh(rows, [100 * c.ap for c in classes], height=0.66, color=colours)
        for row, interval in zip(rows, intervals, strict=True):
            if interval is not None and not math.isnan(interval.low):
                bars.plot([100 * interval.low, 100 * interval.high], [row, row], color=INK, linewidth=0.9)
        bars.set_xlim(0, max_points)
        bars.xaxis.set_major_locator(MaxNLocator(4))
        bars.grid(axis="x")
        bars.set_xlabel("AP")
        _draw_counts(counts, [c.num_gt for c in classes], colours, things)
        label = f"AP and number of ground-truth {things} of {len(classes)} classes; numbers in the table"
        return canvas.svg(svg_id + width.id_suffix, label)


def precision_recall_curve(svg_id: str, class_result: ClassResult, points: PrecisionRecall) -> str:
    """Draw the precision-recall curve of one class: its envelope, under which the area is the AP.

    Args:
        svg_id: Id of the figure.
        class_result: The class.
        points: Its precision and recall at each true positive, ``[N]`` each.

    Returns:
        The figure; both axes go from 0 to 1.
    """
    colour = KIND_COLOURS[class_result.kind]
    with Canvas(108, 128) as canvas:
        axes = canvas.axes(21, 6, 6, 22)
        # Precision at recall r becomes the greatest precision at r or more: a running maximum from the right, [N].
        envelope = np.maximum.accumulate(points.precision[::-1])[::-1]
        # Extend it to recall 0 at the height of the first point, and let it fall to 0 after the last one: [N + 2].
        recall = np.concatenate([[0.0], points.recall, points.recall[-1:]])
        precision = np.concatenate([envelope[:1], envelope, [0.0]]) if len(envelope) else np.zeros(1)
        # Draw at most 200 of the points, evenly spaced by index.
        kept = np.unique(np.linspace(0, len(recall) - 1, min(len(recall), _MAX_CURVE_POINTS)).round().astype(int))
        axes.fill_between(recall[kept], precision[kept], step="pre", color=colour, alpha=0.22, linewidth=0)
        axes.step(recall[kept], precision[kept], where="pre", color=colour, linewidth=1.4, clip_on=False)
        for set_range, set_ticks in ((axes.set_xlim, axes.set_xticks), (axes.set_ylim, axes.set_yticks)):
            set_range(0, 1)
            set_ticks([0, 0.5, 1], ["0", "", "1"])
        axes.tick_params(labelcolor=SOFT)
        axes.grid()
        axes.set_xlabel("recall", labelpad=-7)
        axes.set_ylabel("precision", labelpad=-5)
        label = f"Precision-recall curve of {class_result.name}: AP {100 * class_result.ap:.2f}"
        return canvas.svg(svg_id, f"{label}, recall up to {recall[-1]:.2f}")


def ap_against_frequency(
    svg_id: str, classes: Sequence[tuple[int, ClassResult]], things: str, *, width: FigureWidth = NARROW
) -> str:
    """Draw a mark per class: AP over the number of ground-truth boxes, on a log scale.

    Args:
        svg_id: Id of the figure.
        classes: Action id and result of each class; all have ground truth.
        things: What is counted: ``boxes`` or ``tubes``.
        width: The width.

    Returns:
        The figure; a mark has the shape and the colour of the class's kind.
    """
    with Canvas(300 if width is WIDE else 240, width.points) as canvas:
        axes = canvas.axes(34, 8, 16, 34)
        for kind in dict.fromkeys(c.kind for _, c in classes):
            members = [c for _, c in classes if c.kind is kind]
            axes.scatter(
                [c.num_gt for c in members],
                [100 * c.ap for c in members],
                s=24,
                marker=KIND_MARKS[kind].marker,
                color=KIND_COLOURS[kind],
                alpha=0.85,
                linewidths=0,
            )
        _set_log_axis(axes, [c.num_gt for _, c in classes])
        axes.set_ylim(bottom=0)
        axes.tick_params(labelcolor=SOFT)
        axes.grid()
        axes.set_xlabel(f"ground-truth {things} (log scale)")
        axes.set_ylabel("AP")
        _label_uncrowded_marks(axes, classes)
        label = f"AP against the number of ground-truth {things} of {len(classes)} classes"
        return canvas.svg(svg_id + width.id_suffix, label)


def _label_uncrowded_marks(axes: Axes, classes: Sequence[tuple[int, ClassResult]]) -> None:
    """Write the action id beside each mark, unless it would cover another mark or label."""
    # Positions of the marks in points, [C, 2]: the figure has 72 dots per inch, so a dot is a point.
    marks = axes.transData.transform([(c.num_gt, 100 * c.ap) for _, c in classes])
    taken = marks  # [C + labels so far, 2]
    for (action_id, c), mark in zip(classes, marks, strict=True):
        centre = mark + _LABEL_OFFSET
        if not (np.abs(taken - centre) < _LABEL_DISTANCE).all(axis=1).any():
            taken = np.concatenate([taken, centre[None]])
            axes.annotate(
                str(action_id),
                (c.num_gt, 100 * c.ap),
                _LABEL_OFFSET,
                textcoords="offset points",
                ha="center",
                va="center",
                fontsize=7,
                color=SOFT,
            )


def difference_rows(
    svg_id: str,
    comparison: Comparison,
    rows: Sequence[tuple[int, Difference]],
    max_difference: float,
    *,
    width: FigureWidth = NARROW,
) -> str:
    """Draw a row per class: the difference in AP of two runs with its interval.

    Args:
        svg_id: Id of the figure.
        comparison: The comparison.
        rows: Action id and difference of each class, drawn from the top.
        max_difference: End of the axis to both sides, points.
        width: The width.

    Returns:
        The figure; a mark is filled where its interval leaves out 0.
    """
    classes = [comparison.first.per_class[i] for i, _ in rows]
    with Canvas(ROW_POINTS * len(rows) + 32, width.points) as canvas:
        axes = canvas.axes(width.name_points, 4, 10, 28)
        draw_row_names(axes, [c.name for c in classes], [c.kind for c in classes], width)
        axes.axvline(0, color=SOFT, linewidth=0.9)
        for row, (c, (_, difference)) in enumerate(zip(classes, rows, strict=True)):
            colour = KIND_COLOURS[c.kind]
            axes.plot([100 * difference.low, 100 * difference.high], [row, row], color=colour, linewidth=1.3)
            axes.plot(
                100 * difference.value,
                row,
                marker=KIND_MARKS[c.kind].marker,
                markersize=5,
                color=colour,
                fillstyle="full" if difference.is_clear else "none",
            )
        axes.set_xlim(-max_difference, max_difference)
        axes.grid(axis="x")
        axes.set_xlabel("difference in AP, second run minus first")
        label = f"Differences in AP of {len(rows)} classes with intervals; numbers in the table"
        return canvas.svg(svg_id + width.id_suffix, label)


def _draw_counts(axes: Axes, counts: Sequence[int], colours: Sequence[str], things: str) -> None:
    """Draw a dot on a log scale for each count, and the count as text at the right."""
    rows = range(len(counts))
    _set_log_axis(axes, counts)
    axes.hlines(rows, axes.get_xlim()[0], counts, color=LINE, linewidth=1)
    axes.scatter(counts, rows, s=9, color=colours, linewidths=0, zorder=3)
    for row, count in zip(rows, counts, strict=True):
        write_count(axes, row, count)
    set_rows(axes, len(counts))
    axes.set_yticks([])
    axes.spines[["bottom"]].set_visible(False)
    axes.set_xticks([])
    axes.set_title(f"{things} (log)", fontsize=8, color=SOFT, pad=6)


def _set_log_axis(axes: Axes, counts: Sequence[int]) -> None:
    """Set a log axis from the power of ten at or below the least count to the one above the greatest."""
    low, high = math.floor(math.log10(min(counts))), math.floor(math.log10(max(counts))) + 1
    powers = [10**power for power in range(low, high + 1)]
    axes.set_xscale("log")
    axes.set_xlim(powers[0] * 0.8, powers[-1])
    axes.set_xticks(powers, [str(power) if power < 1000 else f"{power // 1000}k" for power in powers])
    axes.xaxis.set_minor_locator(NullLocator())
