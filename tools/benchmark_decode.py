"""Time the reading of a video's clips, against bare PyAV loops that decode the same frames and resize those in use.

    python tools/benchmark_decode.py VIDEO [--every 1] [--seconds 10] [--runs 7]

The package's ``ClipSampler`` ("ours") cuts the clips of SlowFast 32x2 at short side 256 in one pass over the video and
looks for hard cuts; the bare loops keep nothing. All decode with one thread. There is a bare loop for each of the two
resize methods, since a loop with a cheaper resize would measure the resize instead of the reading:

- "swscale": FFmpeg's scaler resizes and converts to RGB in one pass.
- "opencv", the default of published configs: FFmpeg converts at full size, then ``ava_detect.video.transforms.resize``
  computes the same bits as OpenCV's resize (OpenCV itself is not a dependency).

The ratios are of CPU time, relative to the bare loop with FFmpeg's resize and to the one with the same resize.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import cast

import av
import numpy as np
from measuring import interleaved_medians, machine

from ava_detect.structures import ClipSettings, Resize
from ava_detect.structures.clip import keyframe_times
from ava_detect.video.clip_sampler import ClipSampler, grid_point
from ava_detect.video.reader import VideoReader
from ava_detect.video.transforms import resize as resize_as_opencv
from ava_detect.video.transforms import short_side_size

SETTINGS = ClipSettings()
NO_BOXES = np.zeros((0, 4), np.float32)
BARE = "bare, the same frames, {}"


def decode_bare(path: Path, seconds: float, step: int, resize: str) -> None:
    """Decode every frame up to ``seconds``; resize the frames of every ``step``-th grid point."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        size = short_side_size(stream.width, stream.height, SETTINGS.short_side)
        reformatter = av.video.reformatter.VideoReformatter()
        converted = size if resize == "swscale" else (stream.width, stream.height)
        for frame in container.decode(stream):
            if frame.time > seconds:
                return
            if grid_point(frame.time, SETTINGS.sampling_fps) % step == 0:
                image = reformatter.reformat(frame, *converted, format="rgb24", interpolation="AREA", threads=1)
                pixels = image.to_ndarray()
                if resize == "opencv":
                    resize_as_opencv(pixels[None], NO_BOXES, *size)


def sample_clips(path: Path, seconds: float, every_seconds: float, resize: str) -> None:
    """Cut the clip of every keyframe up to ``seconds``."""
    sampler = ClipSampler(
        VideoReader(path), ClipSettings(resize=cast(Resize, resize)), keyframe_images=False, find_shots=True
    )
    for _ in sampler.sample(takewhile(lambda time: time < seconds, keyframe_times(every_seconds))):
        pass


def main() -> None:
    """Parse the arguments, time the loops in alternation, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("--every", type=float, default=1.0)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--runs", type=int, default=7)
    arguments = parser.parse_args()
    video, seconds = arguments.video, arguments.seconds
    info = VideoReader(video).info
    calls = {
        BARE.format("swscale"): partial(decode_bare, video, seconds, SETTINGS.sampling_rate, "swscale"),
        BARE.format("opencv"): partial(decode_bare, video, seconds, SETTINGS.sampling_rate, "opencv"),
        "bare, every frame, swscale": partial(decode_bare, video, seconds, 1, "swscale"),
        "ours, swscale": partial(sample_clips, video, seconds, arguments.every, "swscale"),
        "ours, opencv": partial(sample_clips, video, seconds, arguments.every, "opencv"),
    }
    medians = interleaved_medians(calls, arguments.runs)
    print(
        f"{video.name}, {info.width}x{info.height} {info.codec}, {seconds:g} s, a keyframe every {arguments.every:g} s"
    )
    print(f"{machine()}; medians of {arguments.runs} runs; seconds")
    print_rows(medians)


def print_rows(medians: Mapping[str, tuple[float, float]]) -> None:
    """Print wall and CPU seconds and the ratios of CPU time, by loop."""
    print(f"{'loop':<30} {'wall':>6} {'CPU':>6} {'to bare with swscale':>21} {'with the same resize':>21}")
    for name, (wall, cpu) in medians.items():
        same = BARE.format("opencv" if name.endswith("opencv") else "swscale")
        print(f"{name:<30} {wall:6.2f} {cpu:6.2f} {cpu / medians[BARE.format('swscale')][1]:21.2f}", end="")
        print(f" {cpu / medians[same][1]:21.2f}")


if __name__ == "__main__":
    main()
