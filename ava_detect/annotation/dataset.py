"""Videos from anywhere -> one dataset of results, on any engine: what is there is kept, what is bad is set aside.

It loads no torch: whoever drives a cluster needs no network, and little memory (``tools/simulate_scale.py``).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from ava_detect.annotation.engines.base import Engine, Outcome, ServiceFactory, WorkFactory
from ava_detect.errors import AvaDetectError, StoreError
from ava_detect.results.dataset import FinishedVideos, ResultsDataset
from ava_detect.results.manifest import Totals, VideoRecord, failed_record
from ava_detect.structures.progress import OnProgress, Progress
from ava_detect.video.source_stream import stream_videos
from ava_detect.video.sources import SourceVideo

# A report is read by people; every reason is in the dataset.
_MAX_PROBLEMS_HELD = 1000
_SECONDS_BETWEEN_NOTES = 15.0


@dataclass(frozen=True)
class Task:
    """A video to annotate. ``again``: although its rows are there, because it has changed since."""

    source: SourceVideo
    again: bool = False


class _RunState:
    """What has become of the videos so far; threads of the engine and the run itself write in it."""

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
        with self._lock:
            self.totals.add(record)
            if record.status != "done" and len(self.problems) < _MAX_PROBLEMS_HELD:
                self.problems.append(record)
        self.show()

    def put_failure(self, source: SourceVideo, reason: str, tries: int = 1) -> None:
        record = failed_record(source, reason, tries)
        self._results.put_failure(source, record)
        self.add(record)

    def found_finished(self, damaged: VideoRecord | None) -> None:
        """An earlier run has done the video; ``damaged``: what it said of it."""
        if damaged is not None:
            return self.add(damaged)
        with self._lock:
            self.num_before += 1
        return None

    def show(self, video_id: str = "", second: float = 0.0) -> None:
        if self._on_progress is None:
            return
        totals = self.totals
        progress = Progress(
            "videos",
            self.num_before + totals.done + totals.damaged + totals.failed,
            self.num_listed if self.all_listed else None,
            video_id,
            second,
            failed=totals.failed,
            before=self.num_before,
            elapsed_seconds=time.time() - self._started,
        )
        self._on_progress(progress)

    def note(self, state: str) -> dict[str, Any]:
        return {
            "state": state,
            "started": self._started,
            "updated": time.time(),
            "videos": self.num_listed if self.all_listed else None,
            "before": self.num_before,
            "done": self.totals.done + self.totals.damaged,
            "failed": self.totals.failed,
        }


@dataclass(frozen=True)
class DatasetOutcome:
    """What a run over a dataset came to. ``problems``: the first thousand failed or damaged videos."""

    totals: Totals
    num_before: int
    problems: tuple[VideoRecord, ...]
    interrupted: bool


def annotate_dataset(
    sources: Iterable[str | Path],
    results: ResultsDataset,
    work: WorkFactory[Task, VideoRecord],
    engine: Engine,
    on_progress: OnProgress | None = None,
    service_factory: ServiceFactory | None = None,
) -> DatasetOutcome:
    """Have every video of ``sources`` that is not done in ``results`` annotated by ``engine``.

    Memory does not grow with the sources. Raises what makes all further work useless: sources that cannot be listed, a
    network that cannot be built, a place for results that does not answer. An interrupt ends the run early.
    """
    books = _RunState(results, on_progress)
    finished, damaged = results.finished(), results.problem_keys()["damaged"]
    tasks = _tasks(sources, results, finished, damaged, books)

    def show(where: tuple[str, float, float | None]) -> None:
        books.show(*where[:2])

    with _noting(results, books):
        try:
            with closing(engine.run(work, tasks, show, service_factory)) as outcomes:
                for outcome in outcomes:
                    _enter(outcome, books)
        except KeyboardInterrupt:
            books.interrupted = True
    return DatasetOutcome(books.totals, books.num_before, tuple(books.problems), books.interrupted)


def _enter(outcome: Outcome[Task, VideoRecord], books: _RunState) -> None:
    if outcome.result is not None:
        books.add(outcome.result)
    else:
        books.put_failure(outcome.item.source, outcome.reason, outcome.tries)


def _tasks(
    sources: Iterable[str | Path],
    results: ResultsDataset,
    finished: FinishedVideos,
    damaged: set[str],
    books: _RunState,
) -> Iterator[Task]:
    """The videos that are to be done, taken from the sources one by one."""
    for source in stream_videos(sources, inside_out=results.out):
        books.num_listed += 1
        if source.problem:
            books.put_failure(source, source.problem)
            continue
        key = results.key(source)
        since = finished.stored_at(key)
        if since is None:
            yield Task(source)
        elif source.modified is not None and source.modified > since + 1:
            yield Task(source, again=True)
        else:
            books.found_finished(results.problem("damaged", key) if key in damaged else None)
    books.all_listed = True


@contextmanager
def _noting(results: ResultsDataset, books: _RunState) -> Iterator[None]:
    """Note the run's progress beside its results, every few seconds and at its end."""
    run, over = uuid4().hex[:12], threading.Event()
    results.put_progress(run, books.note("running"))

    def keep_noting() -> None:
        while not over.wait(_SECONDS_BETWEEN_NOTES):
            try:
                results.put_progress(run, books.note("running"))
            except (AvaDetectError, OSError):
                # A note that is late is worth no run; results that cannot be written say so themselves.
                continue

    thread = threading.Thread(target=keep_noting, daemon=True)
    thread.start()
    state = "failed"
    try:
        yield
        state = "interrupted" if books.interrupted else "finished"
    finally:
        over.set()
        thread.join()
        try:
            results.put_progress(run, books.note(state))
        except StoreError:
            if state == "finished":
                raise
