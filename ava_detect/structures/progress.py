"""Types of progress reports: what long-running calls pass to their ``on_progress`` callback, and worker heartbeats."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


@dataclass(frozen=True)
class Progress:
    """A progress report of a long-running call.

    Attributes:
        unit: What is counted, such as ``"videos"``, ``"keyframes"``, ``"steps"`` or ``"bytes"``.
        done: Number of finished units, including failed ones and those finished by earlier runs.
        total: Number of all units; None while it is unknown.
        name: The item in progress, such as a video id or the name of a weights file; empty where there is none.
        position_seconds: Position reached in the video ``name``, in seconds.
        duration_seconds: Duration of the video ``name``, in seconds; None where it is unknown.
        failed: Number of units in ``done`` that failed.
        done_before: Number of units in ``done`` that an earlier run finished, which this one resumes.
        elapsed_seconds: Wall-clock time since this run started, in seconds; 0 where the call does not measure it.
        figures: Additional values by name, such as the ``loss`` of a training step.
        result: The result of an item that has just finished (a ``VideoRecord`` in annotation runs); passed once, in
            the report that counts the item as done; None in all other reports.
        stage: What is being done where nothing is counted: ``"loading the network"``, or with the ``name`` of a video
            ``"opening"`` and ``"drawing"``; empty otherwise.
    """

    unit: str
    done: int
    total: int | None
    name: str = ""
    position_seconds: float = 0.0
    duration_seconds: float | None = None
    failed: int = 0
    done_before: int = 0
    elapsed_seconds: float = 0.0
    figures: Mapping[str, float] = field(default_factory=dict)
    result: Any = None
    stage: str = ""


# Callback of a long-running call.
OnProgress = Callable[[Progress], None]


def report_stage(on_progress: OnProgress | None, stage: str) -> None:
    """Report what a call does next, where that takes time and nothing is counted.

    Args:
        on_progress: The callback; None for none.
        stage: What is done, such as ``"loading the network"``.
    """
    if on_progress is not None:
        on_progress(Progress("", 0, None, stage=stage))


class VideoPosition(NamedTuple):
    """Progress within one video; a worker sends it as its heartbeat while it annotates the video.

    Attributes:
        video_id: Id of the video.
        position_seconds: Timestamp of the last keyframe that was written, in seconds.
        duration_seconds: Duration according to the container's metadata, in seconds; None where it has none.
        stage: What is done beside the annotation itself: ``"opening"`` or ``"drawing"``.
    """

    video_id: str
    position_seconds: float
    duration_seconds: float | None
    stage: str = ""
