"""``ava-detect evaluate``: parse, score the files, write the requested files, print."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ava_detect.cli import options
from ava_detect.cli.console import complain, in_flags, results_beside, say, say_table
from ava_detect.cli.evaluate_tubes import TubeCall, run_tubes
from ava_detect.cli.next_step import say_again
from ava_detect.cli.progress import progress_bar, show_stage
from ava_detect.errors import ConfigError, counted, shown
from ava_detect.storage.outputs import begins_with, check_output, check_output_folder

if TYPE_CHECKING:
    from ava_detect.evaluation.runs import Evaluation
    from ava_detect.results.detection_files import DetectionFiles

# Of the files that --json writes.
_JSON_START = b'{\n  "mAP": '


def evaluate(
    ground_truth: Annotated[
        Path,
        typer.Option(
            "--ground-truth",
            "-g",
            metavar="FILE",
            help="What is true: an AVA csv, plain or gzipped, Parquet or COCO json; or a pickle of tubes.",
            rich_help_panel=options.COMMON,
        ),
    ],
    detections: Annotated[
        list[Path],
        typer.Option(
            metavar="FILE|DIR",
            help="What was found: csv, Parquet or a folder of results; of tubes also a pickle; repeat it to compare.",
            rich_help_panel=options.COMMON,
        ),
    ],
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Write a page that explains the numbers here.", rich_help_panel=options.COMMON
        ),
    ] = None,
    label_map: Annotated[
        Path | None,
        typer.Option(
            metavar="PBTXT",
            help="The classes that count; default: those recorded with the results, else AVA's 60.",
            rich_help_panel=options.TRUTH,
        ),
    ] = None,
    exclude: options.Exclude = None,
    subset: options.Subset = None,
    dialect: options.Dialect = None,
    metric: Annotated[
        str | None,
        typer.Option(
            **options.choice("frame", "video"),
            help="frame-mAP of boxes (default for csv) or video-mAP of tubes (default for pickles).",
            rich_help_panel=options.TRUTH,
        ),
    ] = None,
    split: Annotated[
        int | None,
        typer.Option(
            parser=options.number(1, 100, whole=True),
            metavar="N",
            help="For pickles of tubes: number of the split; default: 1.",
            rich_help_panel=options.TRUTH,
        ),
    ] = None,
    linking: Annotated[
        str | None,
        typer.Option(
            **options.choice("moc", "mmaction2", "tracks"),
            help="For video-mAP: how boxes are linked to tubes; default: as the dialect's own program does.",
            rich_help_panel=options.TRUTH,
        ),
    ] = None,
    fps: options.Fps = None,
    iou_thresholds: Annotated[
        list[float] | None,
        typer.Option(
            "--iou",
            parser=options.number(0, 1, above=True),
            metavar="IOU",
            help="Least overlap of a match; repeat it for several; default: 0.5; of tubes 0.2, 0.5 and 0.75.",
            rich_help_panel=options.TRUTH,
        ),
    ] = None,
    start_seconds: options.ParquetStart = None,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Write the numbers here.", rich_help_panel=options.FILES),
    ] = None,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
) -> None:
    """Measure results against ground truth: AVA's frame-mAP, or the video-mAP of tubes."""
    inputs = {
        "ground_truth": ground_truth, "detections": detections, "label_map": label_map, "exclude": exclude,
        "subset": subset,
    }  # fmt: skip
    if json_file is not None:
        check_output(json_file, inputs, parameter="json_file", is_own=begins_with(_JSON_START), overwrite=overwrite)
    if report is not None:
        is_page = begins_with(b"<!DOCTYPE html>")
        check_output_folder(report, ["index.html"], inputs, parameter="report", is_own=is_page, overwrite=overwrite)
    results_beside(json_file)
    from ava_detect.formats.proposal_pickles import is_pickle_file

    is_pickle = is_pickle_file(ground_truth)
    if is_pickle or metric == "video" or dialect in ("multisports", "act"):
        call = TubeCall(
            ground_truth, detections, metric, dialect, tuple(iou_thresholds or ()), split, linking, fps, label_map,
            exclude, subset, start_seconds,
        )  # fmt: skip
        run_tubes(call, report, json_file, is_pickle=is_pickle, quiet=quiet)
        return
    for name, value in {"split": split, "linking": linking, "fps": fps}.items():
        if value is not None:
            raise ConfigError(f"`{name}` is for tubes: pickles of MultiSports, UCF101-24 and JHMDB, or `metric=video`")
    thresholds = tuple(iou_thresholds or (0.5,))
    with progress_bar(show=not quiet) as on_progress:
        from ava_detect.evaluation.runs import EvaluationOptions, RunFiles, evaluate_runs
        from ava_detect.results.detection_files import detection_files
        from ava_detect.results.recorded_names import own_classes
        from ava_detect.storage.local_files import write_text_atomic

        found = list(map(detection_files, detections))
        runs = [RunFiles(path, run.files) for path, run in zip(detections, found, strict=True)]
        start = _start_seconds(found) if start_seconds is None else start_seconds
        settings = EvaluationOptions(None, exclude, dialect or "official", thresholds, subset, start)
        # The files of a folder have one record.
        first_files = [run.files[0] for run in runs]
        recorded = own_classes(first_files, ground_truth) if label_map is None else None
        classes = label_map if recorded is None else recorded.label_map
        settings = replace(settings, label_map=classes)
        evaluation = evaluate_runs(ground_truth, runs, settings, on_progress=on_progress)
        if recorded is not None:
            actions = counted(len(recorded.label_map), "action")
            source = f"the {actions} named in {recorded.source}; `label_map` chooses others"
        elif label_map is None:
            source = (
                "AVA's 60 and their names: no label map was given, and the results record no others; `label_map` names "
                "others"
            )
        else:
            source = str(label_map)
        if report is not None:
            show_stage(on_progress, "writing the report")
        page = None if report is None else _write_report(report, ground_truth, evaluation, in_flags(source))
    if json_file is not None:
        content = evaluation.to_json() | {"classes": in_flags(source)}
        write_text_atomic(json_file, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    if not quiet:
        _print_evaluation(evaluation)
        say(in_flags(f"Classes: {source}"))
    for run in evaluation.runs:
        for warning in run.warnings:
            complain(f"{run.path}: {warning}")
    if page is not None and not quiet:
        say(f"Open in a browser: {page.resolve()}")
    elif not quiet:
        say_again("See what costs the score", "--report", "report")


def _start_seconds(runs: Sequence[DetectionFiles]) -> float:
    """Where in its movie each video file starts, as the runs with Parquet files recorded it."""
    files = {run.start_seconds: file for run in runs for file in run.files if file.suffix == ".parquet"}
    if len(files) > 1:
        (one, first), (other, second) = list(files.items())[:2]
        raise ConfigError(
            f"the videos of {shown(first)} start at {one:g} s of their movies, those of {shown(second)} at {other:g} "
            "s; evaluate them one by one, or give `start_seconds`"
        )
    return next(iter(files), 0.0)


def _write_report(out: Path, ground_truth: Path, evaluation: Evaluation, classes: str) -> Path:
    """The page on the last run, which is the new one where there are several."""
    # Plots take longer to load than most runs take to score.
    from ava_detect.visualization.report.write_report import write_report

    first, last = evaluation.runs[0], evaluation.runs[-1]
    source = {"ground truth": str(ground_truth), "detections": str(last.path), "classes": classes}
    if last is not first:
        source["compared with"] = str(first.path)
    comparison = evaluation.comparisons[-1] if evaluation.comparisons else None
    return write_report(out, evaluation.metrics[-1], source=source, comparison=comparison)


def _print_evaluation(evaluation: Evaluation) -> None:
    """One run: its classes. Several: the first one's classes, and what each later one changes."""
    first = evaluation.runs[0].results[0]
    heading, *rows = first.rows()
    say_table(heading, rows, left=(1, 2))
    kinds = ", ".join(f"{kind}: {100 * mean:.2f}" for kind, mean in first.mean_per_kind.items())
    say(kinds)
    for comparison in evaluation.comparisons:
        say(f"\n{comparison}")
    for run in evaluation.runs:
        say(f"\n{run.path}")
        for line in (*run.results[0].notes, *(result.summary() for result in run.results)):
            say(line)
