"""Parsing rows of AVA's csv one by one: slower than whole columns, but tolerant, and with exact error messages."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Sequence

import numpy as np

from ava_detect.errors import FormatError, counted
from ava_detect.formats.ava_csv_header import (
    COLUMNS,
    NUM_BOX_COLUMNS,
    NUM_KEYFRAME_COLUMNS,
    LastColumn,
    header_columns,
    standard_columns,
)
from ava_detect.formats.ava_table import AvaTable
from ava_detect.structures.labels import GREATEST_ACTION_ID, NO_ACTION

#: Person ids of this many digits and more are treated as text.
PERSON_ID_LIMIT = 10**18
_NO_BOX = (math.nan,) * 4
_BOM_TEXT = "\ufeff"
# Python's float would also take 1_000 and the digits of other scripts.
_NUMBER = re.compile(r"[-+]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[-+]?[0-9]+)?|nan|inf(?:inity)?)", re.IGNORECASE)
_PYTHON_NUMBER = re.compile(r"[-+.0-9_eE]+")
_MAX_CELL_SHOWN = 60
_Row = tuple[int, float, Sequence[float], int, float, int]


class RowParser:
    """Parses the lines of one file, and numbers its videos and its person ids that are text.

    Attributes:
        columns: Number of cells of a row -> the columns that they are; an empty name for a column that is not used.
        videos: Video id -> number, in order of first appearance.
        box_width: Number of cells of the rows with a box, where it is known that they are ``NUM_BOX_COLUMNS`` or known
            that they are more; None before the first of them.
    """

    def __init__(self, path: str, last_column: LastColumn, *, python_scores: bool) -> None:
        """Start without rows.

        Args:
            path: The file, for messages.
            last_column: The meaning of column 8.
            python_scores: Whether scores may be written with underscores, as Python's ``float`` allows.
        """
        self.columns = standard_columns(last_column)
        self.videos: dict[str, int] = {}
        self.box_width: int | None = None
        self._path = path
        self._last_column = last_column
        self._python_scores = python_scores
        self._persons: dict[str, int] = {}

    def read_header(self, cells: Sequence[str], line: int) -> None:
        """Take the order of the columns from a header.

        Args:
            cells: The cells of the header.
            line: The number of its line.

        Raises:
            FormatError: The header names something else than the columns; names the file, the line and the column.
        """
        try:
            self.columns = header_columns(cells, self._last_column)
        except ValueError as error:
            raise self.error(line, str(error)) from None

    def fits(self, width: int) -> bool:
        """Check whether rows of this many cells may follow the rows so far.

        Rows of a box without an action are one kind of file: among longer rows, one of them is a row that was cut.

        Args:
            width: Number of cells.

        Returns:
            True if the rows have known columns and are of the kind of the rows before.
        """
        if width not in self.columns:
            return False
        is_box_only = width == NUM_BOX_COLUMNS
        return (
            width == NUM_KEYFRAME_COLUMNS
            or self.box_width is None
            or (self.box_width == NUM_BOX_COLUMNS) == is_box_only
        )

    def accept(self, width: int) -> None:
        """Note that rows were read.

        Args:
            width: Their number of cells.
        """
        if width != NUM_KEYFRAME_COLUMNS and self.box_width is None:
            self.box_width = width

    def parse(self, first_line: int, block: bytes) -> AvaTable:
        """Parse a block of whole lines.

        Args:
            first_line: The number of its first line.
            block: The text.

        Returns:
            The rows; blank lines are skipped.

        Raises:
            FormatError: A row cannot be read; names the file, the line and the cell.
        """
        try:
            text = block.decode("utf-8")
        except UnicodeDecodeError as error:
            line = first_line + block.count(b"\n", 0, error.start)
            raise self.error(line, "the text is not UTF-8; save the file as UTF-8 csv") from error
        rows = []
        for number, line_text in enumerate(re.split(r"\r\n|\n|\r", text), first_line):
            cells = self.split(line_text, number)
            if cells:
                rows.append(self._row(cells, number))
        videos, timestamps, boxes, actions, scores, persons = zip(*rows, strict=True) if rows else ((),) * 6
        return AvaTable(
            tuple(self.videos),
            np.array(videos, np.int32),
            np.array(timestamps, np.float64),
            np.array(boxes, np.float64).reshape(-1, 4),
            np.array(actions, np.int32),
            np.array(scores, np.float64),
            np.array(persons, np.int64),
        )

    def split(self, line_text: str, line: int) -> list[str]:
        """Split one line into cells.

        Args:
            line_text: The line, without its end.
            line: Its number.

        Returns:
            The cells; an empty list for a blank line.

        Raises:
            FormatError: A quoted cell does not end.
        """
        if not line_text.strip():
            return []
        if '"' not in line_text:
            return line_text.split(",")
        try:
            return next(csv.reader([line_text], strict=True))
        except csv.Error as error:
            raise self.error(
                line, f"a quoted cell does not end properly ({error}); a row must be on one line"
            ) from error

    def video_number(self, text: str) -> int | None:
        """Return the number of a video id; a new id gets the next one.

        Args:
            text: The cell, verbatim; a byte order mark before it is no part of the id.

        Returns:
            The number, or None for a text that can be no video's name: it is empty or holds a NUL character.
        """
        text = text.removeprefix(_BOM_TEXT)
        if not text.strip() or "\0" in text:
            return None
        return self.videos.setdefault(text, len(self.videos))

    def error(self, line: int, message: str) -> FormatError:
        """Build the error of a line.

        Args:
            line: Its number.
            message: What is wrong there.

        Returns:
            The error, which names the file and the line.
        """
        return FormatError(f"{self._path}, line {line}: {message}")

    def _row(self, cells: Sequence[str], line: int) -> _Row:
        """Parse one row: video number, timestamp, box, action id, score (NaN: none), person id (-1: none)."""
        if not self.fits(len(cells)):
            raise self.error(line, self._wrong_width(cells))
        self.accept(len(cells))
        columns = self.columns[len(cells)]
        timestamp = self._number(cells, columns.index("timestamp"), line)
        if not math.isfinite(timestamp):
            raise self.error(line, f"the timestamp is {_cell(cells[columns.index('timestamp')])}; give finite seconds")
        video_cell = cells[columns.index("video_id")]
        video = self.video_number(video_cell)
        if video is None:
            held = "is empty" if not video_cell.strip() else f"is {_cell(video_cell)}, which holds a NUL character"
            where = _where(columns, columns.index("video_id"))
            raise self.error(line, f"{where} {held}; give the name of the video")
        if len(columns) == NUM_KEYFRAME_COLUMNS:
            return video, timestamp, _NO_BOX, NO_ACTION, math.nan, -1
        box = [self._number(cells, columns.index(corner), line) for corner in COLUMNS[2:6]]
        action, score, person = NO_ACTION, math.nan, -1
        if "action_id" in columns:
            action = self._action(cells, columns.index("action_id"), line)
        if "score" in columns:
            column = columns.index("score")
            score = self._number(cells, column, line, as_python=self._python_scores)
            if math.isnan(score):
                raise self.error(
                    line, f"the score is {_cell(cells[column])}; give a number, or leave column {column + 1} out"
                )
        elif "person_id" in columns:
            person = self._person(cells, columns.index("person_id"), line)
        return video, timestamp, box, action, score, person

    def _wrong_width(self, cells: Sequence[str]) -> str:
        """Say why no row has this many cells."""
        got = counted(len(cells), "column")
        if len(cells) in self.columns:
            expected = f"{NUM_BOX_COLUMNS}" if self.box_width == NUM_BOX_COLUMNS else f"more than {NUM_BOX_COLUMNS}"
            return f"{got}, and the rows with a box before it have {expected}; was this row cut off?"
        if self.columns != standard_columns(self._last_column):
            names = self.columns[max(self.columns)]
            return f"{got}, and the header names {len(names)}: {','.join(name or '(not used)' for name in names)}"
        message = f"{got}, expected {','.join(COLUMNS)}[,{self._last_column}], or video_id,timestamp alone"
        separator = next((name for mark, name in (("\t", "tabs"), (";", "semicolons")) if mark in cells[0]), None)
        return message + (f"; the cells seem to be separated by {separator}, use commas" if separator else "")

    def _number(self, cells: Sequence[str], column: int, line: int, *, as_python: bool = False) -> float:
        cell = cells[column].strip(" \t")
        if _NUMBER.fullmatch(cell):
            return float(cell)
        try:
            value = float(cell)
        except ValueError:
            what = f"{_cell(cell)}, which is no number" if cell.strip() else "empty; give a number"
        else:
            if as_python and _PYTHON_NUMBER.fullmatch(cell):
                return value
            what = f"{_cell(cell)}, which is no number; write it with the digits 0 to 9 and a point alone"
        raise self.error(line, f"{_where(self.columns[len(cells)], column)} is {what}")

    def _action(self, cells: Sequence[str], column: int, line: int) -> int:
        """Parse an action id; an empty cell is no action."""
        cell = cells[column].strip(" \t")
        if not cell:
            return NO_ACTION
        value = float(cell) if _NUMBER.fullmatch(cell) else math.nan
        if not (value.is_integer() and 0 <= value <= GREATEST_ACTION_ID):
            got = f"{_where(self.columns[len(cells)], column)} is {_cell(cells[column])}"
            raise self.error(line, f"{got}; give a whole number from 0 to {GREATEST_ACTION_ID}, or leave it empty")
        return int(value)

    def _person(self, cells: Sequence[str], column: int, line: int) -> int:
        """Convert a person id to a number, -1 for none; text gets a number below -1, which no numeric id has."""
        text = cells[column].strip()
        if "\0" in text:
            where = _where(self.columns[len(cells)], column)
            raise self.error(line, f"{where} is {_cell(text)}, which holds a NUL character")
        if not text or re.fullmatch(r"-1(?:\.0*)?", text):
            return -1
        if whole := re.fullmatch(r"([0-9]{1,18})(?:\.0*)?", text):
            return int(whole[1])
        return self._persons.setdefault(text, -2 - len(self._persons))


def _where(columns: Sequence[str], column: int) -> str:
    """Name a column, counted from 0, for a message."""
    return f"column {column + 1} ({columns[column]})"


def _cell(text: str) -> str:
    """Quote the text of a cell for a message."""
    return repr(text if len(text) <= _MAX_CELL_SHOWN else text[:_MAX_CELL_SHOWN] + "...")
