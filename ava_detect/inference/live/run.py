"""A live run as its caller holds it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator

from ava_detect.inference.live.keyframe import LiveKeyframe
from ava_detect.inference.live.measures import LiveStatus


class LiveRun(Iterator[LiveKeyframe]):
    """The keyframes of live sources, each as soon as it is scored; ``stop`` or ``close`` it.

    Iterating ends when all sources have ended, the time is over, or it was stopped. Memory does not grow.

    Args:
        keyframes: The keyframes; threads start with the first one that is asked for.
        stop: Asks them to end; returns at once.
        status: Returns how each source is doing.
    """

    def __init__(
        self,
        keyframes: Generator[LiveKeyframe, None, None],
        stop: Callable[[], None],
        status: Callable[[], list[LiveStatus]],
    ) -> None:
        self._keyframes, self._stop, self._status = keyframes, stop, status

    def __iter__(self) -> Iterator[LiveKeyframe]:
        return self

    def __next__(self) -> LiveKeyframe:
        return next(self._keyframes)

    def stop(self) -> None:
        """Ask the run to end; returns at once, and may be called by a signal's handler or another thread."""
        self._stop()

    def close(self) -> None:
        """Stop the run, and wait for its threads."""
        self._stop()
        self._keyframes.close()

    def status(self) -> list[LiveStatus]:
        """Return how each source is doing; any thread may ask."""
        return self._status()

    def __repr__(self) -> str:
        counts = [f"{status.name}: {status.state}, {status.num_keyframes} keyframes" for status in self.status()]
        return f"LiveRun({'; '.join(counts)})"
