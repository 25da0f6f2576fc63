"""Measure worker processes: memory of each beyond the first, time to start, and short videos against a long one.

    python tools/benchmark_workers.py memory [--config slowfast_r50_32x2] [--workers 1 2 4] [--keyframes 3]
    python tools/benchmark_workers.py start [--config slowfast_r50_32x2] [--workers 4] [--runs 3] [--against CHECKOUT]
    python tools/benchmark_workers.py short [--config demo] [--videos 100] [--seconds 5] [--runs 3]

``memory`` annotates one rendered video per worker with people on each keyframe and samples the memory of all processes
together. Shared pages (PyTorch's code, the weights) count once: the proportional set size of Linux. "MiB of its own" is
the most that one worker shares with no other process. Peaks of several workers seldom coincide, so a worker may add
less than that, and by chance more.

``start`` gives the seconds from the call until every worker has opened a video, and from the check of the network until
then, for this checkout of the repository and others by turns.

``short`` annotates many short videos in one call, and one video of the same total length, by turns: seconds of both,
by the clock and of the processors, and their ratio. Both contain the same frames.

Weights are random numbers in a file of the package's own format, so that they are read as trained ones are.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from measuring import machine

from ava_detect.config import load_config
from ava_detect.config.build import build_model
from ava_detect.datasets.synthetic.world import WorldSettings, write_world
from ava_detect.models.weights import save_weights


def main() -> None:
    """Parse the arguments and print the table of one measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    memory = commands.add_parser("memory")
    memory.add_argument("--config", default="slowfast_r50_32x2")
    memory.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    memory.add_argument("--keyframes", type=int, default=3, help="of each video")
    start = commands.add_parser("start")
    start.add_argument("--config", default="slowfast_r50_32x2")
    start.add_argument("--workers", type=int, default=4)
    start.add_argument("--runs", type=int, default=3)
    start.add_argument("--against", type=Path, nargs="*", default=[])
    short = commands.add_parser("short")
    short.add_argument("--config", default="demo")
    short.add_argument("--videos", type=int, default=100)
    short.add_argument("--seconds", type=int, default=5, help="length of each short video")
    short.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    print(f"{arguments.config}; {machine()}")
    with tempfile.TemporaryDirectory() as folder:
        weights = save_weights(build_model(load_config(arguments.config)), Path(folder) / "weights.safetensors")
        if arguments.command == "memory":
            measure_memory(Path(folder), weights, arguments.config, arguments.workers, arguments.keyframes)
        elif arguments.command == "start":
            measure_start(Path(folder), weights, arguments)
        else:
            measure_short(Path(folder), weights, arguments)


def measure_memory(folder: Path, weights: Path, config: str, numbers: list[int], keyframes: int) -> None:
    """Print the greatest memory of all processes together for each number of workers."""
    render(folder / "world", max(numbers), keyframes)
    videos = sorted((folder / "world" / "videos").iterdir())
    base: tuple[int, float] | None = None
    print("workers  MiB together  MiB a worker more  MiB of its own  seconds")
    for number in numbers:
        part = folder / f"videos{number}"
        part.mkdir()
        for video in videos[:number]:
            shutil.copy(video, part)
        began = time.perf_counter()
        peak, own = peaks_of(annotate_command(part, folder / f"out{number}", weights, config, number), number)
        more = "" if base is None else f"{(peak - base[1]) / (number - base[0]):.0f}"
        base = (number, peak) if base is None else base
        print(f"{number:7d}  {peak:12.0f}  {more:>17}  {own:14.0f}  {time.perf_counter() - began:7.1f}", flush=True)


# Prints the seconds from the call and from the start of the workers until each worker has opened a video.
_START = """
import sys, time
begun = time.perf_counter()
from ava_detect.annotation.annotate import annotate_videos

if __name__ == "__main__":
    videos, out, weights, config, workers = sys.argv[1:]
    opened, starting = set(), []

    def progress(now):
        if now.stage == "starting the workers":
            starting.append(time.perf_counter())
        elif now.stage == "opening":
            opened.add(now.name)
            if len(opened) == int(workers):
                end = time.perf_counter()
                print(end - begun, end - starting[0])
                raise KeyboardInterrupt

    annotate_videos(videos, out, weights=weights, config=config, workers=int(workers), on_progress=progress)
"""


