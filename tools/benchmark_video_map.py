"""Time video-mAP and frame-mAP of random sets of real size beside the published programs.

    python tools/benchmark_video_map.py PEERS [--size jhmdb multisports] [--runs 3]

PEERS is as for ``check_video_map.py``. What papers report is computed: video-mAP at 0.2, 0.5, 0.75 and over 0.50:0.95,
and frame-mAP at 0.5. Both start from tubes and boxes in memory, by turns; seconds are those of the processor.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median

from measuring import machine
from video_map.peers import Act, MultiSports, path_of
from video_map.random_sets import RandomSet, random_set

from ava_detect.evaluation.video_map_result import AVERAGES

SIZES = {
    "jhmdb": {"num_videos": 268, "num_labels": 21, "num_frames": (15, 40), "tubes_per_video": 2},
    "multisports": {"num_videos": 555, "num_labels": 66, "num_frames": (200, 1200), "tubes_per_video": 35},
}
DETECTIONS_PER_TUBE = {"jhmdb": 150, "multisports": 2}
VIDEO_THRESHOLDS = tuple(dict.fromkeys([0.2, 0.5, 0.75, *AVERAGES["0.50:0.95"]]))


def seconds_of(call: Callable[[], object]) -> float:
    """Processor seconds of a call."""
    start = time.process_time()
    call()
    return time.process_time() - start


def ours(found: RandomSet, peer: MultiSports | Act) -> None:
    """All values by this package."""
    metric = found.metric(peer.dialect)
    metric.compute_at(VIDEO_THRESHOLDS, "video")
    metric.compute_at((0.5,), "frame")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peers", type=Path)
    parser.add_argument("--size", nargs="+", choices=SIZES, default=list(SIZES))
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
            found = made.with_truth_only()
            num_tubes = sum(map(len, found.tubes.values()))
            print(f"{size}, dialect {peer.dialect}: {len(found.rows):,} boxes, {num_tubes:,} tubes")
            own, theirs = [], []
            with peer.evaluator(found) as evaluate:
                for _ in range(arguments.runs):
                    own.append(seconds_of(lambda found=found, peer=peer: ours(found, peer)))
                    theirs.append(
                        seconds_of(
                            lambda evaluate=evaluate: [
                                *(evaluate("video", one) for one in VIDEO_THRESHOLDS),
                                evaluate("frame", 0.5),
                            ]
                        )
                    )
            print(
                f"  ours {median(own):.2f} s, theirs {median(theirs):.2f} s: {median(theirs) / median(own):.1f}x",
                flush=True,
            )


if __name__ == "__main__":
    main()
