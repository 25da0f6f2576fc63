"""Matplotlib figures as inline SVG with the colours and fonts of the page.

Figures are drawn in placeholder colours, which are then replaced by CSS variables, so that one drawing serves the light
theme, the dark theme and print. Text stays text: it can be searched and read aloud, and the browser renders any script.
The SVG refers to nothing outside the page.
"""

from __future__ import annotations

import html
import io
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Affine2D

from ava_detect.structures.labels import ActionKind
from ava_detect.visualization.kind_marks import KIND_MARKS

# Placeholder colours, which nothing else uses; ``_VARIABLES`` has the CSS variable that replaces each.
INK, SOFT, LINE, ACCENT, HEAT = "#010101", "#010102", "#010103", "#010104", "#010105"
KIND_COLOURS = {
    ActionKind.POSE: "#010110",
    ActionKind.OBJECT: "#010111",
    ActionKind.PERSON: "#010112",
    ActionKind.UNKNOWN: "#010113",
}
_VARIABLES = {
    INK: "--ink",
    SOFT: "--soft",
    LINE: "--line",
    ACCENT: "--accent",
    HEAT: "--heat",
    **{colour: f"--{kind}" for kind, colour in KIND_COLOURS.items()},
}

ROW_POINTS = 14.5  # height of a row in figures with a row per class


@dataclass(frozen=True)
class FigureWidth:
    """How wide a figure is drawn, and what follows from it in figures with a row per class.

    Attributes:
        points: Width of the figure, points.
        name_points: Width of the names left of the rows, points.
        name_characters: Most characters of a name.
        id_suffix: Ends the ids of the figure, because a page can hold one drawing in both widths.
    """

    points: float
    name_points: float
    name_characters: int
    id_suffix: str = ""


# As wide as the screen of a phone, or as half of the page, so that text is not reduced there; and as the whole page.
NARROW = FigureWidth(330, 142, 24)
WIDE = FigureWidth(700, 192, 35, "-wide")

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "ava_detect",
    "text.parse_math": False,
    "font.size": 9.5,
    "text.color": INK,
    "axes.labelcolor": SOFT,
    "axes.labelsize": 9,
    "xtick.labelsize": 9,
    "axes.titlesize": 9.5,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.edgecolor": LINE,
    "axes.facecolor": "none",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": False,
    "axes.formatter.use_mathtext": False,
    "figure.facecolor": "none",
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": SOFT,
    "ytick.labelcolor": INK,
    "xtick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.major.size": 0,
    "ytick.minor.size": 0,
    "lines.linewidth": 1.6,
}


class Canvas:
    """A figure with lengths in points that is exported as SVG.

    Args:
        height_points: Height of the figure, points.
        width_points: Width of the figure, points.

    Example:
        >>> with Canvas(120) as canvas:
        ...     axes = canvas.axes(left=40, top=4, right=4, bottom=28)
        ...     axes.plot([0, 1], [0, 1], color=INK)
        ...     element = canvas.svg("diagonal", "A diagonal line")
    """

    def __init__(self, height_points: float, width_points: float = NARROW.points) -> None:
        self._size = (width_points, height_points)
        self._context = matplotlib.rc_context(_STYLE)

    def __enter__(self) -> Canvas:
        self._context.__enter__()
        self._figure = Figure((self._size[0] / 72, self._size[1] / 72), dpi=72)
        return self

    def __exit__(self, *raised: object) -> None:
        self._context.__exit__(None, None, None)

    def axes(self, left: float, top: float, right: float, bottom: float) -> Axes:
        """Add axes; their position does not depend on the length of any text.

        Args:
            left: Left margin, points.
            top: Top margin, points.
            right: Right margin, points.
            bottom: Bottom margin, points.

        Returns:
            The axes.
        """
        width, height = self._size
        # Matplotlib wants (left, bottom, width, height) as fractions of the figure.
        return self._figure.add_axes(
            (left / width, bottom / height, (width - left - right) / width, (height - top - bottom) / height)
        )

    def svg(self, svg_id: str, label: str) -> str:
        """Export the figure.

        Args:
            svg_id: Prefix of the ids in the SVG, unique on the page.
            label: Description for screen readers.

        Returns:
            One ``svg`` element.
        """
        buffer = io.StringIO()
        with warnings.catch_warnings():
            # The browser draws the text, so matplotlib's font may lack its glyphs.
            warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font", UserWarning)
            self._figure.savefig(buffer, format="svg")
        return _as_inline(buffer.getvalue(), self._size, svg_id, label)


