"""Collect the results of many videos, of a folder or a dataset, into one csv; read a dataset video by video."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from ava_detect.errors import ConfigError, FormatError, shown
from ava_detect.formats.arrow_files import READ_ERRORS, native_copy
from ava_detect.formats.ava_csv import ava_table_writer
from ava_detect.formats.ava_csv_reader import iter_ava_csv
from ava_detect.formats.ava_table import AvaTable
from ava_detect.formats.json_values import LARGEST_SECONDS, MALFORMED, check_number, parse_json, reason_of
from ava_detect.formats.jsonl import read_jsonl
from ava_detect.formats.parquet_reader import iter_parquet
from ava_detect.results.dataset import RECORD_KEY, START_SECONDS_KEY, ResultsDataset, StoredVideo
from ava_detect.results.manifest import VideoRecord
from ava_detect.results.results_file import name_actions, open_results
from ava_detect.results.saved_run import SavedRun, open_run
from ava_detect.results.whole_files import is_whole_output
from ava_detect.storage.addresses import address_of, is_address
from ava_detect.storage.file_names import safe_name
from ava_detect.storage.outputs import check_output, first_bytes
from ava_detect.structures.progress import OnProgress, Progress

# Number of files that are prefetched, so that the latency of an object store is paid once and not for every video.
_READ_AHEAD = 8


@dataclass(frozen=True)
class Collected:
    """What a collected file holds.

    Attributes:
        videos: Number of videos.
        rows: Number of rows.
    """

    videos: int
    rows: int


def collect_csv(
    results: str | Path,
    out: str | Path,
    *,
    only: Sequence[str] | None = None,
    min_score: float = 0.0,
    overwrite: bool = True,
    on_progress: OnProgress | None = None,
) -> Collected:
    """Write the results of all videos, or of some, into one AVA csv, atomically.

    Timestamps count from the start of the movie where the run knew it. The videos of a dataset come in the order of
    their keys, those of a folder in the order in which they were done.

    Args:
        results: Address or folder of a dataset, the output folder of a run, or another folder of results files.
        out: The csv; gzipped when its name ends in ``.gz``.
        only: Ids of the wanted videos; None for all.
        min_score: Rows with a lower score, 0..1, are left out.
        overwrite: Whether an existing ``out`` that holds something other than rows with scores is replaced.
        on_progress: Told of each video.

    Returns:
        The numbers of videos and rows.

    Raises:
        ConfigError: There are no results, no video is done, a wanted video is not among them, or ``out`` is another
            file already.
        FormatError: A file cannot be read.
    """
    check_output(out, {"results": results}, is_own=_has_scores, overwrite=overwrite)
    num_rows, video_ids = 0, set[str]()
    with ava_table_writer(out) as write:
        for video_id, table in iter_tables(results, only):
            if on_progress is not None and video_id not in video_ids:
                on_progress(Progress("videos", len(video_ids), None, video_id))
            video_ids.add(video_id)
            kept = table[table.scores >= min_score] if min_score else table
            write(kept)
            num_rows += len(kept)
    return Collected(len(video_ids), num_rows)


def iter_tables(results: str | Path, only: Sequence[str] | None) -> Iterator[tuple[str, AvaTable]]:
    """Read the rows of saved results in pieces, video by video; timestamps count from the start of the movie.

    Args:
        results: A dataset, or on this machine the output folder of a run, another folder of results files, or one file.
        only: Ids of the wanted videos; None for all.

    Yields:
        The id of a video, and rows of it; a video without rows has one empty piece.

    Raises:
        ConfigError: There are no results, or a wanted video is not among them.
        FormatError: A file cannot be read.
    """
    if is_address(results) or is_dataset(results):
        for rows in iter_videos(open_dataset(results), only):
            yield rows.record.video_id, AvaTable.empty()
            for table in iter_parquet(rows.content, start_seconds=rows.start_seconds, name=rows.name):
                yield rows.record.video_id, table
        return
    run = open_run(Path(results), allow_empty=True)
    missing = set(only or ())
    for video in run.videos:
        if video.file is not None and (only is None or video.video_id in only):
            missing.discard(video.video_id)
            yield video.video_id, AvaTable.empty()
            for table in _tables_of_file(video.file, video.video_id, run):
                yield video.video_id, table
    if missing:
        raise ConfigError(f"{shown(results)} holds no video called {', '.join(map(shown, sorted(missing)))}")


def _tables_of_file(file: Path, video_id: str, run: SavedRun) -> Iterator[AvaTable]:
    """The rows of one video, from the file beside ``file`` that needs the least conversion."""
    stem = file.name.removesuffix(file.suffix)
    parquet, text = (file.with_name(f"{stem}{suffix}") for suffix in (".parquet", ".csv"))
    if is_whole_output(parquet):
        tables = iter_parquet(parquet, start_seconds=run.start_seconds(None))
    elif is_whole_output(text):
        tables = iter_ava_csv(text)
    else:
        tables = _tables_of_json_lines(file, run)
    for table in tables:
        own = table.only_videos([video_id])
        if len(own):
            yield own


def _tables_of_json_lines(file: Path, run: SavedRun) -> Iterator[AvaTable]:
    """The rows of a file that lists, for each person, the actions with at least the run's ``min_score``."""
    label_map, _ = name_actions(open_results(file).action_names, None)
    min_score = run.settings.get("min_score")
    for keyframe in read_jsonl(file, label_map):
        table = AvaTable.from_detections([keyframe], start_seconds=run.start_seconds(None))
        # Actions that are not listed read as 0.
        yield table[table.scores > 0 if min_score is None else table.scores >= min_score]


def _has_scores(path: Path) -> bool:
    """Tell whether the first rows of a file are those of an AVA csv with scores, which have a decimal point."""
    rows = list(csv.reader(first_bytes(path).decode("utf-8", "replace").splitlines()))
    # The last row may be cut. Of a score, person ids have neither the point nor the exponent.
    return all(len(row) == 8 and row[6] and not row[7].isdecimal() for row in rows[: max(1, len(rows) - 1)])


def not_rows(path: str, problem: str) -> str:
    """Return a sentence on a file that is not the rows of a video.

    Args:
        path: Its path.
        problem: What is wrong with it.

    Returns:
        The sentence, with what to do.
    """
    return f"{shown(path)} is not the rows of a video ({problem}); delete it and annotate again"


def is_dataset(results: str | Path) -> bool:
    """Tell whether a folder or an address holds a dataset of results.

    Args:
        results: The folder or the address.

    Returns:
        True if it is one.
    """
    return ResultsDataset(address_of(results)).about() is not None


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
        except READ_ERRORS as error:
            raise FormatError(not_rows(path, f"no whole Parquet file: {shown(error)}")) from error
        except MALFORMED as error:
            raise FormatError(not_rows(path, f"no record of its video: {reason_of(error)}")) from error
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
                raise FormatError(not_rows(video.path, video.problem))
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
