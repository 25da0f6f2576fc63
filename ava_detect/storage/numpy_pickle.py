"""Read pickles of numpy arrays and plain values without running them; all other objects are refused."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ava_detect.errors import shown
from ava_detect.storage.pickles import Global, PickleRefusedError, PlainPickle


@dataclass
class _PendingArray:
    """An array whose content follows later in the pickle."""

    array: np.ndarray[Any, Any] | None = field(default=None)


@dataclass
class _PendingDtype:
    """A dtype whose byte order follows later in the pickle."""

    dtype: np.dtype[Any]


_NUMPY = ("numpy.core.multiarray", "numpy._core.multiarray")
_ADMITTED = {
    *((module, name) for module in _NUMPY for name in ("_reconstruct", "scalar")),
    *((module, "_frombuffer") for module in ("numpy.core.numeric", "numpy._core.numeric")),
    *(("numpy", name) for name in ("ndarray", "dtype")),
    ("_codecs", "encode"),
    ("collections", "OrderedDict"),
    *((module, "bytes") for module in ("builtins", "__builtin__")),
}


class NumpyPickle(PlainPickle):
    """Admits numpy arrays of numbers and plain containers, and nothing else."""

    def load(self) -> Any:
        """Interpret the pickle.

        Returns:
            The object, with its numpy arrays in place.

        Raises:
            PickleRefusedError: The pickle is damaged, or contains more than arrays of numbers and plain values.
        """
        try:
            return _resolved(super().load())
        except RecursionError as error:
            raise PickleRefusedError("it is nested too deep") from error

    def admit(self, name: Global) -> Global:
        """Admit the globals of numpy's own pickles only.

        Args:
            name: The global.

        Returns:
            ``name``.

        Raises:
            PickleRefusedError: Another global.
        """
        if (name.module, name.name) not in _ADMITTED:
            super().admit(name)
        return name

    def call(self, function: Any, arguments: Any) -> Any:
        """Return the result of calling an admitted global, without calling it.

        Args:
            function: The global.
            arguments: Its arguments.

        Returns:
            An array, a dtype, a number, a byte string or a dictionary; arrays and dtypes may be completed later.

        Raises:
            PickleRefusedError: ``function`` is not an admitted function.
        """
        if not isinstance(function, Global):
            raise PickleRefusedError("it would call something that is not a function")
        match function.name:
            case "_reconstruct":
                return _PendingArray()
            case "dtype":
                return _PendingDtype(_plain_dtype(arguments[0]))
            case "scalar":
                return np.frombuffer(_bytes_of(arguments[1]), arguments[0].dtype, count=1).reshape(())
            case "_frombuffer":
                data, pending, shape, order = arguments
                return _PendingArray(_array(data, pending.dtype, shape, fortran=order == "F"))
            case "encode":
                return _bytes_of(arguments[0])
            case "OrderedDict":
                return dict(arguments[0]) if arguments else {}
            case "bytes" if not arguments:
                return b""
        raise PickleRefusedError(f"it would call {shown(function)}")

    def set_state(self, target: Any, state: Any) -> None:
        """Set the content of an array, or the byte order of a dtype.

        Args:
            target: A pending array or dtype.
            state: Its state, as numpy writes it.

        Raises:
            PickleRefusedError: Another object.
        """
        if isinstance(target, _PendingDtype):
            if state[1] in ("<", ">"):
                target.dtype = target.dtype.newbyteorder(state[1])
        elif isinstance(target, _PendingArray):
            _, shape, pending, fortran, data = state
            target.array = _array(data, pending.dtype, shape, fortran=bool(fortran))
        else:
            super().set_state(target, state)


def _plain_dtype(code: Any) -> np.dtype[Any]:
    """The dtype of a code such as ``"<f4"``; numbers and booleans only."""
    if not isinstance(code, str) or not re.fullmatch(r"[<>=|]?[fiub][1248]", code):
        raise PickleRefusedError(f"it holds an array of type {code!r}; only numbers are admitted")
    return np.dtype(code)


def _array(data: Any, dtype: np.dtype[Any], shape: Any, *, fortran: bool) -> np.ndarray[Any, Any]:
    """An array that is a view of the file; numpy checks that the shape fits the number of bytes."""
    flat = np.frombuffer(_bytes_of(data), dtype)
    return flat.reshape(tuple(shape), order="F" if fortran else "C")


def _bytes_of(data: Any) -> bytes | memoryview:
    # Python 2 wrote bytes as strings, one character per byte.
    return data.encode("latin-1") if isinstance(data, str) else memoryview(data)


def _resolved(value: Any, seen: set[int] | None = None) -> Any:
    """Replace pending arrays by their content, in dictionaries, lists and tuples, which may hold themselves."""
    seen = set() if seen is None else seen
    if isinstance(value, _PendingArray):
        return value.array
    if isinstance(value, tuple):
        return tuple(_resolved(item, seen) for item in value) if any(map(_may_hold_arrays, value)) else value
    if id(value) not in seen and isinstance(value, dict | list):
        seen.add(id(value))
        for key, item in list(value.items() if isinstance(value, dict) else enumerate(value)):
            if _may_hold_arrays(item):
                value[key] = _resolved(item, seen)
    return value


def _may_hold_arrays(value: Any) -> bool:
    return isinstance(value, dict | list | tuple | _PendingArray)
