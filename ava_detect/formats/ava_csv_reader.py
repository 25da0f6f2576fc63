"""Reading AVA's csv with three parsers, from the fastest to the most tolerant.

A file is read in blocks of whole lines, so memory does not grow with it. Each block goes to the first parser that
accepts it:

1. For plain rows, a parser that parses cells shared with the row above only once (``ava_csv_runs``).
2. pyarrow's csv parser, for blocks whose rows all have the same number of columns.
3. A row-by-row parser, which accepts every unambiguous row and raises ``FormatError`` with the file, the line and the
   cell for others.

All three give the same values for the rows that they accept.

Accepted although the official script crashes on it or misreads it: a byte order mark, a header line, blank lines,
``12.0`` for action 12, text as a person id, an empty person id, an empty action (PySlowFast's proposal files), rows of
2, 7 and 8 columns mixed, gzip under any file name.
Refused because the meaning would be a guess: an empty score, a NaN score, a NaN or infinite timestamp, a quoted cell
that continues on the next line, tabs or semicolons instead of commas, ``0x1F`` for action 31.

Shapes: R rows of a block, U runs of rows (see ``ava_csv_runs``).
"""

from __future__ import annotations

import csv
import gzip
import math
import re
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pa_csv

from ava_detect.errors import FormatError, shown
from ava_detect.formats.ava_csv_runs import MARGIN_BYTES, find_runs
from ava_detect.formats.ava_table import AvaTable

LastColumn = Literal["score", "person_id"]

_BLOCK_BYTES = 2 << 20
_PARSER_BYTES = 512 << 10  # block size of pyarrow's parser, which parses its blocks in parallel threads
_LONGEST_LINE_BYTES = 32 << 20
_BOM = b"\xef\xbb\xbf"
_COLUMNS = ("video_id", "timestamp", "x1", "y1", "x2", "y2", "action_id")
_WIDTHS = (2, 7, 8)
_MIN_HEXADECIMAL_LENGTH = len("0x0")
_ZERO_X = int.from_bytes(b"0x", "little")
# Bytes that can precede the first digit of a cell.
_CELL_START_BYTES = np.frombuffer(b', \t"', np.uint8)
_ARROW_TYPES = {name: pa.float64() for name in (*_COLUMNS, "score")} | {
    "video_id": pa.dictionary(pa.int32(), pa.string()),
    "action_id": pa.int32(),
    "person_id": pa.int64(),
}
# The first bytes of other file types that users often pass instead of a csv.
_OTHER_FILE_TYPES = {
    b"PAR1": "a Parquet file",
    b"PK\x03\x04": "a zip archive or an Excel sheet",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
}


def read_ava_csv(path: str | Path, *, last_column: LastColumn = "score") -> AvaTable:
    """Read an AVA csv, plain or gzipped.

    Args:
        path: The file. Rows of 2 columns only list a keyframe; rows of 7 columns have no column 8.
        last_column: The meaning of column 8: ``"score"`` in detections and proposals, ``"person_id"`` in ground truth.

    Returns:
        All rows, in the order of the file.

    Raises:
        FormatError: If the file cannot be read; names the file, the line and the cell.
        ValueError: If ``last_column`` has another value.

    Example:
        >>> truth = read_ava_csv("ava_val_v2.2.csv", last_column="person_id")
    """
    return AvaTable.concatenate(list(iter_ava_csv(path, last_column=last_column)))


