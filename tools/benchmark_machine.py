"""Measure what a user decides by: minutes of video an hour, and memory, for networks and precisions on this machine.

    python tools/benchmark_machine.py [--configs demo slowfast_r50_32x2 umt_vit_b] [--precisions fp32 bf16]
    python tools/benchmark_machine.py --device cuda            # the rows of docs/performance.md for a GPU
    python tools/benchmark_machine.py VIDEO                    # a video of your own instead of a rendered one

Each row is ``annotate`` in a process of its own with the detector of the config, random weights and a keyframe a
second. The rate is taken between the third second of the video and the last keyframe, so loading is not in it: over an
hour it hardly counts. Memory is the peak of the process. The rendered video has 640x360 pixels and people on nearly
every keyframe; keyframes without people cost no time in the network, so the table says on how many there were some.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measuring import machine, precisions_of

from ava_detect.config import load_config
from ava_detect.datasets.synthetic.world import WorldSettings, write_world
from ava_detect.errors import ConfigError
from ava_detect.models.network_options import resolve_device
from ava_detect.structures.progress import Progress

_FIRST_SECOND = 3.0
_HEADER = """\
| network | precision | minutes of video in an hour | memory, MiB | keyframes with people |
| --- | --- | --- | --- | --- |"""


def main() -> None:
    """Parse the arguments, and print the table."""
    if sys.argv[1:2] == ["--child"]:
        run_child(*sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path, nargs="?")
    parser.add_argument("--configs", nargs="+", default=["demo", "slowfast_r50_32x2", "umt_vit_b"])
    parser.add_argument(
        "--precisions", choices=("fp32", "bf16"), nargs="+", help="by default those that the device computes in"
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="cpu")
    parser.add_argument("--seconds", type=int, default=40, help="of the rendered video")
    arguments = parser.parse_args()
    try:
        device = resolve_device(arguments.device)
        for config in arguments.configs:
            load_config(config)
    except ConfigError as error:
        parser.error(str(error))
    can = precisions_of(device)
    precisions = arguments.precisions or can
    if missing := set(precisions) - set(can):
        # The rows would be of fp32, which runs instead.
        parser.error(f"--precisions {' '.join(missing)}: this device computes in {' and '.join(can)}")
    with tempfile.TemporaryDirectory() as name:
        folder, video = Path(name), arguments.video
        if video is None:
            write_world(folder / "world", WorldSettings(0, 1, arguments.seconds))
            (video,) = (folder / "world" / "videos").iterdir()
        print(f"{video.name}; {machine(device)}\n\n{_HEADER}")
        for config in arguments.configs:
            for precision in precisions:
                print(row(video, folder / f"{config} {precision}", config, precision, device), flush=True)


def row(video: Path, out: Path, config: str, precision: str, device: str) -> str:
    """Annotate in a fresh process; a row of the table."""
    call = [sys.executable, __file__, "--child", str(video), str(out), config, precision, device]
    done = subprocess.run(call, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)  # the process has said why
    result = json.loads(done.stdout.splitlines()[-1])
    minutes = 60 * result["seconds_of_video"] / result["seconds"]
    people = f"{result['with_people']} of {result['keyframes']}"
    return f"| `{config}` | {precision} | {minutes:.0f} | {result['peak_mib']:.0f} | {people} |"


def run_child(video: str, out: str, config: str, precision: str, device: str) -> None:
    """Annotate, and print the rate and the memory as JSON."""
    from ava_detect.annotation.annotate import annotate_videos

    reports: list[tuple[float, float]] = []

    def progress(now: Progress) -> None:
        if now.name and now.position_seconds >= _FIRST_SECOND:
            reports.append((time.perf_counter(), now.position_seconds))

    summary = annotate_videos(
        video, out, config=config, weights="random", precision=precision, device=device, on_progress=progress
    )
    if not summary.all_well:
        raise SystemExit(f"{video} could not be annotated: {summary.videos[0]}")
    if len(reports) < 2:
        raise SystemExit(f"{video} is too short: its keyframes must go beyond {_FIRST_SECOND:g} s")
    (results,) = summary.results()
    (began, first), (ended, last) = reports[0], reports[-1]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)
    result = {
        "seconds": ended - began,
        "seconds_of_video": last - first,
        "peak_mib": peak,
        "keyframes": summary.videos[0].num_keyframes,
        "with_people": len({keyframe.timestamp_seconds for keyframe in results if len(keyframe)}),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
