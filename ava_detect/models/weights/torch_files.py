"""Torch checkpoints: their tensors, memory-mapped where possible, without creating any other object in them.

``torch.load`` is not used: even with ``weights_only=True`` it refuses files that hold objects beside the weights, and
for torch's older format it allocates the memory that the file declares before it reads anything. Here the pickle
inside is interpreted without running it (``torch_pickle.py``), its declared sizes are checked against the file, and
the tensors that are needed become views of the file.
"""

from __future__ import annotations

import mmap
import os
import struct
import sys
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ava_detect.errors import WeightsError, shown
from ava_detect.models.weights.torch_pickle import StoredTensor, TorchPickle
from ava_detect.storage.pickles import PickleRefusedError

# Errors that torch and zipfile raise on damaged bytes, collected with random damage (tests/models/weights).
_DAMAGE = (
    *(RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError, AssertionError),
    *(OSError, ArithmeticError, MemoryError, struct.error, zlib.error, zipfile.BadZipFile),
)
_PICKLES_BEFORE_CONTENT = 3  # magic number, protocol version, system info
_MAX_STRUCTURE_BYTES = 64 * 2**20
# Of a zip archive; the last two fields are the lengths of the name and of the extra field.
_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_COUNT = struct.Struct("<q")  # the older format's number of items before each storage


@dataclass(frozen=True)
class TorchFile:
    """The structure of a torch checkpoint; ``tensors`` reads numbers from the file.

    Attributes:
        path: The file.
        content: The object in it: plain containers and values, ``StoredTensor``, ``InertObject``.
        skipped: Classes and functions of the objects that were not created.
        num_checksums: Number of parts whose checksums agree; 0 where the file has none.
    """

    path: Path
    content: Any
    skipped: tuple[str, ...]
    num_checksums: int
    _places: Mapping[str, _Place]
    _swapped: bool

    def tensors(self, stored: Mapping[str, StoredTensor]) -> dict[str, Tensor]:
        """Read tensors.

        Args:
            stored: Name -> tensor in the file.

        Returns:
            Name -> tensor on the CPU: views of the file, which stay valid while it is not changed, and copies where
            its numbers lie at odd positions, as in the older format.

        Raises:
            WeightsError: The file is damaged.
        """
        with _refusing(self.path):
            # A private mapping: what is written to it does not reach the file.
            whole: Any = torch.UntypedStorage.from_file(os.fspath(self.path), False, self.path.stat().st_size)
            pieces: dict[tuple[str, int, torch.dtype], torch.UntypedStorage] = {}
            return {name: self._tensor(whole, tensor, pieces) for name, tensor in stored.items()}

    def _tensor(
        self,
        whole: torch.UntypedStorage,
        tensor: StoredTensor,
        pieces: dict[tuple[str, int, torch.dtype], torch.UntypedStorage],
    ) -> Tensor:
        """One tensor; ``pieces``: the storages that are in memory, which tensors may share."""
        storage = tensor.storage
        if not storage.num_bytes:
            return torch.empty(tensor.shape, dtype=tensor.dtype)
        key = (storage.key, storage.first_item, tensor.dtype)
        if key not in pieces:
            start = self._places[storage.key].start + storage.first_item * storage.item_bytes
            if start % tensor.dtype.itemsize:
                piece = _copy(self.path, start, storage.num_bytes)
            else:
                piece = whole[start : start + storage.num_bytes]
            if self._swapped:
                piece.byteswap(tensor.dtype)
            pieces[key] = piece
        empty = torch.empty(0, dtype=tensor.dtype)
        return empty.set_(pieces[key], tensor.offset, tensor.shape, tensor.stride)


def _copy(path: Path, start: int, num_bytes: int) -> Any:
    """A storage with bytes of the file: read, not copied from the mapping, whose pages would stay in memory as well."""
    piece = torch.empty(num_bytes, dtype=torch.uint8)
    with path.open("rb") as file:
        file.seek(start)
        if file.readinto(piece.numpy().data) != num_bytes:
            raise PickleRefusedError("it is cut")
    return piece.untyped_storage()


@dataclass(frozen=True)
class _Place:
    """The bytes of a storage in the file."""

    start: int
    num_bytes: int


