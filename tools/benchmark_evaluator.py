"""Measure the evaluator by stage and by number of rows: wall and CPU seconds, and peak memory.

    python tools/benchmark_evaluator.py GROUND_TRUTH DETECTIONS [--dialect official] [--repeat 1 2 4]

With ``--repeat 2`` the data hold the rows twice, the second time under other video ids. Each size runs in a separate
process, whose peak memory is then that of this size.
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

from ava_detect.evaluation.frame_map import FrameMAP, matches_of
from ava_detect.evaluation.frame_map_result import Dialect
from ava_detect.formats.ava_csv import AvaTable, iter_ava_csv


@contextmanager
def measure(stage: str) -> Iterator[None]:
    """Print wall seconds, CPU seconds and the peak memory in MiB of the ``with`` block."""
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)
    print(f"  {stage:<22} {time.perf_counter() - wall:7.2f} {time.process_time() - cpu:7.2f} {peak:9.0f}", flush=True)


def with_other_video_ids(table: AvaTable, number: int) -> AvaTable:
    """Return the table with ``#number`` appended to every video id."""
    return replace(table, video_ids=tuple(f"{video_id}#{number}" for video_id in table.video_ids))


def run(ground_truth: Path, detections: Path, dialect: Dialect, repeat: int) -> None:
    """Evaluate ``repeat`` copies of the files, and print the cost of each stage."""
    metric, rows = FrameMAP(dialect=dialect), 0
    with measure("read and collect"):
        for number in range(repeat):
            for piece in iter_ava_csv(ground_truth, last_column="person_id"):
                metric.update(ground_truth=with_other_video_ids(piece, number))
            for piece in iter_ava_csv(detections):
                metric.update(detections=with_other_video_ids(piece, number))
                rows += len(piece)
    with measure("cap and match"):
        matches_of(metric)
    with measure("cap, match and score"):
        result = metric.compute()
    with measure("at 10 IoU thresholds"):
        metric.compute_at([0.5 + 0.05 * step for step in range(10)])
    cpu = time.process_time()
    print(f"  {rows} rows, {cpu:.2f} CPU seconds from start to finish (all of the above)\n  {result.summary()}")


def main() -> None:
    """Parse the arguments; run one size here, or each of several in a process."""
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
        print(f"{repeat} x                      wall s   CPU s   peak MiB", flush=True)
        files = [str(arguments.ground_truth), str(arguments.detections)]
        call = [sys.executable, __file__, *files, "--dialect", arguments.dialect, "--repeat", str(repeat)]
        subprocess.run(call, check=True)


if __name__ == "__main__":
    main()
