"""A page of plots about results: timelines, counts and scores per action, co-occurrence; with ground truth AP and PR.

One static file in the style of the evaluation report, whose sections it shares: it opens from disk, prints, follows
light and dark, fits a phone, and loads nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ava_detect.evaluation.compare import ap_intervals
from ava_detect.evaluation.frame_map import FrameMAP
from ava_detect.storage.local_files import write_text_atomic
from ava_detect.structures import ActionDetections
from ava_detect.structures.labels import ActionKind, LabelMap
from ava_detect.structures.tubes import ActionTube, usual_spacing
from ava_detect.visualization import plot_figures as draw
from ava_detect.visualization.chips import short_name
from ava_detect.visualization.report import sections as of_result
from ava_detect.visualization.report.html import (
    Section,
    count,
    figures,
    kind_cell,
    legend,
    named,
    page,
    paragraph,
    points,
    table,
    words,
)

FILE_NAME = "plots.html"
# What is below is as good as not believed, and would hide where the scores of believed actions lie.
_BELIEVED = 0.1
_MOST_TIMELINE_ROWS = 40
_MOST_VIDEOS = 24
_MOST_TOGETHER = 16


@dataclass(frozen=True, eq=False)
class PlottedVideo:
    """One video: its linked keyframes in time order, and its tubes."""

    video_id: str
    keyframes: Sequence[ActionDetections]
    tubes: Sequence[ActionTube]

    @property
    def end_seconds(self) -> float:
        """When the last keyframe's time is over."""
        if not self.keyframes:
            return 1.0
        return self.keyframes[-1].timestamp_seconds + usual_spacing(self.keyframes) / 2


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
    """Write the page as ``out/plots.html`` and give its path.

    ``videos``: their score columns are those of ``label_map``. ``metric``: filled with these results and their ground
    truth, for AP and curves. ``min_score``: from it on an action counts as done. ``note``: a word of warning on top.
    """
    scores = np.concatenate(
        [np.zeros((0, len(label_map)), np.float32), *(k.action_scores for video in videos for k in video.keyframes)]
    )
    sections = [
        _headline(videos, scores, min_score, note),
        _timelines(videos, label_map),
        _classes(scores, label_map, min_score),
        _together(scores >= min_score, label_map),
    ]
    if metric is not None:
        result = metric.compute()
        ranked = of_result.ranked_classes(result)
        if ranked:
            intervals = ap_intervals(metric, num_resamples=200, seed=seed)
            sections += [
                of_result.classes_section(result, ranked, intervals),
                of_result.curves_section(ranked, metric.precision_recall()),
            ]
    path = Path(out) / FILE_NAME
    write_text_atomic(path, page(title, sections))
    return path


def _headline(videos: Sequence[PlottedVideo], scores: npt.NDArray[np.float32], min_score: float, note: str) -> Section:
    tracks = sum(len({track for k in v.keyframes for track in (_tracks(k))}) for v in videos)
    keyframes = sum(len(video.keyframes) for video in videos)
    text = (
        f"{_counted(len(videos), 'video')}, {_counted(keyframes, 'keyframe')}, {_counted(tracks, 'person', 'people')} "
        f"followed, {_counted(len(scores), 'box', 'boxes')}. An action counts as done from a score of {min_score:g} on."
    )
    parts = [f"<p><strong>{named(note)}</strong></p>"] if note else []
    return Section("summary", "Summary", "\n".join([*parts, paragraph(text)]))


