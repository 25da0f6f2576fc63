"""The evaluation report: one static page with frame-mAP, its uncertainty, and an analysis of the errors.

The page is one self-contained file: it opens from disk, can be printed, follows the system's light or dark theme, fits
a phone, and loads nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ava_detect.evaluation.compare import Comparison, ap_intervals
from ava_detect.evaluation.error_analysis import analyze_errors
from ava_detect.evaluation.frame_map import FrameMAP
from ava_detect.storage.local_files import write_text_atomic
from ava_detect.visualization.report import error_sections, result_sections
from ava_detect.visualization.report.html import page

FILE_NAME = "index.html"


def write_report(
    out: Path,
    metric: FrameMAP,
    *,
    title: str = "Action detection: evaluation",
    source: Mapping[str, str] | None = None,
    comparison: Comparison | None = None,
    num_resamples: int = 500,
    seed: int = 0,
) -> Path:
    """Write the report of an evaluation as ``out/index.html``.

    A result without detections or without ground truth gives a page that says so.

    Args:
        out: The folder of the report.
        metric: The metric, updated with ground truth and detections.
        title: Title of the page.
        source: Origin of the numbers, such as file names, as label and text.
        comparison: Comparison of two runs, for a section of its own; None for none.
        num_resamples: Number of bootstrap samples of the videos, from which the intervals are computed.
        seed: Seed of the bootstrap.

    Returns:
        Path of the page.
    """
    result = metric.compute()
    ranked = result_sections.ranked_classes(result)
    intervals = ap_intervals(metric, num_resamples=num_resamples, seed=seed)
    sections = [
        result_sections.headline(result, intervals, source or {}),
        result_sections.classes_section(result, ranked, intervals),
    ]
    if ranked:
        errors = analyze_errors(metric)
        sections += [
            result_sections.curves_section(ranked, metric.precision_recall()),
            result_sections.frequency_section(ranked),
            error_sections.errors_section(errors, result),
            error_sections.groups_section(errors),
            error_sections.confusions_section(errors, result, metric.label_map),
        ]
    if comparison is not None:
        sections.append(result_sections.comparison_section(comparison))
    path = Path(out) / FILE_NAME
    write_text_atomic(path, page(title, sections))
    return path
