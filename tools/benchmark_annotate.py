"""Time the way of a video from file to scores, against a straightforward implementation.

    python tools/benchmark_annotate.py VIDEO [--config slowfast_r50_32x2] [--seconds 20] [--runs 7]
    python tools/benchmark_annotate.py VIDEO --minutes 10 --precisions bf16 --runs 3
    python tools/benchmark_annotate.py VIDEO --memory 1 10 60 [--precisions bf16] [--every 1]

The straightforward implementation reads all frames; then, for each keyframe, it takes the clip's 32 frames, resizes
them with torchvision, normalises them, and runs the network's definition in fp32. The boxes (three people, always the
same) and the keyframes (one per second) are the same in all variants. The rows "alone" time the pipeline's stages
separately, in the same run. The network is timed in two ways: clips in sequence, each with all threads, and clips in
parallel, each with a share of the threads. The last lines compare ``annotate`` with the slowest stage, taking the
faster of the two.

``--minutes`` loops the video to that length. The pipeline then annotates all of it. The straightforward implementation
reads every frame, but computes ``--sample`` evenly spread keyframes only, and that time is scaled up; so is scoring
alone. It keeps the frames of those keyframes only: all frames, 2.6 MiB each at 720p, would not fit into memory.

``--memory`` loops the video to each of the given lengths in minutes, annotates it with ``annotate_videos`` in a
separate process, and prints the peak memory of that process beside that of a process that only imports.

Shapes: T frames, H height, W width, N people.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import count, takewhile
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import torch
from measuring import interleaved_medians, machine
from torchvision.transforms.v2 import functional

from ava_detect.config import load_config
from ava_detect.config.build import build_model, label_map_of
from ava_detect.formats.ava_csv import AvaTable, write_ava_table
from ava_detect.inference.pipeline import Pipeline
from ava_detect.inference.prefetch import ordered_map
from ava_detect.inference.scorer import ClipScorer, Scorer
from ava_detect.models.action_detector import ActionDetector, require_detector
from ava_detect.models.network_options import Precision
from ava_detect.structures import Clip, Frame, PersonBoxes
from ava_detect.structures.clip import keyframe_times
from ava_detect.video.clip_sampler import ClipSampler, clip_grid_points
from ava_detect.video.reader import VideoReader

# Boxes [N, 4] in fractions of the frame.
PEOPLE = np.array([[0.05, 0.1, 0.3, 0.95], [0.35, 0.2, 0.6, 0.9], [0.5, 0.05, 0.95, 1.0]], np.float32)


class SamePeople:
    """A detector that returns the same three people on every frame."""

    name, needs_images = "same", False

    def __call__(self, frames: list[Frame]) -> list[PersonBoxes]:
        """Return the boxes in pixels of each frame."""
        sizes = [np.array([*frame.image.shape[1::-1]] * 2, np.float32) for frame in frames]
        return [PersonBoxes(PEOPLE * size, np.ones(len(PEOPLE), np.float32)) for size in sizes]


class Straightforward:
    """The straightforward implementation: decode everything first, then compute clip by clip.

    Frame numbers are used as grid points, which is right for a video of constant frame rate.

    Args:
        path: The video.
        model: The network.
        times: The keyframes to compute, seconds.
        until: The last keyframe of the video, seconds; frames are read up to the end of its clip.
    """

    def __init__(self, path: Path, model: ActionDetector, times: list[float], until: float) -> None:
        self._path, self._model, self._times = path, model, times
        settings = model.clip_settings
        self._end = until + settings.span_seconds - settings.seconds_before_keyframe
        self._wanted = {max(point, 0) for time in times for point in clip_grid_points(time, settings)}
        self._frames: dict[int, npt.NDArray[np.uint8]] = {}
        self._last = 0

    def read(self) -> None:
        """Decode every frame at full size; keep those that the clips need."""
        with av.open(str(self._path)) as container:
            for number, frame in enumerate(container.decode(video=0)):
                if frame.time > self._end:
                    break
                pixels, self._last = frame.to_ndarray(format="rgb24"), number
                if number in self._wanted:
                    self._frames[number] = pixels
        self._frames[self._last] = pixels

    def compute(self) -> None:
        """Compute the scores of each keyframe from the frames that were read."""
        settings = self._model.clip_settings
        for seconds in self._times:
            # Frame numbers of the clip; those beyond the ends of the video repeat the first or last frame.
            points = np.clip(clip_grid_points(seconds, settings), 0, self._last)  # [T]
            pixels = torch.from_numpy(np.stack([self._frames[i] for i in points])).movedim(-1, 1)  # [T, 3, H, W]
            pixels = functional.resize(pixels, [settings.short_side], antialias=False)
            clip = functional.normalize(pixels.float() / 255, list(settings.mean), list(settings.std)).movedim(
                0, 1
            )  # [3, T, H, W]
            height, width = clip.shape[2:]
            rois = torch.from_numpy(
                np.insert(PEOPLE * np.array([width, height] * 2, np.float32), 0, 0, axis=1)
            )  # [N, 5]
            with torch.inference_mode():
                self._model(clip[None], rois).sigmoid().numpy()


def compare(
    video: Path, config: str, seconds: float, sample: int, precisions: Sequence[Precision], resize: str, runs: int
) -> None:
    """Time all variants in alternation and print the table.

    Args:
        video: The video.
        config: Name or file of a detector's config.
        seconds: Length to annotate, seconds.
        sample: Number of keyframes that the straightforward implementation computes; 0 for all.
        precisions: Precisions of the pipeline.
        resize: The config's ``clip.resize`` to use; empty for its own.
        runs: Number of timed runs per variant.
    """
    loaded = load_config(config, [f"clip.resize={resize}"] if resize else [])
    model = require_detector(build_model(loaded))
    times = list(takewhile(lambda time: time < seconds, keyframe_times(1.0)))
    stride = max(1, len(times) // sample) if sample else 1
    sampled = times[::stride]
    scale = len(times) / len(sampled)
    label_map = label_map_of(loaded)
    pipelines = {p: Pipeline(SamePeople(), Scorer(model, precision=p), label_map=label_map) for p in precisions}
    reader = VideoReader(video)
    clips = [k.clip for k in ClipSampler(reader, model.clip_settings, keyframe_images=False).sample(sampled)]
    people = [PersonBoxes(PEOPLE * np.array([c.width, c.height] * 2, np.float32), np.ones(3)) for c in clips]
    plain = Straightforward(video, model, sampled, times[-1])
    calls: dict[str, Callable[[], object]] = {"read": plain.read, "compute": plain.compute}
    for precision, pipeline in pipelines.items():
        list(pipeline(video, at_seconds=times[:1]))  # the first call reorders the weights
        calls[f"annotate {precision}"] = lambda pipeline=pipeline: list(pipeline(video, at_seconds=times))
        for order, call in (("in sequence", _score_in_sequence), ("in parallel", _score_in_parallel)):
            calls[f"alone: score {precision}, {order}"] = partial(call, pipeline.scorer, clips, people)
    calls["alone: decode"] = partial(_decode, reader, model, times)
    medians = interleaved_medians(calls, runs)
    read, compute = medians.pop("read"), medians.pop("compute")
    # (wall, CPU) seconds of each variant for all keyframes.
    rows = {"straightforward": tuple(a + scale * b for a, b in zip(read, compute, strict=True))}
    for name, pair in medians.items():
        rows[name] = tuple(scale * s for s in pair) if name.startswith("alone: score") else pair
    print(f"{video.name}, {len(times)} keyframes, {config}, resize {model.clip_settings.resize}; {machine()}")
    print(f"medians of {runs} runs; seconds")
    if scale > 1:
        print(
            f"straightforward: all frames read in {read[0]:.1f}, then {len(sampled)} of {len(times)} keyframes in "
            f"{compute[0]:.1f}, times {scale:.1f}; scoring alone is scaled likewise"
        )
    _print_rows(rows, len(times))
    for precision in precisions:
        _print_overlap(rows, precision)


def _decode(reader: VideoReader, model: ActionDetector, times: list[float]) -> None:
    for _ in ClipSampler(reader, model.clip_settings, keyframe_images=False, find_shots=True).sample(times):
        pass


def _score_in_sequence(scorer: ClipScorer, clips: list[Clip], people: list[PersonBoxes]) -> None:
    """Score one clip after the other, each with all of PyTorch's threads."""
    for clip, boxes in zip(clips, people, strict=True):
        scorer.score([clip], [boxes])


