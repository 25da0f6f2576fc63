"""The corrections log of one video: a file that only grows, a line of JSON for each event.

The first line is the base: the keyframes of the results when the review of the video began, so that a log can be read
without the results. An event is one write, followed by an fsync; it has happened once both have returned. A crash in
between leaves at most a torn last line, which was never confirmed: readers pass over it, and the next writer cuts it
off. A damaged line before the last is an error.

``{"version": 1, "video": ..., "results_sha256": ..., "min_score": 0.5, "keyframes": [[seconds, [[track id,
[x1, y1, x2, y2], [action ids]], ...]], ...]}``, then the events (``events``).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ava_detect.errors import FormatError, require_file, shown
from ava_detect.formats.json_values import (
    LARGEST_INT64,
    LARGEST_SECONDS,
    MALFORMED,
    check_number,
    check_text,
    check_whole,
    iter_whole_lines,
    parse_json,
    reason_of,
)
from ava_detect.results.corrections.events import Box, Event, rounded_seconds
from ava_detect.results.corrections.keyframes import CorrectedKeyframe, CorrectedPerson, VideoCorrections
from ava_detect.storage.local_files import atomic_path

LOG_SUFFIX = ".jsonl"
_VERSION = 1
_FARTHEST = 1e6


@dataclass(frozen=True, eq=False)
class Base:
    """What a review of a video began with.

    Attributes:
        video_id: Id of the video.
        results_sha256: SHA-256 of the file of results, 64 hexadecimal digits.
        min_score: An action that scores as much counts as ticked, 0..1.
        keyframes: Time in seconds -> keyframe of the results.
    """

    video_id: str
    results_sha256: str
    min_score: float
    keyframes: Mapping[float, CorrectedKeyframe]

    @cached_property
    def line(self) -> bytes:
        """The base as the first line of a log."""
        return _line(self._to_json())

    def _to_json(self) -> dict[str, Any]:
        keyframes = [
            [seconds, [[track, list(p.box_fraction), list(p.actions)] for track, p in keyframe.people.items()]]
            for seconds, keyframe in self.keyframes.items()
        ]
        return {
            "version": _VERSION,
            "video": self.video_id,
            "results_sha256": self.results_sha256,
            "min_score": self.min_score,
            "keyframes": keyframes,
        }

    @classmethod
    def from_line(cls, line: bytes) -> Base:
        """Check the first line of a log.

        Args:
            line: The line.

        Returns:
            The base.

        Raises:
            ValueError: A value is out of range.
            TypeError: A value has another type.
            KeyError: A value is missing.
        """
        value = parse_json(line)
        check_whole("version", value["version"], _VERSION, _VERSION)
        check_text("video", value["video"])
        check_text("results_sha256", value["results_sha256"])
        check_number("min_score", value["min_score"], 0, 1)
        keyframes = {}
        for seconds, people in value["keyframes"]:
            check_number("seconds", seconds, -LARGEST_SECONDS, LARGEST_SECONDS)
            keyframes[rounded_seconds(seconds)] = CorrectedKeyframe(dict(map(_person_from_json, people)))
        base = cls(value["video"], value["results_sha256"], float(value["min_score"]), keyframes)
        vars(base)["line"] = line  # the cached property: a long line is not made again
        return base


def _person_from_json(value: Any) -> tuple[int, CorrectedPerson]:
    track, box, actions = value
    check_whole("track id", track, -LARGEST_INT64, LARGEST_INT64)
    # Boxes of results may reach out of the frame.
    for corner in box:
        # A call for each corner of a video of hours would take a second.
        if type(corner) is not float or not -_FARTHEST <= corner <= _FARTHEST:
            check_number("box", corner, -_FARTHEST, _FARTHEST)
    x1, y1, x2, y2 = box
    for action_id in actions:
        check_whole("action id", action_id, 0, LARGEST_INT64)
    return track, CorrectedPerson(_as_box(x1, y1, x2, y2), tuple(actions))


def _as_box(*corners: float) -> Box:
    x1, y1, x2, y2 = map(float, corners)
    return x1, y1, x2, y2


@dataclass(frozen=True, eq=False)
class ReadLog:
    """The content of a log.

    Attributes:
        base: What the review began with.
        video: The keyframes after all events.
        num_bytes: Size of the complete lines, bytes.
        torn_bytes: Size of a torn last line, bytes; 0 where there is none.
    """

    base: Base
    video: VideoCorrections
    num_bytes: int
    torn_bytes: int


def read_log(path: Path, action_ids: Iterable[int]) -> ReadLog | None:
    """Read a log, and apply its events.

    Args:
        path: The file.
        action_ids: Ids of the actions that a person may have.

    Returns:
        The content; None where there is not even a complete first line.

    Raises:
        FormatError: A line is damaged or does not fit the lines before it; names the file and the line.
        OSError: The file cannot be read.
    """
    require_file(path)
    base, video, complete, torn = None, None, 0, 0
    with path.open("rb") as file:
        try:
            for number, line in iter_whole_lines(file):
                if not line.endswith(b"\n"):
                    torn = len(line)
                    break
                try:
                    if video is None:
                        base = Base.from_line(line)
                        video = VideoCorrections(base.video_id, base.keyframes, action_ids)
                    else:
                        _apply(video, Event.from_json(parse_json(line)))
                except MALFORMED as error:
                    raise FormatError(
                        f"{shown(path)}, line {number}: this is no event of a corrections log ({reason_of(error)}); "
                        "remove the lines from this one on, or restore the file from a copy"
                    ) from error
                complete += len(line)
        except FormatError:
            raise
        except ValueError as error:
            raise FormatError(f"{shown(path)}: {shown(error)}; restore the file from a copy") from error
    return None if base is None or video is None else ReadLog(base, video, complete, torn)


def _apply(video: VideoCorrections, event: Event) -> None:
    if event.video != video.video_id:
        raise ValueError(f"it is of the video {event.video!r:.80}, and the log of {video.video_id!r:.80}")
    video.apply(event)


class LogWriter:
    """Appends events to the log of a video. Only one process may write to a corrections folder.

    Args:
        path: The file; it is created with the first event.
        base: What the review began with.
        num_bytes: Size of the complete lines of an existing file, bytes; what follows them is cut off.
    """

    def __init__(self, path: Path, base: Base, num_bytes: int = 0) -> None:
        self._path, self._base, self._size = path, base, num_bytes

    def append(self, event: Event) -> None:
        """Write an event; it is on the disk when this returns.

        Args:
            event: The event.

        Raises:
            OSError: It could not be written; the log then ends with the event before it.
        """
        if not self._size:
            self._create()
        line = _line(event.to_json())
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND)
        try:
            if os.fstat(descriptor).st_size != self._size:
                os.ftruncate(descriptor, self._size)
            try:
                _write_all(descriptor, line)
                os.fsync(descriptor)
            except OSError as error:
                os.ftruncate(descriptor, self._size)
                raise OSError(error.errno, error.strerror, str(self._path)) from error
        finally:
            os.close(descriptor)
        self._size += len(line)

    def _create(self) -> None:
        """Write the base as the first line."""
        line = self._base.line
        with atomic_path(self._path) as temporary, temporary.open("wb") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        sync_folder(self._path.parent)
        self._size = len(line)


def _line(value: dict[str, Any]) -> bytes:
    # ASCII: no line separator of Unicode, and ids with lone surrogates, stay in one piece.
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode("ascii") + b"\n"


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def sync_folder(folder: Path) -> None:
    """Write a folder's list of names to the disk, so that a new file in it survives a loss of power.

    Args:
        folder: The folder.
    """
    if os.name == "nt":  # which has no such call, and needs none
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
