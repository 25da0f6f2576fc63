"""A matrix of actions against actions as a figure: confusions, and actions that are done together."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.patches import Rectangle

from ava_detect.structures.labels import Action
from ava_detect.visualization.report.svg import HEAT, INK, LINE, WIDE, Canvas, FigureWidth, shortened

# Points: greatest width of a cell, height of a row, and the room that a character of a slanted name takes both ways.
_MAX_CELL, _ROW, _SLANTED_CHARACTER = 72.0, 22.0, 3.8
_SLANTED_CHARACTERS = 20


def action_matrix(
    svg_id: str,
    actions: Sequence[Action],
    shares: npt.NDArray[np.float64],
    text_of: Callable[[int, int], str],
    name_of: Callable[[Action], str],
    label: str,
    width: FigureWidth,
) -> str:
    """Draw a matrix: the fuller a cell, the greater its share; cells of share 0 are left empty.

    Args:
        svg_id: Id of the figure.
        actions: The C actions, of the rows from the top and of the columns from the left.
        shares: float64 ``[C, C]``, by row and column, 0..1.
        text_of: Gives the text in a cell, by row and column; at most four characters.
        name_of: Gives the name of an action.
        label: Description for screen readers.
        width: The width; columns have names where it is wide, else action ids.

    Returns:
        The figure.
    """
    is_wide = width is WIDE
    slanted = [shortened(name_of(action), _SLANTED_CHARACTERS) for action in actions]
    reach = _SLANTED_CHARACTER * max(map(len, slanted)) + 12
    top, right = (reach, reach) if is_wide else (24.0, 4.0)
    cell = min((width.points - width.name_points - right) / len(actions), _MAX_CELL)
    # The rest of the width stays free, so that text has the same size in all figures.
    rest = width.points - width.name_points - cell * len(actions)
    with Canvas(_ROW * len(actions) + top + 4, width.points) as canvas:
        axes = canvas.axes(width.name_points, top, rest, 4)
        for row, column in np.argwhere(shares > 0).tolist():
            # Opacity grows with the square root, so that small shares remain visible.
            shade = Rectangle(
                (column + 0.03, row + 0.04), 0.94, 0.92, facecolor=HEAT, alpha=math.sqrt(shares[row, column])
            )
            axes.add_patch(shade)
            text = text_of(row, column)
            axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=8.5 if is_wide else 6)
        axes.plot([0, len(actions)], [0, len(actions)], color=LINE, linewidth=0.8)
        axes.set_xlim(0, len(actions))
        axes.set_ylim(len(actions), 0)
        centres = np.arange(len(actions)) + 0.5
        names = [f"{shortened(name_of(action), width.name_characters - 4)} {action.id}" for action in actions]
        axes.set_yticks(centres, names, fontsize=9.5 if is_wide else 8)
        if is_wide:
            axes.set_xticks(centres, slanted, fontsize=9, rotation=42, ha="left", rotation_mode="anchor")
        else:
            axes.set_xticks(centres, [str(action.id) for action in actions], fontsize=7)
        axes.xaxis.tick_top()
        axes.tick_params(labelcolor=INK, pad=3)
        axes.spines[:].set_visible(False)
        return canvas.svg(svg_id + width.id_suffix, label)
