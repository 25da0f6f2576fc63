"""The rule of what may be written where: never over an input, and over foreign files only where that was asked for.

Every function that writes files whose names its caller chose, or knows beforehand, calls ``check_output`` before any
work: an output is checked against the inputs by file, not by name, so that links, relative paths and file systems that
ignore case make no difference.

In Python, a file that the caller names is replaced, also a foreign one, unless ``overwrite`` is False; the commands
have False as their default. Foreign files in an output folder are not replaced by either unless that was asked for.
"""

from __future__ import annotations

import glob
import gzip
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from ava_detect.errors import ConfigError, shown
from ava_detect.storage.addresses import Address, is_address
from ava_detect.storage.local_files import is_stream

DEFAULT_OUT = "ava_results"  # in the current folder: where results go if the caller names no place
#: What is said of an existing file that no earlier call of the same kind wrote.
FOREIGN = "is not from an earlier run of this"
# A file, a folder, a glob or an address; several; or None, for an input that was not given.
Input = object
_FILE_SCHEMES = ("file://", "local://")


def check_output(
    out: str | Path,
    inputs: Mapping[str, Input],
    *,
    parameter: str = "out",
    is_own: Callable[[Path], bool] | None = None,
    overwrite: bool | None = False,
    otherwise: str = FOREIGN,
) -> None:
    """Refuse a file as an output that is one of the inputs, or that cannot be written, or that would be a loss.

    Args:
        out: The file to write. A device, a pipe or ``-`` is never refused.
        inputs: The inputs, by the names of the caller's parameters: files, folders, globs, addresses, lists of them.
            Any other value, such as None or the name of a shipped config, is passed over.
        parameter: The caller's parameter that names the output, for the message.
        is_own: Tells of an existing file whether an earlier call of the same kind wrote it, so that it may be replaced;
            None where any file but an input may be.
        overwrite: Replace an existing file of any origin; an input is refused all the same. None where the caller has
            no such parameter.
        otherwise: What is said of an existing file for which ``is_own`` is false.

    Raises:
        ConfigError: If ``out`` is an input or a folder, cannot be written, or exists and is foreign.
    """
    _check_file(Path(out), _Inputs(inputs), parameter, is_own, overwrite, otherwise)


def check_output_folder(
    out: str | Path,
    names: Iterable[str],
    inputs: Mapping[str, Input],
    *,
    parameter: str = "out",
    is_own: Callable[[Path], bool] | None = None,
    overwrite: bool | None = False,
) -> None:
    """Refuse a folder as an output if one of the files that will be written into it is refused.

    Args:
        out: The folder.
        names: The names of the files, relative to ``out``.
        inputs: The inputs, as for ``check_output``.
        parameter: The caller's parameter that names the folder, for the message.
        is_own: As for ``check_output``.
        overwrite: As for ``check_output``.

    Raises:
        ConfigError: If ``out`` is no folder, cannot be written to, or one of its files is refused.
    """
    folder = Path(out)
    if os.path.lexists(folder) and not folder.is_dir():
        raise ConfigError(
            f"`{parameter}` {shown(out)} cannot be written to (it is a file, and a folder is needed); choose another "
            "folder"
        )
    _check_writable(folder / "x", parameter, folder)
    known = _Inputs(inputs)
    for name in names:
        _check_file(folder / name, known, parameter, is_own, overwrite)


class _Inputs:
    """The files that are read, by their identity on this machine."""

    def __init__(self, inputs: Mapping[str, Input]) -> None:
        self._parameters: dict[tuple[int, int], str] = {}
        for name, source in _places(inputs):
            for path in _local_files(source):
                with suppress(OSError, ValueError):
                    state = path.stat()
                    self._parameters.setdefault((state.st_dev, state.st_ino), name)

    def parameter_of(self, path: Path) -> str | None:
        """The parameter that names the same file, which may have several names; None if it is no input."""
        try:
            state = path.stat()
        except (OSError, ValueError):
            return None
        return self._parameters.get((state.st_dev, state.st_ino))


def _check_file(
    path: Path,
    inputs: _Inputs,
    parameter: str,
    is_own: Callable[[Path], bool] | None,
    overwrite: bool | None,
    otherwise: str = FOREIGN,
) -> None:
    if is_stream(path):
        return
    source = inputs.parameter_of(path)
    if source is not None:
        raise ConfigError(
            f"`{parameter}` {shown(path)} is also an input (`{source}`), which would be lost; choose another name"
        )
    _check_writable(path, parameter, path)
    if is_own is None or overwrite or not path.exists() or is_own(path):
        return
    advice = "move it away or choose another name" + ("" if overwrite is None else ", or give `overwrite=True`")
    raise ConfigError(f"`{parameter}` {shown(path)} exists and {otherwise}, so it is not replaced; {advice}")