def _counted(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _tracks(keyframe: ActionDetections) -> list[int]:
    return [] if keyframe.track_ids is None else keyframe.track_ids.tolist()


def _timelines(videos: Sequence[PlottedVideo], label_map: LabelMap) -> Section:
    parts = [
        paragraph(
            "A row is a person, by number, and an action; a bar is the time from which to which it is done, the fuller "
            "the surer. Bars are action tubes: scores smoothed over time and cut by two thresholds."
        ),
        legend([kind for kind in ActionKind if any(action.kind is kind for action in label_map)]),
    ]
    with_tubes = [video for video in videos if video.tubes]
    svgs, tables, left_out = [], [], 0
    for number, video in enumerate(with_tubes[:_MOST_VIDEOS]):
        tubes, missing = _longest_rows(video.tubes)
        actions = [label_map.by_id(tube.action_id) for tube in tubes]
        svgs.append(draw.timeline(f"timeline{number}", video.video_id, tubes, actions, video.end_seconds))
        tables.append(_tube_table(video, label_map))
        left_out += missing
    if svgs:
        num_tubes = sum(len(video.tubes) for video in with_tubes)
        caption = f"{_counted(num_tubes, 'tube')} in {_counted(len(with_tubes), 'video')}."
        if left_out:
            caption += (
                f" Of each video the {_MOST_TIMELINE_ROWS} rows with the most time are drawn; {left_out} are not."
            )
        parts += [figures(svgs, caption), *tables]
    if len(with_tubes) > _MOST_VIDEOS:
        parts.append(paragraph(f"{len(with_tubes) - _MOST_VIDEOS} more videos have tubes and are not drawn here."))
    if not with_tubes:
        parts.append(paragraph("No action is believed for long enough anywhere: there is no tube."))
    return Section("timelines", "Timelines", "\n".join(parts))


def _longest_rows(tubes: Sequence[ActionTube]) -> tuple[list[ActionTube], int]:
    """The tubes of the rows with the most time, and how many rows are left out."""
    lengths: dict[tuple[int, int], float] = {}
    for tube in tubes:
        row = tube.track_id, tube.action_id
        lengths[row] = lengths.get(row, 0.0) + tube.end_seconds - tube.start_seconds
    kept = set(sorted(lengths, key=lambda row: -lengths[row])[:_MOST_TIMELINE_ROWS])
    return [tube for tube in tubes if (tube.track_id, tube.action_id) in kept], len(lengths) - len(kept)


def _tube_table(video: PlottedVideo, label_map: LabelMap) -> str:
    rows = [
        [
            words(str(tube.track_id)),
            words(label_map.name(tube.action_id)),
            words(f"{tube.start_seconds:.1f} to {tube.end_seconds:.1f}"),
            points(tube.mean_score),
        ]
        for tube in video.tubes
    ]
    heads = ("person", "action", "seconds", "mean score (points)")
    body = table(f"Tubes of {video.video_id}", heads, rows, is_sortable=True)
    return f"<details><summary>{named(video.video_id)} as a table</summary>\n{body}\n</details>"


def _classes(scores: npt.NDArray[np.float32], label_map: LabelMap, min_score: float) -> Section:
    believed = [
        draw.ActionScores(action, column[column >= _BELIEVED], int((column >= min_score).sum()))
        for action, column in zip(label_map, scores.T, strict=True)
        if (column >= _BELIEVED).any()
    ]
    believed.sort(key=lambda of: (-of.count, -float(np.median(of.scores))))
    if not believed:
        return Section("actions", "Actions", paragraph(f"No score reaches {_BELIEVED:g}."))
    drawn = [of for of in believed if of.count] or believed
    half = -(-len(drawn) // 2)
    parts = [drawn] if len(drawn) < 12 else [drawn[:half], drawn[half:]]
    svgs = [draw.class_scores(f"scores{i}", part, min_score, drawn[0].count) for i, part in enumerate(parts)]
    caption = (
        f"The scores of each action from {_BELIEVED:g} on: a line from the 10th to the 90th percentile, a dot at the "
        f"median; the dashed line is {min_score:g}. To the right, how many boxes reach it. Actions that never do stand "
        "in the table alone."
    )
    table_rows = [
        [
            words(short_name(of.action.name)),
            kind_cell(of.action.kind),
            count(of.count),
            *(points(float(value)) for value in np.percentile(of.scores, (10, 50, 90))),
        ]
        for of in believed
    ]
    heads = ("action", "kind", "times", "10th percentile", "median", "90th percentile")
    body = [
        legend([kind for kind in ActionKind if any(of.action.kind is kind for of in believed)]),
        figures(svgs, caption),
        table("Scores in points, 0 to 100", heads, table_rows, is_sortable=True),
    ]
    return Section("actions", "Actions", "\n".join(body))


def _together(done: npt.NDArray[np.bool_], label_map: LabelMap) -> Section:
    """``done``: bool ``[N, C]``."""
    times = done.sum(axis=0)
    columns = [c for c in np.argsort(-times, kind="stable").tolist() if times[c]][:_MOST_TOGETHER]
    if len(columns) < 2:
        return Section("together", "Together", paragraph("There are no two actions to compare."))
    columns.sort()
    chosen = done[:, columns].astype(np.int64)
    svg = draw.together("together-shares", [label_map.actions[c] for c in columns], chosen.T @ chosen)
    caption = (
        "Of the boxes with the row's action, how many percent also have the column's; columns go by action id. Some "
        "pairs belong together (watch and listen to a person); two poses at once are a doubt."
    )
    return Section("together", "Done together", figures([svg], caption, layout="wide"))
