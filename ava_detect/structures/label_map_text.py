"""Parsing the text of label maps: protobuf's text format, and plain lists of ids and names.

Of protobuf's text format (https://protobuf.dev/reference/protobuf/textformat-spec), all of the syntax is read and the
fields of AVA's and TensorFlow's label maps are used. A list has one action a line, ``1: walk``, ``1,walk`` or
``1 walk``; a csv may have a header that names its columns. Time and memory are linear in the length of the text.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from ava_detect.errors import FormatError, shown

#: Action ids are whole numbers from 0 to this one, in label maps and in every file of annotations or results.
GREATEST_ACTION_ID = 1_000_000
_MOST_ACTIONS = 32_767  # label columns are int16
_LONGEST_SHOWN = 60


class LabelEntry(NamedTuple):
    """One action of a label map.

    Attributes:
        id: The id, 0 to ``GREATEST_ACTION_ID``.
        name: The name, not empty, without control characters.
        label_type: AVA's kind of action, such as ``PERSON_MOVEMENT``; empty where the map has none.
        line: The line of the text on which the entry begins, from 1.
    """

    id: int
    name: str
    label_type: str
    line: int


def parse_label_map(text: str, where: str, *, distinct_names: bool = True) -> list[LabelEntry]:
    """Parse a label map.

    Args:
        text: The content of the file.
        where: The name of the file in error messages.
        distinct_names: Whether two actions of one name are refused.

    Returns:
        The entries in the order of the text, with distinct ids.

    Raises:
        FormatError: The text is no label map, an id is out of range, or two entries have one id, or one name where
            that is refused; names ``where`` and the line.
    """
    entries: list[LabelEntry] = []
    line_of_id: dict[int, int] = {}
    entry_of_name: dict[str, LabelEntry] = {}
    for entry in _list_entries(text, where) if _is_list(text) else _Parser(text, where).entries():
        if entry.id in line_of_id:
            raise FormatError(
                f"{where}: id {entry.id} is given twice, in line {line_of_id[entry.id]} and in line {entry.line}; "
                "every action needs its own id"
            )
        if distinct_names and (other := entry_of_name.get(entry.name)) is not None:
            raise FormatError(
                f"{where}: ids {other.id} (line {other.line}) and {entry.id} (line {entry.line}) are both called "
                f"{_brief(entry.name)}; give each action a name of its own"
            )
        line_of_id[entry.id], entry_of_name[entry.name] = entry.line, entry
        entries.append(entry)
        if len(entries) > _MOST_ACTIONS:
            raise FormatError(
                f"{where}: a label map has at most {_MOST_ACTIONS:,} actions; line {entry.line} is one more"
            )
    if not entries:
        raise FormatError(f"{where}: the label map is empty; it needs at least one 'item {{ name id }}'")
    return entries


def _checked_entry(id_text: str, name: str, label_type: str, where: str, line: int) -> LabelEntry:
    """Return an entry whose id and name are checked."""
    where = f"{where}, line {line}"
    action_id = _whole_number(id_text)
    if action_id is None or not 0 <= action_id <= GREATEST_ACTION_ID:
        raise FormatError(f"{where}: an id is a whole number from 0 to {GREATEST_ACTION_ID}, got {_brief(id_text)}")
    if not name.strip():
        raise FormatError(f"{where}: the name of id {action_id} is empty; every action needs a name")
    if any(unicodedata.category(character) in ("Cc", "Zl", "Zp") for character in name):
        raise FormatError(f"{where}: the name of id {action_id} has a line end or control character: {_brief(name)}")
    return LabelEntry(action_id, name, label_type, line)


def _whole_number(text: str) -> int | None:
    """Read a whole number as protobuf's text format writes it: decimal, octal ``017`` or hexadecimal ``0x1F``."""
    match = re.fullmatch(r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0([0-7]+)|(0|[1-9][0-9]*))", text)
    if match is None:
        return None
    sign, hexadecimal, octal, decimal = match.groups()
    digits, base = (hexadecimal, 16) if hexadecimal else (octal, 8) if octal else (decimal, 10)
    # Python refuses to convert thousands of digits; so many are beyond any range anyway.
    number = int(digits, base) if len(digits) <= 30 else 10**30
    return -number if sign == "-" else number


