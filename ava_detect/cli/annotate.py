"""``ava-detect annotate``, and ``demo``, which is a run of it: parse, call one function, print."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ava_detect.addresses import without_secrets
from ava_detect.cli_text import complain, err, say, table
from ava_detect.cli_weights import download_bar
from ava_detect.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ava_detect import annotate as annotation
    from ava_detect.run_record import VideoRecord


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
        str | None,
        typer.Option(
            metavar="FILE|NAME", help="Trained weights or their address (`weights list`), or 'random' to try."
        ),
    ] = None,
    detector: Annotated[
        str | None, typer.Option(metavar="SPEC", help="builtin, onnx:FILE, torchvision:NAME, detectron2:CONFIG.")
    ] = None,
    boxes: Annotated[
        str | None, typer.Option(metavar="CSV", help="People found before (AVA csv or COCO json), or their address.")
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
    cores: Annotated[int | None, typer.Option(metavar="N", help="Of each worker (1; into a folder: a share).")] = None,
    gpus: Annotated[
        float | None,
        typer.Option(metavar="F", help="Of each worker, or model; 0.5 is half of one (ray; default: 1 if any)."),
    ] = None,
    models: Annotated[
        int | None, typer.Option(metavar="N", help="Networks that workers share; default: each has its own.")
    ] = None,
    model_cores: Annotated[int | None, typer.Option(metavar="N", help="Of each of --models (default 1).")] = None,
    stall_limit: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="A video is stopped without a keyframe (600).")
    ] = None,
    time_limit: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="A video is stopped after (default: a day).")
    ] = None,
    memory_limit: Annotated[
        float | None, typer.Option(metavar="GIB", help="A worker is stopped above (default: its share).")
    ] = None,
    tries: Annotated[
        int | None, typer.Option(metavar="N", help="Before a video that ends its worker is set aside (2).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print problems only.")] = False,
) -> None:
    """Annotate videos: rows of people and actions, a drawn copy, a summary."""
    from ava_detect.annotate import annotate_videos
    from ava_detect.engine_choice import cluster_of, limits_of
    from ava_detect.formats.results import parse_formats

    with (
        download_bar(weights or "", show=not quiet) as on_download,
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
            cluster=cluster_of(cores=cores, gpus=gpus, address=address, models=models, model_cores=model_cores),
            limits=limits_of(stall_limit, time_limit, memory_limit, tries),
            on_progress=on_progress,
            on_download=on_download,
        )
    if as_json:
        print(json.dumps(summary.to_json(), indent=2, ensure_ascii=False))
    elif not quiet:
        _print_summary(summary)
        say(f"Results: {without_secrets(out)}")
    _report_problems(summary)


def _workers(text: str) -> int | Literal["auto"]:
    if text == "auto":
        return "auto"
    if not text.isdigit():
        raise ConfigError(f"--workers is a number of processes or auto, got {text!r}")
    return int(text)


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the movie and its results.")] = Path("demo_results"),
    quiet: Annotated[bool, typer.Option("--quiet", help="Print problems only.")] = False,
) -> None:
    """Render a short movie whose truth is known, annotate it, and say where everything is."""
    from ava_detect.demo import run_demo

    if not quiet:
        err.print("Rendering a short movie, then finding everybody in it ...")
    with _progress(show=not quiet) as on_progress:
        result = run_demo(out, on_progress=on_progress)
    if not quiet:
        _print_summary(result.summary)
        share = result.num_found / result.num_people if result.num_people else 0.0
        say(
            f"The detector found {result.num_found} of the movie's {result.num_people} people ({share:.0%}, IoU 0.5), "
            f"and {result.num_false} boxes that are no one's, or somebody's second."
        )
        say(f"What they do: {result.score.summary()}")
        say(f"Movie and its truth:  {result.world}")
        say(f"Results:              {result.results}")
        for video in result.summary.videos:
            for name in video.outputs:
                say(f"                      {result.results / name}")
    _report_problems(result.summary)


@contextmanager
def _progress(*, show: bool) -> Iterator[Callable[[annotation.Progress], None] | None]:
    """A progress bar on stderr where that is a terminal; None elsewhere."""
    if not (show and err.is_terminal):
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.fields[now]}", markup=False), console=err, transient=True) as bar:
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
    say(table(heading, map(_row, summary.videos), left=(0, 5)))
    if summary.note:
        say(f"NOTE: {summary.note}.")


def _print_totals(summary: annotation.AnnotateSummary) -> None:
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


def _report_problems(summary: annotation.AnnotateSummary) -> None:
    """Name on stderr whatever did not go well, and set the exit code."""
    for record in summary.videos:
        if record.status == "failed":
            complain(record.message)
        elif record.status == "damaged":
            complain(f"{record.source}: {record.message}; the rest is annotated")
    if summary.interrupted:
        complain("interrupted; finished videos are whole, and the same command goes on from here")
    if not summary.all_well:
        raise typer.Exit(1)
