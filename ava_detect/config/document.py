"""YAML text as plain values, each with its line; text that YAML would misread in silence is refused.

Three rules differ from YAML 1.1: a key may occur once in a mapping, dates, base 60 (``1:30``) and a leading 0 (``010``)
are text, and ``1e-4`` is a number without a point too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ava_detect.errors import ConfigError, shown

MAX_BYTES = 1 << 20
MAX_DEPTH = 24
MAX_VALUES = 100_000
_MAX_DIGITS = 18
_MAX_SHOWN = 80
_TAG = "tag:yaml.org,2002:"
_NULL, _BOOL, _INT, _FLOAT, _STR, _MERGE = (_TAG + name for name in ("null", "bool", "int", "float", "str", "merge"))
_WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_FORMS = {
    _NULL: re.compile(r"(?:~|null|Null|NULL|)\Z"),
    _BOOL: re.compile(r"(?:yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)\Z"),
    _INT: re.compile(r"[-+]?(?:0|[1-9][0-9_]*|0b[01_]*[01]|0x[0-9a-fA-F_]*[0-9a-fA-F])\Z"),
    _FLOAT: re.compile(
        r"(?:[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[0-9][0-9_]*[eE][-+]?[0-9]+|"
        r"\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?|\.(?:inf|Inf|INF))|\.(?:nan|NaN|NAN))\Z"
    ),
    _MERGE: re.compile(r"<<\Z"),
}
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class Document:
    """The values of a YAML text.

    Attributes:
        values: Nested ``dict`` with text keys, ``list``, ``str``, ``int``, ``float``, ``bool`` and None; floats may be
            NaN or infinite.
        lines: Line, from 1, of each value by its keys and list indices from the top.
    """

    values: Any
    lines: dict[tuple[str, ...], int] = field(default_factory=dict)

    def line_of(self, location: tuple[str, ...]) -> int:
        """Return the line of a value, or of the deepest section around it that the text has.

        Args:
            location: Keys and list indices from the top.

        Returns:
            The line, from 1.
        """
        known = (self.lines.get(location[:length]) for length in range(len(location), 0, -1))
        return next((line for line in known if line is not None), 1)


def read_text(path: Path) -> str:
    """Read a config file.

    Args:
        path: The file.

    Returns:
        Its text.

    Raises:
        ConfigError: The file cannot be read, is larger than ``MAX_BYTES``, or is not UTF-8 text.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{shown(path)} cannot be read as YAML ({error.strerror or error})") from error
    if len(content) > MAX_BYTES:
        raise ConfigError(
            f"{shown(path)} has more than {MAX_BYTES:,} bytes, the most that a config may have; name a YAML file of "
            "settings"
        )
    wide = content.startswith(_UTF16_MARKS)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        what = "UTF-16 or UTF-32" if wide else f"not UTF-8 (byte 0x{content[error.start]:02x} in line {line})"
        raise ConfigError(f"{shown(path)} cannot be read as YAML: it is {what}; save it as UTF-8 text") from error
    if "\0" in text:
        raise ConfigError(f"{shown(path)} cannot be read as YAML: it is a binary file; name a YAML file of settings")
    return text


def parse(text: str, origin: str, *, with_lines: bool = True) -> Document:
    """Parse YAML.

    Args:
        text: The text.
        origin: Where it comes from, for messages: a path, or an override.
        with_lines: Whether messages name the line.

    Returns:
        The values and their lines.

    Raises:
        ConfigError: The text is not YAML, has a repeated key or a kind of value that no config holds, or is nested
            deeper than ``MAX_DEPTH`` or expands to more than ``MAX_VALUES`` values.
    """
    return _Parser(origin, with_lines=with_lines).parse(text)


class _Loader(yaml.SafeLoader):
    """Composes nodes; their depth and number are limited here, before PyYAML recurses or collects them all."""

    yaml_implicit_resolvers: dict[Any, Any] = {}  # noqa: RUF012  # declared so by PyYAML
    depth = num_nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self.depth += 1
        self.num_nodes += 1
        if self.depth > MAX_DEPTH or self.num_nodes > MAX_VALUES:
            deep = f"lists and mappings are nested deeper than {MAX_DEPTH} levels"
            problem = deep if self.depth > MAX_DEPTH else f"there are more than {MAX_VALUES:,} values"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=self.get_mark())
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node


for _tag, _form in _FORMS.items():
    _Loader.add_implicit_resolver(_tag, _form, None)


