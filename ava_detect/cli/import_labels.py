"""The command ``ava-detect import``: labels of annotation tools as ground truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ava_detect.cli import completion, options
from ava_detect.cli.console import complain, say
from ava_detect.cli.progress import progress_bar
from ava_detect.errors import counted, shown

_MAX_NAMES = 5


def import_labels(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="Files of labels, as the tools export them."),
    ],
    out: Annotated[Path, options.out_option("CSV", "The AVA csv to write; the label map goes beside it.")],
    source: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="TOOL",
            help="The tool that the files are from; auto: recognised by their content.",
            autocompletion=completion.label_sources,
            rich_help_panel=options.COMMON,
        ),
    ] = "auto",
    videos: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where the videos are; default: as the results or the files say.",
            rich_help_panel=options.COMMON,
        ),
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(
            metavar="RESULTS",
            help="Results of `annotate` that the labels are of: ids, videos, start, and boxes for ELAN and BORIS.",
            rich_help_panel=options.COMMON,
        ),
    ] = None,
    label_map: Annotated[
        Path | None,
        typer.Option(
            metavar="PBTXT",
            help="Ids of the actions by their names; default: AVA's. Other names get new ids.",
            rich_help_panel=options.SCORES,
        ),
    ] = None,
    every_seconds: Annotated[
        float | None,
        typer.Option(
            "--every",
            parser=options.DURATION,
            metavar="SECONDS",
            help="Time from keyframe to keyframe: tracks are interpolated there; default: labelled frames only.",
            rich_help_panel=options.SCORES,
        ),
    ] = None,
    start_seconds: Annotated[
        float | None,
        typer.Option(
            parser=options.SECONDS,
            metavar="SECONDS",
            help=f"{options.START_HELP}; default: as the results say.",
            rich_help_panel=options.SCORES,
        ),
    ] = None,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
) -> None:
    """Import labels of annotation tools as ground truth."""
    with progress_bar(show=not quiet) as on_progress:
        from ava_detect.results.importing.import_labels import import_labels

        imported = import_labels(
            files,
            out,
            source=source,
            videos=videos,
            results=results,
            label_map=label_map,
            every_seconds=every_seconds,
            start_seconds=start_seconds,
            overwrite=overwrite,
            on_progress=on_progress,
        )
    if imported.note:
        complain(imported.note)
    for what, count in imported.dropped.items():
        complain(f"left out: {count:,} {what}")
    if quiet:
        return
    say(
        f"{', '.join(dict.fromkeys(imported.sources))}: {counted(imported.num_rows, 'row')} of "
        f"{counted(imported.num_boxes, 'box', 'boxes')} on {counted(imported.num_keyframes, 'keyframe')} of "
        f"{counted(imported.num_videos, 'video')}."
    )
    if imported.new_actions:
        names = ", ".join(shown(name) for name in imported.new_actions[:_MAX_NAMES])
        more = ", ..." if len(imported.new_actions) > _MAX_NAMES else ""
        say(f"{counted(len(imported.new_actions), 'action')} with new ids: {names}{more}.")
    for path in imported.files:
        say(str(path))
