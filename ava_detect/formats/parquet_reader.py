"""Reading Parquet files of people and actions: this package's results, or any table with the same columns.

Shapes: R rows of a batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from ava_detect.errors import FormatError, shown
from ava_detect.formats.arrow_files import READ_ERRORS, open_native
from ava_detect.formats.ava_table import AvaTable, shortest_decimals
from ava_detect.formats.json_values import LARGEST_INT64, LARGEST_SECONDS
from ava_detect.structures.labels import GREATEST_ACTION_ID

_ROWS_PER_PIECE = 1 << 17
_CORNERS = ("x1", "y1", "x2", "y2")
# Boxes of other tools may be in pixels and their scores no probabilities; neither is infinite.
_LARGEST_CORNER = _LARGEST_SCORE = 1e9
_REQUIRED = ("video_id", "timestamp_seconds", *_CORNERS, "action_id")


def is_parquet_file(path: str | Path) -> bool:
    """Check whether a file is Parquet, by its first four bytes.

    Args:
        path: The file, of any name.

    Returns:
        True for a regular file that begins with ``PAR1``; False for others and where there is no file.
    """
    if not Path(path).is_file():
        return False
    try:
        with Path(path).open("rb") as file:
            return file.read(4) == b"PAR1"
    except OSError:  # which reading it as another kind of file names
        return False


def iter_parquet(
    path: str | Path | pq.ParquetFile, *, start_seconds: float = 0.0, name: str | None = None
) -> Iterator[AvaTable]:
    """Read a Parquet file in pieces, in the order of its rows.

    Required columns: ``video_id``, ``timestamp_seconds``, ``x1``, ``y1``, ``x2``, ``y2`` (fractions of the frame) and
    ``action_id``. Optional ones: ``action_score`` or ``score``, and ``person_id``. float32 numbers are converted to
    their shortest decimals, so results have the same scores in Parquet and in csv.

    Args:
        path: The file's path, or the open file.
        start_seconds: The position of the video's start in the movie, in seconds (900 for AVA's trimmed files); added
            to the timestamps, which count from the start of the video in this package's results.
        name: The name of an open file, for messages; None for the path itself.

    Yields:
        Tables of at most 131,072 rows. The ``video_ids`` of a piece begin with those of the piece before, so
        ``video_index`` has the same meaning in all pieces.

    Raises:
        FormatError: If the file cannot be read, or a column is missing or has wrong values; names the file, the column
            and the row.
    """
    videos: dict[str, int] = {}
    where, num_rows = shown(path if name is None else name), 0
    try:
        file = path if isinstance(path, pq.ParquetFile) else pq.ParquetFile(open_native(path))
        names = file.schema_arrow.names
        if missing := [name for name in _REQUIRED if name not in names]:
            raise FormatError(f"{where}: no column {', '.join(missing)}; the file has {shown(', '.join(names))}")
        score = next((name for name in ("action_score", "score") if name in names), None)
        optional = [name for name in (score, "person_id") if name in names]
        for batch in file.iter_batches(_ROWS_PER_PIECE, columns=[*_REQUIRED, *optional]):
            yield _table(where, num_rows, batch, videos, score, start_seconds)
            num_rows += batch.num_rows
    except UnicodeDecodeError as error:
        raise FormatError(f"{where}: column video_id holds text that is not UTF-8") from error
    except READ_ERRORS as error:
        raise FormatError(f"{where}: the Parquet file cannot be read ({shown(error)})") from error


def _table(
    path: str, first_row: int, batch: Any, videos: dict[str, int], score: str | None, start_seconds: float
) -> AvaTable:
    """Convert a record batch of R rows; ``videos`` (id -> index) is shared by all batches and gets the new ids."""

    def numbers(name: str, dtype: type[np.generic], limit: float, *, least: float | None = None) -> npt.NDArray[Any]:
        """Return a column of numbers from ``least`` (or ``-limit``) to ``limit``; of integers, whole ones."""
        least = -limit if least is None else least
        column = batch.column(name)
        if column.null_count:
            raise FormatError(f"{path}: column {name} has {column.null_count} empty cells; every row needs a value")
        if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
            raise FormatError(f"{path}: column {name} holds {column.type}, numbers are expected")
        values: npt.NDArray[Any] = np.from_dlpack(column)
        is_good = (values >= least) & (values <= limit)
        if np.issubdtype(dtype, np.integer) and np.issubdtype(values.dtype, np.floating):
            is_good &= values == np.trunc(values)
        if not is_good.all():
            row = int(np.argmin(is_good))
            whole = "whole " if np.issubdtype(dtype, np.integer) else ""
            raise FormatError(
                f"{path}, row {first_row + row + 1}: column {name} holds {values[row]}, a {whole}number from "
                f"{least:g} to {limit:g} is expected"
            )
        return shortest_decimals(values) if values.dtype == np.float32 else values.astype(dtype)

    rows = batch.num_rows
    # Map the distinct ids of this batch to indices into the ids of the file, then look up each row: [R].
    texts = batch.column("video_id").cast(pa.string()).dictionary_encode()
    if texts.null_count:
        raise FormatError(f"{path}: column video_id has {texts.null_count} empty cells; every row needs a value")
    index_of = np.array([videos.setdefault(text, len(videos)) for text in texts.dictionary.to_pylist()], np.int32)
    has_persons = "person_id" in batch.schema.names
    return AvaTable(
        tuple(videos),
        index_of[np.from_dlpack(texts.indices)],
        numbers("timestamp_seconds", np.float64, LARGEST_SECONDS) + start_seconds,
        np.stack([numbers(corner, np.float64, _LARGEST_CORNER) for corner in _CORNERS], axis=1),
        numbers("action_id", np.int32, GREATEST_ACTION_ID, least=0),
        np.full(rows, np.nan) if score is None else numbers(score, np.float64, _LARGEST_SCORE),
        numbers("person_id", np.int64, LARGEST_INT64) if has_persons else np.full(rows, -1, np.int64),
    )
