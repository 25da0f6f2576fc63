"""Reading pickles without running them: a small interpreter of the opcodes that plain data needs.

No class is ever looked up and nothing is called: a global is a pair of names, and each subclass decides what calling
one *means*. Long strings stay where they are in the file, so numpy arrays are views of it and cost no memory. Lengths
are checked against the file by construction; the number of opcodes is bounded, because a byte of pickle can make a
far larger object.
"""

from __future__ import annotations

import mmap
import pickletools
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

MAX_OPCODES = 2_000_000  # a training checkpoint of R101 has some 100,000
_LONG = 256
# Opcode -> bytes before its payload.
_PAYLOAD_AT = {
    "BINSTRING": 5,
    "SHORT_BINSTRING": 2,
    "BINBYTES": 5,
    "SHORT_BINBYTES": 2,
    "BINBYTES8": 9,
    "BYTEARRAY8": 9,
}
_TEXT_OR_NUMBER = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING", "BINSTRING"),
    *("SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
    *("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY: dict[str, Callable[[], Any]] = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_MARK = object()
_PLAIN = (str, bytes, int, float, type(None))


class PickleRefusedError(ValueError):
    """The pickle is damaged, or wants more than plain data."""


@dataclass(frozen=True)
class Global:
    """A class or function that the pickle names; never looked up."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


class PlainPickle:
    """Runs one pickle on a stack machine; subclasses say what names, calls and persistent ids mean."""

    def __init__(self, data: bytes | mmap.mmap, start: int = 0) -> None:
        """``data``: the file; the pickle begins at ``start``."""
        self._data = data
        self._start = start
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self.end = start

    def load(self) -> Any:
        """The object that the pickle describes; ``self.end`` is then the place after it."""
        try:
            return self._run()
        except PickleRefusedError:
            raise
        except (ValueError, IndexError, KeyError, TypeError, OverflowError) as error:
            raise PickleRefusedError("damaged or incomplete pickle data") from error

    def admit(self, name: Global) -> Any:
        """What stands for a global; raises ``PickleRefusedError`` for one that has no business here."""
        raise PickleRefusedError(f"it names {name}; only numpy arrays and plain values are admitted")

    def call(self, function: Any, arguments: Any) -> Any:
        """What ``function(*arguments)`` stands for."""
        raise PickleRefusedError(f"it would call {function}")

    def set_state(self, target: Any, state: Any) -> None:
        """What giving ``target`` its pickled state means."""
        raise PickleRefusedError(f"it would set the state of a {type(target).__name__}")

    def add_items(self, target: Any) -> None:
        """What adding items to something that is neither list nor dictionary means."""
        raise PickleRefusedError(f"it would add items to a {type(target).__name__}")

    def persistent(self, identity: Any) -> Any:
        """What an object kept outside the pickle stands for."""
        raise PickleRefusedError("it refers to objects outside itself")

    def _run(self) -> Any:
        stream: Any = self._data
        base = 0
        if isinstance(self._data, mmap.mmap):
            self._data.seek(self._start)
        else:
            stream, base = self._data[self._start :], self._start
        for count, (opcode, argument, position) in enumerate(pickletools.genops(stream)):
            if count > MAX_OPCODES:
                raise PickleRefusedError(f"it holds more than {MAX_OPCODES} operations")
            position = (position or 0) + base
            if opcode.name == "STOP":
                self.end = position + 1
                return self._stack.pop()
            self._step(opcode.name, argument, position)
        raise PickleRefusedError("damaged or incomplete pickle data")

    def _step(self, name: str, argument: Any, position: int) -> None:
        stack = self._stack
        if name in _TEXT_OR_NUMBER:
            stack.append(self.payload(name, argument, position))
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            stack.append(_EMPTY[name]())
        elif name in ("MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT"):
            self._memo[len(self._memo) if argument is None else argument] = stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(self._memo[argument])
        elif name == "MARK":
            stack.append(_MARK)
        elif name in _TUPLES:
            count = _TUPLES[name]
            stack[-count:] = [tuple(stack[-count:])]
        elif name in ("TUPLE", "LIST", "DICT"):
            items = self._since_mark()
            stack.append(tuple(items) if name == "TUPLE" else items if name == "LIST" else _paired(items))
        elif name in ("APPEND", "APPENDS", "SETITEM", "SETITEMS"):
            self._fill(name)
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            stack.append(self.admit(self._global(argument)))
        elif name in ("REDUCE", "NEWOBJ"):
            arguments = stack.pop()
            stack.append(self.call(stack.pop(), arguments))
        elif name == "BUILD":
            state = stack.pop()
            self.set_state(stack[-1], state)
        elif name in ("BINPERSID", "PERSID"):
            stack.append(self.persistent(stack.pop() if name == "BINPERSID" else argument))
        elif name not in ("PROTO", "FRAME"):
            raise PickleRefusedError(f"it uses the pickle operation {name}, which plain data does not need")

    def payload(self, name: str, argument: Any, position: int) -> Any:
        """A text, byte string or number: long byte strings as views of the file, everything else as it is."""
        if name not in _PAYLOAD_AT or len(argument) < _LONG:
            return argument
        begin = position + _PAYLOAD_AT[name]
        return memoryview(self._data)[begin : begin + len(argument)]

    def _global(self, argument: str | None) -> Global:
        if argument is not None:
            module, _, name = argument.partition(" ")
        else:
            name, module = self._stack.pop(), self._stack.pop()
        if not isinstance(module, str) or not isinstance(name, str):
            raise PickleRefusedError("damaged or incomplete pickle data")
        return Global(module, name)

    def _since_mark(self) -> list[Any]:
        items: list[Any] = []
        while (item := self._stack.pop()) is not _MARK:
            items.append(item)
        return items[::-1]

    def _fill(self, name: str) -> None:
        count = {"APPEND": 1, "SETITEM": 2}.get(name)
        items = self._since_mark() if count is None else [self._stack.pop() for _ in range(count)][::-1]
        target = self._stack[-1]
        if isinstance(target, dict):
            target.update(_paired(items))
        elif isinstance(target, list):
            target.extend(items)
        else:
            self.add_items(target)


def _paired(items: list[Any]) -> dict[Any, Any]:
    keys = items[::2]
    # Only flat keys: hashing a tuple that is nested a million deep would end the process.
    if not all(isinstance(part, _PLAIN) for key in keys for part in (key if isinstance(key, tuple) else (key,))):
        raise PickleRefusedError("a dictionary of it has keys that are no plain values")
    return dict(zip(keys, items[1::2], strict=True))


@dataclass
class _PendingArray:
    """An array of which the pickle has not given the contents yet."""

    array: np.ndarray[Any, Any] | None = field(default=None)


@dataclass
class _PendingDtype:
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
        """The object, with its arrays at any depth of dictionaries in place."""
        return _resolved(super().load())

    def admit(self, name: Global) -> Global:
        """Only the names that numpy's own pickles hold."""
        if (name.module, name.name) not in _ADMITTED:
            super().admit(name)
        return name

    def call(self, function: Any, arguments: Any) -> Any:
        """Each of the admitted names' meaning, without calling it."""
        if not isinstance(function, Global):
            raise PickleRefusedError("it would call something that is no function")
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
        raise PickleRefusedError(f"it would call {function}")

    def set_state(self, target: Any, state: Any) -> None:
        """The contents of an array, or the byte order of a dtype."""
        if isinstance(target, _PendingDtype):
            if state[1] in ("<", ">"):
                target.dtype = target.dtype.newbyteorder(state[1])
        elif isinstance(target, _PendingArray):
            _, shape, pending, fortran, data = state
            target.array = _array(data, pending.dtype, shape, fortran=bool(fortran))
        else:
            super().set_state(target, state)


def _plain_dtype(code: Any) -> np.dtype[Any]:
    if not isinstance(code, str) or not re.fullmatch(r"[<>=|]?[fiub][1248]", code):
        raise PickleRefusedError(f"it holds an array of type {code!r}; only numbers are admitted")
    return np.dtype(code)


def _array(data: Any, dtype: np.dtype[Any], shape: Any, *, fortran: bool) -> np.ndarray[Any, Any]:
    """A view of the file; numpy compares the shape with the bytes that are there."""
    flat = np.frombuffer(_bytes_of(data), dtype)
    return flat.reshape(tuple(shape), order="F" if fortran else "C")


def _bytes_of(data: Any) -> bytes | memoryview:
    # Python 2 wrote bytes as strings, one character a byte.
    return data.encode("latin-1") if isinstance(data, str) else memoryview(data)


def _resolved(value: Any) -> Any:
    """``value`` with the arrays that were pending; through two levels of dictionaries, all that a blobs file has."""
    if isinstance(value, dict):
        return {key: _array_of(one) if not isinstance(one, dict) else _arrays_in(one) for key, one in value.items()}
    return _array_of(value)


def _arrays_in(blobs: dict[Any, Any]) -> dict[Any, Any]:
    return {key: _array_of(value) for key, value in blobs.items()}


def _array_of(value: Any) -> Any:
    return value.array if isinstance(value, _PendingArray) else value
