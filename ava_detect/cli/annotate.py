"""``ava-detect annotate``: parse, call one function, print."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ava_detect.cli import completion, options
from ava_detect.cli.console import complain, say, say_table
from ava_detect.cli.next_step import file_word, say_next
from ava_detect.cli.progress import progress_bar
from ava_detect.errors import counted
from ava_detect.storage.addresses import without_secrets
from ava_detect.storage.outputs import DEFAULT_OUT

if TYPE_CHECKING:
    from ava_detect.annotation.summary import AnnotateSummary
    from ava_detect.results.manifest import VideoRecord


def annotate(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...", help="Video files, folders, globs, addresses, or text files that list them."
        ),
    ],
    out: Annotated[
        str,
        options.out_option(
            "DIR|ADDRESS", "Folder for the results. An address (s3://...) holds a dataset of Parquet files."
        ),
    ] = DEFAULT_OUT,
    weights: Annotated[str | None, options.weights_option(default=True)] = None,
    detector: options.Detector = None,
    formats: Annotated[
        str | None,
        typer.Option(
            "--format",
            "-f",
            metavar="LIST",
            help="Files to write, of csv, jsonl, parquet and the formats of plug-ins, with commas; default: the first "
            "three; for a dataset parquet.",
            autocompletion=completion.result_formats,
            rich_help_panel=options.COMMON,
        ),
    ] = None,
    draw: Annotated[
        bool,
        typer.Option(
            "--draw", help="Also write each video with boxes and actions drawn, as mp4.", rich_help_panel=options.COMMON
        ),
    ] = False,
    config: options.Config = None,
    overrides: options.Overrides = None,
    boxes: options.Boxes = None,
    min_person_score: options.MinPersonScore = None,
    new_person_score: Annotated[
        float | None,
        typer.Option(
            parser=options.SCORE,
            metavar="SCORE",
            help="A box below it never starts a new track, only continues one; 0.6 suits builtin.",
            rich_help_panel=options.PEOPLE,
        ),
    ] = None,
    every_seconds: Annotated[
        float,
        typer.Option(
            "--every",
            parser=options.number(0.001, options.MAX_SECONDS),
            metavar="SECONDS",
            help="Time between keyframes, at which people are found and scored.",
            rich_help_panel=options.SCORES,
        ),
    ] = 1.0,
    min_score: Annotated[float, options.min_score_option("Leave out actions that score less.")] = 0.0,
    thresholds: options.Thresholds = None,
    top: options.Top = None,
    calibration: options.Calibration = None,
    start_seconds: options.StartSeconds = 0.0,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    execution: options.Execution = "auto",
    workers: Annotated[
        Any,
        typer.Option(
            "--workers",
            "-j",
            parser=options.number(1, options.MAX_WORKERS, whole=True, words=("auto",)),
            metavar="N|auto",
            help="Processes that share the videos, each with its own network; default: 1, for a dataset auto.",
            rich_help_panel=options.SPEED,
        ),
    ] = None,
    cores: Annotated[
        int | None,
        typer.Option(
            parser=options.number(1, 10_000, whole=True),
            metavar="N",
            help="CPU cores of each worker; default: its share, for a dataset 1.",
            rich_help_panel=options.SPEED,
        ),
    ] = None,
    gpus: Annotated[
        float | None,
        typer.Option(
            parser=options.number(0, 1000),
            metavar="NUMBER",
            help="With --engine ray: GPUs of each worker, or each of --models; 0.5 is half a GPU; default: 1 if any.",
            rich_help_panel=options.MANY,
        ),
    ] = None,
    engine: Annotated[
        str,
        typer.Option(
            **options.choice("local", "ray"),
            help="Run on this machine, or on a Ray cluster: docs/scale.md.",
            rich_help_panel=options.MANY,
        ),
    ] = "local",
    address: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Address of the Ray cluster; default: the environment's, or a new one.",
            rich_help_panel=options.MANY,
        ),
    ] = None,
    models: Annotated[
        int | None,
        typer.Option(
            parser=options.number(1, options.MAX_WORKERS, whole=True),
            metavar="N",
            help="Networks that the workers share; default: each worker has its own.",
            rich_help_panel=options.MANY,
        ),
    ] = None,
    model_cores: Annotated[
        int | None,
        typer.Option(
            parser=options.number(1, 10_000, whole=True),
            metavar="N",
            help="CPU cores of each of --models; default: 1.",
            rich_help_panel=options.MANY,
        ),
    ] = None,
    stall_seconds: Annotated[
        float | None,
        typer.Option(
            "--stall-limit",
            parser=options.DURATION,
            metavar="SECONDS",
            help="Give a video up when no keyframe is finished for so long; default: 600.",
            rich_help_panel=options.MANY,
        ),
    ] = None,
    total_seconds: Annotated[
        float | None,
        typer.Option(
            "--time-limit",
            parser=options.DURATION,
            metavar="SECONDS",
            help="Give a video up after so long; default: a day.",
            rich_help_panel=options.MANY,
        ),
    ] = None,
    memory_gib: Annotated[
        float | None,
        typer.Option(
            "--memory-limit",
            parser=options.number(0, 1_000_000, above=True),
            metavar="GIB",
            help="Stop a worker that uses more memory; default: its share of the machine's.",
            rich_help_panel=options.MANY,
        ),
    ] = None,
    tries: Annotated[
        int | None,
        typer.Option(
            parser=options.number(1, 1000, whole=True),
            metavar="N",
            help="Give a video up when its worker has ended so often; default: 2.",
            rich_help_panel=options.MANY,
        ),
    ] = None,
    resume: options.Resume = True,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Find the people in videos and score what each of them does."""
    with progress_bar(show=not quiet) as on_progress:
        from ava_detect.annotation.annotate import annotate_videos
        from ava_detect.annotation.engines.settings import cluster_of, limits_of
        from ava_detect.formats.writers import parse_formats

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
            thresholds=thresholds,
            top=top,
            calibration=calibration,
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
    complain_of(summary)
    if not (as_json or quiet):
        _say_next(summary, out)
    if not summary.all_well:
        raise typer.Exit(1)


