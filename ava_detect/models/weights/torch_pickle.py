"""The pickle in a torch checkpoint: which tensor lies where, without creating any object.

Only torch's own records of plain tensors become ``StoredTensor``; every other object is an ``InertObject``. What the
names mean: ``torch/_utils.py`` and ``torch/serialization.py`` of PyTorch 2.8.
"""

from __future__ import annotations

import math
import mmap
from dataclasses import dataclass
from typing import Any

import torch

from ava_detect.storage.inert_pickle import InertPickle
from ava_detect.storage.pickles import Global, PickleRefusedError

_DTYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
}
_QINT32 = "QInt32Storage"  # of quantised tensors, which are not read, the only storage with items of several bytes
_TENSORS = ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3")
_PARAMETERS = ("_rebuild_parameter", "_rebuild_parameter_with_state", "Parameter")
_MAPPINGS = (Global("collections", "OrderedDict"), Global("builtins", "dict"), Global("__builtin__", "dict"))


@dataclass(frozen=True)
class StoredStorage:
    """The memory of one or more tensors, as the file declares it.

    Attributes:
        key: Name of the storage in the file.
        dtype: Type of its items; None for plain bytes and for types that are not read.
        num_items: Number of items.
        item_bytes: Size of one item.
        first_item: Position of the first item; not 0 only for views, which torch's older format has.
    """

    key: str
    dtype: torch.dtype | None
    num_items: int
    item_bytes: int
    first_item: int = 0

    @property
    def num_bytes(self) -> int:
        """Size of the storage."""
        return self.num_items * self.item_bytes


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in the file.

    Attributes:
        storage: Its memory.
        dtype: Type of its numbers.
        offset: Position of its first number in the storage, in numbers.
        shape: Its shape.
        stride: Its strides, in numbers.
    """

    storage: StoredStorage
    dtype: torch.dtype
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


class TorchPickle(InertPickle):
    """Interprets the pickle of a torch checkpoint.

    Attributes:
        storages: Key -> the storage that the pickle declares under it.
    """

    def __init__(self, data: bytes | mmap.mmap, start: int = 0) -> None:
        """Prepare the interpreter; ``load`` runs it.

        Args:
            data: Content of the pickle or of the file.
            start: Position of the pickle's first byte.
        """
        super().__init__(data, start)
        self.storages: dict[str, StoredStorage] = {}

    def call(self, function: Any, arguments: Any) -> Any:
        """Return the tensor or dictionary that a call of torch's own functions stands for.

        Args:
            function: The global that would be called.
            arguments: Its arguments.

        Returns:
            A ``StoredTensor`` or a dictionary; for any other function an ``InertObject``.

        Raises:
            PickleRefusedError: A tensor lies partly outside its storage, or the pickle is damaged.
        """
        if function in _MAPPINGS:
            return self._paired([part for pair in arguments[0] for part in pair]) if arguments else {}
        if isinstance(function, Global) and function.module.partition(".")[0] == "torch":
            if function.name in _TENSORS and isinstance(arguments[0], StoredStorage):
                storage, offset, shape, stride, *others = arguments
                # (requires_grad, hooks, dtype, metadata)
                of_type = others[2] if function.name == "_rebuild_tensor_v3" else None
                return _tensor(storage, offset, shape, stride, of_type) or super().call(function, arguments)
            if function.name in _PARAMETERS and isinstance(arguments[0], StoredTensor):
                return arguments[0]
            if function.name == "_rebuild_from_type_v2":  # a tensor with attributes: (function, type, arguments, state)
                return self.call(arguments[0], arguments[2])
        return super().call(function, arguments)

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

    def persistent(self, identity: Any) -> Any:
        """Record a storage.

        Args:
            identity: The persistent id: ``"storage"``, type, key, device and number of items, in the older format also
                the view; or ``"module"`` with the class of a module and its source.

        Returns:
            The storage; an ``InertObject`` for a module's class.

        Raises:
            PickleRefusedError: The number of items is not a number of at least 0.
        """
        if identity[0] == "module":
            return self.call(identity[1], ())
        _, kind, key, _, num_items, *view = identity
        if not isinstance(num_items, int) or num_items < 0:
            raise PickleRefusedError("damaged or incomplete pickle data")
        name = kind.name if isinstance(kind, Global) else ""
        dtype = _DTYPES.get(name)
        item_bytes = dtype.itemsize if dtype else 4 if name == _QINT32 else 1
        storage = StoredStorage(str(key), dtype, num_items, item_bytes)
        # One storage may be named by several ids; the largest declaration is checked against the file.
        known = self.storages.setdefault(storage.key, storage)
        if storage.num_bytes > known.num_bytes:
            self.storages[storage.key] = storage
        if not view or view[0] is None:
            return storage
        _, first, size = view[0]
        if min(first, size) < 0 or first + size > num_items:
            raise PickleRefusedError("damaged or incomplete pickle data")
        return StoredStorage(storage.key, dtype, size, item_bytes, first)


def _tensor(storage: StoredStorage, offset: Any, shape: Any, stride: Any, of_type: Any) -> StoredTensor | None:
    """A tensor over a storage; None for a type that is not read. ``of_type``: its type, where the storage has none."""
    dtype = storage.dtype
    if isinstance(of_type, Global):
        dtype = vars(torch).get(of_type.name) if of_type.module == "torch" else None
    if not isinstance(dtype, torch.dtype):
        dtype = None
    num_items = storage.num_bytes // (dtype.itemsize if dtype else storage.item_bytes)
    # One past the position of the last number in the storage.
    reach = offset + sum((n - 1) * step for n, step in zip(shape, stride, strict=True)) + 1
    size = math.prod(shape)
    if min((offset, *shape, *stride)) < 0 or (size and (reach > num_items or size > num_items)):
        raise PickleRefusedError(f"a tensor of shape {list(shape)} is declared over {num_items} numbers")
    return StoredTensor(storage, dtype, offset, tuple(shape), tuple(stride)) if dtype else None
