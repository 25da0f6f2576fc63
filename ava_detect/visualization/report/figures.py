"""The figures of an evaluation report: what each class reaches, its curve, and AP against frequency.

AP is drawn in points, 0 to 100, as papers print it. Each function gives one ``svg`` element.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, NullLocator
from matplotlib.transforms import Affine2D

from ava_detect.evaluation.average_precision import PrecisionRecall
from ava_detect.evaluation.compare import Comparison, Difference, Interval
from ava_detect.evaluation.frame_map_result import ClassResult
from ava_detect.visualization.report.svg import (
    INK,
    KIND_COLOURS,
    KIND_MARKERS,
    LINE,
    SOFT,
    Canvas,
    shortened,
)

_ROW_POINTS = 14.5
_NAME_CHARACTERS = 24
_NAME_POINTS = 142.0
_LABEL_OFFSET, _LABEL_ROOM = (8.5, 4.5), (8, 6.5)  # points, across and up
_CURVE_POINTS = 200  # on a curve as small as these, more could not be seen


def class_bars(name: str, classes: Sequence[ClassResult], intervals: Sequence[Interval | None], top: float) -> str:
    """One row per class: its AP as a bar with its interval, and its ground-truth boxes on a log scale.

    ``top``: the end of the AP axis in points, the same for figures that belong together.
    """
    places = np.arange(len(classes))
    with Canvas(_ROW_POINTS * len(classes) + 46) as canvas:
        bars = canvas.axes(_NAME_POINTS, 18, 88, 28)
        _name_rows(bars, classes)
        colours = [KIND_COLOURS[c.kind] for c in classes]
        bars.barh(places, [100 * c.ap for c in classes], height=0.66, color=colours)
        for place, interval in zip(places, intervals, strict=True):
            if interval is not None and not math.isnan(interval.low):
                bars.plot([100 * interval.low, 100 * interval.high], [place, place], color=INK, linewidth=0.9)
        bars.set_xlim(0, top)
        bars.xaxis.set_major_locator(MaxNLocator(4))
        bars.grid(axis="x")
        bars.set_xlabel("AP")
        counts = canvas.axes(254, 18, 40, 28)
        _count_rows(counts, [c.num_gt for c in classes], colours)
        return canvas.svg(name, f"AP and number of ground-truth boxes of {len(classes)} classes; numbers in the table")


def curve(name: str, of_class: ClassResult, points: PrecisionRecall) -> str:
    """One class's precision-recall curve: its envelope, whose area is the AP, from 0 to 1 on both axes."""
    colour = KIND_COLOURS[of_class.kind]
    with Canvas(108, 128) as canvas:
        axes = canvas.axes(21, 6, 6, 22)
        envelope = np.maximum.accumulate(points.precision[::-1])[::-1]
        # The curve starts at recall 0 as high as it is at the first true positive, and falls to 0 after the last.
        recall = np.concatenate([[0.0], points.recall, points.recall[-1:]])
        precision = np.concatenate([envelope[:1], envelope, [0.0]]) if len(envelope) else np.zeros(1)
        kept = np.unique(np.linspace(0, len(recall) - 1, min(len(recall), _CURVE_POINTS)).round().astype(int))
        axes.fill_between(recall[kept], precision[kept], step="pre", color=colour, alpha=0.22, linewidth=0)
        axes.step(recall[kept], precision[kept], where="pre", color=colour, linewidth=1.4, clip_on=False)
        for set_range, set_ticks in ((axes.set_xlim, axes.set_xticks), (axes.set_ylim, axes.set_yticks)):
            set_range(0, 1)
            set_ticks([0, 0.5, 1], ["0", "", "1"])
        axes.tick_params(labelcolor=SOFT)
        axes.grid()
        axes.set_xlabel("recall", labelpad=-7)
        axes.set_ylabel("precision", labelpad=-5)
        label = f"Precision-recall curve of {of_class.name}: AP {100 * of_class.ap:.2f}"
        return canvas.svg(name, f"{label}, recall up to {recall[-1]:.2f}")


def ap_against_frequency(name: str, classes: Sequence[tuple[int, ClassResult]]) -> str:
    """A point per class (id, result): ground-truth boxes on a log scale, AP; its kind is its shape and colour."""
    with Canvas(240) as canvas:
        axes = canvas.axes(34, 8, 16, 34)
        for kind in dict.fromkeys(c.kind for _, c in classes):
            members = [c for _, c in classes if c.kind is kind]
            axes.scatter(
                [c.num_gt for c in members],
                [100 * c.ap for c in members],
                s=24,
                marker=KIND_MARKERS[kind],
                color=KIND_COLOURS[kind],
                alpha=0.85,
                linewidths=0,
            )
        _log_counts(axes, [c.num_gt for _, c in classes])
        axes.set_ylim(bottom=0)
        axes.tick_params(labelcolor=SOFT)
        axes.grid()
        axes.set_xlabel("ground-truth boxes (log scale)")
        axes.set_ylabel("AP")
        _label_where_there_is_room(axes, classes)
        return canvas.svg(name, f"AP against the number of ground-truth boxes of {len(classes)} classes")


