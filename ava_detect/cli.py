"""``ava-detect``: parse, call one function, print.

Exit codes: 0 all well; 1 the work failed or part of it did (named on stderr); 2 the call was wrong. Progress goes to
stderr, and only when that is a terminal. Heavy imports wait until a command needs them, so that ``--help`` is quick.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from ava_detect import (
    __version__,
    cli_benchmark,
    cli_data,
    cli_dataset,
    cli_handover,
    cli_train,
    cli_visualize,
    cli_weights,
)
from ava_detect.addresses import without_secrets
from ava_detect.errors import AvaDetectError, ConfigError, EngineError, MissingDependencyError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ava_detect import annotate as annotation
    from ava_detect import evaluate as evaluation_of_files
    from ava_detect.run_record import VideoRecord

app = typer.Typer(
    name="ava-detect",
    help="Find every person in a video and say, once a second, what each one is doing.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_out = Console(soft_wrap=True)
_err = Console(stderr=True, soft_wrap=True)


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
        _complain(str(error))
        sys.exit(1 if isinstance(error, StoreError | EngineError) else 2)


def _complain(message: str) -> None:
    """One line on stderr, as it is: a file name may look like markup."""
    _err.print(f"ava-detect: {without_secrets(message)}", markup=False, highlight=False)


def _show_version(wanted: bool) -> None:
    if wanted:
        _out.print(f"ava-detect {__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Say the version and stop.")
    ] = False,
) -> None:
    pass


@app.command()
def annotate(
    sources: Annotated[
        list[str], typer.Argument(metavar="SOURCE...", help="Video files, folders, globs, addresses, or lists of them.")
    ],
    out: Annotated[
        str, typer.Option(metavar="DIR|ADDRESS", help="Folder for the results, or an address (s3://...): a dataset.")
    ],
    config: Annotated[
        str | None,
        typer.Option(help="A config file or a shipped one's name; default: the weights' own, or demo."),
    ] = None,
    weights: Annotated[
        str | None, typer.Option(metavar="FILE|NAME", help="Trained weights (`weights list`), or 'random' to try.")
    ] = None,
    detector: Annotated[
        str | None, typer.Option(metavar="SPEC", help="builtin, onnx:FILE, torchvision:NAME, detectron2:CONFIG.")
    ] = None,
    boxes: Annotated[
        Path | None, typer.Option(metavar="CSV", help="People found before (AVA csv or COCO json).")
    ] = None,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda", help="Where the network runs.")] = "auto",
    precision: Annotated[str, typer.Option(metavar="auto|fp32|bf16", help="auto is fp32.")] = "auto",
    execution: Annotated[
        str, typer.Option(metavar="auto|eager|fused", help="How the network is run; auto is the fastest that is exact.")
    ] = "auto",
    every: Annotated[float, typer.Option(metavar="SECONDS", help="Time between keyframes.")] = 1.0,
    min_score: Annotated[float, typer.Option(metavar="F", help="Least score of an action to be written.")] = 0.0,
    min_person_score: Annotated[
        float | None, typer.Option(metavar="F", help="Least score of a person; default: the config's.")
    ] = None,
    new_person_score: Annotated[
        float | None,
        typer.Option(metavar="F", help="Below it a person only continues somebody known; 0.6 suits builtin."),
    ] = None,
    start_seconds: Annotated[
        float, typer.Option(metavar="S", help="Where in its movie each file starts (900 for trimmed AVA files).")
    ] = 0.0,
    format: Annotated[
        str | None,
        typer.Option(help="Of csv, jsonl, parquet; several with commas. Default: csv,jsonl; dataset: parquet."),
    ] = None,
    draw: Annotated[bool, typer.Option("--draw", help="Also write an annotated mp4.")] = False,
    resume: Annotated[bool, typer.Option("--resume/--restart", help="Skip videos that are done, or do all.")] = True,
    workers: Annotated[
        str | None,
        typer.Option(metavar="N|auto", help="Processes, each with its own network. Default: 1; dataset: auto."),
    ] = None,
    engine: Annotated[str, typer.Option(metavar="local|ray", help="Where the work runs: docs/scale.md.")] = "local",
    address: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Of a Ray cluster; default: the environment's, or a new one.")
    ] = None,
    cores: Annotated[int | None, typer.Option(metavar="N", help="Of each worker (dataset; default 1).")] = None,
    gpus: Annotated[
        float | None, typer.Option(metavar="F", help="Of each worker, 0.5 for half of one (ray; default: 1 if any).")
    ] = None,
    stall_limit: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="A video is stopped without a keyframe (dataset; 600).")
    ] = None,
    time_limit: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="A video is stopped after (dataset; default a day).")
    ] = None,
    memory_limit: Annotated[
        float | None, typer.Option(metavar="GIB", help="A worker is stopped above (dataset; default: its share).")
    ] = None,
    tries: Annotated[
        int | None, typer.Option(metavar="N", help="Before a video that ends its worker is set aside (dataset; 2).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print problems only.")] = False,
) -> None:
    """Annotate videos: rows of people and actions, a drawn copy, a summary."""
    from ava_detect.annotate import annotate_videos
    from ava_detect.engine_choice import cluster_of, limits_of
    from ava_detect.formats.results import parse_formats

    with (
        cli_weights.download_bar(weights or "", show=not quiet) as on_download,
        _progress(show=not quiet) as on_progress,
    ):
        summary = annotate_videos(
            sources,
            out,
            config=config,
            weights=weights,
            detector=detector,
            boxes=boxes,
            min_person_score=min_person_score,
            new_person_score=new_person_score,
            device=device,
            precision=precision,
            execution=execution,
            every_seconds=every,
            min_score=min_score,
            start_seconds=start_seconds,
            formats=None if format is None else parse_formats(format),
            draw=draw,
            resume=resume,
            workers=None if workers is None else _workers(workers),
            engine=engine,
            cluster=cluster_of(cores=cores, gpus=gpus, address=address),
            limits=limits_of(stall_limit, time_limit, memory_limit, tries),
            on_progress=on_progress,
            on_download=on_download,
        )
    if as_json:
        print(json.dumps(summary.to_json(), indent=2, ensure_ascii=False))
    elif not quiet:
        _print_summary(summary)
        _out.print(f"Results: {without_secrets(out)}", markup=False, highlight=False)
    _report_problems(summary)


def _workers(text: str) -> int | Literal["auto"]:
    if text == "auto":
        return "auto"
    if not text.isdigit():
        raise ConfigError(f"--workers is a number of processes or auto, got {text!r}")
    return int(text)


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
            _complain(f"{run.path}: {warning}")


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the movie and its results.")] = Path("demo_results"),
    quiet: Annotated[bool, typer.Option("--quiet", help="Print problems only.")] = False,
) -> None:
    """Render a short movie whose truth is known, annotate it, and say where everything is."""
    from ava_detect.demo import run_demo

    if not quiet:
        _err.print("Rendering a short movie, then finding everybody in it ...")
    with _progress(show=not quiet) as on_progress:
        result = run_demo(out, on_progress=on_progress)
    if not quiet:
        _print_summary(result.summary)
        share = result.num_found / result.num_people if result.num_people else 0.0
        _out.print(
            f"The detector found {result.num_found} of the movie's {result.num_people} people ({share:.0%}, IoU 0.5), "
            f"with {result.num_false} false boxes.",
            highlight=False,
        )
        _out.print(f"What they do: {result.score.summary()}", markup=False, highlight=False)
        _out.print(f"Movie and its truth:  {result.world}", markup=False, highlight=False)
        _out.print(f"Results:              {result.results}", markup=False, highlight=False)
        for video in result.summary.videos:
            for name in video.outputs:
                _out.print(f"                      {result.results / name}", markup=False, highlight=False)
    _report_problems(result.summary)


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
        _out.print(_table(("", "what", "found"), rows, left=(0, 1, 2)), markup=False, highlight=False)
    if any(finding.required and finding.state != "ok" for finding in findings):
        raise typer.Exit(1)


def _print_evaluation(evaluation: evaluation_of_files.Evaluation) -> None:
    """One run: its classes. Several: the first one's classes, and what each later one changes."""
    first = evaluation.runs[0].results[0]
    heading, *rows = first.rows()
    _out.print(_table(heading, rows, left=(1, 2)), markup=False, highlight=False)
    kinds = ", ".join(f"{kind}: {100 * mean:.2f}" for kind, mean in first.mean_per_kind.items())
    _out.print(kinds, markup=False, highlight=False)
    for comparison in evaluation.comparisons:
        _out.print(f"\n{comparison}", markup=False, highlight=False)
    for run in evaluation.runs:
        _out.print(f"\n{run.path}", markup=False, highlight=False)
        for line in (*run.results[0].notes, *(result.summary() for result in run.results)):
            _out.print(line, markup=False, highlight=False)
    if evaluation.report is not None:
        _out.print(f"Report: {evaluation.report}", markup=False, highlight=False)


