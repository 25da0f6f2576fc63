"""Atomic writing of local files, removal of unfinished ones, and file hashes.

A file is written under a temporary name in its target's folder and then renamed, so a target is complete or absent.
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
    """Write a file atomically: yield a temporary path, and rename it to ``target`` when the block succeeds.

    The temporary name keeps the target's suffix (muxers choose the container by it) and contains the ids of the process
    and the thread, so no two writers share one. When the block raises, the temporary file is removed and an existing
    ``target`` stays unchanged.

    Args:
        target: The file to write; its folder is created where it is missing.

    Yields:
        The temporary path, in the folder of ``target``; the block must create the file.
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
    """Write a text file atomically.

    Args:
        target: The file to write; its folder is created where it is missing.
        text: The content, encoded as UTF-8.
    """
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


def complete_lines(path: Path) -> list[str]:
    """Read the complete lines of a file to which a running process appends lines.

    Args:
        path: A UTF-8 text file.

    Returns:
        The lines without their newlines, blank ones left out. A last line without a newline is left out too: its
        writer was interrupted.
    """
    return [line for line in path.read_text(encoding="utf-8").split("\n")[:-1] if line]


def remove_stale_temporaries(folder: str | Path) -> list[Path]:
    """Remove the temporary files that killed processes left in a folder; those of running processes stay.

    Args:
        folder: The folder; its subfolders are not searched.

    Returns:
        The paths of the removed files.
    """
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
        # The process exists but belongs to another user.
        return True
    return True


def sha256_of(path: str | Path) -> str:
    """Compute the SHA-256 of a file.

    Args:
        path: The file, read in blocks.

    Returns:
        64 hexadecimal digits.
    """
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