def iter_ava_csv(path: str | Path, *, last_column: LastColumn = "score") -> Iterator[AvaTable]:
    """Read an AVA csv in pieces, in the order of its rows; see ``read_ava_csv``.

    Args:
        path: The file, plain or gzipped.
        last_column: The meaning of column 8: ``"score"`` or ``"person_id"``.

    Yields:
        Tables with the rows of about 2 MB of text each. The ``video_ids`` of a piece begin with those of the piece
        before, so ``video_index`` has the same meaning in all pieces.

    Raises:
        FormatError: If the file cannot be read; names the file, the line and the cell.
        ValueError: If ``last_column`` has another value.
    """
    if last_column not in ("score", "person_id"):
        raise ValueError(f"last_column must be 'score' or 'person_id', got {last_column!r}")
    reader = _BlockReader(shown(path), last_column)
    try:
        for buffer, start, stop in _blocks(Path(path), reader):
            piece = reader.read(buffer, start, stop)
            if len(piece):
                yield piece
    except (OSError, EOFError, zlib.error) as error:
        reason = shown(error)
        raise FormatError(
            f"{shown(path)}: the file cannot be read ({reason}); give an AVA csv, plain or gzipped"
        ) from error


def _blocks(path: Path, reader: _BlockReader) -> Iterator[tuple[bytearray, int, int]]:
    """Yield the file's text in blocks of whole lines: a buffer, and the start and stop of the block in it.

    All blocks share one buffer, for speed: a block is valid until the next one is requested. The buffer has at least
    ``MARGIN_BYTES`` before and after each block.
    """
    with path.open("rb") as raw:
        head = raw.peek(4)
        for magic, file_type in _OTHER_FILE_TYPES.items():
            if head.startswith(magic):
                raise FormatError(
                    f"{shown(path)}: this is {file_type}; give an AVA csv as UTF-8 text, plain or gzipped"
                )
        file: Any = gzip.GzipFile(fileobj=raw) if head.startswith(b"\x1f\x8b") else raw
        buffer = bytearray(_BLOCK_BYTES + 2 * MARGIN_BYTES)
        start = MARGIN_BYTES
        end = start + file.readinto(memoryview(buffer)[start:-MARGIN_BYTES])
        if buffer.startswith(_BOM, start):
            start += len(_BOM)
        while True:
            cut = buffer.rfind(b"\n", start, end) + 1
            if cut:
                yield buffer, start, cut
            # The rest is the beginning of a line: move it to the front, and read more of the file behind it.
            rest = bytes(memoryview(buffer)[cut or start : end])
            if len(rest) > _LONGEST_LINE_BYTES:
                megabytes = _LONGEST_LINE_BYTES >> 20
                raise FormatError(f"{shown(path)}, line {reader.line}: no line end within {megabytes} MB; is it a csv?")
            if len(rest) * 2 > len(buffer) - 2 * MARGIN_BYTES:
                buffer = bytearray(2 * len(buffer))
            start, end = MARGIN_BYTES, MARGIN_BYTES + len(rest)
            buffer[start:end] = rest
            count = file.readinto(memoryview(buffer)[end:-MARGIN_BYTES])
            end += count
            if not count:
                if rest:
                    yield buffer, start, end
                return


