"""``ava-detect calibrate``: parse, fit or check a calibration, write the requested files, print."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ava_detect.cli import options
from ava_detect.cli.console import complain, in_flags, results_beside, say, say_table
from ava_detect.cli.next_step import file_word, say_next
from ava_detect.cli.progress import progress_bar, show_stage
from ava_detect.errors import ConfigError, counted
from ava_detect.storage.outputs import begins_with, check_output, check_output_folder

if TYPE_CHECKING:
    from ava_detect.evaluation.calibrate import FittedCalibration
    from ava_detect.evaluation.calibration import Calibration
    from ava_detect.evaluation.runs import EvaluationOptions
    from ava_detect.results.detection_files import DetectionFiles


def calibrate(
    detections: Annotated[
        list[Path],
        typer.Option(
            metavar="FILE|DIR",
            help="What was found, with all scores: csv, Parquet, or a run's folder; may be repeated.",
            rich_help_panel=options.COMMON,
        ),
    ],
    ground_truth: Annotated[
        Path | None,
        typer.Option(
            "--ground-truth",
            "-g",
            metavar="FILE",
            help="What is true: an AVA csv, Parquet or COCO json; default: the benchmark's.",
            rich_help_panel=options.COMMON,
        ),
    ] = None,
    out: Annotated[Path | None, options.out_option("FILE", "Write the calibration here, as JSON.")] = None,
    beside: Annotated[
        Path | None,
        typer.Option(
            metavar="WEIGHTS",
            help="Write it to WEIGHTS.calibration.json, where `annotate --thresholds beside` finds it.",
            rich_help_panel=options.COMMON,
        ),
    ] = None,
    check: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Measure this calibration, and write none.", rich_help_panel=options.COMMON),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write a page with reliability plots here.", rich_help_panel=options.COMMON),
    ] = None,
    precision: Annotated[
        float | None,
        typer.Option(
            parser=options.number(0, 1, above=True),
            metavar="SHARE",
            help="Thresholds that reach this precision; default: those of the best F1.",
            rich_help_panel=options.SCORES,
        ),
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            **options.choice("isotonic", "platt", "none"),
            help="How scores become probabilities.",
            rich_help_panel=options.SCORES,
        ),
    ] = "isotonic",
    folds: Annotated[
        int,
        typer.Option(
            parser=options.number(0, 1000, whole=True),
            metavar="K",
            help="Measure on held-out videos, in K parts.",
            rich_help_panel=options.SCORES,
        ),
    ] = 0,
    min_positives: Annotated[
        int | None,
        typer.Option(
            parser=options.number(1, 10**9, whole=True),
            metavar="N",
            help="Classes with fewer true positives (30) get what all classes together get.",
            rich_help_panel=options.SCORES,
        ),
    ] = None,
    start_seconds: options.ParquetStart = None,
    label_map: Annotated[
        Path | None,
        typer.Option(
            metavar="PBTXT",
            help="The classes; default: those recorded with the results, else AVA's 80.",
            rich_help_panel=options.TRUTH,
        ),
    ] = None,
    exclude: options.Exclude = None,
    subset: options.Subset = None,
    iou: Annotated[
        float,
        typer.Option(
            parser=options.number(0, 1, above=True),
            metavar="IOU",
            help="Least overlap of a match.",
            rich_help_panel=options.TRUTH,
        ),
    ] = 0.5,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Find each class's best threshold, and turn scores into probabilities."""
    from ava_detect.evaluation.calibrate import CalibrationOptions, calibrate_files, measure_files
    from ava_detect.evaluation.calibration import FILE_START, Calibration

    fit = CalibrationOptions(method, precision, folds=folds)
    if min_positives is not None:
        fit = replace(fit, min_positives=min_positives)
    target = _target(out, beside, check)
    source = _source(detections)
    truth = ground_truth or source.ground_truth
    if truth is None:
        raise ConfigError("there is no `ground_truth`; give the file, or the folder of a `benchmark` as `detections`")
    inputs = {
        "ground_truth": truth, "detections": [*detections, *source.files], "label_map": label_map, "exclude": exclude,
        "subset": subset, "beside": beside, "check": check,
    }  # fmt: skip
    if target is not None:
        parameter = "beside" if out is None else "out"
        is_own = begins_with(FILE_START)
        check_output(target, inputs, parameter=parameter, is_own=is_own, overwrite=overwrite)
    if report is not None:
        is_page = begins_with(b"<!DOCTYPE html>")
        check_output_folder(report, ["index.html"], inputs, parameter="report", is_own=is_page, overwrite=overwrite)
    results_beside(target)
    known = None if check is None else Calibration.load(check)
    evaluation, classes = _evaluation(source, truth, known, (label_map, exclude, iou, subset, start_seconds))
    with progress_bar(show=not quiet) as on_progress:
        show_stage(on_progress, "matching with the ground truth")
        if known is None:
            fitted = calibrate_files(truth, source.files, evaluation, fit, weights_sha256=source.weights_sha256)
        else:
            fitted = measure_files(known, truth, source.files, evaluation)
    if target is not None:
        fitted.calibration.save(target)
    page = None if report is None else _write_report(report, fitted, truth, source)
    if as_json:
        print(json.dumps(fitted.measures.to_json(), indent=2, ensure_ascii=False))
    elif not quiet:
        _print(fitted, classes)
        for text in (page and f"Report: {page}", target and f"Calibration: {target}"):
            if text:
                say(text)
    for warning in (*_filter_warnings(source), *fitted.warnings):
        complain(warning)
    if target is not None and not (as_json or quiet):
        say_next("Use the thresholds", "annotate", "video.mp4", "--thresholds", file_word(target))


