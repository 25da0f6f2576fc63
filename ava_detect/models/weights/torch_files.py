"""Torch checkpoints: ``torch.load(weights_only=True)``, after their sizes have been checked against the file.

For torch's older format, ``torch.load`` allocates the memory that the file declares before it reads anything, and a
compressed zip can grow a thousandfold; so the pickle inside is interpreted first (``pickles.py``), without running it.
"""

from __future__ import annotations

import math
import mmap
import pickle
import re
import struct
import warnings
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ava_detect.errors import WeightsError, shown
from ava_detect.storage.pickles import Global, PickleRefusedError, PlainPickle

# Errors that torch and zipfile raise on damaged bytes, collected with random damage (tests/models/weights).
_DAMAGE = (
    *(RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError, AssertionError),
    *(OSError, ArithmeticError, MemoryError, struct.error, zlib.error),
)
_PICKLES_BEFORE_CONTENT = 3  # magic number, protocol version, system info
_MAX_STRUCTURE_BYTES = 64 * 2**20
# Of a zip archive; the last two fields are the lengths of the name and of the extra field.
_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_ITEM_BYTES = {
    **dict.fromkeys(("DoubleStorage", "LongStorage", "ComplexFloatStorage"), 8),
    **dict.fromkeys(("FloatStorage", "IntStorage", "QInt32Storage"), 4),
    **dict.fromkeys(("HalfStorage", "BFloat16Storage", "ShortStorage"), 2),
    "ComplexDoubleStorage": 16,
}


def load_torch(path: Path, *, is_zip: bool) -> Any:
    """Load the object in a file of ``torch.save``; tensors are memory-mapped where the format allows it.

    Args:
        path: The file.
        is_zip: Whether it has torch's current format, a zip archive, or the older one.

    Returns:
        The object, with its tensors on the CPU.

    Raises:
        WeightsError: The file is damaged (in the current format the checksum of every part is compared), declares more
            data than it has, or contains more than tensors and plain values.
    """
    try:
        if is_zip:
            _check_zip(path)
        else:
            _check_legacy(path)
        with warnings.catch_warnings():
            # Warnings about damaged pickles: these are refused below or harmless.
            warnings.simplefilter("ignore", UserWarning)
            return torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except (PickleRefusedError, zipfile.BadZipFile, NotImplementedError) as error:
        raise WeightsError(f"{path} is not a readable torch checkpoint ({shown(error)}); download it again") from error
    except pickle.UnpicklingError as error:
        # torch's own text would recommend the unsafe way of loading.
        culprit = re.search(r"GLOBAL (\S+)", str(error))
        what = f" ({shown(culprit[1])})" if culprit else ""
        raise WeightsError(
            f"{path} is not a readable torch checkpoint (it holds something other than tensors and plain values{what})"
            "; save its state dict alone and give that file"
        ) from error
    except _DAMAGE as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise WeightsError(f"{path} is not a readable torch checkpoint ({shown(reason)}); download it again") from error


def count_checksums(path: Path) -> int:
    """Count the parts of a file of torch's current format whose checksums ``load_torch`` compares.

    Args:
        path: The file.

    Returns:
        The number of parts; 0 for a file that was saved without checksums (``torch.serialization.set_crc32_options``).
    """
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    return len(entries) if _has_checksums(entries) else 0


def _has_checksums(entries: list[zipfile.ZipInfo]) -> bool:
    return any(entry.CRC for entry in entries)


@dataclass(frozen=True)
class _Storage:
    """The memory of one or more tensors, of which only the size matters."""

    num_items: int


