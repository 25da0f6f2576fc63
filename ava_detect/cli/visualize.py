"""``ava-detect visualize``: parse, call one function, print."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ava_detect.cli import options
from ava_detect.cli.console import complain, say
from ava_detect.cli.progress import progress_bar
from ava_detect.errors import counted

PAGE_FOLDER = "page"


def visualize(
    results: options.Results,
    out: Annotated[
        Path | None, options.out_option("DIR", "Folder for the page; default: the folder page in RESULTS.")
    ] = None,
    ground_truth: options.GroundTruth = None,
    videos: options.Videos = None,
    label_map: options.LabelMap = None,
    min_score: Annotated[float, options.min_score_option("Leave actions that score less off the page.")] = 0.1,
    start_seconds: options.ResultsStart = None,
    placing: Annotated[
        str,
        typer.Option(
            "--videos-by",
            **options.choice("link", "symlink", "copy", "refer"),
            help="Put the videos beside the page, by link or copy, or refer to where they are.",
            rich_help_panel=options.FILES,
        ),
    ] = "link",
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Look at results in a browser: boxes, timeline, search."""
    with progress_bar(show=not quiet) as on_progress:
        from ava_detect.results.saved import ReadOptions
        from ava_detect.visualization.page.write_page import visualize as write_page

        summary = write_page(
            results,
            _page_folder(results) if out is None else out,
            ReadOptions(videos, label_map, start_seconds),
            ground_truth=ground_truth,
            min_score=min_score,
            placing=placing,
            on_progress=on_progress,
        )
    if as_json:
        content = {"index": str(summary.index), "videos": [asdict(video) for video in summary.videos]}
        print(json.dumps(content, indent=2, ensure_ascii=False))
    elif not quiet:
        boxes = sum(video.num_boxes for video in summary.videos)
        say(f"{counted(len(summary.videos), 'video')}, {counted(boxes, 'box', 'boxes')}.")
    for sentence in summary.sentences():
        complain(sentence)
    if not (as_json or quiet):
        say(f"Open in a browser: {summary.index.resolve()}")
    if not summary.all_well:
        raise typer.Exit(1)


def _page_folder(results: Path) -> Path:
    """Where the page goes if the call names no place: into the folder of results, or beside the file."""
    return results / PAGE_FOLDER if results.is_dir() else results.with_name(f"{results.name}.{PAGE_FOLDER}")