def refuse_inputs_inside(folder: Path, inputs: Mapping[str, Input], *, parameter: str = "out") -> None:
    """Refuse to delete a folder in which an input lies.

    Args:
        folder: The folder to be deleted.
        inputs: The inputs, as for ``check_output``.
        parameter: The caller's parameter that names the output, for the message.

    Raises:
        ConfigError: If an existing input lies in ``folder``.
    """
    for name, source in _places(inputs):
        local = _local(source)
        if (
            local is not None
            and local.exists()
            and Path(os.path.realpath(local)).is_relative_to(os.path.realpath(folder))
        ):
            raise ConfigError(
                f"{shown(local)} (`{name}`) is among the files of an earlier `{parameter}`, which would be replaced; "
                "choose another folder"
            )


def refuse_same_address(out: object, inputs: Mapping[str, Input], *, parameter: str = "out") -> None:
    """Refuse an address or folder as the place of a dataset or a training if it is one of the inputs itself.

    Args:
        out: A folder or an address.
        inputs: The inputs, as for ``check_output``.
        parameter: The caller's parameter that names the output, for the message.

    Raises:
        ConfigError: If ``out`` is one of the inputs.
    """
    for name, source in _places(inputs):
        if _identity(out) == _identity(source):
            raise ConfigError(f"`{parameter}` {shown(out)} is also an input (`{name}`); choose another")


def _places(inputs: Mapping[str, Input]) -> Iterator[tuple[str, str | Path | Address]]:
    """Yield every path and address of the inputs with the parameter that it comes from."""
    for name, value in inputs.items():
        values = [value] if isinstance(value, str | Path | Address) else value
        if not isinstance(values, Iterable):
            continue
        for place in values:
            if isinstance(place, str | Path | Address):
                yield name, place


def _local_files(source: str | Path | Address) -> Iterator[Path]:
    """Yield the path of an input on this machine, and what it matches where it is a glob."""
    local = _local(source)
    if local is not None:
        yield local
        if glob.has_magic(str(local)) and not os.path.lexists(local):
            yield from map(Path, glob.iglob(str(local), recursive=True))  # noqa: PTH207


def _local(source: object) -> Path | None:
    """Return the path of an input on this machine, None for an address elsewhere."""
    text = source.url if isinstance(source, Address) else str(source)
    for scheme in _FILE_SCHEMES:
        if text.lower().startswith(scheme):
            return Path(text[len(scheme) :])
    return None if is_address(text) else Path(text)


def _identity(place: object) -> str:
    local = _local(place)
    if local is not None:
        return os.path.realpath(local)
    address = place if isinstance(place, Address) else Address(str(place))
    return address.identity.rstrip("/")


def _check_writable(path: Path, parameter: str, named: Path) -> None:
    """Raise where a file cannot be written, about ``named``: before hours of work, not after."""
    reason = ""
    try:
        if path.is_dir():
            reason = "is a folder"
        elif path.is_file() and not os.access(path, os.W_OK):
            reason = "cannot be written to (it is protected from writing)"
        else:
            path.stat()
    except FileNotFoundError:
        folder = next((parent for parent in path.parents if os.path.lexists(parent)), Path())
        if not folder.is_dir():
            reason = f"cannot be written to ({shown(folder)} is no folder)"
        elif not os.access(folder, os.W_OK | os.X_OK):
            reason = f"cannot be written to (the folder {shown(folder)} is protected from writing)"
    except (OSError, ValueError) as error:
        reason = f"cannot be written to ({getattr(error, 'strerror', None) or error})"
    if reason:
        raise ConfigError(f"`{parameter}` {shown(named)} {reason}; choose another name")


def begins_with(*starts: bytes) -> Callable[[Path], bool]:
    """Return an ``is_own`` that knows files by their first bytes, such as the heading of a table.

    Args:
        *starts: The possible first bytes.

    Returns:
        A function that is true of a file that begins with one of ``starts``, and of an empty file.
    """

    def is_own(path: Path) -> bool:
        head = first_bytes(path, max(map(len, starts)))
        return not head or head.startswith(starts)

    return is_own


def first_bytes(path: Path, number: int = 4096) -> bytes:
    """Read the beginning of a file.

    Args:
        path: The file.
        number: Number of bytes.

    Returns:
        At most ``number`` bytes, decompressed where the file is gzipped; empty where it cannot be read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(number)
        if head.startswith(b"\x1f\x8b"):
            with gzip.open(path) as unpacked:
                head = unpacked.read(number)
    except (OSError, EOFError, zlib.error):
        return b""
    return head
