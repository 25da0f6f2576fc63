"""The arrows of the house: imports point strictly down, from room to room and never in a circle."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest
from processes import run_python

PACKAGE = Path(__file__).resolve().parents[1] / "ava_detect"

# From the ground up. A room may import the rooms of the floors below it, and no other room of its own floor.
FLOORS = (
    ("errors", "environment"),
    ("interface", "storage", "structures"),
    ("formats", "models", "video"),
    ("config", "detectors", "evaluation", "results"),
    ("datasets", "visualization"),
    ("inference", "review"),
    ("annotation", "benchmark", "live", "training"),
    ("cli",),
)
# Rooms whose modules can all be imported without loading PyTorch.
TORCH_FREE = (
    *("errors", "environment", "interface", "storage", "structures", "formats", "evaluation", "results"),
    *("visualization", "review"),
)
# Rooms that may use config objects; the others take plain keyword arguments.
CONFIG_USERS = ("annotation", "benchmark", "cli", "config", "datasets", "inference", "live", "training")

FLOOR_OF_ROOM = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or not path.stem.startswith("__"))


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@cache
def imported_modules(path: Path) -> frozenset[str]:
    """Everything that a file names in its imports, those inside functions too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)


def imported_rooms(path: Path) -> set[str]:
    parts = [name.split(".") for name in imported_modules(path)]
    return {part[1] for part in parts if part[0] == "ava_detect" and len(part) > 1}


def test_the_rooms_are_those_of_the_table():
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and any(path.rglob("*.py"))}
    files = {path.name for path in PACKAGE.iterdir() if path.is_file()}
    assert folders == set(FLOOR_OF_ROOM) - {"errors", "environment"}
    assert files == {"__init__.py", "__main__.py", "environment.py", "errors.py", "py.typed"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path):
    room = room_of(path)
    for other in imported_rooms(path) - {room}:
        assert other in FLOOR_OF_ROOM, f"{path} imports {other} from the package itself"
        assert FLOOR_OF_ROOM[other] < FLOOR_OF_ROOM[room], f"{room} may not import {other}"
        assert other != "config" or room in CONFIG_USERS, f"{room} takes plain arguments, no config objects"


def test_no_two_modules_import_each_other():
    """Inside a room too; what a function imports when it is called counts as well."""
    modules = {_dotted(path): path for path in FILES}
    arrows = {
        name: {_nearest(other, modules) for other in imported_modules(path)} - {None, name}
        for name, path in modules.items()
    }
    seen: set[str] = set()
    for start in arrows:
        _walk(start, arrows, (), seen)


def _dotted(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _nearest(name: str, modules: dict[str, Path]) -> str | None:
    """``ava_detect.a.b.Name`` is in the module ``ava_detect.a.b``."""
    while name and name not in modules:
        name = name.rpartition(".")[0]
    return name or None


def _walk(name: str, arrows: dict[str, set[str]], way: tuple[str, ...], seen: set[str]) -> None:
    assert name not in way, f"a circle of imports: {' -> '.join((*way, name))}"
    if name in seen:
        return
    for other in sorted(arrows[name]):
        _walk(other, arrows, (*way, name), seen)
    seen.add(name)


def test_the_torch_free_rooms_load_no_torch():
    modules = [_dotted(path) for path in FILES if room_of(path) in TORCH_FREE]
    script = (
        "import importlib, sys\n"
        f"for name in {modules!r}:\n"
        "    importlib.import_module(name)\n"
        "    assert 'torch' not in sys.modules, name\n"
    )
    run_python(script)


@pytest.mark.parametrize("library", ["detectron2", "transformers", "ultralytics"])
def test_one_file_imports_each_library_of_detectors(library):
    importers = {
        path.relative_to(PACKAGE).as_posix()
        for path in FILES
        if any(name.split(".")[0] == library for name in imported_modules(path))
    }
    assert importers == {f"detectors/{library}.py"}