def _brief(text: object) -> str:
    """Write text of a file into a message: quoted, printable and short."""
    short = shown(text)
    return f"'{short if len(short) <= _LONGEST_SHOWN else short[: _LONGEST_SHOWN - 3] + '...'}'"


# Protobuf's text format.

_STRING_BODY = {quote: rf"(?:[^{quote}\\\n]+|\\[^\n])*+" for quote in "\"'"}
_TOKEN = re.compile(
    rf"""(?P<skip>[^\S\n]+|\#[^\n]*)
    |(?P<newline>\n)
    |(?P<string>"{_STRING_BODY['"']}"|'{_STRING_BODY["'"]}')
    |(?P<word>[^\s{{}}\[\]<>:;,"'\#]+)
    |(?P<other>.)""",
    re.VERBOSE,
)
_ESCAPE = re.compile(
    r"\\(?:(?P<octal>[0-7]{1,3})|[xX](?P<hex>[0-9a-fA-F]{1,2})|u(?P<u4>[0-9a-fA-F]{4})|U(?P<u8>[0-9a-fA-F]{8})"
    r"|(?P<plain>.))"
)
_PLAIN_ESCAPES = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", "'": "'", '"': '"',
    "?": "?",
}  # fmt: skip
_CLOSING = {"{": "}", "<": ">", "[": "]"}
_ID_FIELDS = ("id", "label_id")
_NAME_FIELDS = ("name", "display_name")
_USED_FIELDS = (*_ID_FIELDS, *_NAME_FIELDS, "label_type")


class _Token(NamedTuple):
    """A token: its text, for a string the content with quotes in front, and its line from 1."""

    text: str
    line: int
    is_string: bool = False


