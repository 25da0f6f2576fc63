"""Shared by the benchmark scripts: interleaved timing, medians, and what the machine is and computes in."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from ava_detect.environment import versions
from ava_detect.models.network_options import Precision, bf16_unit


def machine(device: str = "cpu") -> str:
    """Describe the machine of a measurement.

    Args:
        device: ``"cpu"`` or ``"cuda"``.

    Returns:
        The processor's name, PyTorch's number of threads, and the versions of torch, av and Python.
    """
    known_versions, name = versions(), platform.processor() or platform.machine()
    cpu_info = Path("/proc/cpuinfo")
    if cpu_info.is_file():
        models = [line.partition(":")[2].strip() for line in cpu_info.read_text().splitlines() if "model name" in line]
        name = models[0] if models else name
    if device == "cuda":
        name = torch.cuda.get_device_name()
    libraries = (f"{library} {known_versions[library]}" for library in ("torch", "av", "python"))
    return ", ".join((name, f"{torch.get_num_threads()} threads", *libraries))


def precisions_of(device: str) -> tuple[Precision, ...]:
    """Return the precisions that a device computes in; emulated ones would take minutes a clip.

    Args:
        device: ``"cpu"`` or ``"cuda"``.

    Returns:
        fp32, and bf16 where there is hardware for it.
    """
    return ("fp32", "bf16") if bf16_unit(device) else ("fp32",)


def interleaved_medians(
    calls: Mapping[str, Callable[[], object]], runs: int, device: str = "cpu"
) -> dict[str, tuple[float, float]]:
    """Time several calls in alternation, so that a change of the machine's load affects all of them.

    Args:
        calls: The calls by name; each round makes every call once.
        runs: Number of rounds.
        device: ``"cuda"`` waits for the GPU at the end of each call.

    Returns:
        Median wall seconds and median CPU seconds of each call.
    """
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for _ in range(runs):
        for name, call in calls.items():
            times[name].append(seconds_of(call, device))
    medians = {}
    for name, pairs in times.items():
        walls, cpus = zip(*pairs, strict=True)
        medians[name] = (statistics.median(walls), statistics.median(cpus))
    return medians


def seconds_of(call: Callable[[], object], device: str = "cpu") -> tuple[float, float]:
    """Time one call.

    Args:
        call: The call.
        device: ``"cuda"`` waits for the GPU at its end.

    Returns:
        Wall seconds, and CPU seconds of all threads of this process.
    """
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - wall, time.process_time() - cpu


def peak_megabytes(call: Callable[[], object]) -> float:
    """Measure the memory that one call needs beyond what the process has before it.

    Args:
        call: The call.

    Returns:
        10^6 bytes of resident memory; NaN where the system does not say (Linux does).
    """
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    try:
        reset.write_text("5")  # sets the peak to the present size
        before = _kilobytes(status, "VmRSS")
        call()
        return (_kilobytes(status, "VmHWM") - before) * 1024 / 1e6
    except OSError:
        return float("nan")


def _kilobytes(status: Path, name: str) -> int:
    return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith(f"{name}:"))
