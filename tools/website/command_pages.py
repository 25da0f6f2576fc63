"""A page for each command: its help, as ``--help`` prints it, in tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ava_detect.cli.app import whole_command
from ava_detect.cli.help_page import panels_of, usage_of

from .cells import cell, code_cell

# What is listed in a panel of the help, where it is no option.
_KINDS = {"Arguments": "argument", "Commands": "command"}


def command_pages() -> dict[str, str]:
    """Return the pages of all commands, and of the groups of commands.

    Returns:
        Name of the page, such as ``weights-list``, to its Markdown; ``index`` lists them.
    """
    root = whole_command()
    pages = {path.replace(" ", "-"): _page(f"ava-detect {path}", command) for path, command in _below(root)}
    return {"index": _index(root), **pages}


def _below(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        yield f"{before}{name}", command
        yield from _below(command, f"{before}{name} ") if hasattr(command, "commands") else ()


def _index(root: Any) -> str:
    lines = ["# Commands", "", "Every command explains itself: `ava-detect annotate --help`. Exit codes: 0 success, 1 "]
    lines[-1] += "part of the work failed, 2 the call was wrong, 70 a fault of the program, 130 Ctrl-C."
    panels: dict[str, list[str]] = {}
    panel = ""
    for path, command in _below(root):
        if " " not in path:
            panel = command.rich_help_panel
        if not hasattr(command, "commands"):
            row = f"| [`{path}`]({path.replace(' ', '-')}.md) | {cell(_summary(command))} |"
            panels.setdefault(panel, []).append(row)
    for panel, rows in panels.items():
        lines += ["", f"## {panel}", "", "| command | what it does |", "| --- | --- |", *rows]
    return "\n".join([*lines, ""])


def _page(path: str, command: Any) -> str:
    context = command.make_context(path, [], resilient_parsing=True)
    usage = usage_of(command, context).removeprefix("Usage: ")
    lines = [f"# {path}", ""]
    lines += [f"{' '.join(part.split())}\n" for part in (command.help or "").split("\n\n")]
    lines += ["```text", usage, "```", ""]
    if examples := getattr(command, "examples", ()):
        lines += ["For example:", "", "```sh", *examples, "```", ""]
    for title, rows in panels_of(command, context):
        lines += [f"## {title}", "", f"| {_KINDS.get(title, 'option')} | what it does |", "| --- | --- |"]
        lines += [f"| {_name(name, path, command)} | {cell(text.plain)} |" for name, text in rows]
        lines.append("")
    return "\n".join(lines)


def _name(name: str, path: str, command: Any) -> str:
    if name in getattr(command, "commands", {}):
        page = f"{path} {name}".removeprefix("ava-detect ").replace(" ", "-")
        return f"[`{name}`]({page}.md)"
    # The value apart from the option, which must not be broken where a line is short.
    option = re.fullmatch(r"(-.*) ([^-/\s]\S*)", name.strip())
    return " ".join(map(code_cell, option.groups())) if option else code_cell(name.strip())


def _summary(command: Any) -> str:
    return " ".join((command.help or "").partition("\n\n")[0].split())
