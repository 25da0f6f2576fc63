"""A page of plots of results: timelines, scores per action, co-occurrence; with ground truth AP and curves.

The page is one self-contained file in the style of the evaluation report, some of whose sections it shares.

Shapes: N boxes, C actions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ava_detect.errors import counted
from ava_detect.evaluation.compare import ap_intervals
from ava_detect.evaluation.frame_map import FrameMAP
from ava_detect.storage.local_files import write_text_atomic
from ava_detect.structures import ActionDetections
from ava_detect.structures.labels import ActionKind, LabelMap
from ava_detect.structures.tubes import ActionTube, median_spacing
from ava_detect.visualization import plot_figures
from ava_detect.visualization.chips import short_name
from ava_detect.visualization.report import result_sections
from ava_detect.visualization.report.html import (
    Drawing,
    Section,
    count_cell,
    figure_block,
    isolated,
    kind_cell,
    legend,
    page,
    paragraph,
    points_cell,
    table,
    text_cell,
)

FILE_NAME = "plots.html"
# Scores below this are left out of the distributions: most scores are near 0 and would hide the others.
_MIN_DRAWN_SCORE = 0.1
_MAX_TIMELINE_ROWS = 40
_MAX_TIMELINES = 24
_MAX_CO_OCCURRING = 16
_NOBODY = "No person was found."


@dataclass(frozen=True, eq=False)
class PlottedVideo:
    """Results of one video.

    Attributes:
        video_id: The video's id.
        keyframes: Keyframes with track ids, in time order.
        tubes: Its action tubes.
    """

    video_id: str
    keyframes: Sequence[ActionDetections]
    tubes: Sequence[ActionTube]

    @property
    def end_seconds(self) -> float:
        """End of the time axis: half a keyframe spacing after the last keyframe, seconds."""
        if not self.keyframes:
            return 1.0
        return self.keyframes[-1].timestamp_seconds + median_spacing(self.keyframes) / 2


def write_plots(
    out: Path,
    videos: Sequence[PlottedVideo],
    label_map: LabelMap,
    *,
    metric: FrameMAP | None = None,
    min_score: float = 0.5,
    title: str = "Action detection: results",
    note: str = "",
    seed: int = 0,
) -> Path:
    """Write the page as ``out/plots.html``.

    Args:
        out: The folder of the page.
        videos: Results whose score columns are those of ``label_map``.
        label_map: Names and kinds of the actions.
        metric: The metric, updated with these results and their ground truth, for AP and curves; None without ground
            truth.
        min_score: Score from which an action counts as done, 0..1.
        title: Title of the page.
        note: Note at the top, such as that the weights are untrained; empty for none.
        seed: Seed of the bootstrap for the intervals of AP.

    Returns:
        Path of the page.
    """
    # All boxes of all videos, [N, C]; the empty array fixes the shape where there are none.
    scores = np.concatenate(
        [np.zeros((0, len(label_map)), np.float32), *(k.action_scores for video in videos for k in video.keyframes)]
    )
    sections = [
        _headline(videos, scores, min_score, note),
        _timelines(videos, label_map, len(scores)),
        _classes(scores, label_map, min_score),
        _co_occurrence(scores >= min_score, label_map),
    ]
    if metric is not None:
        result = metric.compute()
        ranked = result_sections.ranked_classes(result)
        if ranked:
            intervals = ap_intervals(metric, num_resamples=200, seed=seed)
            sections += [
                result_sections.classes_section(result, ranked, intervals),
                result_sections.curves_section(ranked, metric.precision_recall()),
            ]
    path = Path(out) / FILE_NAME
    write_text_atomic(path, page(title, sections))
    return path


def _headline(videos: Sequence[PlottedVideo], scores: npt.NDArray[np.float32], min_score: float, note: str) -> Section:
    num_tracks = sum(len({track for k in v.keyframes for track in _track_ids(k)}) for v in videos)
    num_keyframes = sum(len(video.keyframes) for video in videos)
    text = (
        f"{counted(len(videos), 'video')}, {counted(num_keyframes, 'keyframe')}, "
        f"{counted(num_tracks, 'person', 'people')} followed, {counted(len(scores), 'box', 'boxes')}. "
        f"An action counts as done from a score of {min_score:g} on."
    )
    parts = [f"<p><strong>{isolated(note)}</strong></p>"] if note else []
    return Section("summary", "Summary", "\n".join([*parts, paragraph(text)]))


def _track_ids(keyframe: ActionDetections) -> list[int]:
    return [] if keyframe.track_ids is None else keyframe.track_ids.tolist()


def _timelines(videos: Sequence[PlottedVideo], label_map: LabelMap, num_boxes: int) -> Section:
    with_tubes = [video for video in videos if video.tubes]
    if not with_tubes:
        text = "No action is believed for long enough anywhere: there is no tube."
        return Section("timelines", "Timelines", paragraph(text if num_boxes else _NOBODY))
    drawings: list[Drawing] = []
    tables, left_out = [], 0
    kinds: set[ActionKind] = set()
    for number, video in enumerate(with_tubes[:_MAX_TIMELINES]):
        tubes, missing = _longest_rows(video.tubes)
        actions = [label_map.by_id(tube.action_id) for tube in tubes]
        kinds.update(action.kind for action in actions)
        figure = partial(
            plot_figures.tube_timeline, f"timeline{number}", video.video_id, tubes, actions, video.end_seconds
        )
        drawings.append(figure)
        tables.append(_tube_table(video, label_map))
        left_out += missing
    num_tubes = sum(len(video.tubes) for video in with_tubes)
    caption = f"{counted(num_tubes, 'tube')} in {counted(len(with_tubes), 'video')}."
    if left_out:
        caption += f" Of each video the {_MAX_TIMELINE_ROWS} rows with the most time are drawn; {left_out} are not."
    parts = [
        paragraph(
            "A row is a person, by number, and an action; a bar is the time from which to which it is done, the fuller "
            "the surer. Bars are action tubes: scores smoothed over time and cut by two thresholds."
        ),
        legend([kind for kind in ActionKind if kind in kinds]),
        figure_block(drawings, caption),
        *tables,
    ]
    if len(with_tubes) > _MAX_TIMELINES:
        parts.append(paragraph(f"{len(with_tubes) - _MAX_TIMELINES} more videos have tubes and are not drawn here."))
    return Section("timelines", "Timelines", "\n".join(parts))


def _longest_rows(tubes: Sequence[ActionTube]) -> tuple[list[ActionTube], int]:
    """Return the tubes of the 40 rows (person, action) of greatest total length, and the number of rows left out."""
    lengths: dict[tuple[int, int], float] = {}
    for tube in tubes:
        row = tube.track_id, tube.action_id
        lengths[row] = lengths.get(row, 0.0) + tube.end_seconds - tube.start_seconds
    kept = set(sorted(lengths, key=lambda row: -lengths[row])[:_MAX_TIMELINE_ROWS])
    return [tube for tube in tubes if (tube.track_id, tube.action_id) in kept], len(lengths) - len(kept)


def _tube_table(video: PlottedVideo, label_map: LabelMap) -> str:
    rows = [
        [
            text_cell(str(tube.track_id)),
            text_cell(label_map.name(tube.action_id)),
            text_cell(f"{tube.start_seconds:.1f} to {tube.end_seconds:.1f}"),
            points_cell(tube.mean_score),
        ]
        for tube in video.tubes
    ]
    heads = ("person", "action", "seconds", "mean score (points)")
    body = table(f"Tubes of {video.video_id}", heads, rows, is_sortable=True)
    return f"<details><summary>{isolated(video.video_id)} as a table</summary>\n{body}\n</details>"


def _classes(scores: npt.NDArray[np.float32], label_map: LabelMap, min_score: float) -> Section:
    scored = [
        plot_figures.ActionScores(action, column[column >= _MIN_DRAWN_SCORE], int((column >= min_score).sum()))
        for action, column in zip(label_map, scores.T, strict=True)
        if (column >= _MIN_DRAWN_SCORE).any()
    ]
    # By descending count, then by descending median.
    scored.sort(key=lambda row: (-row.count, -float(np.median(row.scores))))
    if not scored:
        text = f"No score reaches {_MIN_DRAWN_SCORE:g}." if len(scores) else _NOBODY
        return Section("actions", "Actions", paragraph(text))
    drawn = [row for row in scored if row.count] or scored
    half = -(-len(drawn) // 2)  # rounded up; long lists are drawn as two figures beside each other
    parts = [drawn] if len(drawn) < 12 else [drawn[:half], drawn[half:]]
    drawings = [
        partial(plot_figures.class_scores, f"scores{i}", part, min_score, drawn[0].count)
        for i, part in enumerate(parts)
    ]
    caption = (
        f"The scores of each action from {_MIN_DRAWN_SCORE:g} on: a line from the 10th to the 90th percentile, "
        f"a dot at the median; the dashed line is {min_score:g}. To the right, how many boxes reach it. "
        "Actions that never do stand in the table alone."
    )
    table_rows = [
        [
            text_cell(short_name(row.action.name)),
            kind_cell(row.action.kind),
            count_cell(row.count),
            *(points_cell(float(value)) for value in np.percentile(row.scores, (10, 50, 90))),
        ]
        for row in scored
    ]
    heads = ("action", "kind", "times", "10th percentile", "median", "90th percentile")
    body = [
        legend([kind for kind in ActionKind if any(row.action.kind is kind for row in scored)]),
        figure_block(drawings, caption),
        table("Scores in points, 0 to 100", heads, table_rows, is_sortable=True),
    ]
    return Section("actions", "Actions", "\n".join(body))


def _co_occurrence(is_done: npt.NDArray[np.bool_], label_map: LabelMap) -> Section:
    """Return the section on actions that occur together; ``is_done``: bool ``[N, C]``."""
    frequent = np.flatnonzero(is_done.any(axis=0))  # [c], the actions that are done at all
    chosen = is_done[:, frequent].astype(np.float64)  # [N, c]; its product with itself counts boxes with both actions
    counts = (chosen.T @ chosen).round().astype(np.int64)  # [c, c]
    is_together = np.count_nonzero(counts, axis=1) > 1  # [c]; the diagonal is not 0
    if not np.any(is_together):
        return Section("together", "Done together", paragraph(_why_nothing_together(is_done)))
    # The most frequent of the actions that are done with another, at most 16, then in the order of the label map.
    by_count = np.argsort(-counts.diagonal(), kind="stable")
    drawn = np.sort(by_count[is_together[by_count]][:_MAX_CO_OCCURRING])
    drawing = partial(
        plot_figures.co_occurrence_matrix,
        "together-shares",
        [label_map.actions[frequent[c]] for c in drawn.tolist()],
        counts[np.ix_(drawn, drawn)],
    )
    caption = (
        "Of the boxes with the row's action, how many percent also have the column's; columns are in the order of the "
        "rows. Some pairs belong together (watch and listen to a person); two poses at once are a doubt."
    )
    if alone := int((~is_together).sum()):
        caption += f" {counted(alone, 'action is', 'actions are')} never done with another, and not shown."
    if (rest := int(is_together.sum()) - len(drawn)) > 0:
        caption += f" Of the actions that are, the {len(drawn)} most frequent are shown; {rest} are not."
    return Section("together", "Done together", figure_block([drawing], caption))


def _why_nothing_together(is_done: npt.NDArray[np.bool_]) -> str:
    """Return the sentence that stands in place of an empty matrix; ``is_done``: bool ``[N, C]``."""
    if not len(is_done):
        return _NOBODY
    num_actions = int(is_done.any(axis=0).sum())
    if num_actions < 2:
        which = "One action only" if num_actions else "No action"
        return f"{which} reaches the score from which it counts as done, so there are no two to compare."
    return f"Of the {num_actions} actions that are done, no two are done by one person at the same time."
