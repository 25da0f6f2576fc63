"""The evaluation report: one static page that says what a run reaches, how sure that is, and where the rest goes.

Everything is inside the one file: it opens from disk, prints, follows light and dark, fits a phone, and loads nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ava_detect.evaluation.compare import Comparison, ap_intervals
from ava_detect.evaluation.error_analysis import analyze_errors
from ava_detect.evaluation.frame_map import FrameMAP
from ava_detect.storage.local_files import write_text_atomic
from ava_detect.visualization.report import error_sections as of_errors
from ava_detect.visualization.report import sections as of_result
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
    """Write the page of a filled metric as ``out/index.html`` and give its path.

    ``source``: what the page is to say of where the numbers come from, such as file names, as label and text.
    ``comparison``: shown in a section of its own. ``num_resamples``, ``seed``: of the bootstrap over videos that the
    intervals come from. A result without detections or without ground truth gives a page that says so.
    """
    result = metric.compute()
    ranked = of_result.ranked_classes(result)
    intervals = ap_intervals(metric, num_resamples=num_resamples, seed=seed)
    sections = [
        of_result.headline(result, intervals, source or {}),
        of_result.classes_section(result, ranked, intervals),
    ]
    if ranked:
        errors = analyze_errors(metric)
        sections += [
            of_result.curves_section(ranked, metric.precision_recall()),
            of_result.frequency_section(ranked),
            of_errors.errors_section(errors, result),
            of_errors.groups_section(errors),
            of_errors.confusions_section(errors, result, metric.label_map),
        ]
    if comparison is not None:
        sections.append(of_result.comparison_section(comparison))
    path = Path(out) / FILE_NAME
    write_text_atomic(path, page(title, sections))
    return path
