"""``ava-detect annotate``: parse, call one function, print."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ava_detect.cli import options
from ava_detect.cli.console import complain, say, table
from ava_detect.cli.progress import progress_bar
from ava_detect.storage.addresses import without_secrets
from ava_detect.storage.outputs import DEFAULT_OUT

if TYPE_CHECKING:
    from ava_detect.annotation.summary import AnnotateSummary
    from ava_detect.results.manifest import VideoRecord


def annotate(
    sources: Annotated[
        list[str], typer.Argument(metavar="SOURCE...", help="Video files, folders, globs, addresses, or lists of them.")
    ],
    out: Annotated[
        str, typer.Option(metavar="DIR|ADDRESS", help="Folder for the results, or an address (s3://...): a dataset.")
    ] = DEFAULT_OUT,
    config: options.WeightsConfig = None,
    weights: options.Weights = None,
    overrides: options.Overrides = None,
    detector: Annotated[
        str | None, typer.Option(metavar="SPEC", help="builtin, onnx:FILE, torchvision:NAME, detectron2:CONFIG.")
    ] = None,
    boxes: options.Boxes = None,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    execution: options.Execution = "auto",
    every_seconds: Annotated[
        float,
        typer.Option(
            "--every",
            parser=options.number(0.001, options.MAX_SECONDS),
            metavar="SECONDS",
            help="Time between keyframes.",
        ),
    ] = 1.0,
    min_score: Annotated[
        float, typer.Option(parser=options.SCORE, metavar="F", help="Least score of an action to be written.")
    ] = 0.0,
    min_person_score: options.MinPersonScore = None,
    new_person_score: Annotated[
        float | None,
        typer.Option(
            parser=options.SCORE, metavar="F", help="Below it a person only continues a known track; 0.6 suits builtin."
        ),
    ] = None,
    start_seconds: options.StartSeconds = 0.0,
    formats: Annotated[
        str | None,
        typer.Option(
            "--format", help="Of csv, jsonl, parquet; several with commas. Default: csv,jsonl; dataset: parquet."
        ),
    ] = None,
    draw: Annotated[bool, typer.Option("--draw", help="Also write an annotated mp4.")] = False,
    resume: options.Resume = True,
    workers: Annotated[
        Any,
        typer.Option(
            parser=options.number(1, options.MAX_WORKERS, whole=True, words=("auto",)),
            metavar="N|auto",
            help="Processes, each with its own network. Default: 1; dataset: auto.",
        ),
    ] = None,
    engine: Annotated[str, typer.Option(metavar="local|ray", help="Where the work runs: docs/scale.md.")] = "local",
    address: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Of a Ray cluster; default: the environment's, or a new one.")
    ] = None,
    cores: Annotated[
        int | None,
        typer.Option(
            parser=options.number(1, 10_000, whole=True),
            metavar="N",
            help="Of each worker (1; into a folder: a share).",
        ),
    ] = None,
    gpus: Annotated[
        float | None,
        typer.Option(
            parser=options.number(0, 1000),
            metavar="F",
            help="Of each worker, or model; 0.5 is half of one (ray; default: 1 if any).",
        ),
    ] = None,
    models: Annotated[
        int | None,
        typer.Option(
            parser=options.number(1, options.MAX_WORKERS, whole=True),
            metavar="N",
            help="Networks that workers share; default: each has its own.",
        ),
    ] = None,
    model_cores: Annotated[
        int | None,
        typer.Option(
            parser=options.number(1, 10_000, whole=True), metavar="N", help="Of each of --models (default 1)."
        ),
    ] = None,
    stall_seconds: Annotated[
        float | None,
        typer.Option(
            "--stall-limit",
            parser=options.DURATION,
            metavar="SECONDS",
            help="A video is stopped without a keyframe (600).",
        ),
    ] = None,
    total_seconds: Annotated[
        float | None,
        typer.Option(
            "--time-limit",
            parser=options.DURATION,
            metavar="SECONDS",
            help="A video is stopped after (default: a day).",
        ),
    ] = None,
    memory_gib: Annotated[
        float | None,
        typer.Option(
            "--memory-limit",
            parser=options.number(0, 1_000_000, above=True),
            metavar="GIB",
            help="A worker is stopped above (default: its share).",
        ),
    ] = None,
    tries: Annotated[
        int | None,
        typer.Option(
            parser=options.number(1, 1000, whole=True),
            metavar="N",
            help="Before a video that ends its worker is set aside (2).",
        ),
    ] = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Annotate videos: rows of people and actions, a drawn copy, a summary."""
    from ava_detect.annotation.annotate import annotate_videos
    from ava_detect.annotation.engines.settings import cluster_of, limits_of
    from ava_detect.formats.writers import parse_formats

    with progress_bar(show=not quiet) as on_progress:
        summary = annotate_videos(
            sources,
            out,
            config=config,
            weights=weights,
            overrides=overrides or (),
            detector=detector,
            boxes=boxes,
            min_person_score=min_person_score,
            new_person_score=new_person_score,
            device=device,
            precision=precision,
            execution=execution,
            every_seconds=every_seconds,
            min_score=min_score,
            start_seconds=start_seconds,
            formats=None if formats is None else parse_formats(formats),
            draw=draw,
            resume=resume,
            workers=workers,
            engine=engine,
            cluster=cluster_of(cores=cores, gpus=gpus, address=address, models=models, model_cores=model_cores),
            limits=limits_of(stall_seconds, total_seconds, memory_gib, tries),
            on_progress=on_progress,
        )
    if as_json:
        print(json.dumps(summary.to_json(), indent=2, ensure_ascii=False))
    elif not quiet:
        print_summary(summary)
        say(f"Results: {without_secrets(out)}")
    report_problems(summary)


def print_summary(summary: AnnotateSummary) -> None:
    """Print what became of the videos."""
    if summary.num_before is not None:
        _print_totals(summary)
        return
    heading = ("video", "keyframes", "people", "rows", "seconds", "")
    say(table(heading, map(_row, summary.videos), left=(0, 5)))
    if summary.note:
        say(f"NOTE: {summary.note}.")


def _print_totals(summary: AnnotateSummary) -> None:
    """Of a dataset, whose videos may be millions."""
    totals = summary.totals
    before = f", {summary.num_before} were done before" if summary.num_before else ""
    say(
        f"{totals.done} videos done, {totals.damaged} damaged, {totals.failed} failed{before}: {totals.keyframes} "
        f"keyframes, {totals.people} people, {totals.rows} rows"
    )
    if summary.note:
        say(f"NOTE: {summary.note}.")


def _row(record: VideoRecord) -> tuple[str, ...]:
    counts: tuple[Any, ...] = (record.num_keyframes, record.num_people, record.num_rows)
    seconds = f"{sum(record.seconds.values()):.1f}"
    return (record.video_id, *map(str, counts), seconds, "" if record.status == "done" else record.status)


def report_problems(summary: AnnotateSummary) -> None:
    """Print failures, damage and warnings on stderr, and set the exit code."""
    for record in summary.videos:
        if record.status == "failed":
            complain(record.message)
        elif record.status == "damaged":
            complain(f"{record.source}: {record.message}; the rest is annotated")
        elif record.message:
            complain(f"{record.source}: {record.message}")
        if record.warning:
            complain(f"{record.source}: {record.warning}")
    num_done = summary.totals.done
    if num_done > 1 and len(summary.warned) == num_done:
        complain(f"no person was found in any of the {num_done} videos, because the boxes meet none of their keyframes")
    if summary.interrupted:
        complain("interrupted; finished videos are whole, and the same command goes on from here")
    if not summary.all_well:
        raise typer.Exit(1)