class _BlockReader:
    """Parses the blocks of one file in order; the numbering of video and person ids continues from block to block.

    Attributes:
        line: The number of the first line of the next block, from 1.
    """

    def __init__(self, path: str, last_column: LastColumn) -> None:
        self._path = path
        self._last_column = last_column
        self._columns = (*_COLUMNS, last_column)
        self._videos: dict[str, int] = {}
        self._persons: dict[str, int] = {}
        self._may_be_header = True
        self.line = 1

    def read(self, buffer: bytearray, start: int, stop: int) -> AvaTable:
        """Parse one block of whole lines, ``buffer[start:stop]``, with ``MARGIN_BYTES`` of buffer on either side."""
        # Blank lines and a header can precede the first row of the file.
        while self._may_be_header and start < stop:
            line_text, length = _first_line(memoryview(buffer)[start:stop])
            cells = self._split(line_text, self.line)
            self._may_be_header = not cells
            if cells and not _looks_like_header(cells):
                break
            self._check_header(cells, self.line)
            start, self.line = start + length, self.line + 1
        table = self._read_runs(buffer, start, stop)
        if table is not None:
            self.line += len(table)
            return table
        block = memoryview(buffer)[start:stop]
        table = self._read_columns(block)
        if table is None:
            table = self._read_rows(self.line, bytes(block))
        self.line += int(np.count_nonzero(np.frombuffer(block, np.uint8) == ord("\n")))
        return table

    def _check_header(self, cells: Sequence[str], line: int) -> None:
        """Refuse a header in which a known column name is at the position of another column."""
        names = [cell.strip().lower() for cell in cells]
        for position, name in enumerate(names[: len(self._columns)]):
            if name in {*_COLUMNS, "score", "person_id"} and name != self._columns[position]:
                raise self._error(
                    line,
                    f"the header calls column {position + 1} {name!r} where {self._columns[position]!r} is expected; "
                    f"the order is {','.join(self._columns)}",
                )

    def _read_columns(self, block: memoryview) -> AvaTable | None:
        """Parse a block with pyarrow's csv parser; None if its rows differ in width or a cell needs a closer look."""
        width = _first_line(block)[0].count(",") + 1
        if width not in _WIDTHS or _has_hexadecimals(block):
            return None
        try:
            return self._table_from_arrow(self._parse(block, self._columns[:width]))
        except pa.ArrowInvalid:
            return None

    def _parse(self, block: memoryview | npt.NDArray[np.uint8], columns: Sequence[str]) -> dict[str, Any]:
        """Parse csv text into pyarrow columns by name; raises ``pa.ArrowInvalid``."""
        parsed = pa_csv.read_csv(
            pa.BufferReader(pa.py_buffer(block)),
            read_options=pa_csv.ReadOptions(column_names=columns, block_size=_PARSER_BYTES),
            # Only an empty cell is a null; "nan" in particular is a number.
            convert_options=pa_csv.ConvertOptions(column_types=_ARROW_TYPES, null_values=[""]),
            # The default memory pool keeps freed memory: a 20 MB higher peak, and no faster.
            memory_pool=pa.system_memory_pool(),
        )
        return {name: parsed.column(name) for name in columns}

    def _read_runs(self, buffer: bytearray, start: int, stop: int) -> AvaTable | None:
        """Parse the shared cells of each run of rows once; None if the rows are not plain enough.

        The runs are those of ``ava_csv_runs``: rows that are equal up to their last two cells.
        """
        runs = find_runs(buffer, start, stop)
        if runs is None:
            return None
        # AVA's action ids have at most two digits, so files of detections, the largest ones, skip this search.
        may_be_hexadecimal = runs.longest_second_last >= _MIN_HEXADECIMAL_LENGTH or self._last_column == "person_id"
        if may_be_hexadecimal and _has_hexadecimals(memoryview(buffer)[start:stop]):
            return None
        try:
            # Six columns per run [U], and the last two cells of every row [R].
            heads = self._table_from_arrow(self._parse(runs.heads, _COLUMNS[:6]))
            actions: npt.NDArray[Any] = np.from_dlpack(runs.second_last.cast(_ARROW_TYPES["action_id"]))
            last: npt.NDArray[Any] = np.from_dlpack(runs.last.cast(_ARROW_TYPES[self._last_column]))
        except pa.ArrowInvalid:
            return None
        # If any row does not have eight cells, its head does not have six; the parser then fails or skips it.
        if heads is None or len(heads) != len(runs.lengths):
            return None
        is_valid = ~np.isnan(last) if self._last_column == "score" else last >= 0
        if not is_valid.all():
            return None
        # The run of each row: gathers the values of the heads [U] to the rows [R].
        rows = np.repeat(np.arange(len(heads)), runs.lengths)
        absent = np.full(len(rows), -1) if self._last_column == "score" else np.full(len(rows), np.nan)
        return AvaTable(
            heads.video_ids,
            heads.video_index[rows],
            heads.timestamps_seconds[rows],
            heads.boxes_fraction.take(rows, axis=0),
            actions,
            last if self._last_column == "score" else absent,
            last if self._last_column == "person_id" else absent,
        )

    def _table_from_arrow(self, parsed: dict[str, Any]) -> AvaTable | None:
        """Convert pyarrow's columns to a table; None if a cell is empty or needs a closer look."""
        if any(column.null_count for name, column in parsed.items() if name not in ("action_id", "person_id")):
            return None
        rows = len(parsed["video_id"])
        boxes = np.empty((rows, 4))
        for corner, name in enumerate(_COLUMNS[2:6]):
            _fill(boxes[:, corner], parsed.get(name), np.nan)
        timestamps = _fill(np.empty(rows), parsed["timestamp"], np.nan)
        scores = _fill(np.empty(rows), parsed.get("score"), np.nan)
        persons = _fill(np.empty(rows, np.int64), parsed.get("person_id"), -1)
        if not np.isfinite(timestamps).all() or ("score" in parsed and np.isnan(scores).any()):
            return None
        # Ids below 0 in the file are treated as text, since negative numbers stand for missing ids and for text here.
        if "person_id" in parsed and np.count_nonzero(persons < 0) > parsed["person_id"].null_count:
            return None
        # Each chunk has its own dictionary of video ids: map it to the file's numbering, then look up each row.
        video_index = np.empty(rows, np.int32)
        end = 0
        for chunk in parsed["video_id"].chunks:
            numbers = np.array([self._video(text) for text in chunk.dictionary.to_pylist()], np.int32)
            start, end = end, end + len(chunk)
            video_index[start:end] = numbers[np.from_dlpack(chunk.indices)]
        actions = _fill(np.empty(rows, np.int32), parsed.get("action_id"), 0)
        return AvaTable(tuple(self._videos), video_index, timestamps, boxes, actions, scores, persons)

    def _read_rows(self, first_line: int, block: bytes) -> AvaTable:
        """Parse a block row by row: slower, but tolerant, and with exact error messages."""
        try:
            text = block.decode("utf-8")
        except UnicodeDecodeError as error:
            line = first_line + block.count(b"\n", 0, error.start)
            raise self._error(line, "the text is not UTF-8; save the file as UTF-8 csv") from error
        rows = []
        for number, line_text in enumerate(re.split(r"\r\n|\n|\r", text), first_line):
            cells = self._split(line_text, number)
            if cells:
                rows.append(self._row(cells, number))
        videos, timestamps, boxes, actions, scores, persons = zip(*rows, strict=True) if rows else ((),) * 6
        return AvaTable(
            tuple(self._videos),
            np.array(videos, np.int32),
            np.array(timestamps, np.float64),
            np.array(boxes, np.float64).reshape(-1, 4),
            np.array(actions, np.int32),
            np.array(scores, np.float64),
            np.array(persons, np.int64),
        )

    def _split(self, line_text: str, line: int) -> list[str]:
        """Split one line into cells; an empty list for a blank line."""
        if not line_text.strip():
            return []
        if '"' not in line_text:
            return line_text.split(",")
        try:
            return next(csv.reader([line_text], strict=True))
        except csv.Error as error:
            raise self._error(
                line, f"a quoted cell does not end properly ({error}); a row must be on one line"
            ) from error

    def _row(self, cells: Sequence[str], line: int) -> tuple[int, float, Sequence[float], int, float, int]:
        """Parse one row: video index, timestamp, box, action id (0: none), score (NaN: none), person id (-1: none)."""
        if len(cells) not in _WIDTHS:
            raise self._error(line, self._wrong_width(cells))
        timestamp = self._number(cells, 1, line)
        if not math.isfinite(timestamp):
            raise self._error(line, f"the timestamp is {cells[1]!r}; give finite seconds")
        video = self._video(cells[0])
        if len(cells) == 2:
            return video, timestamp, (math.nan,) * 4, 0, math.nan, -1
        box = [self._number(cells, column, line) for column in (2, 3, 4, 5)]
        action = self._whole_number(cells[6], line) if cells[6].strip() else 0
        score, person = math.nan, -1
        if len(cells) == 8 and self._last_column == "score":
            score = self._number(cells, 7, line)
            if math.isnan(score):
                raise self._error(line, f"the score is {cells[7]!r}; give a number, or leave column 8 out")
        elif len(cells) == 8:
            person = self._person(cells[7].strip())
        return video, timestamp, box, action, score, person

    def _wrong_width(self, cells: Sequence[str]) -> str:
        message = f"{len(cells)} column{'s' * (len(cells) != 1)}, expected {','.join(self._columns[:7])}"
        message += f"[,{self._last_column}], or video_id,timestamp alone"
        separator = next((name for mark, name in (("\t", "tabs"), (";", "semicolons")) if mark in cells[0]), None)
        return message + (f"; the cells seem to be separated by {separator}, use commas" if separator else "")

    def _number(self, cells: Sequence[str], column: int, line: int) -> float:
        try:
            return float(cells[column])
        except ValueError:
            cell = f"{cells[column]!r}, which is no number" if cells[column].strip() else "empty; give a number"
            raise self._error(line, f"column {column + 1} ({self._columns[column]}) is {cell}") from None

    def _whole_number(self, cell: str, line: int) -> int:
        try:
            value = float(cell)
        except ValueError:
            value = math.nan
        if not (value.is_integer() and abs(value) < 2**31):
            raise self._error(line, f"column 7 (action_id) is {cell!r}; give a whole number, or leave it empty")
        return int(value)

    def _video(self, text: str) -> int:
        """Return the index of a video id; a new id gets the next one."""
        return self._videos.setdefault(text, len(self._videos))

    def _person(self, text: str) -> int:
        """Convert a person id to a number; text gets a number below -1, which no numeric id of a file has."""
        if not text:
            return -1
        if re.fullmatch(r"\d{1,18}", text):
            return int(text)
        return self._persons.setdefault(text, -2 - len(self._persons))

    def _error(self, line: int, message: str) -> FormatError:
        return FormatError(f"{self._path}, line {line}: {message}")


