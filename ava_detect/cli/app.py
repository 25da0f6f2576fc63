"""``ava-detect``: parse, call one function, print.

Exit codes: 0 all well; 1 the work failed or part of it did (named on stderr); 2 the call was wrong. Progress goes to
stderr, and only when that is a terminal. Heavy imports wait until a command needs them, so that ``--help`` is quick.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from typing import Annotated

import typer

from ava_detect.cli import (
    annotate,
    benchmark,
    data,
    dataset,
    demo,
    doctor,
    evaluate,
    export,
    hand_over,
    train,
    visualize,
    weights,
)
from ava_detect.cli.console import Command, complain, forget_command, say, show_warning
from ava_detect.environment import installed_version
from ava_detect.errors import AvaDetectError, EngineError, MissingDependencyError, StoreError

app = typer.Typer(
    name="ava-detect",
    help="Find every person in a video and say, once a second, what each one is doing.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


for command in (
    annotate.annotate,
    demo.demo,
    evaluate.evaluate,
    benchmark.benchmark,
    train.train,
    visualize.visualize,
    hand_over.pictures,
    hand_over.tubes,
    hand_over.hand_over,
    hand_over.explain,
    dataset.collect,
    dataset.status,
    export.export,
    doctor.doctor,
):
    app.command(command.__name__.replace("_", "-"), cls=Command)(command)
app.add_typer(weights.app)
app.add_typer(data.app)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the ``ava-detect`` command.

    Args:
        arguments: Those of the command line; by default the process's.
    """
    warnings.showwarning = show_warning
    try:
        app(arguments)
    except (AvaDetectError, MissingDependencyError) as error:
        complain(str(error))
        sys.exit(1 if isinstance(error, StoreError | EngineError) else 2)
    finally:
        forget_command()


def _show_version(wanted: bool) -> None:
    if wanted:
        say(f"ava-detect {installed_version()}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Say the version and stop.")
    ] = False,
) -> None:
    pass
