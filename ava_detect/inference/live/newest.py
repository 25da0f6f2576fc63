"""The newest keyframe of each source, waiting for the network: a newer one takes its place, and nothing queues."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from ava_detect.video.live.reader import SeenKeyframe

# How often waiting threads look whether they are to stop: a signal's handler can only set a flag.
_LOOK_SECONDS = 0.1


@dataclass
class _Place:
    """The place of one source: its waiting keyframe, and what became of those before it."""

    waiting: SeenKeyframe | None = None
    num_dropped: int = 0
    num_dropped_since: int = 0  # the last one that was taken
    served: int = 0  # turn of the last one that was taken
    is_open: bool = True


class NewestKeyframes:
    """One place for each source; safe for several threads.

    Args:
        num_sources: Number of sources.
        stop: Set to end all waiting.
    """

    def __init__(self, num_sources: int, stop: threading.Event) -> None:
        self._places = [_Place() for _ in range(num_sources)]
        self._stop = stop
        self._changed = threading.Condition()
        self._turn = 0

    def offer(self, source: int, keyframe: SeenKeyframe) -> None:
        """Put the newest keyframe of a source in its place; one that still waits there is dropped.

        The last keyframes of a source that has ended drop none: they wait for each other.

        Args:
            source: The source's number.
            keyframe: The keyframe.
        """
        place = self._places[source]
        with self._changed:
            while keyframe.is_last and place.waiting is not None and not self._stop.is_set():
                self._changed.wait(_LOOK_SECONDS)
            if place.waiting is not None:
                place.num_dropped += 1
                place.num_dropped_since += 1
            place.waiting = keyframe
            self._changed.notify_all()

    def close(self, source: int) -> None:
        """Note that a source has no keyframe any more.

        Args:
            source: The source's number.
        """
        with self._changed:
            self._places[source].is_open = False
            self._changed.notify_all()

    def take(
        self, most: int, alike: Callable[[SeenKeyframe], object], until: float | None = None
    ) -> list[tuple[int, SeenKeyframe, int]]:
        """Wait for a keyframe, and take it with those of other sources that can be computed together with it.

        The source that was served the longest time ago comes first.

        Args:
            most: Number of keyframes to take at most.
            alike: Those are taken together for which it returns the same.
            until: Time on ``time.monotonic``'s clock at which waiting ends; None for no limit.

        Returns:
            The source's number, the keyframe, and the number of keyframes that were dropped since the one before it,
            each; none at the end: all sources are closed, it was stopped, or the time is over.
        """
        with self._changed:
            while not self._stop.is_set() and (until is None or time.monotonic() < until):
                waiting = [(place.served, number) for number, place in enumerate(self._places) if place.waiting]
                if waiting:
                    return self._taken([number for _, number in sorted(waiting)], most, alike)
                if not any(place.is_open for place in self._places):
                    break
                self._changed.wait(_LOOK_SECONDS)
        return []

    def _taken(
        self, sources: list[int], most: int, alike: Callable[[SeenKeyframe], object]
    ) -> list[tuple[int, SeenKeyframe, int]]:
        taken: list[tuple[int, SeenKeyframe, int]] = []
        self._turn += 1
        for number in sources:
            place = self._places[number]
            assert place.waiting is not None, "only sources with a keyframe are asked for one"
            if len(taken) == most or (taken and alike(place.waiting) != alike(taken[0][1])):
                continue
            taken.append((number, place.waiting, place.num_dropped_since))
            place.waiting, place.num_dropped_since, place.served = None, 0, self._turn
        self._changed.notify_all()
        return taken

    def num_dropped(self, source: int) -> int:
        """Return the number of keyframes of a source that were dropped.

        Args:
            source: The source's number.
        """
        return self._places[source].num_dropped
