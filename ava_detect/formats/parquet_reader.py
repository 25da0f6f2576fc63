"""Reading rows of people and actions from Parquet: this package's results, or any table of the same columns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from ava_detect.errors import FormatError
from ava_detect.formats.ava_table import AvaTable, decimal_values

_ROWS_PER_PIECE = 1 << 17
_CORNERS = ("x1", "y1", "x2", "y2")
_NEEDED = ("video_id", "timestamp_seconds", *_CORNERS, "action_id")


def is_parquet_file(path: str | Path) -> bool:
    """Whether a regular file begins as Parquet does, whatever its name."""
    if not Path(path).is_file():
        return False
    with Path(path).open("rb") as file:
        return file.read(4) == b"PAR1"


def iter_parquet(path: str | Path | pq.ParquetFile, *, start_seconds: float = 0.0) -> Iterator[AvaTable]:
    """Read a Parquet file, by its path or open, piece by piece, in the order of its rows.

    Columns: ``video_id``, ``timestamp_seconds``, ``x1``, ``y1``, ``x2``, ``y2`` (fractions of the frame),
    ``action_id``; where present, ``action_score`` or ``score``, and ``person_id``. ``start_seconds`` is added to the
    timestamps, which in this package's results count from the start of the video (900 for AVA's trimmed files). A
    float32 is read as the shortest decimal that means it: a result scores the same from Parquet as from csv.
    Raises ``FormatError`` naming the file and the column.
    """
    videos: dict[str, int] = {}
    try:
        file = path if isinstance(path, pq.ParquetFile) else pq.ParquetFile(path)
        names = file.schema_arrow.names
        if missing := [name for name in _NEEDED if name not in names]:
            raise FormatError(f"{path}: no column {', '.join(missing)}; the file has {', '.join(names)}")
        score = next((name for name in ("action_score", "score") if name in names), None)
        optional = [name for name in (score, "person_id") if name in names]
        for batch in file.iter_batches(_ROWS_PER_PIECE, columns=[*_NEEDED, *optional]):
            yield _table(str(path), batch, videos, score, start_seconds)
    except (OSError, pa.ArrowInvalid) as error:
        raise FormatError(f"{path}: the Parquet file cannot be read ({error})") from error


def _table(path: str, batch: Any, videos: dict[str, int], score: str | None, start_seconds: float) -> AvaTable:
    def numbers(name: str, dtype: type[np.generic]) -> npt.NDArray[Any]:
        column = batch.column(name)
        if column.null_count:
            raise FormatError(f"{path}: column {name} has {column.null_count} empty cells; every row needs a value")
        if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
            raise FormatError(f"{path}: column {name} holds {column.type}, numbers are expected")
        values: npt.NDArray[Any] = np.from_dlpack(column)
        return decimal_values(values) if values.dtype == np.float32 else values.astype(dtype)

    rows = batch.num_rows
    texts = batch.column("video_id").cast(pa.string()).dictionary_encode()
    if texts.null_count:
        raise FormatError(f"{path}: column video_id has {texts.null_count} empty cells; every row needs a value")
    index_of = np.array([videos.setdefault(text, len(videos)) for text in texts.dictionary.to_pylist()], np.int32)
    scores = np.full(rows, np.nan) if score is None else numbers(score, np.float64)
    if score is not None and np.isnan(scores).any():
        raise FormatError(f"{path}: column {score} holds NaN; every detection needs a number")
    has_persons = "person_id" in batch.schema.names
    return AvaTable(
        tuple(videos),
        index_of[np.from_dlpack(texts.indices)],
        numbers("timestamp_seconds", np.float64) + start_seconds,
        np.stack([numbers(corner, np.float64) for corner in _CORNERS], axis=1),
        numbers("action_id", np.int32),
        scores,
        numbers("person_id", np.int64) if has_persons else np.full(rows, -1, np.int64),
    )
