"""Planning past one machine: the driver of a dataset run, with a stub in the place of the network.

``--videos N``: a Parquet list of N videos goes through the driver; printed are its rate and its memory.
``--scaling``: 1 to 64 workers that sleep in the place of working, against the ideal; ``--engine ray`` has Ray actors,
``threads`` shows the driver's own part.

The list and the dataset lie in a temporary folder; nothing is downloaded and no video is read.
"""

from __future__ import annotations

import argparse
import queue
import tempfile
import threading
import time
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from ava_detect.addresses import Address
from ava_detect.annotate_dataset import annotate_dataset
from ava_detect.engines.base import Engine, Feed, Item, MakeWork, Outcome, Result, SignOfLife
from ava_detect.engines.ray_engine import RayEngine
from ava_detect.publishing import PublishedResults
from ava_detect.run_record import Progress, VideoRecord

_ROWS_PER_GROUP = 100_000
_STEPS = 10


@dataclass(frozen=True)
class Sleep:
    """Work that takes so long and nothing else."""

    seconds: float

    def __call__(self) -> Any:
        """The work."""
        return self._work

    def _work(self, task: Any, sign: SignOfLife) -> VideoRecord:
        if self.seconds:
            time.sleep(self.seconds)
        return VideoRecord(task.source.video_id, str(task.source.path), "done", num_rows=2400)


class Threads:
    """An engine whose workers are threads: good for sleeping."""

    cores_per_worker = 1

    def __init__(self, workers: int) -> None:
        self._workers = workers

    def run(
        self, make_work: MakeWork[Item, Result], items: Iterable[Item], on_sign_of_life: SignOfLife | None = None
    ) -> Generator[Outcome[Item, Result], None, None]:
        """See ``Engine.run``."""
        feed, outcomes = Feed(items, 1), queue.Queue[Outcome[Item, Result] | None](self._workers)
        work = make_work()

        def serve() -> None:
            while (taken := feed.take()) is not None:
                outcomes.put(Outcome(taken[0], work(taken[0], lambda _: None)))
            outcomes.put(None)

        for _ in range(self._workers):
            threading.Thread(target=serve, daemon=True).start()
        working = self._workers
        while working:
            outcome = outcomes.get()
            if outcome is None:
                working -= 1
            else:
                yield outcome


def main() -> None:
    """Parse, run one of the two."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=10_000_000)
    parser.add_argument("--scaling", action="store_true")
    parser.add_argument("--engine", choices=("threads", "ray"), default="threads")
    parser.add_argument("--seconds", type=float, default=1.0, help="that a video takes, with --scaling")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.scaling:
            _show_scaling(Path(folder), arguments.engine, arguments.seconds)
        else:
            _show_driver(Path(folder), arguments.videos)


def _write_list(path: Path, videos: int) -> Path:
    schema = pa.schema([("video_id", pa.string()), ("uri", pa.string())])
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for start in range(0, videos, _ROWS_PER_GROUP):
            names = [f"video_{number:09}" for number in range(start, min(start + _ROWS_PER_GROUP, videos))]
            writer.write_table(pa.table({"video_id": names, "uri": [f"s3://movies/2026/{name}.mp4" for name in names]}))
    return path


def _results(folder: Path) -> PublishedResults:
    return PublishedResults.begin(Address(f"file://{folder}/out"), {"stub": True}, {}, resume=True)


def _show_driver(folder: Path, videos: int) -> None:
    listed = _write_list(folder / "list.parquet", videos)
    process, started, cpu = psutil.Process(), time.perf_counter(), time.process_time()
    print("videos done   a second   CPU s   resident MiB")
    shown = 0

    def show(progress: Progress) -> None:
        nonlocal shown
        if progress.num_finished >= (shown + 1) * videos / _STEPS:
            shown += 1
            rate = progress.num_finished / (time.perf_counter() - started)
            used, held = time.process_time() - cpu, process.memory_info().rss >> 20
            print(f"{progress.num_finished:11,}   {rate:8,.0f}   {used:5.0f}   {held:12,}", flush=True)

    outcome = annotate_dataset([listed], _results(folder), Sleep(0), Threads(2), show)
    print(f"{outcome.totals.done:,} done, {outcome.totals.failed} failed")


def _show_scaling(folder: Path, name: str, seconds: float) -> None:
    print("workers   videos a second   ideal   share")
    for workers in chain(1 << power for power in range(7)):
        videos = max(8, 8 * workers)
        place = folder / str(workers)
        place.mkdir()
        listed = _write_list(place / "list.parquet", videos)
        engine: Engine = Threads(workers) if name == "threads" else RayEngine(workers=workers)
        moments: list[float] = []

        def note(progress: Progress, moments: list[float] = moments) -> None:
            moments.append(time.perf_counter())

        annotate_dataset([listed], _results(place), Sleep(seconds), engine, note)
        # From the first outcome on: how long a cluster takes to start is another matter.
        rate = (len(moments) - 1) / (moments[-1] - moments[0])
        print(f"{workers:7}   {rate:15.2f}   {workers / seconds:5.1f}   {rate * seconds / workers:5.0%}", flush=True)


if __name__ == "__main__":
    main()
