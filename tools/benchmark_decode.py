"""What reading a video's clips costs, against a bare PyAV loop that decodes the same frames and resizes those in use.

    python tools/benchmark_decode.py VIDEO [--every 1] [--seconds 30] [--runs 7]

Ours cuts the clips of SlowFast 32x2 at short side 256 out of one pass, looks for hard cuts, and gives times and
boxes' sizes; the bare loop keeps nothing. Both decode with one thread. "opencv" resizes as OpenCV does, to the bit.
"""

from __future__ import annotations

import argparse
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import cast

import av
from measuring import by_turns, machine

from ava_detect.structures import ClipSettings, Resize
from ava_detect.video.clips import ClipSampler, grid_point, keyframe_times
from ava_detect.video.reader import VideoReader
from ava_detect.video.transforms import short_side_size

SETTINGS = ClipSettings()


def bare(path: Path, seconds: float, step: int) -> None:
    """Decode every frame, resize every ``step``-th grid point's."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        size = short_side_size(stream.width, stream.height, SETTINGS.short_side)
        reformatter = av.video.reformatter.VideoReformatter()
        for frame in container.decode(stream):
            if frame.time > seconds:
                return
            if grid_point(frame.time, SETTINGS.sampling_fps) % step == 0:
                reformatter.reformat(frame, *size, format="rgb24", interpolation="AREA", threads=1).to_ndarray()


def ours(path: Path, seconds: float, every: float, resize: str) -> None:
    """Every clip, one after the other."""
    sampler = ClipSampler(
        VideoReader(path), ClipSettings(resize=cast(Resize, resize)), keyframe_images=False, find_shots=True
    )
    for _ in sampler.sample(takewhile(lambda time: time < seconds, keyframe_times(every))):
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("--every", type=float, default=1.0)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--runs", type=int, default=7)
    arguments = parser.parse_args()
    video, seconds = arguments.video, arguments.seconds
    info = VideoReader(video).info
    ways = {
        "bare, the same frames resized": partial(bare, video, seconds, SETTINGS.sampling_rate),
        "bare, every frame resized": partial(bare, video, seconds, 1),
        "ours, swscale": partial(ours, video, seconds, arguments.every, "swscale"),
        "ours, opencv": partial(ours, video, seconds, arguments.every, "opencv"),
    }
    medians = by_turns(ways, arguments.runs)
    print(
        f"{video.name}, {info.width}x{info.height} {info.codec}, {seconds:g} s, a keyframe every {arguments.every:g} s"
    )
    print(f"{machine()}; medians of {arguments.runs} runs by turns; seconds")
    print("way                              wall    CPU  CPU ratio")
    least = medians["bare, the same frames resized"][1]
    for name, (wall, cpu) in medians.items():
        print(f"{name:<30} {wall:6.2f} {cpu:6.2f} {cpu / least:10.2f}")


if __name__ == "__main__":
    main()
