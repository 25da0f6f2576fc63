"""What the live page shows: the keyframes, events and pictures of the last minutes of each source.

Rows come later than pictures. So the page shows a picture only once the rows around its time are known: pictures are
late by as much as the rows of the last keyframes were, and boxes fit them.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from ava_detect.inference.live.keyframe import LiveKeyframe
from ava_detect.inference.live.measures import LiveStatus
from ava_detect.inference.live.spacing import Spacing
from ava_detect.live.events import LiveEvent
from ava_detect.structures.labels import LabelMap
from ava_detect.video.live.previews import Preview, Previews
from ava_detect.visualization.chips import page_colours, short_name
from ava_detect.visualization.keyframe_result import DRAWN_ACTIONS, DRAWN_SCORE
from ava_detect.visualization.kind_marks import page_values

PICTURE_SECONDS = 30.0
TIMELINE_SECONDS = 180.0
_KNOWN_DELAYS = 5
_MOST_KEYFRAMES, _MOST_EVENTS, _MOST_NEWS = 200, 400, 30


class PageState:
    """The state of the page; safe for several threads.

    Args:
        names: Names of the sources.
        label_map: The actions.
        every_seconds: Time between keyframes.
        note: A warning about the scores; empty for none.
        status: Returns how each source is doing.
        previews: The pictures of each source.
    """

    def __init__(
        self,
        names: Sequence[str],
        label_map: LabelMap,
        every_seconds: float,
        note: str,
        status: Callable[[], list[LiveStatus]],
        previews: Sequence[Previews],
    ) -> None:
        self._names, self._note, self._status = list(names), note, status
        self._numbers = {name: number for number, name in enumerate(names)}
        self._kinds = {action.name: str(action.kind) for action in label_map}
        self._label_map = list(label_map)
        self._sources = [_SourceState(every_seconds, pictures) for pictures in previews]
        self._news: deque[dict[str, Any]] = deque(maxlen=_MOST_NEWS)
        self._lock = threading.Lock()

    def keyframe(self, source: int, keyframe: LiveKeyframe) -> None:
        """Take a keyframe.

        Args:
            source: The source's number.
            keyframe: The keyframe.
        """
        people = [
            {"track": track, "box": [round(float(corner), 4) for corner in box], "rows": self._rows(scores)}
            for track, box, scores in zip(
                [] if keyframe.track_ids is None else keyframe.track_ids.tolist(),
                keyframe.boxes_fraction,
                keyframe.action_scores,
                strict=True,
            )
        ]
        with self._lock:
            self._sources[source].add(keyframe.timestamp_seconds, keyframe.num_dropped, people)

    def event(self, event: LiveEvent) -> None:
        """Take an event.

        Args:
            event: The event.
        """
        with self._lock:
            if event.kind in ("action", "alarm"):
                self._sources[self._numbers[event.source]].span(event, self._kinds.get(event.details["action"], ""))
            if event.kind != "action":  # these fill the timeline
                self._news.append(
                    {"kind": event.kind, "state": event.state, "source": event.source, "text": event.text}
                )

    def _rows(self, scores: Any) -> list[dict[str, Any]]:
        """The best actions of a person, as the chip of the page shows them."""
        best = sorted(range(len(scores)), key=lambda column: -scores[column])[:DRAWN_ACTIONS]
        return [
            {
                "text": short_name(self._label_map[column].name),
                "kind": str(self._label_map[column].kind),
                "score": round(float(scores[column]), 3),
            }
            for column in best
            if scores[column] >= DRAWN_SCORE
        ]

    def fixed(self) -> dict[str, Any]:
        """Return what does not change: names, colours, lengths."""
        return {
            "sources": self._names,
            "kinds": page_values(),
            "colours": page_colours(),
            "note": self._note,
            "timelineSeconds": TIMELINE_SECONDS,
        }

    def current(self) -> dict[str, Any]:
        """Return how the sources are doing, their last keyframes, their events, and the news."""
        statuses = self._status()
        with self._lock:
            sources = [
                {**_status_value(status), **source.value()}
                for status, source in zip(statuses, self._sources, strict=True)
            ]
            return {"sources": sources, "news": list(self._news)}

    def picture(self, source: int) -> Preview | None:
        """Return the picture to be shown now.

        Args:
            source: The source's number.

        Returns:
            The picture; None where there is none yet.

        Raises:
            IndexError: There is no such source.
        """
        with self._lock:
            return self._sources[source].picture()


def _status_value(status: LiveStatus) -> dict[str, Any]:
    return {
        "name": status.name,
        "state": status.state,
        "reason": status.reason,
        "width": status.width,
        "height": status.height,
        "isDark": status.is_dark,
        "numKeyframes": status.num_keyframes,
        "dropped": status.num_dropped,
        "lag": None if status.lag_median_seconds is None else round(status.lag_median_seconds, 2),
    }


class _SourceState:
    """The last minutes of one source."""

    def __init__(self, every_seconds: float, previews: Previews) -> None:
        self._previews = previews
        self._spacing = Spacing(every_seconds)
        self._usual = every_seconds
        self._keyframes: deque[tuple[float, list[dict[str, Any]]]] = deque(maxlen=_MOST_KEYFRAMES)
        self._delays: deque[float] = deque([0.0], maxlen=_KNOWN_DELAYS)
        self._delay = 0.0
        self._smoothed_at = time.monotonic()
        # Each: start and end in seconds (None while it goes on), track, action, kind, whether it is an alarm.
        self._spans: deque[dict[str, Any]] = deque(maxlen=_MOST_EVENTS)

    def add(self, seconds: float, num_dropped: int, people: list[dict[str, Any]]) -> None:
        newest = self._previews.newest_seconds
        self._delays.append(max(0.0, (seconds if newest is None else newest) - seconds))
        self._usual = self._spacing.update(seconds, num_dropped)
        self._keyframes.append((seconds, people))

    def span(self, event: LiveEvent, kind: str) -> None:
        details, is_alarm = event.details, event.kind == "alarm"
        key = [details.get("rule"), details["track_id"], details["action"], details["start_seconds"]]
        if event.state == "ends":
            for span in self._spans:
                if span["key"] == key and span["end"] is None:
                    span["end"] = details["end_seconds"]
            return
        self._spans.append(
            {
                "key": key,
                "start": details["start_seconds"],
                "end": None,
                "track": details["track_id"],
                "text": details["rule"] if is_alarm else short_name(details["action"]),
                "kind": kind,
                "isAlarm": is_alarm,
            }
        )

    def value(self) -> dict[str, Any]:
        now = self._keyframes[-1][0] if self._keyframes else 0.0
        since = now - PICTURE_SECONDS
        return {
            "now": now,
            "spacing": self._usual,
            "keyframes": [[seconds, people] for seconds, people in self._keyframes if seconds >= since],
            "spans": [
                {name: value for name, value in span.items() if name != "key"}
                for span in self._spans
                if span["end"] is None or span["end"] >= now - TIMELINE_SECONDS
            ],
        }

    def picture(self) -> Preview | None:
        newest = self._previews.now_seconds
        if newest is None:
            return None
        # A keyframe later, boxes have something to move towards. The delay changes slowly, or pictures would jump.
        wanted = min(max(self._delays) + self._usual, PICTURE_SECONDS - 1)
        now = time.monotonic()
        step = 0.5 * (now - self._smoothed_at)
        self._smoothed_at = now
        self._delay += max(-step, min(step, wanted - self._delay))
        return self._previews.at(newest - self._delay)
