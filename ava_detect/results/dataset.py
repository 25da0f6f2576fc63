"""Results of many runs in one place, here or in a bucket: a Parquet dataset in which every video appears whole or not.

    OUT/run.json                               the settings that all results here were made with
    OUT/rows/shard=k3f/NAME-KEY.parquet         a video's rows, and its record in the file's metadata
    OUT/csv, jsonl, drawn/shard=k3f/NAME-KEY... where asked for, put there before the rows
    OUT/problems/failed-KEY.json               a video that was set aside, with its reason
    OUT/problems/damaged-KEY.json              a video whose rows are not all that it promised
    OUT/progress/RUN.json                      how far a run has come, written as it goes

KEY is made of the video (its id and where it is) and of the settings, so whoever works on a video, however often and
at the same time as whoever else, writes the same bytes under the same name. A video is done when its rows are there:
they appear in one step, which object stores have by nature and other file systems by renaming.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from ava_detect.errors import ConfigError, FormatError
from ava_detect.results.manifest import VideoRecord, refuse_other_settings
from ava_detect.storage.addresses import Address, without_secrets
from ava_detect.storage.local_files import TEMPORARY_MARK
from ava_detect.storage.object_store import Store
from ava_detect.storage.retry import with_retries
from ava_detect.video.source_stream import modified_of
from ava_detect.video.sources import SourceVideo

# What the metadata of a video's Parquet file holds beside the schema.
RECORD, START = "ava_detect.record", "ava_detect.start_seconds"
RUN, ROWS, PROBLEMS, PROGRESS = "run.json", "rows", "problems", "progress"
_BESIDE = {"csv": "csv", "jsonl": "jsonl", "annotated.mp4": "drawn"}
_KEY_LETTERS, _SHARD_LETTERS, _NAME_LETTERS = 20, 2, 60
_LISTERS = 8
# The letter keeps readers that guess a partition's type from taking 00 or 13 for a number.
_SHARD = "shard=k"
_STALE_SECONDS = 24 * 3600.0


@dataclass(frozen=True)
class StoredVideo:
    """One video's rows, as a listing shows them. ``modified``: seconds since 1970."""

    path: str
    key: str
    modified: float | None


class FinishedVideos:
    """Which keys have rows, and since when: 12 bytes a video, so that millions fit into any driver."""

    def __init__(self, shards: Mapping[str, tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint32]]]) -> None:
        self._shards = shards

    def __len__(self) -> int:
        return sum(len(keys) for keys, _ in self._shards.values())

    def since(self, key: str) -> float | None:
        """When the rows of ``key`` were published, in whole seconds since 1970; None: they are not there."""
        keys, modified = self._shards.get(key[:_SHARD_LETTERS], (np.zeros(0, np.uint64), np.zeros(0, np.uint32)))
        place = int(np.searchsorted(keys, _number(key)))
        return float(modified[place]) if place < len(keys) and keys[place] == _number(key) else None


