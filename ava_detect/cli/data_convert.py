"""``ava-detect data convert``: parse, call one function, print."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ava_detect.cli import options
from ava_detect.cli.console import complain, results_beside, say
from ava_detect.cli.progress import progress_bar
from ava_detect.errors import ConfigError, counted


def convert(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="Ground truth: a pickle, an AVA csv with person ids, a folder of this command. Or detections.",
        ),
    ],
    out: Annotated[
        Path,
        options.out_option("FILE|DIR", "A .pkl; for ground truth of a pickle a folder; for detections .pkl, .csv."),
    ],
    ground_truth: Annotated[
        Path | None,
        typer.Option(
            "--ground-truth",
            "-g",
            metavar="PKL",
            help="SOURCE are detections of this data set: a pickle, an AVA csv, or results of annotate.",
            rich_help_panel=options.COMMON,
        ),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(
            **options.choice("boxes", "tubes"),
            help="For detections in a pickle: boxes of frames (default), or tubes.",
            rich_help_panel=options.COMMON,
        ),
    ] = None,
    linking: Annotated[
        str | None,
        typer.Option(
            **options.choice("moc", "mmaction2", "tracks"),
            help="With --to tubes: how boxes are linked; default: moc.",
            rich_help_panel=options.COMMON,
        ),
    ] = None,
    split: Annotated[
        int | None,
        typer.Option(
            parser=options.number(1, 100, whole=True),
            metavar="N",
            help="For detections: number of the split; default: 1.",
            rich_help_panel=options.TRUTH,
        ),
    ] = None,
    fps: options.Fps = None,
    label_map: Annotated[
        Path | None,
        typer.Option(
            metavar="PBTXT",
            help="Ids and names of the csv's actions; default: label_map.pbtxt beside it, AVA's; label + 1.",
            rich_help_panel=options.TRUTH,
        ),
    ] = None,
    exclude: options.Exclude = None,
    train: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV",
            help="For an AVA csv: ground truth of the videos to train with.",
            rich_help_panel=options.TRUTH,
        ),
    ] = None,
    sizes: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV",
            help="For an AVA csv: rows of video_id,num_frames,width,height.",
            rich_help_panel=options.TRUTH,
        ),
    ] = None,
    videos: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="For an AVA csv: the videos, which are measured.", rich_help_panel=options.TRUTH
        ),
    ] = None,
    start_seconds: options.StartSeconds = 0.0,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Convert between the pickles of MultiSports, UCF101-24 and JHMDB and AVA's csv."""
    results_beside(out)
    with progress_bar(show=not quiet) as on_progress:
        from ava_detect.datasets.tube_conversion import (
            ConversionSettings,
            CsvTruth,
            convert_detections,
            convert_truth,
        )

        settings = ConversionSettings(fps, start_seconds, label_map, exclude, overwrite)
        if ground_truth is None:
            for name, value in {"to": to, "linking": linking, "split": split}.items():
                if value is not None:
                    raise ConfigError(f"`{name}` is for detections; give their `ground_truth`")
            done = convert_truth(source, out, settings, CsvTruth(train, sizes, videos), on_progress=on_progress)
        else:
            for name, given in {"train": train, "sizes": sizes, "videos": videos}.items():
                if given is not None:
                    raise ConfigError(f"`{name}` is for ground truth, and with `ground_truth` SOURCE are detections")
            if linking is not None and to != "tubes":
                raise ConfigError("`linking` is for `to=tubes`")
            done = convert_detections(
                source, out, ground_truth, settings, to=to or "boxes", linking=linking or "moc", split=split or 1
            )
    if as_json:
        content = {"files": list(map(str, done.files)), "videos": done.num_videos, "boxes": done.num_boxes}
        print(json.dumps({**content, "tubes": done.num_tubes}, indent=2, ensure_ascii=False))
    elif not quiet:
        tubes = f"{counted(done.num_tubes, 'tube')}, " if done.num_tubes else ""
        say(f"{counted(done.num_videos, 'video')}, {tubes}{counted(done.num_boxes, 'box', 'boxes')}")
        for file in done.files:
            say(f"  {file}")
    for note in done.notes:
        complain(note)
