"""``ava-detect weights ...``: parse, call one function, print."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ava_detect.cli import completion, options
from ava_detect.cli.commands import Command, Group
from ava_detect.cli.console import results_beside, say, say_table
from ava_detect.cli.progress import progress_bar, show_stage

if TYPE_CHECKING:
    from ava_detect.models.zoo_table import ZooEntry

_HASH_DIGITS = 64

app = typer.Typer(
    name="weights",
    help="List, download, inspect and convert trained weights.",
    no_args_is_help=True,
    cls=Group,
)


# Short names of what a figure is measured on, for a table that fits into 80 columns.
_SHORT = {"AVA 2.1": "2.1", "AVA 2.2": "2.2", "AVA-Kinetics": "2.2K", "MultiSports": "-"}
_USES = {"yes": "yes", "no": "no", "unclear": "?"}


@app.command("list", cls=Command)
def list_weights(as_json: options.AsJson = False) -> None:
    """List the checkpoints known by name, the best first, with their published figures and their cost."""
    from ava_detect.models.zoo import SHIPPED
    from ava_detect.models.zoo_choice import DEVICES, default_for
    from ava_detect.models.zoo_table import best_first

    entries = best_first()
    if as_json:
        print(json.dumps([_as_json(entry) for entry in entries], indent=2))
        return
    detectors = [entry for entry in entries if entry.is_detector and not entry.not_runnable]
    say_table(("actions of each person", "mAP", "AVA", *_COSTS), map(_detector_row, detectors), left=(0, 2, 6, 7))
    say("\nFor whole clips, and to initialise training with:")
    classifiers = [entry for entry in entries if not entry.is_detector]
    say_table(("actions of a clip", "figure", *_COSTS), map(_classifier_row, classifiers), left=(0, 5, 6))
    say("\nNot runnable here:")
    missing = [entry for entry in entries if entry.not_runnable]
    rows = [(entry.name, f"{entry.published:g}", _SHORT[entry.data], entry.not_runnable) for entry in missing]
    say_table(("name", "mAP", "AVA", "why"), rows, left=(0, 2, 3))
    say(f"\nWith the package, trained on the synthetic world: {', '.join(SHIPPED)}")
    for device in DEVICES:
        say(f"Used on {DEVICES[device]} where no weights are named: {default_for(device).name}")
    say("mAP, top-1: quoted from their pages, whose evaluators differ; not measured here.")
    say("AVA: its version, K trained on AVA-Kinetics, - MultiSports. GFLOP: of a clip.")
    say("M: million parameters. use: commercial, ? not stated. got: in the cache. All")
    say("about one: `weights show NAME`; the best for a device: `weights recommend`.")


_COSTS = ("GFLOP", "M", "MB", "use", "got")


def _as_json(entry: ZooEntry) -> dict[str, object]:
    return {**asdict(entry), "commercial_use": entry.commercial_use}


def _detector_row(entry: ZooEntry) -> tuple[str, ...]:
    return (entry.name, f"{entry.published:g}", _SHORT[entry.data], *_cost_cells(entry))


def _classifier_row(entry: ZooEntry) -> tuple[str, ...]:
    metric = entry.metric.partition(",")[0]  # the number of views is the same for all
    figure = f"{entry.data}, none" if entry.published is None else f"{entry.published:g} {metric} {entry.data}"
    return (entry.name, figure, *_cost_cells(entry))


def _cost_cells(entry: ZooEntry) -> tuple[str, ...]:
    from ava_detect.models.zoo_download import cached_path

    gflops = "" if entry.gflops is None else f"{entry.gflops}"
    here = "yes" if cached_path(entry).is_file() else ""
    return gflops, f"{entry.parameters / 1e6:.0f}", f"{entry.about_megabytes}", _USES[entry.commercial_use], here


@app.command(cls=Command)
def recommend(
    device: Annotated[
        str,
        typer.Option(
            **options.choice("auto", "cpu", "cuda"), help="Where the network is to run.", rich_help_panel=options.COMMON
        ),
    ] = "auto",
    commercial: Annotated[
        bool,
        typer.Option(
            "--commercial",
            help="Leave out weights whose licences do not clearly allow commercial use.",
            rich_help_panel=options.COMMON,
        ),
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Name the best weights for a device and a use, and say why."""
    from ava_detect.models.zoo_choice import DEVICES, recommend

    if device not in DEVICES:
        device = _this_device(device)
    found = recommend(device, commercial=commercial)
    if as_json:
        print(json.dumps({**_as_json(found.entry), "device": device, "reason": found.reason}, indent=2))
        return
    say(f"{found.entry.name}: {found.reason}.")
    say(f"ava-detect annotate VIDEO --weights {found.entry.name}")


def _this_device(device: str) -> str:
    from ava_detect.models.network_options import resolve_device

    return resolve_device(device)


@app.command(cls=Command)
def show(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="A name of `weights list`.", autocompletion=completion.listed_weights),
    ],
    as_json: options.AsJson = False,
) -> None:
    """Show the zoo's entry of one checkpoint."""
    from ava_detect.models.zoo import listed_entry
    from ava_detect.models.zoo_choice import default_reason
    from ava_detect.models.zoo_download import cached_path

    entry = listed_entry(name)
    path = cached_path(entry)
    if as_json:
        print(json.dumps({**_as_json(entry), "cached": str(path) if path.is_file() else None}, indent=2))
        return
    lines = _description(entry)
    if entry.not_runnable:
        lines["config"] = f"none: not runnable here, {entry.not_runnable}"
    else:
        lines["file"] = f"{path}{'' if path.is_file() else ' (not there yet)'}"
    if reason := default_reason(entry.name):
        lines["default"] = reason
    for key, value in lines.items():
        say(f"{key:<12}{value}")


def _description(entry: ZooEntry) -> dict[str, str]:
    """The lines of ``weights show`` that the table gives."""
    from ava_detect.models.zoo_table import EVALUATORS

    figure = entry.figure or "none"
    by = f", by {EVALUATORS[entry.evaluator]}" if entry.evaluator else ""
    rate = f" at {entry.frames_per_second} frames a second" if entry.frames_per_second else ""
    lines = {
        "name": entry.name,
        "config": entry.config,
        "layout": entry.layout,
        "trained on": entry.data + (f", after {entry.pretrained_on}" if entry.pretrained_on else ""),
        "clip": f"{entry.num_frames} frames, every {entry.frame_step}{rate}",
        "published": f"{figure} (quoted: {entry.source}{by})",
        "licences": entry.licences,
        "address": entry.address,
        "sha256": _hash_line(entry),
    }
    if entry.parameters:
        gflops = "" if entry.gflops is None else f", {entry.gflops} GFLOP a clip"
        lines["size"] = f"about {entry.about_megabytes} MB, {entry.parameters:,} parameters{gflops}"
    if entry.note:
        lines["note"] = entry.note
    return lines


def _hash_line(entry: ZooEntry) -> str:
    if not entry.sha256:
        return "unpublished; the first one seen is noted in the cache"
    return entry.sha256 if len(entry.sha256) == _HASH_DIGITS else f"begins with {entry.sha256}, says the file's name"


@app.command(cls=Command)
def get(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="A name of `weights list`.", autocompletion=completion.listed_weights),
    ],
    quiet: options.Quiet = False,
) -> None:
    """Download a checkpoint into the cache, and print where it is."""
    from ava_detect.models.zoo import SHIPPED, find_entry
    from ava_detect.models.zoo_download import obtain

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
