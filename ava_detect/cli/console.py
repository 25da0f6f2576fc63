"""How every command prints: results on stdout, problems and progress on stderr, all of it as it is.

A file name may look like Rich's markup, and an address may hold a password: neither is shown as such. The library's
errors name parameters (`min_score`); here they become the flags of the command that was called (--min-score).
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text
from typer.core import TyperCommand

from ava_detect.errors import AvaDetectWarning
from ava_detect.storage.addresses import without_secrets
from ava_detect.storage.local_files import is_standard_output

# Without emoji: ":cat:" in a file's name is no picture of a cat.
_out = Console(soft_wrap=True, emoji=False)
err = Console(stderr=True, soft_wrap=True, emoji=False)  # of progress bars too, which are shown where it is a terminal
# Whether a file that the running command writes arrives on stdout, where nothing else may then be printed.
_stdout_is_taken: ContextVar[bool] = ContextVar("a file goes to stdout", default=False)
_running: ContextVar[Command | None] = ContextVar("the command that runs", default=None)
_PARAMETER = re.compile(r"`([a-z][a-z_]*)(?:=([^`\s]+))?`")


def say(what: RenderableType) -> None:
    """Print a result on stdout, or on stderr where stdout gets a file."""
    (err if _stdout_is_taken.get() else _out).print(what, markup=False, highlight=False)


def results_beside(file: Path | None) -> None:
    """Print results on stderr from now on if ``file``, which the running command will write, is the standard output."""
    _stdout_is_taken.set(file is not None and is_standard_output(file))


def complain(message: str) -> None:
    """Print a problem in a line on stderr."""
    err.print(f"ava-detect: {without_secrets(in_flags(message))}", markup=False, highlight=False)


def show_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, file: Any = None, line: Any = None
) -> None:
    """Print a warning; ours as a problem, without the line of code that Python adds."""
    if issubclass(category, AvaDetectWarning):
        complain(str(message))
    else:
        err.print(warnings.formatwarning(message, category, filename, lineno, line), end="", markup=False)


def table(heading: Sequence[str], rows: Iterable[Sequence[str]], *, left: Sequence[int]) -> Table:
    """Lay out columns of text; those of ``left`` begin at the left, numbers end at the right."""
    columns = Table(box=None, pad_edge=False, header_style="bold")
    for index, name in enumerate(heading):
        columns.add_column(name, justify="left" if index in left else "right", overflow="fold")
    for row in rows:
        columns.add_row(*map(Text, row))
    return columns


class Command(TyperCommand):
    """A command whose errors and problems are told in its own flags."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments of a call, after which this is the command that runs."""
        _running.set(self)
        return super().parse_args(ctx, args)


def forget_command() -> None:
    """Note that no command runs any more."""
    _running.set(None)
    _stdout_is_taken.set(False)


def in_flags(message: str) -> str:
    """Return a message of the library in the flags of the command that runs."""
    command = _running.get()
    return message if command is None else with_flags(message, command)


def with_flags(message: str, command: TyperCommand) -> str:
    """``message`` with the flags of ``command`` in the place of its parameters' names in backquotes.

    ```min_score``` becomes ``--min-score``, ```engine=ray``` ``--engine ray``, and ```resume=False``` ``--restart``.
    """
    flags = {parameter.name: parameter for parameter in command.params}

    def flag(match: re.Match[str]) -> str:
        parameter, value = flags.get(match[1]), match[2]
        if parameter is None:
            return match[0]
        if parameter.param_type_name == "argument":
            return (parameter.metavar or match[1].upper()) if value is None else value
        if getattr(parameter, "is_flag", False):
            return (parameter.secondary_opts or parameter.opts)[0] if value == "False" else parameter.opts[0]
        return parameter.opts[0] if value is None else f"{parameter.opts[0]} {value}"

    return _PARAMETER.sub(flag, message)
