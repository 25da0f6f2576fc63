"""BORIS (https://www.boris.unito.it): projects, and the tables of events that it exports, tabular and aggregated.

A project has its events as BORIS stores them: the events of one subject, behaviour and modifier are a start and an end
by turns. Tabular events say which is which, aggregated events have both in one row. Times include the time offset of
their observation. The files of a playlist follow one another on one clock; files of further players are other views of
the same time, and are not needed.

Source: ``project_functions.py`` and ``export_observation.py`` of BORIS 8.27.4 and 9.12.3.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ava_detect.errors import FormatError, shown
from ava_detect.formats.json_values import MALFORMED, reason_of
from ava_detect.results.importing.file_start import FileStart
from ava_detect.results.importing.json_files import load_json
from ava_detect.results.importing.labels import ToolLabels, VideoIntervals, finite_number
from ava_detect.results.importing.tables import Table, read_table
from ava_detect.results.importing.videos import VideoLookup

_PROJECT_KEYS = ("observations", "behaviors_conf", "subjects_conf")
_OBSERVATION, _SUBJECT, _BEHAVIOR = "Observation id", "Subject", "Behavior"
_TABLE_COLUMNS = (_SUBJECT, _BEHAVIOR)
# Older versions of BORIS have "Status" for "Behavior type", and lines about the observation above the columns.
_STATUS = ("Behavior type", "Status")
_MEDIA = ("Media file name", "Media file path", "Media file")
_START, _STOP = ("Start (s)", "Stop (s)")
_NOBODY = ("", "No focal subject")
_PAIRED = ("START", "STOP")
_NO_END = "state events without an end"
_NO_SUBJECT = "events without a subject"
_POINT_EVENTS = "point events, which last no time"
_MODIFIERS = "modifiers of events"


class _Media(NamedTuple):
    """A file of an observation: its name, and from when to when it plays."""

    name: str
    start: float
    end: float


class _Interval(NamedTuple):
    """What a subject does, on the clock of the observation."""

    subject: str
    behavior: str
    start: float
    end: float


def is_boris(start: FileStart) -> bool:
    """Tell whether a file is BORIS's.

    Args:
        start: Its outside.

    Returns:
        True for a project, and for a table whose first cell is ``Observation id``.
    """
    if start.kind == "json":
        return start.root == "object" and start.has(*_PROJECT_KEYS)
    return start.kind == "table" and start.names[:1] == (_OBSERVATION,)


def read_boris(path: Path, videos: VideoLookup) -> ToolLabels:
    """Read the intervals of a project or of a table of events.

    Args:
        path: A ``.boris`` file, or a tsv or csv of tabular or aggregated events.
        videos: Not needed: the results have the times of the videos.

    Returns:
        The intervals of each video. Of a project the people are all of its subjects, and the actions all of its state
        events; of a table those that occur.

    Raises:
        FormatError: The file cannot be read, or an entry is not as BORIS writes it; names the file and the entry.
    """
    del videos
    with path.open("rb") as file:
        head = file.read(1024).removeprefix(b"\xef\xbb\xbf").lstrip()
    if head[:1] == b"{" or head[:2] == b"\x1f\x8b":
        return _read_project(path)
    return _read_events(path)


def _read_project(path: Path) -> ToolLabels:
    project = load_json(path)
    try:
        behaviors = {str(b["code"]): str(b["type"]) for b in project["behaviors_conf"].values()}
        subjects = [str(subject["name"]) for subject in project["subjects_conf"].values()]
        observations = dict(project["observations"].items())
    except MALFORMED as error:
        raise FormatError(
            f"{shown(path)}: not as BORIS writes a project ({reason_of(error)}); save it in BORIS again"
        ) from error
    states = {code for code, kind in behaviors.items() if kind.startswith("State")}
    labels = ToolLabels(action_names=tuple(code for code in behaviors if code in states))
    for name, observation in observations.items():
        here = f"{shown(path)}, observation {shown(name)!r:.80}"
        try:
            media = _media_of(name, observation, labels.dropped)
            if not media:
                continue
            offset = finite_number(observation.get("time offset") or 0, "time offset", here)
            events = _project_events(observation["events"], here, labels.dropped)
            intervals = _by_turns(events, states, behaviors, labels.dropped)
        except MALFORMED as error:
            if isinstance(error, FormatError):
                raise
            raise FormatError(f"{here}: not as BORIS writes it ({reason_of(error)}); save it in BORIS again") from error
        shifted = [i._replace(start=i.start - offset, end=i.end - offset) for i in intervals]
        labels.intervals += _of_files(media, name, shifted, subjects)
    return labels


def _media_of(name: str, observation: Mapping[str, Any], dropped: Counter[str]) -> list[_Media]:
    """Return the files of the first player; none where the times of the observation are not those of files."""
    if observation["type"] != "MEDIA":
        dropped["observations without a video"] += 1
        return []
    if observation.get("media_creation_date_as_offset"):
        dropped["observations whose times are dates"] += 1
        return []
    files = observation["file"]
    names = [str(file) for file in (files.get("1") or () if isinstance(files, dict) else files)]
    lengths = (observation.get("media_info") or {}).get("length") or {}
    return _playlist(names or [name], [lengths.get(file) for file in names or [name]], dropped)


def _playlist(names: Sequence[str], lengths: Sequence[object], dropped: Counter[str]) -> list[_Media]:
    """Return files one after another; none where the length of one before the last is not known."""
    media: list[_Media] = []
    start = 0.0
    for file, length in zip(names, lengths, strict=True):
        is_last = len(media) == len(names) - 1
        if is_last:
            media.append(_Media(file, start, float("inf")))
        elif isinstance(length, int | float) and 0 < length < 1e9:
            media.append(_Media(file, start, start + length))
            start += length
        else:
            dropped["observations of several videos without their lengths"] += 1
            return []
    return media


def _project_events(events: Sequence[Any], where: str, dropped: Counter[str]) -> list[tuple[float, str, str, str]]:
    """Return time, subject, behaviour and modifiers of each event, in the order of their times."""
    found = []
    for number, event in enumerate(events):
        time, subject, behavior, modifier = event[:4]
        if time in (None, "NA"):
            dropped["events without a time"] += 1
            continue
        time = finite_number(time, "the time", f"{where}, event {number}")
        found.append((time, str(subject), str(behavior), str(modifier or "")))
    return sorted(found, key=lambda event: event[0])


def _by_turns(
    events: Sequence[tuple[float, str, str, str]],
    states: set[str],
    behaviors: Mapping[str, str],
    dropped: Counter[str],
) -> list[_Interval]:
    """Pair the state events: those of one subject, behaviour and modifier are a start and an end by turns."""
    started: dict[tuple[str, str, str], float] = {}
    intervals = []
    for time, *who_does_what in events:
        key = (who_does_what[0], who_does_what[1], who_does_what[2])
        subject, behavior, modifier = key
        if behavior not in states:
            is_known = behavior in behaviors
            dropped[_POINT_EVENTS if is_known else "events of behaviours that the ethogram does not have"] += 1
        elif key not in started:
            started[key] = time
        else:
            intervals += _told(_Interval(subject, behavior, started.pop(key), time), modifier, dropped)
    dropped[_NO_END] += len(started)
    return intervals


def _told(interval: _Interval, modifier: str, dropped: Counter[str]) -> list[_Interval]:
    """Return an interval that can be used, and count what cannot."""
    if interval.subject.strip() in _NOBODY:
        dropped[_NO_SUBJECT] += 1
        return []
    if interval.end <= interval.start:
        dropped["events that end where they start, or before"] += 1
        return []
    if modifier.strip("| ") not in ("", "None"):
        dropped[_MODIFIERS] += 1
    return [interval]


def _of_files(
    media: Sequence[_Media], observation: str, intervals: Sequence[_Interval], subjects: Sequence[str]
) -> Iterator[VideoIntervals]:
    """Yield the intervals of each file of an observation on the file's own clock."""
    for file in media:
        names = (file.name, observation) if len(media) == 1 else (file.name,)
        video = VideoIntervals(names)
        for subject in subjects:
            video.person(subject)
        for one in intervals:
            start, end = max(one.start, file.start), min(one.end, file.end)
            if start < end:
                video.person(one.subject).actions.append((one.behavior, start - file.start, end - file.start))
        yield video


