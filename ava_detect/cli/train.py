"""``ava-detect train``: parse, call one function, print. ``cli.py`` mounts it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ava_detect.cli_text import complain, err, say
from ava_detect.errors import DivergedError

if TYPE_CHECKING:
    from ava_detect import training


def train_command(
    config: Annotated[str, typer.Option(metavar="FILE", help="A config file, or the name of one that ships.")],
    out: Annotated[
        str, typer.Option(metavar="DIR|ADDRESS", help="Where weights, checkpoints and logs go: a folder, s3://...")
    ],
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="SECTION.KEY=VALUE", help="In the place of what FILE says.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in OUT, if any.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print problems only.")] = False,
) -> None:
    """Learn the weights of a config's network from its data, on one process or under torchrun."""
    from ava_detect.config import load_config
    from ava_detect.training import train

    settings = load_config(config, overrides or ())
    try:
        with _progress(show=not quiet) as on_progress:
            result = train(settings, out, resume=resume, on_progress=on_progress)
    except DivergedError as error:  # The call was right; it is the work that failed.
        complain(str(error))
        raise typer.Exit(1) from error
    if os.environ.get("RANK", "0") != "0":  # torchrun's other processes
        return
    if as_json:
        print(json.dumps(result.to_json(), indent=2))
    elif not quiet:
        _print_result(result)


@contextmanager
def _progress(*, show: bool) -> Iterator[Callable[[training.Progress], None] | None]:
    """A bar on stderr with the loss and the latest score, where that is a terminal; None elsewhere."""
    if not (show and err.is_terminal):
        yield None
        return
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("steps"), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.description}"), console=err) as bar:
        task = bar.add_task("starting", total=None)

        def show_progress(at: training.Progress) -> None:
            score = "" if at.score is None else f", score {at.score:.4f}"
            text = f"epoch {at.epoch:.2f}, loss {at.loss:.4f}, lr {at.learning_rate:.2g}{score}"
            bar.update(task, completed=at.step, total=at.num_steps, description=text)

        yield show_progress


def _print_result(result: training.TrainResult) -> None:
    for note in result.notes:
        say(f"Note: {note}.")
    say(f"{result.steps:,} steps in {result.epochs} epochs, {result.seconds:.0f} s; loss {result.loss:.4f}")
    if result.score is not None:
        say(f"{result.metric} {100 * result.score:.2f} on the validation split, the best, in epoch {result.best_epoch}")
    say(f"Weights:  {result.weights}")
    say(f"History:  {result.out}/log.csv, {result.out}/validation.csv")
