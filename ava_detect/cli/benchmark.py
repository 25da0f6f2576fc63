"""``ava-detect benchmark``: parse the flags, call ``run_benchmark``, print its result."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ava_detect.cli import options
from ava_detect.cli.console import complain, say
from ava_detect.cli.next_step import file_word, say_next
from ava_detect.cli.progress import progress_bar, show_stage
from ava_detect.errors import counted

if TYPE_CHECKING:
    from ava_detect.benchmark import BenchmarkResult
    from ava_detect.config import Config


def _short_sides(text: str) -> list[int]:
    parse = options.number(32, 4096, whole=True)
    return [parse(part.strip()) for part in text.split(",") if part.strip()]


def benchmark(
    out: Annotated[Path, options.out_option("DIR", "Folder for the results.")],
    weights: Annotated[str, options.weights_option()],
    videos: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Video files named by their ids; default: those, or the frames, of data.val in the config.",
            rich_help_panel=options.COMMON,
        ),
    ] = None,
    ground_truth: Annotated[
        Path | None,
        typer.Option(
            "--ground-truth",
            "-g",
            metavar="CSV|PKL",
            help="What is true: an AVA csv, or a pickle of tubes; default: that of data.val in the config.",
            rich_help_panel=options.COMMON,
        ),
    ] = None,
    config: options.Config = None,
    overrides: options.Overrides = None,
    boxes: Annotated[
        str | None,
        typer.Option(
            metavar="CSV|ground-truth",
            help="Use these boxes of people instead of a detector: an AVA csv, COCO json, or the true ones.",
            rich_help_panel=options.PEOPLE,
        ),
    ] = None,
    detector: options.Detector = None,
    min_person_score: options.MinPersonScore = None,
    exclude: options.Exclude = None,
    label_map: Annotated[
        Path | None,
        typer.Option(
            metavar="PBTXT",
            help="The classes that count; default: AVA's 60, or the config's.",
            rich_help_panel=options.TRUTH,
        ),
    ] = None,
    start_seconds: Annotated[
        float | None,
        typer.Option(
            parser=options.SECONDS,
            metavar="SECONDS",
            help=f"{options.START_HELP}; default: the config's.",
            rich_help_panel=options.SCORES,
        ),
    ] = None,
    dialect: options.Dialect = None,
    flip: Annotated[
        bool,
        typer.Option("--flip", help="Also score each clip mirrored; the mean counts.", rich_help_panel=options.SCORES),
    ] = False,
    scales: Annotated[
        Any,
        typer.Option(
            parser=_short_sides,
            metavar="N,N,...",
            help="Score at these short sides, in pixels; the mean counts.",
            rich_help_panel=options.SCORES,
        ),
    ] = "",
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    execution: options.Execution = "auto",
    clips_per_batch: Annotated[
        int | None,
        typer.Option(
            parser=options.number(1, 1024, whole=True),
            metavar="N",
            help="Clips scored at once; default: 1 on a CPU, 8 on a GPU.",
            rich_help_panel=options.SPEED,
        ),
    ] = None,
    resume: options.Resume = True,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Measure a network on a labelled split: its score and its speed."""
    from ava_detect.config.choice import choose_network

    # What is wrong about them is said before PyTorch is loaded.
    choice = choose_network(weights, config, overrides=overrides or (), device=device).announce()
    try:
        with progress_bar(show=not quiet) as on_progress:
            choice.weights_file(on_progress)
            show_stage(on_progress, "loading PyTorch")
            from ava_detect.benchmark import PeopleOptions, SplitOptions, run_benchmark
            from ava_detect.models.network_options import NetworkOptions

            result = run_benchmark(
                choice.config,
                choice.weights,
                out,
                overrides=overrides or (),
                split=SplitOptions(videos, ground_truth, exclude, start_seconds),
                people=PeopleOptions(boxes, detector, min_person_score),
                network=NetworkOptions(device, precision, execution, clips_per_batch),
                dialect=dialect,
                label_map=label_map,
                scales=scales or (),
                flip=flip,
                resume=resume,
                on_progress=on_progress,
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
    if not (as_json or quiet):
        _say_next(result, choice.config, ground_truth)
    if not result.all_well:
        raise typer.Exit(1)


def _say_next(result: BenchmarkResult, config: Config, ground_truth: Path | None) -> None:
    """Print how a mean average precision is taken apart; an accuracy has no report."""
    split = config.data.val
    truth = ground_truth or (None if split is None else split.annotations)
    if truth is not None and "detections" in result.files:
        found, report = result.out / result.files["detections"], result.out / "report"
        words = ["--ground-truth", file_word(truth), "--detections", file_word(found), "--report", file_word(report)]
        say_next("See what costs the score", "evaluate", *words)


def _print(result: BenchmarkResult) -> None:
    """Print the counts, the time per stage, the notes, the files, and last the score."""
    say(", ".join(_count(name, number) for name, number in result.counts.items() if number))
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


def _count(name: str, number: int) -> str:
    """A count of the result, such as ``1 video missing`` for ``videos_missing``."""
    nouns, _, what = name.partition("_")
    singular = {"boxes": "box", "people": "person"}.get(nouns, nouns.removesuffix("s"))
    return f"{counted(number, singular, nouns)} {what.replace('_', ' ')}".rstrip()
