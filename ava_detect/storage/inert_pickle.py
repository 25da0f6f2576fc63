"""Read pickles of any content without running them: objects of classes become inert stand-ins.

For files that a trainer filled with whatever it held (``argparse.Namespace``, paths, optimisers). ``pickles.py`` is
stricter, for files that need plain values only.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from typing import Any

from ava_detect.storage.pickles import Global, PickleRefusedError, PlainPickle

_SET = Global("builtins", "set")
_KEY = Global("builtins", "object")
_EXTENSION = Global("copyreg", "extension")


@dataclass(frozen=True, eq=False)
class InertObject:
    """Stands for an object that was not created.

    Attributes:
        origin: The class or function that would have created it.
    """

    origin: Global

    def __str__(self) -> str:
        return str(self.origin)


class InertPickle(PlainPickle):
    """Interprets every opcode; results of calls are ``InertObject``, and their states and items are dropped.

    Attributes:
        skipped: The classes and functions that were not called, in the order of the file.
    """

    def __init__(self, data: bytes | mmap.mmap, start: int = 0) -> None:
        """Prepare the interpreter; ``load`` runs it.

        Args:
            data: Content of the file.
            start: Position of the pickle's first byte.
        """
        super().__init__(data, start)
        self.skipped: dict[Global, None] = {}

    def admit(self, name: Global) -> Any:
        """Admit any global, which stays a pair of names.

        Args:
            name: The global.

        Returns:
            ``name``.
        """
        return name

    def call(self, function: Any, arguments: Any) -> Any:
        """Return a stand-in for the result of a call.

        Args:
            function: The global that would be called, or any other object of a damaged pickle.
            arguments: Its arguments, which are dropped.

        Returns:
            An ``InertObject``.

        Raises:
            PickleRefusedError: ``function`` is a plain value.
        """
        origin = function.origin if isinstance(function, InertObject) else function
        if not isinstance(origin, Global):
            raise PickleRefusedError("it would call something that is not a function")
        self.skipped[origin] = None
        return InertObject(origin)

    def set_state(self, target: Any, state: Any) -> None:
        """Drop the state of an object.

        Args:
            target: A stand-in, or a dictionary of a class of its own.
            state: Its state.
        """

    def add_items(self, target: Any) -> None:
        """Drop the items of an object.

        Args:
            target: A stand-in.
        """

    def odd_key(self, key: Any) -> Any:
        """Return a stand-in for a dictionary's key that is no plain value.

        Args:
            key: The key.

        Returns:
            An ``InertObject``, which equals no other key.
        """
        return InertObject(_KEY)

    def other_operation(self, name: str, argument: Any) -> None:
        """Apply an opcode that plain data does not need.

        Args:
            name: Name of the opcode.
            argument: The argument in the opcode.
        """
        stack = self._stack
        match name:
            case "POP":
                stack.pop()
            case "POP_MARK" | "ADDITEMS":
                self._since_mark()
            case "DUP":
                stack.append(stack[-1])
            case "EMPTY_SET":
                stack.append(InertObject(_SET))
            case "FROZENSET":
                self._since_mark()
                stack.append(InertObject(_SET))
            case "INST":
                arguments = self._since_mark()
                stack.append(self.call(self.admit(self._global(argument)), tuple(arguments)))
            case "OBJ":
                function, *arguments = self._since_mark()
                stack.append(self.call(function, tuple(arguments)))
            case "NEWOBJ_EX":
                function, arguments, _ = stack[-3:]
                stack[-3:] = [self.call(function, arguments)]
            case "EXT1" | "EXT2" | "EXT4":
                stack.append(InertObject(_EXTENSION))
            case _:
                super().other_operation(name, argument)
