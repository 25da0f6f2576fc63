"""Read pickles without running them: a small interpreter of the opcodes that plain data needs.

No class is ever looked up and nothing is called: a global is a pair of names, and each subclass defines the result of
calling one. Long strings are views of the file, so numpy arrays take no memory. Lengths cannot exceed the file's; the
number of opcodes is bounded, because a byte of pickle can create a far larger object.
"""

from __future__ import annotations

import mmap
import pickletools
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ava_detect.errors import shown

MAX_OPCODES = 2_000_000  # a training checkpoint of R101 has about 100,000
_FEWEST_VIEW_BYTES = 256  # shorter byte strings are copied
# Opcode -> bytes before its payload.
_PAYLOAD_OFFSET = {
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
    """The pickle is damaged, or contains more than plain data."""


@dataclass(frozen=True)
class Global:
    """A class or function that the pickle names; never looked up.

    Attributes:
        module: Name of its module.
        name: Name inside the module.
    """

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


class PlainPickle:
    """Interprets one pickle on a stack machine; subclasses define the results of names, calls and persistent ids.

    Attributes:
        max_opcodes: Largest number of operations, because a byte of pickle can create a far larger object.
    """

    max_opcodes: int = MAX_OPCODES

    def __init__(self, data: bytes | mmap.mmap, start: int = 0) -> None:
        """Prepare the interpreter; ``load`` runs it.

        Args:
            data: Content of the file.
            start: Position of the pickle's first byte.
        """
        self._data = data
        self._start = start
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self.end = start

    def load(self) -> Any:
        """Interpret the pickle; ``self.end`` is then the position after it.

        Returns:
            The object that the pickle describes.

        Raises:
            PickleRefusedError: The pickle is damaged, or contains more than is admitted.
        """
        try:
            return self._run()
        except PickleRefusedError:
            raise
        except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise PickleRefusedError("damaged or incomplete pickle data") from error

    def admit(self, name: Global) -> Any:
        """Return the value of a global.

        Args:
            name: The global.

        Returns:
            An object that represents it.

        Raises:
            PickleRefusedError: The global is not admitted; here none is.
        """
        raise PickleRefusedError(f"it names {shown(name)}; only numpy arrays and plain values are admitted")

    def call(self, function: Any, arguments: Any) -> Any:
        """Return the result of ``function(*arguments)``, without calling it.

        Args:
            function: A value that ``admit`` returned, or any other object of a damaged pickle.
            arguments: A tuple, or any other object of a damaged pickle.

        Returns:
            An object that represents the result.

        Raises:
            PickleRefusedError: The call is not admitted; here none is.
        """
        raise PickleRefusedError(f"it would call {shown(function)}")

    def set_state(self, target: Any, state: Any) -> None:
        """Set the pickled state of an object.

        Args:
            target: An object that ``call`` returned.
            state: Its state.

        Raises:
            PickleRefusedError: Setting a state is not admitted; here it never is.
        """
        raise PickleRefusedError(f"it would set the state of a {type(target).__name__}")

    def add_items(self, target: Any) -> None:
        """Add items to an object that is neither a list nor a dictionary.

        Args:
            target: The object.

        Raises:
            PickleRefusedError: This is not admitted; here it never is.
        """
        raise PickleRefusedError(f"it would add items to a {type(target).__name__}")

    def persistent(self, identity: Any) -> Any:
        """Return an object that is stored outside the pickle.

        Args:
            identity: Its persistent id.

        Returns:
            An object that represents it.

        Raises:
            PickleRefusedError: Persistent ids are not admitted; here none is.
        """
        raise PickleRefusedError("it refers to objects outside itself")

    def _run(self) -> Any:
        """Step through the opcodes until STOP; return the top of the stack."""
        stream: Any = self._data
        base = 0
        if isinstance(self._data, mmap.mmap):
            self._data.seek(self._start)
        else:
            stream, base = self._data[self._start :], self._start
        for count, (opcode, argument, position) in enumerate(pickletools.genops(stream)):
            if count > self.max_opcodes:
                raise PickleRefusedError(f"it holds more than {self.max_opcodes} operations")
            position = (position or 0) + base
            if opcode.name == "STOP":
                self.end = position + 1
                return self._stack.pop()
            self._step(opcode.name, argument, position)
        raise PickleRefusedError("damaged or incomplete pickle data")

    def _step(self, name: str, argument: Any, position: int) -> None:
        """Apply one opcode to the stack."""
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
        """Return the value of an opcode that carries data.

        Args:
            name: Name of the opcode.
            argument: The text, byte string or number.
            position: Position of the opcode in the file.

        Returns:
            A view of the file for long byte strings, otherwise ``argument``.
        """
        if name not in _PAYLOAD_OFFSET or len(argument) < _FEWEST_VIEW_BYTES:
            return argument
        begin = position + _PAYLOAD_OFFSET[name]
        return memoryview(self._data)[begin : begin + len(argument)]

    def _global(self, argument: str | None) -> Global:
        """The global of an opcode: its argument "module name", or the two topmost texts of the stack."""
        if argument is not None:
            module, _, name = argument.partition(" ")
        else:
            name, module = self._stack.pop(), self._stack.pop()
        if not isinstance(module, str) or not isinstance(name, str):
            raise PickleRefusedError("damaged or incomplete pickle data")
        return Global(module, name)

    def _since_mark(self) -> list[Any]:
        """Pop the stack's items down to the last mark, and the mark; return them in the order of the file."""
        items: list[Any] = []
        while (item := self._stack.pop()) is not _MARK:
            items.append(item)
        return items[::-1]

    def _fill(self, name: str) -> None:
        """Add the topmost items of the stack to the container below them."""
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
    """A dictionary of alternating keys and values."""
    keys = items[::2]
    # Only flat keys: hashing a tuple that is nested a million deep would crash the process.
    if not all(isinstance(part, _PLAIN) for key in keys for part in (key if isinstance(key, tuple) else (key,))):
        raise PickleRefusedError("it has a dictionary whose keys are not plain values")
    return dict(zip(keys, items[1::2], strict=True))


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
            The object, with the numpy arrays of its outer two levels of dictionaries in place.

        Raises:
            PickleRefusedError: The pickle is damaged, or contains more than arrays of numbers and plain values.
        """
        return _resolved(super().load())

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


def _resolved(value: Any) -> Any:
    """Replace pending arrays by their content, in up to two levels of dictionaries, which is all that caffe2 writes."""
    if isinstance(value, dict):
        return {key: _array_of(one) if not isinstance(one, dict) else _arrays_in(one) for key, one in value.items()}
    return _array_of(value)


def _arrays_in(blobs: dict[Any, Any]) -> dict[Any, Any]:
    return {key: _array_of(value) for key, value in blobs.items()}


def _array_of(value: Any) -> Any:
    return value.array if isinstance(value, _PendingArray) else value
