"""The manifest of a run over many videos: the state on disk from which the run can be resumed.

``manifest.jsonl`` in the output folder has the settings of the run on its first line, then a line for each finished
video, appended when all of its files are written. A run that was killed leaves at worst one incomplete last line,
which is ignored. ``summary.json``, written at the end, has the outcome for people and scripts.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Self, get_args

from ava_detect.errors import ConfigError, FormatError, shown
from ava_detect.formats.json_values import (
    LARGEST_INT64,
    LARGEST_SECONDS,
    MALFORMED,
    check_number,
    check_type,
    check_whole,
    iter_whole_lines,
    parse_json,
    reason_of,
)
from ava_detect.results.whole_files import is_whole_output
from ava_detect.storage.addresses import Address, without_secrets
from ava_detect.storage.file_names import MANIFEST
from ava_detect.storage.local_files import write_text_atomic
from ava_detect.video.sources import SourceVideo

SUMMARY = "summary.json"
Status = Literal["done", "damaged", "failed"]

_TEXTS = ("video_id", "source", "message", "warning")
_COUNTS = ("num_keyframes", "num_boxes", "num_rows", "source_bytes")
# The largest value of each: a file's time may lie centuries ahead.
_NUMBERS = {"source_modified": 1e12, "source_fps": 1e6, "source_seconds": LARGEST_SECONDS}


@dataclass(frozen=True)
class VideoRecord:
    """The outcome of one video.

    The fields ``source_*`` and ``cuts_seconds`` are 0 or empty where unknown, as in records of earlier versions.

    Attributes:
        video_id: Id of the video.
        source: Path or address of its file, as it was annotated.
        status: ``done``; ``damaged``, the results cover the part that could be decoded; or ``failed``, there are no
            results.
        message: The missing part of a damaged video, or the reason of a failed one; empty for a done one.
        num_keyframes: Number of annotated keyframes.
        num_people: Number of different people on them, which are the distinct tracks; None where that was not counted,
            as in records of earlier versions.
        num_rows: Number of rows in the results, one for each box and action.
        seconds: Time spent per stage, in seconds.
        outputs: Names of the video's files in the output folder.
        source_bytes: Size of the annotated file.
        source_modified: Time of its last change, seconds since 1970.
        source_fps: Its frame rate.
        source_seconds: Its duration in seconds.
        cuts_seconds: Times of its hard cuts, ascending.
        warning: Why its results, though complete, are hardly what was asked for, such as boxes that meet no keyframe;
            mostly empty.
        num_boxes: Number of boxes on the keyframes; a person has one on each.
    """

    video_id: str
    source: str
    status: Status
    message: str = ""
    num_keyframes: int = 0
    num_people: int | None = 0
    num_rows: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    source_bytes: int = 0
    source_modified: float = 0.0
    source_fps: float = 0.0
    source_seconds: float = 0.0
    cuts_seconds: tuple[float, ...] = ()
    warning: str = ""
    num_boxes: int = 0

    @classmethod
    def from_json(cls, entry: Any) -> Self:
        """Build a record from the plain values of ``dataclasses.asdict``, as JSON gives them back.

        Args:
            entry: The fields by name; those with a default may be missing, except ``outputs``.

        Returns:
            The record.

        Raises:
            KeyError: A required field or ``outputs`` is missing.
            TypeError: A field is unknown, or a value has the wrong type.
            ValueError: A value is out of its range.
        """
        check_type("the record of a video", entry, dict)
        if unknown := [name for name in entry if name not in cls.__dataclass_fields__]:
            raise TypeError(f"{unknown[0]!r} is no field of the record of a video")
        if "num_boxes" not in entry and "num_people" in entry:
            # Earlier versions called the boxes people, and did not count people.
            entry = {**entry, "num_boxes": entry["num_people"], "num_people": None}
        lists = {"outputs": entry["outputs"], "cuts_seconds": entry.get("cuts_seconds", ())}
        for name, values in lists.items():
            check_type(name, values, list | tuple)
        for name in ("video_id", "source", "status"):
            check_type(name, entry[name], str)
        record = cls(**{**entry, **{name: tuple(values) for name, values in lists.items()}})
        record._check_values()
        return record

    def _check_values(self) -> None:
        """Raise where a value from a file has another type or range than its field."""
        for name in _TEXTS:
            check_type(name, getattr(self, name), str)
        for name in _COUNTS:
            check_whole(name, getattr(self, name), 0, LARGEST_INT64)
        if self.num_people is not None:
            check_whole("num_people", self.num_people, 0, LARGEST_INT64)
        for name, high in _NUMBERS.items():
            check_number(name, getattr(self, name), 0, high)
        for output in self.outputs:
            check_type("outputs", output, str)
            # A benchmark's files lie in a folder of the folder: videos/NAME.csv.
            if not set(output).isdisjoint("\\\0") or not set(output.split("/")).isdisjoint(("", ".", "..")):
                raise ValueError(f"outputs are names of files in the folder, got {output!r:.80}")
        for cut in self.cuts_seconds:
            check_number("cuts_seconds", cut, 0, LARGEST_SECONDS)
        if list(self.cuts_seconds) != sorted(self.cuts_seconds):
            raise ValueError("cuts_seconds do not ascend")
        check_type("seconds", self.seconds, dict)
        for stage_seconds in self.seconds.values():
            check_number("seconds", stage_seconds, 0, LARGEST_SECONDS)
        if self.status not in get_args(Status):
            raise ValueError(f"status is {', '.join(get_args(Status))}, got {self.status!r:.80}")


def failed_record(source: SourceVideo, reason: str, tries: int = 1) -> VideoRecord:
    """Build the record of a video without results.

    Args:
        source: The video.
        reason: Why it has failed. The video's path is put before it, unless it names the video.
        tries: Number of attempts; more than one are mentioned.

    Returns:
        The record; its message holds no secrets of addresses.
    """
    is_named = source.problem or source.location in reason or str(source.path) in reason
    message = (reason if is_named else f"{source.location}: {reason}") + (f" ({tries} tries)" if tries > 1 else "")
    return VideoRecord(source.video_id, source.location, "failed", without_secrets(message))


@dataclass
class Totals:
    """Sums over videos.

    Attributes:
        done: Number of videos with complete results.
        damaged: Number of videos with incomplete results.
        failed: Number of videos without results.
        keyframes: Number of annotated keyframes.
        people: Number of different people on them, counted in each video; None where that is unknown of a video, as in
            results of earlier versions.
        boxes: Number of boxes on them; a person has one on each keyframe.
        rows: Number of rows in the results.
        seconds: Time spent per stage, in seconds.
    """

    done: int = 0
    damaged: int = 0
    failed: int = 0
    keyframes: int = 0
    people: int | None = 0
    boxes: int = 0
    rows: int = 0
    seconds: dict[str, float] = field(default_factory=dict)

    def add(self, record: VideoRecord) -> None:
        """Add one video.

        Args:
            record: Its outcome.
        """
        setattr(self, record.status, getattr(self, record.status) + 1)
        self.keyframes += record.num_keyframes
        is_known = self.people is not None and record.num_people is not None
        self.people = (self.people or 0) + (record.num_people or 0) if is_known else None
        self.boxes += record.num_boxes
        self.rows += record.num_rows
        for stage, value in record.seconds.items():
            self.seconds[stage] = round(self.seconds.get(stage, 0.0) + value, 3)


@dataclass(frozen=True)
class ManifestContent:
    """The content of a manifest.

    Attributes:
        settings: The settings of the run; empty for an empty file.
        records: The finished videos, by id; of several records of one video the last.
    """

    settings: dict[str, Any]
    records: dict[str, VideoRecord]


def read_manifest(folder: Path) -> ManifestContent | None:
    """Read the manifest of an output folder.

    Args:
        folder: The output folder.

    Returns:
        Its content, an incomplete last line ignored; None where there is no manifest.

    Raises:
        FormatError: The manifest cannot be read.
    """
    path = folder / MANIFEST
    if not path.is_file():
        return None
    settings: dict[str, Any] = {}
    records: dict[str, VideoRecord] = {}
    number = 0
    try:
        with path.open("rb") as file:
            for number, line in iter_whole_lines(file):
                if not line.endswith(b"\n"):
                    break  # its writer did not finish it
                if number == 1:
                    settings = _settings_of(parse_json(line))
                elif line.strip():
                    record = VideoRecord.from_json(parse_json(line))
                    records[record.video_id] = record
    except OSError as error:
        raise FormatError(f"{shown(path)} cannot be read ({shown(error.strerror)})") from error
    except MALFORMED as error:
        mend = "delete this line, and its video is done again, or " if number > 1 else ""
        raise FormatError(
            f"{shown(path)}, line {number}, cannot be read ({reason_of(error)}); {mend}`resume=False` does every video "
            "again"
        ) from error
    return ManifestContent(settings, records)


def _settings_of(entry: Any) -> dict[str, Any]:
    """Return the settings in the first line of a manifest; those that are read again are checked."""
    check_type("the first line", entry, dict)
    settings: dict[str, Any] = entry["settings"]
    check_type("settings", settings, dict)
    if "start_seconds" in settings:
        check_number("start_seconds", settings["start_seconds"], -LARGEST_SECONDS, LARGEST_SECONDS)
    return settings


class Manifest:
    """The manifest of one output folder, open for a run that adds to it.

    Attributes:
        out: The output folder.
        settings: The settings of the run, as JSON gives them back.
        records: The finished videos, by id.
    """

    def __init__(self, out: Path, settings: Mapping[str, Any], *, resume: bool) -> None:
        """Open the manifest in ``out``, or start one.

        Args:
            out: The output folder.
            settings: Everything that decides the results, as plain values.
            resume: Keep the videos that an earlier run finished. Without it, an existing manifest is replaced.

        Raises:
            ConfigError: The folder holds results of other settings; the message names both.
            FormatError: The manifest cannot be read.
        """
        self.out = out
        self.settings = json.loads(json.dumps(settings))
        existing = read_manifest(out) if resume else None
        self.records: dict[str, VideoRecord] = {} if existing is None else existing.records
        if existing is not None and existing.settings:
            refuse_other_settings(out, existing.settings, self.settings)
        lines = [json.dumps({"settings": self.settings}), *(json.dumps(asdict(r)) for r in self.records.values())]
        write_text_atomic(out / MANIFEST, "".join(f"{line}\n" for line in lines))

    def finished(self, source: SourceVideo) -> VideoRecord | None:
        """Return the record of a video that need not be annotated again.

        Args:
            source: The video.

        Returns:
            The record; None where the video is not recorded, its file has changed since, or an output is missing or
            cut.
        """
        record = self.records.get(source.video_id)
        if record is None or not all(is_whole_output(self.out / name) for name in record.outputs):
            return None
        size, modified = file_state(source.path)
        is_same_file = (record.source_bytes, record.source_modified) == (size, modified)
        return record if is_same_file and record.source == source.location else None

    def add(self, record: VideoRecord) -> None:
        """Append a finished video.

        Args:
            record: Its outcome. A failed one is not written, so that the next run tries the video again.
        """
        if record.status == "failed":
            return
        self.records[record.video_id] = record
        with (self.out / MANIFEST).open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(record)) + "\n")


def refuse_other_settings(out: object, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise where existing results were made with other settings.

    Args:
        out: Folder or address of the results, for the message.
        before: The settings of the existing results.
        now: The settings of this run.

    Raises:
        ConfigError: They differ; the message names each setting that does.
    """
    changed = "; ".join(
        f"{shown(name)} was {before.get(name)!r}, now {now.get(name)!r}"
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    )
    if changed:
        raise ConfigError(
            f"{out} holds results that were made with other settings ({changed}); choose another `out`, or "
            "`resume=False` to do every video again"
        )


