"""Files of results that are cut or something else under their name, found by their ends, without reading them whole."""

from __future__ import annotations

from pathlib import Path

PARQUET_MAGIC = b"PAR1"
#: Length of the end of a Parquet file: the length of its footer, 4 bytes, and the magic bytes.
PARQUET_END_BYTES = 8
#: The shortest file with both magic bytes and the length of a footer.
SMALLEST_PARQUET_BYTES = len(PARQUET_MAGIC) + PARQUET_END_BYTES


def is_parquet_end(end: bytes, num_bytes: int) -> bool:
    """Return whether the last bytes of a file are those of a whole Parquet file.

    Args:
        end: The last 8 bytes, or more.
        num_bytes: Size of the file.

    Returns:
        True where the magic bytes are there and the footer fits into the file.
    """
    footer_bytes = int.from_bytes(end[-PARQUET_END_BYTES:-4], "little")
    fits = 0 < footer_bytes <= num_bytes - SMALLEST_PARQUET_BYTES
    return len(end) >= PARQUET_END_BYTES and end.endswith(PARQUET_MAGIC) and fits


def is_whole_output(path: Path) -> bool:
    """Return whether a file of results is there, and whole as far as its ends show.

    Args:
        path: The file. Only Parquet has an end of its own; of other formats any file is whole.

    Returns:
        False where there is no such file, or a Parquet file is cut or something else.
    """
    if not path.is_file():
        return False
    if path.suffix != ".parquet":
        return True
    size = path.stat().st_size
    if size < SMALLEST_PARQUET_BYTES:
        return False
    with path.open("rb") as file:
        start = file.read(len(PARQUET_MAGIC))
        file.seek(-PARQUET_END_BYTES, 2)
        return start == PARQUET_MAGIC and is_parquet_end(file.read(), size)