def _label_where_there_is_room(axes: Axes, classes: Sequence[tuple[int, ClassResult]]) -> None:
    """The action id beside each mark, unless it would cover another mark or label."""
    marks = axes.transData.transform([(c.num_gt, 100 * c.ap) for _, c in classes])  # a dot is a point
    taken = marks
    for (action_id, c), mark in zip(classes, marks, strict=True):
        centre = mark + _LABEL_OFFSET
        if not (np.abs(taken - centre) < _LABEL_ROOM).all(axis=1).any():
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


def difference_rows(name: str, comparison: Comparison, rows: Sequence[tuple[int, Difference]], reach: float) -> str:
    """One row per class: the difference with its interval; a full mark where the interval leaves out 0.

    ``reach``: how far the axis goes to both sides, in points.
    """
    classes = [comparison.first.per_class[i] for i, _ in rows]
    with Canvas(_ROW_POINTS * len(rows) + 32) as canvas:
        axes = canvas.axes(_NAME_POINTS, 4, 10, 28)
        _name_rows(axes, classes)
        axes.axvline(0, color=SOFT, linewidth=0.9)
        for place, (c, (_, difference)) in enumerate(zip(classes, rows, strict=True)):
            colour = KIND_COLOURS[c.kind]
            axes.plot([100 * difference.low, 100 * difference.high], [place, place], color=colour, linewidth=1.3)
            axes.plot(
                100 * difference.value,
                place,
                marker=KIND_MARKERS[c.kind],
                markersize=5,
                color=colour,
                fillstyle="full" if difference.is_clear else "none",
            )
        axes.set_xlim(-reach, reach)
        axes.grid(axis="x")
        axes.set_xlabel("difference in AP, second run minus first")
        return canvas.svg(name, f"Differences in AP of {len(rows)} classes with intervals; numbers in the table")


def _name_rows(axes: Axes, classes: Sequence[ClassResult]) -> None:
    """A row for each class from the top, named, with the mark of its kind before the axis."""
    axes.set_yticks(range(len(classes)), [shortened(c.name, _NAME_CHARACTERS) for c in classes])
    axes.tick_params(axis="y", pad=11)
    axes.set_ylim(len(classes) - 0.4, -0.6)
    for kind in dict.fromkeys(c.kind for c in classes):
        places = [place for place, c in enumerate(classes) if c.kind is kind]
        axes.scatter(
            [0] * len(places),
            places,
            s=13,
            marker=KIND_MARKERS[kind],
            color=KIND_COLOURS[kind],
            transform=axes.get_yaxis_transform() + Affine2D().translate(-6, 0),
            clip_on=False,
            linewidths=0,
        )


def _count_rows(axes: Axes, counts: Sequence[int], colours: Sequence[str]) -> None:
    """A dot on a log scale for each count, and the count itself beside it."""
    places = range(len(counts))
    _log_counts(axes, counts)
    axes.hlines(places, axes.get_xlim()[0], counts, color=LINE, linewidth=1)
    axes.scatter(counts, places, s=9, color=colours, linewidths=0, zorder=3)
    for place, count in zip(places, counts, strict=True):
        axes.text(
            2.05, place, f"{count:,}", transform=axes.get_yaxis_transform(), ha="right", va="center", fontsize=8.5
        )
    axes.set_ylim(len(counts) - 0.4, -0.6)
    axes.set_yticks([])
    axes.spines[["bottom"]].set_visible(False)
    axes.set_xticks([])
    axes.set_title("boxes (log)", fontsize=8, color=SOFT, pad=6)


def _log_counts(axes: Axes, counts: Sequence[int]) -> None:
    """A log axis from the power of ten below the least count to above the greatest."""
    low, high = math.floor(math.log10(min(counts))), math.floor(math.log10(max(counts))) + 1
    powers = [10**power for power in range(low, high + 1)]
    axes.set_xscale("log")
    axes.set_xlim(powers[0] * 0.8, powers[-1])
    axes.set_xticks(powers, [str(power) if power < 1000 else f"{power // 1000}k" for power in powers])
    axes.xaxis.set_minor_locator(NullLocator())