def _say_next(summary: AnnotateSummary, out: str) -> None:
    """Print how the results are looked at, if there are any."""
    is_dataset = summary.num_before is not None
    if summary.totals.done + summary.totals.damaged + (summary.num_before or 0) == 0:
        return
    if is_dataset:
        say_next("Look at the results", "collect", file_word(without_secrets(out)), "--out", "page")
    else:
        say_next("Look at the results", "visualize", file_word(out))


def print_summary(summary: AnnotateSummary) -> None:
    """Print what became of the videos."""
    if summary.num_before is not None:
        _print_totals(summary)
        return
    heading = ("video", "keyframes", "people", "boxes", "rows", "seconds", "")
    say_table(heading, map(_row, summary.videos), left=(0, 6))
    if summary.num_kept:
        _say_kept(summary.num_kept, len(summary.videos))
    if summary.note:
        say(f"NOTE: {summary.note}.")


def _say_kept(num_kept: int, num_videos: int) -> None:
    """Print how many videos an earlier run had done, and how they are done again."""
    if num_kept < num_videos:
        were = f"{num_kept:,} of {counted(num_videos, 'video')} {'was' if num_kept == 1 else 'were'}"
    else:
        were = "The video was" if num_videos == 1 else f"All {num_videos:,} videos were"
    say(f"{were} done before; --restart does {'it' if num_kept == 1 else 'them'} again.")


def _print_totals(summary: AnnotateSummary) -> None:
    """Of a dataset, whose videos may be millions."""
    totals, num_before = summary.totals, summary.num_before or 0
    num_new = totals.done + totals.damaged + totals.failed
    if num_new or not num_before:
        found = (
            counted(totals.keyframes, "keyframe"),
            counted(totals.people, "person", "people"),
            counted(totals.boxes, "box", "boxes"),
            counted(totals.rows, "row"),
        )
        say(
            f"{counted(totals.done, 'video')} done, {totals.damaged:,} damaged, {totals.failed:,} failed: "
            + ", ".join(found)
        )
    if num_before:
        _say_kept(num_before, num_before + num_new)
    if summary.note:
        say(f"NOTE: {summary.note}.")


def _row(record: VideoRecord) -> tuple[str, ...]:
    counts = (record.num_keyframes, _known(record.num_people), record.num_boxes, record.num_rows)
    seconds = f"{sum(record.seconds.values()):.1f}"
    return (record.video_id, *map(str, counts), seconds, "" if record.status == "done" else record.status)


def _known(count: int | None) -> int | str:
    """A count, or a mark where it is unknown: results of earlier versions have no number of people."""
    return "?" if count is None else count


def complain_of(summary: AnnotateSummary) -> None:
    """Print failures, damage and warnings on stderr."""
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
