"""``ava-detect collect`` and ``status``: what a dataset of results holds, made into one file, and looked at."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from ava_detect.cli import options
from ava_detect.cli.console import complain, results_beside, say
from ava_detect.errors import ConfigError, shown


def collect(
    dataset: Annotated[
        str, typer.Argument(metavar="DATASET", help="The --out of `annotate`: an address, or a folder.")
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
    from ava_detect.results.collect import collect_csv
    from ava_detect.storage.local_files import is_stream
    from ava_detect.visualization.page.dataset_page import collect_page

    if out.name.endswith((".csv", ".csv.gz")) or is_stream(out):
        if videos is not None:
            raise ConfigError(f"`videos` is for the page, and `out`, {shown(out)}, gets a csv; leave one of them out")
        results_beside(out)
        count = collect_csv(dataset, out, only=only, min_score=min_score, overwrite=overwrite)
        if not quiet:
            say(f"{count.rows} rows of {count.videos} videos: {out}")
        return
    summary = collect_page(dataset, out, videos=videos, only=only, min_score=min_score)
    if not quiet:
        say(f"Page: {summary.index}")
    for video in summary.videos:
        for notice in video.notices:
            complain(f"{video.video_id}: {notice}")


def status(
    dataset: Annotated[
        str, typer.Argument(metavar="DATASET", help="The --out of `annotate`: an address, or a folder.")
    ],
    as_json: options.AsJson = False,
) -> None:
    """Say how many videos of a run are done, and which failed.

    Exit code 1: videos failed or are cut.
    """
    from ava_detect.results.collect import dataset_status

    found = dataset_status(dataset)
    if as_json:
        print(json.dumps(asdict(found), indent=2, ensure_ascii=False))
    else:
        of = "" if found.num_videos is None else f" of {found.num_videos}"
        say(f"{found.num_done}{of} videos done, {found.num_damaged} of them damaged")
        if found.videos_per_minute:
            left = "" if found.seconds_left is None else f", {timedelta(seconds=round(found.seconds_left))} left"
            say(f"{found.videos_per_minute:.1f} videos a minute of late{left}")
        for run in found.runs:
            say(f"a run that is {run.state}, heard of {run.seconds_ago:.0f} s ago")
        for problem in found.problems:
            complain(problem)
        if found.num_failed > len(found.problems):
            complain(f"and {found.num_failed - len(found.problems)} more")
        for sentence in found.broken:
            complain(sentence)
        if found.num_broken > len(found.broken):
            complain(f"and {found.num_broken - len(found.broken)} more such files")
    if found.num_failed or found.num_broken:
        raise typer.Exit(1)
