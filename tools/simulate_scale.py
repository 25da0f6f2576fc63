"""Measure the driver of a dataset run beyond one machine's size, with a stub instead of the network.

``--videos N`` sends a Parquet list of N videos through the driver and prints its rate and its memory; the process has
loaded the same modules as the driver of the command.
``--scaling`` compares 1 to 64 workers of ``--engine local`` or ``ray``, which sleep instead of working, with the ideal.
Ray is configured as if this machine had that many cores.

The list and the dataset are in a temporary folder; nothing is downloaded and no video is read.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import queue
import resource
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from ava_detect.annotation.dataset import run_tasks
from ava_detect.annotation.engines.base import (
    Ask,
    Engine,
    Heartbeat,
    Item,
    Outcome,
    Result,
    ServiceFactory,
    WorkFactory,
    WorkQueue,
)
from ava_detect.results.dataset import ResultsDataset
from ava_detect.results.manifest import VideoRecord
from ava_detect.storage.addresses import Address
from ava_detect.structures.progress import Progress

_ROWS_PER_GROUP = 100_000
_STEPS = 10
_VIDEOS_PER_WORKER = 12


@dataclass(frozen=True)
class Sleep:
    """Work that only sleeps; its records name the worker's process instead of the video's path.

    Attributes:
        seconds: Time per video, seconds.
    """

    seconds: float

    def __call__(self, ask: Ask) -> Any:
        """Return the function that does the work of one video."""
        return self._work

    def _work(self, task: Any, on_heartbeat: Heartbeat) -> VideoRecord:
        if self.seconds:
            time.sleep(self.seconds)
        return VideoRecord(task.source.video_id, str(os.getpid()), "done", num_rows=2400)


class Threads:
    """An engine whose workers are threads, which is enough for work that sleeps."""

    cores_per_worker = 1
    servers = None

    def __init__(self, workers: int) -> None:
        self._workers = workers

    def run(
        self,
        work_factory: WorkFactory[Item, Result],
        items: Iterable[Item],
        on_heartbeat: Heartbeat | None = None,
        service_factory: ServiceFactory | None = None,
    ) -> Generator[Outcome[Item, Result], None, None]:
        """See ``Engine.run``."""
        work_queue, outcomes = WorkQueue(items, 1), queue.Queue[Outcome[Item, Result] | None](self._workers)
        work = work_factory(_ask_no_server)

        def serve() -> None:
            while (taken := work_queue.take()) is not None:
                outcomes.put(Outcome(taken[0], work(taken[0], lambda _: None)))
            outcomes.put(None)

        for _ in range(self._workers):
            threading.Thread(target=serve, daemon=True).start()
        num_running = self._workers
        while num_running:
            outcome = outcomes.get()
            if outcome is None:
                num_running -= 1
            else:
                yield outcome


def _ask_no_server(request: Any) -> Any:
    raise RuntimeError("there are no servers to ask")


class TimedEngine:
    """An engine that records when each of its workers finished each of its items."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.cores_per_worker, self.servers = engine.cores_per_worker, None
        self.end_times: defaultdict[str, list[float]] = defaultdict(list)

    def run(
        self,
        work_factory: WorkFactory[Item, Result],
        items: Iterable[Item],
        on_heartbeat: Heartbeat | None = None,
        service_factory: ServiceFactory | None = None,
    ) -> Generator[Outcome[Item, Result], None, None]:
        """See ``Engine.run``."""
        for outcome in self._engine.run(work_factory, items, on_heartbeat):
            worker: Any = outcome.result
            self.end_times[worker.source].append(time.perf_counter())
            yield outcome

    def rate(self) -> float:
        """Return the items per second of all workers together, the start-up time of each left out."""
        several = [ends for ends in self.end_times.values() if len(ends) > 1]
        return sum((len(ends) - 1) / (ends[-1] - ends[0]) for ends in several)


