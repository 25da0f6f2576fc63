"""A video task of Label Studio: tracks of boxes, and spans of actions on the timeline, as people on frames.

Label Studio numbers frames by time: number n is at (n - 1) / fps on the player's clock. A box moves straight from one
keyframe to the next (``tracks``); a keyframe that is not enabled ends the person's visibility, and shows the person
itself. The frames of ``keyframes`` in the data of a task of ``hand-over`` were looked at, also those without people.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from ava_detect.errors import FormatError
from ava_detect.results.export.label_studio import KEYFRAMES_FIELD
from ava_detect.results.importing.label_studio_tasks import (
    TIMELINE,
    VIDEO_BOXES,
    Region,
    Scheme,
    Task,
    iter_relations,
    upright_box,
)
from ava_detect.results.importing.labels import Box, LabelledPerson, ToolLabels, finite_number
from ava_detect.results.importing.tracks import Step, boxes_on, labelled_frames
from ava_detect.results.importing.videos import VideoLookup
from ava_detect.results.measured_video import MeasuredVideo

# What the tag Video assumes where a project gives no rate.
_DEFAULT_FPS = 24.0
_RATE_FIELDS = ("fps", "frame_rate", "framerate", "frameRate")
_PERSON_NOTE = re.compile(r"person\W*(\w+)", re.IGNORECASE)
# Label Studio seeks a little behind the start of a frame.
_SEEK_SECONDS = 0.002


@dataclass(frozen=True)
class _Track:
    """The boxes of a person, ascending, and the actions that hold for all of them."""

    region: Region
    person: str
    steps: Sequence[Step]
    actions: tuple[str, ...]


@dataclass(frozen=True)
class _Span:
    """Actions from one frame to another, both included; of a person, or of the only one on the frame."""

    first: float
    last: float
    actions: tuple[str, ...]
    person: str | None


def read_video_task(task: Task, scheme: Scheme, videos: VideoLookup, labels: ToolLabels) -> None:
    """Read a task of a video.

    Args:
        task: The task.
        scheme: The words that are actions.
        videos: Finds the video.
        labels: Gets the people on the frames that were labelled, the keyframes without people, and what is dropped.

    Raises:
        FormatError: A value is invalid, or the video is missing.
        VideoError: The video cannot be decoded.
    """
    names = [str(task.data[name]) for name in ("video_id",) if isinstance(task.data.get(name), str | int)]
    video = videos.get(*names, task.media, where=task.where, need="Label Studio numbers frames by time")
    tracks = _tracks(task, scheme, video, labels.dropped)
    spans = _spans(task, scheme, tracks, labels.dropped)
    for region in task.regions:
        if not region.shape and region.chosen:
            labels.dropped["choices about a whole video"] += len(region.chosen)
    clock = _Clock(video, _fps(task))
    listed = _listed_keyframes(task)
    # A keyframe that ends a person's visibility was placed by a person, unless hand-over wrote the task.
    labelled = labelled_frames((track.steps for track in tracks), with_ends=listed is None)
    numbers = sorted(labelled | set(listed or ()) | {clock.number_of(f) for f in videos.frames_of_multiples(video)})
    visible: dict[float, list[tuple[_Track, Box]]] = {number: [] for number in numbers}
    for track in tracks:
        for number, box, _ in boxes_on(track.steps, numbers):
            visible[number].append((track, box))
    for number in numbers:
        seconds = clock.seconds_of(number)
        if seconds is None:
            labels.dropped["frames after the end of the video"] += 1
            continue
        current = [span for span in spans if span.first <= number <= span.last]
        people = _people(video.video_id, seconds, visible[number], current)
        labels.people += people
        if not people and number in (listed or ()):
            labels.empty_keyframes.append((video.video_id, seconds))


def person_in(note: str) -> str | None:
    """Return the person that the metadata of a region names.

    Args:
        note: The text, such as ``person 3``.

    Returns:
        The name or number after the word "person"; None where there is none.
    """
    match = _PERSON_NOTE.search(note)
    return match[1] if match else None


@dataclass(frozen=True)
class _Clock:
    """Turns numbers of frames into times."""

    video: MeasuredVideo
    fps: float

    def seconds_of(self, number: float) -> float | None:
        """Return the time of the frame that Label Studio shows; None for a number after the end of the video."""
        times = self.video.frame_times
        seconds = (number - 1) / self.fps - self.video.start_seconds
        if seconds > times[-1] + 1 / self.fps + 1 / self.video.fps:
            return None
        nearest = int(np.abs(times - seconds).argmin())
        # Where frames are evenly spaced, one has the number; else the one that is on display.
        if abs(times[nearest] - seconds) > 0.5 / self.fps + 1e-6:
            nearest = max(int(np.searchsorted(times, seconds + _SEEK_SECONDS, "right")) - 1, 0)
        return float(times[nearest])

    def number_of(self, frame: int) -> float:
        """Return the number of a frame of the file."""
        return float(np.floor((self.video.frame_times[frame] + self.video.start_seconds) * self.fps + 0.5) + 1)


def _people(
    video_id: str, seconds: float, visible: Sequence[tuple[_Track, Box]], current: Sequence[_Span]
) -> list[LabelledPerson]:
    """Return the people on a frame; an action that names no person stands beside them without a box."""
    people = []
    for track, box in visible:
        done = (name for span in current if span.person == track.person for name in span.actions)
        actions = tuple(dict.fromkeys((*track.actions, *done)))
        people.append(LabelledPerson(video_id, seconds, box, actions, track.person))
    nameless = tuple(dict.fromkeys(name for span in current if span.person is None for name in span.actions))
    if people and nameless:
        people.append(LabelledPerson(video_id, seconds, None, nameless))
    return people


def _tracks(task: Task, scheme: Scheme, video: MeasuredVideo, dropped: Counter[str]) -> list[_Track]:
    tracks = []
    for region in task.regions:
        if region.shape == VIDEO_BOXES and scheme.is_person(region, dropped):
            where = f"{task.where}, region {region.id!r:.40}"
            entries = region.value.get("sequence")
            if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
                raise FormatError(f"{where}: its sequence is a list of keyframes, got {entries!r:.80}")
            steps = {}
            for entry in entries:
                number = finite_number(entry.get("frame"), "frame", where)
                if number < 0:
                    raise FormatError(f"{where}: frames count from 1, got {number:g}")
                box = upright_box(entry, (video.width, video.height), where, dropped)
                stays = entry.get("enabled", True) is not False
                steps[number] = Step(number, box, stays, is_visible=True)
            person = person_in(region.note) or region.id
            ordered = [steps[number] for number in sorted(steps)]
            actions = scheme.actions_of(region, dropped)
            if ordered:
                tracks.append(_Track(region, person, ordered, actions))
    return tracks


def _spans(task: Task, scheme: Scheme, tracks: Sequence[_Track], dropped: Counter[str]) -> list[_Span]:
    spans = []
    people = {track.person for track in tracks}
    person_of_region = {track.region.id: track.person for track in tracks}
    related = {a: person_of_region[b] for a, b in iter_relations(task) if b in person_of_region}
    for region in task.regions:
        if region.shape != TIMELINE:
            continue
        where = f"{task.where}, region {region.id!r:.40}"
        person = related.get(region.id) or person_in(region.note)
        if person is not None and person not in people:
            dropped["actions of people without a box"] += 1
            continue
        ranges = region.value.get("ranges")
        if not isinstance(ranges, list) or not all(isinstance(one, dict) for one in ranges):
            raise FormatError(f"{where}: its ranges are a list of starts and ends, got {ranges!r:.80}")
        for one in ranges:
            first, last = (finite_number(one.get(end), end, where) for end in ("start", "end"))
            spans.append(_Span(first, last, scheme.actions_of(region, dropped), person))
    return spans


def _listed_keyframes(task: Task) -> frozenset[float] | None:
    """Return the keyframes of a task of hand-over; None for another task."""
    listed = task.data.get(KEYFRAMES_FIELD)
    if not isinstance(listed, list):
        return None
    return frozenset(finite_number(number, KEYFRAMES_FIELD, task.where) for number in listed)


def _fps(task: Task) -> float:
    """Return the rate by which the project numbers frames: of the data of the task, or as the tracks tell it.

    Label Studio writes the time of a keyframe as its number over the rate, and the number of frames as the duration
    times the rate.
    """
    values = [region.value for region in task.regions if region.shape == VIDEO_BOXES]
    total = [(_number(value.get("framesCount")), _number(value.get("duration"))) for value in values]
    by_length = [frames / seconds for frames, seconds in total if frames > 0 and seconds > 0]
    by_data: list[float] = [rate for name in _RATE_FIELDS if (rate := _number(task.data.get(name))) > 0]
    by_time = [
        frame / seconds
        for value in values
        for step in value.get("sequence") or ()
        if isinstance(step, dict)
        for frame, seconds in [(_number(step.get("frame")), _number(step.get("time")))]
        if frame > 0 and seconds > 0
    ]
    rates: list[float] = [*by_data, *([median(by_time)] if by_time else ())]
    for rate in rates:
        # A number of frames is rounded up or to the nearest.
        if all(abs(rate * seconds - frames) <= 1.5 for frames, seconds in total if frames > 0 and seconds > 0):
            return rate
    return (by_length or rates or [_DEFAULT_FPS])[0]


def _number(value: Any) -> float:
    """Return a number; 0 for anything else."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e12
    return float(value) if is_number else 0.0
