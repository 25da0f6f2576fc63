"""What a file of labels looks like from outside: its kind, and the names by which a tool's layout is known."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ava_detect.errors import FormatError, require_file, shown
from ava_detect.results.importing.json_files import load_json
from ava_detect.results.importing.xml_files import MAX_BYTES, names_of_xml
from ava_detect.storage.outputs import first_bytes

_PICKLE = b"\x80"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_BOM = b"\xef\xbb\xbf"
_HEAD_BYTES = 1 << 16
_MAX_SHOWN_NAMES = 8


@dataclass(frozen=True)
class FileStart:
    """The outside of a file of labels.

    Attributes:
        path: The file or the folder.
        kind: ``folder``, ``zip``, ``pickle``, ``json``, ``xml``, ``table`` (text with commas, tabs or semicolons), or
            empty for another file.
        root: The name of the outermost element of xml; ``object`` or ``list`` of json.
        names: Of json the keys of the object, or of the first object of the list; of xml the names of the elements
            below the root; of a table the cells of the first line; of a zip file or a folder the names in it.
        head: The first bytes, decompressed; empty for a folder.
    """

    path: Path
    kind: str
    root: str = ""
    names: tuple[str, ...] = ()
    head: bytes = b""

    def has(self, *names: str) -> bool:
        """Tell whether all of some names are among ``names``.

        Args:
            *names: The names.

        Returns:
            Whether they are.
        """
        return set(names) <= set(self.names)

    def describe(self) -> str:
        """Describe the file for a message.

        Returns:
            A clause such as ``json, an object with project, config``.
        """
        listed = ", ".join(shown(name)[:40] for name in self.names[:_MAX_SHOWN_NAMES])
        more = ", ..." if len(self.names) > _MAX_SHOWN_NAMES else ""
        match self.kind:
            case "json":
                what = "an object" if self.root == "object" else f"a {self.root}"
                return f"json, {what} with {listed}{more}" if listed else f"json, {what}"
            case "xml":
                return f"xml, <{shown(self.root)[:40]}> with {listed}{more}"
            case "table":
                return f"a table that begins with {listed}{more}"
            case "zip" | "folder":
                return f"a {self.kind}{' file' if self.kind == 'zip' else ''} with {listed}{more}"
            case "pickle":
                return "a pickle"
        if not self.head:
            return "an empty file"
        return f"bytes that begin with {self.head[:12]!r}"


def look_at(path: str | Path) -> FileStart:
    """Look at a file of labels without interpreting it.

    Args:
        path: The file or the folder.

    Returns:
        Its outside.

    Raises:
        FormatError: There is no such file, it cannot be read, or it is neither whole json nor whole xml but begins
            like them.
    """
    path = Path(path)
    try:
        if path.is_dir():
            return FileStart(path, "folder", names=tuple(sorted(item.name for item in path.iterdir())))
        require_file(path, max_bytes=MAX_BYTES)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FormatError(f"{shown(path)} cannot be read ({shown(reason)}); give a file of labels") from error
    head = first_bytes(path, _HEAD_BYTES)
    text = head.removeprefix(_BOM).lstrip()
    if head.startswith(_ZIP):
        return FileStart(path, "zip", names=_members(path), head=head)
    if head.startswith(_PICKLE) or path.suffix.lower() in (".pkl", ".pickle"):
        return FileStart(path, "pickle", head=head)
    if text[:1] in (b"{", b"["):
        content = load_json(path)
        return FileStart(path, "json", "object" if isinstance(content, dict) else "list", _keys(content), head)
    if text[:1] == b"<":
        root, *names = names_of_xml(path)
        return FileStart(path, "xml", root, tuple(names), head)
    cells = _first_cells(head)
    return FileStart(path, "table" if len(cells) > 1 else "", names=cells, head=head)


def _members(path: Path) -> tuple[str, ...]:
    try:
        with zipfile.ZipFile(path) as archive:
            return tuple(archive.namelist())
    except (OSError, zipfile.BadZipFile, ValueError) as error:
        raise FormatError(f"{shown(path)}: the zip file cannot be read ({shown(error)}); download it again") from error


def _keys(content: Any) -> tuple[str, ...]:
    first = next(iter(content), None) if isinstance(content, list) else content
    return tuple(first) if isinstance(first, dict) else ()


def _first_cells(head: bytes) -> tuple[str, ...]:
    """Return the cells of the first line that is not blank and no comment; empty where the bytes are no text."""
    try:
        text = head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The head may end within a character.
        if error.end < len(head):
            return ()
        text = head[: error.start].decode("utf-8-sig")
    if "\0" in text:
        return ()
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            separator = max(",\t;", key=line.count)
            return tuple(cell.strip() for cell in _split(line, separator))
    return ()


def _split(line: str, separator: str) -> Sequence[str]:
    try:
        return next(csv.reader([line], delimiter=separator))
    except csv.Error:
        return line.split(separator)
