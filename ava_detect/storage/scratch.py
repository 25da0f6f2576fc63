"""Temporary folders, removed at the end of their block or, if their process was killed, by a later process.

A worker that is killed (by a time limit, for memory, by the job scheduler) cannot remove its own folder. Each folder
therefore has a lock file beside it, which the operating system releases when the process ends. A folder whose lock is
not held is removed.
"""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout

from ava_detect.errors import StoreError, shown

_PREFIX, _LOCK_SUFFIX = "ava-detect-", ".lock"
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT}


@contextmanager
def scratch_folder(what: object) -> Iterator[Path]:
    """Create a temporary folder for the duration of the block, in the system's temporary folder (``TMPDIR``).

    Args:
        what: The file or video the folder is for; named in the error message.

    Yields:
        The path of the folder, readable by this user only.

    Raises:
        StoreError: If the disk is full, also where the block finds it full.
    """
    remove_abandoned_folders()
    folder = Path(tempfile.gettempdir()) / f"{_PREFIX}{uuid4().hex[:16]}"
    lock = _lock_of(folder)
    # The lock is acquired before the folder is created: a folder without a held lock is always an abandoned one.
    with disk_full_as_store_error(what):
        lock.acquire()
    try:
        with disk_full_as_store_error(what):
            folder.mkdir(mode=0o700)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _remove(lock)


@contextmanager
def disk_full_as_store_error(what: object) -> Iterator[None]:
    """Convert "disk full" errors of the block to a ``StoreError`` that says how to make room.

    Args:
        what: The file or video being processed; named in the error message.

    Raises:
        StoreError: If the block raises ``OSError`` because a disk or a quota is full.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK_FULL:
            raise
        folder = tempfile.gettempdir()
        # A StoreError, because another attempt may succeed: on another machine, or on this one later.
        raise StoreError(
            f"{shown(what)}: the disk of the temporary folder {shown(folder)} is full "
            f"({_free_mib(folder)} MiB are free); make room there, or set TMPDIR to a folder on a larger disk"
        ) from error


def remove_abandoned_folders() -> None:
    """Remove the temporary folders of processes that have ended; those of running processes stay."""
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*{_LOCK_SUFFIX}"):
        folder = path.with_suffix("")
        lock = _lock_of(folder)
        # Timeout: the process is still running. OSError: the folder belongs to another user.
        with suppress(Timeout, OSError):
            lock.acquire(blocking=False)
            shutil.rmtree(folder, ignore_errors=True)
            _remove(lock)


def _lock_of(folder: Path) -> FileLock:
    # A generator may be closed by a different thread than the one that started it.
    return FileLock(folder.with_name(folder.name + _LOCK_SUFFIX), thread_local=False)


def _remove(lock: FileLock) -> None:
    """Remove a held lock; a process that waits for it sees that the file was removed and creates a new one."""
    with suppress(OSError):
        Path(lock.lock_file).unlink()
    lock.release()


def _free_mib(folder: str) -> int:
    with suppress(OSError):
        return shutil.disk_usage(folder).free >> 20
    return 0
