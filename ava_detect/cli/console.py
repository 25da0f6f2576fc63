"""How every command prints: results on stdout, complaints and progress on stderr, and all of it as it is.

A file name may look like Rich's markup, and an address may hold a password: neither is shown as such.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from ava_detect.addresses import without_secrets

_out = Console(soft_wrap=True)
err = Console(stderr=True, soft_wrap=True)  # of progress bars too, which are shown where it is a terminal


def say(what: RenderableType) -> None:
    """A result, on stdout."""
    _out.print(what, markup=False, highlight=False)


def complain(message: str) -> None:
    """What went wrong, in a line on stderr."""
    err.print(f"ava-detect: {without_secrets(message)}", markup=False, highlight=False)


def table(heading: Sequence[str], rows: Iterable[Sequence[str]], *, left: Sequence[int]) -> Table:
    """Columns of text; those of ``left`` begin at the left, numbers end at the right."""
    columns = Table(box=None, pad_edge=False, header_style="bold")
    for index, name in enumerate(heading):
        columns.add_column(name, justify="left" if index in left else "right", overflow="fold")
    for row in rows:
        columns.add_row(*map(Text, row))
    return columns
