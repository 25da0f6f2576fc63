"""A video from file to scores, against the straightforward way of doing it.

    python tools/benchmark_annotate.py VIDEO [--config slowfast_r50_32x2] [--seconds 20] [--runs 7]
    python tools/benchmark_annotate.py VIDEO --memory 1 10 60 [--precision bf16] [--every 1]

The straightforward way, as one writes it in an afternoon: read all frames; then, for each keyframe, cut out its 32
frames, resize them with torchvision, normalise, and run the network as it is defined, in fp32. It holds every frame of
the piece of video in memory at full size, so the piece is short. The boxes (three people, always the same) and the
keyframes, one a second, are the same in all ways; "alone" are the stages of the last way, each by itself.

``--memory`` loops the video to so many minutes, annotates each with ``annotate_videos`` in a process of its own, and
prints the peak of its memory beside that of a process that only imports.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from itertools import count, takewhile
from pathlib import Path

import av
import numpy as np
import torch
from measuring import by_turns, machine
from torchvision.transforms.v2 import functional

from ava_detect.build import build_model
from ava_detect.config import load_config
from ava_detect.formats.ava_csv import AvaTable, write_ava_table
from ava_detect.models.action_detector import ActionDetector
from ava_detect.models.execution import Precision
from ava_detect.pipeline import Pipeline
from ava_detect.structures import Frame, PersonBoxes
from ava_detect.video.clips import ClipSampler, clip_grid_points
from ava_detect.video.reader import VideoReader

PEOPLE = np.array([[0.05, 0.1, 0.3, 0.95], [0.35, 0.2, 0.6, 0.9], [0.5, 0.05, 0.95, 1.0]], np.float32)


class SamePeople:
    """Finds the same three people everywhere, without looking."""

    name, needs_images = "same", False

    def __call__(self, frames: list[Frame]) -> list[PersonBoxes]:
        """Boxes in pixels of each frame."""
        sizes = [np.array([*frame.image.shape[1::-1]] * 2, np.float32) for frame in frames]
        return [PersonBoxes(PEOPLE * size, np.ones(len(PEOPLE), np.float32)) for size in sizes]


def straightforward(path: Path, model: ActionDetector, times: list[float]) -> None:
    """Everything decoded first, every clip by itself. A frame is taken for a grid point, as its authors would."""
    settings = model.clip_settings
    with av.open(str(path)) as container:
        frames = []
        for frame in container.decode(video=0):
            if frame.time > times[-1] + settings.num_frames * settings.sampling_rate / 2 / settings.sampling_fps:
                break
            frames.append(frame.to_ndarray(format="rgb24"))
    for seconds in times:
        points = np.clip(clip_grid_points(seconds, settings), 0, len(frames) - 1)
        pixels = torch.from_numpy(np.stack([frames[i] for i in points])).movedim(-1, 1)  # [T, 3, H, W]
        pixels = functional.resize(pixels, [settings.short_side], antialias=False)
        clip = functional.normalize(pixels.float() / 255, list(settings.mean), list(settings.std)).movedim(0, 1)
        height, width = clip.shape[2:]
        rois = torch.from_numpy(np.insert(PEOPLE * np.array([width, height] * 2, np.float32), 0, 0, axis=1))
        with torch.inference_mode():
            model(clip[None], rois).sigmoid().numpy()


def compare(video: Path, config: str, seconds: float, runs: int) -> None:
    model = build_model(load_config(config))
    assert isinstance(model, ActionDetector), "name the config of a detector"
    times = list(takewhile(lambda time: time < seconds, count()))
    precisions: tuple[Precision, ...] = ("fp32", "bf16")
    pipelines = {p: Pipeline(SamePeople(), model, precision=p) for p in precisions}
    clips = [k.clip for k in ClipSampler(VideoReader(video), model.clip_settings, keyframe_images=False).sample(times)]
    people = [PersonBoxes(PEOPLE * np.array([c.width, c.height] * 2, np.float32), np.ones(3)) for c in clips]
    ways: dict[str, Callable[[], object]] = {"straightforward": partial(straightforward, video, model, times)}
    for precision, pipeline in pipelines.items():
        ways[f"annotate {precision}"] = lambda pipeline=pipeline: list(pipeline(video, at_seconds=times))
        ways[f"alone: score {precision}"] = lambda pipeline=pipeline: pipeline.score(clips, people)
    ways["alone: decode"] = lambda: list(
        ClipSampler(VideoReader(video), model.clip_settings, keyframe_images=False, find_shots=True).sample(times)
    )
    for pipeline in pipelines.values():
        list(pipeline(video, at_seconds=times[:1]))  # weights are put in order at the first call
    medians = by_turns(ways, runs)
    print(f"{video.name}, {len(times)} keyframes, {config}; {machine()}; medians of {runs} runs by turns; seconds")
    print("way                    wall     CPU  ratio  CPU ratio  wall a keyframe")
    first = medians["straightforward"]
    for name, (wall, cpu) in medians.items():
        print(
            f"{name:<18} {wall:8.2f} {cpu:7.2f} {first[0] / wall:6.2f} {first[1] / cpu:10.2f} {wall / len(times):16.3f}"
        )


def looped(video: Path, minutes: float, target: Path) -> Path:
    """The packets of ``video`` again and again; nothing is encoded anew."""
    with av.open(str(video)) as source, av.open(str(target), "w") as out:
        stream = source.streams.video[0]
        copy = out.add_stream_from_template(stream)
        packets = [p for p in source.demux(stream) if p.dts is not None and p.pts is not None]
        first, length = min(p.dts for p in packets), stream.duration
        end = minutes * 60 / stream.time_base
        for turn in count():
            if turn * length >= end:
                return target
            source.seek(0)
            for packet in source.demux(stream):
                if packet.dts is None:
                    continue
                packet.dts += turn * length - first
                packet.pts += turn * length - first
                packet.stream = copy
                out.mux(packet)
    raise AssertionError("count() has no end")


def memory(video: Path, config: str, minutes: list[float], precision: str, every: float) -> None:
    print(f"{video.name}, {config}, {precision}, a keyframe every {every:g} s; {machine()}; peak memory, MiB")
    print(f"{'imports alone':<14} {_peak_of('import', precision=precision):8.0f}")
    for length in minutes:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            long = looped(video, length, folder / "long.mp4")
            times = np.repeat(np.arange(0, int(60 * length) + 1), len(PEOPLE))
            table = AvaTable.from_columns(["long"] * len(times), times, np.tile(PEOPLE, (len(times) // len(PEOPLE), 1)))
            write_ava_table(folder / "boxes.csv", table)
            peak = _peak_of("annotate", str(long), name, config, str(every), precision=precision)
            print(f"{length:g} min{'':<8} {peak:8.0f}", flush=True)


def _peak_of(*arguments: str, precision: str) -> float:
    call = [sys.executable, __file__, "--child", precision, *arguments]
    done = subprocess.run(call, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def child(precision: str, job: str, *arguments: str) -> None:
    from ava_detect.annotate import annotate_videos

    if job == "annotate":
        video, folder, config, every = arguments
        summary = annotate_videos(
            video,
            Path(folder) / "out",
            config=config,
            weights="random",
            boxes=Path(folder) / "boxes.csv",
            precision=precision,
            every_seconds=float(every),
        )
        assert summary.all_well and summary.videos[0].num_people > 0, "the video could not be annotated"
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10))


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("--config", default="slowfast_r50_32x2")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--memory", type=float, nargs="+", metavar="MINUTES")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="bf16")
    parser.add_argument("--every", type=float, default=1.0)
    arguments = parser.parse_args()
    if arguments.memory:
        memory(arguments.video, arguments.config, arguments.memory, arguments.precision, arguments.every)
    else:
        compare(arguments.video, arguments.config, arguments.seconds, arguments.runs)


if __name__ == "__main__":
    main()