def _table(heading: Sequence[str], rows: Iterable[Sequence[str]], *, left: Sequence[int]) -> Table:
    """Columns of text; those of ``left`` begin at the left, numbers end at the right."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for index, name in enumerate(heading):
        table.add_column(name, justify="left" if index in left else "right", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    return table


@contextmanager
def _progress(*, show: bool) -> Iterator[Callable[[annotation.Progress], None] | None]:
    """A progress bar on stderr where that is a terminal; None elsewhere."""
    if not (show and _err.is_terminal):
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.fields[now]}", markup=False), console=_err, transient=True) as bar:
        task = bar.add_task("videos", total=None, now="")

        def update(progress: annotation.Progress) -> None:
            now = ""
            if progress.run_seconds:
                now = _rate(progress)
            elif progress.record is None:
                end = "" if progress.duration_seconds is None else f" of {progress.duration_seconds:.0f}"
                now = f"{progress.video_id}: second {progress.second:.0f}{end}"
            bar.update(task, total=progress.num_videos, completed=progress.num_finished, now=now)

        yield update


def _rate(progress: annotation.Progress) -> str:
    """How fast a dataset grows, how long it will take, and what failed so far."""
    num_new = progress.num_finished - progress.num_before
    parts = [f"{60 * num_new / progress.run_seconds:.1f} a minute"]
    if num_new and progress.num_videos is not None:
        left = (progress.num_videos - progress.num_finished) * progress.run_seconds / num_new
        parts.append(f"{timedelta(seconds=round(left))} left")
    if progress.num_failed:
        parts.append(f"{progress.num_failed} failed")
    return ", ".join(parts)


def _print_summary(summary: annotation.AnnotateSummary) -> None:
    if summary.num_before is not None:
        _print_totals(summary)
        return
    heading = ("video", "keyframes", "people", "rows", "seconds", "")
    _out.print(_table(heading, map(_row, summary.videos), left=(0, 5)), markup=False, highlight=False)
    if summary.note:
        _out.print(f"NOTE: {summary.note}.", markup=False, highlight=False)


def _print_totals(summary: annotation.AnnotateSummary) -> None:
    """Of a dataset, whose videos may be millions."""
    totals = summary.totals
    before = f", {summary.num_before} were done before" if summary.num_before else ""
    _out.print(
        f"{totals.done} videos done, {totals.damaged} damaged, {totals.failed} failed{before}: {totals.keyframes} "
        f"keyframes, {totals.people} people, {totals.rows} rows",
        highlight=False,
    )
    if summary.note:
        _out.print(f"NOTE: {summary.note}.", markup=False, highlight=False)


def _row(record: VideoRecord) -> tuple[str, ...]:
    counts: tuple[Any, ...] = (record.num_keyframes, record.num_people, record.num_rows)
    seconds = f"{sum(record.seconds.values()):.1f}"
    return (record.video_id, *map(str, counts), seconds, "" if record.status == "done" else record.status)


def _report_problems(summary: annotation.AnnotateSummary) -> None:
    """Name on stderr whatever did not go well, and set the exit code."""
    for record in summary.videos:
        if record.status == "failed":
            _complain(record.message)
        elif record.status == "damaged":
            _complain(f"{record.source}: {record.message}; the rest is annotated")
    if summary.interrupted:
        _complain("interrupted; finished videos are whole, and the same command goes on from here")
    if not summary.all_well:
        raise typer.Exit(1)
