"""A dataset of results, made into one file or looked at; only the dataset is read."""

from __future__ import annotations

import io
import json
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from ava_detect.errors import ConfigError, FormatError
from ava_detect.formats.ava_csv import ava_table_writer
from ava_detect.formats.parquet_reader import iter_parquet
from ava_detect.results.dataset import RECORD, START, ResultsDataset, StoredVideo, safe_name
from ava_detect.results.manifest import VideoRecord
from ava_detect.storage.addresses import address_of

# Files that are read ahead, so that a store's delay is waited for once and not for every video.
_READ_AHEAD = 8
# A rate of the last minutes says more about the rest than one of the whole run.
_LATE_SECONDS = 600.0
_MAX_PROBLEMS_SHOWN = 20
# Somebody who notes every few seconds and was not heard of for so long is no more.
_SILENT_SECONDS = 120.0


@dataclass(frozen=True)
class Collected:
    """What a file was made of."""

    videos: int
    rows: int


@dataclass(frozen=True)
class RunStatus:
    """What a run said last. ``state``: running, finished, interrupted, failed, or silent where it stopped saying so."""

    state: str
    seconds_ago: float


@dataclass(frozen=True)
class DatasetStatus:
    """How far a dataset is. ``num_videos``: of all sources, None until a run has seen their end.

    ``num_damaged`` are among the ``num_done``. ``problems``: the first reasons of those set aside.
    """

    num_done: int
    num_damaged: int
    num_failed: int
    num_videos: int | None
    videos_per_minute: float
    seconds_left: float | None
    runs: tuple[RunStatus, ...]
    problems: tuple[str, ...]


def collect_csv(
    dataset: str | Path, out: str | Path, *, only: Sequence[str] | None = None, min_score: float = 0.0
) -> Collected:
    """Write an AVA csv, atomically, of all videos or of those called ``only``; gzipped when its name ends in ``.gz``.

    Timestamps count from the start of the movie where the run knew it. Videos come in the order of their keys, which is
    the same every time. ``ConfigError`` where there is no dataset, or no such video.
    """
    videos = rows = 0
    with ava_table_writer(out) as write:
        for content, _ in iter_videos(open_dataset(dataset), only):
            start = float((content.schema_arrow.metadata or {}).get(START.encode(), b"0"))
            for table in iter_parquet(content, start_seconds=start):
                kept = table[table.scores >= min_score] if min_score else table
                write(kept)
                rows += len(kept)
            videos += 1
    return Collected(videos, rows)


def dataset_status(dataset: str | Path) -> DatasetStatus:
    """How far the runs into a dataset have come. ``ConfigError`` where there is none."""
    results, now = open_dataset(dataset), time.time()
    num_done = num_late = 0
    first = now
    keys = results.problem_keys()
    failed, damaged = set(keys["failed"]), 0
    for one in results.published():
        num_done += 1
        failed.discard(one.key)
        damaged += one.key in keys["damaged"]
        if one.modified is not None and now - one.modified < _LATE_SECONDS:
            num_late += 1
            first = min(first, one.modified)
    notes = results.progress()
    totals = [note["videos"] for note in notes if note["videos"] is not None]
    num_videos = totals[-1] if totals else None
    # Less than a minute is too short for a rate of anything.
    per_minute = 60 * num_late / max(60.0, now - first) if num_late else 0.0
    left = None
    if num_videos is not None and per_minute:
        left = 60 * max(0, num_videos - num_done - len(failed)) / per_minute
    shown = [results.problem("failed", key) for key in sorted(failed)[:_MAX_PROBLEMS_SHOWN]]
    return DatasetStatus(
        num_done,
        damaged,
        len(failed),
        num_videos,
        per_minute,
        left,
        tuple(_run_status(str(note["state"]), now - float(note["updated"])) for note in notes),
        tuple(record.message for record in shown if record is not None),
    )


def _run_status(state: str, seconds_ago: float) -> RunStatus:
    return RunStatus("silent" if state == "running" and seconds_ago > _SILENT_SECONDS else state, seconds_ago)


def open_dataset(dataset: str | Path) -> ResultsDataset:
    """The dataset at an address or in a folder; ``ConfigError`` where there is none."""
    results = ResultsDataset(address_of(dataset))
    if results.about() is None:
        raise ConfigError(f"{results.out} is no dataset of results; give the output folder of `ava-detect annotate`")
    return results


def iter_videos(results: ResultsDataset, only: Sequence[str] | None) -> Iterator[tuple[pq.ParquetFile, VideoRecord]]:
    """The rows and the record of each video. Of some videos only those files are read whose names may be theirs."""
    missing = set(only or ())
    names = {safe_name(video_id) for video_id in missing}
    empty = True
    wanted = (one for one in results.published() if only is None or any(_is_named(one, name) for name in names))
    for one, data in _read(results, wanted):
        content = pq.ParquetFile(io.BytesIO(data))
        try:
            record = VideoRecord.from_json(json.loads(content.schema_arrow.metadata[RECORD.encode()]))
        except (KeyError, TypeError, ValueError) as error:
            raise FormatError(
                f"{one.path} holds no record of its video; annotating with `resume=False` writes it anew"
            ) from error
        if only is None or record.video_id in only:
            missing.discard(record.video_id)
            empty = False
            yield content, record
    if missing:
        raise ConfigError(f"{results.out} holds no video called {', '.join(sorted(missing))}")
    if empty:
        raise ConfigError(f"{results.out} holds no video that is done yet; `ava-detect status` says more")


def _read(results: ResultsDataset, wanted: Iterable[StoredVideo]) -> Iterator[tuple[StoredVideo, bytes]]:
    """The files of some videos in their order, a few of them at a time."""
    reading: deque[tuple[StoredVideo, Future[bytes]]] = deque()
    pool = ThreadPoolExecutor(_READ_AHEAD)
    try:
        for one in wanted:
            reading.append((one, pool.submit(results.read_rows, one)))
            if len(reading) >= _READ_AHEAD:
                first, data = reading.popleft()
                yield first, data.result()
        for one, data in reading:
            yield one, data.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _is_named(one: StoredVideo, name: str) -> bool:
    return one.path.rpartition("/")[2].startswith(f"{name}-{one.key}")
