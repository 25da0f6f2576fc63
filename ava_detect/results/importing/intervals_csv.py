"""The table of intervals that ``hand-over --to intervals`` writes, or another one with its columns."""

from __future__ import annotations

from pathlib import Path

from ava_detect.errors import FormatError
from ava_detect.results.importing.file_start import FileStart
from ava_detect.results.importing.labels import ToolLabels, VideoIntervals, finite_number
from ava_detect.results.importing.tables import read_table
from ava_detect.results.importing.videos import VideoLookup

_COLUMNS = ("video_id", "person", "action", "start_seconds", "end_seconds")


def is_intervals(start: FileStart) -> bool:
    """Tell whether a file is a table of intervals.

    Args:
        start: Its outside.

    Returns:
        True for a table with the columns of video, person, action, start and end.
    """
    return start.kind == "table" and start.has(*_COLUMNS)


def read_intervals(path: Path, videos: VideoLookup) -> ToolLabels:
    """Read a table of intervals.

    Args:
        path: The csv; times are in seconds on the clock of a player. A person without an action has a row with an empty
            action.
        videos: Not needed: the results have the times of the videos.

    Returns:
        The intervals of each video.

    Raises:
        FormatError: The file cannot be read, or a row has no video, no person or no time; names the line.
    """
    del videos
    labels = ToolLabels()
    table = read_table(path, _COLUMNS)
    found: dict[str, VideoIntervals] = {}
    for number, row in table.rows:
        if not row["video_id"] or not row["person"]:
            raise FormatError(f"{table.where(number)}: a row has a video_id and a person")
        person = found.setdefault(row["video_id"], VideoIntervals((row["video_id"],))).person(row["person"])
        if not row["action"]:
            continue
        start, end = (finite_number(row[name], name, table.where(number)) for name in _COLUMNS[3:])
        if end > start:
            person.actions.append((row["action"], start, end))
        else:
            labels.dropped["intervals that end where they start, or before"] += 1
    labels.intervals += found.values()
    labels.action_names = tuple(dict.fromkeys(row["action"] for _, row in table.rows if row["action"]))
    return labels
