"""Read a dataset of results: collect it into one csv, or report how far its runs have come."""

from __future__ import annotations

import csv
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ava_detect.errors import ConfigError, FormatError, shown
from ava_detect.formats.arrow_files import native_copy
from ava_detect.formats.ava_csv import ava_table_writer
from ava_detect.formats.json_values import LARGEST_SECONDS, MALFORMED, check_number, parse_json, reason_of
from ava_detect.formats.parquet_reader import iter_parquet
from ava_detect.results.dataset import RECORD_KEY, START_SECONDS_KEY, ResultsDataset, StoredVideo
from ava_detect.results.manifest import VideoRecord
from ava_detect.storage.addresses import address_of
from ava_detect.storage.file_names import safe_name
from ava_detect.storage.outputs import check_output, first_bytes

# Number of files that are prefetched, so that the latency of an object store is paid once and not for every video.
_READ_AHEAD = 8
# The rate of the last minutes predicts the remaining time better than that of the whole run.
_RATE_WINDOW_SECONDS = 600.0
# A shorter time than this gives no useful rate.
_MIN_RATE_SECONDS = 60.0
_MAX_PROBLEMS_SHOWN = 20
# A run updates its counters every few seconds; after so long without an update its process has died.
_SILENT_SECONDS = 120.0


@dataclass(frozen=True)
class Collected:
    """What a collected file holds.

    Attributes:
        videos: Number of videos.
        rows: Number of rows.
    """

    videos: int
    rows: int


@dataclass(frozen=True)
class RunStatus:
    """The last state of a run.

    Attributes:
        state: ``running``, ``finished``, ``interrupted``, ``failed``; or ``silent``, a running one without updates.
        seconds_ago: Time since its last update.
    """

    state: str
    seconds_ago: float


@dataclass(frozen=True)
class DatasetStatus:
    """How far the runs into a dataset have come.

    Attributes:
        num_done: Number of videos that have rows.
        num_damaged: Number of these whose rows are incomplete.
        num_broken: Number of files among the rows that are cut or no rows; their videos are not done.
        num_failed: Number of videos that have failed and have no rows.
        num_videos: Number of videos in all sources; None until a run has listed all of them.
        videos_per_minute: Rate of the last ten minutes; 0 where no video was done in them.
        seconds_left: Estimated time until all videos are done; None where it is unknown.
        runs: State of each run, the most recently updated at the end.
        problems: Reasons of the first 20 failed videos.
        broken: What is wrong with the first 20 broken files, a sentence each.
    """

    num_done: int
    num_damaged: int
    num_broken: int
    num_failed: int
    num_videos: int | None
    videos_per_minute: float
    seconds_left: float | None
    runs: tuple[RunStatus, ...]
    problems: tuple[str, ...]
    broken: tuple[str, ...]


def collect_csv(
    dataset: str | Path,
    out: str | Path,
    *,
    only: Sequence[str] | None = None,
    min_score: float = 0.0,
    overwrite: bool = True,
) -> Collected:
    """Write the results of all videos, or of some, into one AVA csv, atomically.

    Timestamps count from the start of the movie where the run knew it. Videos come in the order of their keys, which
    is the same every time.

    Args:
        dataset: Address or folder of the dataset.
        out: The csv; gzipped when its name ends in ``.gz``.
        only: Ids of the wanted videos; None for all.
        min_score: Rows with a lower score, 0..1, are left out.
        overwrite: Whether an existing ``out`` that holds something other than rows with scores is replaced.

    Returns:
        The numbers of videos and rows.

    Raises:
        ConfigError: There is no dataset, it has no video that is done, a wanted video is not in it, or ``out`` is
            another file already.
        FormatError: A file of the dataset cannot be read.
    """
    check_output(out, {"dataset": dataset}, is_own=_has_scores, overwrite=overwrite)
    num_videos = num_rows = 0
    with ava_table_writer(out) as write:
        for rows in iter_videos(open_dataset(dataset), only):
            for table in iter_parquet(rows.content, start_seconds=rows.start_seconds, name=rows.name):
                kept = table[table.scores >= min_score] if min_score else table
                write(kept)
                num_rows += len(kept)
            num_videos += 1
    return Collected(num_videos, num_rows)


def _has_scores(path: Path) -> bool:
    """Tell whether the first rows of a file are those of an AVA csv with scores, which have a decimal point."""
    rows = list(csv.reader(first_bytes(path).decode("utf-8", "replace").splitlines()))
    # The last row may be cut. Of a score, person ids have neither the point nor the exponent.
    return all(len(row) == 8 and row[6] and not row[7].isdecimal() for row in rows[: max(1, len(rows) - 1)])


