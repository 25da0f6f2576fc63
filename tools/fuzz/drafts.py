"""A case, one bad call in a folder of its own, and the draft that a mutation makes it from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fuzz.calls import Call

# The working directory of a call below its case's folder: deep, so that a path that climbs out of --out is still seen.
WORK = Path("a", "b", "work")


@dataclass(frozen=True)
class Case:
    """One bad call, ready to run.

    Attributes:
        number: Its number; with the seed it determines the case.
        kind: What is bad: a kind of file, ``"name"``, ``"option"`` or ``"output"``; ``"good"`` where nothing is.
        call: The good call that it was made from.
        what: The mutation in words.
        root: The case's folder.
        arguments: The command line.
        writable: Paths that the call may write, and what is below them.
        named: Texts of which one must occur in what a failing call says; none where the mutation has no name.
        must_fail: Whether exit code 0 is a mistake.
        file_size: Greatest size of a written file, as on a full disk.
    """

    number: int
    kind: str
    call: Call
    what: str
    root: Path
    arguments: Sequence[str]
    writable: Sequence[Path] = ()
    named: Sequence[str] = ()
    must_fail: bool = False
    file_size: int | None = None

    @property
    def folder(self) -> Path:
        """The working directory of the call."""
        return self.root / WORK

    @property
    def command_line(self) -> list[str]:
        """The command, its sub-command and its arguments."""
        return [*self.call.command.split(), *self.arguments]


@dataclass
class Draft:
    """A case while it is made: the good call in its folder, which a mutation changes.

    Attributes:
        call: The good call.
        folder: Its working directory.
        words: Its arguments, filled in.
        places: Input or output of the template (``"truth.csv"``, ``">report"``) to its path, relative to ``folder``.
        named: See ``Case``.
        writable: Paths besides the outputs that may be written.
        must_fail: See ``Case``.
        file_size: See ``Case``.
    """

    call: Call
    folder: Path
    words: list[str]
    places: dict[str, str]
    named: list[str] = field(default_factory=list)
    writable: list[Path] = field(default_factory=list)
    must_fail: bool = False
    file_size: int | None = None

    def fill(self) -> None:
        """Fill the places of the template in."""
        self.words = [self._filled(word) for word in self.call.words]

    def _filled(self, word: str) -> str:
        for name, path in self.places.items():
            word = word.replace(f"{{{name}}}", path)
        return word
