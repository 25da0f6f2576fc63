"""Many videos into one folder of result files: resumable, in this process or in several.

A video that fails is recorded and the others go on.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from ava_detect.annotation.engines.base import Engine
from ava_detect.annotation.engines.settings import ClusterSettings, build_engine
from ava_detect.annotation.engines.worker_count import sensible_workers
from ava_detect.annotation.head_start import give_head_start
from ava_detect.annotation.model_server import ModelServer
from ava_detect.annotation.preflight import NetworkFacts, check_network, facts_of
from ava_detect.annotation.progress_notes import progress_notes
from ava_detect.annotation.settings import AnnotateSettings, RunOptions
from ava_detect.annotation.summary import AnnotateSummary
from ava_detect.annotation.video_worker import IntoFolder, VideoWork
from ava_detect.environment import usable_cores
from ava_detect.errors import ConfigError, message_of, shown
from ava_detect.formats.writers import result_path
from ava_detect.results.manifest import (
    SUMMARY,
    Manifest,
    Totals,
    VideoRecord,
    failed_record,
    file_state,
    write_summary,
)
from ava_detect.results.progress_note import PROGRESS_NOTE, NoteState, ProgressNote, put_progress_note
from ava_detect.storage.addresses import address_of, is_address
from ava_detect.storage.file_names import DRAWN_SUFFIX, MANIFEST, safe_name
from ava_detect.storage.local_files import remove_stale_temporaries, temporary_name
from ava_detect.storage.outputs import check_output_folder
from ava_detect.structures.progress import Progress, VideoPosition
from ava_detect.video.source_stream import is_list, stream_videos
from ava_detect.video.sources import SourceVideo, find_videos

_MAX_PROBLEMS_NOTED = 20


def annotate_folder(
    sources: Sequence[str | Path], out: Path, settings: AnnotateSettings, run: RunOptions
) -> AnnotateSummary:
    """Annotate videos into the folder ``out``.

    Args:
        sources: Files, folders, globs, addresses and lists of videos.
        out: The folder of the result files, the manifest and the summary.
        settings: What decides the results.
        run: How the work is done. One worker about which nothing else is said is this process.

    Returns:
        The outcome, with the record of every video.

    Raises:
        ConfigError: The call is wrong; nothing has been written then.
    """
    run.report_stage("looking for videos")
    videos = _videos_of(sources, out)
    _check_free(out, videos, settings)
    local = settings.with_weights_file(run.on_progress)  # perhaps after a download
    if run.workers is None or (run.workers == "auto" and len(videos) == 1):
        run = replace(run, workers=1)
    in_this_process = run.workers == 1 and run.cluster is None and run.limits is None
    with ExitStack() as ends:
        if in_this_process:
            # An earlier run may have finished the first video.
            is_fresh = not (out / MANIFEST).exists()
            head_start = give_head_start(local, videos[0] if is_fresh and videos else None)
            run.report_stage("loading PyTorch")  # only in a process that runs a network
            from ava_detect.annotation.video_annotator import VideoAnnotator

            annotator = ends.enter_context(
                closing(VideoAnnotator(local, head_start=head_start, on_stage=run.report_stage))
            )
            facts = facts_of(annotator)
            local = facts.settings_of(local)
        else:
            run.report_stage("checking the network")
            facts = check_network(local)
            local = facts.settings_of(local)
            engine_work = _engine_work(local, out, len(videos), run, facts)
        weights = facts.with_address(settings.weights).weights
        local.score_rules.warn_of_other_weights(weights["sha256"])
        _make_writable(out)
        manifest = Manifest(out, local.fingerprint(weights), resume=run.resume)
        folder_run = _FolderRun(videos, manifest, run)
        ends.enter_context(progress_notes(partial(put_progress_note, out), folder_run))
        try:
            if in_this_process:
                for video in folder_run.waiting:
                    try:
                        record = annotator.annotate(video, out, folder_run.heartbeat)
                    except Exception as error:  # Whatever one video does must not stop the others; its record says why.
                        record = failed_record(video, message_of(error))
                    folder_run.finish(record)
            elif folder_run.waiting:
                run.report_stage("starting the workers")
                with closing(_on_engine(engine_work, folder_run)) as records:
                    for record in records:
                        folder_run.finish(record)
        except KeyboardInterrupt:
            folder_run.interrupted = True
        summary = folder_run.summary(weights, local.note)
        write_summary(out, summary.to_json())
    return summary


class _FolderRun:
    """The videos of a run: those that an earlier run finished, those that wait, and what became of each."""

    def __init__(self, videos: Sequence[SourceVideo], manifest: Manifest, run: RunOptions) -> None:
        self._videos, self._manifest, self._run = videos, manifest, run
        self._finished: dict[str, VideoRecord] = {}
        self._started = time.time()
        self._num_failed = 0
        self.num_before = 0
        self.interrupted = False
        self.waiting: list[SourceVideo] = []
        try:
            for video in videos:
                record = manifest.finished(video)
                if record is None:
                    self.waiting.append(video)
                else:
                    self.num_before += 1
                    self._count(record)
        except KeyboardInterrupt:  # raised by the caller's ``on_progress``
            self.interrupted, self.waiting = True, []

    def heartbeat(self, position: VideoPosition) -> None:
        """Report how far a video has come."""
        self._report(position.video_id, position=position)

    def finish(self, record: VideoRecord) -> None:
        """Add a video to the manifest, and count it."""
        self._manifest.add(record)
        self._count(record)

    def _count(self, record: VideoRecord) -> None:
        self._finished[record.video_id] = record
        self._num_failed += record.status == "failed"
        self._report(record.video_id, result=record)

    def _report(self, name: str, position: VideoPosition | None = None, result: VideoRecord | None = None) -> None:
        _, second, duration, stage = position or VideoPosition(name, 0.0, None)
        progress = Progress(
            "videos",
            len(self._finished),
            len(self._videos),
            name,
            second,
            duration,
            failed=self._num_failed,
            done_before=self.num_before,
            result=result,
            stage=stage,
        )
        self._run.report(progress)

    def note(self, state: NoteState) -> ProgressNote:
        """Return the progress note of the run, for ``ava-detect status``."""
        problems = [record.message for record in list(self._finished.values()) if record.status == "failed"]
        return ProgressNote(
            state,
            self._started,
            time.time(),
            len(self._videos),
            self.num_before,
            len(self._finished) - self.num_before - self._num_failed,
            self._num_failed,
            tuple(problems[:_MAX_PROBLEMS_NOTED]),
        )

    def summary(self, weights: dict[str, Any], note: str) -> AnnotateSummary:
        """The outcome so far, with the videos in the order of the sources."""
        records = [self._finished[video.video_id] for video in self._videos if video.video_id in self._finished]
        totals = Totals()
        for record in records:
            totals.add(record)
        return AnnotateSummary(
            self._manifest.settings,
            weights,
            note,
            totals,
            tuple(records),
            self.interrupted,
            num_kept=self.num_before,
            out=self._manifest.out,
        )


def _videos_of(sources: Sequence[str | Path], out: Path) -> list[SourceVideo]:
    """The videos of a run into a folder, whose result files are named by the videos' ids."""
    if not any(is_list(source) or is_address(source) for source in sources):
        return [*find_videos(sources, inside_out=out)]
    videos = list(stream_videos(sources, inside_out=address_of(out)))
    seen: dict[str, SourceVideo] = {}
    for number, video in enumerate(videos):
        if "/" in video.video_id:
            # Videos in subfolders are named as two files of one name are.
            videos[number] = video = replace(video, video_id=video.video_id.replace("/", "__"))
        if video.problem:
            raise ConfigError(f"{video.problem}; mend the list, or have `out` be a dataset, where others go on")
        if safe_name(video.video_id) != video.video_id:
            raise ConfigError(
                f"{video.video_id!r} is no name for a file in {out}: such ids need letters, digits, '.', '_' and '-' "
                "and no more than 60; have `out` be a dataset (file:///...), which takes any id"
            )
        other = seen.setdefault(video.video_id.casefold(), video)
        if other is not video:
            raise ConfigError(
                f"two videos are called {video.video_id!r} ({shown(other.location)} and {shown(video.location)}); give "
                "them other ids in a list, or have `out` be a dataset (file:///...)"
            )
    return videos


