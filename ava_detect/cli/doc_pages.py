"""The pages of documentation that ship with the package: their names, their text for a terminal, and as HTML."""

from __future__ import annotations

import html
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ava_detect.environment import resource_dir
from ava_detect.errors import AvaDetectError, shown, suggestion
from ava_detect.storage.local_files import atomic_path, write_text_atomic

INDEX = "index"
_ROW = re.compile(r"\| \[[^\]]+\]\(([^)\s]+\.md)\) \| (.+?) \|")
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
_MAX_MENTIONS = 5


@dataclass(frozen=True)
class DocPage:
    """A page of documentation.

    Attributes:
        name: Its name on the command line, such as ``detectors`` or ``notes/scale``.
        path: Its Markdown file.
        part: The part of the documentation, such as ``How to``.
        summary: What it holds, in a line.
    """

    name: str
    path: Path
    part: str
    summary: str


def doc_pages() -> list[DocPage]:
    """Return all pages, in the order of the index, which comes first.

    Returns:
        The pages.
    """
    index = resource_dir("docs") / "index.md"
    pages, part = [DocPage(INDEX, index, "", "all pages by what they are for")], ""
    for line in index.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            part = line[3:]
        elif row := _ROW.match(line):
            path = _resolved(index, row[1])
            pages.append(DocPage(_name_of(path), path, part, row[2]))
    root = index.parent.parent
    for name, summary in (
        ("CONTRIBUTING", "how to change the package"),
        ("CHANGELOG", "what changed, by version"),
        ("SECURITY", "how to report a fault, and what is guarded against"),
    ):
        pages.append(DocPage(name.lower(), root / f"{name}.md", "Project", summary))
    return pages


def find_page(topic: str) -> DocPage:
    """Return the page that is meant.

    Args:
        topic: Its name, in any case, or its path, such as ``docs/detectors.md``.

    Returns:
        The page.

    Raises:
        AvaDetectError: There is no such page; the message has the nearest name, and the pages that mention the word.
    """
    pages = {page.name: page for page in doc_pages()}
    wanted = topic.strip().lower().removeprefix("docs/").removesuffix(".md").removesuffix("/readme")
    if wanted in pages:
        return pages[wanted]
    mentions = [page.name for page in pages.values() if wanted in page.path.read_text(encoding="utf-8").lower()]
    hint = suggestion(wanted, pages)
    if mentions and len(wanted) > 2 and not hint:
        hint = f"; the word is in {', '.join(mentions[:_MAX_MENTIONS])}"
    raise AvaDetectError(f"there is no page {shown(topic)!r}{hint}; `ava-detect docs --list` names all pages")


def text_of(page: DocPage) -> str:
    """Return the Markdown of a page in which links to other pages are the commands that print them.

    Args:
        page: The page.

    Returns:
        The text.
    """
    names = {other.path.resolve(): other.name for other in doc_pages()}

    def as_command(link: re.Match[str]) -> str:
        is_picture, label, target = link.groups()
        if is_picture:
            return f"(picture: {label})"
        other = names.get(_resolved(page.path, target.partition("#")[0]).resolve())
        if "://" in target or other is None or target.startswith("#"):
            return link[0] if "://" in target else label
        command = f"`ava-detect docs {other}`"
        return command if label.endswith(".md") or label.lower() == other else f"{label} ({command})"

    return _outside_code(page.path.read_text(encoding="utf-8"), as_command)


def write_html(folder: Path) -> dict[str, Path]:
    """Write all pages as HTML files that link to each other.

    Args:
        folder: The folder; files in it are replaced.

    Returns:
        The file of each page by its name.
    """
    from markdown_it import MarkdownIt

    from ava_detect.visualization.report.style import STYLE

    pages = doc_pages()
    files = {page.path.resolve(): folder / f"{page.name}.html" for page in pages}
    markdown = MarkdownIt("commonmark").enable("table")
    for page in pages:
        file = files[page.path.resolve()]

        def between_files(link: re.Match[str], page: DocPage = page, file: Path = file) -> str:
            is_picture, label, target = link.groups()
            path, _, anchor = target.partition("#")
            if "://" in target or not path:
                return link[0]
            source = _resolved(page.path, path).resolve()
            if is_picture:
                with atomic_path(folder / source.name) as temporary:
                    shutil.copyfile(source, temporary)
            goal = folder / source.name if is_picture else files.get(source, source)
            relative = (
                Path(os.path.relpath(goal, file.parent)).as_posix() if goal.is_relative_to(folder) else goal.as_uri()
            )
            return f"{is_picture}[{label}]({relative}{'#' * bool(anchor)}{anchor})"

        body = markdown.render(_outside_code(page.path.read_text(encoding="utf-8"), between_files))
        write_text_atomic(
            file,
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{html.escape(page.name)}</title>\n<style>{STYLE}{_STYLE}</style>\n</head>\n<body>\n<main>\n"
            f"{_with_anchors(body)}</main>\n</body>\n</html>\n",
        )
    return {page.name: files[page.path.resolve()] for page in pages}


_STYLE = """
main > p, main > ul, main > ol { max-width: 52rem; }
h2 { margin-top: 2.25rem; }
img { max-width: 100%; height: auto; }
pre { background: var(--panel); padding: .75rem 1rem; border-radius: .4rem; overflow-x: auto; }
code { font-size: .9em; }
table { display: block; overflow-x: auto; margin: 1rem 0; }
"""


def _name_of(path: Path) -> str:
    """Return a page's name: of the README beside data the name of their folder."""
    if path.name == "README.md":
        return path.parent.name if path.parent.name in ("configs", "annotations") else "readme"
    return path.relative_to(resource_dir("docs")).with_suffix("").as_posix().lower()


def _resolved(page: Path, target: str) -> Path:
    """Return the file that a relative link leads to.

    In an installed copy the pages lie inside the package, so a link of theirs into it begins one folder higher.
    """
    path = Path(os.path.normpath(page.parent / target))
    return path if path.exists() else Path(os.path.normpath(page.parent.parent / target))


def _outside_code(text: str, replace: Callable[[re.Match[str]], str]) -> str:
    """Replace the links of a Markdown text that are not in blocks of code."""
    blocks = re.split(r"(^ *```.*?^ *```$)", text, flags=re.MULTILINE | re.DOTALL)
    return "".join(block if index % 2 else _LINK.sub(replace, block) for index, block in enumerate(blocks))


def _with_anchors(body: str) -> str:
    """Give the headings the anchors that links use, which are GitHub's: lower case, hyphens, no signs."""

    def anchored(heading: re.Match[str]) -> str:
        level, text = heading.groups()
        words = html.unescape(re.sub(r"<[^>]+>", "", text)).lower()
        anchor = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        return f'<h{level} id="{anchor}">{text}</h{level}>'

    return re.sub(r"<h([1-6])>(.*?)</h\1>", anchored, body)
