"""Long lists in a few tensors, so that the workers of a loader share them instead of each holding a copy.

A forked worker copies every memory page that it writes to, and Python writes an object's reference count on each
access: a list of millions of objects is soon copied whole. A tensor is one object. A spawned worker receives tensors
through shared memory.

Shapes: N entries.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Self, TypeVar, overload

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Value = TypeVar("Value")


@dataclass(frozen=True, eq=False)
class PackedStrings(Sequence[str]):
    """A sequence of strings, concatenated in one tensor.

    Attributes:
        text: uint8, the UTF-8 bytes of all strings.
        ends: int64 ``[N]``, the end of each string in ``text``.
    """

    text: Tensor
    ends: Tensor

    @classmethod
    def of(cls, texts: Iterable[str]) -> Self:
        """Pack strings.

        Args:
            texts: The strings.

        Returns:
            The packed strings, in the same order.
        """
        encoded = [text.encode() for text in texts]
        ends = np.cumsum([len(text) for text in encoded], dtype=np.int64)
        # frombuffer refuses an empty buffer: one byte, which no string contains, takes its place.
        return cls(torch.frombuffer(bytearray(b"".join(encoded) or b"\0"), dtype=torch.uint8), torch.from_numpy(ends))

    def __len__(self) -> int:
        return len(self.ends)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        position = range(len(self))[index]  # resolves negative indices and raises IndexError
        start = int(self.ends[position - 1]) if position else 0
        return self.text[start : int(self.ends[position])].numpy().tobytes().decode()


@dataclass(frozen=True, eq=False)
class PackedLists:
    """A sequence of lists of small numbers, concatenated in one tensor.

    Attributes:
        values: The values of all lists, ``[sum of lengths, ...]``, any dtype.
        ends: int64 ``[N]``, the end of each list in ``values``.
    """

    values: Tensor
    ends: Tensor

    @classmethod
    def of(cls, values: npt.NDArray[np.generic], lengths: npt.NDArray[np.integer]) -> Self:
        """Pack lists.

        Args:
            values: The values of all lists, concatenated: ``[sum of lengths, ...]``.
            lengths: int ``[N]``, the length of each list.

        Returns:
            The packed lists, in the same order.
        """
        return cls(torch.from_numpy(np.ascontiguousarray(values)), torch.from_numpy(np.cumsum(lengths, dtype=np.int64)))

    def __len__(self) -> int:
        return len(self.ends)

    def bounds(self, index: int) -> tuple[int, int]:
        """Return start and end of a list in ``values``.

        Args:
            index: The list, from 0.

        Returns:
            The index of its first value, and the index after its last one.
        """
        return int(self.ends[index - 1]) if index else 0, int(self.ends[index])

    def __getitem__(self, index: int) -> Tensor:
        start, end = self.bounds(index)
        return self.values[start:end]


class LruCache(Generic[Value]):
    """Values by number, computed on first access; the least recently used ones are dropped.

    Pickling keeps the function but not the values, so that the copy in a worker starts empty.
    """

    def __init__(self, capacity: int, make: Callable[[int], Value]) -> None:
        """Create an empty cache.

        Args:
            capacity: Largest number of values that are kept.
            make: Computes the value of a number.
        """
        self._capacity = capacity
        self._make = make
        self._kept: OrderedDict[int, Value] = OrderedDict()  # least recently used first

    def __getitem__(self, number: int) -> Value:
        value = self._kept.pop(number) if number in self._kept else self._make(number)
        self._kept[number] = value
        if len(self._kept) > self._capacity:
            self._kept.popitem(last=False)
        return value

    def __reduce__(self) -> tuple[type[Self], tuple[int, Callable[[int], Value]]]:
        return type(self), (self._capacity, self._make)
