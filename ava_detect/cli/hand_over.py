"""``ava-detect hand-over``, ``tubes``, ``pictures`` and ``explain``: parse, call one function, print.

All but ``explain`` work on saved results, so that nothing of the network need run again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ava_detect.cli import options
from ava_detect.cli.console import complain, say
from ava_detect.cli.progress import progress_bar


def hand_over(
    results: options.Results,
    to: Annotated[str, typer.Option(metavar="TOOL", help="coco, cvat, label-studio, fiftyone or via.")],
    out: Annotated[Path, typer.Option(help="Folder for the files.")],
    videos: options.Videos = None,
    label_map: options.LabelMap = None,
    min_score: Annotated[float, typer.Option(metavar="F", help="Least score of an action that counts as done.")] = 0.5,
    start_seconds: options.ResultsStart = None,
    quiet: options.Quiet = False,
) -> None:
    """Write results as another tool imports them: boxes, tracks and actions."""
    from ava_detect.results.export.hand_over import hand_over
    from ava_detect.results.saved import ReadOptions

    done = hand_over(results, to, out, ReadOptions(videos, label_map, start_seconds), min_score=min_score)
    if not quiet:
        say(
            f"{done.num_boxes:,} boxes of {done.num_tracks:,} people in {done.num_videos:,} videos, "
            f"{done.num_tubes:,} action tubes."
        )
        for path in done.files:
            say(str(path))


def tubes(
    results: options.Results,
    out: Annotated[Path, typer.Option(metavar="FILE", help="A .parquet, .csv or .jsonl file.")],
    min_peak: Annotated[float, typer.Option(metavar="F", help="A tube reaches this score once.")] = 0.5,
    min_score: Annotated[float, typer.Option(metavar="F", help="A tube goes on down to this score.")] = 0.3,
    smoothing_seconds: Annotated[
        float, typer.Option("--smoothing", metavar="SECONDS", help="Width of the Gaussian; 0: none.")
    ] = 0.6,
    label_map: options.LabelMap = None,
    start_seconds: options.ResultsStart = None,
    quiet: options.Quiet = False,
) -> None:
    """Find who does what from when to when: a row per person, action and stretch of time."""
    from ava_detect.results.export.hand_over import find_tubes
    from ava_detect.results.saved import ReadOptions

    count = find_tubes(
        results,
        out,
        ReadOptions(label_map=label_map, start_seconds=start_seconds),
        min_peak=min_peak,
        min_score=min_score,
        smoothing_seconds=smoothing_seconds,
    )
    if not quiet:
        say(f"{count:,} action tubes: {out}")


def pictures(
    results: options.Results,
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")],
    video: Annotated[bool, typer.Option("--video", help="A drawn mp4 of each video.")] = False,
    gif: Annotated[bool, typer.Option("--gif", help="A drawn GIF of each video.")] = False,
    contact_sheet: Annotated[bool, typer.Option("--contact-sheet", help="Telling moments on one sheet.")] = False,
    plots: Annotated[bool, typer.Option("--plots", help="A page of plots of all videos.")] = False,
    ground_truth: options.GroundTruth = None,
    videos: options.Videos = None,
    label_map: options.LabelMap = None,
    min_score: Annotated[float, typer.Option(metavar="F", help="Least score that is drawn.")] = 0.3,
    start_seconds: options.ResultsStart = None,
    quiet: options.Quiet = False,
) -> None:
    """Make pictures of results: drawn videos, GIFs, contact sheets, plots. Without a choice: sheets and plots."""
    from ava_detect.results.saved import ReadOptions
    from ava_detect.visualization.pictures import make_pictures

    flags = {"video": video, "gif": gif, "contact-sheet": contact_sheet, "plots": plots}
    kinds = [kind for kind, wanted in flags.items() if wanted] or ["contact-sheet", "plots"]

    with progress_bar(show=not quiet) as on_progress:
        made = make_pictures(
            results,
            out,
            kinds,
            ReadOptions(videos, label_map, start_seconds),
            ground_truth=ground_truth,
            min_score=min_score,
            on_progress=on_progress,
        )
    if not quiet:
        for path in made.files:
            say(str(path))
    for problem in made.problems:
        complain(problem)
    if made.problems:
        raise typer.Exit(1)


def explain(
    video: Annotated[Path, typer.Argument(metavar="VIDEO", help="A video file.")],
    timestamp_seconds: Annotated[float, typer.Option("--at", metavar="SECONDS", help="When.")],
    weights: Annotated[str, typer.Option(metavar="FILE|NAME", help="Trained weights (`weights list`).")],
    out: Annotated[Path, typer.Option(metavar="PNG", help="The picture.")],
    person: Annotated[int | None, typer.Option(metavar="N", help="From 1, left to right; default: the surest.")] = None,
    action: Annotated[
        str | None, typer.Option(metavar="ID|NAME", help="Which action; default: the person's likeliest.")
    ] = None,
    config: Annotated[str | None, typer.Option(help="A config file or a shipped one's name.")] = None,
    detector: Annotated[str | None, typer.Option(metavar="SPEC", help="As for `annotate`.")] = None,
    device: options.Device = "auto",
    quiet: options.Quiet = False,
) -> None:
    """Show where the network looked for one action of one person, in every pathway (Grad-CAM)."""
    from ava_detect.annotation.explain import explain
    from ava_detect.annotation.settings import AnnotateSettings
    from ava_detect.config.choice import config_of

    found = explain(
        video,
        timestamp_seconds,
        out,
        AnnotateSettings(config_of(config, weights), weights, detector, device=device),
        person=person,
        action=action,
    )
    if not quiet:
        shares = ", ".join(f"{p.pathway} {p.contribution:+.2f}" for p in found.attention.pathways)
        say(
            f"{found.action.name}, person {found.person} of {found.num_people}: score {found.attention.score:.3f} "
            f"(logit {found.attention.logit:.2f} = {shares}, bias {found.attention.bias:+.2f})"
        )
        say(str(out))
