"""Pages of the evaluation report, as far as tests ask about them."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path


class Page(HTMLParser):
    """What a page has, as far as the tests ask."""

    VOID = frozenset({"meta", "br", "link", "img", "input", "hr"})

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.text = path.read_text(encoding="utf-8")
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        #: Per table: its caption and its rows of cell texts.
        self.tables: list[tuple[str, list[list[str]]]] = []
        self.words = ""
        self.feed(self.text)
        self.close()
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append(("", []))
        elif tag == "tr":
            self.tables[-1][1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][1][-1].append("")

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if {"style", "script"} & set(self.open):
            return
        self.words += data
        if "caption" in self.open:
            self.tables[-1] = (self.tables[-1][0] + data, self.tables[-1][1])
        elif {"td", "th"} & set(self.open):
            self.tables[-1][1][-1][-1] += data

    def values(self, attribute: str) -> list[str]:
        return [attributes[attribute] or "" for _, attributes in self.tags if attribute in attributes]

    def table(self, caption: str) -> dict[str, list[str]]:
        """The rows of the table whose caption has these words, by their first cell."""
        (rows,) = (rows for words, rows in self.tables if caption in words)
        return {row[0]: row[1:] for row in rows}


def points(fraction: float) -> str:
    """A fraction as the page prints it."""
    return f"{100 * fraction:.2f}"
