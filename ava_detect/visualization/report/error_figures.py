"""The figures of an evaluation report that say where the mAP goes: costs, groups of people, confusions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.patches import Rectangle

from ava_detect.structures.labels import Action
from ava_detect.visualization.report.svg import ACCENT, HEAT, INK, SOFT, Canvas, shortened

_NAME_CHARACTERS = 22


def cost_bars(name: str, costs: Mapping[str, float]) -> str:
    """A bar per kind of error: the points of mAP that setting it right would give, in the order given."""
    with Canvas(20 * len(costs) + 30) as canvas:
        axes = canvas.axes(116, 2, 40, 28)
        values = [100 * value for value in costs.values()]
        axes.barh(range(len(values)), values, height=0.62, color=ACCENT)
        for place, value in enumerate(values):
            axes.annotate(
                f"{value:.2f}", (max(value, 0), place), (4, 0), textcoords="offset points", va="center", color=INK
            )
        axes.set_yticks(range(len(values)), list(costs))
        axes.tick_params(axis="y", pad=5)
        axes.set_ylim(len(values) - 0.4, -0.6)
        axes.set_xlim(min(0, *values), max(1, *values))
        axes.grid(axis="x")
        axes.set_xlabel("points of mAP")
        return canvas.svg(name, "mAP that each kind of error costs; numbers in the table")


def group_line(name: str, title: str, groups: Mapping[str, float], top: float) -> str:
    """mAP over groups in their order; a group without ground truth is a dash, and leaves a gap.

    ``top``: the end of the mAP axis in points, the same for figures that belong together.
    """
    with Canvas(168, 220) as canvas:
        axes = canvas.axes(34, 24, 8, 36)
        values = [100 * value for value in groups.values()]
        places = range(len(values))
        axes.plot(places, values, color=ACCENT, marker="o", markersize=5)
        for place, value in zip(places, values, strict=True):
            if math.isnan(value):
                axes.annotate("–", (place, 0), (0, 4), textcoords="offset points", ha="center", color=SOFT)
            else:
                axes.annotate(f"{value:.1f}", (place, value), (0, 6), textcoords="offset points", ha="center")
        axes.set_xticks(places, [_two_lines(key) for key in groups], fontsize=8)
        axes.set_xlim(-0.5, len(values) - 0.5)
        axes.set_ylim(0, top)
        axes.tick_params(labelcolor=SOFT)
        axes.grid(axis="y")
        axes.set_title(f"mAP {title}", pad=8)
        return canvas.svg(name, f"mAP {title}; numbers in the table")


def confusion_map(name: str, actions: Sequence[Action], counts: npt.NDArray[np.int64]) -> str:
    """Counts ``[C, C]`` as shades: what people do in the rows, what was wrongly said of them in the columns."""
    cell, left, top = 20.5, 132.0, 30.0
    side = cell * len(actions)
    most = max(int(counts.max()), 1)
    with Canvas(side + top + 4, side + left + 4) as canvas:
        axes = canvas.axes(left, top, 4, 4)
        for (row, column), count in np.ndenumerate(counts):
            # Shades go with the root, so that small counts can be told from none.
            shade = HEAT if count else "none"
            axes.add_patch(
                Rectangle((column + 0.03, row + 0.03), 0.94, 0.94, facecolor=shade, alpha=math.sqrt(count / most))
            )
            if count:
                axes.text(column + 0.5, row + 0.5, _brief(int(count)), ha="center", va="center", fontsize=7)
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
        return canvas.svg(name, f"Confusions among {len(actions)} classes; the most frequent pairs are in the table")


def _brief(count: int) -> str:
    """A count in three or four characters."""
    return str(count) if count < 1000 else f"{count / 1000:.1f}k" if count < 10_000 else f"{count // 1000}k"


def _two_lines(words: str) -> str:
    """Broken at the space that is nearest to the middle."""
    spaces = [place for place, letter in enumerate(words) if letter == " "]
    if not spaces:
        return words
    middle = min(spaces, key=lambda place: abs(place - len(words) / 2))
    return words[:middle] + "\n" + words[middle + 1 :]
