"""Events of a live run: from the scores of keyframes to "hand wave by 3 from 12:00:01 to 12:00:04".

The rule is that of action tubes (``structures/tubes.py``) without smoothing, which would need what is still to come: an
action of a person goes on as long as its score stays at ``min_score`` or above, and is an event once it reaches
``min_peak``. So an event is told after its start, and again at its end. A person who is not seen for longer than tracks
are linked over ends the person's events.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

import numpy as np

from ava_detect.inference.live.keyframe import LiveKeyframe, time_text
from ava_detect.inference.live.spacing import Spacing
from ava_detect.structures.labels import LabelMap
from ava_detect.structures.linking import max_gap_seconds

EventKind = Literal["action", "alarm", "source", "clip"]
# The score at which an event ends, of that which makes it one: the two of action tubes, 0.3 and 0.5.
END_OF_PEAK = 0.6


@dataclass(frozen=True)
class LiveEvent:
    """Something that happened.

    Attributes:
        kind: ``action`` (of a person), ``alarm`` (a rule), ``source`` (connected, lost ...), ``clip`` (saved).
        state: ``begins`` or ``ends``; of a source and a clip, what became of it.
        source: The source's name.
        time: When it was told, in UTC.
        text: A sentence for people.
        details: More values, as JSON.
        start_seconds: Where it starts, in seconds from the source's first frame; None where that is not known.
    """

    kind: EventKind
    state: str
    source: str
    time: datetime
    text: str
    details: dict[str, Any] = field(default_factory=dict)
    start_seconds: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Convert to a JSON value."""
        return {
            "event": self.kind,
            "state": self.state,
            "source": self.source,
            "time": time_text(self.time),
            **self.details,
            "text": self.text,
        }


@dataclass
class Span:
    """A span of keyframes in which something holds.

    Attributes:
        first_seconds: Time of its first keyframe.
        first_seen: When that was seen.
        last_seconds: Time of its last keyframe so far.
        last_seen: When that was seen.
        peak: Greatest score in it.
        is_told: Whether it was told as an event.
    """

    first_seconds: float
    first_seen: datetime
    last_seconds: float
    last_seen: datetime
    peak: float
    is_told: bool = False

    @classmethod
    def begin(cls, keyframe: LiveKeyframe, score: float) -> Span:
        """Return a span that begins with a keyframe.

        Args:
            keyframe: The keyframe.
            score: The score on it.
        """
        now, seen = keyframe.timestamp_seconds, keyframe.seen
        return cls(now, seen, now, seen, score)

    def extend(self, keyframe: LiveKeyframe, score: float) -> None:
        """Take in the next keyframe.

        Args:
            keyframe: The keyframe.
            score: The score on it.
        """
        self.last_seconds, self.last_seen = keyframe.timestamp_seconds, keyframe.seen
        self.peak = max(self.peak, score)

    def to_dict(self, margin_seconds: float, *, is_over: bool) -> dict[str, Any]:
        """Return start and end as JSON values.

        Args:
            margin_seconds: How far the span of a keyframe reaches to either side.
            is_over: Whether the end is known.
        """
        margin = timedelta(seconds=margin_seconds)
        values = {
            "start_time": time_text(self.first_seen - margin),
            "start_seconds": round(max(0.0, self.first_seconds - margin_seconds), 6),
        }
        if is_over:
            values["end_time"] = time_text(self.last_seen + margin)
            values["end_seconds"] = round(self.last_seconds + margin_seconds, 6)
        return values | {"max_score": round(self.peak, 6)}


def clock_time(time: datetime) -> str:
    """Return a time of day for people, in the time zone of this machine: ``12:00:01``.

    Args:
        time: The time, with its zone.
    """
    return time.astimezone().strftime("%H:%M:%S")


class ActionEvents:
    """Finds the events of one source, keyframe by keyframe.

    Args:
        label_map: The actions of the score columns.
        every_seconds: Time between keyframes.
        min_peak: Score that makes an event, in 0..1.
        min_score: Score below which it ends, in 0..``min_peak``.
    """

    def __init__(self, label_map: LabelMap, every_seconds: float, *, min_peak: float, min_score: float) -> None:
        self._names = [action.name for action in label_map]
        self._margin = every_seconds / 2
        self._min_peak, self._min_score = min_peak, min_score
        self._spacing = Spacing(every_seconds)
        # (track id, score column) -> span
        self._spans: dict[tuple[int, int], Span] = {}

    def update(self, keyframe: LiveKeyframe) -> list[LiveEvent]:
        """Find what begins and ends with the next keyframe.

        Args:
            keyframe: The keyframe, with track ids.

        Returns:
            The events, those that end first.
        """
        gap = max_gap_seconds(self._spacing.update(keyframe.timestamp_seconds, keyframe.num_dropped))
        tracks = [] if keyframe.track_ids is None else keyframe.track_ids.tolist()
        holds = keyframe.action_scores >= np.float32(self._min_score)  # [N, C]
        holding = {
            (tracks[row], column): float(keyframe.action_scores[row, column]) for row, column in np.argwhere(holds)
        }
        present = set(tracks)
        ended = [
            key
            for key, span in self._spans.items()
            if (key[0] in present and key not in holding)
            or (key[0] not in present and keyframe.timestamp_seconds - span.last_seconds > gap)
        ]
        events = [*self._end(keyframe.video_id, keyframe.seen, ended)]
        for key, score in holding.items():
            if key in self._spans:
                self._spans[key].extend(keyframe, score)
            else:
                self._spans[key] = Span.begin(keyframe, score)
            if not self._spans[key].is_told and score >= np.float32(self._min_peak):
                self._spans[key].is_told = True
                events.append(self._event(keyframe.video_id, keyframe.seen, key, is_over=False))
        return events

    def finish(self, source: str, now: datetime) -> list[LiveEvent]:
        """End all events: the source is lost, or the run is over.

        Args:
            source: The source's name.
            now: The time.

        Returns:
            The events that end.
        """
        return [*self._end(source, now, list(self._spans))]

    def _end(self, source: str, now: datetime, ended: list[tuple[int, int]]) -> Iterator[LiveEvent]:
        for key in ended:
            if self._spans[key].is_told:
                yield self._event(source, now, key, is_over=True)
            del self._spans[key]

    def _event(self, source: str, now: datetime, key: tuple[int, int], *, is_over: bool) -> LiveEvent:
        (track, column), span = key, self._spans[key]
        name, margin = self._names[column], timedelta(seconds=self._margin)
        text = f"{name} by {track} from {clock_time(span.first_seen - margin)}"
        if is_over:
            text += f" to {clock_time(span.last_seen + margin)}"
        details = {"track_id": track, "action": name, **span.to_dict(self._margin, is_over=is_over)}
        return LiveEvent("action", "ends" if is_over else "begins", source, now, text, details, span.first_seconds)
