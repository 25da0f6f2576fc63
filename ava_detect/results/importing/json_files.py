"""Reading json files of labels: with a limit, and each once although several functions look into it."""

from __future__ import annotations

import gzip
import json
import zlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from ava_detect.errors import FormatError, require_file, shown
from ava_detect.formats.json_values import MALFORMED, reason_of

_MAX_BYTES = 1 << 30  # parsed, a file takes several times its size


def load_json(path: str | Path) -> Any:
    """Read a json file.

    Args:
        path: The file, UTF-8 with or without a byte order mark, gzipped or not.

    Returns:
        The value, which several callers share: it is not to be changed. NaN and infinities are None.

    Raises:
        FormatError: The file cannot be read, is no json, or is nested too deep.
    """
    path = Path(path)
    try:
        require_file(path, max_bytes=_MAX_BYTES)
        state = path.stat()
        return _parsed(path, state.st_mtime_ns, state.st_size)
    except OSError as error:
        raise FormatError(f"{shown(path)} cannot be read ({shown(error.strerror or error)})") from error
    except (EOFError, zlib.error, *MALFORMED) as error:
        raise FormatError(f"{shown(path)}: the json cannot be read ({reason_of(error)}); export it again") from error


def forget_json() -> None:
    """Free the file that was read last."""
    _parsed.cache_clear()


@lru_cache(maxsize=1)
def _parsed(path: Path, modified: int, size: int) -> Any:
    """Parse a file, gzipped or not; the other arguments tell a changed file from the one that was read."""
    with path.open("rb") as file:
        is_gzip = file.read(2) == b"\x1f\x8b"
    with gzip.open(path) if is_gzip else path.open("rb") as content:
        data = content.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise ValueError(f"it has more than {_MAX_BYTES:,} bytes")
    return json.loads(data.decode("utf-8-sig"), parse_constant=_no_number)


def _no_number(text: str) -> None:
    """Take NaN and infinities for null: no JSON has them, but BORIS writes NaN where an event has no time."""
