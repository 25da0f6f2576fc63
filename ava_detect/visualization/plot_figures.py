"""Figures of results, without ground truth: action tubes over time, scores and counts of actions, co-occurrence.

Each function returns one ``svg`` element in the style of the evaluation report; its ``svg_id`` must be unique on the
page.

Shapes: C actions, N scores.
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
from ava_detect.visualization.report.svg import (
    HEAT,
    INK,
    KIND_COLOURS,
    LINE,
    NAME_CHARACTERS,
    NAME_POINTS,
    ROW_POINTS,
    SOFT,
    Canvas,
    set_rows,
    shortened,
)

_MIN_OPACITY = 0.35


@dataclass(frozen=True, eq=False)
class ActionScores:
    """Scores of one action.

    Attributes:
        action: The action.
        scores: float32 ``[N]``, the scores above the threshold from which they are drawn.
        count: Number of scores that reach the threshold from which the action counts as done.
    """

    action: Action
    scores: npt.NDArray[np.float32]
    count: int


def tube_timeline(
    svg_id: str, title: str, tubes: Sequence[ActionTube], actions: Sequence[Action], end_seconds: float
) -> str:
    """Draw a row per person and action, sorted by person, with a bar per tube.

    Args:
        svg_id: Id of the figure.
        title: Title above the figure, such as the video's id.
        tubes: The tubes; the opacity of a bar grows with the tube's mean score.
        actions: Action of each tube.
        end_seconds: End of the time axis, seconds.

    Returns:
        The figure.
    """
    rows = sorted({(tube.track_id, action.id) for tube, action in zip(tubes, actions, strict=True)})
    row_index = {row: index for index, row in enumerate(rows)}
    by_id = {action.id: action for action in actions}
    with Canvas(ROW_POINTS * len(rows) + 48) as canvas:
        axes = canvas.axes(NAME_POINTS, 20, 10, 28)
        axes.set_title(shortened(title, 40), pad=6)
        for tube, action in zip(tubes, actions, strict=True):
            axes.barh(
                row_index[tube.track_id, action.id],
                tube.end_seconds - tube.start_seconds,
                left=tube.start_seconds,
                height=0.62,
                color=KIND_COLOURS[action.kind],
                alpha=_MIN_OPACITY + (1 - _MIN_OPACITY) * tube.mean_score,
            )
        labels = [f"{track}  {shortened(short_name(by_id[i].name), NAME_CHARACTERS)}" for track, i in rows]
        axes.set_yticks(range(len(rows)), labels)
        # A line between the rows of one person and the next.
        for index in range(1, len(rows)):
            if rows[index][0] != rows[index - 1][0]:
                axes.axhline(index - 0.5, color=LINE, linewidth=0.8)
        set_rows(axes, len(rows))
        axes.set_xlim(0, end_seconds)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.grid(axis="x")
        axes.set_xlabel("seconds")
        num_people = len({track for track, _ in rows})
        return canvas.svg(
            svg_id, f"{title}: when {num_people} people do what, {len(tubes)} stretches of time; see the table"
        )


def class_scores(svg_id: str, classes: Sequence[ActionScores], min_score: float, max_count: int) -> str:
    """Draw a row per action: the distribution of its scores, and how often they reach ``min_score``.

    Args:
        svg_id: Id of the figure.
        classes: Scores of each action, drawn from the top.
        min_score: Threshold from which an action counts as done, 0..1; drawn as a dashed line.
        max_count: End of the axis of counts; the same for all parts of a figure.

    Returns:
        The figure; a line reaches from the 10th to the 90th percentile of the scores, a dot is at the median.
    """
    rows = np.arange(len(classes))
    colours = [KIND_COLOURS[scored.action.kind] for scored in classes]
    with Canvas(ROW_POINTS * len(classes) + 46) as canvas:
        axes = canvas.axes(NAME_POINTS, 18, 88, 28)
        names = [shortened(short_name(scored.action.name), NAME_CHARACTERS) for scored in classes]
        axes.set_yticks(rows, names)
        for row, (scored, colour) in enumerate(zip(classes, colours, strict=True)):
            low, median, high = np.percentile(scored.scores, (10, 50, 90))
            axes.plot([low, high], [row, row], color=colour, linewidth=3, alpha=0.5, solid_capstyle="butt")
            axes.plot(median, row, "o", color=colour, markersize=4.5)
        axes.axvline(min_score, color=SOFT, linewidth=0.8, linestyle=(0, (3, 3)))
        axes.set_xlim(0, 1)
        set_rows(axes, len(classes))
        axes.grid(axis="x")
        axes.set_xlabel("score")
        # The counts are in axes of their own, right of the scores.
        counts = canvas.axes(254, 18, 40, 28)
        _draw_counts(counts, [scored.count for scored in classes], colours, max_count)
        return canvas.svg(svg_id, f"Scores and counts of {len(classes)} actions; numbers in the table")


def _draw_counts(axes: Axes, counts: Sequence[int], colours: Sequence[str], max_count: int) -> None:
    """Draw counts as bars on a square-root scale, and as text at the right."""
    axes.barh(range(len(counts)), [math.sqrt(count) for count in counts], height=0.5, color=colours)
    for row, count in enumerate(counts):
        # 2.05: beyond the right end of the axes, as a multiple of their width.
        axes.text(2.05, row, f"{count:,}", transform=axes.get_yaxis_transform(), ha="right", va="center", fontsize=8.5)
    axes.set_xlim(0, math.sqrt(max(max_count, 1)))
    set_rows(axes, len(counts))
    axes.set_yticks([])
    axes.set_xticks([])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.spines[["bottom"]].set_visible(False)
    axes.set_title("times (root)", fontsize=8, color=SOFT, pad=6)


def co_occurrence_matrix(svg_id: str, actions: Sequence[Action], counts: npt.NDArray[np.int64]) -> str:
    """Draw how often two actions occur together on one box, in percent of the row's action.

    Args:
        svg_id: Id of the figure.
        actions: The C actions.
        counts: int64 ``[C, C]``, number of boxes with both actions; the diagonal is the number with one action.

    Returns:
        The figure; the diagonal is left empty.
    """
    cell, left, top = 20.5, 132.0, 30.0  # points
    side = cell * len(actions)
    totals = np.maximum(counts.diagonal(), 1)  # [C]
    with Canvas(side + top + 4, side + left + 4) as canvas:
        axes = canvas.axes(left, top, 4, 4)
        for (row, column), count in np.ndenumerate(counts):
            if row == column or not count:
                continue
            share = float(count / totals[row])
            # A cell is a unit square; opacity grows with the square root, so that small shares remain visible.
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
            svg_id, f"How often {len(actions)} actions are done together, in percent of the row's own count"
        )
