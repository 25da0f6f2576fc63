"""What the benchmark scripts share: turns, medians, and a line that says on what they were taken."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from ava_detect.environment import versions


def machine(device: str = "cpu") -> str:
    """The processor, how many threads PyTorch uses, and the versions that matter."""
    known, name = versions(), platform.processor() or platform.machine()
    cpu_info = Path("/proc/cpuinfo")
    if cpu_info.is_file():
        models = [line.partition(":")[2].strip() for line in cpu_info.read_text().splitlines() if "model name" in line]
        name = models[0] if models else name
    if device == "cuda":
        name = torch.cuda.get_device_name()
    parts = (name, f"{torch.get_num_threads()} threads", *(f"{lib} {known[lib]}" for lib in ("torch", "av", "python")))
    return ", ".join(parts)


def by_turns(
    ways: Mapping[str, Callable[[], object]], runs: int, device: str = "cpu"
) -> dict[str, tuple[float, float]]:
    """Each of ``ways`` once a round, ``runs`` rounds: the medians of its wall and CPU seconds."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(runs):
        for name, call in ways.items():
            taken[name].append(seconds_of(call, device))
    medians = {}
    for name, times in taken.items():
        walls, cpus = zip(*times, strict=True)
        medians[name] = (statistics.median(walls), statistics.median(cpus))
    return medians


def seconds_of(call: Callable[[], object], device: str = "cpu") -> tuple[float, float]:
    """Wall and CPU seconds (of all threads of this process) of one call."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - wall, time.process_time() - cpu
