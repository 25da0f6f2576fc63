"""The documentation holds together: one index, links that resolve, names that exist, lines that fit."""

from __future__ import annotations

import re
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
import typer

from ava_detect.cli.app import whole_command

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = [
    *sorted(DOCS.rglob("*.md")),
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "configs/README.md")),
    ROOT / "annotations" / "README.md",
]
COLUMNS = 120

LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))


@cache
def prose(page: Path) -> str:
    """The text of a page with its code blocks emptied, line numbers kept."""
    return FENCE.sub(lambda block: "\n" * block[0].count("\n"), page.read_text(encoding="utf-8"))


@cache
def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ +(.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def targets(page: Path) -> list[tuple[Path, str]]:
    """File and anchor of each relative link of a page."""
    links = [link for link in LINK.findall(prose(page)) if "://" not in link]
    parts = [link.partition("#") for link in links]
    return [((page.parent / path).resolve() if path else page, anchor) for path, _, anchor in parts]


def test_every_page_is_linked_from_the_index():
    linked = {path for path, _ in targets(DOCS / "index.md")}
    assert set(DOCS.rglob("*.md")) - linked == {DOCS / "index.md"}


def test_every_link_of_the_index_has_a_line_about_its_page():
    rows = [line for line in prose(DOCS / "index.md").splitlines() if line.startswith("| [")]
    assert len(rows) == len({path for path, _ in targets(DOCS / "index.md")}) - 2  # CONTRIBUTING and CHANGELOG
    assert all(len(row.split("|")[2].strip()) >= 20 for row in rows)


def test_the_readme_links_to_the_index():
    assert (DOCS / "index.md", "") in targets(ROOT / "README.md")


@each_page
def test_every_relative_link_resolves(page):
    for path, anchor in targets(page):
        assert path.exists(), f"there is no {path}"
        assert not anchor or anchor in anchors(path), f"{path.name} has no heading for #{anchor}"


@each_page
def test_no_line_of_prose_is_too_long(page):
    for number, line in enumerate(prose(page).splitlines(), start=1):
        is_free = line.lstrip().startswith(("|", "![")) or re.match(r"\[[^\]]+\]: ", line)
        assert is_free or len(line) <= COLUMNS, f"{page.name}, line {number} has {len(line)} columns"


@each_page
def test_every_path_of_this_repository_exists(page):
    for path in re.findall(r"(?<![\w/.])(?:ava_detect|tests|tools|configs)/[\w/]+\.(?:py|yaml|md)\b", prose(page)):
        assert (ROOT / path).is_file() or "NAME" in path, f"{page.name} names {path}, which is not there"


def test_the_rooms_and_files_of_contributing_are_those_of_the_package():
    text = prose(ROOT / "CONTRIBUTING.md")
    package = ROOT / "ava_detect"
    rooms = {path.name for path in package.iterdir() if path.is_dir() and any(path.rglob("*.py"))}
    assert set(re.findall(r"^\|[ \d]*\| `(\w+)/` \|", text, re.MULTILINE)) == rooms
    files = [path for path in re.findall(r"`(\w+/[\w/]+\.py)`", text) if path.split("/")[0] in rooms]
    assert len(files) > 20
    assert not [path for path in files if not (package / path).is_file()]


def test_every_test_that_is_named_exists():
    named = {name for page in PAGES for name in re.findall(r"`(test_\w+_\w+_\w+)`", prose(page))}
    files = (ROOT / "tests").rglob("test_*.py")
    defined = {name for file in files for name in re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE)}
    assert named <= defined


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=lambda page: page.name)
def test_every_module_and_name_of_the_package_exists(page):
    text = page.read_text(encoding="utf-8")
    for dotted in re.findall(r"`(ava_detect(?:\.\w+)+)", prose(page)):
        assert resolves(dotted), f"{page.name} names {dotted}, which is not there"
    for module, names in re.findall(r"^from (ava_detect[\w.]*) import (.+)$", text, re.MULTILINE):
        for name in names.split(","):
            assert hasattr(import_module(module), name.strip()), f"{page.name}: {module} has no {name}"


def resolves(dotted: str) -> bool:
    """Whether a dotted name is a module, or an attribute of one."""
    module, _, name = dotted.rpartition(".")
    if not module:
        return True
    try:
        if find_spec(dotted) is not None:
            return True
    except ModuleNotFoundError:
        pass
    return resolves(module) and hasattr(import_module(module), name)


@each_page
def test_every_command_has_its_options(page):
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    commands = re.findall(r"^ *(?:\$ )?ava-detect (.+)$", text, re.MULTILINE)
    commands += re.findall(r"`ava-detect ([^`]+)`", prose(page).replace("\n", " "))
    for command in commands:
        called, flags = command_of(command.split("#")[0].split())
        unknown = flags - {"--help"} - {option for one in called.params for option in (*one.opts, *one.secondary_opts)}
        assert not unknown, f"{page.name}: ava-detect {command} has no {', '.join(sorted(unknown))}"


def command_of(words: list[str]) -> tuple[typer.core.TyperCommand | typer.core.TyperGroup, set[str]]:
    """The command that ``words`` call, and the flags among them."""
    called = whole_command()
    for word in words:
        commands = getattr(called, "commands", None)
        if commands is None or not re.fullmatch(r"[a-z][a-z-]*", word):
            break
        assert word in commands, f"there is no command {word!r}"
        called = commands[word]
    return called, {flag for word in words for flag in re.findall(r"^\[?(--[a-z-]+)", word)}