def _first_line(block: memoryview) -> tuple[str, int]:
    """Return the text of a block's first line, and its length in bytes including the line end."""
    head = bytes(block[:4096])
    if not re.search(rb"[\r\n]", head):
        head = bytes(block)
    end = re.search(rb"\r\n|\n|\r|\Z", head)
    assert end is not None
    return head[: end.start()].decode("utf-8", "replace"), end.end()


def _fill(target: npt.NDArray[Any], column: Any, absent: float) -> npt.NDArray[Any]:
    """Fill ``target`` ``[R]`` with a parsed column; ``absent`` in its gaps, and everywhere if there is no column."""
    end = 0
    for chunk in () if column is None else column.chunks:
        start, end = end, end + len(chunk)
        # DLPack instead of to_numpy(), which would import pandas.
        target[start:end] = np.from_dlpack(chunk.fill_null(absent) if chunk.null_count else chunk)
    target[end:] = absent
    return target


def _has_hexadecimals(block: memoryview) -> bool:
    """Check whether a cell other than the first begins like ``0x1F``, which pyarrow would read as an integer."""
    text = np.frombuffer(block, np.uint8)
    for first in (0, 1):
        # View pairs of bytes as 16-bit numbers, at even and at odd offsets: several times as fast as a text search.
        pairs = text[first : first + (len(text) - first) // 2 * 2].view("<u2")
        # Setting bit 5 of the second byte turns "X" into "x".
        zeros = np.flatnonzero((pairs | 0x2000) == _ZERO_X) * 2 + first  # offsets of "0x" or "0X"
        # It is the start of a cell only after a separator, a blank or a quote.
        if np.isin(text[zeros - 1], _CELL_START_BYTES).any():
            return True
    return False


def _looks_like_header(cells: Sequence[str]) -> bool:
    """Check whether a line is a header: each cell after the first is a word like a column name, not a number."""
    names = [cell.strip() for cell in cells[1:]]
    if not names or not all(re.fullmatch(r"[A-Za-z_][\w .()-]*", name) for name in names):
        return False
    if any(name.lower() in ("nan", "inf", "infinity") for name in names):
        return False
    return len(names) > 1 or "time" in names[0].lower() or "sec" in names[0].lower()