def _read_events(path: Path) -> ToolLabels:
    """Read a table of events, whose rows may be of several observations."""
    table = read_table(path, _TABLE_COLUMNS)
    aggregated = all(column in table.columns for column in (_START, _STOP))
    status = next((column for column in _STATUS if column in table.columns), None)
    if not aggregated and (status is None or "Time" not in table.columns):
        raise FormatError(
            f"{shown(path)}: events of BORIS have the columns Time and Behavior type, or {_START} and {_STOP}; got "
            f"{', '.join(map(shown, table.columns))[:200]}"
        )
    above = dict(row[:2] for row in table.above if len(row) > 1)
    labels = ToolLabels()
    observations: dict[tuple[str, str], list[tuple[int, dict[str, str]]]] = {}
    for number, row in table.rows:
        name = row.get(_OBSERVATION) or above.get(_OBSERVATION, "")
        # A playlist has one clock, and its source names all of its files.
        media = row.get("Source") or next((row[column] for column in _MEDIA if row.get(column)), "")
        observations.setdefault((name, media), []).append((number, row))
    for (name, media), rows in observations.items():
        read = _aggregated if aggregated else _tabular
        intervals = list(read(table, rows, status or "", labels.dropped))
        offset = _offset(table, rows[0], above)
        shifted = [i._replace(start=i.start - offset, end=i.end - offset) for i in intervals]
        files = _files_of(media or name, rows[0][1], labels.dropped)
        labels.intervals += _of_files(files, name, shifted, [])
    behaviors = dict.fromkeys(
        action for video in labels.intervals for person in video.people.values() for action, _, _ in person.actions
    )
    labels.action_names = tuple(behaviors)
    return labels


