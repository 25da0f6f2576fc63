"""How far runs have come, into a dataset or into an ordinary folder: from what lies there, while they work or later."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from ava_detect.errors import shown
from ava_detect.results.collect import is_dataset, not_rows, open_dataset
from ava_detect.results.manifest import SUMMARY, VideoRecord, read_manifest, read_summary
from ava_detect.results.progress_note import ProgressNote, read_progress_note
from ava_detect.results.saved_run import open_run
from ava_detect.results.whole_files import is_whole_output
from ava_detect.storage.addresses import is_address

# The rate of the last minutes predicts the remaining time better than that of the whole run.
_RATE_WINDOW_SECONDS = 600.0
# A shorter time than this gives no useful rate.
_MIN_RATE_SECONDS = 60.0
_MAX_PROBLEMS_SHOWN = 20
# A run updates its counters every few seconds; after so long without an update its process has died.
_SILENT_SECONDS = 120.0


@dataclass(frozen=True)
class RunStatus:
    """The last state of a run.

    Attributes:
        state: ``running``, ``finished``, ``interrupted``, ``failed``; or ``silent``, a running one without updates, or
            whose process is gone.
        seconds_ago: Time since its last update.
    """

    state: str
    seconds_ago: float


@dataclass(frozen=True)
class ResultsStatus:
    """How far the runs into a dataset or a folder have come.

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


def results_status(results: str | Path) -> ResultsStatus:
    """Report how far the runs into a dataset or a folder have come.

    Args:
        results: Address or folder of a dataset, or the output folder of a run.

    Returns:
        The status, computed from the files alone.

    Raises:
        ConfigError: There is no dataset at the address.
        FormatError: There are no results in the folder, or a file cannot be read.
    """
    if is_address(results) or is_dataset(results):
        return _dataset_status(results)
    return _folder_status(Path(results))


def _dataset_status(dataset: str | Path) -> ResultsStatus:
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
                broken.append(not_rows(video.path, video.problem))
            continue
        num_done += 1
        failed.discard(video.key)
        num_damaged += video.key in problem_keys["damaged"]
        if video.modified is not None and now - video.modified < _RATE_WINDOW_SECONDS:
            num_recent += 1
            first_recent = min(first_recent, video.modified)
    runs = results.progress()
    # The latest run that has listed all of its sources.
    totals = [run.videos for run in runs if run.videos is not None]
    num_videos = totals[-1] if totals else None
    per_minute = 60 * num_recent / max(_MIN_RATE_SECONDS, now - first_recent) if num_recent else 0.0
    seconds_left = None
    if num_videos is not None and per_minute:
        seconds_left = 60 * max(0, num_videos - num_done - len(failed)) / per_minute
    problems = [results.problem("failed", key) for key in sorted(failed)[:_MAX_PROBLEMS_SHOWN]]
    return ResultsStatus(
        num_done,
        num_damaged,
        num_broken,
        len(failed),
        num_videos,
        per_minute,
        seconds_left,
        tuple(_run_status(run, now) for run in runs),
        tuple(shown(record.message) for record in problems if record is not None),
        tuple(broken),
    )


def _folder_status(folder: Path) -> ResultsStatus:
    """Of the output folder of a run: the manifest has what is done, the note of a run that has not ended the rest."""
    now = time.time()
    note, manifest = read_progress_note(folder), read_manifest(folder)
    if manifest is None and note is None:
        # Files of results alone, of another program or an earlier version.
        videos = open_run(folder, allow_empty=True).videos
        return ResultsStatus(len(videos), 0, 0, 0, None, 0.0, None, (), (), ())
    done: list[VideoRecord] = []
    broken: list[str] = []
    for record in {} if manifest is None else manifest.records.values():
        lost = [name for name in record.outputs if not is_whole_output(folder / name)]
        if lost:
            broken.append(
                f"{shown(folder / lost[0])} is missing or cut; the same `annotate` command does its video again"
            )
        else:
            done.append(record)
    _, summary = read_summary(folder)
    num_videos: int | None
    runs: tuple[RunStatus, ...]
    if note is not None:
        num_videos, problems, runs = note.videos, note.problems, (_run_status(note, now),)
        num_failed = note.failed
    else:
        failed = [record for record in summary if record.status == "failed"]
        num_videos, num_failed = len(summary) or None, len(failed)
        problems = tuple(record.message for record in failed)
        runs = tuple(RunStatus("finished", now - path.stat().st_mtime) for path in [folder / SUMMARY] if path.is_file())
    recent = [when for record in done if now - (when := _stored_at(folder, record)) < _RATE_WINDOW_SECONDS]
    per_minute = 60 * len(recent) / max(_MIN_RATE_SECONDS, now - min(recent)) if recent else 0.0
    seconds_left = None
    if num_videos is not None and per_minute:
        seconds_left = 60 * max(0, num_videos - len(done) - num_failed) / per_minute
    return ResultsStatus(
        len(done),
        sum(record.status == "damaged" for record in done),
        len(broken),
        num_failed,
        num_videos,
        per_minute,
        seconds_left,
        runs,
        tuple(map(shown, problems[:_MAX_PROBLEMS_SHOWN])),
        tuple(broken[:_MAX_PROBLEMS_SHOWN]),
    )


def _stored_at(folder: Path, record: VideoRecord) -> float:
    """When the files of a video were written, seconds since 1970; 0 where it has none."""
    return max(((folder / name).stat().st_mtime for name in record.outputs), default=0.0)


def _run_status(note: ProgressNote, now: float) -> RunStatus:
    seconds_ago = now - note.updated
    is_silent = note.state == "running" and (seconds_ago > _SILENT_SECONDS or note.has_lost_its_process())
    return RunStatus("silent" if is_silent else note.state, seconds_ago)
