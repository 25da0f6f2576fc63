"""Measure the time from the call of ``ava-detect annotate`` to the first keyframe that is written, stage by stage.

    python tools/benchmark_first_row.py VIDEO [--config slowfast_r50_32x2] [--weights FILE] [--runs 5] [--cold]
                                        [--against CHECKOUT ...]

Every run is a fresh process that ends at the first keyframe. The video needs a person on its first keyframe. Without
``--weights`` a network with random weights is written as a PySlowFast checkpoint first. ``--against`` measures other
checkouts of this repository in turn with this one, so that a change of the machine's load affects all of them; ratios
are of medians. ``--cold`` asks the system to drop the weights, the video and PyTorch's libraries from its cache of
files before each run; what another process has mapped stays.

CPU seconds are the steadier figure on a busy machine: of all threads for the first row, of the stage's own thread for
a stage. Stages that overlap are in different threads; a stage in which PyTorch divides the work has more CPU than its
own thread's.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from measuring import machine

ROOT = Path(__file__).resolve().parents[1]
PROCESS = ROOT / "tools" / "measuring" / "first_row_process.py"
# Seconds until the first row of one run: more means that no person is on the first keyframes, or nothing works.
TIMEOUT_SECONDS = 600


def make_weights(config: str, folder: Path) -> Path:
    """Write a checkpoint as PySlowFast does, of a network with lively random weights."""
    from benchmark_forward import build_lively_model

    from ava_detect.models.weights.converting import convert, save_weights

    own, theirs = folder / "own.safetensors", folder / "pyslowfast.pyth"
    save_weights(build_lively_model(config), own)
    convert(own, theirs, to="pyslowfast")
    return theirs


def drop_from_cache(paths: Iterator[Path]) -> None:
    """Ask the system to forget the content of files."""
    for path in paths:
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def cold_files(video: Path, weights: Path) -> Iterator[Path]:
    """The large files that a run reads."""
    import torch

    yield from (video, weights)
    yield from (Path(torch.__file__).parent / "lib").glob("*.so*")


def run(checkout: Path, arguments: Sequence[str]) -> dict[str, Any]:
    """Run one process until its first row; returns its rows and its peak of memory."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, str(PROCESS), "annotate", *arguments, "--out", f"{folder}/out", "--quiet"],
            env={**os.environ, "PYTHONPATH": str(checkout), "FIRST_ROW_STARTED": repr(time.monotonic())},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    if done.returncode or not done.stdout:
        sys.exit(f"{checkout}: no first row; is a person on the first keyframe?\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def median_rows(results: Sequence[dict[str, Any]]) -> dict[str, tuple[str, float, float, float]]:
    """Each stage's thread, and the medians of its begin, its wall and its CPU seconds."""
    rows = {}
    for stage in results[0]["rows"]:
        calls = [result["rows"][stage] for result in results if stage in result["rows"]]
        begins, walls, cpus = zip(*((begin, end - begin, cpu) for _, begin, end, cpu in calls), strict=True)
        rows[stage] = (calls[0][0], *map(statistics.median, (begins, walls, cpus)))
    return rows


def print_table(name: str, results: Sequence[dict[str, Any]]) -> None:
    """Print the medians of one checkout, in the order in which the stages begin."""
    print(f"\n{name}: medians of {len(results)} runs")
    print(f"{'stage':34} {'thread':26} {'begins, s':>10} {'wall s':>8} {'CPU s':>8}")
    rows = median_rows(results)
    for stage, (thread, begin, wall, cpu) in sorted(
        rows.items(), key=lambda item: (item[0] == "first row", item[1][1])
    ):
        print(f"{stage:34} {thread:26} {begin:10.2f} {wall:8.2f} {cpu:8.2f}")
    print(f"peak of memory: {statistics.median(result['peak_mib'] for result in results):.0f} MiB")


def main() -> None:
    """Run the measurement and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("--config", default="slowfast_r50_32x2")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("--against", type=Path, nargs="*", default=[])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        weights = (options.weights or make_weights(options.config, Path(folder))).resolve()
        checkouts = [*options.against, ROOT]
        results: dict[Path, list[dict[str, Any]]] = {checkout: [] for checkout in checkouts}
        arguments = [str(options.video.resolve()), "--config", options.config, "--weights", str(weights)]
        for _ in range(options.runs):
            for checkout in checkouts:
                if options.cold:
                    drop_from_cache(cold_files(options.video, weights))
                results[checkout].append(run(checkout.resolve(), arguments))
    print(machine())
    for checkout in checkouts:
        print_table(str(checkout), results[checkout])
    firsts = {checkout: median_rows(results[checkout])["first row"] for checkout in checkouts}
    for checkout in options.against:
        wall, cpu = (firsts[ROOT][i] / firsts[checkout][i] for i in (2, 3))
        print(f"first row, this checkout over {checkout}: wall {wall:.2f}, CPU {cpu:.2f}")


if __name__ == "__main__":
    main()
