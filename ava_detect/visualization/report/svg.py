"""Matplotlib figures as inline SVG that takes its colours and fonts from the page around it.

Figures are drawn in stand-in colours, which become CSS variables, so that one drawing serves light, dark and print;
text stays text, so that it can be read, searched, and shaped in any script by the browser. Nothing in the SVG points
outside the page.
"""

from __future__ import annotations

import html
import io
import re
import warnings
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ava_detect.structures.labels import ActionKind

# Stand-ins: exact colours that nothing else uses. Each becomes the CSS variable beside it.
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

# A shape goes with each colour, in figures (matplotlib's name) and in text.
KIND_MARKERS = {ActionKind.POSE: "o", ActionKind.OBJECT: "s", ActionKind.PERSON: "^", ActionKind.UNKNOWN: "D"}
KIND_GLYPHS = {ActionKind.POSE: "●", ActionKind.OBJECT: "■", ActionKind.PERSON: "▲", ActionKind.UNKNOWN: "◆"}

WIDTH_POINTS = 330  # as wide as a phone, so that text keeps its size there

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
    """A figure that is measured in points and becomes SVG; use as a context, draw inside, then ``svg``."""

    def __init__(self, height_points: float, width_points: float = WIDTH_POINTS) -> None:
        self._size = (width_points, height_points)
        self._context = matplotlib.rc_context(_STYLE)

    def __enter__(self) -> Canvas:
        self._context.__enter__()
        self._figure = Figure((self._size[0] / 72, self._size[1] / 72), dpi=72)
        return self

    def __exit__(self, *raised: object) -> None:
        self._context.__exit__(None, None, None)

    def axes(self, left: float, top: float, right: float, bottom: float) -> Axes:
        """Axes with these margins in points; the layout does not depend on the length of any text."""
        width, height = self._size
        return self._figure.add_axes(
            (left / width, bottom / height, (width - left - right) / width, (height - top - bottom) / height)
        )

    def svg(self, name: str, label: str) -> str:
        """The figure as one ``svg`` element. ``name``: unique on the page. ``label``: what a screen reader says."""
        buffer = io.StringIO()
        with warnings.catch_warnings():
            # The browser draws the text, with fonts that matplotlib need not have.
            warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font", UserWarning)
            self._figure.savefig(buffer, format="svg")
        return _as_inline(buffer.getvalue(), self._size, name, label)


def shortened(name: str, most: int) -> str:
    """A class name in one line of at most ``most`` characters."""
    name = " ".join(name.split())
    return name if len(name) <= most else name[: most - 1].rstrip() + "…"


def _as_inline(svg: str, size: tuple[float, float], name: str, label: str) -> str:
    """Without prolog, metadata and name spaces; ids made unique on the page, colours and fonts the page's own."""
    drawing = svg[svg.index('<g id="figure_1">') : svg.rindex("</svg>")]
    drawing = re.sub(r' id="[\w.]+_\d+"', "", drawing)
    drawing = re.sub(r' id="(\w+)"', rf' id="{name}-\1"', drawing)
    drawing = re.sub(r"url\(#(\w+)\)", rf"url(#{name}-\1)", drawing)
    drawing = re.sub(r'xlink:href="#(\w+)"', rf'href="#{name}-\1"', drawing)
    drawing = re.sub(r"font-family: [^;\"]*;? ?", "", drawing)
    drawing = re.sub(r"#0101[0-9a-f]{2}", lambda colour: f"var({_VARIABLES[colour[0]]})", drawing)
    drawing = re.sub(r"\s*\n\s*", "\n", drawing)
    return (
        f'<svg viewBox="0 0 {size[0]:g} {size[1]:g}" width="{size[0]:g}" height="{size[1]:g}" role="img" '
        f'aria-label="{html.escape(label)}">\n{drawing}</svg>'
    )
