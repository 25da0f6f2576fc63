"""``ava-detect benchmark``: parse, call one function, print. ``cli.py`` mounts it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ava_detect import cli_weights
from ava_detect.cli_text import complain, err, say

if TYPE_CHECKING:
    from ava_detect.benchmark import BenchmarkResult, OnProgress


def benchmark(
    out: Annotated[Path, typer.Option(help="Folder for the results.")],
    weights: Annotated[
        str, typer.Option(metavar="FILE|NAME", help="Trained weights (`weights list`), or 'random' to try.")
    ],
    config: Annotated[
        str | None, typer.Option(help="A config file or a shipped one's name; default: the weights' own.")
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="SECTION.KEY=VALUE", help="In the place of what --config says.")
    ] = None,
    videos: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Video files named by their ids; default: the config's data.val.")
    ] = None,
    ground_truth: Annotated[
        Path | None, typer.Option(metavar="CSV", help="What is true; default: the config's data.val.")
    ] = None,
    boxes: Annotated[
        str | None,
        typer.Option(metavar="CSV|ground-truth", help="People found before (AVA csv, COCO json), or the true ones."),
    ] = None,
    detector: Annotated[
        str | None, typer.Option(metavar="SPEC", help="Who finds the people; default: the config's detector.")
    ] = None,
    min_person_score: Annotated[
        float | None, typer.Option(metavar="F", help="Least score of a person; default: the config's.")
    ] = None,
    exclude: Annotated[
        Path | None, typer.Option(metavar="CSV", help="Keyframes (video,timestamp) that are left out.")
    ] = None,
    label_map: Annotated[
        Path | None, typer.Option(metavar="PBTXT", help="The classes that count; default: AVA's 60, or the config's.")
    ] = None,
    start_seconds: Annotated[
        float | None, typer.Option(metavar="S", help="Where in its movie each file starts (900 for trimmed AVA files).")
    ] = None,
    dialect: Annotated[
        str, typer.Option(metavar="official|pyslowfast", help="Whose rules: see docs/evaluation.md.")
    ] = "official",
    flip: Annotated[bool, typer.Option("--flip", help="Also score each clip mirrored; the mean counts.")] = False,
    scales: Annotated[
        str, typer.Option(metavar="N,N,...", help="Score at these short sides, in pixels; the mean counts.")
    ] = "",
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda", help="Where the network runs.")] = "auto",
    precision: Annotated[str, typer.Option(metavar="auto|fp32|bf16", help="auto is fp32.")] = "auto",
    execution: Annotated[
        str, typer.Option(metavar="auto|eager|fused", help="How the network is run; auto is the fastest that is exact.")
    ] = "auto",
    clips_per_batch: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Clips at once; default: 1 on a CPU, 8 on a GPU.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume/--restart", help="Keep what is scored, or begin anew.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print problems only.")] = False,
) -> None:
    """Score a network on a split: AVA's frame-mAP, or a classifier's accuracy; each stage timed apart."""
    from ava_detect.benchmark import run_benchmark
    from ava_detect.config import load_config

    if overrides and not config:
        raise typer.BadParameter("--set changes a config: name it by --config")
    try:
        with (
            cli_weights.download_bar(weights, show=not quiet) as on_download,
            _bar(show=not quiet) as on_progress,
        ):
            result = run_benchmark(
                load_config(config, overrides) if config and overrides else config,
                weights,
                out=out,
                videos=videos,
                ground_truth=ground_truth,
                boxes=boxes,
                exclude=exclude,
                label_map=label_map,
                detector=detector,
                min_person_score=min_person_score,
                start_seconds=start_seconds,
                dialect=dialect,
                flip=flip,
                scales=_numbers(scales),
                device=device,
                precision=precision,
                execution=execution,
                clips_per_batch=clips_per_batch,
                resume=resume,
                on_progress=on_progress,
                on_download=on_download,
            )
    except KeyboardInterrupt:
        complain("interrupted; finished videos are kept, and the same command goes on from here")
        raise typer.Exit(1) from None
    if as_json:
        print(json.dumps(result.to_json(), indent=2, ensure_ascii=False))
    elif not quiet:
        _print(result)
    for problem in result.problems:
        complain(problem)
    if not result.all_well:
        raise typer.Exit(1)


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",") if part.strip()]
    except ValueError as error:
        raise typer.BadParameter(f"whole numbers with commas, such as 224,256,320; got {text!r}") from error


@contextmanager
def _bar(*, show: bool) -> Iterator[OnProgress | None]:
    """A bar on stderr where that is a terminal; None elsewhere."""
    if not (show and err.is_terminal):
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), TextColumn("{task.fields[name]}", markup=False), console=err,
                  transient=True) as bar:  # fmt: skip
        task = bar.add_task("", total=None, name="")
        yield lambda progress: bar.update(
            task,
            description=progress.unit,
            total=progress.num_planned,
            completed=progress.num_done,
            name=progress.name,
        )


def _print(result: BenchmarkResult) -> None:
    """The score first and last; between them what it cost and what it was made of."""
    counts = {name.replace("_", " "): number for name, number in result.counts.items() if number}
    say(", ".join(f"{number:,} {name}" for name, number in counts.items()))
    spent = sum(result.seconds.values())
    for stage, seconds in result.seconds.items():
        share = f"{seconds / spent:6.1%}" if spent else ""
        say(f"  {stage:<11} {seconds:10.1f} s {share}")
    if not math.isnan(result.clips_per_second):
        say(f"  {result.clips_per_second:.2f} clips a second through data, detection and action")
    for note in result.notes:
        say(f"NOTE: {note}")
    for meaning, name in result.files.items():
        say(f"{meaning.replace('_', ' ').capitalize()}: {result.out / name}")
    say(f"Result: {result.out / 'result.json'}")
    say(result.score.summary())