def _offset(table: Table, row: tuple[int, Mapping[str, str]], above: Mapping[str, str]) -> float:
    number, cells = row
    text = cells.get("Time offset (s)") or above.get("Time offset (s)") or "0"
    return finite_number(text, "Time offset (s)", table.where(number))


def _files_of(source: str, row: Mapping[str, str], dropped: Counter[str]) -> list[_Media]:
    """Return the files of ``player #1:a.mp4;b.mp4|player #2:c.mp4``, or of a plain name."""
    first = source.split("|player #")[0]
    names = first.partition(":")[2].split(";") if first.startswith("player #") else [first]
    lengths = row.get("Media duration (s)", "").split("|")[0].split(";")
    numbers: list[object] = [_number_or_none(text) for text in lengths]
    return _playlist(names, (numbers + [None] * len(names))[: len(names)], dropped)


def _number_or_none(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _modifiers(row: Mapping[str, str]) -> str:
    return "|".join(cell for column, cell in row.items() if column.startswith("Modifier") and cell)


def _tabular(
    table: Table, rows: Sequence[tuple[int, dict[str, str]]], status: str, dropped: Counter[str]
) -> Iterator[_Interval]:
    started: dict[tuple[str, str, str], float] = {}
    for number, row in rows:
        if row[status] not in _PAIRED:
            dropped[_POINT_EVENTS] += 1
            continue
        if row["Time"] == "NA":
            dropped["events without a time"] += 1
            continue
        time = finite_number(row["Time"], "Time", table.where(number))
        key = (row[_SUBJECT], row[_BEHAVIOR], _modifiers(row))
        if row[status] == "START":
            dropped[_NO_END] += key in started
            started[key] = time
        elif key in started:
            yield from _told(_Interval(key[0], key[1], started.pop(key), time), key[2], dropped)
        else:
            dropped["state events without a start"] += 1
    dropped[_NO_END] += len(started)


def _aggregated(
    table: Table, rows: Sequence[tuple[int, dict[str, str]]], status: str, dropped: Counter[str]
) -> Iterator[_Interval]:
    for number, row in rows:
        if row.get(status) == "POINT":
            dropped[_POINT_EVENTS] += 1
        elif "NA" in (row[_START], row[_STOP]):
            dropped["events without a time"] += 1
        else:
            start, end = (finite_number(row[column], column, table.where(number)) for column in (_START, _STOP))
            yield from _told(_Interval(row[_SUBJECT], row[_BEHAVIOR], start, end), _modifiers(row), dropped)