def _score_in_parallel(scorer: ClipScorer, clips: list[Clip], people: list[PersonBoxes]) -> None:
    """Score several clips concurrently, each with a share of the threads, as a pipeline does."""

    def score(pair: tuple[Clip, PersonBoxes]) -> object:
        return scorer.score([pair[0]], [pair[1]])

    for _ in ordered_map(score, zip(clips, people, strict=True), scorer.calls_at_once, scorer.start_thread):
        pass


def _print_rows(rows: Mapping[str, tuple[float, ...]], keyframes: int) -> None:
    print(f"{'variant':<32} {'wall':>8} {'CPU':>7} {'ratio':>6} {'CPU ratio':>10} {'wall a keyframe':>16}")
    base = rows["straightforward"]
    for name, (wall, cpu) in rows.items():
        print(f"{name:<32} {wall:8.2f} {cpu:7.2f} {base[0] / wall:6.2f} {base[1] / cpu:10.2f} {wall / keyframes:16.3f}")


def _print_overlap(rows: Mapping[str, tuple[float, ...]], precision: str) -> None:
    """Print how the pipeline's time compares with its slowest stage, and with the CPU time of all stages."""
    wall, cpu = rows[f"annotate {precision}"]
    network = min(
        (name for name in rows if name.startswith(f"alone: score {precision}")), key=lambda name: rows[name][0]
    )
    stages = {name: rows[name] for name in (network, "alone: decode")}
    slowest = max(stages, key=lambda name: stages[name][0])
    stages_cpu, threads = sum(stage[1] for stage in stages.values()), torch.get_num_threads()
    print(
        f"annotate {precision}: {wall / stages[slowest][0]:.2f} times the slowest stage ({slowest}); its CPU time is "
        f"{cpu / stages_cpu:.2f} times that of its stages, which would fill {threads} cores for "
        f"{stages_cpu / threads:.2f} s, {stages_cpu / threads / stages[slowest][0]:.2f} times the slowest stage"
    )


