"""A project of BORIS (https://www.boris.unito.it), ``project.boris``, and the events of each video as a table.

The project has a behaviour per action, in a category per kind of action; the people as subjects; and an observation per
video with its file and state events, one at the start and one at the end of each action tube. BORIS tells starts from
ends by counting: the events of one subject and behaviour are a start and an end by turns. ``VIDEO.tsv`` has the same
events in the columns in which BORIS itself exports them ("tabular events").

Times are on the clock of the player, in seconds with three decimals as BORIS has them. The numbers of frames are those
of the file, from 0. The score of a tube is in the comment of its start.

A project holds its subjects once for all observations: ``person 1`` of two videos need not be the same person.

Source: the functions ``open_project_json``, ``check_project_integrity`` and ``export_tabular_events`` of BORIS 8.27.4
and 9.12.3, format version 7.0.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ava_detect.results.export.action_intervals import KIND_NAMES, action_intervals, person_name, presence
from ava_detect.results.export.action_names import for_xml, tool_names
from ava_detect.results.export.annotated_video import AnnotatedVideo, actions_of
from ava_detect.storage.file_names import file_stems, valid_id
from ava_detect.storage.local_files import atomic_path, write_text_atomic
from ava_detect.structures.labels import Action
from ava_detect.video.container import open_container

PROJECT_FILE = "project.boris"
#: The columns of BORIS's tabular events, where events have no modifiers and observations no independent variables.
COLUMNS = (
    "Observation id",
    "Observation date",
    "Description",
    "Observation duration",
    "Observation type",
    "Source",
    "Time offset (s)",
    "Media duration (s)",
    "FPS",
    "Subject",
    "Behavior",
    "Behavioral category",
    "Behavior type",
    "Time",
    "Media file name",
    "Image index",
    "Image file path",
    "Comment",
)
_FORMAT_VERSION = "7.0"
_NOT_AVAILABLE = "NA"
_PLAYERS = 8


class _Event(NamedTuple):
    """An event of an observation, the start or the end of what a person does."""

    milliseconds: int
    is_start: bool
    subject: str
    action: Action
    frame: int
    comment: str


def write_boris(videos: Sequence[AnnotatedVideo], out: Path) -> list[Path]:
    """Write ``project.boris`` with all of the videos, and ``VIDEO_ID.tsv`` for each.

    Args:
        videos: The videos.
        out: The folder to write to.

    Returns:
        The path of the project, then those of the tables.
    """
    actions = actions_of(videos)
    names = tool_names(actions, clean=for_boris)
    ids = observation_ids([video.video_id for video in videos])
    stems = file_stems(video.video_id for video in videos)
    observations = {ids[video.video_id]: (video, _events(video, names)) for video in videos}
    project = {
        "time_format": "s",
        "project_name": "ava_detect",
        "project_date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S"),
        "project_description": "People and their actions, found by ava_detect",
        "project_format_version": _FORMAT_VERSION,
        "subjects_conf": _subjects(videos),
        "behaviors_conf": _ethogram(actions, names),
        "observations": {
            observation_id: _observation(video, events, names)
            for observation_id, (video, events) in observations.items()
        },
        "behavioral_categories": list(KIND_NAMES.values()),
        "behavioral_categories_config": {
            str(number): {"name": name, "color": ""} for number, name in enumerate(KIND_NAMES.values())
        },
        "independent_variables": {},
        "coding_map": {},
        "behaviors_coding_map": [],
        "converters": {},
    }
    paths = [out / PROJECT_FILE]
    write_text_atomic(paths[0], json.dumps(project, indent=1) + "\n")
    for observation_id, (video, events) in observations.items():
        paths.append(out / f"{stems[video.video_id]}.tsv")
        _write_table(paths[-1], observation_id, video, events, names)
    return paths


def for_boris(name: str) -> str:
    """Return a name that BORIS takes as the code of a behaviour.

    Args:
        name: Name of an action.

    Returns:
        The name in one line, with a slash for ``|``, which BORIS refuses.
    """
    return for_xml(name).replace("|", "/")


def observation_ids(video_ids: Sequence[str]) -> dict[str, str]:
    """Name the observations of videos: BORIS complains of space around a name, and tables hold it in one line.

    Args:
        video_ids: Distinct ids of videos.

    Returns:
        Video id -> id of its observation; no two are equal.
    """
    names: dict[str, str] = {}
    for video_id in video_ids:
        name, number = for_xml(video_id) or "video", 1
        while (candidate := name if number == 1 else f"{name} ({number})") in names.values():
            number += 1
        names[video_id] = candidate
    return names


def _events(video: AnnotatedVideo, names: Mapping[int, str]) -> list[_Event]:
    """Return the events of a video in the order of BORIS: by time, subject and behaviour; ends before starts."""
    events = []
    for interval in action_intervals(video):
        comment = f"mean score {interval.mean_score:.2f}"
        for milliseconds, is_start in ((interval.start_ms, True), (interval.end_ms, False)):
            seconds = milliseconds / 1000 - video.start_seconds
            # Half a millisecond: the time is rounded to whole ones.
            frame = int(np.searchsorted(video.frame_times, seconds + 0.0005, "right")) - 1
            subject = person_name(interval.track_id)
            events.append(
                _Event(milliseconds, is_start, subject, interval.action, max(frame, 0), comment if is_start else "")
            )
    return sorted(events, key=lambda e: (e.milliseconds, e.subject, names[e.action.id], e.is_start))


def _subjects(videos: Sequence[AnnotatedVideo]) -> dict[str, Any]:
    """Return the people of all videos; those whose numbers end alike share a key, and BORIS asks which is meant."""
    track_ids = sorted({track_id for video in videos for track_id in presence(video)})
    return {
        str(number): {"key": str(track_id)[-1], "name": person_name(track_id), "description": ""}
        for number, track_id in enumerate(track_ids)
    }


def _ethogram(actions: Sequence[Action], names: Mapping[int, str]) -> dict[str, Any]:
    """Return the behaviours; of several whose letters are taken, the first letter is the key, and BORIS asks."""
    taken: set[str] = set()
    ethogram = {}
    for number, action in enumerate(actions):
        letters = [letter for letter in names[action.id].lower() if "a" <= letter <= "z"]
        free = [letter for letter in letters if letter not in taken]
        key = (free or letters or [""])[0]
        taken.add(key)
        ethogram[str(number)] = {
            "type": "State event",
            "key": key,
            "code": names[action.id],
            "description": "",
            "color": "",
            "category": KIND_NAMES[action.kind],
            "modifiers": {},
            "excluded": "",
            "coding map": "",
        }
    return ethogram


def _observation(video: AnnotatedVideo, events: Sequence[_Event], names: Mapping[int, str]) -> dict[str, Any]:
    media = _media(video)
    with open_container(video.path) as container:
        has_audio = bool(container.streams.audio)
    return {
        "file": {str(player): [media] if player == 1 else [] for player in range(1, _PLAYERS + 1)},
        "type": "MEDIA",
        "date": _date(video),
        "description": "",
        "time offset": 0.0,
        "events": [
            [event.milliseconds / 1000, event.subject, names[event.action.id], "", event.comment, event.frame]
            for event in events
        ],
        "observation time interval": [0, 0],
        "independent_variables": {},
        "visualize_spectrogram": False,
        "visualize_waveform": False,
        "media_creation_date_as_offset": False,
        "media_scan_sampling_duration": 0,
        "image_display_duration": 1,
        "close_behaviors_between_videos": False,
        "media_info": {
            "length": {media: _duration(video)},
            "fps": {media: round(video.fps, 3)},
            "hasVideo": {media: True},
            "hasAudio": {media: has_audio},
            "offset": {"1": 0.0},
            "display": {media: "Nothing"},  # neither spectrogram nor waveform
        },
    }


def _write_table(
    path: Path, observation_id: str, video: AnnotatedVideo, events: Sequence[_Event], names: Mapping[int, str]
) -> None:
    media, duration = _media(video), f"{_duration(video):.3f}"
    date = _date(video).replace("T", " ")
    source = ["Media file(s)", f"player #1:{media}", "0.0", duration, f"{video.fps:.3f}"]
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, "excel-tab")
        table.writerow(COLUMNS)
        for event in events:
            name, category = names[event.action.id], KIND_NAMES[event.action.kind]
            what = [event.subject, name, category, "START" if event.is_start else "STOP"]
            where = [f"{event.milliseconds / 1000:.3f}", media, event.frame, _NOT_AVAILABLE, event.comment]
            table.writerow([observation_id, date, "", duration, *source, *what, *where])


def _media(video: AnnotatedVideo) -> str:
    return valid_id(str(video.path.resolve()))


def _date(video: AnnotatedVideo) -> str:
    """Return when the video was made, as far as its file tells."""
    changed = datetime.fromtimestamp(video.path.stat().st_mtime, UTC)
    return changed.strftime("%Y-%m-%dT%H:%M:%S")


def _duration(video: AnnotatedVideo) -> float:
    """Return the end of the picture on the clock of the player, to milliseconds."""
    return round(video.player_seconds(video.duration_seconds), 3)