def _check_free(out: Path, videos: Sequence[SourceVideo], settings: AnnotateSettings) -> None:
    """Refuse a folder in which a file that will be written is an input, or is there already and of no such run."""
    suffixes = [*settings.formats, *([DRAWN_SUFFIX] if settings.draw else [])]
    names = [result_path(Path(), video.video_id, suffix).name for video in videos for suffix in suffixes]
    inputs = {
        "sources": [video.path for video in videos],
        "boxes": (settings.detector or "").removeprefix("boxes:").partition("?")[0],
        "weights": settings.weights,
        "config": settings.config,
        "thresholds": None if settings.thresholds is None else settings.thresholds.source,
        "calibration": None if settings.calibration is None else settings.calibration.path or None,
    }
    is_run = (out / MANIFEST).is_file()
    check_output_folder(
        out, [*names, MANIFEST, SUMMARY, PROGRESS_NOTE], inputs, is_own=lambda path: is_run, overwrite=None
    )


def _make_writable(out: Path) -> None:
    """Create the folder and remove what killed runs left unfinished; ``ConfigError`` where it cannot be written."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        remove_stale_temporaries(out)
        probe = out / temporary_name("probe")
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ConfigError(
            f"`out` {out} cannot be written to ({error.strerror or error}); choose another folder"
        ) from error


@dataclass(frozen=True)
class _EngineWork:
    """An engine, and what it is to do for a folder."""

    engine: Engine
    work: VideoWork
    server: ModelServer | None
    out: Path


def _engine_work(
    settings: AnnotateSettings, out: Path, num_videos: int, run: RunOptions, facts: NetworkFacts
) -> _EngineWork:
    """The engine that ``run`` describes, with an equal share of the cores for each worker."""
    workers, cluster = run.workers, run.cluster
    is_alone = workers == 1 and cluster is None
    if cluster is None:
        workers = sensible_workers(num_videos, facts.device) if workers == "auto" else int(workers or 1)
        cluster = ClusterSettings(cores=max(1, usable_cores() // workers))
    engine = build_engine("local", workers, cluster, run.limits, facts.device)
    sha256, servers = facts.weights["sha256"], engine.servers
    num_threads = None if is_alone else engine.cores_per_worker
    here = replace(settings, device=facts.device)
    work = VideoWork(here, IntoFolder(out), sha256, num_threads, served=servers is not None)
    server = None if servers is None else ModelServer(settings, sha256, servers.cores)
    return _EngineWork(engine, work, server, out)


def _on_engine(task: _EngineWork, folder_run: _FolderRun) -> Generator[VideoRecord, None, None]:
    """Annotate in the engine's processes, the largest video first, so that no long one is left for the end."""
    largest_first = sorted(folder_run.waiting, key=lambda video: file_state(video.path)[0], reverse=True)
    try:
        run = task.engine.run(task.work, largest_first, folder_run.heartbeat, task.server)
        with closing(run) as outcomes:
            for outcome in outcomes:
                yield outcome.result or failed_record(outcome.item, outcome.reason, outcome.tries)
    finally:
        # Files of processes that a video, or the end of this run, stopped halfway.
        remove_stale_temporaries(task.out)
