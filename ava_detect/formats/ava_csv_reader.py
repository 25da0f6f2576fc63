"""Reading AVA's csv with three parsers, from the fastest to the most tolerant.

A file is read in blocks of whole lines, so memory does not grow with it. Each block goes to the first parser that
accepts it:

1. For plain rows, a parser that parses cells shared with the row above only once (``ava_csv_runs``).
2. pyarrow's csv parser, for blocks whose rows all have the same number of columns.
3. A row-by-row parser, which accepts every unambiguous row and raises ``FormatError`` with the file, the line and the
   cell for others (``ava_csv_rows``).

All three give the same values for the rows that they accept.

Accepted although the official script crashes on it or misreads it: a byte order mark, a header line that names the
columns in any order (``ava_csv_header``), blank lines, ``12.0`` for action 12, text as a person id, an empty person id
or -1 for none, an empty action (PySlowFast's proposal files), rows of 2, 7 and 8 columns mixed, rows of 6 columns, gzip
under any file name.
Refused because the meaning would be a guess: a header that names other things, an empty score, a NaN score, a NaN or
infinite timestamp, an empty video id, a quoted cell that continues on the next line, tabs or semicolons instead of
commas, ``0x1F`` for action 31, ``1_000`` for a thousand, digits other than 0 to 9, an action id outside 0..1,000,000.

Shapes: R rows of a block, U runs of rows (see ``ava_csv_runs``).
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pa_csv

from ava_detect.errors import FormatError, require_file, shown
from ava_detect.formats.arrow_files import native_copy
from ava_detect.formats.ava_csv_header import COLUMNS, LastColumn, looks_like_header, standard_columns
from ava_detect.formats.ava_csv_rows import PERSON_ID_LIMIT, RowParser
from ava_detect.formats.ava_csv_runs import MARGIN_BYTES, find_runs
from ava_detect.formats.ava_table import AvaTable
from ava_detect.structures.labels import GREATEST_ACTION_ID, NO_ACTION

_BLOCK_BYTES = 2 << 20
_PARSER_BYTES = 512 << 10  # block size of pyarrow's parser, which parses its blocks in parallel threads
_LONGEST_LINE_BYTES = 32 << 20
_RUNS_WIDTH = 8  # cells of a row in the reader of runs
_BOM = b"\xef\xbb\xbf"
_MIN_HEXADECIMAL_LENGTH = len("0x0")
_ZERO_X = int.from_bytes(b"0x", "little")
# Bytes that can precede the first digit of a cell.
_CELL_START_BYTES = np.frombuffer(b', \t"', np.uint8)
_ARROW_TYPES = {name: pa.float64() for name in (*COLUMNS, "score")} | {
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
        path: The file. Rows of 2 columns only list a keyframe, rows of 6 have no action, and rows of 7 no column 8. A
            header may name the columns in another order.
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


def iter_ava_csv(
    path: str | Path, *, last_column: LastColumn = "score", python_scores: bool = False
) -> Iterator[AvaTable]:
    """Read an AVA csv in pieces, in the order of its rows; see ``read_ava_csv``.

    Args:
        path: The file, plain or gzipped.
        last_column: The meaning of column 8: ``"score"`` or ``"person_id"``.
        python_scores: Whether a score may be written as ``0_5``, which the official evaluators read as 5.

    Yields:
        Tables with the rows of about 2 MB of text each. The ``video_ids`` of a piece begin with those of the piece
        before, so ``video_index`` has the same meaning in all pieces.

    Raises:
        FormatError: If the file cannot be read; names the file, the line and the cell.
        ValueError: If ``last_column`` has another value.
    """
    if last_column not in ("score", "person_id"):
        raise ValueError(f"last_column must be 'score' or 'person_id', got {last_column!r}")
    reader = _BlockReader(shown(path), last_column, python_scores=python_scores)
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
    require_file(path)
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

    def __init__(self, path: str, last_column: LastColumn, *, python_scores: bool) -> None:
        self._last_column = last_column
        self._rows = RowParser(path, last_column, python_scores=python_scores)
        self._may_be_header = True
        self.line = 1

    def read(self, buffer: bytearray, start: int, stop: int) -> AvaTable:
        """Parse one block of whole lines, ``buffer[start:stop]``, with ``MARGIN_BYTES`` of buffer on either side."""
        # Blank lines and a header can precede the first row of the file.
        while self._may_be_header and start < stop:
            line_text, length = _first_line(memoryview(buffer)[start:stop])
            cells = self._rows.split(line_text, self.line)
            self._may_be_header = not cells
            if cells and not looks_like_header(cells):
                break
            if cells:
                self._rows.read_header(cells, self.line)
            start, self.line = start + length, self.line + 1
        table = self._read_runs(buffer, start, stop)
        if table is not None:
            self.line += len(table)
            return table
        block = memoryview(buffer)[start:stop]
        table = self._read_columns(block)
        if table is None:
            table = self._rows.parse(self.line, bytes(block))
        self.line += int(np.count_nonzero(np.frombuffer(block, np.uint8) == ord("\n")))
        return table

    def _read_columns(self, block: memoryview) -> AvaTable | None:
        """Parse a block with pyarrow's csv parser; None if its rows differ in width or a cell needs a closer look."""
        width = _first_line(block)[0].count(",") + 1
        if not self._rows.fits(width) or _has_hexadecimals(block):
            return None
        try:
            table = self._table_from_arrow(self._parse(block, self._rows.columns[width]))
        except pa.ArrowInvalid:
            return None
        if table is not None:
            self._rows.accept(width)
        return table

    def _parse(self, block: memoryview | npt.NDArray[np.uint8], columns: Sequence[str]) -> dict[str, Any]:
        """Parse csv text into pyarrow columns by name, without unused ones; raises ``pa.ArrowInvalid``."""
        names = [name or f"unused {number}" for number, name in enumerate(columns)]
        parsed = pa_csv.read_csv(
            native_copy(block),
            read_options=pa_csv.ReadOptions(column_names=names, block_size=_PARSER_BYTES),
            # Only an empty cell is a null; "nan" in particular is a number.
            convert_options=pa_csv.ConvertOptions(
                column_types=_ARROW_TYPES, null_values=[""], include_columns=[name for name in columns if name]
            ),
            # The default memory pool keeps freed memory: a 20 MB higher peak, and no faster.
            memory_pool=pa.system_memory_pool(),
        )
        return {name: parsed.column(name) for name in columns if name}

    def _read_runs(self, buffer: bytearray, start: int, stop: int) -> AvaTable | None:
        """Parse the shared cells of each run of rows once; None if the rows are not plain enough.

        The runs are those of ``ava_csv_runs``: rows that are equal up to their last two cells.
        """
        columns = standard_columns(self._last_column)[_RUNS_WIDTH]
        is_usual = self._rows.columns.get(_RUNS_WIDTH) == columns and self._rows.fits(_RUNS_WIDTH)
        runs = find_runs(buffer, start, stop) if is_usual else None
        if runs is None:
            return None
        # AVA's action ids have at most two digits, so files of detections, the largest ones, skip this search.
        may_be_hexadecimal = runs.longest_second_last >= _MIN_HEXADECIMAL_LENGTH or self._last_column == "person_id"
        if may_be_hexadecimal and _has_hexadecimals(memoryview(buffer)[start:stop]):
            return None
        try:
            # Six columns per run [U], and the last two cells of every row [R].
            heads = self._table_from_arrow(self._parse(runs.heads, COLUMNS[:6]))
            actions: npt.NDArray[Any] = np.from_dlpack(runs.second_last.cast(_ARROW_TYPES["action_id"]))
            last: npt.NDArray[Any] = np.from_dlpack(runs.last.cast(_ARROW_TYPES[self._last_column]))
        except pa.ArrowInvalid:
            return None
        # If any row does not have eight cells, its head does not have six; the parser then fails or skips it.
        if heads is None or len(heads) != len(runs.lengths):
            return None
        is_valid = ~np.isnan(last) if self._last_column == "score" else (last >= 0) & (last < PERSON_ID_LIMIT)
        if not is_valid.all() or _num_unusual(actions):
            return None
        self._rows.accept(_RUNS_WIDTH)
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
        for corner, name in enumerate(COLUMNS[2:6]):
            _fill(boxes[:, corner], parsed.get(name), np.nan)
        # "nan(1)" is a number for this parser only.
        if "x1" in parsed and np.isnan(boxes).any():
            return None
        timestamps = _fill(np.empty(rows), parsed["timestamp"], np.nan)
        scores = _fill(np.empty(rows), parsed.get("score"), np.nan)
        persons = _fill(np.empty(rows, np.int64), parsed.get("person_id"), -1)
        if not np.isfinite(timestamps).all() or ("score" in parsed and np.isnan(scores).any()):
            return None
        # Ids below 0 in the file are none or text, since negative numbers stand for missing ids and for text here.
        is_number = (persons >= 0) & (persons < PERSON_ID_LIMIT)
        if "person_id" in parsed and np.count_nonzero(~is_number) > parsed["person_id"].null_count:
            return None
        actions = _fill(np.empty(rows, np.int32), parsed.get("action_id"), NO_ACTION)
        if "action_id" in parsed and _num_unusual(actions) > parsed["action_id"].null_count:
            return None
        # Each chunk has its own dictionary of video ids: map it to the file's numbering, then look up each row.
        video_index = np.empty(rows, np.int32)
        end = 0
        for chunk in parsed["video_id"].chunks:
            numbers = [self._rows.video_number(text) for text in chunk.dictionary.to_pylist()]
            if None in numbers:
                return None
            start, end = end, end + len(chunk)
            video_index[start:end] = np.array(numbers, np.int32)[np.from_dlpack(chunk.indices)]
        return AvaTable(tuple(self._rows.videos), video_index, timestamps, boxes, actions, scores, persons)


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


def _num_unusual(actions: npt.NDArray[np.int32]) -> int:
    """Count the action ids ``[R]`` that no file can hold, ``NO_ACTION`` among them."""
    # Viewed as unsigned, a negative number is greater than any id.
    return int(np.count_nonzero(actions.view(np.uint32) > GREATEST_ACTION_ID))


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