def set_rows(axes: Axes, num_rows: int) -> None:
    """Set the y axis for rows at 0, 1, 2, ... from the top, with a little space above and below.

    Args:
        axes: The axes.
        num_rows: Number of rows.
    """
    axes.set_ylim(num_rows - 0.4, -0.6)


def axes_with_counts(canvas: Canvas, width: FigureWidth) -> tuple[Axes, Axes]:
    """Add axes for a row per action, and right of them narrow axes for a count per row.

    Args:
        canvas: The figure.
        width: Its width.

    Returns:
        The axes of the rows, and those of the counts; ``write_count`` writes beyond the latter.
    """
    counts_points = 36 if width is NARROW else 72
    right = counts_points + 52
    return (
        canvas.axes(width.name_points, 18, right, 28),
        canvas.axes(width.points - right + 12, 18, 40, 28),
    )


def write_count(axes: Axes, row: int, count: int) -> None:
    """Write the number of a row at the right end of the figure.

    Args:
        axes: The axes of the counts, from ``axes_with_counts``.
        row: The row.
        count: The number.
    """
    at_end = axes.get_yaxis_transform() + Affine2D().translate(38, 0)
    axes.text(1, row, f"{count:,}", transform=at_end, ha="right", va="center", fontsize=8.5)


def draw_row_names(axes: Axes, names: Sequence[str], kinds: Sequence[ActionKind], width: FigureWidth) -> None:
    """Set up a row per action from the top, with its name and, left of the axis, the mark of its kind.

    Args:
        axes: The axes; their left margin is that of ``width``.
        names: A name for each row, cut where it is too long.
        kinds: The kind of each row's action.
        width: The width of the figure.
    """
    axes.set_yticks(range(len(names)), [shortened(name, width.name_characters) for name in names])
    axes.tick_params(axis="y", pad=11)
    set_rows(axes, len(names))
    for kind in dict.fromkeys(kinds):
        rows = [row for row, other in enumerate(kinds) if other is kind]
        axes.scatter(
            [0] * len(rows),
            rows,
            s=13,
            marker=KIND_MARKS[kind].marker,
            color=KIND_COLOURS[kind],
            transform=axes.get_yaxis_transform() + Affine2D().translate(-6, 0),
            clip_on=False,
            linewidths=0,
        )


def shortened(name: str, max_characters: int) -> str:
    """Return a name on one line, cut and ended with an ellipsis where it is too long.

    Args:
        name: The name.
        max_characters: Most characters of the result.

    Returns:
        The shortened name.
    """
    name = " ".join(name.split())
    return name if len(name) <= max_characters else name[: max_characters - 1].rstrip() + "…"


def _as_inline(svg: str, size: tuple[float, float], svg_id: str, label: str) -> str:
    """Turn matplotlib's SVG document into an element of the page; ``size``: width and height in points."""
    # Keep the figure only: no prolog, metadata and namespaces.
    drawing = svg[svg.index('<g id="figure_1">') : svg.rindex("</svg>")]
    # Remove the ids of groups (such as axes_1), which nothing refers to.
    drawing = re.sub(r' id="[\w.]+_\d+"', "", drawing)
    # Make the remaining ids (clip paths, markers) and the references to them unique on the page.
    drawing = re.sub(r' id="(\w+)"', rf' id="{svg_id}-\1"', drawing)
    drawing = re.sub(r"url\(#(\w+)\)", rf"url(#{svg_id}-\1)", drawing)
    drawing = re.sub(r'xlink:href="#(\w+)"', rf'href="#{svg_id}-\1"', drawing)
    # Take fonts and colours from the page.
    drawing = re.sub(r"font-family: [^;\"]*;? ?", "", drawing)
    drawing = re.sub(r"#0101[0-9a-f]{2}", lambda colour: f"var({_VARIABLES[colour[0]]})", drawing)
    # Remove indentation and empty lines.
    drawing = re.sub(r"\s*\n\s*", "\n", drawing)
    return (
        f'<svg viewBox="0 0 {size[0]:g} {size[1]:g}" width="{size[0]:g}" height="{size[1]:g}" role="img" '
        f'aria-label="{html.escape(label)}">\n{drawing}</svg>'
    )
