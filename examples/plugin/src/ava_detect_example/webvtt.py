"""Results as WebVTT, the subtitles of web browsers: from keyframe to keyframe, what each person is doing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ava_detect import ActionDetections, LabelMap


@contextmanager
def webvtt_writer(path: Path, label_map: LabelMap, *, start_seconds: float, note: str) -> Iterator[Callable[..., None]]:
    """Write subtitles, keyframe by keyframe.

    Args:
        path: The file to write. It is renamed to its own name when all is written.
        label_map: The names of the actions.
        start_seconds: Where the file starts in its movie. Players count from the file's start, so it is not used.
        note: A warning about the results; empty: none.

    Yields:
        A function that takes a keyframe, and bool ``[N, C]``: which of its scores are written, None for all.
    """
    waiting: list[tuple[float, str]] = []
    with path.open("w", encoding="utf-8") as file:
        file.write(f"WEBVTT{' - ' * bool(note)}{note}\n")

        def cue(until: float) -> None:
            for begin, text in waiting:
                file.write(f"\n{_clock(begin)} --> {_clock(until)}\n{text}\n")
            waiting.clear()

        def write(keyframe: ActionDetections, kept: Any = None, /) -> None:
            cue(keyframe.timestamp_seconds)
            if text := "\n".join(_lines(keyframe, kept, label_map)):
                waiting.append((keyframe.timestamp_seconds, text))

        yield write
        if waiting:
            cue(waiting[-1][0] + 1)


def _lines(keyframe: ActionDetections, kept: Any, label_map: LabelMap) -> Iterator[str]:
    """A line for each person with a chosen action, the best action first."""
    name_of = {action.id: action.name for action in label_map}
    names = [name_of[int(action_id)] for action_id in keyframe.action_ids]
    chosen = np.ones(keyframe.action_scores.shape, bool) if kept is None else kept
    for person, (scores, is_chosen) in enumerate(zip(keyframe.action_scores, chosen, strict=True)):
        best_first = [index for index in np.argsort(-scores, kind="stable") if is_chosen[index]]
        if best_first:
            track = person if keyframe.track_ids is None else keyframe.track_ids[person]
            yield f"person {track}: {', '.join(names[index] for index in best_first)}"


def _clock(seconds: float) -> str:
    milliseconds = round(seconds * 1000)
    hours, rest = divmod(milliseconds, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    return f"{hours:02}:{minutes:02}:{rest // 1000:02}.{rest % 1000:03}"
