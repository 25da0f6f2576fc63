"""HTML of the evaluation report: cells, tables, figures, sections, the page. All text is escaped here."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ava_detect.structures.labels import ActionKind
from ava_detect.visualization.kind_marks import KIND_MARKS
from ava_detect.visualization.report.style import SCRIPT, STYLE
from ava_detect.visualization.report.svg import NARROW, WIDE, FigureWidth

# The page is self-contained; the policy makes browsers refuse to load anything.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


@dataclass(frozen=True)
class Cell:
    """A table cell.

    Attributes:
        html: Content, as HTML.
        sort_key: Value by which the column is sorted; empty where there is no value.
        is_number: Whether the column is sorted and aligned as numbers.
    """

    html: str
    sort_key: str
    is_number: bool = True


NO_VALUE = Cell('<span aria-hidden="true">–</span><span class="unseen">no ground truth</span>', "")


def text_cell(text: str) -> Cell:
    """Return a cell of text.

    Args:
        text: Plain text.

    Returns:
        The cell, sorted by the text.
    """
    return Cell(isolated(text), text, is_number=False)


def kind_cell(kind: ActionKind) -> Cell:
    """Return a cell with a kind of action and its mark.

    Args:
        kind: The kind.

    Returns:
        The cell, sorted by the name of the kind.
    """
    return Cell(kind_label(kind), str(kind), is_number=False)


def count_cell(number: int) -> Cell:
    """Return a cell with an integer.

    Args:
        number: The integer.

    Returns:
        The cell, with separators between thousands.
    """
    return Cell(f"{number:,}", str(number))


def points_cell(fraction: float, *, signed: bool = False) -> Cell:
    """Return a cell with a fraction in points, 0 to 100.

    Args:
        fraction: The fraction, 0..1; NaN gives a dash.
        signed: Whether to write a plus sign.

    Returns:
        The cell.
    """
    if math.isnan(fraction):
        return NO_VALUE
    return Cell(_points_text(fraction, signed), repr(float(fraction)))


def interval_cell(low: float, high: float, *, signed: bool = False) -> Cell:
    """Return a cell with an interval in points.

    Args:
        low: Lower end as a fraction; NaN gives a dash.
        high: Upper end as a fraction.
        signed: Whether to write plus signs.

    Returns:
        The cell, sorted by the width of the interval.
    """
    if math.isnan(low):
        return NO_VALUE
    return Cell(interval_text(low, high, signed=signed), repr(float(high - low)))


def interval_text(low: float, high: float, *, signed: bool = False) -> str:
    """Return an interval in points as text.

    Args:
        low: Lower end as a fraction.
        high: Upper end as a fraction.
        signed: Whether to write plus signs.

    Returns:
        Such as ``12.30 to 15.01``.
    """
    return f"{_points_text(low, signed)} to {_points_text(high, signed)}"


def _points_text(fraction: float, signed: bool) -> str:
    rounded = round(100 * fraction, 2) + 0.0  # adding 0.0 turns -0.0 into 0.0
    return f"{rounded:{'+' if signed else ''}.2f}"


def isolated(text: str) -> str:
    """Escape a name from outside and isolate its text direction, which may be right to left.

    Args:
        text: Plain text.

    Returns:
        HTML.
    """
    return f"<bdi>{html.escape(text)}</bdi>"


def kind_label(kind: ActionKind) -> str:
    """Return a kind of action with its mark: colour and shape.

    Args:
        kind: The kind.

    Returns:
        HTML.
    """
    return f'<span class="kind {kind}"><span aria-hidden="true">{KIND_MARKS[kind].glyph}</span> {kind}</span>'


def paragraph(text: str) -> str:
    """Return a paragraph.

    Args:
        text: Plain text.

    Returns:
        HTML.
    """
    return f"<p>{html.escape(text)}</p>"


def table(caption: str, heads: Sequence[str], rows: Sequence[Sequence[Cell]], *, is_sortable: bool = False) -> str:
    """Return a table with a caption; where it is wider than the page it scrolls by itself.

    Args:
        caption: Plain text above the table.
        heads: Headings of the columns.
        rows: Cells of each row; the first cell is the row's heading.
        is_sortable: Whether a click on a heading sorts the rows.

    Returns:
        HTML.
    """
    # A column is numeric when any of its cells is: dashes stand in both kinds of columns.
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
    parts = []
    for column, cell in enumerate(cells):
        tag = 'th scope="row"' if column == 0 else "td"
        key = html.escape(cell.sort_key)
        parts.append(f'<{tag}{_class("number" if cell.is_number else "")} data-sort="{key}">{cell.html}</{tag[:2]}>')
    return f"<tr>{''.join(parts)}</tr>"


def _class(name: str) -> str:
    return f' class="{name}"' if name else ""


class Drawing(Protocol):
    """Draws a figure in one of the two widths, as an ``svg`` element."""

    def __call__(self, *, width: FigureWidth) -> str:
        """Return the element; its ids end in the suffix of the width.

        Args:
            width: The width.
        """


def figure_block(drawings: Sequence[Drawing], caption: str) -> str:
    """Return drawings under a common caption, two beside each other; one that is left over is as wide as the page.

    Args:
        drawings: What draws each of them. The one as wide as the page is drawn twice, for narrow screens as well.
        caption: Plain text below the drawings.

    Returns:
        HTML.
    """
    pairs = drawings[: len(drawings) // 2 * 2]
    parts = [f"<div>{draw(width=NARROW)}</div>" for draw in pairs]
    parts += [
        f'<div class="whole"><div class="on-wide">{draw(width=WIDE)}</div>\n'
        f'<div class="on-narrow">{draw(width=NARROW)}</div></div>'
        for draw in drawings[len(pairs) :]
    ]
    return _figure("pair", parts, caption)


def small_figures(svgs: Sequence[str], caption: str) -> str:
    """Return small drawings in a row under a common caption.

    Args:
        svgs: The drawings, as ``svg`` elements.
        caption: Plain text below the drawings.

    Returns:
        HTML.
    """
    return _figure("small", [f"<div>{svg}</div>" for svg in svgs], caption)


def _figure(layout: str, parts: Sequence[str], caption: str) -> str:
    drawings = "\n".join(parts)
    return (
        f'<figure>\n<div class="drawings {layout}">\n{drawings}\n</div>\n'
        f"<figcaption>{html.escape(caption)}</figcaption>\n</figure>"
    )


def legend(kinds: Sequence[ActionKind]) -> str:
    """Return the legend of the kinds' marks.

    Args:
        kinds: The kinds in the order of the legend.

    Returns:
        HTML.
    """
    return f'<p class="legend">{" ".join(kind_label(kind) for kind in kinds)}</p>'


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        anchor: Id of the element, for links.
        heading: Plain text.
        body: Content below the heading, as HTML.
    """

    anchor: str
    heading: str
    body: str


def page(title: str, sections: Sequence[Section]) -> str:
    """Return the whole document.

    Args:
        title: Title, plain text.
        sections: The sections, at least one; links to all others follow the first.

    Returns:
        HTML.
    """
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
        f"<h1>{isolated(title)}</h1>\n{body}\n</main>\n<script>{SCRIPT}</script>\n</body>\n</html>\n"
    )
