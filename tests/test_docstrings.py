"""Public docstrings in Google style that say the same as the signatures."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import ava_detect

PACKAGE = Path(ava_detect.__file__).parent
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent.name != "cli")
# Words of a private dialect that this project does without.
DIALECT = re.compile(
    r"\b(whoever|whomever|knobs?|patiently|sign of life|signs of life|by nature|in vain|side by side|for good|somebody|"
    r"nobody|everybody|anybody)\b",
    re.IGNORECASE,
)


@dataclass
class Documented:
    """A public function or class: where it is, its docstring, and the names that the docstring must explain."""

    place: str
    docstring: str
    section: str
    names: list[str]


def parameters(node: ast.FunctionDef) -> list[str]:
    arguments = node.args
    named = [*arguments.posonlyargs, *arguments.args]
    named += [arguments.vararg] if arguments.vararg else []
    named += arguments.kwonlyargs
    named += [arguments.kwarg] if arguments.kwarg else []
    return [argument.arg for argument in named if argument.arg not in ("self", "cls")]


def is_dataclass(node: ast.ClassDef) -> bool:
    return any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list)


def documented(path: Path) -> Iterator[Documented]:
    place = path.relative_to(PACKAGE).as_posix()
    if any(part.startswith("_") and part != "__init__.py" for part in path.relative_to(PACKAGE).parts):
        return
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield from of_node(node, f"{place}: {node.name}")


def of_node(node: ast.FunctionDef | ast.ClassDef, place: str) -> Iterator[Documented]:
    docstring = ast.get_docstring(node) or ""
    if isinstance(node, ast.FunctionDef):
        decorators = {ast.unparse(decorator) for decorator in node.decorator_list}
        # A method of a protocol is explained there.
        is_explained_elsewhere = re.search(r"[Ss]ee ``\w+\.\w+``", docstring)
        if not decorators & {"property", "cached_property", "overload"} and not is_explained_elsewhere:
            yield Documented(place, docstring, "Args", parameters(node))
        return
    fields = [
        item.target.id
        for item in node.body
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name) and not item.target.id.startswith("_")
    ]
    if is_dataclass(node) and fields:
        yield Documented(place, docstring, "Attributes", fields)
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and item.name == "__init__":
            own = ast.get_docstring(item) or ""
            yield Documented(place, own if "Args:" in own else docstring, "Args", parameters(item))
        elif isinstance(item, ast.FunctionDef) and not item.name.startswith("_"):
            yield from of_node(item, f"{place}.{item.name}")


def names_of_section(docstring: str, section: str) -> list[str]:
    """The names that a section of a Google docstring explains, in its order."""
    found = re.search(rf"^( *){section}:\n(.*?)(?=^\1\S|\Z)", docstring, re.MULTILINE | re.DOTALL)
    if found is None:
        return []
    entries = [line for line in found[2].split("\n") if re.match(rf"{found[1]}    \S", line)]
    return [name.strip().lstrip("*") for line in entries for name in line.partition(":")[0].split(",")]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_the_docstring_explains_each_parameter_in_order(path):
    wrong = {}
    for item in documented(path):
        explained = names_of_section(item.docstring, item.section)
        if item.names and explained != item.names:
            wrong[item.place] = (item.section, explained, item.names)
    assert not wrong


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_plain_words_only(path):
    found = [
        f"line {number}: {line.strip()}"
        for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1)
        if DIALECT.search(line)
    ]
    assert not found
