"""Compare ``--engine ray`` with ``--engine local`` on one machine: the same videos, workers and cores.

    python tools/benchmark_scale.py [--videos 20] [--seconds 30] [--workers N] [--runs 3] [--models 1]

The videos (640 x 360) are rendered once, into the cache, and annotated with the shipped demo weights into a dataset in
a temporary folder. Each run is a separate process, and the engines alternate. The script prints the medians of

- whole: from the start of the process to its end;
- steady: from the end of the N-th video to the end of the last one, N being the number of workers, scaled to all
  videos: the part that grows with the number of videos;
- start: the rest, which is constant: imports, the check of the network, Ray itself, its actors, their networks.

CPU time is that of the whole machine, since Ray's own processes take part: run nothing else meanwhile.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from ava_detect.annotation.annotate import annotate_videos
from ava_detect.annotation.engines.settings import ClusterSettings
from ava_detect.environment import usable_cores
from ava_detect.storage.cache import cache_dir
from ava_detect.structures.progress import Progress

ENGINES = ("local", "ray")
_SEED = 8


def main() -> None:
    """Parse the arguments, render the videos, run the engines in alternation, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=30.0, help="of each video")
    parser.add_argument("--workers", type=int, help="default: the cores that the model servers leave")
    parser.add_argument("--models", type=int, help="number of model servers; default: every worker has its own network")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--one", choices=ENGINES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.workers = arguments.workers or max(1, usable_cores() - (arguments.models or 0))
    videos = cache_dir() / f"benchmark_scale_{arguments.videos}x{arguments.seconds:g}s"
    if arguments.one:
        print(json.dumps(_run(videos, arguments.one, arguments.workers, arguments.models)))
        return
    _render(videos, arguments.videos, arguments.seconds)
    _print(arguments, _run_interleaved(arguments.runs))


def _render(folder: Path, number: int, seconds: float) -> None:
    from ava_detect.datasets.synthetic.world import WorldSettings, write_world

    # The ground truth is written last, so that it marks a complete world.
    if not (folder / "ground_truth.csv").exists():
        print(f"rendering {number} videos into {folder} ...", file=sys.stderr)
        settings = WorldSettings(seed=_SEED, num_movies=number, seconds=seconds)
        write_world(folder, settings, num_processes=usable_cores())


def _run_interleaved(runs: int) -> dict[str, list[dict[str, float]]]:
    """The seconds of each run by engine: ``wall`` and ``cpu`` of the whole, ``steady wall`` and ``steady cpu``."""
    taken: dict[str, list[dict[str, float]]] = {engine: [] for engine in ENGINES}
    for _ in range(runs):
        for engine in ENGINES:
            wall, cpu = time.perf_counter(), _machine_cpu_seconds()
            command = [sys.executable, __file__, *sys.argv[1:], "--one", engine]
            steady = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout)
            whole = {"wall": time.perf_counter() - wall, "cpu": _machine_cpu_seconds() - cpu}
            taken[engine].append(whole | {f"steady {name}": value for name, value in steady.items()})
    return taken


def _run(videos: Path, engine: str, workers: int, models: int | None) -> dict[str, float]:
    """Annotate in this process; return the seconds of the steady part, scaled to all videos."""
    # (wall, CPU) time at the end of each video.
    ends: list[tuple[float, float]] = []

    def record_end(progress: Progress) -> None:
        if progress.done > len(ends):
            ends.append((time.perf_counter(), _machine_cpu_seconds()))

    with tempfile.TemporaryDirectory() as folder:
        summary = annotate_videos(
            videos / "videos",
            f"file://{folder}/out",
            weights="demo",
            device="cpu",
            workers=workers,
            engine=engine,
            cluster=ClusterSettings(models=models),
            on_progress=record_end,
        )
    assert summary.all_well, summary.videos
    (wall, cpu), (last_wall, last_cpu) = ends[workers - 1], ends[-1]
    scale = len(ends) / (len(ends) - workers)
    return {"wall": (last_wall - wall) * scale, "cpu": (last_cpu - cpu) * scale}


def _machine_cpu_seconds() -> float:
    """CPU time of all processes since the machine was started, ended ones included."""
    times = psutil.cpu_times()
    return float(times.user + times.system + times.nice)


def _print(arguments: argparse.Namespace, taken: dict[str, list[dict[str, float]]]) -> None:
    servers = f", {arguments.models} model servers" if arguments.models else ""
    print(
        f"{arguments.videos} videos of {arguments.seconds:g} s, {arguments.workers} workers of 1 core{servers}, "
        f"{usable_cores()} cores, medians of {arguments.runs} runs"
    )
    medians = {
        engine: {name: statistics.median(run[name] for run in runs) for name in runs[0]}
        for engine, runs in taken.items()
    }
    for times in medians.values():
        times["start wall"], times["start cpu"] = (
            times["wall"] - times["steady wall"],
            times["cpu"] - times["steady cpu"],
        )
    local, ray = medians["local"], medians["ray"]
    print("part           local        ray   ray/local   local/ray")
    for label, name in (
        ("whole, wall", "wall"),
        ("whole, CPU", "cpu"),
        ("steady, wall", "steady wall"),
        ("steady, CPU", "steady cpu"),
        ("start, wall", "start wall"),
        ("start, CPU", "start cpu"),
    ):
        ratios = f"{ray[name] / local[name]:9.2f}   {local[name] / ray[name]:9.2f}"
        print(f"{label:12}{local[name]:7.1f} s  {ray[name]:7.1f} s   {ratios}")


if __name__ == "__main__":
    main()
