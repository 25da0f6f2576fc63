"""The page on a calibration: thresholds, F1 before and after, and reliability plots. One self-contained file.

A reliability plot has a bar for each bin of probability: the share of its detections that is right. Of calibrated
probabilities the bars end on the diagonal.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from ava_detect.evaluation.calibration import Calibration, ClassCalibration
from ava_detect.evaluation.calibration_measures import COMMON_THRESHOLD, CalibrationMeasures, ClassMeasures, Reliability
from ava_detect.storage.local_files import write_text_atomic
from ava_detect.visualization.report.html import (
    NO_VALUE,
    Cell,
    Section,
    count_cell,
    isolated,
    page,
    paragraph,
    points_cell,
    small_figures,
    table,
    text_cell,
)
from ava_detect.visualization.report.svg import ACCENT, INK, LINE, SOFT, Canvas, shortened
from ava_detect.visualization.report.write_report import FILE_NAME

_MAX_CLASS_PLOTS = 80


def write_calibration_report(
    out: Path, calibration: Calibration, measures: CalibrationMeasures, *, source: Mapping[str, str] | None = None
) -> Path:
    """Write the report of a calibration as ``out/index.html``.

    Args:
        out: The folder of the report.
        calibration: The calibration.
        measures: What it gives on some videos.
        source: Origin of the numbers, such as file names, as label and text.

    Returns:
        Path of the page.
    """
    shown = [
        (one, measured)
        for one, measured in zip(calibration.classes, measures.classes, strict=True)
        if measured.before.num_gt or measured.before.reliability.counts.any()
    ]
    sections = [
        _headline(calibration, measures, source or {}),
        _classes(calibration, shown),
        _reliability(calibration, measures, shown),
    ]
    path = Path(out) / FILE_NAME
    write_text_atomic(path, page("Action detection: thresholds and calibration", sections))
    return path


def reliability_plots(svg_id: str, title: str, before: Reliability, after: Reliability) -> str:
    """Draw the share of right detections in each bin of probability before and after, with the diagonal.

    Args:
        svg_id: Id of the figure, unique on the page.
        title: Text above the plots.
        before: The bins before.
        after: The bins after.

    Returns:
        One ``svg`` element; all axes go from 0 to 1.
    """
    with Canvas(168, 280) as canvas:
        spoken = []
        for bins, side, left, right in ((before, "before", 24, 150), (after, "after", 160, 14)):
            axes = canvas.axes(left, 36, right, 26)
            _draw_bins(axes, bins)
            axes.set_title(side, color=SOFT)
            axes.set_xlabel("probability", labelpad=-7)
            error = "no detections" if math.isnan(bins.error) else f"calibration error {100 * bins.error:.2f} %"
            spoken.append(f"{side} {error}")
            if side == "before":
                axes.set_ylabel("right", labelpad=-5)
                axes.text(0, 1.22, shortened(title, 44), transform=axes.transAxes)
        return canvas.svg(svg_id, f"{title}: {', '.join(spoken)}, {int(before.counts.sum()):,} detections")


def _draw_bins(axes: Axes, bins: Reliability) -> None:
    is_used = bins.counts > 0
    width = 1 / len(bins.counts)
    shares, means = (values[is_used] / bins.counts[is_used] for values in (bins.rights, bins.sums))
    lefts = np.flatnonzero(is_used) * width
    axes.bar(lefts, shares, width, align="edge", color=ACCENT, alpha=0.55, edgecolor=LINE, linewidth=0.4)
    axes.plot([0, 1], [0, 1], color=SOFT, linewidth=0.9, linestyle=(0, (3, 3)))
    # From the bin's mean score to its share of true positives.
    axes.vlines(means, np.minimum(means, shares), np.maximum(means, shares), color=INK, linewidth=0.9)
    for set_range, set_ticks in ((axes.set_xlim, axes.set_xticks), (axes.set_ylim, axes.set_yticks)):
        set_range(0, 1)
        set_ticks([0, 0.5, 1], ["0", "", "1"])
    axes.tick_params(labelcolor=SOFT)


def _headline(calibration: Calibration, measures: CalibrationMeasures, source: Mapping[str, str]) -> Section:
    goal = "the best F1" if calibration.precision is None else f"a precision of {calibration.precision:g}"
    sides = (("before", measures.before), ("after", measures.after))
    f1, error = measures.mean("f1"), measures.mean("error")
    rows = [
        [
            text_cell(name),
            *map(points_cell, (side.precision, side.recall, side.f1, f1[i], side.error, error[i])),
        ]
        for i, (name, side) in enumerate(sides)
    ]
    heads = ("", "precision", "recall", "F1", "F1, mean over classes", "calibration error", "mean over classes")
    files = "".join(f"<dt>{html.escape(name)}</dt><dd>{isolated(text)}</dd>" for name, text in source.items())
    pooled = sum(one.basis == "pooled" for one in calibration.classes)
    sentences = (
        f"Thresholds for {goal}; probabilities by method {calibration.method!r}. Before: the threshold "
        f"{COMMON_THRESHOLD:g} for all classes, and scores taken for probabilities. In percent."
    )
    few = (
        f"{pooled} of {len(calibration.classes)} classes have fewer than {calibration.min_positives} true positives: "
        "theirs are the threshold and the map of all classes together."
    )
    parts = [
        paragraph(sentences),
        table("All detections, before and after", heads, rows),
        paragraph(few) if pooled else "",
        f'<dl class="source">{files}</dl>' if source else "",
    ]
    return Section("result", "Result", "\n".join(part for part in parts if part))


def _classes(calibration: Calibration, shown: Sequence[tuple[ClassCalibration, ClassMeasures]]) -> Section:
    heads = (
        "action", "id", "true boxes", "threshold", "fitted to", "precision", "recall", f"F1 at {COMMON_THRESHOLD:g}",
        "F1", "calibration error before", "after",
    )  # fmt: skip
    rows = []
    for one, measured in shown:
        before, after = measured.before, measured.after
        threshold = (
            Cell("none", "") if one.threshold is None else Cell(f"{one.threshold:.3f}", repr(float(one.threshold)))
        )
        values = (after.precision, after.recall, before.f1, after.f1, before.error, after.error)
        rows.append(
            [
                text_cell(one.name),
                count_cell(one.id),
                count_cell(before.num_gt),
                threshold,
                text_cell("the class" if one.basis == "class" else "all classes"),
                *(NO_VALUE if math.isnan(value) else points_cell(value) for value in values),
            ]
        )
    body = table("Each class, in percent", heads, rows, is_sortable=True) if rows else paragraph("There is no class.")
    if any(one.threshold is None for one in calibration.classes):
        body += paragraph("Threshold none: no threshold gives what was asked for, and nothing of the class is kept.")
    return Section("classes", "Classes", body)


def _reliability(
    calibration: Calibration, measures: CalibrationMeasures, shown: Sequence[tuple[ClassCalibration, ClassMeasures]]
) -> Section:
    """All classes together, then those that were fitted themselves."""
    figures = []
    if shown:
        svg = reliability_plots("all", "All classes together", measures.before.reliability, measures.after.reliability)
        explained = "A bar is the share of right detections; a line leads from it to the mean probability of its bin."
        figures.append(small_figures([svg], explained))
    own = [(one, measured) for one, measured in shown if one.basis == "class"]
    svgs = [
        reliability_plots(f"class-{one.id}", one.name, measured.before.reliability, measured.after.reliability)
        for one, measured in own[:_MAX_CLASS_PLOTS]
    ]
    if svgs:
        figures.append(small_figures(svgs, "Each class that was fitted itself."))
    if len(own) > _MAX_CLASS_PLOTS:
        figures.append(paragraph(f"{len(own) - _MAX_CLASS_PLOTS} more classes have no plot here; the table has them."))
    if calibration.method == "none":
        figures.insert(0, paragraph("No map was fitted: before and after are the same."))
    return Section("reliability", "Reliability", "\n".join(figures))
