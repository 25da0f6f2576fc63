"""Torch checkpoints: ``torch.load(weights_only=True)``, after their sizes have been checked against the file.

Torch's older format takes the memory that the file declares before it reads anything, and a compressed zip can grow
a thousandfold; so the pickle inside is looked through first (``pickles.py``), without running it.
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

from ava_detect.errors import WeightsError
from ava_detect.models.weights.pickles import Global, PickleRefusedError, PlainPickle

# The first pickle of torch's older format: its magic number, protocol 2.
LEGACY_MAGIC = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
# What torch and zipfile raise on damaged bytes, as random damage has shown (tests/models/weights).
_DAMAGE = (
    *(RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError, AssertionError),
    *(OSError, ArithmeticError, MemoryError, struct.error, zlib.error),
)
_PICKLES_BEFORE_CONTENT = 3  # magic number, protocol version, system info
_MAX_STRUCTURE_BYTES = 64 * 2**20
_ITEM_BYTES = {
    **dict.fromkeys(("DoubleStorage", "LongStorage", "ComplexFloatStorage"), 8),
    **dict.fromkeys(("FloatStorage", "IntStorage", "QInt32Storage"), 4),
    **dict.fromkeys(("HalfStorage", "BFloat16Storage", "ShortStorage"), 2),
    "ComplexDoubleStorage": 16,
}


def load_torch(path: Path, *, is_zip: bool) -> Any:
    """What ``torch.save`` put into the file, mapped rather than read where the format allows it.

    ``WeightsError`` when it is damaged, declares more than it holds, or holds code.
    """
    try:
        if is_zip:
            _check_zip(path)
        else:
            _check_legacy(path)
        with warnings.catch_warnings():
            # On what a damaged pickle looks like; it is refused a moment later, or harmless.
            warnings.simplefilter("ignore", UserWarning)
            return torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except (PickleRefusedError, zipfile.BadZipFile, NotImplementedError) as error:
        raise WeightsError(f"{path} is not a readable torch checkpoint ({error}); download it again") from error
    except pickle.UnpicklingError as error:
        # torch's own text goes on to advise the unsafe way of loading.
        culprit = re.search(r"GLOBAL (\S+)", str(error))
        what = f" ({culprit[1]})" if culprit else ""
        raise WeightsError(
            f"{path} is not a readable torch checkpoint (it holds something other than tensors and plain values{what})"
            "; save its state dict alone and give that file"
        ) from error
    except _DAMAGE as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise WeightsError(f"{path} is not a readable torch checkpoint ({reason}); download it again") from error


@dataclass(frozen=True)
class _Storage:
    num_items: int


class _SizeProbe(PlainPickle):
    """Adds up what a torch pickle declares; names and calls mean nothing here, torch itself refuses the wrong ones."""

    def __init__(self, data: bytes | mmap.mmap, start: int = 0) -> None:
        super().__init__(data, start)
        self.bytes_of_storage: dict[str, int] = {}

    def admit(self, name: Global) -> Global:
        """Any name, as a name."""
        return name

    def call(self, function: Any, arguments: Any) -> Any:
        """Nothing, but a tensor must lie within its storage."""
        rebuilds = isinstance(function, Global) and function.name.startswith("_rebuild_")
        if rebuilds and arguments and isinstance(arguments[0], _Storage):
            _check_extent(arguments[0], *arguments[1:4])
        return object()

    def payload(self, name: str, argument: Any, position: int) -> Any:
        """A copy, so that nothing holds on to the file."""
        return argument

    def set_state(self, target: Any, state: Any) -> None:
        """Nothing: what is filled in was counted when it was read."""

    def add_items(self, target: Any) -> None:
        """Nothing, for the same reason."""

    def persistent(self, identity: Any) -> _Storage:
        """The storage of some tensors, counted once."""
        _, kind, key, _, num_items, *_ = identity
        if not isinstance(num_items, int) or num_items < 0:
            raise PickleRefusedError("damaged or incomplete pickle data")
        item_bytes = _ITEM_BYTES.get(kind.name, 1) if isinstance(kind, Global) else 1
        self.bytes_of_storage[str(key)] = num_items * item_bytes
        return _Storage(num_items)


def _check_extent(storage: _Storage, offset: int, shape: tuple[int, ...], stride: tuple[int, ...]) -> None:
    reach = offset + sum((n - 1) * step for n, step in zip(shape, stride, strict=True)) + 1
    size = math.prod(shape)
    if min((offset, *shape, *stride)) < 0 or (size and (reach > storage.num_items or size > storage.num_items)):
        raise PickleRefusedError(f"a tensor of shape {list(shape)} is declared over {storage.num_items} numbers")


def _check_zip(path: Path) -> None:
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
        probe = _SizeProbe(archive.read(structure))
    probe.load()
    for key, num_bytes in probe.bytes_of_storage.items():
        record = names.get(("data", key))
        if record is None or record.file_size < num_bytes:
            got = "is not there" if record is None else f"has {record.file_size}"
            raise PickleRefusedError(f"it declares a storage of {num_bytes} bytes that {got}")


def _check_legacy(path: Path) -> None:
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