class _Parser:
    """Parses blocks ``item { field: value ... }``; one token is looked ahead."""

    def __init__(self, text: str, where: str) -> None:
        self._where = where
        self._tokens = self._scan(text)
        self._next = next(self._tokens, None)
        self._line = 1  # of the token that was taken last

    def entries(self) -> Iterator[LabelEntry]:
        """Yield the entries; raises ``FormatError`` where the text is not a label map."""
        while self._next is not None:
            block = self._take()
            if block.text not in ("label", "item") or block.is_string:
                raise self._error(
                    block.line,
                    "a label map is a list of 'item { name: \"...\" id: 1 }', or of lines '1: name', got "
                    f"{_brief(block.text)}",
                )
            self._skip(":")
            if self._skip("["):
                # A list of blocks without the field's name in front of each: item [{...}, {...}].
                while not self._skip("]"):
                    yield self._block()
                    self._skip(",")
            else:
                yield self._block()
            self._skip(",", ";")

    def _block(self) -> LabelEntry:
        opening = self._take()
        if opening.text not in ("{", "<") or opening.is_string:
            raise self._error(opening.line, f"expected '{{', got {_brief(opening.text)}")
        closing, fields = _CLOSING[opening.text], dict[str, str]()
        while not self._skip(closing):
            field = self._take()
            if field.is_string or field.text in "{}<>:;,]":
                raise self._error(field.line, f"expected the name of a field or {closing!r}, got {_brief(field.text)}")
            if field.text == "[":
                # The name of an extension or of a type: [package.name].
                self._skip_to("]", field.line)
            value = self._value(field)
            if field.text in fields and field.text in _USED_FIELDS:
                raise self._error(field.line, f"the entry has {field.text!r} twice; keep one of them")
            fields[field.text] = value
            self._skip(",", ";")
        return self._checked(fields, opening.line)

    def _checked(self, fields: Mapping[str, str], line: int) -> LabelEntry:
        ids = [fields[field] for field in _ID_FIELDS if field in fields]
        names = [fields[field] for field in _NAME_FIELDS if field in fields]
        if not names or not ids or _whole_number(ids[0]) is None:
            got = ", ".join(f"{field}: {value}" for field, value in fields.items()) or "nothing"
            raise self._error(line, f"every entry needs a name and a whole-number id, got {_brief(got)}")
        if len(set(ids)) > 1:
            raise self._error(line, f"the entry has the ids {' and '.join(map(_brief, ids))}; keep one of them")
        return _checked_entry(ids[0], names[0], fields.get("label_type", ""), self._where, line)

    def _value(self, field: _Token) -> str:
        """Take a field's value: the content of strings, the text of a number or word, nothing of a nested message."""
        has_colon = self._skip(":")
        token = self._take()
        if token.is_string and has_colon:
            # Neighbouring strings are one string, as in C.
            parts = [token]
            while self._next is not None and self._next.is_string:
                parts.append(self._take())
            return self._unescaped("".join(part.text for part in parts), token.line)
        if token.text in _CLOSING and not token.is_string:
            self._skip_to(_CLOSING[token.text], token.line)
            return ""
        if not has_colon:
            raise self._error(token.line, f"expected ':' after {_brief(field.text)}, got {_brief(token.text)}")
        if token.text in "}>]:;,":
            raise self._error(token.line, f"expected a value of {_brief(field.text)}, got {_brief(token.text)}")
        return token.text

    def _skip_to(self, closing: str, line: int) -> None:
        """Skip the rest of a nested message or list; a stack instead of recursion, since nesting may be deep."""
        stack = [closing]
        while stack:
            if self._next is None:
                raise self._error(line, f"the label map ends in the middle of an entry: {stack[0]!r} is missing")
            token = self._take()
            if token.is_string:
                continue
            if token.text in _CLOSING:
                stack.append(_CLOSING[token.text])
            elif token.text in "}>]" and token.text != stack.pop():
                raise self._error(token.line, f"{token.text!r} closes nothing that is open here")

    def _skip(self, *texts: str) -> bool:
        """Take the next token if it is one of ``texts``, none of which is a string."""
        if self._next is None or self._next.is_string or self._next.text not in texts:
            return False
        self._take()
        return True

    def _take(self) -> _Token:
        if self._next is None:
            raise self._error(self._line, "the label map ends in the middle of an entry")
        token, self._line = self._next, self._next.line
        self._next = next(self._tokens, None)
        return token

    def _scan(self, text: str) -> Iterator[_Token]:
        line = 1
        for match in _TOKEN.finditer(text):
            kind, token = match.lastgroup, match.group()
            if kind == "newline":
                line += 1
            elif kind == "string":
                yield _Token(token[1:-1], line, is_string=True)
            elif kind != "skip":
                if token in "\"'":
                    raise self._error(line, f"the string that begins with {text[match.start() :][:20]!r} is not closed")
                yield _Token(token, line)

    def _unescaped(self, body: str, line: int) -> str:
        """Decode the escapes of a string; octal and hexadecimal ones are bytes of UTF-8."""
        if "\\" not in body:
            return body

        def decoded(match: re.Match[str]) -> str:
            octal, hexadecimal, u4, u8, plain = match.groups()
            if plain is not None:
                if plain not in _PLAIN_ESCAPES:
                    raise self._error(
                        line, f"a string has the unknown escape {match.group()!r}; write \\\\ for a backslash"
                    )
                return _PLAIN_ESCAPES[plain]
            code = int(octal, 8) if octal else int(hexadecimal or u4 or u8, 16)
            if code > (0xFF if octal or hexadecimal else 0x10FFFF):
                raise self._error(line, f"a string has the escape {match.group()!r}, which is no character")
            # Bytes above 127 are kept as surrogates, as Python keeps undecodable bytes, until all of them are known.
            if octal or hexadecimal:
                return bytes([code]).decode("ascii", "surrogateescape")
            return chr(code)

        text = _ESCAPE.sub(decoded, body)
        try:
            # Surrogate pairs of \u become one character, then escaped bytes are decoded with their neighbours.
            text = re.sub("[\ud800-\udbff][\udc00-\udfff]", _joined_pair, text)
            return text.encode("utf-8", "surrogateescape").decode("utf-8")
        except UnicodeError:
            raise self._error(line, f"the escapes of {_brief(body)} are no UTF-8 text") from None

    def _error(self, line: int, reason: str) -> FormatError:
        return FormatError(f"{self._where}, line {line}: {reason}")


