"""How every command prints: results on stdout, problems and progress on stderr, all of it as it is.

A file name may look like Rich's markup, and an address may hold a password: neither is shown as such. The library's
errors name parameters (`min_score`); here they become the flags of the command that was called (--min-score).
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterable, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import typer
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text
from typer.core import TyperCommand

from ava_detect.errors import AvaDetectWarning, ChoiceWarning, ConfigError, shown
from ava_detect.storage.addresses import without_secrets
from ava_detect.storage.local_files import is_standard_output

# Without emoji: ":cat:" in a file's name is no picture of a cat.
_out = Console(soft_wrap=True, emoji=False)
err = Console(stderr=True, soft_wrap=True, emoji=False)  # of progress bars too, which are shown where it is a terminal
# Whether a file that the running command writes arrives on stdout, where nothing else may then be printed.
_stdout_is_taken: ContextVar[bool] = ContextVar("a file goes to stdout", default=False)
STANDARD_OUTPUT = "the standard output"  # as errors name it
_is_quiet: ContextVar[bool] = ContextVar("the command prints problems only", default=False)
_running: ContextVar[Command | None] = ContextVar("the command that runs", default=None)
_PARAMETER = re.compile(r"`([a-z][a-z_]*)(?:=([^`\s]+))?`")


def say(what: RenderableType) -> None:
    """Print a result on stdout, or on stderr where stdout gets a file."""
    if isinstance(what, str):
        what = "\n".join(map(shown, what.split("\n")))
    try:
        (err if _stdout_is_taken.get() else _out).print(what, markup=False, highlight=False)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OSError(error.errno, error.strerror, STANDARD_OUTPUT) from error


def results_beside(file: Path | None) -> None:
    """Print results on stderr from now on if ``file``, which the running command will write, is the standard output."""
    _stdout_is_taken.set(file is not None and is_standard_output(file))


def complain(message: str) -> None:
    """Print a problem in a line on stderr."""
    err.print(f"ava-detect: {shown(without_secrets(in_flags(message)))}", markup=False, highlight=False)


def show_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, file: Any = None, line: Any = None
) -> None:
    """Print a warning; ours as a problem, or a choice as it is, without the line of code that Python adds."""
    if issubclass(category, ChoiceWarning):
        if not _is_quiet.get():
            err.print(shown(without_secrets(in_flags(str(message)))), markup=False, highlight=False)
    elif issubclass(category, AvaDetectWarning):
        complain(str(message))
    else:
        err.print(warnings.formatwarning(message, category, filename, lineno, line), end="", markup=False)


def table(heading: Sequence[str], rows: Iterable[Sequence[str]], *, left: Sequence[int]) -> Table:
    """Lay out columns of text; those of ``left`` begin at the left, numbers end at the right."""
    columns = Table(box=None, pad_edge=False, header_style="bold")
    for index, name in enumerate(heading):
        columns.add_column(name, justify="left" if index in left else "right", overflow="fold")
    for row in rows:
        columns.add_row(*(Text(shown(cell)) for cell in row))
    return columns


class Command(TyperCommand):
    """A command whose errors and problems are told in its own flags."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments of a call, after which this is the command that runs."""
        _running.set(self)
        self._refuse_doubtful_words(args)
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            if type(error) is not typer.BadParameter or error.param is None:
                raise
            # In one line, as the library's own refusals.
            raise ConfigError(f"{error.param.opts[0]}: {error.message}") from error

    def invoke(self, ctx: Any) -> Any:
        """Run the command, with ``--quiet`` for what is printed outside of it too."""
        _is_quiet.set(bool(ctx.params.get("quiet")))
        return super().invoke(ctx)

    def _refuse_doubtful_words(self, args: Sequence[str]) -> None:
        """Say of a file such as ``-5KQ66BBWC4.mp4`` how it is named, and of an option that it lacks its value.

        An empty value, of a variable of the shell that is not set, would be read as the folder where one stands.
        """
        options = {option: p for p in self.params for option in (*p.opts, *p.secondary_opts) if option.startswith("-")}
        needs_value = ""
        for arg in args:
            if not arg or (arg.endswith("=") and arg[:-1] in options):
                raise ConfigError(f"{needs_value or arg[:-1] or 'an argument'} is empty; give a value, or leave it out")
            if needs_value:
                if arg in options:
                    raise ConfigError(
                        f"{needs_value} needs a value, and the next word is the option {arg}; for a file of that name "
                        f"write ./{arg}"
                    )
                needs_value = ""
            elif (name := arg.partition("=")[0]) in options:
                needs_value = "" if name != arg or getattr(options[arg], "is_flag", False) else arg
            elif arg.startswith("-") and arg != "-":
                if arg.startswith("--") and not os.path.lexists(arg):
                    return  # an unknown option, or the end of all options
                raise ConfigError(
                    f"{shown(arg)} looks like an option, and --help lists none of that name; for a file write "
                    f"./{shown(arg)}"
                )


def forget_command() -> None:
    """Note that no command runs any more."""
    _running.set(None)
    _stdout_is_taken.set(False)
    _is_quiet.set(False)


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
