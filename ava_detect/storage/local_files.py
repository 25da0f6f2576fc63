"""Atomic writing of local files, and removal of unfinished ones.

A file is written under a temporary name in its target's folder and then renamed, so a target is complete or absent.
Symbolic links are followed: the file that a link leads to is replaced, never the link. What is no regular file (a
device, a pipe, a descriptor such as ``/dev/stdout``) is written into, never replaced. ``-`` is the standard output.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import get_ident
from typing import IO

from ava_detect.storage.scratch import scratch_folder

TEMPORARY_MARK = ".unfinished-"
STANDARD_OUTPUT = Path("-")
# Muxers and image libraries choose the format by the suffix; longer ones are part of a name.
_MAX_SUFFIX_LENGTH = 16
_DESCRIPTORS = re.compile(r"/dev/fd|/proc/(?P<process>\d+)(/task/\d+)?/fd")
_MAX_LINKS = 40
# Errors of writing, of which Python tells no file name. Every other error without a name may be one of reading.
_WRITE_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NATIVE_WRITE_ERROR = re.compile(r"\(os error (\d+)\)")  # as libraries in Rust tell it


@contextmanager
def atomic_path(target: str | Path) -> Iterator[Path]:
    """Write a file atomically: yield a temporary path, and rename it to ``target`` when the block succeeds.

    The temporary name keeps the target's suffix (muxers choose the container by it) and contains the ids of the process
    and the thread, so no two writers share one. When the block raises, the temporary file is removed and an existing
    ``target`` stays unchanged. A replaced file passes on its permissions. Where ``target`` is no regular file, the
    temporary file lies in the system's temporary folder, and its content is written into ``target`` at the end.

    Args:
        target: The file to write; its folder is created where it is missing. ``-`` is the standard output.

    Yields:
        The temporary path; the block must create the file.

    Raises:
        OSError: If the file cannot be written; names ``target``, where possible before the block is run.
    """
    target = Path(target)
    if is_stream(target):
        with scratch_folder(target) as folder:
            temporary = folder / f"output{_suffix_of(target.name)}"
            yield temporary
            with _errors_of(target, temporary), temporary.open("rb") as content, _open_stream(target) as stream:
                shutil.copyfileobj(content, stream)
        return
    if "\0" in str(target):
        raise OSError(errno.EINVAL, "the name holds a NUL character", str(target))
    # The rename must replace the file that a link leads to.
    file = Path(os.path.realpath(target))
    temporary = file.with_name(temporary_name(file.name))
    try:
        with _errors_of(target, temporary):
            mode = _mode_of_writable(file, target)
            file.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            # A hard link has the permissions of the file that it is a second name of.
            if mode is not None and temporary.stat().st_nlink == 1:
                temporary.chmod(mode)
            temporary.replace(file)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def temporary_name(name: str) -> str:
    """Return the name under which this thread writes a file before it is renamed.

    Args:
        name: The file's own name.

    Returns:
        A short name with the suffix of ``name``, whose own length may be the most that a file system takes.
    """
    digest = hashlib.sha256(os.fsencode(name)).hexdigest()[:8]
    return f"{TEMPORARY_MARK}{os.getpid()}-{get_ident()}-{digest}{_suffix_of(name)}"


def is_stream(path: Path) -> bool:
    """Check whether a path is written into rather than replaced.

    Args:
        path: Any path of this machine.

    Returns:
        True for ``-``, an open descriptor (``/dev/stdout``, ``/dev/fd/3``, also through links) and anything that exists
        and is neither a regular file nor a folder, such as a device or a pipe.
    """
    if path == STANDARD_OUTPUT or _descriptor(path) is not None:
        return True
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def is_standard_output(path: str | Path) -> bool:
    """Check whether what is written to a path arrives where this process prints its results.

    Args:
        path: Any path of this machine.

    Returns:
        True for ``-``, and for a path that leads to the same file, pipe or terminal as the standard output.
    """
    path = Path(path)
    if path == STANDARD_OUTPUT:
        return True
    try:
        return is_stream(path) and os.path.samestat(path.stat(), os.fstat(1))
    except OSError:
        return False


def _descriptor(path: Path) -> str | None:
    """Return the path of the open descriptor that ``path`` is or leads to by links, ``/proc/PID/fd/N``; else None."""
    for _ in range(_MAX_LINKS):
        if "\0" in str(path):
            return None
        folder = os.path.realpath(path.parent)
        if _DESCRIPTORS.fullmatch(folder) and path.name.isdecimal():
            return f"{folder}/{path.name}"
        try:
            path = Path(folder, path.readlink())
        except OSError:
            return None
    return None


@contextmanager
def _open_stream(target: Path) -> Iterator[IO[bytes]]:
    """Open what ``is_stream`` is true of for writing; a descriptor of this process goes on where it stands."""
    if target == STANDARD_OUTPUT and hasattr(sys.stdout, "buffer"):
        yield sys.stdout.buffer
        sys.stdout.flush()
        return
    number = 1 if target == STANDARD_OUTPUT else _own_descriptor(target)
    if number == 1:
        sys.stdout.flush()
    with target.open("wb") if number is None else os.fdopen(os.dup(number), "wb") as stream:
        yield stream


def _own_descriptor(target: Path) -> int | None:
    """Return the number of the open descriptor of this process that ``target`` leads to, else None."""
    descriptor = _descriptor(target)
    if descriptor is None:
        return None
    folder, _, number = descriptor.rpartition("/")
    owner = _DESCRIPTORS.fullmatch(folder)
    return int(number) if owner is not None and owner["process"] in (None, str(os.getpid())) else None


def _mode_of_writable(file: Path, target: Path) -> int | None:
    """Return the permissions of an existing file, None where there is none; raise where it may not be replaced."""
    try:
        mode = file.lstat().st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(mode):  # only a link that leads in a circle is still one when its path has been resolved
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(target))
    if stat.S_ISDIR(mode):
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
    if not os.access(file, os.W_OK):
        # A rename would replace a file that is protected from writing.
        raise OSError(errno.EACCES, os.strerror(errno.EACCES), str(target))
    return stat.S_IMODE(mode)


@contextmanager
def _errors_of(target: Path, temporary: Path) -> Iterator[None]:
    """Name ``target`` in the errors of writing it; leave those of other files alone."""
    try:
        yield
    except Exception as error:
        cause = _write_error(error, temporary)
        if cause is None:
            raise
        raise OSError(cause.errno, cause.strerror or str(cause), str(target)) from error


def _write_error(error: BaseException | None, temporary: Path) -> OSError | None:
    """Return the first error in a chain that is of writing ``temporary``: torch and safetensors raise others for it."""
    while error is not None:
        if isinstance(error, OSError) and error.errno is not None:
            names = {str(name) for name in (error.filename, error.filename2) if name is not None}
            if str(temporary) in names or (not names and error.errno in _WRITE_ERRORS):
                return error
        if (found := _NATIVE_WRITE_ERROR.search(str(error))) and int(found[1]) in _WRITE_ERRORS:
            return OSError(int(found[1]), os.strerror(int(found[1])))
        error = error.__cause__ or error.__context__
    return None


def _suffix_of(name: str) -> str:
    suffix = Path(name).suffix
    return suffix if len(suffix) <= _MAX_SUFFIX_LENGTH and suffix.isascii() else ""


def write_text_atomic(target: str | Path, text: str) -> None:
    r"""Write a text file atomically.

    Args:
        target: The file to write; its folder is created where it is missing.
        text: The content, encoded as UTF-8. What UTF-8 cannot hold (the lone surrogates in file names that are not
            UTF-8) is written as ``\udcff``, which is also JSON's form of it.
    """
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


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
