"""Subtitles in SubRip's format, ``VIDEO.srt``: any player shows who does what while the video runs.

Beside a video with the same name, players load the file by themselves. A subtitle has a line per person with all of
their actions, and lasts until one of them changes. Times are on the clock of the player.

SubRip has no escapes: players take ``<`` and ``{`` as the beginning of a format tag, and readers ``-->`` as a line of
times. In names these characters become similar ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from ava_detect.results.export.action_intervals import ActionInterval, action_intervals, person_name
from ava_detect.results.export.action_names import for_xml, tool_names
from ava_detect.results.export.annotated_video import AnnotatedVideo, actions_of
from ava_detect.storage.file_names import file_stems
from ava_detect.storage.local_files import write_text_atomic

_HARMLESS = str.maketrans({"<": "\u2039", ">": "\u203a", "{": "(", "}": ")"})


def write_srt(videos: Sequence[AnnotatedVideo], out: Path) -> list[Path]:
    """Write ``VIDEO_ID.srt`` for each video.

    Args:
        videos: The videos.
        out: The folder to write to.

    Returns:
        The paths of the files, in the order of the videos.
    """
    names = tool_names(actions_of(videos), clean=lambda name: for_xml(name).translate(_HARMLESS))
    stems = file_stems(video.video_id for video in videos)
    paths = []
    for video in videos:
        paths.append(out / f"{stems[video.video_id]}.srt")
        cues = enumerate(_cues(action_intervals(video), names), start=1)
        write_text_atomic(paths[-1], "".join(f"{number}\n{cue}\n\n" for number, cue in cues))
    return paths


def _cues(intervals: Sequence[ActionInterval], names: Mapping[int, str]) -> Iterator[str]:
    """Yield the line of times and the text of each subtitle."""
    # Between two neighbouring times nothing changes.
    times = sorted({time for interval in intervals for time in (interval.start_ms, interval.end_ms)})
    starting: dict[int, list[ActionInterval]] = {}
    for interval in intervals:
        starting.setdefault(interval.start_ms, []).append(interval)
    current: list[ActionInterval] = []
    for start, end in pairwise(times):
        current = [interval for interval in current if interval.end_ms > start] + starting.get(start, [])
        if current:
            yield f"{_clock(start)} --> {_clock(end)}\n{_text(current, names)}"


def _text(intervals: Sequence[ActionInterval], names: Mapping[int, str]) -> str:
    actions: dict[int, list[str]] = {}
    for interval in sorted(intervals, key=lambda interval: (interval.track_id, interval.action.id)):
        actions.setdefault(interval.track_id, []).append(names[interval.action.id])
    return "\n".join(f"{person_name(track_id)}: {', '.join(does)}" for track_id, does in actions.items())


def _clock(milliseconds: int) -> str:
    seconds, milliseconds = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02},{milliseconds:03}"
