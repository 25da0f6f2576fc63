"""Read pickles without running them: a small interpreter of the opcodes that plain data needs.

No class is ever looked up and nothing is called: a global is a pair of names, and each subclass defines the result of
calling one. Long strings are views of the file, so numpy arrays take no memory. Lengths cannot exceed the file's; the
number of opcodes is bounded, because a byte of pickle can create a far larger object.
"""

from __future__ import annotations

import mmap
import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

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

    def odd_key(self, key: Any) -> Any:
        """Return what stands in place of a dictionary's key that is no plain value.

        Args:
            key: The key.

        Returns:
            A key that can be hashed.

        Raises:
            PickleRefusedError: Such keys are not admitted; here they never are.
        """
        raise PickleRefusedError("it has a dictionary whose keys are not plain values")

    def other_operation(self, name: str, argument: Any) -> None:
        """Apply an opcode that plain data does not need.

        Args:
            name: Name of the opcode.
            argument: The argument in the opcode.

        Raises:
            PickleRefusedError: The opcode is not admitted; here none is.
        """
        raise PickleRefusedError(f"it uses the pickle operation {name}, which plain data does not need")

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
            stack.append(tuple(items) if name == "TUPLE" else items if name == "LIST" else self._paired(items))
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
            self.other_operation(name, argument)

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
            target.update(self._paired(items))
        elif isinstance(target, list):
            target.extend(items)
        else:
            self.add_items(target)

    def _paired(self, items: list[Any]) -> dict[Any, Any]:
        """A dictionary of alternating keys and values."""
        keys = [key if _is_plain(key) else self.odd_key(key) for key in items[::2]]
        return dict(zip(keys, items[1::2], strict=True))


def _is_plain(key: Any) -> bool:
    """Whether a key is a plain value or a flat tuple: hashing a tuple nested a million deep would crash the process."""
    return all(isinstance(part, _PLAIN) for part in (key if isinstance(key, tuple) else (key,)))
