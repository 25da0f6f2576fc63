"""The commands ``ava-detect hand-over``, ``tubes``, ``pictures`` and ``explain``.

Each parses its options, calls one function of the library, and prints what that returns. All but ``explain`` read saved
results, without running the network.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ava_detect.cli import completion, options
from ava_detect.cli.console import complain, results_beside, say
from ava_detect.cli.progress import progress_bar, show_stage
from ava_detect.errors import counted


def hand_over(
    results: options.Results,
    to: Annotated[
        str,
        typer.Option(
            metavar="TOOL",
            help="coco, cvat, label-studio, fiftyone, via, elan, boris, intervals or srt.",
            autocompletion=completion.tools,
            rich_help_panel=options.COMMON,
        ),
    ],
    out: Annotated[Path, options.out_option("DIR", "Output folder.")],
    videos: options.Videos = None,
    label_map: options.LabelMap = None,
    min_score: Annotated[float, options.min_score_option("Leave out actions that score less.")] = 0.5,
    start_seconds: options.ResultsStart = None,
    images: Annotated[
        bool,
        typer.Option(
            "--images",
            help="With coco: also write the frames of the keyframes as JPEG, in OUT/images.",
            rich_help_panel=options.COMMON,
        ),
    ] = False,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
) -> None:
    """Export results to CVAT, Label Studio, FiftyOne, VIA, COCO json, ELAN, BORIS or subtitles."""
    with progress_bar(show=not quiet) as on_progress:
        from ava_detect.results.export.hand_over import hand_over
        from ava_detect.results.saved import ReadOptions

        exported = hand_over(
            results,
            to,
            out,
            ReadOptions(videos, label_map, start_seconds),
            min_score=min_score,
            images=images,
            overwrite=overwrite,
            on_progress=on_progress,
        )
    if not quiet:
        say(
            f"{counted(exported.num_boxes, 'box', 'boxes')} of {counted(exported.num_tracks, 'person', 'people')} in "
            f"{counted(exported.num_videos, 'video')}, {counted(exported.num_tubes, 'action tube')}."
        )
        for path in exported.files:
            say(str(path))
        if exported.note:
            say(f"Next: {exported.note}.")


def tubes(
    results: options.Results,
    out: Annotated[
        Path, options.out_option("FILE", "A .parquet, .csv or .jsonl file; - for csv on the standard output.")
    ],
    min_peak: Annotated[
        float,
        typer.Option(
            parser=options.SCORE, metavar="SCORE", help="Least peak score of a tube.", rich_help_panel=options.SCORES
        ),
    ] = 0.5,
    min_score: Annotated[float, options.min_score_option("Least score at every keyframe of a tube.")] = 0.3,
    smoothing_seconds: Annotated[
        float,
        typer.Option(
            "--smoothing",
            parser=options.number(0, 3600),
            metavar="SECONDS",
            help="Sigma of the Gaussian that smooths scores over time; 0: none.",
            rich_help_panel=options.SCORES,
        ),
    ] = 0.6,
    label_map: options.LabelMap = None,
    start_seconds: options.ResultsStart = None,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
) -> None:
    """Write a table of action tubes: person, action, start and end."""
    results_beside(out)
    with progress_bar(show=not quiet) as on_progress:
        from ava_detect.results.export.hand_over import find_tubes
        from ava_detect.results.saved import ReadOptions

        count = find_tubes(
            results,
            out,
            ReadOptions(label_map=label_map, start_seconds=start_seconds),
            min_peak=min_peak,
            min_score=min_score,
            smoothing_seconds=smoothing_seconds,
            overwrite=overwrite,
            on_progress=on_progress,
        )
    if not quiet:
        say(f"{counted(count, 'action tube')}: {out}")


def pictures(
    results: options.Results,
    out: Annotated[Path, options.out_option("DIR", "Folder for the pictures.")],
    video: Annotated[
        bool,
        typer.Option("--video", help="An mp4 of each video with boxes and labels.", rich_help_panel=options.COMMON),
    ] = False,
    gif: Annotated[
        bool,
        typer.Option("--gif", help="A GIF of each video with boxes and labels.", rich_help_panel=options.COMMON),
    ] = False,
    contact_sheet: Annotated[
        bool,
        typer.Option(
            "--contact-sheet", help="Selected keyframes of a video in one image.", rich_help_panel=options.COMMON
        ),
    ] = False,
    plots: Annotated[
        bool,
        typer.Option("--plots", help="An HTML page of plots over all videos.", rich_help_panel=options.COMMON),
    ] = False,
    ground_truth: options.GroundTruth = None,
    videos: options.Videos = None,
    label_map: options.LabelMap = None,
    min_score: Annotated[float, options.min_score_option("Leave out actions that score less.")] = 0.3,
    start_seconds: options.ResultsStart = None,
    quiet: options.Quiet = False,
) -> None:
    """Draw results as videos, GIFs, contact sheets or plots."""
    flags = {"video": video, "gif": gif, "contact-sheet": contact_sheet, "plots": plots}
    kinds = [kind for kind, wanted in flags.items() if wanted] or ["contact-sheet", "plots"]

    with progress_bar(show=not quiet) as on_progress:
        from ava_detect.results.saved import ReadOptions
        from ava_detect.visualization.pictures import make_pictures

        written = make_pictures(
            results,
            out,
            kinds,
            ReadOptions(videos, label_map, start_seconds),
            ground_truth=ground_truth,
            min_score=min_score,
            on_progress=on_progress,
        )
    if not quiet:
        for path in written.files:
            say(str(path))
    for problem in written.problems:
        complain(problem)
    if written.problems:
        raise typer.Exit(1)


def explain(
    video: Annotated[Path, typer.Argument(metavar="VIDEO", help="A video file.")],
    timestamp_seconds: Annotated[
        float,
        typer.Option(
            "--at",
            parser=options.SECONDS,
            metavar="SECONDS",
            help="Keyframe, in seconds from the start of the file.",
            rich_help_panel=options.COMMON,
        ),
    ],
    out: Annotated[Path, options.out_option("PNG", "The image file to write.")],
    weights: Annotated[str | None, options.weights_option(random=False, default=True)] = None,
    person: Annotated[
        int | None,
        typer.Option(
            parser=options.number(1, 100_000, whole=True),
            metavar="N",
            help="Number of the person, from 1, left to right; default: the one with the highest score.",
            rich_help_panel=options.PEOPLE,
        ),
    ] = None,
    action: Annotated[
        str | None,
        typer.Option(
            metavar="ID|NAME",
            help="Action to explain; default: the person's highest-scoring one.",
            rich_help_panel=options.PEOPLE,
        ),
    ] = None,
    config: options.Config = None,
    overrides: options.Overrides = None,
    detector: options.Detector = None,
    device: options.Device = "auto",
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
) -> None:
    """Draw where the network looked for an action (Grad-CAM)."""
    from ava_detect.annotation.settings import AnnotateSettings
    from ava_detect.config.choice import choose_network

    results_beside(out)
    choice = choose_network(weights, config, overrides=overrides or (), device=device)
    settings = AnnotateSettings(choice.config, choice.weights, detector, device=device, overrides=choice.overrides)
    choice.announce()
    with progress_bar(show=not quiet) as on_progress:
        settings = settings.with_weights_file(on_progress)
        show_stage(on_progress, "loading PyTorch")  # which wrong settings need not wait for
        from ava_detect.annotation.explain import explain

        explanation = explain(
            video,
            timestamp_seconds,
            out,
            settings,
            person=person,
            action=action,
            overwrite=overwrite,
            on_progress=on_progress,
        )
    if not quiet:
        attention = explanation.attention
        # The logit is the sum of the pathways' contributions and the bias.
        contributions = ", ".join(f"{p.pathway} {p.contribution:+.2f}" for p in attention.pathways)
        say(
            f"{explanation.action.name}, person {explanation.person} of {explanation.num_people}: "
            f"score {explanation.score:.3f} "
            f"(logit {attention.logit:.2f} = {contributions}, bias {attention.bias:+.2f})"
        )
        say(str(out))
