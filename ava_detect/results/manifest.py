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

from ava_detect.errors import ConfigError, FormatError
from ava_detect.storage.addresses import Address, without_secrets
from ava_detect.storage.local_files import whole_lines, write_text_atomic
from ava_detect.video.sources import SourceVideo

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


def failed_record(source: SourceVideo, reason: str, tries: int = 1) -> VideoRecord:
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
class ManifestContent:
    """What a manifest holds: the settings of the run, and the videos that are done, by id."""

    settings: dict[str, Any]
    records: dict[str, VideoRecord]


def read_manifest(folder: Path) -> ManifestContent | None:
    """Read the manifest of an output folder; None where there is none.

    Raises:
        FormatError: It cannot be read.
    """
    path = folder / MANIFEST
    if not path.is_file():
        return None
    try:
        entries = [json.loads(line) for line in whole_lines(path)]
        settings = dict(entries[0]["settings"]) if entries else {}
        records = [VideoRecord.from_json(entry) for entry in entries[1:]]
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(
            f"{path} cannot be read ({type(error).__name__}: {error}), so nothing can be resumed; `resume=False` does "
            "every video again"
        ) from error
    return ManifestContent(settings, {record.video_id: record for record in records})


class Manifest:
    """The manifest of one output folder, open for a run that adds to it."""

    def __init__(self, out: Path, settings: Mapping[str, Any], *, resume: bool) -> None:
        """Open the manifest in ``out``, or start one.

        Args:
            out: The output folder.
            settings: Everything that decides the results, as plain values.
            resume: Keep what an earlier run finished; without it, an existing manifest is forgotten.

        Raises:
            ConfigError: The folder holds results of other settings; both are named.
            FormatError: The manifest cannot be read.
        """
        self.out = out
        self.settings = json.loads(json.dumps(settings))
        before = read_manifest(out) if resume else None
        self.records: dict[str, VideoRecord] = {} if before is None else before.records
        if before is not None and before.settings:
            refuse_other_settings(out, before.settings, self.settings)
        lines = [json.dumps({"settings": self.settings}), *(json.dumps(asdict(r)) for r in self.records.values())]
        write_text_atomic(out / MANIFEST, "".join(f"{line}\n" for line in lines))

    def finished(self, source: SourceVideo) -> VideoRecord | None:
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
        with (self.out / MANIFEST).open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(record)) + "\n")


def refuse_other_settings(out: object, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise ``ConfigError`` where the results in ``out`` were made with other settings; it names what differs."""
    changed = "; ".join(
        f"{name} was {before.get(name)!r}, now {now.get(name)!r}"
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    )
    if changed:
        raise ConfigError(
            f"{out} holds results that were made with other settings ({changed}); choose another `out`, or "
            "`resume=False` to do every video again"
        )


def write_summary(out: Path, content: Mapping[str, Any]) -> None:
    """Write ``summary.json``: the outcome of a run for people and scripts."""
    write_text_atomic(out / SUMMARY, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def read_summary(folder: Path) -> tuple[str, tuple[VideoRecord, ...]]:
    """The note and the videos of a run's ``summary.json``; both empty where there is none.

    Raises:
        FormatError: It cannot be read.
    """
    path = folder / SUMMARY
    if not path.is_file():
        return "", ()
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return str(content.get("note", "")), tuple(VideoRecord.from_json(entry) for entry in content.get("videos", ()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FormatError(
            f"{path} cannot be read ({type(error).__name__}: {error}); delete it, or annotate into this folder again"
        ) from error


def file_state(path: Path | Address) -> tuple[int, float]:
    """Size in bytes and time of the last change, (0, 0) for a file that is not there, or at an address."""
    if isinstance(path, Address):
        return 0, 0.0
    try:
        state = path.stat()
    except OSError:
        return 0, 0.0
    return state.st_size, state.st_mtime
