"""Tables of text with commas, tabs or semicolons between their cells, whose columns have names."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from ava_detect.errors import FormatError, require_file, shown

# Lines above the names of the columns.
_MAX_LINES_ABOVE = 50
_MAX_BYTES = 1 << 30
_SEPARATORS = ",\t;"


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        path: The file.
        columns: Names of the columns.
        above: The cells of the lines above the names.
        rows: Number of the line, and the cells by the names of their columns, without space around them.
    """

    path: Path
    columns: tuple[str, ...]
    above: list[list[str]]
    rows: list[tuple[int, dict[str, str]]]

    def where(self, number: int) -> str:
        """Return the place of a row, for a message.

        Args:
            number: Number of its line.

        Returns:
            The file and the line.
        """
        return f"{shown(self.path)}, line {number}"


def read_table(path: Path, needed: Collection[str]) -> Table:
    """Read a table.

    Args:
        path: The file, UTF-8 text with or without a byte order mark.
        needed: Columns by which the line with the names is known.

    Returns:
        The table; blank lines are passed over.

    Raises:
        FormatError: The file cannot be read, no line has the columns, a name is given twice, or a row has other cells
            than the columns; names the line.
    """
    try:
        require_file(path, max_bytes=_MAX_BYTES)
        with path.open(newline="", encoding="utf-8-sig") as file:
            separator = _separator(file.read(1 << 16))
            file.seek(0)
            lines = csv.reader(file, delimiter=separator)
            return _table(path, ((lines.line_num, [cell.strip() for cell in cells]) for cells in lines), needed)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise FormatError(f"{shown(path)}: the table cannot be read ({shown(reason)}); export it again") from error


def _separator(text: str) -> str:
    """Return the separator that occurs most, in the line that has most of it."""
    counts = {mark: max((line.count(mark) for line in text.splitlines()), default=0) for mark in _SEPARATORS}
    return max(counts, key=lambda mark: counts[mark])


def _table(path: Path, lines: Iterator[tuple[int, list[str]]], needed: Collection[str]) -> Table:
    above: list[list[str]] = []
    columns: tuple[str, ...] = ()
    for _, cells in lines:
        if set(needed) <= set(cells):
            columns = tuple(cells)
            break
        above.append(cells)
        if len(above) > _MAX_LINES_ABOVE:
            break
    if not columns:
        raise FormatError(f"{shown(path)}: no line has the columns {', '.join(needed)}; export the table again")
    while columns and not columns[-1]:
        columns = columns[:-1]
    if len(set(columns)) < len(columns):
        raise FormatError(f"{shown(path)}: two columns have the same name; got {shown(', '.join(columns))[:200]}")
    rows = []
    for number, cells in lines:
        if not any(cells):
            continue
        if len(cells) < len(columns) or any(cells[len(columns) :]):
            raise FormatError(
                f"{shown(path)}, line {number}: {len(cells)} cells in a table of {len(columns)} columns; is a line "
                "broken, or a separator part of a name?"
            )
        rows.append((number, dict(zip(columns, cells, strict=False))))
    return Table(path, columns, above, rows)