def _target(out: Path | None, beside: Path | None, check: Path | None) -> Path | None:
    """The file to write; None for ``check``."""
    from ava_detect.evaluation.calibration import path_beside

    given = [name for name, value in (("out", out), ("beside", beside), ("check", check)) if value is not None]
    if len(given) != 1:
        got = " and ".join(f"`{name}`" for name in given) or "none of them"
        raise ConfigError(
            f"give one of `out` (a file to write), `beside` (the weights to write it beside) and `check` (a file to "
            f"measure), got {got}"
        )
    return out if beside is None else path_beside(beside)


def _source(detections: Sequence[Path]) -> DetectionFiles:
    """The files of all ``detections``."""
    from ava_detect.results.detection_files import detection_files

    first, *others = map(detection_files, detections)
    for other in others:
        if (first.weights_sha256, first.start_seconds) != (other.weights_sha256, other.start_seconds):
            first = replace(first, weights_sha256=None)
        filtered = tuple(dict.fromkeys((*first.filtered_by, *other.filtered_by)))
        first = replace(
            first,
            files=(*first.files, *other.files),
            ground_truth=None,
            filtered_by=filtered,
            is_calibrated=first.is_calibrated or other.is_calibrated,
        )
    if first.is_calibrated:
        raise ConfigError(
            "the `detections` have calibrated scores, and thresholds and maps are of the network's own; annotate "
            "without a calibration first"
        )
    return first


def _evaluation(
    source: DetectionFiles, truth: Path, known: Calibration | None, given: tuple[Any, ...]
) -> tuple[EvaluationOptions, str]:
    """The settings of the evaluation, and where the classes are from."""
    from ava_detect.evaluation.runs import EvaluationOptions
    from ava_detect.results.recorded_names import own_classes

    label_map, exclude, iou, subset, start_seconds = given
    start = source.start_seconds if start_seconds is None else start_seconds
    if known is not None:
        if label_map is not None:
            raise ConfigError("`check` measures the classes of its file; leave `label_map` out")
        settings = EvaluationOptions(None, exclude or source.exclude, subset=subset, start_seconds=start)
        return settings, f"the {len(known.classes)} of the calibration"
    # The files of a folder have one record.
    one_a_folder = list({file.parent: file for file in source.files}.values())
    recorded = own_classes(one_a_folder, truth) if label_map is None else None
    classes = label_map if recorded is None else recorded.label_map
    settings = EvaluationOptions(
        classes, exclude or source.exclude, iou_thresholds=(iou,), subset=subset, start_seconds=start
    )
    if recorded is not None:
        return settings, f"the {len(recorded.label_map)} actions named in {recorded.source}"
    return settings, "AVA's 80" if label_map is None else str(label_map)


