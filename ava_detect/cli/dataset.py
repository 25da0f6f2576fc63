"""``ava-detect collect`` and ``status``: results of many videos, of a folder or a dataset, as one file, and how far."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ava_detect.cli import options
from ava_detect.cli.console import complain, results_beside, say
from ava_detect.cli.next_step import file_word, say_next
from ava_detect.cli.progress import progress_bar
from ava_detect.errors import ConfigError, counted, shown
from ava_detect.storage.addresses import without_secrets
from ava_detect.storage.local_files import is_stream

if TYPE_CHECKING:
    from ava_detect.results.status import ResultsStatus


def collect(
    results: Annotated[
        str, typer.Argument(metavar="RESULTS", help="The --out of `annotate`: a folder, or a dataset's address.")
    ],
    out: Annotated[
        Path, options.out_option("CSV|DIR", "An AVA csv (.csv, .csv.gz, - for the terminal), or a page's folder.")
    ],
    videos: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="For the page: a folder with the videos, if they have moved.",
            rich_help_panel=options.COMMON,
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="Only this video; repeat it for several.", rich_help_panel=options.COMMON),
    ] = None,
    min_score: Annotated[float, options.min_score_option("Leave out actions that score less.")] = 0.0,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
) -> None:
    """Make one csv, or one page, of the results of many videos."""
    if is_csv := out.name.endswith((".csv", ".csv.gz")) or is_stream(out):
        if videos is not None:
            raise ConfigError(f"`videos` is for the page, and `out`, {shown(out)}, gets a csv; leave one of them out")
        results_beside(out)
    with progress_bar(show=not quiet) as on_progress:
        if is_csv:
            from ava_detect.results.collect import collect_csv

            count = collect_csv(
                results, out, only=only, min_score=min_score, overwrite=overwrite, on_progress=on_progress
            )
        else:
            from ava_detect.visualization.page.collect_page import collect_page

            summary = collect_page(results, out, videos=videos, only=only, min_score=min_score, on_progress=on_progress)
    if is_csv:
        if not quiet:
            say(f"{counted(count.rows, 'row')} of {counted(count.videos, 'video')}: {out}")
        return
    for video in summary.videos:
        for notice in video.notices:
            complain(f"{video.video_id}: {notice}")
    if not quiet:
        say(f"{counted(len(summary.videos), 'video')}. Open in a browser: {summary.index.resolve()}")


def status(
    results: Annotated[
        str, typer.Argument(metavar="RESULTS", help="The --out of `annotate`: a folder, or a dataset's address.")
    ],
    as_json: options.AsJson = False,
) -> None:
    """Say how many videos of a run are done, and which failed.

    Exit code 1: videos failed or are cut.
    """
    from ava_detect.results.status import results_status

    found = results_status(results)
    if as_json:
        print(json.dumps(asdict(found), indent=2, ensure_ascii=False))
    else:
        _print_status(found)
        _say_next(found, results)
    if found.num_failed or found.num_broken:
        raise typer.Exit(1)


def _print_status(found: ResultsStatus) -> None:
    if found.num_videos is None:
        done = counted(found.num_done, "video")
    else:
        done = f"{found.num_done:,} of {counted(found.num_videos, 'video')}"
    failed = f", {found.num_failed:,} failed" if found.num_failed else ""
    say(f"{done} done, {found.num_damaged:,} of them damaged{failed}")
    if found.videos_per_minute and found.num_videos != found.num_done + found.num_failed:
        left = "" if found.seconds_left is None else f", {timedelta(seconds=round(found.seconds_left))} left"
        say(f"{found.videos_per_minute:.1f} videos a minute of late{left}")
    for run in found.runs:
        say(f"a run that is {run.state}, heard of {timedelta(seconds=round(run.seconds_ago))} ago")
    for problem in found.problems:
        complain(problem)
    if found.num_failed > len(found.problems):
        complain(f"and {found.num_failed - len(found.problems):,} more")
    for sentence in found.broken:
        complain(sentence)
    if found.num_broken > len(found.broken):
        complain(f"and {found.num_broken - len(found.broken):,} more such files")


def _say_next(found: ResultsStatus, results: str) -> None:
    """Print how to resume a run that ended early, or else how to view the finished videos."""
    states = {run.state for run in found.runs}
    if found.runs and "running" not in states and found.runs[-1].state != "finished":
        say("The same `annotate` command goes on from here.")
    elif found.num_done:
        shown_results = file_word(without_secrets(results))
        say_next("Look at the finished videos", "collect", shown_results, "--out", "page")
