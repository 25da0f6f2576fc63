"""Many videos into one dataset of results, on any engine: finished videos are kept, failed ones are noted.

It loads no PyTorch: the driver of a cluster needs no network and little memory (``tools/simulate_scale.py``).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

from ava_detect.annotation.engines.base import Engine, Outcome, ServiceFactory, WorkFactory
from ava_detect.annotation.engines.settings import build_engine
from ava_detect.annotation.model_server import ModelServer
from ava_detect.annotation.preflight import check_network
from ava_detect.annotation.progress_notes import progress_notes
from ava_detect.annotation.settings import AnnotateSettings, RunOptions
from ava_detect.annotation.summary import AnnotateSummary
from ava_detect.annotation.video_worker import DatasetTask, IntoDataset, VideoWork
from ava_detect.environment import versions
from ava_detect.models.zoo import is_file
from ava_detect.results.dataset import FinishedVideos, ResultsDataset
from ava_detect.results.manifest import Totals, VideoRecord, failed_record
from ava_detect.results.progress_note import NoteState, ProgressNote
from ava_detect.storage.addresses import Address
from ava_detect.structures.progress import OnProgress, Progress, VideoPosition
from ava_detect.video.source_stream import stream_videos
from ava_detect.video.sources import SourceVideo

# The summary is for people; every reason is in the dataset.
_MAX_PROBLEMS_HELD = 1000
_SECONDS_BETWEEN_NOTES = 15.0


class RunState:
    """The counters of a run into a dataset; threads of the engine and of the run change them.

    Args:
        results: The dataset.
        on_progress: Told of every change.
    """

    def __init__(self, results: ResultsDataset, on_progress: OnProgress | None) -> None:
        self.totals = Totals()
        self.problems: list[VideoRecord] = []
        self.num_listed = 0
        self.num_before = 0
        self.all_listed = False
        self.interrupted = False
        self._results = results
        self._on_progress = on_progress
        self._started = time.time()
        self._lock = threading.Lock()

    def add(self, record: VideoRecord) -> None:
        """Count a video that ended.

        Args:
            record: Its record.
        """
        with self._lock:
            self.totals.add(record)
            if (record.status != "done" or record.warning) and len(self.problems) < _MAX_PROBLEMS_HELD:
                self.problems.append(record)
        self._report(VideoPosition(record.video_id, 0.0, None), record)

    def put_failure(self, source: SourceVideo, reason: str, tries: int = 1) -> None:
        """Note a failed video beside the results, and count it.

        Args:
            source: The video.
            reason: Why it has no results.
            tries: Number of workers that were given it.
        """
        record = failed_record(source, reason, tries)
        self._results.put_failure(source, record)
        self.add(record)

    def found_finished(self, damaged: VideoRecord | None) -> None:
        """Count a video that an earlier run finished.

        Args:
            damaged: Its record, where it is damaged.
        """
        if damaged is not None:
            return self.add(damaged)
        with self._lock:
            self.num_before += 1
        return None

    def heartbeat(self, position: VideoPosition) -> None:
        """Report how far a video has come.

        Args:
            position: The keyframe that was written last.
        """
        self._report(position)

    def listed(self) -> None:
        """Report that the number of all videos is known."""
        self.all_listed = True
        self._report(VideoPosition("", 0.0, None))

    def _report(self, position: VideoPosition, result: VideoRecord | None = None) -> None:
        if self._on_progress is None:
            return
        totals = self.totals
        progress = Progress(
            "videos",
            self.num_before + totals.done + totals.damaged + totals.failed,
            self.num_listed if self.all_listed else None,
            position.video_id,
            position.position_seconds,
            position.duration_seconds,
            failed=totals.failed,
            done_before=self.num_before,
            elapsed_seconds=time.time() - self._started,
            result=result,
            stage=position.stage,
        )
        self._on_progress(progress)

    def note(self, state: NoteState) -> ProgressNote:
        """Return the progress note of the run.

        Args:
            state: The state of the run.
        """
        return ProgressNote(
            state,
            self._started,
            time.time(),
            self.num_listed if self.all_listed else None,
            self.num_before,
            self.totals.done + self.totals.damaged,
            self.totals.failed,
        )


def annotate_dataset(
    sources: Iterable[str | Path], out: Address, settings: AnnotateSettings, run: RunOptions
) -> AnnotateSummary:
    """Annotate videos into a dataset of results at an address.

    Args:
        sources: Files, folders, globs, addresses and lists of videos.
        out: The dataset.
        settings: What decides the results.
        run: How the work is done.

    Returns:
        The outcome, with the first thousand videos that failed or are damaged.

    Raises:
        ConfigError: The call is wrong; nothing has been written then.
    """
    local = settings.with_weights_file(run.on_progress)
    is_local = run.engine == "local"
    run.report_stage("checking the network")
    # What is wrong with the network is said before anything is written; the driver of a cluster may have no GPU.
    facts = check_network(local if is_local else _on_driver(local)).with_address(settings.weights)
    if is_local:
        local, settings = facts.settings_of(local), facts.settings_of(settings)
    device = facts.device if is_local else settings.device
    engine = build_engine(run.engine, run.workers, run.cluster, run.limits, device)
    local.score_rules.warn_of_other_weights(facts.weights["sha256"])
    fingerprint = local.fingerprint(facts.weights)
    about = {"weights": facts.weights, "note": local.note, "versions": versions()}
    run.report_stage("opening the dataset")
    results = ResultsDataset.begin(out, fingerprint, about, resume=run.resume)
    # A name or an address is resolved by every machine for itself; a file's path is the same on all of them.
    named = replace(local, device=device) if is_local else local if is_file(settings.weights) else settings
    sha256, servers = facts.weights["sha256"], engine.servers
    work = VideoWork(named, IntoDataset(results), sha256, engine.cores_per_worker, served=servers is not None)
    server = None if servers is None else ModelServer(named, sha256, servers.cores)
    run.report_stage("starting the workers")
    state = run_tasks(sources, results, engine, work, server, run.on_progress)
    return AnnotateSummary(
        fingerprint,
        facts.weights,
        local.note,
        state.totals,
        tuple(state.problems),
        state.interrupted,
        state.num_before,
        out=out,
    )


def _on_driver(settings: AnnotateSettings) -> AnnotateSettings:
    """The settings for a check on the driver of a cluster, whose processor says nothing of the workers'."""
    return settings if settings.device == "cpu" else replace(settings, device="cpu", precision="auto")


