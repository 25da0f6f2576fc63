"""Compare video-mAP, frame-mAP and linking with the published code, on random sets.

    python tools/check_video_map.py PEERS [--sets 200]

PEERS is a folder with copies of the repositories MCG-NJU/MultiSports, MCG-NJU/MOC-Detector and, for the linking,
open-mmlab/mmaction2; none of their code is part of this project. Every third set has many equal scores.
"""

from __future__ import annotations

import argparse
import math
import warnings
from pathlib import Path

import numpy as np
from video_map.peers import Act, Linking, MultiSports, path_of
from video_map.random_sets import RandomSet, random_set

from ava_detect.structures.tube_linking import TubeLinking, link_boxes

THRESHOLDS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.6, 0.75, 0.95)
_MIN_LENGTH = 6


def compare(peer: MultiSports | Act, found: RandomSet) -> tuple[float, int]:
    """The largest difference of a mAP in percent, and the number of values compared."""
    metric = found.metric(peer.dialect)
    worst, count = 0.0, 0
    with peer.evaluator(found) as evaluate:
        for name in ("video", "frame"):
            for result in metric.compute_at(THRESHOLDS, name):
                ours, theirs = 100 * result.mAP, evaluate(name, result.iou_threshold)
                if not (math.isnan(ours) and math.isnan(theirs)):
                    worst = max(worst, abs(ours - theirs))
                count += 1
    return worst, count


def compare_linking(peer: Linking, found: RandomSet) -> tuple[float, int]:
    """The largest difference of a box or a score, infinite where the tubes differ, and the number of tubes."""
    settings = TubeLinking(max_gap=1, inclusive=False, min_length=_MIN_LENGTH)
    worst, count = 0.0, 0
    for label, tubes in peer.tubes(found, _MIN_LENGTH).items():
        theirs = [(video, float(score), np.asarray(rows, np.float64)) for video, score, rows in tubes]
        ours = []
        for number, video in enumerate(found.videos):
            rows = found.rows[(found.rows[:, 0] == number) & (found.rows[:, 2] == label)]
            frames = (
                (int(frame), rows[rows[:, 1] == frame][:, 4:8], rows[rows[:, 1] == frame][:, 3])
                for frame in np.unique(rows[:, 1])
            )
            ours += link_boxes(video, label, frames, settings)
        if len(ours) != len(theirs):
            return math.inf, len(theirs)
        theirs.sort(key=lambda t: (t[0], len(t[2]), t[2][0, 0], round(t[1], 6), t[2][0, 1]))
        ours.sort(key=lambda t: (t.video_id, len(t), t.frames[0], round(t.score, 6), t.boxes_xyxy[0, 0]))
        for (video, score, rows), tube in zip(theirs, ours, strict=True):
            if video != tube.video_id or not np.array_equal(rows[:, 0], tube.frames):
                return math.inf, len(theirs)
            # Their boxes are float32.
            worst = max(worst, abs(score - tube.score), float(np.abs(rows[:, 1:5] - tube.boxes_xyxy).max()))
        count += len(theirs)
    return worst, count


def main() -> None:
    """Run the comparisons."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peers", type=Path)
    parser.add_argument("--sets", type=int, default=200)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    multisports = MultiSports(path_of(arguments.peers, "evaluate_multisports.py"))
    act = Act(path_of(arguments.peers, "src/ACT.py").parent)
    linking = Linking(path_of(arguments.peers, "functional/multisports_utils.py"))
    worst = {"multisports": (0.0, 0), "act": (0.0, 0), "linking": (0.0, 0)}
    for seed in range(arguments.sets):
        found = random_set(seed, decimals=1 if seed % 3 == 0 else None, detections_per_tube=0 if seed % 20 == 19 else 3)
        for name, result in (
            ("multisports", compare(multisports, found)),
            ("act", compare(act, found.with_truth_only())),
            ("linking", compare_linking(linking, found)),
        ):
            worst[name] = max(worst[name][0], result[0]), worst[name][1] + result[1]
    for name, (difference, count) in worst.items():
        what = "tubes" if name == "linking" else "values of mAP, percent"
        print(f"{name}: {count} {what}, largest difference {difference:.2e}")


if __name__ == "__main__":
    main()
