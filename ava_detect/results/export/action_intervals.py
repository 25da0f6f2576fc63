"""Who does what, and from when to when: what ELAN, BORIS, subtitles and the table of intervals show.

An interval is an action tube of a person. Times are whole milliseconds on the clock of a player, which may start before
the picture. A tube reaches half way to the keyframes before and after it (``structures/tubes.py``), so the keyframes of
an interval are those between its start and its end, which ``results/importing/interval_boxes.py`` finds again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ava_detect.results.export.annotated_video import AnnotatedVideo
from ava_detect.structures.labels import Action, ActionKind

#: The kinds of actions as researchers of behaviour read them.
KIND_NAMES = {
    ActionKind.POSE: "pose",
    ActionKind.OBJECT: "person-object",
    ActionKind.PERSON: "person-person",
    ActionKind.UNKNOWN: "action",
}
# The rule of ``AnnotatedVideo.leaves_after``: a person is present between two keyframes if they are less than this many
# usual spacings apart.
_LARGEST_GAP = 1.5


class ActionInterval(NamedTuple):
    """A person who does one action for a while.

    Attributes:
        track_id: Id of the person.
        action: The action.
        start_ms: Start on the clock of a player, milliseconds.
        end_ms: End on the clock of a player, milliseconds; after the start.
        mean_score: Mean of the smoothed scores of the action, 0..1.
        max_score: Maximum of the smoothed scores of the action, 0..1.
    """

    track_id: int
    action: Action
    start_ms: int
    end_ms: int
    mean_score: float
    max_score: float


def person_name(track_id: int) -> str:
    """Name a person for other tools.

    Args:
        track_id: Id of the person.

    Returns:
        A name such as ``person 3``.
    """
    return f"person {track_id}"


def action_intervals(video: AnnotatedVideo) -> list[ActionInterval]:
    """List the actions of all people of a video.

    Args:
        video: The video.

    Returns:
        An interval for each action tube, in the order of their starts.
    """
    return [
        ActionInterval(
            tube.track_id,
            video.label_map.by_id(tube.action_id),
            *_milliseconds(video, tube.start_seconds, float(tube.timestamps_seconds[-1]), tube.end_seconds),
            tube.mean_score,
            tube.max_score,
        )
        for tube in video.tubes
    ]


def presence(video: AnnotatedVideo) -> dict[int, list[tuple[int, int]]]:
    """Find from when to when each person is in the picture.

    Args:
        video: The video.

    Returns:
        Track id -> start and end, in milliseconds on the clock of a player, of each time; people in the order of their
        ids. Like the tubes, a time reaches half a keyframe's spacing beyond its first and its last keyframe.
    """
    half = video.spacing_seconds / 2
    # Every keyframe counts, also several that show the same frame.
    times: dict[int, list[float]] = {}
    for keyframe in video.keyframes:
        assert keyframe.track_ids is not None, "results are linked when they are read"
        for track_id in keyframe.track_ids.tolist():
            times.setdefault(track_id, []).append(keyframe.timestamp_seconds)
    found: dict[int, list[tuple[int, int]]] = {}
    for track_id, seconds in sorted(times.items()):
        first = seconds[0]
        for before, after in zip(seconds, [*seconds[1:], None], strict=True):
            if after is None or after - before >= _LARGEST_GAP * video.spacing_seconds:
                span = _milliseconds(video, max(first - half, 0), before, before + half)
                found.setdefault(track_id, []).append(span)
                first = before if after is None else after
    return found


def rows_without_overlap(intervals: Iterable[ActionInterval]) -> list[list[ActionInterval]]:
    """Divide intervals into rows in which none overlaps another, for tools that need that.

    Args:
        intervals: The intervals, in the order of their starts.

    Returns:
        The rows; as few as possible.
    """
    rows: list[list[ActionInterval]] = []
    for interval in intervals:
        free = next((row for row in rows if row[-1].end_ms <= interval.start_ms), None)
        if free is None:
            rows.append([interval])
        else:
            free.append(interval)
    return rows


def _milliseconds(
    video: AnnotatedVideo, start_seconds: float, last_seconds: float, end_seconds: float
) -> tuple[int, int]:
    """Return an interval on the player's clock, cut at the end of the video, behind its last keyframe."""
    # Results of a longer version of the video have keyframes beyond its end.
    if last_seconds <= video.duration_seconds:
        end_seconds = min(end_seconds, video.duration_seconds)
    start, end = (round(1000 * video.player_seconds(seconds)) for seconds in (start_seconds, end_seconds))
    return max(start, 0), max(end, start + 1, 1)
