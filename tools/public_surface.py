#!/usr/bin/env python
"""List what others build on (docs/stability.md), and keep the list in step with the changelog.

    python tools/public_surface.py            what has changed since the list was written; exit code 1 if anything has
    python tools/public_surface.py --write    write the list, if the newest part of the changelog names all that changed

The list, tests/public_surface.txt, has a line for each option of a command, public name with its parameters or members,
config key with its default, entry point of plug-ins, and column of the Parquet files.
"""

from __future__ import annotations

import argparse
import inspect
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fuzz.mutate_options import all_commands, options_of
from website.config_page import config_keys

import ava_detect
from ava_detect.formats.parquet import SCHEMA
from ava_detect.interface.plug_ins import GROUPS

ROOT = Path(__file__).resolve().parents[1]
LIST = ROOT / "tests" / "public_surface.txt"
CHANGELOG = ROOT / "CHANGELOG.md"


def main() -> None:
    """Parse the arguments, compare, and print or write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write tests/public_surface.txt")
    is_write = parser.parse_args().write
    before = LIST.read_text(encoding="utf-8").splitlines() if LIST.exists() else []
    now = surface()
    removed, added = changes(before, now)
    print("\n".join([*(f"- {line}" for line in removed), *(f"+ {line}" for line in added)]))
    if is_write:
        if before and (missing := unnamed([*removed, *added], newest_part(CHANGELOG.read_text(encoding="utf-8")))):
            sys.exit(f"name these in the newest part of CHANGELOG.md first: {', '.join(missing)}")
        LIST.write_text("\n".join([*now, ""]), encoding="utf-8")
    elif removed or added:
        sys.exit("the public surface has changed: name it in CHANGELOG.md, then python tools/public_surface.py --write")


def surface() -> list[str]:
    """Return the lines of the list, sorted."""
    lines = [f"command {command} {option}" for command in all_commands() for option in ("", *options_of(command))]
    lines += [f"python {name}{_members(getattr(ava_detect, name))}" for name in ava_detect.__all__]
    lines += [f"config {line}" for line in config_keys()]
    lines += [f"plug-ins {group}" for group in GROUPS]
    lines += [f"parquet {field.name}: {field.type}" for field in SCHEMA]
    return sorted(line.strip() for line in lines)


def _members(value: object) -> str:
    """The parameters of a function, or the public members of a class, in a fixed order."""
    if inspect.isclass(value):
        own = [base for base in value.__mro__ if base.__module__.startswith("ava_detect")]
        names = {name for base in own for name in (*vars(base), *vars(base).get("__annotations__", {}))}
        return f": {', '.join(sorted(name for name in names if not name.startswith(('_', 'model_'))))}"
    return f"({', '.join(inspect.signature(value).parameters)})" if callable(value) else ""


def changes(before: Iterable[str], now: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the lines that are gone, and the lines that are new.

    Args:
        before: The lines of the list.
        now: The lines of the program.
    """
    old, new = set(before), set(now)
    return sorted(old - new), sorted(new - old)


def newest_part(changelog: str) -> str:
    """Return the changelog's part on the newest version.

    Args:
        changelog: Its text.
    """
    return re.split(r"^## ", changelog, flags=re.MULTILINE)[1]


def unnamed(lines: Iterable[str], text: str) -> list[str]:
    """Return the names of changed lines that a text does not hold.

    Args:
        lines: Lines that are gone or new.
        text: The newest part of the changelog.

    Returns:
        Options, public names, keys and columns, each once.
    """
    names = dict.fromkeys(name for line in lines for name in _names(line))
    return [name for name in names if not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text)]


def _names(line: str) -> Iterator[str]:
    """What the changelog calls a line: the option, or else the command; the name; the last part of the key."""
    kind, _, rest = line.partition(" ")
    if kind == "command":
        yield rest.split()[-1]
    elif kind == "config":
        yield rest.partition(" = ")[0].rpartition(".")[2]
    else:
        yield re.split(r"[:(]", rest)[0]


if __name__ == "__main__":
    main()
