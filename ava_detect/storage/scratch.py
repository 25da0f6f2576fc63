"""Folders for what need not last. They vanish with their block or, where their process was killed, at the next look.

Workers are killed from outside, by limits, by whoever needs the machine's memory or the machine, and can then clear up
nothing themselves. So each folder has a lock beside it that ends with its process: what nobody holds is removed.
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

from ava_detect.errors import StoreError

_PREFIX, _LOCK = "ava-detect-", ".lock"
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}


@contextmanager
def scratch_folder(what: object) -> Iterator[Path]:
    """A new folder below the temporary folder (``TMPDIR``), for the block.

    ``StoreError`` that names ``what``, the folder and what to do, where its disk is full.
    """
    remove_abandoned()
    folder = Path(tempfile.gettempdir()) / f"{_PREFIX}{uuid4().hex[:16]}"
    lock = _lock_of(folder)
    # Held before there is a folder, so that whoever finds one without a holder may remove it.
    with room_for(what):
        lock.acquire()
    try:
        with room_for(what):
            folder.mkdir(mode=0o700)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _remove(lock)


@contextmanager
def room_for(what: object) -> Iterator[None]:
    """``StoreError``, as above, where something in the block finds the disk full."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        folder = tempfile.gettempdir()
        # Another machine, or this one a little later, may have room.
        raise StoreError(
            f"{what}: the disk of the temporary folder {folder} is full ({_free_mib(folder)} MiB are free); make room "
            "there, or set TMPDIR to a folder on a larger disk"
        ) from error


def remove_abandoned() -> None:
    """Remove the folders of processes that are no more; those of living ones stay, whoever's they are."""
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*{_LOCK}"):
        folder = path.with_suffix("")
        lock = _lock_of(folder)
        # Somebody is at work there, or it is another user's.
        with suppress(Timeout, OSError):
            lock.acquire(blocking=False)
            shutil.rmtree(folder, ignore_errors=True)
            _remove(lock)


def _lock_of(folder: Path) -> FileLock:
    # A generator may be closed by another thread than the one that began it.
    return FileLock(folder.with_name(folder.name + _LOCK), thread_local=False)


def _remove(lock: FileLock) -> None:
    """Remove a lock that is held; whoever waits for it sees that its file is gone and makes a new one."""
    with suppress(OSError):
        Path(lock.lock_file).unlink()
    lock.release()


def _free_mib(folder: str) -> int:
    with suppress(OSError):
        return shutil.disk_usage(folder).free >> 20
    return 0