def measure_start(folder: Path, weights: Path, arguments: argparse.Namespace) -> None:
    """Print the seconds until all workers have begun, of each checkout."""
    render(folder / "world", arguments.workers, 1)
    program = folder / "start.py"
    program.write_text(_START)
    checkouts = [*arguments.against, Path(__file__).parents[1]]
    seconds: dict[Path, list[list[float]]] = {checkout: [] for checkout in checkouts}
    for run in range(arguments.runs):
        for number, checkout in enumerate(checkouts):
            inputs = [folder / "world" / "videos", folder / f"start{run}-{number}", weights]
            call = [sys.executable, program, *inputs, arguments.config, str(arguments.workers)]
            environment = os.environ | {"PYTHONPATH": str(checkout.resolve())}
            done = subprocess.run(call, env=environment, stdout=subprocess.PIPE, text=True, check=True)
            seconds[checkout].append([float(word) for word in done.stdout.split()])
    for checkout, rows in seconds.items():
        from_call, from_start = (statistics.median(column) for column in zip(*rows, strict=True))
        print(f"{checkout}: {arguments.workers} workers began after {from_call:.1f} s, {from_start:.1f} to start them")


def measure_short(folder: Path, weights: Path, arguments: argparse.Namespace) -> None:
    """Print the seconds of many short videos and of one long one."""
    render(folder / "one", 1, arguments.seconds)
    (clip,) = (folder / "one" / "videos").iterdir()
    short, long = folder / "short", folder / "long"
    short.mkdir()
    long.mkdir()
    for number in range(arguments.videos):
        shutil.copy(clip, short / f"{number:03d}{clip.suffix}")
    repeat(clip, arguments.videos, long / clip.name)
    seconds: dict[str, list[tuple[float, float]]] = {"short": [], "long": []}
    for run in range(arguments.runs):
        for name, videos in (("short", short), ("long", long)):
            call = annotate_command(videos, folder / f"{name}{run}", weights, arguments.config, 1)
            wall, cpu = time.perf_counter(), _children_seconds()
            subprocess.run(call, check=True, stdout=subprocess.DEVNULL)
            seconds[name].append((time.perf_counter() - wall, _children_seconds() - cpu))
            print(f"{name}: {seconds[name][-1][0]:.1f} s, CPU {seconds[name][-1][1]:.1f} s", flush=True)
    medians = {
        name: [statistics.median(column) for column in zip(*rows, strict=True)] for name, rows in seconds.items()
    }
    (short_wall, short_cpu), (long_wall, long_cpu) = medians["short"], medians["long"]
    print(f"{arguments.videos} videos of {arguments.seconds} s: {short_wall:.1f} s, CPU {short_cpu:.1f} s")
    print(f"one of {arguments.videos * arguments.seconds} s: {long_wall:.1f} s, CPU {long_cpu:.1f} s")
    print(f"ratio {short_wall / long_wall:.2f}, CPU {short_cpu / long_cpu:.2f}")


def render(folder: Path, videos: int, seconds: int) -> None:
    """Render movies of the synthetic world."""
    write_world(folder, WorldSettings(0, videos, seconds))


def repeat(video: Path, times: int, out: Path) -> None:
    """Join copies of a video without decoding it."""
    import av

    with av.open(str(video)) as source, av.open(str(out), "w") as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        packets = [packet for packet in source.demux(stream) if packet.dts is not None]
        length = stream.duration
        first = [(packet.pts, packet.dts) for packet in packets]
        for number in range(times):
            for packet, (pts, dts) in zip(packets, first, strict=True):
                packet.pts, packet.dts, packet.stream = pts + number * length, dts + number * length, copy
                target.mux(packet)
                packet.stream = stream


def annotate_command(videos: Path, out: Path, weights: Path, config: str, workers: int) -> list[str]:
    """The command that annotates a folder."""
    options = ["--out", out, "--weights", weights, "--config", config, "--workers", workers, "--quiet"]
    return [sys.executable, "-m", "ava_detect", "annotate", str(videos), *map(str, options)]


def peaks_of(call: list[str], workers: int) -> tuple[float, float]:
    """Greatest MiB of a command's processes together, and of one worker alone, sampled ten times a second."""
    process = psutil.Popen(call, stdout=subprocess.DEVNULL)
    together = 0.0
    own: dict[psutil.Process, float] = {}
    parents: set[int] = set()
    while process.poll() is None:
        total = 0
        for member in [process, *process.children(recursive=True)]:
            try:
                used = member.memory_full_info()
                parents.add(member.ppid())
            except psutil.Error:
                continue  # it has just ended
            total += used.pss
            own[member] = max(own.get(member, 0.0), used.uss / 2**20)
        together = max(together, total / 2**20)
        time.sleep(0.1)
    if process.returncode:
        raise SystemExit(f"{' '.join(call)}: exit status {process.returncode}")
    # The workers are started last, and start no others.
    last = sorted((member for member in own if member.pid not in parents), key=lambda member: member.create_time())
    return together, max(own[member] for member in last[-workers:])


def _children_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