def loop_video(video: Path, minutes: float, target: Path) -> Path:
    """Repeat the packets of ``video`` up to a length of ``minutes``, without encoding; return ``target``."""
    with av.open(str(video)) as source, av.open(str(target), "w") as out:
        stream = source.streams.video[0]
        copy = out.add_stream_from_template(stream)
        packets = [p for p in source.demux(stream) if p.dts is not None and p.pts is not None]
        # All in units of the stream's time base.
        first, length = min(p.dts for p in packets), stream.duration
        end = minutes * 60 / stream.time_base
        for repeat in count():
            if repeat * length >= end:
                return target
            source.seek(0)
            for packet in source.demux(stream):
                if packet.dts is None:
                    continue
                packet.dts += repeat * length - first
                packet.pts += repeat * length - first
                packet.stream = copy
                out.mux(packet)
    raise AssertionError("count() has no end")


def measure_memory(video: Path, config: str, minutes: list[float], precision: str, every_seconds: float) -> None:
    """Print the peak memory of ``annotate_videos`` for each length of the video."""
    print(f"{video.name}, {config}, {precision}, a keyframe every {every_seconds:g} s; {machine()}; peak memory, MiB")
    print(f"{'imports alone':<14} {_peak_of('import', precision=precision):8.0f}")
    for length in minutes:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            long = loop_video(video, length, folder / "long.mp4")
            # One row per keyframe and person.
            times = np.repeat(np.arange(0, int(60 * length) + 1), len(PEOPLE))
            table = AvaTable.from_columns(["long"] * len(times), times, np.tile(PEOPLE, (len(times) // len(PEOPLE), 1)))
            write_ava_table(folder / "boxes.csv", table)
            peak = _peak_of("annotate", str(long), name, config, str(every_seconds), precision=precision)
            print(f"{length:g} min{'':<8} {peak:8.0f}", flush=True)


def _peak_of(*arguments: str, precision: str) -> float:
    """The peak memory in MiB of a child process of this script."""
    call = [sys.executable, __file__, "--child", precision, *arguments]
    done = subprocess.run(call, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def run_child(precision: str, job: str, *arguments: str) -> None:
    """Do the job of a child process, ``import`` or ``annotate``, and print the peak of its memory in MiB."""
    from ava_detect.annotation.annotate import annotate_videos

    if job == "annotate":
        video, folder, config, every_seconds = arguments
        summary = annotate_videos(
            video,
            Path(folder) / "out",
            config=config,
            weights="random",
            boxes=Path(folder) / "boxes.csv",
            precision=precision,
            every_seconds=float(every_seconds),
        )
        assert summary.all_well and summary.videos[0].num_boxes > 0, "the video could not be annotated"
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10))


def main() -> None:
    """Parse the arguments and run the comparison or the measurement of memory."""
    if sys.argv[1:2] == ["--child"]:
        run_child(*sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("--config", default="slowfast_r50_32x2")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--minutes", type=float, help="loop the video to this length, instead of --seconds")
    parser.add_argument(
        "--sample", type=int, default=30, help="keyframes of the straightforward implementation, at most"
    )
    parser.add_argument("--resize", choices=("opencv", "swscale"), help="instead of the config's")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--memory", type=float, nargs="+", metavar="MINUTES")
    parser.add_argument("--precisions", choices=("fp32", "bf16"), nargs="+", default=["fp32", "bf16"])
    parser.add_argument("--every", type=float, default=1.0)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    if arguments.memory:
        for precision in arguments.precisions:
            measure_memory(arguments.video, arguments.config, arguments.memory, precision, arguments.every)
        return
    options = arguments.sample, arguments.precisions, arguments.resize, arguments.runs
    if not arguments.minutes:
        compare(arguments.video, arguments.config, arguments.seconds, *options)
        return
    with tempfile.TemporaryDirectory() as name:
        long = loop_video(arguments.video, arguments.minutes, Path(name) / f"{arguments.video.stem}_looped.mp4")
        compare(long, arguments.config, 60 * arguments.minutes, *options)


if __name__ == "__main__":
    main()
