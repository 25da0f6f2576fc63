"""The evaluation report of tubes: the page of ``write_report`` for video-mAP, and for frame-mAP of tubes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ava_detect.evaluation.compare import Comparison
from ava_detect.evaluation.tube_errors import analyze_tube_errors, tube_precision_recall
from ava_detect.evaluation.tube_intervals import tube_intervals
from ava_detect.evaluation.tube_runs import TubeRun
from ava_detect.storage.local_files import write_text_atomic
from ava_detect.visualization.report import error_sections, result_sections
from ava_detect.visualization.report.html import page
from ava_detect.visualization.report.write_report import FILE_NAME


def write_tube_report(
    out: Path,
    run: TubeRun,
    *,
    title: str = "Action tubes: evaluation",
    source: Mapping[str, str] | None = None,
    comparison: Comparison | None = None,
    num_resamples: int = 500,
    seed: int = 0,
) -> Path:
    """Write the report of an evaluation of tubes as ``out/index.html``.

    The page is about one threshold: 0.5 where it is among those of the run, else the first.

    Args:
        out: The folder of the report.
        run: The run, with its metric.
        title: Title of the page.
        source: Origin of the numbers, such as file names, as label and text.
        comparison: Comparison of two runs at the same threshold, for a section of its own; None for none.
        num_resamples: Number of bootstrap samples of the videos, from which the intervals are computed.
        seed: Seed of the bootstrap.

    Returns:
        Path of the page.

    Raises:
        ValueError: The run has no metric.
    """
    if run.metric is None:
        raise ValueError("the report needs the filled metric of the run")
    result = run.main_result
    metric, threshold, kind = run.metric, result.iou_threshold, result.metric
    words = result_sections.wording_of(result)
    ranked = result_sections.ranked_classes(result)
    intervals = tube_intervals(metric, threshold, kind, num_resamples=num_resamples, seed=seed)
    others = {f"{other.iou_threshold:g}": other.mAP for other in run.results if other is not result}
    sections = [
        result_sections.headline(result, intervals, source or {}, {**others, **run.averages}),
        result_sections.classes_section(result, ranked, intervals),
    ]
    if ranked:
        errors = analyze_tube_errors(metric, threshold, kind)
        curves = tube_precision_recall(metric, threshold, kind)
        sections += [
            result_sections.curves_section(ranked, curves, words),
            result_sections.frequency_section(ranked, words),
            error_sections.errors_section(errors, result),
            error_sections.groups_section(errors, words),
            error_sections.confusions_section(errors, result, metric.label_map),
        ]
    if comparison is not None:
        sections.append(result_sections.comparison_section(comparison))
    path = Path(out) / FILE_NAME
    write_text_atomic(path, page(title, sections))
    return path
