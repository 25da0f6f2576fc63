"""Figures of the evaluation report on errors: cost of each kind of error, mAP of groups, confusions.

Each function returns one ``svg`` element; its ``svg_id`` must be unique on the page.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.patches import Rectangle

from ava_detect.structures.labels import Action
from ava_detect.visualization.report.svg import ACCENT, HEAT, INK, SOFT, Canvas, set_rows, shortened

_NAME_CHARACTERS = 22


def cost_bars(svg_id: str, costs: Mapping[str, float]) -> str:
    """Draw a bar per kind of error: the gain in mAP if errors of this kind alone were corrected.

    Args:
        svg_id: Id of the figure.
        costs: Gain of each kind by name, as a fraction; drawn from the top.

    Returns:
        The figure.
    """
    with Canvas(20 * len(costs) + 30) as canvas:
        axes = canvas.axes(116, 2, 40, 28)
        values = [100 * value for value in costs.values()]
        axes.barh(range(len(values)), values, height=0.62, color=ACCENT)
        for row, value in enumerate(values):
            axes.annotate(
                f"{value:.2f}", (max(value, 0), row), (4, 0), textcoords="offset points", va="center", color=INK
            )
        axes.set_yticks(range(len(values)), list(costs))
        axes.tick_params(axis="y", pad=5)
        set_rows(axes, len(values))
        axes.set_xlim(min(0, *values), max(1, *values))
        axes.grid(axis="x")
        axes.set_xlabel("points of mAP")
        return canvas.svg(svg_id, "mAP that each kind of error costs; numbers in the table")


def group_line(svg_id: str, title: str, groups: Mapping[str, float], max_points: float) -> str:
    """Draw mAP over ordered groups; a group without ground truth is a dash and interrupts the line.

    Args:
        svg_id: Id of the figure.
        title: How the groups are formed, such as ``by size of the person``.
        groups: mAP of each group by name, as a fraction; NaN without ground truth.
        max_points: End of the mAP axis, points; the same for figures that are compared.

    Returns:
        The figure.
    """
    with Canvas(168, 220) as canvas:
        axes = canvas.axes(34, 24, 8, 36)
        values = [100 * value for value in groups.values()]
        positions = range(len(values))
        axes.plot(positions, values, color=ACCENT, marker="o", markersize=5)
        for position, value in zip(positions, values, strict=True):
            if math.isnan(value):
                axes.annotate("–", (position, 0), (0, 4), textcoords="offset points", ha="center", color=SOFT)
            else:
                axes.annotate(f"{value:.1f}", (position, value), (0, 6), textcoords="offset points", ha="center")
        axes.set_xticks(positions, [_two_lines(key) for key in groups], fontsize=8)
        axes.set_xlim(-0.5, len(values) - 0.5)
        axes.set_ylim(0, max_points)
        axes.tick_params(labelcolor=SOFT)
        axes.grid(axis="y")
        axes.set_title(f"mAP {title}", pad=8)
        return canvas.svg(svg_id, f"mAP {title}; numbers in the table")


def confusion_map(svg_id: str, actions: Sequence[Action], counts: npt.NDArray[np.int64]) -> str:
    """Draw a matrix of confusions.

    Args:
        svg_id: Id of the figure.
        actions: The C actions.
        counts: int64 ``[C, C]``, detections of the column's action on people who do the row's action.

    Returns:
        The figure.
    """
    cell, left, top = 20.5, 132.0, 30.0  # points
    side = cell * len(actions)
    max_count = max(int(counts.max()), 1)
    with Canvas(side + top + 4, side + left + 4) as canvas:
        axes = canvas.axes(left, top, 4, 4)
        for (row, column), count in np.ndenumerate(counts):
            # Opacity grows with the square root, so that small counts remain visible.
            shade = HEAT if count else "none"
            axes.add_patch(
                Rectangle((column + 0.03, row + 0.03), 0.94, 0.94, facecolor=shade, alpha=math.sqrt(count / max_count))
            )
            if count:
                axes.text(column + 0.5, row + 0.5, _abbreviated(int(count)), ha="center", va="center", fontsize=7)
        axes.set_xlim(0, len(actions))
        axes.set_ylim(len(actions), 0)
        centres = np.arange(len(actions)) + 0.5
        axes.set_yticks(centres, [f"{shortened(a.name, _NAME_CHARACTERS)} {a.id}" for a in actions], fontsize=8)
        axes.set_xticks(centres, [str(a.id) for a in actions], fontsize=8)
        axes.xaxis.tick_top()
        axes.tick_params(labelcolor=INK, pad=3)
        axes.set_xlabel("said (action id)", labelpad=3)
        axes.xaxis.set_label_position("top")
        axes.spines[:].set_visible(False)
        return canvas.svg(svg_id, f"Confusions among {len(actions)} classes; the most frequent pairs are in the table")


def _abbreviated(count: int) -> str:
    """Return a count in at most four characters, such as ``1.2k``."""
    return str(count) if count < 1000 else f"{count / 1000:.1f}k" if count < 10_000 else f"{count // 1000}k"


def _two_lines(text: str) -> str:
    """Break a text at the space that is nearest to its middle."""
    spaces = [index for index, letter in enumerate(text) if letter == " "]
    if not spaces:
        return text
    middle = min(spaces, key=lambda index: abs(index - len(text) / 2))
    return text[:middle] + "\n" + text[middle + 1 :]
