"""Figures of results without any truth: who does what when, how often and how surely, and what goes together.

Each function gives one ``svg`` element in the style of the evaluation report.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, NullLocator

from ava_detect.structures.labels import Action
from ava_detect.structures.tubes import ActionTube
from ava_detect.visualization.chips import short_name
from ava_detect.visualization.report.svg import HEAT, INK, KIND_COLOURS, LINE, SOFT, Canvas, shortened

_ROW_POINTS = 14.5
_NAME_CHARACTERS = 24
_NAME_POINTS = 142.0
_LEAST_OPACITY = 0.35


@dataclass(frozen=True, eq=False)
class ActionScores:
    """One action: its ``scores`` ``[N]`` where it is believed at all, and how many of them count as done."""

    action: Action
    scores: npt.NDArray[np.float32]
    count: int


def timeline(name: str, title: str, tubes: Sequence[ActionTube], actions: Sequence[Action], end_seconds: float) -> str:
    """A row per person and action, in the order of the people; a bar per tube, the fuller the surer.

    ``title``: the video's name, above. ``actions``: the action of each tube.
    """
    rows = sorted({(tube.track_id, action.id) for tube, action in zip(tubes, actions, strict=True)})
    place_of = {row: place for place, row in enumerate(rows)}
    by_id = {action.id: action for action in actions}
    with Canvas(_ROW_POINTS * len(rows) + 48) as canvas:
        axes = canvas.axes(_NAME_POINTS, 20, 10, 28)
        axes.set_title(shortened(title, 40), pad=6)
        for tube, action in zip(tubes, actions, strict=True):
            axes.barh(
                place_of[tube.track_id, action.id],
                tube.end_seconds - tube.start_seconds,
                left=tube.start_seconds,
                height=0.62,
                color=KIND_COLOURS[action.kind],
                alpha=_LEAST_OPACITY + (1 - _LEAST_OPACITY) * tube.mean_score,
            )
        labels = [f"{track}  {shortened(short_name(by_id[i].name), _NAME_CHARACTERS)}" for track, i in rows]
        axes.set_yticks(range(len(rows)), labels)
        for place in range(1, len(rows)):
            if rows[place][0] != rows[place - 1][0]:
                axes.axhline(place - 0.5, color=LINE, linewidth=0.8)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlim(0, end_seconds)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.grid(axis="x")
        axes.set_xlabel("seconds")
        people = len({track for track, _ in rows})
        return canvas.svg(name, f"{title}: when {people} people do what, {len(tubes)} stretches of time; see the table")


def class_scores(name: str, classes: Sequence[ActionScores], min_score: float, most: int) -> str:
    """A row per action: how often its score reaches ``min_score``, and where its scores lie.

    ``most``: the end of the scale of counts, the same for figures that belong together. The line reaches from the 10th
    to the 90th percentile and the dot is the median.
    """
    places = np.arange(len(classes))
    colours = [KIND_COLOURS[of.action.kind] for of in classes]
    with Canvas(_ROW_POINTS * len(classes) + 46) as canvas:
        axes = canvas.axes(_NAME_POINTS, 18, 88, 28)
        names = [shortened(short_name(of.action.name), _NAME_CHARACTERS) for of in classes]
        axes.set_yticks(places, names)
        for place, (of, colour) in enumerate(zip(classes, colours, strict=True)):
            low, middle, high = np.percentile(of.scores, (10, 50, 90))
            axes.plot([low, high], [place, place], color=colour, linewidth=3, alpha=0.5, solid_capstyle="butt")
            axes.plot(middle, place, "o", color=colour, markersize=4.5)
        axes.axvline(min_score, color=SOFT, linewidth=0.8, linestyle=(0, (3, 3)))
        axes.set_xlim(0, 1)
        axes.set_ylim(len(classes) - 0.4, -0.6)
        axes.grid(axis="x")
        axes.set_xlabel("score")
        counts = canvas.axes(254, 18, 40, 28)
        _counts(counts, [of.count for of in classes], colours, most)
        return canvas.svg(name, f"Scores and counts of {len(classes)} actions; numbers in the table")


def _counts(axes: Axes, counts: Sequence[int], colours: Sequence[str], most: int) -> None:
    axes.barh(range(len(counts)), [math.sqrt(count) for count in counts], height=0.5, color=colours)
    for place, count in enumerate(counts):
        axes.text(
            2.05, place, f"{count:,}", transform=axes.get_yaxis_transform(), ha="right", va="center", fontsize=8.5
        )
    axes.set_xlim(0, math.sqrt(max(most, 1)))
    axes.set_ylim(len(counts) - 0.4, -0.6)
    axes.set_yticks([])
    axes.set_xticks([])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.spines[["bottom"]].set_visible(False)
    axes.set_title("times (root)", fontsize=8, color=SOFT, pad=6)


def together(name: str, actions: Sequence[Action], counts: npt.NDArray[np.int64]) -> str:
    """``counts`` ``[C, C]``, how often one person does both, as shares of the row's own count (the diagonal)."""
    cell, left, top = 20.5, 132.0, 30.0
    side = cell * len(actions)
    own = np.maximum(counts.diagonal(), 1)
    with Canvas(side + top + 4, side + left + 4) as canvas:
        axes = canvas.axes(left, top, 4, 4)
        for (row, column), count in np.ndenumerate(counts):
            if row == column or not count:
                continue
            share = float(count / own[row])
            shade = Rectangle((column + 0.03, row + 0.03), 0.94, 0.94, facecolor=HEAT, alpha=math.sqrt(share))
            axes.add_patch(shade)
            axes.text(column + 0.5, row + 0.5, f"{100 * share:.0f}", ha="center", va="center", fontsize=7)
        axes.plot([0, len(actions)], [0, len(actions)], color=LINE, linewidth=0.8)
        axes.set_xlim(0, len(actions))
        axes.set_ylim(len(actions), 0)
        centres = np.arange(len(actions)) + 0.5
        names = [f"{shortened(short_name(action.name), 22)} {action.id}" for action in actions]
        axes.set_yticks(centres, names, fontsize=8)
        axes.set_xticks(centres, [str(action.id) for action in actions], fontsize=8)
        axes.xaxis.tick_top()
        axes.tick_params(labelcolor=INK, pad=3)
        axes.spines[["left", "bottom"]].set_visible(False)
        return canvas.svg(
            name, f"How often {len(actions)} actions are done together, in percent of the row's own count"
        )
