"""Where each page of the site comes from, and links between pages that lie elsewhere in the site."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[2]
# Pages outside docs/, and where they are in the site.
_ELSEWHERE = {
    "README.md": "index.md",
    "docs/index.md": "docs/pages.md",
    "configs/README.md": "configs/README.md",
    "annotations/README.md": "annotations/README.md",
    "CHANGELOG.md": "project/changelog.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "SECURITY.md": "project/security.md",
    "examples/plugin/README.md": "examples/plugin.md",
}
_FENCE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")


def written_pages() -> dict[Path, str]:
    """Return the pages that people wrote.

    Returns:
        The file, absolute, to the page's place in the site.
    """
    pages = {path: path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "docs").rglob("*.md"))}
    return pages | {ROOT / source: target for source, target in _ELSEWHERE.items()}


def assets() -> dict[Path, str]:
    """Return the pictures and notebooks that pages show or link to.

    Returns:
        The file, absolute, to its place in the site.
    """
    files = [*sorted((ROOT / "docs" / "images").iterdir()), *sorted((ROOT / "examples").glob("*.ipynb"))]
    return {path: path.relative_to(ROOT).as_posix() for path in files}


def for_site(text: str, source: Path, places: Mapping[Path, str], home: str) -> str:
    """Return a page with its links as the site needs them, and its lists as MkDocs reads them.

    Args:
        text: The page's Markdown, as GitHub reads it.
        source: The file that its relative links refer to.
        places: Every file in the site -> its place there; the page's own too.
        home: Address of the repository, for links to files that the site does not have; empty: their text alone stays.

    Returns:
        The Markdown for the site.
    """
    own = PurePosixPath(places[source])

    def relink(link: re.Match[str]) -> str:
        mark, label, target = link.groups()
        path, hash_sign, anchor = target.partition("#")
        if "://" in target or not path or target.startswith("mailto:"):
            return link[0]
        file = Path(os.path.normpath(source.parent / path))
        if file in places:
            place = os.path.relpath(places[file], own.parent)
            if label in (path, file.name, file.relative_to(ROOT).as_posix()):
                label = _title(file)
            return f"{mark}[{label}]({Path(place).as_posix()}{hash_sign}{anchor})"
        if not home:
            return label
        kind = "tree" if file.is_dir() else "blob"
        return f"[{label}]({home}/{kind}/main/{file.relative_to(ROOT).as_posix()}{hash_sign}{anchor})"

    if places[source] == "index.md":
        text = f"---\nhide: [navigation]\n---\n{text}"  # there is no other page in its part
    return _outside_code(text, lambda prose: _spaced_lists(_LINK.sub(relink, prose)))


def _title(file: Path) -> str:
    """The heading of a page, which says more than its file's name; another file's name."""
    heading = re.search(r"^# (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE) if file.suffix == ".md" else None
    return heading[1] if heading else file.name


def _outside_code(text: str, change: Callable[[str], str]) -> str:
    """Apply ``change`` to what is between the blocks of code."""
    parts, end = [], 0
    for block in _FENCE.finditer(text):
        parts += [change(text[end : block.start()]), block[0]]
        end = block.end()
    return "".join([*parts, change(text[end:])])


def _spaced_lists(prose: str) -> str:
    """Python-Markdown wants an empty line before a list, and four columns for one in another."""
    lines: list[str] = []
    for line in prose.split("\n"):
        item = re.match(r"( *)(?:[-*]|\d+\.) +", line)
        before = lines[-1] if lines else ""
        if item and before.strip() and not re.match(r" *(?:[-*]|\d+\.) +", before) and not before.startswith(" "):
            lines.append("")
        indent = len(line) - len(line.lstrip(" "))
        if line.strip() and 2 <= indent <= 3:
            line = f"    {line.lstrip()}"
        lines.append(line)
    return "\n".join(lines)
