"""Reading xml files of labels element by element, without entities: a few lines of them can expand to gigabytes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from xml.etree import ElementTree
from xml.parsers import expat

from ava_detect.errors import FormatError, require_file, shown

#: Files of labels have fewer bytes.
MAX_BYTES = 4 << 30
_DEEPEST = 100
_CHUNK_BYTES = 1 << 18
# Of the elements below the root, for recognition.
_FIRST_NAMES = 20


def read_xml(path: str | Path) -> ElementTree.Element:
    """Read a whole xml file.

    Args:
        path: The file.

    Returns:
        Its outermost element.

    Raises:
        FormatError: The file cannot be read, is no whole xml, is nested too deep or declares entities.
    """
    with _told(path), Path(path).open("rb") as file:
        parser = _Parser()
        for _ in parser.parse(file):
            pass
        parser.root.extend(parser.kept)
        return parser.root


def iter_children(path: str | Path, file: IO[bytes] | None = None) -> Iterator[ElementTree.Element]:
    """Read an xml file element by element; those that were read are not kept.

    Args:
        path: The file.
        file: Its open content, where it lies in an archive.

    Yields:
        The elements right below the outermost one, each whole, in the order of the file.

    Raises:
        FormatError: The file cannot be read, is no whole xml, is nested too deep or declares entities.
    """
    with _told(path):
        if file is not None:
            yield from _Parser(keep=False).parse(file)
            return
        with Path(path).open("rb") as opened:
            yield from _Parser(keep=False).parse(opened)


def names_of_xml(path: str | Path, file: IO[bytes] | None = None) -> list[str]:
    """Read the names of the first elements of an xml file, by which its layout is known.

    Args:
        path: The file.
        file: Its open content, where it lies in an archive.

    Returns:
        The name of the outermost element, then the distinct names of the first elements below it.

    Raises:
        FormatError: The file cannot be read, or its beginning is no xml.
    """
    with _told(path):
        parser = _Parser(keep=False)
        if file is not None:
            found = _first_names(parser, file)
        else:
            with Path(path).open("rb") as opened:
                found = _first_names(parser, opened)
        return [parser.root.tag, *dict.fromkeys(found)]


def _first_names(parser: _Parser, file: IO[bytes]) -> list[str]:
    return [element.tag for _, element in zip(range(_FIRST_NAMES), parser.parse(file), strict=False)]


class _Parser:
    """Builds elements from the events of expat, which knows no limits of its own.

    Args:
        keep: Whether the elements below the root stay in ``kept``.
    """

    def __init__(self, *, keep: bool = True) -> None:
        self.root = ElementTree.Element("")
        self.kept: list[ElementTree.Element] = []
        self._keep = keep
        self._builder: ElementTree.TreeBuilder | None = None
        self._depth = 0
        self._whole: list[ElementTree.Element] = []
        self._expat = expat.ParserCreate()
        self._expat.buffer_text = True
        self._expat.StartElementHandler = self._start
        self._expat.EndElementHandler = self._end
        self._expat.CharacterDataHandler = self._text
        self._expat.StartDoctypeDeclHandler = self._doctype

    def parse(self, file: IO[bytes]) -> Iterator[ElementTree.Element]:
        """Yield each element right below the root once it is whole."""
        while True:
            chunk = file.read(_CHUNK_BYTES)
            self._expat.Parse(chunk, not chunk)
            whole, self._whole = self._whole, []
            yield from whole
            if self._keep:
                self.kept.extend(whole)
            if not chunk:
                return

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ValueError(f"elements are nested more than {_DEEPEST} deep")
        if self._depth == 1:
            self.root = ElementTree.Element(name, attributes)
            return
        if self._depth == 2:
            self._builder = ElementTree.TreeBuilder()
        assert self._builder is not None
        self._builder.start(name, attributes)

    def _end(self, name: str) -> None:
        self._depth -= 1
        if self._depth == 0:
            return
        assert self._builder is not None
        self._builder.end(name)
        if self._depth == 1:
            self._whole.append(self._builder.close())

    def _text(self, text: str) -> None:
        if self._builder is not None and self._depth > 1:
            self._builder.data(text)

    def _doctype(self, *_: Any) -> None:
        raise ValueError("it has a document type declaration, which may hold entities that expand without end")


@contextmanager
def _told(path: str | Path) -> Iterator[None]:
    """Turn the errors of reading into ``FormatError``s that name the file."""
    try:
        require_file(path, max_bytes=MAX_BYTES)
        yield
    except FormatError:
        raise
    except expat.ExpatError as error:
        raise FormatError(
            f"{shown(path)}: the xml cannot be read ({expat.ErrorString(error.code)} at line {error.lineno}, column "
            f"{error.offset + 1}); export it again"
        ) from error
    except (OSError, ValueError, LookupError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FormatError(f"{shown(path)}: the xml cannot be read ({shown(reason)}); export it again") from error
