"""The results of many runs at one address: a Parquet dataset in a folder or bucket, each video written atomically.

Layout:

    OUT/run.json                               the settings that all results here were made with
    OUT/rows/shard=k3f/NAME-KEY.parquet         a video's rows, and its record in the file's metadata
    OUT/csv, jsonl, drawn/shard=k3f/NAME-KEY... other outputs, where asked for; written before the rows
    OUT/problems/failed-KEY.json               the record of a video without rows, with the reason
    OUT/problems/damaged-KEY.json              the record of a video whose rows are incomplete
    OUT/progress/RUN.json                      counters of a run, rewritten while it runs

KEY is a hash of the video (its id and its path or address) and of the settings. Processes that annotate the same video,
at the same time or one after another, therefore write the same bytes under the same name. A video is done when its
rows exist. They appear in one step: an object store shows an upload only when it is complete, other file systems
rename a temporary file.
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

from ava_detect.errors import ConfigError, FormatError, shown
from ava_detect.formats.json_values import (
    MALFORMED,
    check_type,
    parse_json,
    reason_of,
)
from ava_detect.results.manifest import VideoRecord, refuse_other_settings
from ava_detect.results.progress_note import ProgressNote
from ava_detect.results.whole_files import SMALLEST_PARQUET_BYTES, is_whole_output
from ava_detect.storage.addresses import Address, without_secrets
from ava_detect.storage.file_names import DRAWN_SUFFIX, safe_name
from ava_detect.storage.local_files import TEMPORARY_MARK
from ava_detect.storage.object_store import Store
from ava_detect.storage.retry import with_retries
from ava_detect.video.source_stream import modified_of
from ava_detect.video.sources import SourceVideo

# Keys of the metadata in a video's Parquet file: its record, and the start of the video in its movie in seconds.
RECORD_KEY, START_SECONDS_KEY = "ava_detect.record", "ava_detect.start_seconds"
_RUN_FILE, _ROWS, _PROBLEMS, _PROGRESS = "run.json", "rows", "problems", "progress"
_FOLDER_OF_SUFFIX = {"csv": "csv", "jsonl": "jsonl", DRAWN_SUFFIX: "drawn"}
_KEY_LENGTH, _SHARD_LENGTH = 20, 2
_NUM_LISTING_THREADS = 8
# The letter k: readers that guess the type of a partition would take 00 or 13 for a number.
_SHARD_PREFIX = "shard=k"
_STALE_SECONDS = 24 * 3600.0
# Of the year 2100, in seconds since 1970: beyond it lies no clock that is only set wrong.
_LATEST_SECONDS = 4.2e9
_KEY_OF_NAME = re.compile(r".*-(?P<key>[0-9a-f]{20})\.parquet", re.DOTALL)


@dataclass(frozen=True)
class StoredVideo:
    """A file among the rows, as a listing shows it: the rows of one video.

    Attributes:
        path: Path of the Parquet file on its file system.
        key: The video's key; empty where the name is not that of a video's rows.
        modified: Time of the last change, seconds since 1970; None where the store does not tell.
        problem: Why these are not the rows of a video, such as "it is cut"; empty where nothing speaks against it.
    """

    path: str
    key: str
    modified: float | None
    problem: str = ""


class FinishedVideos:
    """The keys of all videos that have rows, with the times of their writing: 12 bytes a video.

    A driver can hold millions of them.
    """

    def __init__(self, shards: Mapping[str, tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint32]]]) -> None:
        """Hold listings.

        Args:
            shards: For each shard's letters the first 64 bits of its keys, uint64 ``[N]`` ascending, and the times of
                writing, uint32 ``[N]``, seconds since 1970.
        """
        self._shards = shards

    def __len__(self) -> int:
        return sum(len(keys) for keys, _ in self._shards.values())

    def stored_at(self, key: str) -> float | None:
        """Return when the rows of a video were written.

        Args:
            key: The video's key.

        Returns:
            Whole seconds since 1970; None where the video has no rows.
        """
        keys, modified = self._shards.get(key[:_SHARD_LENGTH], (np.zeros(0, np.uint64), np.zeros(0, np.uint32)))
        number = _number_of_key(key)
        index = int(np.searchsorted(keys, number))
        return float(modified[index]) if index < len(keys) and keys[index] == number else None


def dataset_folders(results: str | Path) -> list[str]:
    """Return the folders that a dataset consists of, in which nothing else is written.

    Args:
        results: Address or folder of the dataset.

    Returns:
        The dataset itself and its folders, whether or not they exist.
    """
    root = str(results).rstrip("/")
    return [str(results), *(f"{root}/{name}" for name in (_ROWS, _PROBLEMS, _PROGRESS))]


@dataclass(frozen=True)
class ResultsDataset:
    """The results at one address, made with one set of settings.

    It can be pickled and sent to other machines: it opens its connection when it is first used.

    Attributes:
        out: Folder or bucket address of the dataset.
        digest: Hash of the settings; empty where the dataset is only read.
    """

    out: Address
    digest: str = ""

    @classmethod
    def begin(
        cls, out: Address, settings: Mapping[str, Any], about: Mapping[str, Any], *, resume: bool
    ) -> ResultsDataset:
        """Create the dataset, or open an existing one that has the same settings.

        Args:
            out: Folder or bucket address of the dataset.
            settings: Everything that decides the results, as plain values.
            about: Further entries of ``run.json``, such as versions.
            resume: Keep existing results. Without it they are removed first.

        Returns:
            The dataset, ready to be written to.

        Raises:
            ConfigError: The address holds results of other settings (the message names both), or cannot be written to.
            FormatError: Its ``run.json`` cannot be read.
        """
        settings = json.loads(json.dumps(settings))
        dataset = cls(out)
        try:
            if not resume:
                dataset.remove_all()
            existing: Mapping[str, Any] | None = dataset.settings()
            if existing is None:
                content = json.dumps({"settings": settings, **about}, indent=2, ensure_ascii=False)
                dataset._store.create(_RUN_FILE, content.encode(errors="backslashreplace"))
                # Another run may have created the file first: read back which settings it has.
                existing = dataset.settings() or settings
        except (OSError, NotImplementedError) as error:
            reason = without_secrets(str(error)) or type(error).__name__
            raise ConfigError(f"`out` {out} cannot be written to ({reason}); choose another address") from None
        refuse_other_settings(out, existing, settings)
        return cls(out, hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest())

    @cached_property
    def _store(self) -> Store:
        return Store(self.out)

    def about(self) -> dict[str, Any] | None:
        """Read ``run.json``.

        Returns:
            Its content, with at least ``settings``; None where there is no such file.

        Raises:
            FormatError: It cannot be read.
        """
        data = self._store.read(_RUN_FILE)
        if data is None:
            return None
        try:
            about: dict[str, Any] = parse_json(data)
            check_type("the record of a run", about, dict)
            check_type("settings", about["settings"], dict)
        except MALFORMED as error:
            raise FormatError(
                f"{self.out / _RUN_FILE} is no record of a run ({reason_of(error)}); choose another `out`"
            ) from error
        return about

    def settings(self) -> dict[str, Any] | None:
        """Read the settings of the existing results.

        Returns:
            The settings; None where there is no dataset.

        Raises:
            FormatError: ``run.json`` cannot be read.
        """
        about = self.about()
        return None if about is None else dict(about["settings"])

    def key(self, source: SourceVideo) -> str:
        """Compute the key of a video's results.

        Args:
            source: The video.

        Returns:
            20 hexadecimal digits, the same on every machine for the same video and settings.
        """
        location = source.path.identity if isinstance(source.path, Address) else source.location
        identity = [self.digest, source.video_id, location, source.start_seconds]
        return hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:_KEY_LENGTH]

    def has_video(self, source: SourceVideo) -> bool:
        """Return whether a video is done.

        Args:
            source: The video.

        Returns:
            True where its rows exist and, on this machine, are whole.
        """
        name = self._name(_ROWS, source, "parquet")
        if self._is_local:
            return is_whole_output(Path(self._store.connection[1], name))
        return self._store.exists(name)

    def put_video(self, source: SourceVideo, outputs: Mapping[str, Path], record: VideoRecord) -> None:
        """Store the files of a video; the last step, which writes its rows atomically, makes the video done.

        Args:
            source: The video.
            outputs: Local files by suffix (``parquet``, ``csv``, ``jsonl``, ``annotated.mp4``). ``parquet``, the rows,
                is required.
            record: The outcome of the video; a damaged one is stored among the problems, too.
        """
        key = self.key(source)
        for suffix, path in outputs.items():
            if suffix != "parquet":
                self._store.put_file(path, self._name(_FOLDER_OF_SUFFIX[suffix], source, suffix))
        if record.status == "damaged":
            self._store.write(f"{_PROBLEMS}/damaged-{key}.json", _to_bytes(record))
        else:
            self._store.remove(f"{_PROBLEMS}/damaged-{key}.json")
        self._store.put_file(outputs["parquet"], self._name(_ROWS, source, "parquet"))
        self._store.remove(f"{_PROBLEMS}/failed-{key}.json")

    def put_failure(self, source: SourceVideo, record: VideoRecord) -> None:
        """Store the record of a video that has no rows.

        Args:
            source: The video.
            record: Its outcome, with the reason.
        """
        self._store.write(f"{_PROBLEMS}/failed-{self.key(source)}.json", _to_bytes(record))

    def put_progress(self, run: str, note: ProgressNote) -> None:
        """Store the progress of a run, replacing its earlier one.

        Args:
            run: Id of the run, the name of its file.
            note: How far it has come.
        """
        self._store.write(f"{_PROGRESS}/{run}.json", note.to_json())

    def progress(self) -> list[ProgressNote]:
        """Read the progress of all runs.

        Returns:
            The last note of each run, the most recently updated run at the end.

        Raises:
            FormatError: A note cannot be read.
        """
        # A file that another process removes after the listing reads as None.
        found = [
            ProgressNote.from_json(data, self.out / _PROGRESS / name)
            for name in self._store.names(_PROGRESS)
            if (data := self._store.read(f"{_PROGRESS}/{name}"))
        ]
        return sorted(found, key=lambda note: note.updated)

    def stored_videos(self) -> Iterator[StoredVideo]:
        """List the videos that are done, and the files that lie among their rows without being any.

        Yields:
            Each file, shard by shard in the order of their letters, in a shard by file name.
        """
        for shard in self._shards():
            yield from self._files_in_shard(shard)

    def finished(self) -> FinishedVideos:
        """List the keys of all videos that are done; shards are listed in parallel.

        Returns:
            The keys with the times of writing.
        """

        def list_shard(shard: str) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint32]]:
            videos = [video for video in self._files_in_shard(shard) if not video.problem]
            keys = np.array([_number_of_key(video.key) for video in videos], np.uint64)
            order = np.argsort(keys)
            # A clock that is set wrong must not overflow.
            times = [min(max(video.modified or 0, 0), _LATEST_SECONDS) for video in videos]
            return keys[order], np.array(times).astype(np.uint32)[order]

        shards = self._shards()
        with ThreadPoolExecutor(_NUM_LISTING_THREADS) as pool:
            return FinishedVideos(dict(zip(shards, pool.map(list_shard, shards), strict=True)))

    def problem_keys(self) -> dict[str, set[str]]:
        """List the videos that have a record among the problems.

        Returns:
            Their keys, under ``failed`` and ``damaged``.
        """
        found: dict[str, set[str]] = {"failed": set(), "damaged": set()}
        for name in self._store.names(_PROBLEMS):
            status, _, key = name.removesuffix(".json").partition("-")
            found.setdefault(status, set()).add(key)
        return found

    def problem(self, status: str, key: str) -> VideoRecord | None:
        """Read the record of a video among the problems.

        Args:
            status: ``failed`` or ``damaged``.
            key: The video's key.

        Returns:
            The record; None where there is none.

        Raises:
            FormatError: The record cannot be read.
        """
        name = f"{_PROBLEMS}/{status}-{key}.json"
        data = self._store.read(name)
        if data is None:
            return None
        try:
            return VideoRecord.from_json(parse_json(data))
        except MALFORMED as error:
            raise FormatError(
                f"{shown(self.out / name)} is no record of a video ({reason_of(error)}); delete it: it only tells what "
                "became of that video"
            ) from error

    def read_rows(self, video: StoredVideo) -> bytes:
        """Read the Parquet file of a video.

        Args:
            video: One of ``stored_videos``.

        Returns:
            The file's bytes.
        """
        files, _ = self._store.connection
        data: bytes = with_retries(lambda: files.cat_file(video.path), self.out)
        return data

    def remove_all(self) -> None:
        """Remove all files of this dataset, and no others.

        ``run.json`` is removed last, so that an interrupted call can be repeated; without it nothing is removed.
        """
        if self.about() is None:
            return
        files, _ = self._store.connection
        for folder in (_ROWS, *_FOLDER_OF_SUFFIX.values()):
            for info in self._store.list_infos(folder):
                if PurePosixPath(str(info["name"]).rstrip("/")).name.startswith(_SHARD_PREFIX):
                    with_retries(lambda: files.rm(str(info["name"]), recursive=True), self.out)  # noqa: B023
        for folder in (_PROBLEMS, _PROGRESS):
            for name in self._store.names(folder):
                self._store.remove(f"{folder}/{name}")
        self._store.remove(_RUN_FILE)

    def _name(self, folder: str, source: SourceVideo, suffix: str) -> str:
        key = self.key(source)
        return f"{folder}/{_SHARD_PREFIX}{key[:_SHARD_LENGTH]}/{safe_name(source.video_id)}-{key}.{suffix}"

    def _shards(self) -> list[str]:
        """Return the letters of all shards that have rows, sorted."""
        names = self._store.names(_ROWS)
        return sorted(name.removeprefix(_SHARD_PREFIX) for name in names if name.startswith(_SHARD_PREFIX))

    def _files_in_shard(self, shard: str) -> Iterator[StoredVideo]:
        for info in self._store.list_infos(f"{_ROWS}/{_SHARD_PREFIX}{shard}"):
            path, modified = str(info["name"]), modified_of(info)
            name = PurePosixPath(path).name
            if name.startswith(TEMPORARY_MARK):
                self._remove_if_stale(path, modified)
            elif name.endswith(".parquet"):
                match = _KEY_OF_NAME.fullmatch(name)
                key = match["key"] if match and match["key"].startswith(shard) else ""
                yield StoredVideo(path, key, modified, self._problem_of_rows(path, key, info))

    def _problem_of_rows(self, path: str, key: str, info: Mapping[str, Any]) -> str:
        """Return why a file is not the rows of a video; an object store, which shows whole files only, is not read."""
        if not key:
            return "its name is not that of a video's rows"
        if info.get("size") is not None and info["size"] < SMALLEST_PARQUET_BYTES:
            return "it is cut"
        return "it is cut, or no Parquet file" if self._is_local and not is_whole_output(Path(path)) else ""

    @property
    def _is_local(self) -> bool:
        return self.out.url.lower().startswith("file:")

    def _remove_if_stale(self, path: str, modified: float | None) -> None:
        """Remove a temporary file whose writer must have died; on another machine only the file's age can tell."""
        files, _ = self._store.connection
        if modified is not None and time.time() - modified > _STALE_SECONDS:
            with suppress(FileNotFoundError):
                files.rm_file(path)


def _number_of_key(key: str) -> np.uint64:
    """Return the first 64 bits of a key."""
    return np.uint64(int(key[:16], 16))


def _to_bytes(record: VideoRecord) -> bytes:
    return json.dumps(asdict(record), ensure_ascii=False).encode(errors="backslashreplace")
