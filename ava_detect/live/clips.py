"""Clips of what happened: the seconds around the start of an alarm or an event, drawn, as mp4 files."""

from __future__ import annotations

import io
import queue
import re
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path

import numpy as np
from PIL import Image

from ava_detect.errors import message_of
from ava_detect.inference.live.keyframe import LiveKeyframe
from ava_detect.live.events import LiveEvent
from ava_detect.storage.file_names import file_stem
from ava_detect.structures import ActionDetections, Frame
from ava_detect.structures.labels import LabelMap
from ava_detect.video.live.previews import Preview, Previews
from ava_detect.visualization.draw import DrawOptions, draw_video

# Clips that wait to be written; a burst of events must not fill the memory.
_MOST_WAITING = 4
_FPS = 10
_NAME = re.compile(r"[^A-Za-z0-9]+")


@dataclass(frozen=True)
class ClipOptions:
    """Which clips are saved, and how long they are.

    Attributes:
        folder: The folder.
        before_seconds: How much is shown of the time before the event's start.
        after_seconds: How much is shown after it was told.
        most: Number of clips that are kept; the oldest of this run are removed.
    """

    folder: Path
    before_seconds: float = 5.0
    after_seconds: float = 5.0
    most: int = 1000


@dataclass(frozen=True)
class _Wanted:
    """A clip whose end has not come yet, or that waits to be written."""

    event: LiveEvent
    start_seconds: float
    end_seconds: float


class ClipSaver:
    """Saves the clips of one source.

    Args:
        source: The source's name.
        options: Which clips, and how.
        label_map: Names and kinds of the actions.
        drawing: How the detections are drawn.
        previews: The pictures of the source.
        report: Told the path of each clip that is written, and of an error; called by another thread.
    """

    def __init__(
        self,
        source: str,
        options: ClipOptions,
        label_map: LabelMap,
        drawing: DrawOptions,
        previews: Previews,
        report: Callable[[LiveEvent, Path | None, str], None],
    ) -> None:
        self._source, self._options = source, options
        self._label_map, self._drawing, self._report = label_map, drawing, report
        self._previews = previews
        self._keyframes: deque[ActionDetections] = deque(maxlen=1000)
        self._wanted: list[_Wanted] = []
        self._written: deque[Path] = deque()
        self._waiting: queue.Queue[tuple[LiveEvent, list[Preview], list[ActionDetections]] | None] = queue.Queue(
            _MOST_WAITING
        )
        self._thread = threading.Thread(target=self._write_all, daemon=True, name="ava-detect clips")
        self._thread.start()

    def want(self, event: LiveEvent, now_seconds: float) -> None:
        """Save the clip of an event, once its end has come; while another clip goes on, it shows this event, too.

        Args:
            event: The event.
            now_seconds: Time of the keyframe that told it.
        """
        start = now_seconds if event.start_seconds is None else event.start_seconds
        if not any(wanted.start_seconds <= start <= wanted.end_seconds for wanted in self._wanted):
            options = self._options
            self._wanted.append(_Wanted(event, start - options.before_seconds, now_seconds + options.after_seconds))

    def update(self, keyframe: LiveKeyframe) -> None:
        """Take in the next keyframe, and write the clips whose end has come.

        Args:
            keyframe: The keyframe.
        """
        self._keyframes.append(_without_picture(keyframe))
        # One keyframe more, towards which boxes move.
        self._write([wanted for wanted in self._wanted if keyframe.timestamp_seconds > wanted.end_seconds])

    def finish(self) -> None:
        """Write the clips that have begun: the source is lost, or the run is over."""
        self._write(list(self._wanted))

    def close(self, seconds: float) -> None:
        """Wait for the clips that are being written.

        Args:
            seconds: The longest time.
        """
        self.finish()
        self._waiting.put(None)
        self._thread.join(seconds)

    def _write(self, ready: list[_Wanted]) -> None:
        for wanted in ready:
            self._wanted.remove(wanted)
            pictures = self._previews.between(wanted.start_seconds, wanted.end_seconds)
            try:
                self._waiting.put_nowait((wanted.event, pictures, list(self._keyframes)))
            except queue.Full:
                self._report(wanted.event, None, "other clips are still being written")

    def _write_all(self) -> None:
        while (work := self._waiting.get()) is not None:
            event, pictures, keyframes = work
            path = self._path_of(event)
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                frames = frames_of(pictures, self._source)
                draw_video(frames, keyframes, path, _FPS, self._label_map, self._drawing)
            except Exception as error:  # A full disk must not end the run.
                self._report(event, None, message_of(error))
                continue
            self._written.append(path)
            while len(self._written) > self._options.most:
                self._written.popleft().unlink(missing_ok=True)
            self._report(event, path, "")

    def _path_of(self, event: LiveEvent) -> Path:
        """A name that is not there yet: the source, the time in UTC, and the action."""
        time = event.time.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
        action = _NAME.sub("-", str(event.details.get("action", ""))).strip("-")[:40]
        stem, number = f"{file_stem(self._source)[:120]}-{time}-{action or event.kind}", 1
        path = self._options.folder / f"{stem}.mp4"
        while path.exists():
            number += 1
            path = self._options.folder / f"{stem}-{number}.mp4"
        return path


def frames_of(pictures: list[Preview], source: str) -> Iterator[Frame]:
    """Yield pictures as frames of one size: that of the first; others are fitted into it.

    Args:
        pictures: The pictures, in order of time.
        source: The source's name.

    Yields:
        The frames.
    """
    size: tuple[int, int] | None = None
    for picture in pictures:
        image = Image.open(io.BytesIO(picture.jpeg)).convert("RGB")
        size = image.size if size is None else size
        if image.size != size:
            image = image.resize(size)
        yield Frame(np.asarray(image), picture.seconds, source)


def _without_picture(keyframe: LiveKeyframe) -> ActionDetections:
    """The detections alone, which take little memory."""
    return ActionDetections(
        keyframe.video_id,
        keyframe.timestamp_seconds,
        keyframe.boxes_fraction,
        keyframe.person_scores,
        keyframe.action_scores,
        keyframe.action_ids,
        keyframe.track_ids,
    )
