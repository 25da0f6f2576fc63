"""The rows of ground truth that labels become: by video in the order of the files, by time, by person.

Labels may have millions of boxes, so each video becomes a table of numbers, and its labels are let go.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ava_detect.formats.ava_table import AvaTable
from ava_detect.results.importing.labels import Box, LabelledPerson, ToolLabels
from ava_detect.results.importing.videos import VideoLookup, keyframe_times
from ava_detect.structures.labels import NO_ACTION

# Boxes are written with 6 decimals: a hundredth of a pixel of a frame 10,000 wide.
_DECIMALS = 6
# A box that reaches this far past the frame was drawn so; less is the tool's rounding.
_ROUNDING = 1e-3
_NO_BOX = (math.nan,) * 4

Person = tuple[str | None, Box]


@dataclass
class ImportedRows:
    """The rows of all videos.

    Attributes:
        tables: The rows of each video that has any, in seconds of the movie.
        num_keyframes: Number of keyframes, those without people included.
        num_boxes: Number of people on keyframes.
    """

    tables: list[AvaTable] = field(default_factory=list)
    num_keyframes: int = 0
    num_boxes: int = 0

    def __len__(self) -> int:
        """Return the number of rows."""
        return sum(map(len, self.tables))


def rows_of(
    labels: Sequence[ToolLabels],
    lookup: VideoLookup,
    ids: Mapping[str, int],
    every_seconds: float,
    dropped: Counter[str],
) -> ImportedRows:
    """Turn the labels of all files into rows, and let their people go.

    Args:
        labels: The labels; their ``people`` are empty afterwards.
        lookup: Knows the videos, and where in their movies they start.
        ids: Name of an action -> its id.
        every_seconds: Time from one keyframe to the next, above 0.
        dropped: Gets what is not carried over.

    Returns:
        The rows.
    """
    people: dict[str, dict[float, list[LabelledPerson]]] = {}
    looked_at: dict[str, set[float]] = {}
    for one in labels:
        for person in one.people:
            by_time = people.setdefault(_id_of(person.video, one, lookup), {})
            by_time.setdefault(person.seconds, []).append(person)
        one.people.clear()
        for video, seconds in one.empty_keyframes:
            video_id = _id_of(video, one, lookup)
            people.setdefault(video_id, {})
            looked_at.setdefault(video_id, set()).add(seconds)
    rows = ImportedRows()
    for video_id in list(people):
        by_time, empty = people.pop(video_id), looked_at.get(video_id, set())
        times = keyframe_times(lookup.measured(video_id), [*by_time, *empty], every_seconds)
        merged: dict[float, list[LabelledPerson]] = {}
        for seconds in sorted((*by_time, *(empty - by_time.keys()))):
            merged.setdefault(times[seconds], []).extend(by_time.pop(seconds, ()))
        table = _VideoRows(video_id, lookup.start_seconds)
        for seconds in sorted(merged):
            found = _people_of_keyframe(merged[seconds], ids, dropped)
            # A frame whose labels all lie outside it, or have no box, was not looked at for people.
            if found or not merged[seconds]:
                table.add(seconds, found)
                rows.num_keyframes += 1
                rows.num_boxes += len(found)
        if len(table):
            rows.tables.append(table.to_table())
    return rows


def excluded_rows(labels: Sequence[ToolLabels], lookup: VideoLookup, every_seconds: float) -> ImportedRows:
    """Return the rows of the keyframes that are not to be used.

    Args:
        labels: The labels of all files.
        lookup: Knows the videos, and where in their movies they start.
        every_seconds: Time from one keyframe to the next, above 0.

    Returns:
        A row of video and time for each.
    """
    by_video: dict[str, set[float]] = {}
    for one in labels:
        for name, seconds in one.excluded_keyframes:
            by_video.setdefault(_id_of(name, one, lookup), set()).add(seconds)
    rows = ImportedRows()
    for video_id, found in by_video.items():
        table = _VideoRows(video_id, lookup.start_seconds)
        for seconds in sorted(set(keyframe_times(lookup.measured(video_id), found, every_seconds).values())):
            table.add(seconds, {})
            rows.num_keyframes += 1
        rows.tables.append(table.to_table())
    return rows


class _VideoRows:
    """The rows of one video, column by column."""

    def __init__(self, video_id: str, start_seconds: float) -> None:
        self._video_id, self._start_seconds = video_id, start_seconds
        self._seconds, self._corners, self._action_ids = array("d"), array("d"), array("q")
        self._people: list[str | None] = []

    def __len__(self) -> int:
        return len(self._people)

    def add(self, seconds: float, people: Mapping[Person, Iterable[int]]) -> None:
        """Add a keyframe: a row for each person and action, or one of video and time without people."""
        for (person, box), action_ids in sorted(people.items(), key=lambda item: _order(*item[0])):
            for action_id in sorted(action_ids) or [NO_ACTION]:
                self._append(seconds, box, action_id, person)
        if not people:
            self._append(seconds, _NO_BOX, NO_ACTION, None)

    def _append(self, seconds: float, box: Box, action_id: int, person: str | None) -> None:
        self._seconds.append(seconds + self._start_seconds)
        self._corners.extend(box)
        self._action_ids.append(action_id)
        self._people.append(person)

    def to_table(self) -> AvaTable:
        """Return the rows; people who have names get numbers."""
        numbers = _person_numbers(self._people)
        return AvaTable(
            (self._video_id,),
            np.zeros(len(self), np.int32),
            np.array(self._seconds, np.float64),
            np.array(self._corners, np.float64).reshape(-1, 4),
            np.array(self._action_ids, np.int32),
            np.full(len(self), np.nan),
            np.fromiter((numbers.get(person, -1) for person in self._people), np.int64, len(self)),
        )


def _id_of(video: str, labels: ToolLabels, lookup: VideoLookup) -> str:
    return video if labels.has_video_ids else lookup.id_of(video)


def _people_of_keyframe(
    people: Iterable[LabelledPerson], ids: Mapping[str, int], dropped: Counter[str]
) -> dict[Person, set[int]]:
    """Return the people of one keyframe with the ids of their actions, without repetitions."""
    done: dict[Person, set[int]] = {}
    boxless: list[LabelledPerson] = []
    for person in people:
        if person.box_fraction is None:
            boxless.append(person)
            continue
        box = _inside(person.box_fraction, dropped)
        if box is not None:
            done.setdefault((person.person, box), set()).update(ids[name] for name in person.actions)
    for person in boxless:
        # A label of a time belongs to the box of its person, or to the only one.
        of_person = [key for key in done if key[0] == person.person] if person.person is not None else list(done)
        if len(of_person) == 1:
            done[of_person[0]].update(ids[name] for name in person.actions)
        else:
            dropped["labels without a box at their time"] += 1
    return done


def _order(person: str | None, box: Box) -> tuple[int, int, str, Box]:
    """People in the order of their numbers, then of their names; those without an id last."""
    if person is None:
        return (2, 0, "", box)
    return (0, int(person), "", box) if _is_number(person) else (1, 0, person, box)


def _is_number(person: str) -> bool:
    return person.isascii() and person.isdigit() and len(person) < 18


def _inside(box: Box, dropped: Counter[str]) -> Box | None:
    """Return the part of a box within the frame, rounded as it is written; None where there is none."""
    x1, y1, x2, y2 = (round(min(max(corner, 0.0), 1.0), _DECIMALS) for corner in box)
    if x2 <= x1 or y2 <= y1:
        dropped["boxes without an area in the frame"] += 1
        return None
    if min(box) < -_ROUNDING or max(box) > 1 + _ROUNDING:
        dropped["parts of boxes outside the frame"] += 1
    return x1, y1, x2, y2


def _person_numbers(people: Iterable[str | None]) -> dict[str | None, int]:
    """Number the people of a video: a number stays as it is, names get those above the largest one."""
    named = [person for person in dict.fromkeys(people) if person is not None]
    numbers: dict[str | None, int] = {person: int(person) for person in named if _is_number(person)}
    largest = max(numbers.values(), default=-1)
    for person in named:
        if person not in numbers:
            largest += 1
            numbers[person] = largest
    return numbers
