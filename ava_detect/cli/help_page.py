"""The pages of ``--help``: options in panels, most used first, in lines that fit the terminal.

Typer's own pages give each part of an option a column, which leaves little of 80 characters for the text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ava_detect.cli.options import FILES, PANELS

MAX_COLUMNS = 100  # longer lines are hard to read
_MAX_NAME_SHARE = 0.45  # of the width; longer names of options are broken before their values


def print_help(command: Any, context: Any) -> None:
    """Print the help page of a command or of a group of commands.

    Args:
        command: The parsed command.
        context: Its context.
    """
    console = Console(emoji=False, highlight=False)
    console.width = min(console.width, MAX_COLUMNS)
    console.print(Padding(Text(usage_of(command, context), style="bold"), (1, 1)))
    # Line breaks inside a paragraph are the source file's.
    for paragraph in (command.help or "").split("\n\n"):
        console.print(Padding(Text(" ".join(paragraph.split())), (0, 1, 1, 1)))
    if examples := getattr(command, "examples", ()):
        console.print(Padding(Text("\n".join(examples), style="green"), (0, 1, 1, 3)))
    for title, rows in panels_of(command, context):
        console.print(_panel(title, rows, console.width))


def usage_of(command: Any, context: Any) -> str:
    """Return the usage line of a command, such as ``Usage: ava-detect visualize RESULTS [OPTIONS]``.

    Args:
        command: The parsed command.
        context: Its context.
    """
    if getattr(command, "commands", None):
        return f"Usage: {context.command_path} COMMAND [OPTIONS]"
    required = [f"{p.opts[0]} {p.metavar}" for p in command.params if _is_option(p) and p.required]
    arguments = [p.metavar for p in command.params if not _is_option(p)]
    return " ".join(["Usage:", context.command_path, *arguments, *required, "[OPTIONS]"])


def panels_of(command: Any, context: Any) -> Iterable[tuple[str, list[tuple[str, Text]]]]:
    """Yield title and rows (name, help) of each panel: commands, arguments, options in the order of ``PANELS``.

    Args:
        command: The parsed command.
        context: Its context.
    """
    groups: dict[str, list[tuple[str, Text]]] = {}
    for name, inner in getattr(command, "commands", {}).items():
        if not inner.hidden:
            first_line = Text((inner.help or "").partition("\n\n")[0].replace("\n", " "))
            groups.setdefault(inner.rich_help_panel or "Commands", []).append((name, first_line))
    yield from groups.items()
    shown = [parameter for parameter in command.get_params(context) if not getattr(parameter, "hidden", False)]
    arguments = [(parameter.metavar, _help(parameter)) for parameter in shown if not _is_option(parameter)]
    if arguments:
        yield "Arguments", arguments
    panels: dict[str, list[tuple[str, Text]]] = {name: [] for name in PANELS}
    for parameter in filter(_is_option, shown):
        # The help option is one of click's own in some versions, which knows no panels.
        panel = getattr(parameter, "rich_help_panel", None) or FILES
        panels.setdefault(panel, []).append((_name(parameter), _help(parameter)))
    yield from ((title, rows) for title, rows in panels.items() if rows)


def _is_option(parameter: Any) -> bool:
    return bool(parameter.param_type_name == "option")


def _name(option: Any) -> str:
    """The option as it is written: ``-o, --out DIR``; long names stand below one another."""
    long = [name for name in (*option.opts, *option.secondary_opts) if name.startswith("--")]
    short = [name for name in option.opts if not name.startswith("--")]
    names = f"{short[0]}, {'/'.join(long)}" if short else f"    {'/'.join(long)}"
    return names if option.is_flag else f"{names} {option.metavar or 'VALUE'}"


def _help(parameter: Any) -> Text:
    text = Text(parameter.help or "")
    if parameter.required:
        text.append(" [required]", style="bold")
    elif _is_option(parameter) and (default := _default(parameter)):
        text.append(f" [default: {default}]", style="dim")
    return text


def _default(option: Any) -> str:
    """The default as it is typed; empty where it is none, or where the help text says it."""
    if option.default is None or "default:" in (option.help or ""):
        return ""
    if option.is_flag:
        names = option.opts if option.default else option.secondary_opts
        return names[0] if option.secondary_opts else ""
    return f"{option.default:g}" if isinstance(option.default, float) else str(option.default)


def _panel(title: str, rows: Sequence[tuple[str, Text]], width: int) -> Panel:
    limit = int(_MAX_NAME_SHARE * width)
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0), expand=True)
    table.add_column(style="cyan", overflow="fold")
    table.add_column(ratio=1, overflow="fold")
    for name, text in rows:
        if len(name) > limit:
            names, _, value = name.rpartition(" ")
            name = f"{names}\n      {value}"
        table.add_row(Text(name), text)
    return Panel(table, title=title, title_align="left", border_style="dim")
