"""The keyframes of one video as people have corrected them: events are applied one after another.

Undoing restores the keyframes as they were before the event, and is refused where they have changed since.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np

from ava_detect.errors import AvaDetectError
from ava_detect.results.corrections.events import Box, Event
from ava_detect.structures import ActionDetections
from ava_detect.structures.labels import LabelMap


class ConflictError(AvaDetectError):
    """An event that does not fit the keyframes as they are: another window has changed them, or the person is gone."""


@dataclass(frozen=True)
class CorrectedPerson:
    """A person on a keyframe.

    Attributes:
        box_fraction: x1, y1, x2, y2 as fractions of the frame.
        actions: Ids of the person's actions, ascending.
    """

    box_fraction: Box
    actions: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class CorrectedKeyframe:
    """The people on a keyframe. Keyframes are compared by identity: two with the same people are different states.

    Attributes:
        people: Track id -> person.
        is_accepted: Whether a person said that the keyframe is right and complete.
    """

    people: Mapping[int, CorrectedPerson]
    is_accepted: bool = False

    def to_detections(self, video_id: str, seconds: float, label_map: LabelMap) -> ActionDetections:
        """Return the keyframe as results are: an action has score 1 where a person has it, else 0.

        Args:
            video_id: Id of the video.
            seconds: Time of the keyframe.
            label_map: The actions, C of them; those of the people are among them.

        Returns:
            The N people with their track ids, boxes ``[N, 4]`` and action scores ``[N, C]``.
        """
        column = {action_id: i for i, action_id in enumerate(label_map.ids)}
        scores = np.zeros((len(self.people), len(label_map)), np.float32)  # [N, C]
        for row, person in enumerate(self.people.values()):
            scores[row, [column[action_id] for action_id in person.actions]] = 1.0
        return ActionDetections(
            video_id,
            seconds,
            np.array([person.box_fraction for person in self.people.values()], np.float32).reshape(-1, 4),
            np.ones(len(self.people), np.float32),
            scores,
            np.array(label_map.ids, np.int64),
            np.array(list(self.people), np.int64),
        )


@dataclass
class _Done:
    """An event that was applied: the keyframes that it changed, before and after."""

    event: Event
    before: dict[float, CorrectedKeyframe]
    after: dict[float, CorrectedKeyframe]


@dataclass
class _Session:
    """The events of a window that can be undone and redone, the next one last, and the calls that have arrived."""

    undoable: list[int] = field(default_factory=list)
    redoable: list[int] = field(default_factory=list)
    calls: dict[int, int] = field(default_factory=dict)


Changes = dict[float, CorrectedKeyframe]


class VideoCorrections:
    """The corrected keyframes of one video.

    Args:
        video_id: Id of the video.
        keyframes: Time of each keyframe -> its people as the results have them.
        action_ids: Ids of the actions that a person may have.
    """

    def __init__(self, video_id: str, keyframes: Mapping[float, CorrectedKeyframe], action_ids: Iterable[int]) -> None:
        self.video_id = video_id
        self.action_ids = frozenset(action_ids)
        self._keyframes = dict(sorted(keyframes.items()))
        self._changed_by: dict[float, int] = {}  # time of a keyframe -> the last event that changed it
        self._done: dict[int, _Done] = {}
        self._sessions: dict[str, _Session] = {}
        self.last_event = 0
        self._greatest_track = max((track for k in keyframes.values() for track in k.people), default=0)

    @property
    def keyframes(self) -> Mapping[float, CorrectedKeyframe]:
        """Time in seconds -> keyframe, in time order, those without corrections included."""
        return MappingProxyType(self._keyframes)

    @property
    def num_accepted(self) -> int:
        """Number of accepted keyframes."""
        return sum(keyframe.is_accepted for keyframe in self._keyframes.values())

    @property
    def new_track(self) -> int:
        """A track id that no person of the video has or had."""
        return max(self._greatest_track, 0) + 1

    def changed_since(self, event: int) -> list[float]:
        """List the keyframes that later events have changed.

        Args:
            event: Number of an event; 0 is before the first.

        Returns:
            Their times in seconds, ascending.
        """
        return sorted(seconds for seconds, last in self._changed_by.items() if last > event)

    def event_of(self, session: str, call: int) -> int | None:
        """Return the event of a call that has arrived before.

        Args:
            session: Name of the window.
            call: Number of the call in its session.

        Returns:
            Number of the event; None for a new call.
        """
        known = self._sessions.get(session)
        return None if known is None else known.calls.get(call)

    def undoable(self, session: str) -> int | None:
        """Return the event that a window undoes next.

        Args:
            session: Name of the window.

        Returns:
            Number of the event; None where there is none.
        """
        known = self._sessions.get(session)
        return known.undoable[-1] if known and known.undoable else None

    def redoable(self, session: str) -> int | None:
        """Return the event that a window redoes next.

        Args:
            session: Name of the window.

        Returns:
            Number of the event; None where there is none.
        """
        known = self._sessions.get(session)
        return known.redoable[-1] if known and known.redoable else None

    def seconds_of(self, event: int) -> float | None:
        """Return the keyframe on which an event was made.

        Args:
            event: Number of the event.

        Returns:
            Time of the keyframe in seconds; None for an event that cannot be undone.
        """
        done = self._done.get(event)
        return None if done is None else done.event.seconds

    def changes(self, event: Event, seen: int | None = None) -> Changes:
        """Work out what an event changes, without applying it.

        Args:
            event: The event.
            seen: The last event that its window knew; None to skip the check against other windows.

        Returns:
            The keyframes that change, by their time in seconds.

        Raises:
            ConflictError: The event does not fit the keyframes, or a keyframe that it concerns has changed since
                ``seen``.
        """
        if event.id <= self.last_event:
            raise ConflictError(f"event {event.id} comes after event {self.last_event}; ids ascend")
        if event.seconds not in self._keyframes:
            raise ConflictError(f"there is no keyframe at {event.seconds:g} s")
        changes: Changes = getattr(self, f"_{event.kind}")(event.seconds, **event.details)
        if seen is not None:
            # A copy depends on the keyframe that it is made from, too.
            stale = [t for t in (event.seconds, *changes) if self._changed_by.get(t, 0) > seen]
            if stale:
                raise ConflictError(f"the keyframe at {stale[0]:g} s has been changed in another window meanwhile")
        return changes

    def apply(self, event: Event, changes: Changes | None = None) -> None:
        """Apply an event.

        Args:
            event: The event.
            changes: What ``changes`` returned for it; None to work it out.

        Raises:
            ConflictError: The event does not fit the keyframes.
        """
        changes = self.changes(event) if changes is None else changes
        before = {seconds: self._keyframes[seconds] for seconds in changes}
        self._keyframes.update(changes)
        self._changed_by.update(dict.fromkeys(changes, event.id))
        self.last_event = event.id
        named = (event.details.get("person"), event.details.get("into"))
        self._greatest_track = max(self._greatest_track, *(track for track in named if track is not None), 0)
        session = self._sessions.setdefault(event.session, _Session())
        session.calls[event.call] = event.id
        if event.kind in ("undo", "redo"):
            self._shift(event)
        else:
            self._done[event.id] = _Done(event, before, changes)
            session.undoable.append(event.id)
            session.redoable.clear()

    def _shift(self, event: Event) -> None:
        """Move an event that was undone or redone from one list of its own session to the other."""
        target = event.details["event"]
        owner = self._sessions[self._done[target].event.session]
        taken, given = (owner.undoable, owner.redoable) if event.kind == "undo" else (owner.redoable, owner.undoable)
        if target in taken:
            taken.remove(target)
        given.append(target)

    def _person(self, seconds: float, person: int) -> CorrectedPerson:
        if person not in self._keyframes[seconds].people:
            raise ConflictError(f"person {person} is not on the keyframe at {seconds:g} s")
        return self._keyframes[seconds].people[person]

    def _with(self, seconds: float, person: int, value: CorrectedPerson) -> Changes:
        keyframe = self._keyframes[seconds]
        return {seconds: replace(keyframe, people={**keyframe.people, person: value})}

    def _add(self, seconds: float, person: int, box: Box) -> Changes:
        if person in self._keyframes[seconds].people:
            raise ConflictError(f"person {person} is on the keyframe at {seconds:g} s already")
        return self._with(seconds, person, CorrectedPerson(box, ()))

    def _move(self, seconds: float, person: int, box: Box) -> Changes:
        return self._with(seconds, person, replace(self._person(seconds, person), box_fraction=box))

    def _delete(self, seconds: float, person: int) -> Changes:
        self._person(seconds, person)
        keyframe = self._keyframes[seconds]
        return {seconds: replace(keyframe, people={k: v for k, v in keyframe.people.items() if k != person})}

    def _actions(self, seconds: float, person: int, ids: tuple[int, ...]) -> Changes:
        unknown = sorted(set(ids) - self.action_ids)
        if unknown:
            raise ConflictError(f"there is no action {unknown[0]}")
        return self._with(seconds, person, replace(self._person(seconds, person), actions=ids))

    def _split(self, seconds: float, person: int, into: int) -> Changes:
        self._person(seconds, person)
        return self._renamed(person, into, from_seconds=seconds)

    def _join(self, seconds: float, person: int, into: int) -> Changes:
        self._person(seconds, person)
        if not any(into in keyframe.people for keyframe in self._keyframes.values()):
            raise ConflictError(f"there is no person {into} in the video")
        return self._renamed(person, into)

    def _renamed(self, person: int, into: int, from_seconds: float = -np.inf) -> Changes:
        """Give a track another id, from a time on; refused where both are on one keyframe."""
        changes: Changes = {}
        for seconds, keyframe in self._keyframes.items():
            if seconds < from_seconds or person not in keyframe.people:
                continue
            if into in keyframe.people:
                raise ConflictError(f"persons {person} and {into} are both on the keyframe at {seconds:g} s")
            people = {into if track == person else track: value for track, value in keyframe.people.items()}
            changes[seconds] = replace(keyframe, people=people)
        return changes

    def _copy(self, seconds: float, to_seconds: float, person: int | None = None) -> Changes:
        if to_seconds not in self._keyframes or to_seconds == seconds:
            raise ConflictError(f"there is no other keyframe at {to_seconds:g} s to copy to")
        copied = self._keyframes[seconds].people if person is None else {person: self._person(seconds, person)}
        return {to_seconds: CorrectedKeyframe({**self._keyframes[to_seconds].people, **copied})}

    def _accept(self, seconds: float) -> Changes:
        return {seconds: replace(self._keyframes[seconds], is_accepted=True)}

    def _unaccept(self, seconds: float) -> Changes:
        return {seconds: replace(self._keyframes[seconds], is_accepted=False)}

    def _undo(self, seconds: float, event: int) -> Changes:
        done = self._known(event)
        return self._exchanged(event, done.after, done.before)

    def _redo(self, seconds: float, event: int) -> Changes:
        done = self._known(event)
        return self._exchanged(event, done.before, done.after)

    def _known(self, event: int) -> _Done:
        if event not in self._done:
            raise ConflictError(f"there is no event {event} that can be undone")
        return self._done[event]

    def _exchanged(self, event: int, current: Changes, wanted: Changes) -> Changes:
        """Return ``wanted`` if the keyframes are as ``current`` has them."""
        for seconds, keyframe in current.items():
            if self._keyframes[seconds] is not keyframe:
                raise ConflictError(f"the keyframe at {seconds:g} s has changed since event {event}")
        return dict(wanted)
