"""Alarm rules: ``fight > 0.6 for 2s``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from ava_detect.errors import ConfigError, shown, suggestion
from ava_detect.inference.live.keyframe import LiveKeyframe
from ava_detect.inference.live.spacing import Spacing
from ava_detect.live.events import LiveEvent, Span, clock_time
from ava_detect.structures.labels import LabelMap
from ava_detect.structures.linking import max_gap_seconds

_RULE = re.compile(
    r"\s*(?P<action>.+?)\s*(?P<comparison>>=?)\s*(?P<score>\d*\.?\d+)\s*"
    r"(?:for\s+(?P<time>\d*\.?\d+)\s*(?P<unit>s|min|h)?)?\s*"
)
_UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0}
_MAX_SECONDS = 24 * 3600.0
_MAX_LISTED = 5


@dataclass(frozen=True)
class AlarmRule:
    """A rule: a person does something with a score, for a time.

    Attributes:
        text: The rule as it was given.
        column: Score column of the action.
        action: The action's name.
        score: The score to reach, in 0..1.
        is_above: Whether the score has to be greater, not just as great.
        seconds: For how long.
    """

    text: str
    column: int
    action: str
    score: float
    is_above: bool
    seconds: float

    @classmethod
    def parse(cls, text: str, label_map: LabelMap) -> AlarmRule:
        """Read a rule.

        Args:
            text: Such as ``fight > 0.6 for 2s``: an action by its name, the beginning of it, or its id; ``>`` or
                ``>=``; a score in 0..1; and, for a time, ``for`` and a number of ``s``, ``min`` or ``h``.
            label_map: The actions of the network.

        Returns:
            The rule.

        Raises:
            ConfigError: It is no rule, or there is no such action.
        """
        match = _RULE.fullmatch(text)
        if match is None:
            raise ConfigError(f"`when` is a rule such as 'fight > 0.6 for 2s', got {shown(text)!r}")
        score, seconds = float(match["score"]), float(match["time"] or 0) * _UNITS[match["unit"] or "s"]
        if not 0 <= score <= 1:
            raise ConfigError(f"`when` {shown(text)!r}: a score is from 0 to 1, got {match['score']}")
        if seconds > _MAX_SECONDS:
            raise ConfigError(f"`when` {shown(text)!r}: a rule holds for at most 24 h")
        column = _column_of(match["action"], label_map, text)
        name = [action.name for action in label_map][column]
        return cls(" ".join(text.split()), column, name, score, match["comparison"] == ">", seconds)

    def holds(self, score: np.float32) -> bool:
        """Return whether a score reaches that of the rule.

        Args:
            score: The score.
        """
        limit = np.float32(self.score)
        return bool(score > limit if self.is_above else score >= limit)


def _column_of(given: str, label_map: LabelMap, rule: str) -> int:
    """The score column of an action: by its id, its whole name, or a beginning or part that only one name has."""
    names = [action.name for action in label_map]
    if given.isdecimal():
        if int(given) in label_map.ids:
            return list(label_map.ids).index(int(given))
        raise ConfigError(f"`when` {shown(rule)!r}: no action has the id {given}")
    lower, wanted = [name.lower() for name in names], given.lower()
    for fits in (
        lambda name: name == wanted,
        lambda name: re.match(rf"{re.escape(wanted)}\b", name) is not None,
        lambda name: wanted in name,
    ):
        found = [column for column, name in enumerate(lower) if fits(name)]
        if len(found) == 1:
            return found[0]
        if found:
            some = ", ".join(names[column] for column in found[:_MAX_LISTED])
            raise ConfigError(f"`when` {shown(rule)!r}: {len(found)} actions are called so ({some}); give more of one")
    raise ConfigError(f"`when` {shown(rule)!r}: no action is called {shown(given)!r}{suggestion(given, names)}")


class Alarms:
    """The alarms of one source: each rule begins an alarm when a person meets it, and ends it when none does any more.

    Args:
        rules: The rules.
        every_seconds: Time between keyframes.
    """

    def __init__(self, rules: Sequence[AlarmRule], every_seconds: float) -> None:
        self._rules = tuple(rules)
        self._spacing = Spacing(every_seconds)
        # Of each rule: track id -> for how long the person has met its score.
        self._spans: list[dict[int, Span]] = [{} for _ in rules]
        # Of each rule with an alarm: the track that began it.
        self._running: dict[int, tuple[int, Span]] = {}

    def update(self, keyframe: LiveKeyframe) -> list[LiveEvent]:
        """Find the alarms that begin and end with the next keyframe.

        Args:
            keyframe: The keyframe, with track ids.

        Returns:
            The events.
        """
        gap = max_gap_seconds(self._spacing.update(keyframe.timestamp_seconds, keyframe.num_dropped))
        events = []
        for number, rule in enumerate(self._rules):
            spans = self._spans[number]
            _follow(spans, rule, keyframe, gap)
            long = [
                (track, span) for track, span in spans.items() if span.last_seconds - span.first_seconds >= rule.seconds
            ]
            if long and number not in self._running:
                self._running[number] = long[0]
                events.append(self._event(number, keyframe.video_id, keyframe.seen, is_over=False))
            elif not long and number in self._running:
                events.append(self._ended(number, keyframe.video_id, keyframe.seen))
        return events

    def finish(self, source: str, now: datetime) -> list[LiveEvent]:
        """End all alarms: the source is lost, or the run is over.

        Args:
            source: The source's name.
            now: The time.

        Returns:
            The events.
        """
        self._spans = [{} for _ in self._rules]
        return [self._ended(number, source, now) for number in list(self._running)]

    def _ended(self, number: int, source: str, now: datetime) -> LiveEvent:
        event = self._event(number, source, now, is_over=True)
        del self._running[number]
        return event

    def _event(self, number: int, source: str, now: datetime, *, is_over: bool) -> LiveEvent:
        rule, (track, span) = self._rules[number], self._running[number]
        text = f"ALARM {rule.text}: {rule.action} by {track} since {clock_time(span.first_seen)}"
        if is_over:
            text = f"alarm over: {rule.text}, until {clock_time(now)}"
        details = {"rule": rule.text, "track_id": track, "action": rule.action, **span.to_dict(0.0, is_over=is_over)}
        return LiveEvent("alarm", "ends" if is_over else "begins", source, now, text, details, span.first_seconds)


def _follow(spans: dict[int, Span], rule: AlarmRule, keyframe: LiveKeyframe, gap_seconds: float) -> None:
    """Extend, begin and end the spans in which people meet the score of a rule."""
    tracks = [] if keyframe.track_ids is None else keyframe.track_ids.tolist()
    scores = keyframe.action_scores[:, rule.column]  # [N]
    present = set()
    for track, score in zip(tracks, scores, strict=True):
        present.add(track)
        if not rule.holds(score):
            spans.pop(track, None)
        elif track in spans:
            spans[track].extend(keyframe, float(score))
        else:
            spans[track] = Span.begin(keyframe, float(score))
    for track in [track for track in spans if track not in present]:
        if keyframe.timestamp_seconds - spans[track].last_seconds > gap_seconds:
            del spans[track]
