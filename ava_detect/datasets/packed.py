"""Long lists in a few tensors, so that the workers of a loader share them instead of each holding a copy.

A forked worker copies every page that it writes to, and Python writes to an object each time it looks at one: a list of
millions of objects is soon copied whole. A tensor is one object. A spawned worker gets tensors through shared memory.

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
    """Texts, one behind the other. ``text``: uint8, UTF-8. ``ends``: int64 ``[N]``, where each ends."""

    text: Tensor
    ends: Tensor

    @classmethod
    def of(cls, texts: Iterable[str]) -> Self:
        """Pack texts."""
        encoded = [text.encode() for text in texts]
        ends = np.cumsum([len(text) for text in encoded], dtype=np.int64)
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
        place = range(len(self))[index]
        start = int(self.ends[place - 1]) if place else 0
        return self.text[start : int(self.ends[place])].numpy().tobytes().decode()


@dataclass(frozen=True, eq=False)
class PackedLists:
    """Lists of small numbers, one behind the other. ``values``: any dtype. ``ends``: int64 ``[N]``."""

    values: Tensor
    ends: Tensor

    @classmethod
    def of(cls, values: npt.NDArray[np.generic], lengths: npt.NDArray[np.integer]) -> Self:
        """Pack lists of ``lengths [N]`` whose values stand one behind the other."""
        return cls(torch.from_numpy(np.ascontiguousarray(values)), torch.from_numpy(np.cumsum(lengths, dtype=np.int64)))

    def __len__(self) -> int:
        return len(self.ends)

    def bounds(self, index: int) -> tuple[int, int]:
        """From where to where in ``values`` list ``index`` reaches."""
        return int(self.ends[index - 1]) if index else 0, int(self.ends[index])

    def __getitem__(self, index: int) -> Tensor:
        start, end = self.bounds(index)
        return self.values[start:end]


class Recent(Generic[Value]):
    """What was made for the numbers asked for last, at most ``capacity`` of them; a copy for a worker begins empty."""

    def __init__(self, capacity: int, make: Callable[[int], Value]) -> None:
        self._capacity = capacity
        self._make = make
        self._kept: OrderedDict[int, Value] = OrderedDict()

    def __getitem__(self, number: int) -> Value:
        value = self._kept.pop(number) if number in self._kept else self._make(number)
        self._kept[number] = value
        if len(self._kept) > self._capacity:
            self._kept.popitem(last=False)
        return value

    def __reduce__(self) -> tuple[type[Self], tuple[int, Callable[[int], Value]]]:
        return type(self), (self._capacity, self._make)
