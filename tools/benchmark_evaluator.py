"""What scoring costs, stage by stage and as the rows grow: wall and CPU seconds, and peak memory.

    python tools/benchmark_evaluator.py GROUND_TRUTH DETECTIONS [--dialect official] [--repeat 1 2 4]

With ``--repeat 2`` the rows stand twice in the data, the second time as other videos. Each size runs in a process of
its own, so that its peak memory is its own.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ava_detect.evaluation.frame_map import FrameMAP
from ava_detect.evaluation.frame_map_result import Dialect
from ava_detect.formats.ava_csv import AvaTable, iter_ava_csv


@contextmanager
def measured(stage: str) -> Iterator[None]:
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)
    print(f"  {stage:<22} {time.perf_counter() - wall:7.2f} {time.process_time() - cpu:7.2f} {peak:9.0f}", flush=True)


def as_other_videos(table: AvaTable, number: int) -> AvaTable:
    return replace(table, video_ids=tuple(f"{video_id}#{number}" for video_id in table.video_ids))


def run(ground_truth: Path, detections: Path, dialect: Dialect, repeat: int) -> None:
    metric, rows = FrameMAP(dialect=dialect), 0
    with measured("read and collect"):
        for number in range(repeat):
            for piece in iter_ava_csv(ground_truth, last_column="person_id"):
                metric.update(ground_truth=as_other_videos(piece, number))
            for piece in iter_ava_csv(detections):
                metric.update(detections=as_other_videos(piece, number))
                rows += len(piece)
    with measured("cap and match"):
        metric.match()
    with measured("cap, match and score"):
        result = metric.compute()
    with measured("at 10 IoU thresholds"):
        metric.compute_at([0.5 + 0.05 * step for step in range(10)])
    cpu = time.process_time()
    print(f"  {rows} rows, {cpu:.2f} CPU seconds from start to finish (all of the above)\n  {result.summary()}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ground_truth", type=Path)
    parser.add_argument("detections", type=Path)
    parser.add_argument("--dialect", choices=("official", "pyslowfast"), default="official")
    parser.add_argument("--repeat", type=int, nargs="+", default=[1, 2, 4])
    arguments = parser.parse_args()
    if len(arguments.repeat) == 1:
        run(arguments.ground_truth, arguments.detections, arguments.dialect, arguments.repeat[0])
        return
    for repeat in arguments.repeat:
        print(f"{repeat} x                      wall s   CPU s   peak MB", flush=True)
        files = [str(arguments.ground_truth), str(arguments.detections)]
        call = [sys.executable, __file__, *files, "--dialect", arguments.dialect, "--repeat", str(repeat)]
        subprocess.run(call, check=True)


if __name__ == "__main__":
    main()
