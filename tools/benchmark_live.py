"""Measure live runs: lag, drops, and whether memory, file handles and threads stay as they are.

    python tools/benchmark_live.py lag VIDEO [--weights demo] [--sources 4] [--seconds 60] [--every 1]
    python tools/benchmark_live.py faults VIDEO [--seconds 60] [--loss 0.1]
    python tools/benchmark_live.py soak VIDEO [--hours 1] [--speed 10]

``lag`` serves the video, again and again, from a real RTSP server on this machine (GStreamer's: ``tools/live``), and
prints the time to the first row, and the median and 99th percentile of the time from frame seen to rows out. ``faults``
does the same while the server is killed and started again, comes back with another size, and leaves out packets.
``soak`` plays hours of the video as a file at many times its speed, and prints memory, handles and threads as they go.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import av
import psutil
from live.streams import RtspServer, has_rtsp_server, repeated
from measuring import machine

from ava_detect import LiveNotice, LiveOptions, LiveRun, Pipeline
from ava_detect.video.reader import VideoReader
from ava_detect.video.writer import VideoWriter

_SAMPLES = 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("lag", "faults", "soak"))
    parser.add_argument("video", type=Path)
    parser.add_argument("--weights", default="demo")
    parser.add_argument("--config")
    parser.add_argument("--latency", choices=("centred", "now"), default="centred")
    parser.add_argument("--every", type=float, default=1.0)
    parser.add_argument("--sources", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--loss", type=float, default=0.1)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--speed", type=float, default=10.0)
    arguments = parser.parse_args()
    if arguments.what != "soak" and not has_rtsp_server():
        parser.error("GStreamer's RTSP server is not installed; see tools/live/rtsp_server.py")
    pipeline = Pipeline.from_pretrained(
        arguments.weights, config=arguments.config, detector="builtin", every_seconds=arguments.every
    )
    print(json.dumps(machine()))
    with tempfile.TemporaryDirectory() as folder:
        {"lag": lag, "faults": faults, "soak": soak}[arguments.what](pipeline, arguments, Path(folder))


def lag(pipeline: Pipeline, arguments: argparse.Namespace, folder: Path) -> None:
    """Lag and drops in steady state."""
    stream = repeated(arguments.video, folder / "stream.mkv", arguments.seconds + 60)
    names = [f"cam{number}" for number in range(arguments.sources)]
    with RtspServer(dict.fromkeys(names, stream)) as server:
        options = LiveOptions(arguments.latency, max_seconds=arguments.seconds)
        begun = time.monotonic()
        run = pipeline.live([f"{name}={server.url(name)}" for name in names], options)
        next(run)
        print(f"first row after {time.monotonic() - begun:.2f} s")
        report(run)


def faults(pipeline: Pipeline, arguments: argparse.Namespace, folder: Path) -> None:
    """The server is killed after a third of the time, and comes back smaller and with losses."""
    stream = repeated(arguments.video, folder / "stream.mkv", arguments.seconds + 60)
    smaller = repeated(resized(arguments.video, folder / "small.mp4"), folder / "smaller.mkv", arguments.seconds + 60)
    server = RtspServer({"cam": stream})
    again = RtspServer({"cam": smaller}, port=server.port, loss=arguments.loss)
    begun = time.monotonic()

    def told(notice: LiveNotice) -> None:
        print(f"{time.monotonic() - begun:6.1f} s: {notice.kind}, {notice.text}")

    def break_it() -> None:
        time.sleep(arguments.seconds / 3)
        server.kill()
        time.sleep(5)
        again.start()

    with server:
        thread = threading.Thread(target=break_it)
        thread.start()
        options = LiveOptions(arguments.latency, max_seconds=arguments.seconds, transport="udp", lost_seconds=5)
        try:
            report(pipeline.live(f"cam={server.url('cam')}", options, on_notice=told), begun)
        finally:
            thread.join()
            again.kill()


def soak(pipeline: Pipeline, arguments: argparse.Namespace, folder: Path) -> None:
    """Memory, handles and threads over hours of video."""
    seconds = arguments.hours * 3600
    stream = repeated(arguments.video, folder / "stream.mkv", seconds)
    run = pipeline.live(stream, LiveOptions(arguments.latency, speed=arguments.speed))
    process, due = psutil.Process(), 0.0
    for keyframe in run:
        if keyframe.timestamp_seconds >= due:
            due += seconds / _SAMPLES
            mib = process.memory_info().rss / 2**20
            print(
                f"{keyframe.timestamp_seconds / 60:6.1f} min of video: {mib:7.1f} MiB, {process.num_fds()} handles, "
                f"{process.num_threads()} threads"
            )
    report(run)


def report(run: LiveRun, begun: float | None = None, show: Callable[[str], None] = print) -> None:
    """Run to the end, and print how each source did; ``begun``: also when rows came after a pause of more than 2 s."""
    last = time.monotonic()
    for _ in run:
        now = time.monotonic()
        if begun is not None and now - last > 2:
            show(f"{now - begun:6.1f} s: rows again, after {now - last:.1f} s without")
        last = now
    for status in run.status():
        values = {name: value for name, value in asdict(status).items() if value not in ("", False)}
        show(
            json.dumps({name: round(value, 3) if isinstance(value, float) else value for name, value in values.items()})
        )


def resized(video: Path, target: Path) -> Path:
    """A copy of half the size."""
    reader = VideoReader(video)
    size = reader.info.width // 4 * 2, reader.info.height // 4 * 2
    with VideoWriter(target, reader.info.average_fps) as writer:
        for frame in reader.decode():
            writer.write(frame.image(*size))
    return target


if __name__ == "__main__":
    av.logging.set_level(av.logging.PANIC)
    main()