def _joined_pair(match: re.Match[str]) -> str:
    return match.group().encode("utf-16", "surrogatepass").decode("utf-16")


# Plain lists.

_LIST_LINE = re.compile(r"(?P<id>[-+]?[0-9][^\s:,;]*)\s*(?P<separator>[:,;]|\s)\s*(?P<name>\S.*)")
_HEADER_COLUMNS = {
    "id": "id", "label_id": "id", "action_id": "id", "class_id": "id",
    "name": "name", "label_name": "name", "action_name": "name", "class_name": "name", "label": "name",
    "action": "name", "class": "name", "label_type": "type", "type": "type",
}  # fmt: skip


def _is_list(text: str) -> bool:
    """Return whether the first line with content is one of a list, or the header of a csv."""
    first = next((line for line in map(str.strip, text.splitlines()) if line and not line.startswith("#")), "")
    return _LIST_LINE.fullmatch(first) is not None or _header_of(first) is not None


def _header_of(line: str) -> list[str] | None:
    """Return what the columns of a csv hold by its header; None if the line is no header with an id and a name."""
    cells = [cell.strip().strip('"').lower() for cell in line.split(",")]
    columns = [_HEADER_COLUMNS.get(cell, cell) for cell in cells]
    return columns if columns.count("id") == columns.count("name") == 1 else None


def _list_entries(text: str, where: str) -> Iterator[LabelEntry]:
    """Yield the entries of a list with one action a line."""
    numbered = ((number, line.strip()) for number, line in enumerate(text.split("\n"), 1))
    lines = ((number, line) for number, line in numbered if line and not line.startswith("#"))
    first = next(lines)
    header = _header_of(first[1])
    for number, line in lines if header else chain([first], lines):
        match = _LIST_LINE.fullmatch(line)
        if header is not None or (match is not None and match["separator"] == ","):
            yield _csv_entry(line, header, where, number)
        elif match is None:
            raise FormatError(f"{where}, line {number}: expected '1: name' as in the lines before, got {_brief(line)}")
        else:
            name = match["name"]
            # YAML's quotes.
            is_quoted = len(name) > 1 and name[0] == name[-1] and name[0] in "\"'"
            yield _checked_entry(match["id"], name[1:-1] if is_quoted else name, "", where, number)


def _csv_entry(line: str, header: Sequence[str] | None, where: str, number: int) -> LabelEntry:
    place = f"{where}, line {number}"
    try:
        cells = [cell.strip() for cell in next(csv.reader([line], skipinitialspace=True, strict=True))]
    except csv.Error as error:
        raise FormatError(f"{place}: the line is no csv ({error}): {_brief(line)}") from None
    columns = header or ("id", "name")
    # AVA's csv is label_id,label_name,label_type. Any other third cell may be the rest of a name with a comma.
    if header is None and len(cells) == 3 and re.fullmatch("[A-Z_]+", cells[2]):
        columns = ("id", "name", "type")
    if len(cells) != len(columns):
        raise FormatError(
            f"{place}: {len(cells)} cells where {','.join(columns)} are expected, got {_brief(line)}; put quotes "
            "around a name with a comma"
        )
    found = dict(zip(columns, cells, strict=True))
    return _checked_entry(found["id"], found["name"], found.get("type", ""), where, number)
