"""``ava-detect visualize``: parse, call one function, print. ``cli.py`` mounts it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ava_detect.cli_text import complain, err, say

if TYPE_CHECKING:
    from ava_detect.visualize import VisualizeProgress, VisualizeSummary


def visualize(
    results: Annotated[Path, typer.Argument(help="The --out folder of `annotate`, or one file of results.")],
    out: Annotated[Path, typer.Option(help="Folder for the page.")],
    ground_truth: Annotated[
        Path | None, typer.Option(metavar="CSV", help="What is true (an AVA csv): errors are then marked.")
    ] = None,
    videos: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the videos are, if not where they were annotated.")
    ] = None,
    label_map: Annotated[
        Path | None,
        typer.Option(metavar="PBTXT", help="Names of the actions; default: those in the results, or AVA's."),
    ] = None,
    min_score: Annotated[float, typer.Option(metavar="F", help="Actions below it are left off the page.")] = 0.1,
    start_seconds: Annotated[
        float | None,
        typer.Option(metavar="S", help="Where in its movie each file starts, for csv files; default: the run's own."),
    ] = None,
    videos_by: Annotated[
        str, typer.Option(metavar="link|copy|refer", help="Put the videos beside the page, or leave them in place.")
    ] = "link",
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print problems only.")] = False,
) -> None:
    """Write a page to look at results: the videos with boxes, a timeline, a search. It opens from disk."""
    from ava_detect.visualize import visualize as write_page

    with _progress(show=not quiet) as on_progress:
        summary = write_page(
            results,
            out,
            ground_truth=ground_truth,
            videos=videos,
            label_map=label_map,
            min_score=min_score,
            start_seconds=start_seconds,
            placing=videos_by,
            on_progress=on_progress,
        )
    if as_json:
        content = {"index": str(summary.index), "videos": [asdict(video) for video in summary.videos]}
        print(json.dumps(content, indent=2, ensure_ascii=False))
    elif not quiet:
        boxes = sum(video.num_boxes for video in summary.videos)
        plural = "s" if len(summary.videos) > 1 else ""
        text = f"{len(summary.videos)} video{plural}, {boxes:,} boxes. Open in a browser: {summary.index.resolve()}"
        say(text)
    for line in _complaints(summary):
        complain(line)
    if not summary.all_well:
        raise typer.Exit(1)


def _complaints(summary: VisualizeSummary) -> Iterator[str]:
    """Every notice, with the video; one that many videos share is said once."""
    shared = Counter(notice for video in summary.videos for notice in video.notices)
    said = set()
    for video in summary.videos:
        for notice in video.notices:
            others = shared[notice] - 1
            if notice not in said:
                also = f" and {others} other{'s' * (others > 1)}" if others else ""
                yield f"{video.video_id}{also}: {notice}"
            said.add(notice)


@contextmanager
def _progress(*, show: bool) -> Iterator[Callable[[VisualizeProgress], None] | None]:
    """A progress bar on stderr where that is a terminal; None elsewhere."""
    if not (show and err.is_terminal):
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.fields[now]}", markup=False), console=err, transient=True) as bar:
        task = bar.add_task("videos", total=None, now="")

        def update(progress: VisualizeProgress) -> None:
            now = f"{progress.video_id}: copying second {progress.second:.0f}" if progress.second else progress.video_id
            bar.update(task, total=progress.num_videos, completed=progress.num_finished, now=now)

        yield update
