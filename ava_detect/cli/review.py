"""``ava-detect review``: parse, serve until Ctrl-C, print."""

from __future__ import annotations

import csv
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ava_detect.cli import options
from ava_detect.cli.console import complain, say
from ava_detect.cli.progress import progress_bar
from ava_detect.errors import ConfigError, counted

if TYPE_CHECKING:
    from ava_detect.results.saved import ReadOptions


def review(
    results: options.Results,
    out: Annotated[
        Path | None, options.out_option("DIR", "Folder for the corrections; a review that began there goes on.")
    ] = None,
    order: Annotated[
        str,
        typer.Option(
            **options.choice("time", "useful"),
            help="What to look at first: in order of time, or what teaches a network most.",
            rich_help_panel=options.COMMON,
        ),
    ] = "time",
    budget: Annotated[
        int | None,
        typer.Option(
            parser=options.number(1, 10**9, whole=True),
            metavar="N",
            help="Review so many keyframes, the first of the order; default: all.",
            rich_help_panel=options.COMMON,
        ),
    ] = None,
    videos: options.Videos = None,
    label_map: options.LabelMap = None,
    min_score: Annotated[
        float | None,
        typer.Option(
            parser=options.SCORE,
            metavar="SCORE",
            help="Actions that score as much are ticked at the beginning; default: 0.5.",
            rich_help_panel=options.SCORES,
        ),
    ] = None,
    start_seconds: options.ResultsStart = None,
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="Address to listen on; 0.0.0.0 lets others who have the token review over the network.",
            rich_help_panel=options.MANY,
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(
            parser=options.number(0, 65535, whole=True),
            metavar="N",
            help="Port to listen on; 0: any that is free.",
            rich_help_panel=options.MANY,
        ),
    ] = 8571,
    prepare: Annotated[
        bool,
        typer.Option(
            "--prepare",
            help="Only write what the browser will load (some videos are re-encoded), and end.",
            rich_help_panel=options.FILES,
        ),
    ] = False,
    only_list: Annotated[
        bool,
        typer.Option(
            "--list",
            help="Only print the keyframes to review, as csv of video and seconds, without those accepted in --out.",
            rich_help_panel=options.FILES,
        ),
    ] = False,
    quiet: options.Quiet = False,
) -> None:
    """Correct results in the browser: boxes, tracks, actions."""
    from ava_detect.results.saved import ReadOptions

    reading = ReadOptions(videos, label_map, start_seconds)
    if only_list:
        _print_list(results, reading, order, budget, out)
        return
    if out is None:
        raise ConfigError("`out` is missing; give the folder for the corrections, or `only_list` to see what to review")
    from ava_detect.review.serve import LOOPBACK, ReviewOptions, review_server

    settings = ReviewOptions(reading, min_score, order, budget, host, 0 if prepare else port)
    with ExitStack() as stack:
        with progress_bar(show=not quiet) as on_progress:
            server = stack.enter_context(review_server(results, out, settings, on_progress=on_progress))
        for notice in server.notices:
            complain(notice)
        if not quiet:
            say("{:,} of {} accepted.".format(*_counts(server.progress())))
        if prepare:
            return
        if host not in (LOOPBACK, "localhost", "::1"):
            complain("the address works for everyone in the network who has it, and what is sent is not encrypted")
        say(f"Open in a browser: {server.address}")
        if not quiet:
            say("Every change is saved at once. Ctrl-C ends the review.")
        sys.stdout.flush()  # also where a program reads it
        server.run()
    if not quiet:
        say("{:,} of {} accepted. Corrections: {}".format(*_counts(server.progress()), out))


def _print_list(results: Path, reading: ReadOptions, order: str, budget: int | None, corrections: Path | None) -> None:
    from ava_detect.results.corrections.order import keyframes_to_review

    rows = csv.writer(sys.stdout, lineterminator="\n")
    for video_id, seconds in keyframes_to_review(results, reading, budget, order, corrections=corrections):
        rows.writerow([video_id, f"{seconds:.6f}".rstrip("0").rstrip(".")])


def _counts(progress: tuple[int, int]) -> tuple[int, str]:
    return progress[0], counted(progress[1], "keyframe")
