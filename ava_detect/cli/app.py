"""``ava-detect``: parse, call one function, print.

Exit codes: 0 all well; 1 the work failed or part of it did (named on stderr); 2 the call was wrong; 70 a fault of ours
(``faults``); 130 Ctrl-C. Progress goes to stderr, and only when that is a terminal. Heavy imports wait until a command
needs them, so that ``--help`` is quick.
"""

from __future__ import annotations

import io
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from typing import Annotated

import typer
from typer.core import TyperGroup
from typer.main import get_command

from ava_detect.cli import (
    annotate,
    benchmark,
    calibrate,
    data,
    dataset,
    demo,
    docs,
    doctor,
    evaluate,
    export,
    hand_over,
    import_labels,
    live,
    review,
    train,
    visualize,
    weights,
)
from ava_detect.cli.commands import Command, Group, UsageError, refusal
from ava_detect.cli.console import STANDARD_OUTPUT, complain, forget_command, say, show_warning
from ava_detect.cli.faults import WRONG_CALL, tell
from ava_detect.environment import installed_version

_NAME = "ava-detect"


class _Commands(Group):
    examples = (
        "ava-detect annotate video.mp4",
        "ava-detect visualize ava_results",
        "ava-detect evaluate --ground-truth gt.csv --detections ava_results",
    )


app = typer.Typer(
    name=_NAME,
    cls=_Commands,
    help="Find every person in a video and say, once a second, what each one is doing.",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)

# In the order and under the headings of ``--help``.
_COMMANDS: dict[str, Sequence[Callable[..., None] | typer.Typer]] = {
    "Start here": (annotate.annotate, visualize.visualize, evaluate.evaluate),
    "Go on with results": (
        hand_over.pictures,
        hand_over.tubes,
        hand_over.hand_over,
        import_labels.import_labels,
        review.review,
        hand_over.explain,
        dataset.status,
        dataset.collect,
    ),
    "As it happens": (live.live,),
    "Networks": (weights.app, benchmark.benchmark, calibrate.calibrate, train.train, export.export),
    "Data and installation": (demo.demo, docs.docs, data.app, doctor.doctor),
}
# ``import`` is no name that a function can have.
_NAMES: dict[Callable[..., None] | typer.Typer, str] = {import_labels.import_labels: "import"}
for panel, members in _COMMANDS.items():
    for member in members:
        if isinstance(member, typer.Typer):
            app.add_typer(member, rich_help_panel=panel)
        else:
            name = _NAMES.get(member, member.__name__.replace("_", "-"))
            app.command(name, cls=Command, rich_help_panel=panel)(member)


@cache
def whole_command() -> TyperGroup:
    """Return ``ava-detect`` with all of its commands.

    A ``Typer`` that is called builds them each time, which takes 60 ms.
    """
    command = get_command(app)
    assert isinstance(command, TyperGroup)
    return command


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the ``ava-detect`` command.

    Args:
        arguments: Those of the command line; by default the process's.
    """
    _escape_what_cannot_be_printed()
    warnings.showwarning = show_warning
    try:
        code = whole_command()(arguments, prog_name=_NAME, standalone_mode=False) or 0
    except SystemExit as finished:  # of completion
        code = finished.code
    except UsageError as error:
        complain(refusal(error))
        code = WRONG_CALL
    except Exception as error:  # Also a fault of the program ends in a sentence.
        code = tell(error)
    finally:
        forget_command()
    sys.exit(_flushed(code))


def _escape_what_cannot_be_printed() -> None:
    """Names of files may hold characters that the terminal's encoding, or any, has no form for."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def _flushed(code: str | int | None) -> str | int | None:
    """Write what is still to be printed; a reader that has gone (``| head``) is no fault, a full disk is."""
    try:
        sys.stdout.flush()
    except OSError as error:
        # Python would try again at its end, and complain.
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if code or isinstance(error, BrokenPipeError):
            return code or 1
        return tell(OSError(error.errno, error.strerror, STANDARD_OUTPUT))
    return code


def _show_version(wanted: bool) -> None:
    if wanted:
        say(f"ava-detect {installed_version()}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", "-V", callback=_show_version, is_eager=True, help="Print the version and stop."),
    ] = False,
) -> None:
    pass
