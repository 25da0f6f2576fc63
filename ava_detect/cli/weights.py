"""``ava-detect weights ...``: parse, call one function, print."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ava_detect.cli import completion, options
from ava_detect.cli.commands import Command, Group
from ava_detect.cli.console import results_beside, say, say_table
from ava_detect.cli.progress import progress_bar, show_stage

app = typer.Typer(
    name="weights",
    help="List, download, inspect and convert trained weights.",
    no_args_is_help=True,
    cls=Group,
)


@app.command("list", cls=Command)
def list_weights(as_json: options.AsJson = False) -> None:
    """List the checkpoints known by name, and their published figures."""
    from ava_detect.models.zoo import SHIPPED, cached_path
    from ava_detect.models.zoo_table import DEVICES, ZOO, recommended_for

    if as_json:
        print(json.dumps([asdict(entry) for entry in ZOO.values()], indent=2))
        return
    rows = [(name, name, "the synthetic world", "", "with the package") for name in SHIPPED]
    for entry in ZOO.values():
        figure = "" if entry.published is None else f"{entry.published:g} {entry.metric}"
        rows.append((entry.name, entry.config, entry.data, figure, "yes" if cached_path(entry).is_file() else ""))
    say_table(("name", "config", "trained on", "published", "here"), rows, left=range(5))
    for device in ("cpu", "cuda"):
        say(f"Recommended for {DEVICES[device]}, the default there: {recommended_for(device).name}")
    say("Published figures are quoted from the authors' pages; none was measured here.")


@app.command(cls=Command)
def show(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="A name of `weights list`.", autocompletion=completion.listed_weights),
    ],
    as_json: options.AsJson = False,
) -> None:
    """Show the zoo's entry of one checkpoint."""
    from ava_detect.models.zoo import cached_path, find_entry
    from ava_detect.models.zoo_table import DEVICES

    entry = find_entry(name)
    path = cached_path(entry)
    if as_json:
        print(json.dumps({**asdict(entry), "cached": str(path) if path.is_file() else None}, indent=2))
        return
    figure = "none" if entry.published is None else f"{entry.published:g} {entry.metric} on {entry.data}"
    lines = {
        "name": entry.name,
        "config": entry.config,
        "layout": entry.layout,
        "trained on": entry.data + (f", after {entry.pretrained_on}" if entry.pretrained_on else ""),
        "published": f"{figure} (quoted: {entry.source})",
        "licence": entry.licence,
        "address": entry.address,
        "sha256": entry.sha256 or "unpublished; the first one seen is noted in the cache",
        "size": f"about {entry.about_megabytes} MB",
        "file": f"{path}{'' if path.is_file() else ' (not there yet)'}",
    }
    if entry.recommended_for:
        lines["recommended"] = f"for {DEVICES[entry.recommended_for]}: {entry.reason}"
    for key, value in lines.items():
        say(f"{key:<12}{value}")


@app.command(cls=Command)
def get(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="A name of `weights list`.", autocompletion=completion.listed_weights),
    ],
    quiet: options.Quiet = False,
) -> None:
    """Download a checkpoint into the cache, and print where it is."""
    from ava_detect.models.zoo import SHIPPED, find_entry, obtain

    if name in SHIPPED:
        print(SHIPPED[name])
        return
    entry = find_entry(name)
    with progress_bar(show=not quiet) as on_progress:
        path = obtain(entry, on_progress)
    print(path)


@app.command(cls=Command)
def inspect(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE|NAME", help="A weights file of any family.", autocompletion=completion.listed_weights
        ),
    ],
) -> None:
    """Show a file's family, tensors and settings."""
    with progress_bar(show=True) as on_progress:
        from ava_detect.models.weights import inspect_file
        from ava_detect.models.zoo import resolve

        found = inspect_file(resolve(file, on_progress))
    say(str(found))


@app.command(cls=Command)
def convert(
    source: Annotated[
        str,
        typer.Argument(
            metavar="IN",
            help="A weights file, or a name of `weights list`.",
            autocompletion=completion.listed_weights,
        ),
    ],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="The file to write.")],
    to: Annotated[
        str,
        typer.Option(
            metavar="FAMILY",
            help="The layout of OUT; ours is safetensors.",
            autocompletion=completion.weights_families,
            rich_help_panel=options.COMMON,
        ),
    ] = "ava_detect",
    half: Annotated[
        bool,
        typer.Option("--half", help="Round to float16: half the space.", rich_help_panel=options.COMMON),
    ] = False,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
) -> None:
    """Write weights in another family's layout."""
    results_beside(target)
    with progress_bar(show=not quiet) as on_progress:
        from ava_detect.models.weights import convert as convert_file
        from ava_detect.models.zoo import resolve

        path = resolve(source, on_progress)
        show_stage(on_progress, "converting")
        report = convert_file(path, target, to=to, half=half, overwrite=overwrite)
    if not quiet:
        say(str(report))
