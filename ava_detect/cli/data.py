"""``ava-detect data ...``: parse, call one function, print."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ava_detect.cli import completion, options
from ava_detect.cli.commands import Command, Group
from ava_detect.cli.console import complain, in_flags, results_beside, say
from ava_detect.cli.data_convert import convert
from ava_detect.cli.next_step import file_word, say_next
from ava_detect.cli.progress import progress_bar, show_stage
from ava_detect.errors import ConfigError, counted, shown

if TYPE_CHECKING:
    from ava_detect.datasets.checks.report import DataReport

app = typer.Typer(
    name="data",
    help="Check data sets, find their people, convert them, render synthetic ones.",
    no_args_is_help=True,
    cls=Group,
)
app.command(cls=Command)(convert)


@app.command(cls=Command)
def check(
    config: Annotated[
        str | None,
        typer.Option(
            "--config",
            "-c",
            metavar="FILE|NAME",
            help="Check the splits of this config; or give --videos and --ground-truth.",
            autocompletion=completion.config_names,
            rich_help_panel=options.COMMON,
        ),
    ] = None,
    overrides: options.Overrides = None,
    videos: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the videos.", rich_help_panel=options.COMMON)
    ] = None,
    ground_truth: Annotated[
        Path | None,
        typer.Option(
            "--ground-truth",
            "-g",
            metavar="CSV|PKL",
            help="An AVA csv, or a pickle of tubes.",
            rich_help_panel=options.COMMON,
        ),
    ] = None,
    proposals: Annotated[
        Path | None,
        typer.Option(metavar="CSV", help="A detector's boxes: csv or COCO json.", rich_help_panel=options.PEOPLE),
    ] = None,
    exclude: options.Exclude = None,
    label_map: Annotated[
        Path | None,
        typer.Option(
            metavar="PBTXT", help="The actions; default: AVA's 80, or the pickle's.", rich_help_panel=options.TRUTH
        ),
    ] = None,
    start_seconds: options.StartSeconds = 0.0,
    fast: Annotated[
        bool,
        typer.Option("--fast", help="Trust the videos' headers; decode nothing.", rich_help_panel=options.SPEED),
    ] = False,
    threads: Annotated[
        int,
        typer.Option(
            "--threads",
            "-j",
            parser=options.number(1, 256, whole=True),
            metavar="N",
            help="Videos decoded in parallel.",
            rich_help_panel=options.SPEED,
        ),
    ] = 2,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Look for what would stop or spoil a training: files, videos, boxes, names, seconds, labels.

    Exit code 0: no problem. 1: problems, each named with its places and what to do.
    """
    from ava_detect.config import SplitConfig, load_config

    files = {
        "--videos": videos, "--ground-truth": ground_truth, "--proposals": proposals, "--exclude": exclude,
        "--label-map": label_map,
    }  # fmt: skip
    given = [option for option, value in files.items() if value is not None]
    if config is not None and given:
        raise typer.BadParameter(f"give --config or {given[0]}, not both")
    if config is None and (videos is None or ground_truth is None or overrides):
        raise typer.BadParameter("give --config FILE [--set ...], or --videos DIR and --ground-truth CSV")
    loaded = None if config is None else load_config(config, overrides or ())
    with progress_bar(show=not quiet) as on_progress:
        show_stage(on_progress, "loading PyTorch")  # which a wrong config need not wait for
        from ava_detect.datasets.checks.check_data import CheckSettings, actions_of_files, check_data, check_splits

        show_stage(on_progress, "reading the annotations")
        if loaded is not None:
            try:
                report = check_data(loaded, decode=not fast, num_threads=threads, on_progress=on_progress)
            except ConfigError as error:
                raise ConfigError(f"{shown(config)}: {error}") from error
        else:
            split = SplitConfig(
                annotations=str(ground_truth),
                videos=str(videos),
                proposals=None if proposals is None else str(proposals),
                exclude=None if exclude is None else str(exclude),
            )
            kind, actions = actions_of_files(split, label_map)
            report = check_splits(
                {"data": split},
                actions,
                CheckSettings(kind, start_seconds=start_seconds),
                decode=not fast,
                num_threads=threads,
                on_progress=on_progress,
            )
    _print_report(report, as_json=as_json, quiet=quiet)
    if report.problems:
        raise typer.Exit(1)