class _SizeProbe(PlainPickle):
    """Adds up the sizes that a torch pickle declares; any global is admitted, since torch itself refuses wrong ones."""

    def __init__(self, data: bytes | mmap.mmap, start: int = 0) -> None:
        super().__init__(data, start)
        self.bytes_of_storage: dict[str, int] = {}

    def admit(self, name: Global) -> Global:
        """Admit any global.

        Args:
            name: The global.

        Returns:
            ``name``.
        """
        return name

    def call(self, function: Any, arguments: Any) -> Any:
        """Check that a rebuilt tensor lies within its storage.

        Args:
            function: The global that is called.
            arguments: Its arguments.

        Returns:
            A placeholder.

        Raises:
            PickleRefusedError: The tensor is larger than its storage.
        """
        rebuilds = isinstance(function, Global) and function.name.startswith("_rebuild_")
        if rebuilds and arguments and isinstance(arguments[0], _Storage):
            _check_extent(arguments[0], *arguments[1:4])
        return object()

    def payload(self, name: str, argument: Any, position: int) -> Any:
        """Return the data itself rather than a view, so that the file can be closed.

        Args:
            name: Name of the opcode.
            argument: The text, byte string or number.
            position: Position of the opcode in the file.

        Returns:
            ``argument``.
        """
        return argument

    def set_state(self, target: Any, state: Any) -> None:
        """Ignore the state: its storages are already counted.

        Args:
            target: A placeholder.
            state: Its state.
        """

    def add_items(self, target: Any) -> None:
        """Ignore the items: their storages are already counted.

        Args:
            target: A placeholder.
        """

    def persistent(self, identity: Any) -> _Storage:
        """Count the size of a storage, once per key.

        Args:
            identity: The persistent id: type, key, device and number of items.

        Returns:
            The storage.

        Raises:
            PickleRefusedError: The number of items is not a number of at least 0.
        """
        _, kind, key, _, num_items, *_ = identity
        if not isinstance(num_items, int) or num_items < 0:
            raise PickleRefusedError("damaged or incomplete pickle data")
        item_bytes = _ITEM_BYTES.get(kind.name, 1) if isinstance(kind, Global) else 1
        self.bytes_of_storage[str(key)] = num_items * item_bytes
        return _Storage(num_items)


def _check_extent(storage: _Storage, offset: int, shape: tuple[int, ...], stride: tuple[int, ...]) -> None:
    """Refuse a tensor that lies partly outside its storage."""
    # One past the position of the last number in the storage.
    reach = offset + sum((n - 1) * step for n, step in zip(shape, stride, strict=True)) + 1
    size = math.prod(shape)
    if min((offset, *shape, *stride)) < 0 or (size and (reach > storage.num_items or size > storage.num_items)):
        raise PickleRefusedError(f"a tensor of shape {list(shape)} is declared over {storage.num_items} numbers")


def _check_zip(path: Path) -> None:
    """Refuse an archive that declares more bytes than the file has, or whose parts do not have their checksums."""
    size = path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        names = {tuple(entry.filename.split("/")[1:]): entry for entry in entries}
        if ("data.pkl",) not in names:
            raise PickleRefusedError("a zip archive, but not one of torch.save")
        if any(name[0] == "code" for name in names if name):
            raise PickleRefusedError("a TorchScript program; give the checkpoint it was made from")
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise PickleRefusedError("its parts are compressed, which torch.save never does")
        declared = sum(entry.file_size for entry in entries)
        if declared > size:
            raise PickleRefusedError(f"it declares {declared} bytes in a file of {size} bytes")
        structure = names[("data.pkl",)]
        if structure.file_size > _MAX_STRUCTURE_BYTES:
            raise PickleRefusedError(f"its structure alone takes {structure.file_size} bytes")
        if _has_checksums(entries) and (damaged := archive.testzip()) is not None:
            raise PickleRefusedError(f"the checksum of its part {damaged} differs: bytes in it have changed")
        # Not by the archive's own reader, which would compare a checksum that may not be there.
        probe = _SizeProbe(_content(path, structure))
    probe.load()
    for key, num_bytes in probe.bytes_of_storage.items():
        record = names.get(("data", key))
        if record is None or record.file_size < num_bytes:
            got = "is missing" if record is None else f"has {record.file_size}"
            raise PickleRefusedError(f"it declares a storage of {num_bytes} bytes that {got}")


def _content(path: Path, entry: zipfile.ZipInfo) -> bytes:
    """Read a part that is stored as it is."""
    with path.open("rb") as file:
        file.seek(entry.header_offset)
        header = file.read(_LOCAL_HEADER.size)
        if len(header) < _LOCAL_HEADER.size:
            raise PickleRefusedError("it is cut")
        # The name and the extra field stand between header and content.
        *_, name_bytes, extra_bytes = _LOCAL_HEADER.unpack(header)
        file.seek(name_bytes + extra_bytes, 1)
        return file.read(entry.file_size)


def _check_legacy(path: Path) -> None:
    """Refuse a file of the older format whose storages declare more bytes than the file has."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        start = 0
        for _ in range(_PICKLES_BEFORE_CONTENT):
            header = _SizeProbe(data, start)
            header.load()
            start = header.end
        probe = _SizeProbe(data, start)
        probe.load()
        declared = sum(probe.bytes_of_storage.values())
        if declared > len(data):
            raise PickleRefusedError(f"it declares {declared} bytes of tensors in a file of {len(data)} bytes")