def _write_report(report: Path, fitted: FittedCalibration, truth: Path, source: DetectionFiles) -> Path:
    # Plots take longer to load than the fit.
    from ava_detect.visualization.report.calibration_report import write_calibration_report

    files = ", ".join(map(str, source.files[:3])) + (" ..." if len(source.files) > 3 else "")
    origin = {"ground truth": str(truth), "detections": files, "measured": in_flags(fitted.measures.note)}
    return write_calibration_report(report, fitted.calibration, fitted.measures, source=origin)


def _print(fitted: FittedCalibration, classes: str) -> None:
    """A row for each class that has ground truth or detections, then the sums."""
    calibration, measures = fitted.calibration, fitted.measures
    heading = ("id", "action", "truth", "threshold", "precision", "F1 at 0.5", "F1", "error before", "error")
    rows = []
    for one, measured in zip(calibration.classes, measures.classes, strict=True):
        before, after = measured.before, measured.after
        if not before.num_gt and not before.reliability.counts.any():
            continue
        mark = "" if one.basis == "class" else "*"
        threshold = "none" if one.threshold is None else f"{one.threshold:.3f}"
        values = (after.precision, before.f1, after.f1, before.error, after.error)
        name = one.name if len(one.name) <= 24 else f"{one.name[:23]}…"
        rows.append((str(one.id), name, str(before.num_gt), f"{threshold}{mark}", *map(_percent, values)))
    say_table(heading, rows, left=(1,))
    for line in _sums(fitted):
        say(in_flags(line))
    say(in_flags(f"Classes: {classes}"))


def _sums(fitted: FittedCalibration) -> Iterator[str]:
    """The sentences below the table."""
    calibration, measures = fitted.calibration, fitted.measures
    goal = "best F1" if calibration.precision is None else f"precision {calibration.precision:g}"
    pooled = [one for one in calibration.classes if one.basis == "pooled"]
    if pooled:
        yield (
            f"* {len(pooled)} of {len(calibration.classes)} classes have fewer than {calibration.min_positives} true "
            f"positives: they get the threshold and the map of all classes together (`min_positives`)"
        )
    nothing = [one for one in calibration.classes if one.threshold is None]
    if nothing:
        names = ", ".join(f"{one.id} {one.name}" for one in nothing[:5]) + (" ..." if len(nothing) > 5 else "")
        classes = counted(len(nothing), "class", "classes")
        yield f"none: no threshold gives {goal} for {classes}, of which nothing is kept: {names}"
    f1, error = measures.mean("f1"), measures.mean("error")
    before, after = measures.before, measures.after
    yield f"Thresholds: {goal}; error: expected calibration error in %, before and after ({calibration.method})"
    yield (
        f"Mean over classes: F1 {_percent(f1[0])} -> {_percent(f1[1])}, calibration error {_percent(error[0])} -> "
        f"{_percent(error[1])}"
    )
    yield (
        f"All together: F1 {_percent(before.f1)} -> {_percent(after.f1)}, precision {_percent(before.precision)} -> "
        f"{_percent(after.precision)}, calibration error {_percent(before.error)} -> {_percent(after.error)}"
    )
    yield f"NOTE: {measures.note}"


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.2f}"


def _filter_warnings(source: DetectionFiles) -> Iterator[str]:
    if source.filtered_by:
        names = " and ".join(name.replace("_", "-") for name in source.filtered_by)
        yield (
            f"the detections were written with {names}, so scores are missing: thresholds below them cannot be found, "
            "and the calibration is of those that are left; annotate without it"
        )
