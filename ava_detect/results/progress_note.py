"""The note that a run keeps on its progress: ``progress.json`` in an output folder, a file per run in a dataset.

In a folder it is there only while a run works, and after a run that did not come to its end.
"""

from __future__ import annotations

import json
import os
import platform
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Self, get_args

import psutil

from ava_detect.errors import FormatError, shown
from ava_detect.formats.json_values import (
    LARGEST_INT64,
    MALFORMED,
    check_number,
    check_type,
    check_whole,
    parse_json,
    reason_of,
)
from ava_detect.storage.local_files import write_text_atomic

PROGRESS_NOTE = "progress.json"
NoteState = Literal["running", "finished", "interrupted", "failed"]
RUN_STATES: tuple[NoteState, ...] = get_args(NoteState)
# The year 2103: later times are no times.
_LATEST_SECONDS = 4.2e9


@dataclass(frozen=True)
class ProgressNote:
    """How far a run has come.

    Attributes:
        state: ``running``, ``finished``, ``interrupted`` or ``failed``.
        started: When the run began, seconds since 1970.
        updated: When this note was written.
        videos: Number of videos in all sources; None until all are listed.
        before: Number of videos that earlier runs had finished.
        done: Number of videos that this run has finished, damaged ones included.
        failed: Number of videos that failed.
        problems: Reasons of the first failed videos; in a dataset they are beside the results.
        machine: Name of the machine of the run; empty where unknown.
        process: The run's process there; 0 where unknown.
    """

    state: NoteState
    started: float
    updated: float
    videos: int | None
    before: int
    done: int
    failed: int
    problems: tuple[str, ...] = ()
    machine: str = field(default_factory=platform.node)
    process: int = field(default_factory=os.getpid)

    def has_lost_its_process(self) -> bool:
        """Return whether the run was in a process of this machine that has ended."""
        return bool(self.process) and self.machine == platform.node() and not psutil.pid_exists(self.process)

    def to_json(self) -> bytes:
        """Return the note as JSON."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, data: bytes, path: object) -> Self:
        """Read a note.

        Args:
            data: What ``to_json`` returned.
            path: Where it was, for the message.

        Returns:
            The note.

        Raises:
            FormatError: It is none.
        """
        try:
            entry = parse_json(data)
            check_type("the progress of a run", entry, dict)
            return cls(
                state=_state(entry["state"]),
                started=_time("started", entry.get("started", 0.0)),
                updated=_time("updated", entry["updated"]),
                videos=None if entry["videos"] is None else _count("videos", entry["videos"]),
                before=_count("before", entry.get("before", 0)),
                done=_count("done", entry.get("done", 0)),
                failed=_count("failed", entry.get("failed", 0)),
                problems=_problems(entry.get("problems", [])),
                machine=_text("machine", entry.get("machine", "")),
                process=_count("process", entry.get("process", 0)),
            )
        except MALFORMED as error:
            raise FormatError(
                f"{shown(path)} is no progress of a run ({reason_of(error)}); delete it: it only tells how far that "
                "run has come"
            ) from error


def _state(value: Any) -> NoteState:
    for state in RUN_STATES:
        if value == state:
            return state
    raise ValueError(f"state is {', '.join(RUN_STATES)}, got {value!r:.80}")


def _time(name: str, value: Any) -> float:
    check_number(name, value, 0, _LATEST_SECONDS)
    return float(value)


def _count(name: str, value: Any) -> int:
    check_whole(name, value, 0, LARGEST_INT64)
    return int(value)


def _text(name: str, value: Any) -> str:
    check_type(name, value, str)
    return str(value)


def _problems(value: Any) -> tuple[str, ...]:
    check_type("problems", value, list)
    return tuple(_text("a problem", problem) for problem in value)


def read_progress_note(folder: Path) -> ProgressNote | None:
    """Read the note in an output folder.

    Args:
        folder: The output folder of a run.

    Returns:
        The note; None where no run works, and the last one came to its end.

    Raises:
        FormatError: The note cannot be read.
    """
    path = folder / PROGRESS_NOTE
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise FormatError(f"{shown(path)} cannot be read ({shown(error.strerror)})") from error
    return ProgressNote.from_json(data, path)


def put_progress_note(folder: Path, note: ProgressNote) -> None:
    """Write the note of an output folder, or remove it when the run has come to its end.

    Args:
        folder: The output folder of a run.
        note: The note.
    """
    path = folder / PROGRESS_NOTE
    if note.state == "finished":
        with suppress(FileNotFoundError):
            path.unlink()
        return
    write_text_atomic(path, note.to_json().decode() + "\n")
