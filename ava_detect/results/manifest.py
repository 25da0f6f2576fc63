"""What a run over many videos has done so far, kept on disk so that it can be resumed.

``manifest.jsonl`` in the output folder: the run's settings on the first line, then a line for each finished
video, appended when all of its files are in place. A run that was cut leaves at worst a half line, which is
ignored. ``summary.json``, written at the end, says the same for people and scripts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from ava_detect.addresses import Address, without_secrets
from ava_detect.errors import ConfigError
from ava_detect.files import write_text_atomic
from ava_detect.sources import AnyVideo

MANIFEST = "manifest.jsonl"
SUMMARY = "summary.json"
Status = Literal["done", "damaged", "failed"]


@dataclass(frozen=True)
class VideoRecord:
    """The outcome of one video.

    ``status``: ``done``; ``damaged``: what could be decoded is in the results, and ``message`` says what is missing;
    ``failed``: there are no results, and ``message`` says why. ``seconds``: time spent per stage. ``outputs``: names of
    files in the output folder. ``source_*``: the file as it was annotated: its size, its last change, its frames a
    second and its length in seconds; 0 where unknown, as in records of before there were such fields.
    ``cuts_seconds``: its hard cuts.
    """

    video_id: str
    source: str
    status: Status
    message: str = ""
    num_keyframes: int = 0
    num_people: int = 0
    num_rows: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    source_bytes: int = 0
    source_modified: float = 0.0
    source_fps: float = 0.0
    source_seconds: float = 0.0
    cuts_seconds: tuple[float, ...] = ()

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Self:
        """From the plain values that ``dataclasses.asdict`` gives, as they come out of JSON."""
        lists = {"outputs": tuple(entry["outputs"]), "cuts_seconds": tuple(entry.get("cuts_seconds", ()))}
        return cls(**{**entry, **lists})


def failed_record(source: AnyVideo, reason: str, tries: int = 1) -> VideoRecord:
    """The record of a video without results: a sentence that names it, without secrets."""
    is_named = source.problem or source.place in reason or str(source.path) in reason
    message = (reason if is_named else f"{source.place}: {reason}") + (f" ({tries} tries)" if tries > 1 else "")
    return VideoRecord(source.video_id, source.place, "failed", without_secrets(message))


@dataclass
class Totals:
    """Sums over videos. ``seconds``: time spent per stage."""

    done: int = 0
    damaged: int = 0
    failed: int = 0
    keyframes: int = 0
    people: int = 0
    rows: int = 0
    seconds: dict[str, float] = field(default_factory=dict)

    def add(self, record: VideoRecord) -> None:
        """Count one more video."""
        setattr(self, record.status, getattr(self, record.status) + 1)
        self.keyframes += record.num_keyframes
        self.people += record.num_people
        self.rows += record.num_rows
        for stage, value in record.seconds.items():
            self.seconds[stage] = round(self.seconds.get(stage, 0.0) + value, 3)


@dataclass(frozen=True)
class Progress:
    """Where a run is. ``record`` is given once, when the video of ``video_id`` is finished or was found finished.

    ``num_videos``: None while a list of unknown length is being read. For a dataset only: ``num_failed`` so far,
    ``num_before`` that earlier runs had finished, ``run_seconds`` since the start.
    """

    video_id: str
    num_finished: int
    num_videos: int | None
    second: float = 0.0
    duration_seconds: float | None = None
    record: VideoRecord | None = None
    num_failed: int = 0
    num_before: int = 0
    run_seconds: float = 0.0


class RunRecord:
    """The manifest of one output folder."""

    def __init__(self, out: Path, settings: Mapping[str, Any], *, resume: bool) -> None:
        """Open or start the manifest in ``out``.

        With ``resume``, a manifest of other settings is refused with a ``ConfigError`` that names both; without, it is
        forgotten.
        """
        self.out = out
        self.settings = json.loads(json.dumps(settings))
        self.records: dict[str, VideoRecord] = {}
        if resume:
            self._read()
        lines = [json.dumps({"settings": self.settings}), *(json.dumps(asdict(r)) for r in self.records.values())]
        write_text_atomic(self._path, "".join(f"{line}\n" for line in lines))

    @property
    def _path(self) -> Path:
        return self.out / MANIFEST

    def finished(self, source: AnyVideo) -> VideoRecord | None:
        """The record of a video whose file is unchanged since and whose results are all there."""
        record = self.records.get(source.video_id)
        if record is None or not all((self.out / name).is_file() for name in record.outputs):
            return None
        size, modified = file_state(source.path)
        same_file = (record.source_bytes, record.source_modified) == (size, modified)
        return record if same_file and record.source == source.place else None

    def add(self, record: VideoRecord) -> None:
        """Append a finished video; a failed one is not kept, so that the next run tries it again."""
        if record.status == "failed":
            return
        self.records[record.video_id] = record
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(record)) + "\n")

    def _read(self) -> None:
        if not self._path.is_file():
            return
        lines = self._path.read_text(encoding="utf-8").split("\n")
        # A line without its newline was cut while it was written.
        try:
            entries = [json.loads(line) for line in lines[:-1] if line]
            before = entries[0]["settings"] if entries else self.settings
            records = [VideoRecord.from_json(entry) for entry in entries[1:]]
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"{self._path} cannot be read ({error}), so nothing can be resumed; --restart does every video again"
            ) from error
        self._refuse_other_settings(before)
        self.records = {record.video_id: record for record in records}

    def _refuse_other_settings(self, before: Mapping[str, Any]) -> None:
        changed = settings_changed(before, self.settings)
        if changed:
            raise ConfigError(
                f"{self.out} holds results that were made with other settings ({changed}); "
                "choose another --out, or --restart to do every video again"
            )


def settings_changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What differs, both named; empty when nothing does."""
    return "; ".join(
        f"{name} was {before.get(name)!r}, now {now.get(name)!r}"
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    )


def file_state(path: Path | Address) -> tuple[int, float]:
    """Size in bytes and time of the last change, (0, 0) for a file that is not there, or at an address."""
    if isinstance(path, Address):
        return 0, 0.0
    try:
        state = path.stat()
    except OSError:
        return 0, 0.0
    return state.st_size, state.st_mtime
