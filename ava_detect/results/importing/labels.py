"""What a reader of a tool's file returns: people on frames with their actions, in one form for all tools."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ava_detect.errors import FormatError, shown

Box = tuple[float, float, float, float]

#: Beyond this many widths or heights of the frame a coordinate is no box of it.
_FARTHEST = 1000.0


@dataclass(frozen=True, slots=True)
class LabelledPerson:
    """One person on one frame.

    Attributes:
        video: The tool's name of the video; ``VideoLookup.id_of`` turns it into the video id.
        seconds: Time of the frame from the first frame of the file.
        box_fraction: x1, y1, x2, y2 as fractions of the upright frame as it is displayed; None for a label without a
            box, which belongs to the box of the same person at the same time.
        actions: Names of the actions, as the tool has them; empty for a person without an action.
        person: The tool's id of the person's track; None where the tool does not tell people apart.
    """

    video: str
    seconds: float
    box_fraction: Box | None
    actions: tuple[str, ...]
    person: str | None = None


@dataclass
class PersonIntervals:
    """What one person of a video does, in a file that has times and no boxes.

    Attributes:
        actions: Name of an action, its start and its end, in seconds on the clock of a player.
        present: Starts and ends, likewise, of the times in which the person is in the picture; None where the file
            does not tell.
    """

    actions: list[tuple[str, float, float]] = field(default_factory=list)
    present: list[tuple[float, float]] | None = None


@dataclass
class VideoIntervals:
    """Who does what in one video, from when to when.

    Attributes:
        names: The tool's names of the video, the most telling first: an id, paths, the name of the file of labels.
        people: Name of a person -> what they do. Those who do nothing are there, too.
    """

    names: tuple[str, ...]
    people: dict[str, PersonIntervals] = field(default_factory=dict)

    def person(self, name: str) -> PersonIntervals:
        """Return the intervals of a person, who is added where they are new.

        Args:
            name: Name of the person.

        Returns:
            The intervals, to be added to.
        """
        return self.people.setdefault(name, PersonIntervals())


@dataclass
class ToolLabels:
    """The labels of one file of a tool.

    Attributes:
        people: People on frames, in the order of the file.
        action_names: Every action that could be chosen in the tool, chosen or not, in the tool's order; empty where the
            file does not list them.
        empty_keyframes: Video and time of the frames that were looked at and are without people.
        excluded_keyframes: Video and time of the frames that are not to be used.
        dropped: What could not be carried over -> how often, such as ``"polygons"``.
        action_ids: Name -> action id, where the file itself gives ids that are to be kept.
        has_video_ids: Whether the names of the videos are ids of results, which are kept as they are.
        intervals: Who does what from when to when, without boxes; ``interval_boxes`` turns them into ``people``.
    """

    people: list[LabelledPerson] = field(default_factory=list)
    action_names: tuple[str, ...] = ()
    empty_keyframes: list[tuple[str, float]] = field(default_factory=list)
    excluded_keyframes: list[tuple[str, float]] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    action_ids: Mapping[str, int] = field(default_factory=dict)
    has_video_ids: bool = False
    intervals: list[VideoIntervals] = field(default_factory=list)


def box_fraction(corners: Sequence[float], width: float, height: float, where: str) -> Box:
    """Convert a box in pixels to fractions of the frame, which must lie near the frame.

    Args:
        corners: x1, y1, x2, y2 in pixels; the corners may be in reversed order.
        width: Width of the frame in the same pixels; 1 for fractions.
        height: Height of the frame in the same pixels; 1 for fractions.
        where: The file and the entry, for the message.

    Returns:
        x1, y1, x2, y2 with x1 <= x2 and y1 <= y2; beyond 0..1 where the box reaches past the frame.

    Raises:
        FormatError: A corner is not a finite number, or far outside the frame; or the frame has no size.
    """
    if not (math.isfinite(width) and math.isfinite(height) and width > 0 and height > 0):
        raise FormatError(f"{where}: a frame has a width and a height above 0, got {width:g} and {height:g}")
    x1, y1, x2, y2 = corners
    scaled = (min(x1, x2) / width, min(y1, y2) / height, max(x1, x2) / width, max(y1, y2) / height)
    # A corner that is NaN is less than no number.
    if not all(abs(corner) <= _FARTHEST for corner in (*scaled, x1 / width, y1 / height, x2 / width, y2 / height)):
        raise FormatError(
            f"{where}: a box has finite corners near the frame of {width:g} x {height:g}, got "
            f"{', '.join(f'{corner:g}' for corner in corners)}"
        )
    return scaled


def finite_number(value: object, name: str, where: str) -> float:
    """Convert a value of a file, a number or its text, to a finite number.

    Args:
        value: The value.
        name: What it is, for the message.
        where: The file and the entry, for the message.

    Returns:
        The number.

    Raises:
        FormatError: It is no finite number.
    """
    number = math.nan
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            number = math.nan
    if not math.isfinite(number):
        raise FormatError(f"{where}: {name} is a finite number, got {shown(repr(value))[:80]}")
    return number
