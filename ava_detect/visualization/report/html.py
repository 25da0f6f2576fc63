"""Pieces of HTML for the evaluation report: cells, tables, figures, sections, the page. All text is escaped here."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

from ava_detect.structures.labels import ActionKind
from ava_detect.visualization.report.style import SCRIPT, STYLE
from ava_detect.visualization.report.svg import KIND_GLYPHS

# Nothing is loaded from anywhere, and the browser is told so.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


@dataclass(frozen=True)
class Cell:
    """A table cell: its HTML, what it is sorted by (nothing where there is no value), and whether it is a number."""

    html: str
    sort_key: str
    is_number: bool = True


NO_VALUE = Cell('<span aria-hidden="true">–</span><span class="unseen">no ground truth</span>', "")


def words(text: str) -> Cell:
    """A cell of text."""
    return Cell(named(text), text, is_number=False)


def kind_cell(kind: ActionKind) -> Cell:
    """A kind of action with its mark."""
    return Cell(kind_label(kind), str(kind), is_number=False)


def count(number: int) -> Cell:
    """A whole number."""
    return Cell(f"{number:,}", str(number))


def points(fraction: float, *, signed: bool = False) -> Cell:
    """A fraction as points, 0 to 100; a dash for NaN."""
    if math.isnan(fraction):
        return NO_VALUE
    return Cell(_points_text(fraction, signed), repr(float(fraction)))


def span(low: float, high: float, *, signed: bool = False) -> Cell:
    """The ends of an interval in points, sorted by its width; a dash for NaN."""
    if math.isnan(low):
        return NO_VALUE
    return Cell(span_text(low, high, signed=signed), repr(float(high - low)))


def span_text(low: float, high: float, *, signed: bool = False) -> str:
    """The ends of an interval in points."""
    return f"{_points_text(low, signed)} to {_points_text(high, signed)}"


def _points_text(fraction: float, signed: bool) -> str:
    rounded = round(100 * fraction, 2) + 0.0  # no "-0.00"
    return f"{rounded:{'+' if signed else ''}.2f}"


def named(text: str) -> str:
    """Text from outside, escaped and kept apart from the direction of what stands around it."""
    return f"<bdi>{html.escape(text)}</bdi>"


def kind_label(kind: ActionKind) -> str:
    """A kind of action with its mark: colour and shape."""
    return f'<span class="kind {kind}"><span aria-hidden="true">{KIND_GLYPHS[kind]}</span> {kind}</span>'


def paragraph(text: str) -> str:
    """A paragraph of plain text."""
    return f"<p>{html.escape(text)}</p>"


def table(caption: str, heads: Sequence[str], rows: Sequence[Sequence[Cell]], *, is_sortable: bool = False) -> str:
    """A captioned table, whose first column names the rows; it scrolls by itself where it is wider than the page."""
    numeric = [any(row[column].is_number for row in rows) for column in range(len(heads))]
    head = "".join(
        f'<th scope="col"{_class("number" if is_number else "")}>{html.escape(text)}</th>'
        for text, is_number in zip(heads, numeric, strict=True)
    )
    body = "\n".join(_row(row) for row in rows)
    text = html.escape(caption)
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{text}">\n'
        f"<table{_class('sortable' if is_sortable else '')}>\n<caption><span>{text}</span></caption>\n"
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>\n</div>"
    )


def _row(cells: Sequence[Cell]) -> str:
    out = []
    for place, cell in enumerate(cells):
        tag = 'th scope="row"' if place == 0 else "td"
        key = html.escape(cell.sort_key)
        out.append(f'<{tag}{_class("number" if cell.is_number else "")} data-sort="{key}">{cell.html}</{tag[:2]}>')
    return f"<tr>{''.join(out)}</tr>"


def _class(name: str) -> str:
    return f' class="{name}"' if name else ""


def figures(svgs: Sequence[str], caption: str, *, layout: str = "pair") -> str:
    """Drawings that belong together under one caption; ``layout``: a class of the style sheet."""
    drawings = "\n".join(f"<div>{svg}</div>" for svg in svgs)
    return (
        f'<figure>\n<div class="drawings {layout}">\n{drawings}\n</div>\n'
        f"<figcaption>{html.escape(caption)}</figcaption>\n</figure>"
    )


def legend(kinds: Sequence[ActionKind]) -> str:
    """The marks of the kinds."""
    return f'<p class="legend">{" ".join(kind_label(kind) for kind in kinds)}</p>'


@dataclass(frozen=True)
class Section:
    """A part of the page: its anchor, its heading and its HTML."""

    anchor: str
    heading: str
    body: str


def page(title: str, sections: Sequence[Section]) -> str:
    """The whole document; the first section stands above the list of the others."""
    first, *rest = (
        f'<section id="{s.anchor}" aria-labelledby="{s.anchor}-heading">\n'
        f'<h2 id="{s.anchor}-heading">{html.escape(s.heading)}</h2>\n{s.body}\n</section>'
        for s in sections
    )
    links = "".join(f'<li><a href="#{s.anchor}">{html.escape(s.heading)}</a></li>' for s in sections[1:])
    contents = f'<nav aria-label="Contents"><ul>{links}</ul></nav>' if rest else ""
    body = "\n".join([first, contents, *rest])
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{named(title)}</h1>\n{body}\n</main>\n<script>{SCRIPT}</script>\n</body>\n</html>\n"
    )
