"""Figures of the evaluation report on errors: cost of each kind of error, mAP of groups, confusions.

Each function returns one ``svg`` element; its ``svg_id`` must be unique on the page.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ava_detect.structures.labels import Action
from ava_detect.visualization.report.matrix import action_matrix
from ava_detect.visualization.report.svg import ACCENT, INK, NARROW, SOFT, Canvas, FigureWidth, set_rows


def cost_bars(svg_id: str, costs: Mapping[str, float], *, width: FigureWidth = NARROW) -> str:
    """Draw a bar per kind of error: the gain in mAP if errors of this kind alone were corrected.

    Args:
        svg_id: Id of the figure.
        costs: Gain of each kind by name, as a fraction; drawn from the top.
        width: The width.

    Returns:
        The figure.
    """
    with Canvas(20 * len(costs) + 30, width.points) as canvas:
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
        return canvas.svg(svg_id + width.id_suffix, "mAP that each kind of error costs; numbers in the table")


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


def confusion_map(
    svg_id: str, actions: Sequence[Action], counts: npt.NDArray[np.int64], *, width: FigureWidth = NARROW
) -> str:
    """Draw a matrix of confusions.

    Args:
        svg_id: Id of the figure.
        actions: The C actions.
        counts: int64 ``[C, C]``, detections of the column's action on people who do the row's action.
        width: The width.

    Returns:
        The figure.
    """
    return action_matrix(
        svg_id,
        actions,
        counts / max(int(counts.max()), 1),
        lambda row, column: _abbreviated(int(counts[row, column])),
        lambda action: action.name,
        f"Confusions among {len(actions)} classes; the most frequent pairs are in the table",
        width,
    )


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