@dataclass(frozen=True)
class ResultsDataset:
    """The results at one address, of one set of settings. It travels to other machines: it holds no connection.

    ``digest``: of the settings; "" for looking on only.
    """

    out: Address
    digest: str = ""

    @classmethod
    def begin(
        cls, out: Address, settings: Mapping[str, Any], about: Mapping[str, Any], *, resume: bool
    ) -> ResultsDataset:
        """Make ``out`` the place of results with these settings. ``about``: what else ``run.json`` is to say.

        ``ConfigError`` names both where it holds results of other settings; without ``resume`` those are removed.
        """
        settings = json.loads(json.dumps(settings))
        looking = cls(out)
        try:
            if not resume:
                looking.remove_all()
            before: Mapping[str, Any] | None = looking.settings()
            if before is None:
                content = json.dumps({"settings": settings, **about}, indent=2, ensure_ascii=False)
                looking._store.create(RUN, content.encode())
                # Another run may have been faster: what stands there now counts.
                before = looking.settings() or settings
        except (OSError, NotImplementedError) as error:
            reason = without_secrets(str(error)) or type(error).__name__
            raise ConfigError(f"`out` {out} cannot be written to ({reason}); choose another place") from None
        refuse_other_settings(out, before, settings)
        return cls(out, hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest())

    @cached_property
    def _store(self) -> Store:
        return Store(self.out)

    def about(self) -> dict[str, Any] | None:
        """What ``run.json`` says; None where there is none. ``FormatError`` where it cannot be read."""
        data = self._store.read(RUN)
        if data is None:
            return None
        try:
            about: dict[str, Any] = json.loads(data)
            about["settings"]
        except (ValueError, KeyError, TypeError) as error:
            raise FormatError(f"{self.out / RUN} is no record of a run ({error}); choose another `out`") from error
        return about

    def settings(self) -> dict[str, Any] | None:
        """The settings of the results that are there; None where there are none."""
        about = self.about()
        return None if about is None else dict(about["settings"])

    def key(self, source: SourceVideo) -> str:
        """What the results of a video are called: the same whenever and wherever the same is asked for."""
        place = source.path.identity if isinstance(source.path, Address) else source.place
        what = [self.digest, source.video_id, place, source.start_seconds]
        return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:_KEY_LETTERS]

    def has_video(self, source: SourceVideo) -> bool:
        """Whether the rows of a video are there."""
        return self._store.is_there(self._name(ROWS, source, "parquet"))

    def publish(self, source: SourceVideo, outputs: Mapping[str, Path], record: VideoRecord) -> None:
        """Put a video's files in place, its rows (``outputs["parquet"]``) last, in one step that makes it done."""
        key = self.key(source)
        for suffix, path in outputs.items():
            if suffix != "parquet":
                self._store.put_file(path, self._name(_BESIDE[suffix], source, suffix))
        if record.status == "damaged":
            self._store.write(f"{PROBLEMS}/damaged-{key}.json", _json(record))
        else:
            self._store.remove(f"{PROBLEMS}/damaged-{key}.json")
        self._store.put_file(outputs["parquet"], self._name(ROWS, source, "parquet"))
        self._store.remove(f"{PROBLEMS}/failed-{key}.json")

    def put_failure(self, source: SourceVideo, record: VideoRecord) -> None:
        """Note a video that has no rows, with its reason."""
        self._store.write(f"{PROBLEMS}/failed-{self.key(source)}.json", _json(record))

    def put_progress(self, run: str, content: Mapping[str, Any]) -> None:
        """Say how far a run has come."""
        self._store.write(f"{PROGRESS}/{run}.json", json.dumps(content).encode())

    def progress(self) -> list[dict[str, Any]]:
        """What each run said last, the latest run at the end."""
        notes = [self._store.read(f"{PROGRESS}/{name}") for name in self._store.names(PROGRESS)]
        return sorted((json.loads(note) for note in notes if note), key=lambda note: note["updated"])

    def published(self) -> Iterator[StoredVideo]:
        """The rows of every video that is done, shard by shard, by name."""
        for shard in self._shards():
            yield from self._videos_in_shard(shard)

    def finished(self) -> FinishedVideos:
        """The keys of all videos that are done."""

        def index(shard: str) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint32]]:
            found = list(self._videos_in_shard(shard))
            keys = np.array([_number(one.key) for one in found], np.uint64)
            order = np.argsort(keys)
            return keys[order], np.array([one.modified or 0 for one in found], np.uint32)[order]

        shards = self._shards()
        with ThreadPoolExecutor(_LISTERS) as pool:
            return FinishedVideos(dict(zip(shards, pool.map(index, shards), strict=True)))

    def problem_keys(self) -> dict[str, set[str]]:
        """``failed`` and ``damaged`` -> the keys of such videos, as noted."""
        found: dict[str, set[str]] = {"failed": set(), "damaged": set()}
        for name in self._store.names(PROBLEMS):
            status, _, key = name.removesuffix(".json").partition("-")
            found.setdefault(status, set()).add(key)
        return found

    def problem(self, status: str, key: str) -> VideoRecord | None:
        """What was noted of a video."""
        data = self._store.read(f"{PROBLEMS}/{status}-{key}.json")
        return None if data is None else VideoRecord.from_json(json.loads(data))

    def read_rows(self, one: StoredVideo) -> bytes:
        """The Parquet file of a video."""
        files, _ = self._store.place
        data: bytes = with_retries(lambda: files.cat_file(one.path), self.out)
        return data

    def remove_all(self) -> None:
        """Remove what this package wrote here, and nothing else; the settings last."""
        if self.about() is None:
            return
        files, _ = self._store.place
        for folder in (ROWS, *_BESIDE.values()):
            for info in self._store.infos(folder):
                if PurePosixPath(str(info["name"]).rstrip("/")).name.startswith(_SHARD):
                    with_retries(lambda: files.rm(str(info["name"]), recursive=True), self.out)  # noqa: B023
        for folder in (PROBLEMS, PROGRESS):
            for name in self._store.names(folder):
                self._store.remove(f"{folder}/{name}")
        self._store.remove(RUN)

    def _name(self, folder: str, source: SourceVideo, suffix: str) -> str:
        key = self.key(source)
        return f"{folder}/{_SHARD}{key[:_SHARD_LETTERS]}/{safe_name(source.video_id)}-{key}.{suffix}"

    def _shards(self) -> list[str]:
        return sorted(name.removeprefix(_SHARD) for name in self._store.names(ROWS) if name.startswith(_SHARD))

    def _videos_in_shard(self, shard: str) -> Iterator[StoredVideo]:
        for info in self._store.infos(f"{ROWS}/{_SHARD}{shard}"):
            path, modified = str(info["name"]), modified_of(info)
            name = PurePosixPath(path).name
            if name.startswith(TEMPORARY_MARK):
                self._remove_if_stale(path, modified)
            elif name.endswith(".parquet"):
                yield StoredVideo(path, name.removesuffix(".parquet")[-_KEY_LETTERS:], modified)

    def _remove_if_stale(self, path: str, modified: float | None) -> None:
        """What somebody was writing who is no more; whether that is so, only its age can tell."""
        files, _ = self._store.place
        if modified is not None and time.time() - modified > _STALE_SECONDS:
            with suppress(FileNotFoundError):
                files.rm_file(path)


def safe_name(video_id: str) -> str:
    """The part of an id that any file system and any tool takes in a file's name; ids that differ may share it."""
    plain = re.sub(r"[^A-Za-z0-9.-]+", "_", video_id)
    # Spark and others take names that begin with "_" or "." for hidden.
    return plain.strip("._-")[:_NAME_LETTERS].rstrip("._-") or "video"


def _number(key: str) -> np.uint64:
    return np.uint64(int(key[:16], 16))


def _json(record: VideoRecord) -> bytes:
    return json.dumps(asdict(record), ensure_ascii=False).encode()
