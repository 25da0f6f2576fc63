"""Time video-mAP and frame-mAP of random sets of real size beside the published programs.

    python tools/benchmark_video_map.py PEERS [--size jhmdb multisports] [--dialect multisports act] [--runs 3]

PEERS is as for ``check_video_map.py``. What papers report is computed: video-mAP at 0.2, 0.5, 0.75 and over 0.50:0.95,
and frame-mAP at 0.5. Both start from tubes and boxes in memory: the time in which the published programs read their
files, anew for each threshold, is taken off. They run by turns; seconds are those of the processor, memory is the
growth of the peak in a child process that makes one run of each, at 0.5 alone. The values must agree to 1e-9 percent.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from measuring import machine, peak_megabytes
from video_map.peers import Act, MultiSports, path_of
from video_map.random_sets import RandomSet, random_set

from ava_detect.evaluation.video_map_result import AVERAGES

SIZES = {
    "jhmdb": {"num_videos": 268, "num_labels": 21, "num_frames": (15, 40), "tubes_per_video": 2},
    "multisports": {"num_videos": 555, "num_labels": 66, "num_frames": (200, 1200), "tubes_per_video": 35},
}
DETECTIONS_PER_TUBE = {"jhmdb": 150, "multisports": 2}
VIDEO_THRESHOLDS = tuple(dict.fromkeys([0.2, 0.5, 0.75, *AVERAGES["0.50:0.95"]]))
_LARGEST_DIFFERENCE = 1e-9  # percent


def timed(call: Callable[[], list[float]]) -> tuple[list[float], float]:
    """The values of a call and its processor seconds."""
    start = time.process_time()
    values = call()
    return values, time.process_time() - start


def ours(found: RandomSet, peer: MultiSports | Act, thresholds: tuple[float, ...]) -> list[float]:
    """All values by this package, percent."""
    metric = found.metric(peer.dialect)
    results = [*metric.compute_at(thresholds, "video"), *metric.compute_at((0.5,), "frame")]
    return [100 * result.mAP for result in results]


def theirs(evaluate: Any, thresholds: tuple[float, ...]) -> list[float]:
    """All values by the published program, percent."""
    return [*(evaluate("video", one) for one in thresholds), evaluate("frame", 0.5)]


def of_child(call: Callable[[], list[float]]) -> float:
    """The growth of the peak memory of a child process that makes a call, megabytes."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=lambda: sender.send(peak_megabytes(call)))
    process.start()
    megabytes: float = receiver.recv()
    process.join()
    return megabytes


def compare(size: str, made: RandomSet, peer: MultiSports | Act, runs: int) -> None:
    """Print one line."""
    found = made.with_truth_only()
    num_tubes = sum(map(len, found.tubes.values()))
    print(f"{size}, dialect {peer.dialect}: {len(found.rows):,} boxes, {num_tubes:,} tubes", flush=True)
    own, other, worst = [], [], 0.0
    with peer.evaluator(found) as evaluate:
        # First, while the process holds no memory of earlier runs.
        memory = [
            of_child(lambda: ours(found, peer, (0.5,))),
            of_child(lambda: theirs(evaluate, (0.5,))),
        ]
        for _ in range(runs):
            values, seconds = timed(lambda: ours(found, peer, VIDEO_THRESHOLDS))
            own.append(seconds)
            before = peer.reading_seconds
            references, seconds = timed(lambda: theirs(evaluate, VIDEO_THRESHOLDS))
            other.append(seconds - (peer.reading_seconds - before))
            worst = max(worst, *(abs(a - b) for a, b in zip(values, references, strict=True)))
    print(
        f"  ours {median(own):.2f} s, theirs {median(other):.2f} s: {median(other) / median(own):.1f}x; memory "
        f"{memory[0]:.0f} MB and {memory[1]:.0f} MB; largest difference {worst:.1e}",
        flush=True,
    )
    if worst > _LARGEST_DIFFERENCE:
        raise SystemExit("the values differ")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peers", type=Path)
    parser.add_argument("--size", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--dialect", nargs="+", choices=("multisports", "act"), default=["multisports", "act"])
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    peers = (
        MultiSports(path_of(arguments.peers, "evaluate_multisports.py")),
        Act(path_of(arguments.peers, "src/ACT.py").parent),
    )
    print(machine())
    for size in arguments.size:
        made = random_set(1, detections_per_tube=DETECTIONS_PER_TUBE[size], **SIZES[size])
        for peer in peers:
            if peer.dialect in arguments.dialect:
                compare(size, made, peer, arguments.runs)


if __name__ == "__main__":
    main()