def main() -> None:
    """Parse the arguments and run one of the two measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=10_000_000)
    parser.add_argument("--scaling", action="store_true")
    parser.add_argument("--engine", choices=("local", "ray"), default="local")
    parser.add_argument(
        "--most", type=int, default=64, help="largest number of workers, with --scaling; doubled from 1"
    )
    parser.add_argument("--seconds", type=float, default=1.0, help="time per video, with --scaling")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.scaling:
            _show_scaling(Path(folder), arguments.engine, arguments.most, arguments.seconds)
        else:
            _show_driver(Path(folder), arguments.videos)


def _write_list(path: Path, videos: int) -> Path:
    """Write the list in a separate process, whose memory does not count as the driver's."""
    writer = multiprocessing.get_context("spawn").Process(target=_write_names, args=(path, videos))
    writer.start()
    writer.join()
    if writer.exitcode:
        sys.exit(f"the list could not be written (exit code {writer.exitcode})")
    return path


def _write_names(path: Path, videos: int) -> None:
    schema = pa.schema([("video_id", pa.string()), ("uri", pa.string())])
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for start in range(0, videos, _ROWS_PER_GROUP):
            names = [f"video_{number:09}" for number in range(start, min(start + _ROWS_PER_GROUP, videos))]
            writer.write_table(pa.table({"video_id": names, "uri": [f"s3://movies/2026/{name}.mp4" for name in names]}))


def _results(folder: Path) -> ResultsDataset:
    return ResultsDataset.begin(Address(f"file://{folder}/out"), {"stub": True}, {}, resume=True)


def _show_driver(folder: Path, videos: int) -> None:
    listed = _write_list(folder / "list.parquet", videos)
    # The modules that the command's driver loads.
    import ava_detect.annotation.annotate
    import ava_detect.cli.app  # noqa: F401

    process, started, cpu = psutil.Process(), time.perf_counter(), time.process_time()
    print(f"before the first: {process.memory_info().rss >> 20} MiB resident, torch {'torch' in sys.modules}")
    print("videos done   a second   CPU s   resident MiB", flush=True)
    shown = 0

    def show(progress: Progress) -> None:
        nonlocal shown
        if progress.done >= (shown + 1) * videos / _STEPS:
            shown += 1
            rate = progress.done / (time.perf_counter() - started)
            used, held = time.process_time() - cpu, process.memory_info().rss >> 20
            print(f"{progress.done:11,}   {rate:8,.0f}   {used:5.0f}   {held:12,}", flush=True)

    outcome = run_tasks([listed], _results(folder), Threads(2), Sleep(0), on_progress=show)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    used = time.process_time() - cpu
    print(f"{outcome.totals.done:,} done, {outcome.totals.failed} failed; {videos / used:,.0f} a CPU second")
    print(f"peak {peak} MiB")


def _show_scaling(folder: Path, name: str, most: int, seconds: float) -> None:
    print("workers   videos a second   ideal   share")
    for workers in (1 << power for power in range(most.bit_length())):
        subfolder = folder / str(workers)
        subfolder.mkdir()
        listed = _write_list(subfolder / "list.parquet", _VIDEOS_PER_WORKER * workers)
        engine = TimedEngine(_engine(name, workers, most))
        run_tasks([listed], _results(subfolder), engine, Sleep(seconds))
        rate = engine.rate()
        print(f"{workers:7}   {rate:15.2f}   {workers / seconds:5.1f}   {rate * seconds / workers:5.0%}", flush=True)


def _engine(name: str, workers: int, most: int) -> Engine:
    if name == "local":
        from ava_detect.annotation.engines.local import LocalEngine

        return LocalEngine(workers)
    import ray

    from ava_detect.annotation.engines.ray_engine import RayEngine

    if not ray.is_initialized():
        ray.init(num_cpus=most, include_dashboard=False, log_to_driver=False)
    return RayEngine(workers=workers)


if __name__ == "__main__":
    main()