def run_tasks(
    sources: Iterable[str | Path],
    results: ResultsDataset,
    engine: Engine,
    work: WorkFactory[DatasetTask, VideoRecord],
    server: ServiceFactory | None = None,
    on_progress: OnProgress | None = None,
) -> RunState:
    """Let an engine annotate every video that is not done yet; memory does not grow with the number of videos.

    Args:
        sources: Files, folders, globs, addresses and lists of videos.
        results: The dataset.
        engine: Where the work runs.
        work: Makes the work of one worker.
        server: Makes what a model server holds, where the engine has any.
        on_progress: Told of every video.

    Returns:
        The counters of the run.

    Raises:
        AvaDetectError: All further work would be useless: sources that cannot be listed, a network that cannot be
            built, a store that does not answer.
    """
    state = RunState(results, on_progress)
    finished, damaged = results.finished(), results.problem_keys()["damaged"]
    tasks = _tasks(sources, results, finished, damaged, state)
    run_id = uuid4().hex[:12]
    with progress_notes(lambda note: results.put_progress(run_id, note), state):
        try:
            with closing(engine.run(work, tasks, state.heartbeat, server)) as outcomes:
                for outcome in outcomes:
                    _enter(outcome, state)
        except KeyboardInterrupt:
            state.interrupted = True
    return state


def _enter(outcome: Outcome[DatasetTask, VideoRecord], state: RunState) -> None:
    if outcome.result is not None:
        state.add(outcome.result)
    else:
        state.put_failure(outcome.item.source, outcome.reason, outcome.tries)


def _tasks(
    sources: Iterable[str | Path],
    results: ResultsDataset,
    finished: FinishedVideos,
    damaged: set[str],
    state: RunState,
) -> Iterator[DatasetTask]:
    """The videos that are to be done, taken from the sources one by one."""
    for source in stream_videos(sources, inside_out=results.out):
        state.num_listed += 1
        if source.problem:
            state.put_failure(source, source.problem)
            continue
        key = results.key(source)
        since = finished.stored_at(key)
        if since is None:
            yield DatasetTask(source)
        elif source.modified is not None and source.modified > since + 1:
            yield DatasetTask(source, again=True)
        else:
            state.found_finished(results.problem("damaged", key) if key in damaged else None)
    state.listed()
