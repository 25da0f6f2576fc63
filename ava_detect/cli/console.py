"""How every command prints: results on stdout, problems and progress on stderr, all of it as it is.

A file name may look like Rich's markup, and an address may hold a password: neither is shown as such. The library's
errors name parameters (`min_score`); here they become the flags of the command that was called (--min-score).
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Iterable, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text
from typer.core import TyperCommand

from ava_detect.errors import AvaDetectWarning, ChoiceWarning, shown
from ava_detect.storage.addresses import without_secrets
from ava_detect.storage.local_files import is_standard_output

# Without emoji: ":cat:" in a file's name is no picture of a cat.
_out = Console(soft_wrap=True, emoji=False)
err = Console(stderr=True, soft_wrap=True, emoji=False)  # of progress bars too, which are shown where it is a terminal
# Whether a file that the running command writes arrives on stdout, where nothing else may then be printed.
_stdout_is_taken: ContextVar[bool] = ContextVar("a file goes to stdout", default=False)
STANDARD_OUTPUT = "the standard output"  # as errors name it
_is_quiet: ContextVar[bool] = ContextVar("the command prints problems only", default=False)
_running: ContextVar[TyperCommand | None] = ContextVar("the command that runs", default=None)
_words: ContextVar[tuple[str, ...]] = ContextVar("the words of the call", default=())
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


def print_markdown(text: str, *, paged: bool = False) -> bool:
    """Print a text in Markdown: laid out in a terminal, as it is elsewhere.

    Args:
        text: The text.
        paged: Whether to page through it, which only a terminal can.

    Returns:
        Whether it was printed.
    """
    if not _out.is_terminal:
        if not paged:
            say(text)
        return not paged
    from rich.markdown import Markdown

    # Soft wrapping, which keeps file names in one piece, would not fill paragraphs and tables.
    console, rendered = Console(emoji=False), Markdown(text, hyperlinks=False)
    if paged:
        with console.pager(styles=True):
            console.print(rendered)
    else:
        console.print(rendered)
    return True


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


def say_table(heading: Sequence[str], rows: Iterable[Sequence[str]], *, left: Collection[int]) -> None:
    """Print a table: a row a line, columns two spaces apart; long text is folded only in a terminal.

    Args:
        heading: Names of the columns.
        rows: Their cells.
        left: Columns of text, which begin at the left; numbers end at the right.
    """
    lines = [tuple(heading), *(tuple(map(shown, row)) for row in rows)]
    widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]
    if _out.is_terminal and sum(widths) + 2 * (len(widths) - 1) > _out.width:
        say(_folded(lines, left))
        return
    for line in lines:
        cells = [
            set_cell_size(cell, width) if index in left else " " * (width - cell_len(cell)) + cell
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        say("  ".join(cells).rstrip())


def _folded(lines: Sequence[Sequence[str]], left: Collection[int]) -> Table:
    """The same in the terminal's width: numbers keep their line, text is folded."""
    columns = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="")
    # The names in the first column are copied by people: they keep their line, too, where that leaves room.
    name_is_short = 2 * max(cell_len(line[0]) for line in lines) <= _out.width
    for index, name in enumerate(lines[0]):
        is_whole = name_is_short if index == 0 else index not in left
        columns.add_column(name, justify="left" if index in left else "right", no_wrap=is_whole, overflow="fold")
    for line in lines[1:]:
        columns.add_row(*map(Text, line))
    return columns


def begin_command(command: TyperCommand, words: Sequence[str]) -> None:
    """Note which command runs, whose flags messages are told in, and the words of its call after the program's name."""
    _running.set(command)
    _words.set(tuple(words))
    _is_quiet.set(False)


def running_words() -> tuple[str, ...]:
    """Return the words of the call that runs, after the program's name."""
    return _words.get()


def be_quiet(quiet: bool) -> None:
    """Note whether the running command prints problems only."""
    _is_quiet.set(quiet)


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