@app.command(cls=Command)
def synthesize(
    out: Annotated[Path, options.out_option("DIR", "Folder for the videos and their annotations.")],
    videos: Annotated[
        int,
        typer.Option(parser=options.COUNT, metavar="N", help="How many videos.", rich_help_panel=options.COMMON),
    ],
    seconds: Annotated[
        float,
        typer.Option(
            parser=options.DURATION, metavar="SECONDS", help="Length of each video.", rich_help_panel=options.COMMON
        ),
    ] = 8.0,
    repertoire: Annotated[
        str,
        typer.Option(
            **options.choice("everyday", "motion_pairs"),
            help="Which actions are played: docs/synthetic.md.",
            rich_help_panel=options.COMMON,
        ),
    ] = "everyday",
    seed: Annotated[
        int,
        typer.Option(
            parser=options.COUNT,
            metavar="N",
            help="The same seed gives the same videos, another one others.",
            rich_help_panel=options.COMMON,
        ),
    ] = 0,
    width: Annotated[
        int,
        typer.Option(
            parser=options.COUNT, metavar="PIXELS", help="Width of the frames.", rich_help_panel=options.COMMON
        ),
    ] = 640,
    height: Annotated[
        int,
        typer.Option(
            parser=options.COUNT, metavar="PIXELS", help="Height of the frames.", rich_help_panel=options.COMMON
        ),
    ] = 360,
    fps: Annotated[
        int,
        typer.Option(parser=options.COUNT, metavar="N", help="Frames a second.", rich_help_panel=options.COMMON),
    ] = 30,
    processes: Annotated[
        int,
        typer.Option(
            "--processes",
            "-j",
            parser=options.COUNT,
            metavar="N",
            help="Videos rendered in parallel.",
            rich_help_panel=options.SPEED,
        ),
    ] = 1,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Render videos of puppet people with exact boxes and actions, annotated as AVA is."""
    with progress_bar(show=not quiet) as on_progress:
        import numpy as np

        from ava_detect.datasets.synthetic.world import WorldSettings, write_world

        settings = WorldSettings(
            seed, num_movies=videos, seconds=seconds, fps=fps, width=width, height=height, repertoire=repertoire
        )
        table = write_world(out, settings, num_processes=processes, overwrite=overwrite, on_progress=on_progress)
    keyframe_people = np.stack([table.video_index, table.timestamps_seconds, table.person_ids])
    people, actions = np.unique(keyframe_people, axis=1).shape[1], len(np.unique(table.action_ids))
    if as_json:
        counts = {"videos": videos, "people_on_keyframes": people, "rows": len(table), "actions": actions}
        print(json.dumps({"out": str(out), **counts}, indent=2, ensure_ascii=False))
    elif not quiet:
        say(
            f"{counted(videos, 'video')}, {counted(people, 'person', 'people')} on keyframes, "
            f"{counted(len(table), 'row')} of {counted(actions, 'action')}"
        )
        for name in ("videos", "ground_truth.csv", "label_map.pbtxt", "excluded.csv", "tubes.pkl"):
            say(f"  {out / name}")
        files = {"--videos": "videos", "--ground-truth": "ground_truth.csv", "--label-map": "label_map.pbtxt"}
        words = [word for option, name in files.items() for word in (option, file_word(out / name))]
        say_next("Check it", "data", "check", *words)


@app.command(cls=Command)
def propose(
    videos: Annotated[
        Path, typer.Option(metavar="DIR", help="Videos, named by their ids.", rich_help_panel=options.COMMON)
    ],
    ground_truth: Annotated[
        Path,
        typer.Option(
            "--ground-truth",
            "-g",
            metavar="CSV|PKL",
            help="An AVA csv or a pickle of tubes: people are found on its keyframes.",
            rich_help_panel=options.COMMON,
        ),
    ],
    out: Annotated[Path, options.out_option("CSV", "The file to write the boxes to.")],
    detector: Annotated[str, options.detector_option("builtin")] = "builtin",
    min_person_score: options.MinPersonScore = None,
    exclude: options.Exclude = None,
    start_seconds: options.StartSeconds = 0.0,
    device: Annotated[
        str,
        typer.Option(
            **options.choice("auto", "cpu", "cuda"), help="Where the detector runs.", rich_help_panel=options.SPEED
        ),
    ] = "auto",
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Find the people on annotated keyframes: `proposals` for a training or a benchmark.

    Exit code 0: every keyframe was looked at. 1: a video or a part of one is missing, and is named.
    """
    results_beside(out)
    with progress_bar(show=not quiet) as on_progress:
        from ava_detect.inference.proposals import DetectorOptions, propose_people

        found = propose_people(
            videos,
            ground_truth,
            out,
            DetectorOptions(detector, min_person_score, device),
            exclude=exclude,
            start_seconds=start_seconds,
            overwrite=overwrite,
            on_progress=on_progress,
        )
    if as_json:
        print(json.dumps(found.to_json(), indent=2, ensure_ascii=False))
    elif not quiet:
        counts = (counted(found.videos, "video"), counted(found.keyframes, "keyframe"))
        say(f"{', '.join(counts)}, {counted(found.people, 'person', 'people')}: {found.out}")
    for sentence in (*found.notes, *found.problems):
        complain(sentence)
    if found.problems:
        raise typer.Exit(1)


def _print_report(report: DataReport, *, as_json: bool, quiet: bool) -> None:
    if as_json:
        print(json.dumps(report.to_json(), indent=2, ensure_ascii=False))
    elif quiet:
        for finding in report.problems:
            say(in_flags(str(finding)))
    else:
        say(in_flags(str(report)))