class _Parser:
    def __init__(self, origin: str, *, with_lines: bool) -> None:
        self._origin, self._with_lines = origin, with_lines
        self._lines: dict[tuple[str, ...], int] = {}
        self._num_values = self._depth = 0

    def parse(self, text: str) -> Document:
        try:
            root = yaml.compose(text, Loader=_Loader)
        except yaml.MarkedYAMLError as error:
            line = None if error.problem_mark is None else error.problem_mark.line + 1
            problem = ": ".join(part for part in (error.context, error.problem) if part)
            raise self._unreadable(problem, line) from error
        except (yaml.YAMLError, ValueError, OverflowError) as error:
            # ValueError and OverflowError: escapes of characters that do not exist, version numbers of any length.
            raise self._unreadable(str(error), None) from error
        return Document(None if root is None else self._value(root, ()), self._lines)

    def _unreadable(self, problem: str, line: int | None) -> ConfigError:
        return ConfigError(f"{self._at(line)} cannot be read as YAML ({shown(' '.join(problem.split()))})")

    def _at(self, line: int | None) -> str:
        return self._origin if line is None or not self._with_lines else f"{self._origin}, line {line}"

    def _refused(self, node: yaml.Node, problem: str) -> ConfigError:
        return ConfigError(f"{self._at(node.start_mark.line + 1)}: {problem}")

    def _value(self, node: yaml.Node, location: tuple[str, ...]) -> Any:
        """The value of a node; aliases are written out, so a few lines of them could stand for any number of values."""
        self._num_values += 1
        if self._num_values > MAX_VALUES:
            raise self._refused(
                node, f"the text expands to more than {MAX_VALUES:,} values; write it with fewer aliases or lists"
            )
        if self._depth > MAX_DEPTH:
            raise self._refused(node, "an alias stands inside the value that it repeats; write the values out")
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        if node.tag not in (_TAG + "map", _TAG + "seq"):
            raise self._foreign(node)
        self._depth += 1
        if isinstance(node, yaml.MappingNode):
            value: Any = self._mapping(node, location)
        else:
            value = [self._entry(item, item, (*location, str(index))) for index, item in enumerate(node.value)]
        self._depth -= 1
        return value

    def _entry(self, place: yaml.Node, node: yaml.Node, location: tuple[str, ...]) -> Any:
        self._lines[location] = place.start_mark.line + 1
        return self._value(node, location)

    def _mapping(self, node: yaml.MappingNode, location: tuple[str, ...]) -> dict[str, Any]:
        entries: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for key_node, value_node in node.value:
            key = "<<" if key_node.tag == _MERGE else self._key(key_node)
            if key in entries:
                first, name = entries[key][0].start_mark.line + 1, cut(".".join((*location, key)))
                raise self._refused(
                    key_node,
                    f"the key {name!r} is there twice (first in line {first}), and one would "
                    "replace the other; remove one, or put both parts under one key",
                )
            entries[key] = key_node, value_node
        values: dict[str, Any] = {}
        for key, (key_node, value_node) in sorted(entries.items(), key=lambda entry: entry[1][0].tag != _MERGE):
            if key_node.tag == _MERGE:  # comes first, so that the mapping's own keys replace the merged ones
                sources = value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]
                for source in reversed(sources):  # of several mappings, the first has precedence
                    values |= self._merged(source, location)
            else:
                values[key] = self._entry(key_node, value_node, (*location, key))
        return values

    def _merged(self, source: yaml.Node, location: tuple[str, ...]) -> dict[str, Any]:
        if not isinstance(source, yaml.MappingNode):
            raise self._refused(source, "<< takes a mapping or a list of mappings, such as <<: *name")
        values: dict[str, Any] = self._value(source, location)
        return values

    def _key(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode) or node.tag not in (_STR, _INT):
            text = f"{node.value!r}" if isinstance(node, yaml.ScalarNode) else "a list or mapping"
            raise self._refused(node, f"a key is a name or a whole number, got {cut(text)}")
        return str(self._scalar(node))

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        text: str = node.value
        if node.tag == _STR:
            if any(c == "\0" or "\ud800" <= c <= "\udfff" for c in text):
                raise self._refused(node, f"text with characters that no file can hold, got {cut(repr(text))}")
            return text
        if node.tag not in (_NULL, _BOOL, _INT, _FLOAT):
            raise self._foreign(node)
        if not _FORMS[node.tag].match(text):
            raise self._refused(node, f"{cut(repr(text))} is no {node.tag.removeprefix(_TAG)}, as its tag says")
        if node.tag == _NULL:
            return None
        if node.tag == _BOOL:
            return _WORDS[text.lower()]
        return self._number(node, text.replace("_", "").lower())

    def _number(self, node: yaml.ScalarNode, text: str) -> int | float:
        if node.tag == _FLOAT:
            return float(text.replace(".inf", "inf").replace(".nan", "nan"))
        if sum(c.isalnum() for c in text) > _MAX_DIGITS:
            raise self._refused(node, f"a whole number has at most {_MAX_DIGITS} digits, got {cut(text)}")
        return int(text, 0)

    def _foreign(self, node: yaml.Node) -> ConfigError:
        return self._refused(
            node,
            f"a config holds text, numbers, true, false, null, lists and mappings, got the YAML tag {cut(node.tag)}; "
            "remove the tag, or put the text in quotes",
        )


def cut(text: str) -> str:
    """Return text for a message.

    Args:
        text: Text of any length.

    Returns:
        One line of at most about 80 characters.
    """
    return shown(text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}...")