def write_summary(out: Path, content: Mapping[str, Any]) -> None:
    """Write ``summary.json``, the outcome of a run for people and scripts, atomically.

    Args:
        out: The output folder.
        content: Plain values.
    """
    write_text_atomic(out / SUMMARY, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def read_summary(folder: Path) -> tuple[str, tuple[VideoRecord, ...]]:
    """Read the ``summary.json`` of an output folder.

    Args:
        folder: The output folder.

    Returns:
        The note of the run and the records of its videos; both empty where there is no summary.

    Raises:
        FormatError: The summary cannot be read.
    """
    path = folder / SUMMARY
    if not path.is_file():
        return "", ()
    number = 0
    try:
        content = parse_json(path.read_bytes())
        check_type("the summary", content, dict)
        note, videos = content.get("note", ""), content.get("videos", [])
        check_type("note", note, str)
        check_type("videos", videos, list)
        records = []
        for entry in videos:
            number += 1
            records.append(VideoRecord.from_json(entry))
    except OSError as error:
        raise FormatError(f"{shown(path)} cannot be read ({shown(error.strerror)})") from error
    except MALFORMED as error:
        where = f", entry {number} of its videos," if number else ""
        raise FormatError(
            f"{shown(path)}{where} cannot be read ({reason_of(error)}); delete the file, which only repeats the "
            "results, or annotate into this folder again"
        ) from error
    return note, tuple(records)


def file_state(path: Path | Address) -> tuple[int, float]:
    """Return size and time of the last change of a file, or of all files in a folder of extracted frames.

    Args:
        path: A local path, or an address.

    Returns:
        Bytes, and seconds since 1970; (0, 0) for a file that does not exist, or for an address.
    """
    if isinstance(path, Address):
        return 0, 0.0
    try:
        states = [path.stat()]
        if path.is_dir():
            with os.scandir(path) as entries:
                states += [entry.stat() for entry in entries]
    except OSError:
        return 0, 0.0
    return sum(state.st_size for state in states), max(state.st_mtime for state in states)