def dataset_status(dataset: str | Path) -> DatasetStatus:
    """Report how far the runs into a dataset have come.

    Args:
        dataset: Address or folder of the dataset.

    Returns:
        The status, computed from the files of the dataset alone.

    Raises:
        ConfigError: There is no dataset.
        FormatError: A file of the dataset cannot be read.
    """
    results, now = open_dataset(dataset), time.time()
    num_done = num_damaged = num_broken = num_recent = 0
    broken: list[str] = []
    first_recent = now
    problem_keys = results.problem_keys()
    # A video that failed in one run and was done by another counts as done.
    failed = set(problem_keys["failed"])
    for video in results.stored_videos():
        if video.problem:
            num_broken += 1
            if len(broken) < _MAX_PROBLEMS_SHOWN:
                broken.append(_broken(video.path, video.problem))
            continue
        num_done += 1
        failed.discard(video.key)
        num_damaged += video.key in problem_keys["damaged"]
        if video.modified is not None and now - video.modified < _RATE_WINDOW_SECONDS:
            num_recent += 1
            first_recent = min(first_recent, video.modified)
    runs = results.progress()
    # The latest run that has listed all of its sources.
    totals = [run["videos"] for run in runs if run["videos"] is not None]
    num_videos = totals[-1] if totals else None
    per_minute = 60 * num_recent / max(_MIN_RATE_SECONDS, now - first_recent) if num_recent else 0.0
    seconds_left = None
    if num_videos is not None and per_minute:
        seconds_left = 60 * max(0, num_videos - num_done - len(failed)) / per_minute
    problems = [results.problem("failed", key) for key in sorted(failed)[:_MAX_PROBLEMS_SHOWN]]
    return DatasetStatus(
        num_done,
        num_damaged,
        num_broken,
        len(failed),
        num_videos,
        per_minute,
        seconds_left,
        tuple(_run_status(str(run["state"]), now - float(run["updated"])) for run in runs),
        tuple(shown(record.message) for record in problems if record is not None),
        tuple(broken),
    )


def _broken(path: str, problem: str) -> str:
    """Return a sentence on a file that is not the rows of a video."""
    return f"{shown(path)} is not the rows of a video ({problem}); delete it and annotate again"


def _run_status(state: str, seconds_ago: float) -> RunStatus:
    return RunStatus("silent" if state == "running" and seconds_ago > _SILENT_SECONDS else state, seconds_ago)


def open_dataset(dataset: str | Path) -> ResultsDataset:
    """Open a dataset for reading.

    Args:
        dataset: Address or folder of the dataset.

    Returns:
        The dataset.

    Raises:
        ConfigError: There is none.
        FormatError: Its ``run.json`` cannot be read.
    """
    results = ResultsDataset(address_of(dataset))
    if results.about() is None:
        raise ConfigError(
            f"{results.out} is no dataset of results, for it has no run.json; give the output folder of "
            "`ava-detect annotate`"
        )
    return results


@dataclass(frozen=True)
class VideoRows:
    """The rows of one video.

    Attributes:
        name: Path of the file, for messages.
        content: The open file.
        record: The record of the video.
        start_seconds: Start of the video in its movie, in seconds.
    """

    name: str
    content: pq.ParquetFile
    record: VideoRecord
    start_seconds: float

    @classmethod
    def read(cls, path: str, data: bytes) -> VideoRows:
        """Open the file of a video.

        Args:
            path: Its path.
            data: Its bytes.

        Returns:
            The rows.

        Raises:
            FormatError: The file is not Parquet, or has no record of its video.
        """
        try:
            content = pq.ParquetFile(native_copy(data))
            metadata = content.schema_arrow.metadata or {}
            record = VideoRecord.from_json(parse_json(metadata[RECORD_KEY.encode()]))
            start_seconds = float(metadata.get(START_SECONDS_KEY.encode(), b"0"))
            check_number("the start in the movie", start_seconds, -LARGEST_SECONDS, LARGEST_SECONDS)
        except (pa.ArrowException, OSError) as error:
            raise FormatError(_broken(path, f"no whole Parquet file: {shown(error)}")) from error
        except MALFORMED as error:
            raise FormatError(_broken(path, f"no record of its video: {reason_of(error)}")) from error
        return cls(path, content, record, start_seconds)


def iter_videos(
    results: ResultsDataset, only: Sequence[str] | None, *, may_be_none: bool = False
) -> Iterator[VideoRows]:
    """Read the videos of a dataset one after another, a few files ahead.

    Args:
        results: The dataset.
        only: Ids of the wanted videos; None for all. Only files whose names match a wanted id are read.
        may_be_none: Whether it is no error that a wanted video is not in the dataset, or that no video is done.

    Yields:
        The rows of each video.

    Raises:
        ConfigError: A wanted video is not in the dataset, or no video is done.
        FormatError: A file among the rows is cut, or something else.
    """
    missing = set(only or ())
    names = {safe_name(video_id) for video_id in missing}
    is_empty = True
    wanted = (
        video for video in results.stored_videos() if only is None or any(_has_name(video, name) for name in names)
    )
    for video, data in _read_ahead(results, wanted):
        rows = VideoRows.read(video.path, data)
        # Different ids may have the same safe name; the record has the id itself.
        if only is None or rows.record.video_id in only:
            missing.discard(rows.record.video_id)
            is_empty = False
            yield rows
    if may_be_none:
        return
    if missing:
        raise ConfigError(f"{results.out} holds no video called {', '.join(sorted(missing))}")
    if is_empty:
        raise ConfigError(f"{results.out} holds no video that is done yet; `ava-detect status` says more")


def _read_ahead(results: ResultsDataset, wanted: Iterable[StoredVideo]) -> Iterator[tuple[StoredVideo, bytes]]:
    """Yield the files of some videos in their order, with up to ``_READ_AHEAD`` reads at a time."""
    reading: deque[tuple[StoredVideo, Future[bytes]]] = deque()
    pool = ThreadPoolExecutor(_READ_AHEAD)
    try:
        for video in wanted:
            if video.problem:
                raise FormatError(_broken(video.path, video.problem))
            reading.append((video, pool.submit(results.read_rows, video)))
            if len(reading) >= _READ_AHEAD:
                first, data = reading.popleft()
                yield first, data.result()
        for video, data in reading:
            yield video, data.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _has_name(video: StoredVideo, name: str) -> bool:
    """Return whether a file is named NAME-KEY."""
    return video.path.rpartition("/")[2].startswith(f"{name}-{video.key}")
