"""``ava-detect evaluate`` where tubes are measured: read, score, write the requested files, print."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ava_detect.cli.console import say, say_table
from ava_detect.cli.next_step import say_again
from ava_detect.cli.progress import progress_bar, show_stage
from ava_detect.errors import ConfigError, FormatError, counted, shown

if TYPE_CHECKING:
    from ava_detect.evaluation.compare import Comparison
    from ava_detect.evaluation.tube_runs import TubeOptions, TubeRun
    from ava_detect.results.tube_truth import TubeTruth


class TubeCall(NamedTuple):
    """The options of ``evaluate`` that say what is measured, as they were given."""

    ground_truth: Path
    detections: list[Path]
    metric: str | None
    dialect: str | None
    iou_thresholds: tuple[float, ...]
    split: int | None
    linking: str | None
    fps: float | None
    label_map: Path | None
    exclude: Path | None
    subset: Path | None
    start_seconds: float | None


def run_tubes(call: TubeCall, report: Path | None, json_file: Path | None, *, is_pickle: bool, quiet: bool) -> None:
    """Measure tubes.

    Args:
        call: What is measured.
        report: The folder of the report; None for none.
        json_file: The file of the numbers; None for none.
        is_pickle: Whether the ground truth is a pickle.
        quiet: Whether nothing is printed.
    """
    with progress_bar(show=not quiet) as on_progress:
        from ava_detect.evaluation.tube_runs import TubeOptions, evaluate_tubes
        from ava_detect.results.tube_detections import TubeReading, read_detections
        from ava_detect.results.tube_truth import without_frames
        from ava_detect.storage.local_files import write_text_atomic

        settings = TubeOptions(
            call.metric or "video",
            call.dialect or "multisports",
            call.iou_thresholds,
            call.split or 1,
            call.linking,
            call.fps,
        )
        show_stage(on_progress, "reading the ground truth")
        truth, excluded = _of_pickle(call) if is_pickle else _of_csv(call, settings)
        reading = TubeReading(call.fps, call.label_map, call.start_seconds)
        runs = evaluate_tubes(
            truth.annotations,
            call.detections,
            settings,
            read=lambda path: without_frames(read_detections(path, truth, reading), excluded),
            on_progress=on_progress,
        )
        comparisons = [_compared(runs[0], run) for run in runs[1:]]
        if report is not None:
            show_stage(on_progress, "writing the report")
        page = None if report is None else _write_report(report, call, runs, comparisons)
    if json_file is not None:
        content = runs[0].to_json()
        if comparisons:
            content["runs"] = [run.to_json() for run in runs]
            content["comparisons"] = [comparison.to_json() for comparison in comparisons]
        write_text_atomic(json_file, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    if quiet:
        return
    heading, *rows = runs[0].main_result.rows()
    say_table(heading, rows, left=(1, 2))
    for comparison in comparisons:
        say(f"\n{comparison}")
    for run in runs:
        _print_run(run)
    if page is None:
        say_again("See what costs the score", "--report", "report")
    else:
        say(f"Open in a browser: {page.resolve()}")


def _of_pickle(call: TubeCall) -> tuple[TubeTruth, dict[str, set[int]]]:
    from ava_detect.results.tube_truth import truth_of_pickle

    for name, value in {"exclude": call.exclude, "subset": call.subset}.items():
        if value is not None:
            raise ConfigError(
                f"`{name}` is for csv files; a pickle of tubes has a split of videos, every frame of which counts"
            )
    return truth_of_pickle(call.ground_truth, call.split or 1), {}


def _of_csv(call: TubeCall, settings: TubeOptions) -> tuple[TubeTruth, dict[str, set[int]]]:
    from ava_detect.evaluation.runs import read_subset
    from ava_detect.formats.ava_csv import AvaTable, read_ava_csv
    from ava_detect.formats.proposal_pickles import is_pickle_file
    from ava_detect.results.recorded_names import own_classes
    from ava_detect.results.tube_truth import excluded_frames, truth_of_csv
    from ava_detect.structures.frame_numbers import FrameNumbers
    from ava_detect.structures.labels import LabelMap

    if call.split is not None:
        raise ConfigError("`split` is for pickles of tubes; `subset` names the videos of a csv that count")
    if settings.dialect == "act":
        raise ConfigError(
            "`dialect=act` counts the last pixel of a box, and a csv has fractions of the frame; make a pickle of it "
            "first: ava-detect data convert"
        )
    if call.fps is None:
        raise ConfigError(
            "`fps` is needed: a csv counts seconds, and tubes count frames; give the labelled frames per second, such "
            "as 1 for AVA's keyframes"
        )
    for path in call.detections:
        if is_pickle_file(path):
            raise FormatError(
                f"{shown(path)} is a pickle, whose labels and pixels mean those of a pickle of ground truth; make one "
                "of the csv first: ava-detect data convert"
            )
    if call.label_map is not None:
        label_map = LabelMap.from_pbtxt(call.label_map)
    else:
        # A folder records its names for the files in it.
        files = [path / "results" if path.is_dir() else path for path in call.detections]
        recorded = own_classes(files, call.ground_truth)
        label_map = LabelMap.ava_evaluated() if recorded is None else recorded.label_map
    numbers = FrameNumbers(call.fps, call.start_seconds or 0.0)
    exclude = AvaTable.empty() if call.exclude is None else read_ava_csv(call.exclude)
    only = None if call.subset is None else read_subset(call.subset)
    return truth_of_csv(call.ground_truth, numbers, label_map, exclude, only), excluded_frames(exclude, numbers)


def _print_run(run: TubeRun) -> None:
    say(f"\n{run.path}")
    if run.linking is not None:
        say(f"linked to {counted(run.num_linked or 0, 'tube')} ({run.linking})")
    for line in (*run.results[0].notes, *(result.summary() for result in run.results)):
        say(line)
    if run.averages:
        averages = ", ".join(f"{100 * value:.2f} @ {name}" for name, value in run.averages.items())
        say(f"video-mAP averaged over IoU: {averages}")


def _compared(first: TubeRun, second: TubeRun) -> Comparison:
    from ava_detect.evaluation.tube_intervals import compare_tubes

    result = first.main_result
    assert first.metric is not None
    assert second.metric is not None
    return compare_tubes(first.metric, second.metric, result.iou_threshold, result.metric)


def _write_report(out: Path, call: TubeCall, runs: list[TubeRun], comparisons: list[Comparison]) -> Path:
    # Plots take longer to load than most runs take to score.
    from ava_detect.visualization.report.write_tube_report import write_tube_report

    run = runs[-1]
    source = {"ground truth": str(call.ground_truth), "detections": str(run.path)}
    if run.linking is not None:
        source["linking"] = run.linking
    if comparisons:
        source["compared with"] = str(runs[0].path)
    return write_tube_report(out, run, source=source, comparison=comparisons[-1] if comparisons else None)
