"""``ava-detect``: parse, call one function, print.

Exit codes: 0 all well; 1 the work failed or part of it did (named on stderr); 2 the call was wrong. Progress goes to
stderr, and only when that is a terminal. Heavy imports wait until a command needs them, so that ``--help`` is quick.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ava_detect import (
    __version__,
    cli_annotate,
    cli_benchmark,
    cli_data,
    cli_dataset,
    cli_handover,
    cli_train,
    cli_visualize,
    cli_weights,
)
from ava_detect.cli_text import complain, say, table
from ava_detect.errors import AvaDetectError, EngineError, MissingDependencyError, StoreError

if TYPE_CHECKING:
    from ava_detect import evaluate as evaluation_of_files

app = typer.Typer(
    name="ava-detect",
    help="Find every person in a video and say, once a second, what each one is doing.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


app.command()(cli_annotate.annotate)
app.command()(cli_annotate.demo)
app.add_typer(cli_weights.app)
app.add_typer(cli_data.app)
app.command("train")(cli_train.train_command)
app.command()(cli_benchmark.benchmark)
app.command()(cli_visualize.visualize)
app.command()(cli_dataset.collect)
app.command()(cli_dataset.status)
app.command("pictures")(cli_handover.pictures_command)
app.command("tubes")(cli_handover.tubes_command)
app.command("explain")(cli_handover.explain_command)
app.command("hand-over")(cli_handover.hand_over_command)
app.command()(cli_weights.export)


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point of the ``ava-detect`` command; ``arguments``: those of the process by default."""
    try:
        app(arguments)
    except (AvaDetectError, MissingDependencyError) as error:
        complain(str(error))
        sys.exit(1 if isinstance(error, StoreError | EngineError) else 2)


def _show_version(wanted: bool) -> None:
    if wanted:
        say(f"ava-detect {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Say the version and stop.")
    ] = False,
) -> None:
    pass


@app.command()
def evaluate(
    ground_truth: Annotated[Path, typer.Option(metavar="CSV", help="What is true: an AVA csv, plain or gzipped.")],
    detections: Annotated[
        list[Path], typer.Option(metavar="CSV", help="What was found (csv or Parquet); again for runs to compare.")
    ],
    label_map: Annotated[
        Path | None, typer.Option(metavar="PBTXT", help="The classes that count; default: AVA's 60.")
    ] = None,
    exclude: Annotated[
        Path | None, typer.Option(metavar="CSV", help="Keyframes (video,timestamp) dropped on both sides.")
    ] = None,
    dialect: Annotated[
        str, typer.Option(metavar="official|pyslowfast", help="Whose rules: see docs/evaluation.md.")
    ] = "official",
    iou: Annotated[list[float] | None, typer.Option(metavar="F", help="IoU threshold; again for several.")] = None,
    subset: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Only these videos: a text file, one id a line.")
    ] = None,
    start_seconds: Annotated[
        float, typer.Option(metavar="S", help="Added to the times of Parquet files, which count from the file's start.")
    ] = 0.0,
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the numbers here.")] = None,
    report: Annotated[Path | None, typer.Option(metavar="DIR", help="Write a page that explains them here.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print problems only.")] = False,
) -> None:
    """Score detections with AVA's frame-mAP, and say why the number is what it is."""
    from ava_detect.evaluate import evaluate_runs

    evaluation = evaluate_runs(
        ground_truth,
        detections,
        label_map=label_map,
        exclude=exclude,
        dialect=dialect,
        iou_thresholds=iou or (0.5,),
        subset=subset,
        start_seconds=start_seconds,
        json_file=json_file,
        report=report,
    )
    if not quiet:
        _print_evaluation(evaluation)
    for run in evaluation.runs:
        for warning in run.warnings:
            complain(f"{run.path}: {warning}")


@app.command()
def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False) -> None:
    """Say what is installed, what runs on what, and what is missing."""
    from ava_detect.doctor import examine

    findings = examine()
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        rows = []
        for finding in findings:
            mark = {"ok": "ok", "missing": "-", "broken": "BROKEN"}[finding.state]
            rows.append((mark, finding.name, finding.detail))
            if finding.state != "ok" and finding.advice:
                rows.append(("", "", f"try: {finding.advice}"))
        say(table(("", "what", "found"), rows, left=(0, 1, 2)))
    if any(finding.required and finding.state != "ok" for finding in findings):
        raise typer.Exit(1)


def _print_evaluation(evaluation: evaluation_of_files.Evaluation) -> None:
    """One run: its classes. Several: the first one's classes, and what each later one changes."""
    first = evaluation.runs[0].results[0]
    heading, *rows = first.rows()
    say(table(heading, rows, left=(1, 2)))
    kinds = ", ".join(f"{kind}: {100 * mean:.2f}" for kind, mean in first.mean_per_kind.items())
    say(kinds)
    for comparison in evaluation.comparisons:
        say(f"\n{comparison}")
    for run in evaluation.runs:
        say(f"\n{run.path}")
        for line in (*run.results[0].notes, *(result.summary() for result in run.results)):
            say(line)
    if evaluation.report is not None:
        say(f"Report: {evaluation.report}")