def open_torch(path: Path, *, is_zip: bool) -> TorchFile:
    """Read the structure of a file of ``torch.save``.

    Args:
        path: The file.
        is_zip: Whether it has torch's current format, a zip archive, or the older one.

    Returns:
        The structure.

    Raises:
        WeightsError: The file is damaged (in the current format the checksum of every part is compared), or declares
            more data than it has.
    """
    with _refusing(path):
        return _open_zip(path) if is_zip else _open_legacy(path)


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """Turn the errors of damaged bytes into one sentence."""
    try:
        yield
    except _DAMAGE as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise WeightsError(f"{path} is not a readable torch checkpoint ({shown(reason)}); download it again") from error


def _open_zip(path: Path) -> TorchFile:
    """Read the structure of an archive.

    Refused are one that declares more bytes than the file has, and one whose parts do not have their checksums.
    """
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
        # Files saved without checksums (``torch.serialization.set_crc32_options``) have zeros in their place.
        has_checksums = any(entry.CRC for entry in entries)
        if has_checksums and (damaged := archive.testzip()) is not None:
            raise PickleRefusedError(f"the checksum of its part {damaged} differs: bytes in it have changed")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        # Not by the archive's own reader, which would compare a checksum that may not be there.
        pickle = TorchPickle(_content(data, structure))
        content = pickle.load()
        places = {key: _place(data, names.get(("data", key)), s.num_bytes) for key, s in pickle.storages.items()}
        byteorder = _content(data, names[("byteorder",)]) if ("byteorder",) in names else b"little"
    return TorchFile(
        path,
        content,
        tuple(map(str, pickle.skipped)),
        len(entries) if has_checksums else 0,
        places,
        byteorder.decode() != sys.byteorder,
    )


def _place(data: mmap.mmap, entry: zipfile.ZipInfo | None, num_bytes: int) -> _Place:
    """The bytes of a storage for which the pickle declares ``num_bytes``."""
    if entry is None or entry.file_size < num_bytes:
        got = "is missing" if entry is None else f"has {entry.file_size}"
        raise PickleRefusedError(f"it declares a storage of {num_bytes} bytes that {got}")
    return _Place(_start(data, entry), num_bytes)


def _content(data: mmap.mmap, entry: zipfile.ZipInfo) -> bytes:
    """Read a part that is stored as it is."""
    start = _start(data, entry)
    return data[start : start + entry.file_size]


def _start(data: mmap.mmap, entry: zipfile.ZipInfo) -> int:
    """Position of a part's first byte; the whole part lies within the file."""
    # The name and the extra field stand between header and content.
    *_, name_bytes, extra_bytes = _LOCAL_HEADER.unpack_from(data, entry.header_offset)
    start = entry.header_offset + _LOCAL_HEADER.size + name_bytes + extra_bytes
    if start + entry.file_size > len(data):
        raise PickleRefusedError("it is cut")
    return int(start)


def _open_legacy(path: Path) -> TorchFile:
    """Read the structure of a file of the older format; storages that declare more bytes than it has are refused."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        start = 0
        for _ in range(_PICKLES_BEFORE_CONTENT):
            header = TorchPickle(data, start)
            header.load()
            start = header.end
        pickle = TorchPickle(data, start)
        content = pickle.load()
        declared = sum(storage.num_bytes for storage in pickle.storages.values())
        if declared > len(data):
            raise PickleRefusedError(f"it declares {declared} bytes of tensors in a file of {len(data)} bytes")
        return TorchFile(path, content, tuple(map(str, pickle.skipped)), 0, _legacy_places(data, pickle), False)


def _legacy_places(data: mmap.mmap, pickle: TorchPickle) -> dict[str, _Place]:
    """Key of a storage -> its bytes: after the pickle, the keys in their order, then each storage with its length."""
    order = TorchPickle(data, pickle.end)
    keys = order.load()
    position = order.end
    places: dict[str, _Place] = {}
    for key in map(str, keys):
        storage = pickle.storages[key]
        (num_items,) = _COUNT.unpack_from(data, position)
        position += _COUNT.size
        if num_items != storage.num_items or position + storage.num_bytes > len(data):
            raise PickleRefusedError("damaged or incomplete tensors")
        places[key] = _Place(position, storage.num_bytes)
        position += storage.num_bytes
    if missing := pickle.storages.keys() - places.keys():
        raise PickleRefusedError(f"its tensors {shown(', '.join(sorted(missing)[:3]))} are missing")
    return places
