"""Files that appear whole or not at all, and their hashes.

Everything that is written goes to a temporary name beside its target first and is then renamed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import get_ident

TEMPORARY_MARK = ".unfinished-"


@contextmanager
def atomic_path(target: str | Path) -> Iterator[Path]:
    """Yield a temporary path in ``target``'s folder; rename it to ``target`` if the block ends well.

    The temporary name keeps the target's suffix (muxers go by it) and holds the process id and the thread's, so that no
    two share one. When the block raises, the temporary file is removed and an older
    ``target`` stays as it was.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f"{TEMPORARY_MARK}{os.getpid()}-{get_ident()}-{target.name}")
    try:
        yield temporary
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def write_text_atomic(target: str | Path, text: str) -> None:
    """Write ``text`` as UTF-8 in one atomic step."""
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


def whole_lines(path: Path) -> list[str]:
    """The lines of a file to which lines are appended; one without its newline was cut while it was written."""
    return [line for line in path.read_text(encoding="utf-8").split("\n")[:-1] if line]


def remove_stale_temporaries(folder: str | Path) -> list[Path]:
    """Remove the temporary files that killed processes left in ``folder``; those of living ones stay."""
    removed = []
    for path in Path(folder).glob(f"{TEMPORARY_MARK}*"):
        process = path.name.removeprefix(TEMPORARY_MARK).partition("-")[0]
        if process.isdigit() and not _is_running(int(process)):
            path.unlink(missing_ok=True)
            removed.append(path)
    return removed


def _is_running(process: int) -> bool:
    if process == os.getpid():
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        # It exists, but is somebody else's.
        return True
    return True


def sha256_of(path: str | Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
