"""SHA-256 of files, computed once in a process: weights are compared with their known hash, and recorded."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path
from typing import IO, NamedTuple

from ava_detect.errors import require_file

# The coarsest steps of a file's times in common file systems, and some more.
_SECONDS_OF_ONE_TIME = 3.0


class _State(NamedTuple):
    """Which file it is, and what is different after it was written to."""

    device: int
    inode: int
    size: int
    modified_ns: int
    changed_ns: int


_known: dict[_State, str] = {}


def sha256_of(path: str | Path) -> str:
    """Compute the SHA-256 of a file. A file that was not changed since this process computed it is not read again.

    Args:
        path: The file, read in blocks.

    Returns:
        64 hexadecimal digits.

    Raises:
        OSError: The file cannot be read, or is a pipe or a device, which may have no end.
    """
    require_file(path)
    with Path(path).open("rb") as file:
        before = _state_of(file)
        if before in _known:
            return _known[before]
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        # A file that has just been written to may be changed again within one step of its times.
        is_settled = time.time() - before.modified_ns / 1e9 > _SECONDS_OF_ONE_TIME
        if is_settled and _state_of(file) == before:
            _known[before] = digest
    return digest


def _state_of(file: IO[bytes]) -> _State:
    state = os.fstat(file.fileno())
    return _State(state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)
