"""The events of a corrections log: one change by a person, one line of JSON.

``{"id": 7, "session": "f00d", "call": 3, "time": "2026-11-30T02:50:00Z", "video": "walk", "seconds": 4.0, "kind":
"move", "person": 1, "box": [x1, y1, x2, y2]}``. ``seconds`` is the time of the keyframe on which the person worked,
boxes are fractions of the frame. The fields behind ``kind``:

==========  =====================  =================================================================================
kind        fields                 what it does
==========  =====================  =================================================================================
add         person, box            a person who was not on the keyframe
move        person, box            another box
delete      person                 the person is not there
actions     person, ids            the person's actions, all of them
split       person, into           from the keyframe on, the track has another id
join        person, into           everywhere, the track has the id of another one
copy        to_seconds[, person]   box and actions of all people, or of one, on another keyframe, which thereby is no
                                   longer accepted
accept      -                      the keyframe is right as it is, and complete
unaccept    -                      it is not
undo        event                  what an earlier event did is taken back
redo        event                  and done again
==========  =====================  =================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from ava_detect.formats.json_values import LARGEST_INT64, LARGEST_SECONDS, check_number, check_text, check_whole
from ava_detect.structures.labels import GREATEST_ACTION_ID

Box = tuple[float, float, float, float]
# Times are those of the results, to the microsecond that their files hold; boxes to a hundredth of a pixel in 8K.
_TIME_DECIMALS = 6
_BOX_DECIMALS = 6
LEAST_SIDE = 1e-4  # of a box, as a fraction of the frame
_MOST_ACTIONS = 10_000
_LONGEST_TEXT = 100  # characters of a session's name and of a time


def rounded_seconds(seconds: float) -> float:
    """Return a keyframe's time as events name it.

    Args:
        seconds: Time from the start of the file.

    Returns:
        The time, to the microsecond.
    """
    return round(float(seconds), _TIME_DECIMALS)


def _person(name: str, value: object) -> int:
    check_whole(name, value, -LARGEST_INT64, LARGEST_INT64)
    assert isinstance(value, int)
    return value


def _box(name: str, value: object) -> Box:
    if not isinstance(value, list) or len(value) != 4:
        raise TypeError(f"{name} is a list of four numbers, got {value!r:.80}")
    for corner in value:
        check_number(name, corner, 0, 1)
    x1, y1, x2, y2 = (round(float(corner), _BOX_DECIMALS) for corner in value)
    if x2 - x1 < LEAST_SIDE or y2 - y1 < LEAST_SIDE:
        raise ValueError(f"{name} is x1, y1, x2, y2 with x1 < x2 and y1 < y2, got {value!r:.80}")
    return x1, y1, x2, y2


def _action_ids(name: str, value: object) -> tuple[int, ...]:
    if not isinstance(value, list) or len(value) > _MOST_ACTIONS:
        raise TypeError(f"{name} is a list of action ids, got {value!r:.80}")
    for action_id in value:
        check_whole(name, action_id, 0, GREATEST_ACTION_ID)
    return tuple(sorted(set(value)))


def _seconds(name: str, value: object) -> float:
    check_number(name, value, -LARGEST_SECONDS, LARGEST_SECONDS)
    assert isinstance(value, int | float)
    return rounded_seconds(value)


def _event(name: str, value: object) -> int:
    check_whole(name, value, 1, LARGEST_INT64)
    assert isinstance(value, int)
    return value


_CHECKS: dict[str, Callable[[str, object], Any]] = {
    "person": _person,
    "into": _person,
    "box": _box,
    "ids": _action_ids,
    "to_seconds": _seconds,
    "event": _event,
}
# Kind -> its fields; those with a question mark may be left out.
FIELDS: dict[str, tuple[str, ...]] = {
    "add": ("person", "box"),
    "move": ("person", "box"),
    "delete": ("person",),
    "actions": ("person", "ids"),
    "split": ("person", "into"),
    "join": ("person", "into"),
    "copy": ("to_seconds", "person?"),
    "accept": (),
    "unaccept": (),
    "undo": ("event",),
    "redo": ("event",),
}
_COMMON = ("id", "session", "call", "time", "video", "seconds", "kind")


@dataclass(frozen=True)
class Event:
    """One change by a person.

    Attributes:
        id: Number of the event in the log of its video, from 1.
        session: Name of the window in which it was made.
        call: Number of the event in its session; a session sends none twice.
        time: Wall-clock time, ISO 8601.
        video: Id of the video.
        seconds: Time of the keyframe.
        kind: One of ``FIELDS``.
        details: The fields of its kind, checked: ``person``, ``box``, ``ids`` and so on.
    """

    id: int
    session: str
    call: int
    time: str
    video: str
    seconds: float
    kind: str
    details: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Check one event of a log.

        Args:
            value: The JSON value of a line.

        Returns:
            The event.

        Raises:
            ValueError: A value is out of range, or a field is not one of the kind's.
            TypeError: A value has another type.
            KeyError: A field is missing.
        """
        if not isinstance(value, dict):
            raise TypeError(f"an event is an object, got {value!r:.80}")
        for name in ("id", "call"):
            check_whole(name, value[name], 1, LARGEST_INT64)
        for name in ("session", "time", "video", "kind"):
            check_text(name, value[name])
        for name in ("session", "time"):
            if not 0 < len(value[name]) <= _LONGEST_TEXT:
                raise ValueError(f"{name} has 1 to {_LONGEST_TEXT} characters, got {len(value[name]):,}")
        if value["kind"] not in FIELDS:
            raise ValueError(f"kind is one of {', '.join(FIELDS)}, got {value['kind']!r:.80}")
        expected = FIELDS[value["kind"]]
        names = [name.rstrip("?") for name in expected]
        unknown = set(value) - set(names) - set(_COMMON)
        if unknown:
            raise ValueError(f"an event of the kind {value['kind']} has no {sorted(unknown)[0]!r:.80}")
        details = {
            name: _CHECKS[name](name, value[name])
            for name, given in zip(names, expected, strict=True)
            if name in value or not given.endswith("?")
        }
        common = {name: value[name] for name in _COMMON} | {"seconds": _seconds("seconds", value["seconds"])}
        return cls(**common, details=details)

    def to_json(self) -> dict[str, Any]:
        """Return the event as the JSON value of a line.

        Returns:
            What ``from_json`` takes.
        """
        return {name: getattr(self, name) for name in _COMMON} | dict(self.details)
