"""How far a piece of work has come: the one value that every long call reports."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


@dataclass(frozen=True)
class Progress:
    """A report of how far a piece of work has come.

    Attributes:
        unit: What is counted: ``"videos"``, ``"keyframes"``, ``"steps"``, ``"bytes"``.
        done: How many are finished, those of earlier runs included.
        total: How many there are; None while that is unknown.
        name: What is being worked on: a video's id, a weights name.
        second: The position inside the video of that name, seconds.
        duration_seconds: The length of that video; None where unknown.
        failed: How many of ``done`` failed.
        before: How many of ``done`` an earlier run had finished.
        elapsed_seconds: Time since the run started; 0 where the work does not measure it.
        figures: Other numbers by name, such as the ``loss`` of a training.
        result: What a finished item came to (of an annotation a ``VideoRecord``); given once, with the report that
            counts it.
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
