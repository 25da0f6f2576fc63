"""A table of intervals with names, for spreadsheets and statistics: ``intervals.csv``, a row per person and action.

Times are on the clock of a player. ``tubes`` writes the same intervals with the scores and boxes of every keyframe.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from ava_detect.results.export.action_intervals import action_intervals, person_name
from ava_detect.results.export.action_names import for_xml, tool_names
from ava_detect.results.export.annotated_video import AnnotatedVideo, actions_of
from ava_detect.storage.local_files import atomic_path

FILE_NAME = "intervals.csv"
COLUMNS = (
    "video_id",
    "person",
    "action_id",
    "action",
    "action_kind",
    "start_seconds",
    "end_seconds",
    "mean_score",
    "max_score",
)


def write_intervals(videos: Sequence[AnnotatedVideo], out: Path) -> list[Path]:
    """Write ``intervals.csv`` with the intervals of all videos.

    Args:
        videos: The videos.
        out: The folder to write to.

    Returns:
        The path of the file.
    """
    names = tool_names(actions_of(videos), clean=for_xml)
    path = out / FILE_NAME
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        for video in videos:
            for interval in action_intervals(video):
                action = interval.action
                seconds = [f"{milliseconds / 1000:.3f}" for milliseconds in (interval.start_ms, interval.end_ms)]
                scores = [f"{score:.4f}" for score in (interval.mean_score, interval.max_score)]
                who_does_what = [video.video_id, person_name(interval.track_id), action.id, names[action.id]]
                table.writerow([*who_does_what, str(action.kind), *seconds, *scores])
    return [path]
