"""Functions that can be read at their call: few parameters, options in one value."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import ava_detect

PACKAGE = Path(ava_detect.__file__).parent
# Of functions that are no command and no public name.
MAX_INTERNAL = 8
MAX_PUBLIC = 12
# Those that take more: the whole of a command in one call.
WITHOUT_LIMIT = {"annotate_videos", "run_benchmark"}


def functions() -> Iterator[tuple[str, str, int]]:
    """(file, name of the class or function, number of parameters) of every function of the package."""
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        owners = {child: node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for child in node.body}
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                arguments = node.args
                named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
                named += [extra for extra in (arguments.vararg, arguments.kwarg) if extra is not None]
                number = len([argument for argument in named if argument.arg not in ("self", "cls")])
                yield path.relative_to(PACKAGE).as_posix(), owners.get(node, node.name), number


def test_internal_functions_take_few_parameters():
    public = set(ava_detect.__all__)
    too_many = [
        (file, name, number)
        for file, name, number in functions()
        if number > MAX_INTERNAL and name not in public and not file.startswith("cli/")
    ]
    assert not too_many


def test_public_functions_take_a_dozen_at_most():
    too_many = [
        (file, name, number)
        for file, name, number in functions()
        if number > MAX_PUBLIC and not file.startswith("cli/") and name not in WITHOUT_LIMIT
    ]
    assert not too_many
