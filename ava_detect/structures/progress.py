"""The progress report that every long-running call passes to its callback."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


@dataclass(frozen=True)
class Progress:
    """A progress report of a long-running call.

    Attributes:
        unit: The counted unit: ``"videos"``, ``"keyframes"``, ``"steps"``, ``"bytes"``.
        done: Number of finished units, including those finished by earlier runs.
        total: Number of all units; None while it is unknown.
        name: The item in progress: a video's id, the name of weights.
        second: The position in the video ``name``, in seconds.
        duration_seconds: The duration of the video ``name``; None where it is unknown.
        failed: Number of units in ``done`` that failed.
        before: Number of units in ``done`` that an earlier run finished.
        elapsed_seconds: Time since the run started; 0 where the call does not measure it.
        figures: Other numbers by name, such as the ``loss`` of a training step.
        result: The result of an item that has just finished (a ``VideoRecord`` in annotation runs); passed once, in
            the report that counts the item as done; None in all other reports.
    """

    unit: str
    done: int
    total: int | None
    name: str = ""
    second: float = 0.0
    duration_seconds: float | None = None
    failed: int = 0
    before: int = 0
    elapsed_seconds: float = 0.0
    figures: Mapping[str, float] = field(default_factory=dict)
    result: Any = None


OnProgress = Callable[[Progress], None]


class VideoPosition(NamedTuple):
    """How far the annotation of a video has come: what a worker sends as its heartbeat.

    Attributes:
        video_id: The video's name.
        second: The keyframe that was written last, in seconds.
        duration_seconds: The length that the file declares; None where it does not.
    """

    video_id: str
    second: float
    duration_seconds: float | None
