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
from matplotlib.ticker import MaxNLocator, NullLocator

from ava_detect.structures.labels import Action
from ava_detect.structures.tubes import ActionTube
from ava_detect.visualization.chips import short_name
from ava_detect.visualization.report.matrix import action_matrix
from ava_detect.visualization.report.svg import (
    KIND_COLOURS,
    LINE,
    NARROW,
    ROW_POINTS,
    SOFT,
    Canvas,
    FigureWidth,
    axes_with_counts,
    draw_row_names,
    set_rows,
    shortened,
    write_count,
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
    svg_id: str,
    title: str,
    tubes: Sequence[ActionTube],
    actions: Sequence[Action],
    end_seconds: float,
    *,
    width: FigureWidth = NARROW,
) -> str:
    """Draw a row per person and action, sorted by person, with a bar per tube.

    Args:
        svg_id: Id of the figure.
        title: Title above the figure, such as the video's id.
        tubes: The tubes; the opacity of a bar grows with the tube's mean score.
        actions: Action of each tube.
        end_seconds: End of the time axis, seconds.
        width: The width.

    Returns:
        The figure.
    """
    rows = sorted({(tube.track_id, action.id) for tube, action in zip(tubes, actions, strict=True)})
    row_index = {row: index for index, row in enumerate(rows)}
    by_id = {action.id: action for action in actions}
    with Canvas(ROW_POINTS * len(rows) + 48, width.points) as canvas:
        axes = canvas.axes(width.name_points, 20, 10, 28)
        axes.set_title(shortened(title, width.name_characters + 8), pad=6)
        for tube, action in zip(tubes, actions, strict=True):
            axes.barh(
                row_index[tube.track_id, action.id],
                tube.end_seconds - tube.start_seconds,
                left=tube.start_seconds,
                height=0.62,
                color=KIND_COLOURS[action.kind],
                alpha=_MIN_OPACITY + (1 - _MIN_OPACITY) * tube.mean_score,
            )
        labels = [f"{track}  {short_name(by_id[i].name)}" for track, i in rows]
        draw_row_names(axes, labels, [by_id[i].kind for _, i in rows], width)
        # A line between the rows of one person and the next.
        for index in range(1, len(rows)):
            if rows[index][0] != rows[index - 1][0]:
                axes.axhline(index - 0.5, color=LINE, linewidth=0.8)
        axes.set_xlim(0, end_seconds)
        axes.xaxis.set_major_locator(MaxNLocator(round(width.points / 80)))
        axes.grid(axis="x")
        axes.set_xlabel("seconds")
        num_people = len({track for track, _ in rows})
        label = f"{title}: when {num_people} people do what, {len(tubes)} stretches of time; see the table"
        return canvas.svg(svg_id + width.id_suffix, label)


def class_scores(
    svg_id: str, classes: Sequence[ActionScores], min_score: float, max_count: int, *, width: FigureWidth = NARROW
) -> str:
    """Draw a row per action: the distribution of its scores, and how often they reach ``min_score``.

    Args:
        svg_id: Id of the figure.
        classes: Scores of each action, drawn from the top.
        min_score: Threshold from which an action counts as done, 0..1; drawn as a dashed line.
        max_count: End of the axis of counts; the same for all parts of a figure.
        width: The width.

    Returns:
        The figure; a line reaches from the 10th to the 90th percentile of the scores, a dot is at the median.
    """
    colours = [KIND_COLOURS[scored.action.kind] for scored in classes]
    with Canvas(ROW_POINTS * len(classes) + 46, width.points) as canvas:
        axes, counts = axes_with_counts(canvas, width)
        names = [short_name(scored.action.name) for scored in classes]
        draw_row_names(axes, names, [scored.action.kind for scored in classes], width)
        for row, (scored, colour) in enumerate(zip(classes, colours, strict=True)):
            low, median, high = np.percentile(scored.scores, (10, 50, 90))
            axes.plot([low, high], [row, row], color=colour, linewidth=3, alpha=0.5, solid_capstyle="butt")
            axes.plot(median, row, "o", color=colour, markersize=4.5)
        axes.axvline(min_score, color=SOFT, linewidth=0.8, linestyle=(0, (3, 3)))
        axes.set_xlim(0, 1)
        axes.grid(axis="x")
        axes.set_xlabel("score")
        _draw_counts(counts, [scored.count for scored in classes], colours, max_count)
        label = f"Scores and counts of {len(classes)} actions; numbers in the table"
        return canvas.svg(svg_id + width.id_suffix, label)


def _draw_counts(axes: Axes, counts: Sequence[int], colours: Sequence[str], max_count: int) -> None:
    """Draw counts as bars on a square-root scale, and as text at the right."""
    axes.barh(range(len(counts)), [math.sqrt(count) for count in counts], height=0.5, color=colours)
    for row, count in enumerate(counts):
        write_count(axes, row, count)
    axes.set_xlim(0, math.sqrt(max(max_count, 1)))
    set_rows(axes, len(counts))
    axes.set_yticks([])
    axes.set_xticks([])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.spines[["bottom"]].set_visible(False)
    axes.set_title("boxes (√ scale)", fontsize=8, color=SOFT, pad=6)


def co_occurrence_matrix(
    svg_id: str, actions: Sequence[Action], counts: npt.NDArray[np.int64], *, width: FigureWidth = NARROW
) -> str:
    """Draw how often two actions occur together on one box, in percent of the row's action.

    Args:
        svg_id: Id of the figure.
        actions: The C actions.
        counts: int64 ``[C, C]``, number of boxes with both actions; the diagonal is the number with one action.
        width: The width.

    Returns:
        The figure; the diagonal is left empty.
    """
    shares = counts / np.maximum(counts.diagonal(), 1)[:, None]  # [C, C], of the row's action
    np.fill_diagonal(shares, 0)
    return action_matrix(
        svg_id,
        actions,
        shares,
        lambda row, column: f"{100 * shares[row, column]:.0f}",
        lambda action: short_name(action.name),
        f"How often {len(actions)} actions are done together, in percent of the row's own count",
        width,
    )
