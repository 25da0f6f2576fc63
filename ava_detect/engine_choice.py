"""From what somebody asked for to the engine that does it, with workers that fit the machine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import psutil

from ava_detect.annotator import resolve_device
from ava_detect.engines.base import Engine, Limits
from ava_detect.engines.local import LocalEngine
from ava_detect.errors import ConfigError
from ava_detect.workers import sensible_workers, usable_cores

ENGINES = ("local", "ray")
_MEMORY_SHARE = 0.9
_LEAST_MEMORY_LIMIT = 3 << 30
_ANY_NUMBER_OF_VIDEOS = 1 << 31


@dataclass(frozen=True)
class ClusterSettings:
    """What a worker holds, and where Ray is.

    ``cores``: of a worker. ``gpus``: of a worker, a part for a shared one; None: 1 where Ray has any and the device
    allows it. ``address``: of a Ray cluster; None: the one that the environment names, else a new one on this machine.
    """

    cores: int = 1
    gpus: float | None = None
    address: str | None = None

    def __post_init__(self) -> None:
        if self.cores < 1 or (self.gpus is not None and self.gpus < 0):
            raise ConfigError(f"a worker has at least 1 core and no less than 0 GPUs, got {self.cores} and {self.gpus}")


def cluster_of(*, cores: int | None, gpus: float | None, address: str | None) -> ClusterSettings | None:
    """The settings, or None where nothing was said."""
    if cores is None and gpus is None and address is None:
        return None
    return ClusterSettings(1 if cores is None else cores, gpus, address)


def limits_of(
    stall_seconds: float | None, total_seconds: float | None, memory_gib: float | None, tries: int | None
) -> Limits | None:
    """The limits with what was said in the place of the defaults, or None where nothing was."""
    said = {"stall_seconds": stall_seconds, "total_seconds": total_seconds, "tries": tries}
    changes: dict[str, Any] = {name: value for name, value in said.items() if value is not None}
    if memory_gib is not None:
        changes["memory_bytes"] = int(memory_gib * (1 << 30))
    return replace(Limits(), **changes) if changes else None


def build_engine(
    name: str,
    workers: int | Literal["auto"] | None,
    cluster: ClusterSettings | None,
    limits: Limits | None,
    device: str,
) -> Engine:
    """The engine called ``name``. ``workers``: None and ``auto`` are as many as fit.

    Without a memory limit, a worker may have its share of the machine it is on.
    """
    cluster, limits = cluster or ClusterSettings(), limits or Limits()
    fixed = None if workers in (None, "auto") else int(workers or 0)
    if name == "ray":
        from ava_detect.engines.ray_engine import RayEngine

        return RayEngine(
            workers=fixed,
            cores_per_worker=cluster.cores,
            gpus_per_worker=0.0 if device == "cpu" else cluster.gpus,
            address=cluster.address,
            limits=limits
            if limits.memory_bytes
            else replace(limits, memory_bytes=_share(usable_cores() // cluster.cores)),
        )
    if cluster.address is not None or cluster.gpus is not None:
        raise ConfigError("--address and --gpus are for --engine ray")
    place = resolve_device(device)
    number = fixed or max(1, sensible_workers(_ANY_NUMBER_OF_VIDEOS, place) // (cluster.cores if place == "cpu" else 1))
    if limits.memory_bytes is None:
        limits = replace(limits, memory_bytes=_share(number))
    return LocalEngine(number, cluster.cores, limits)


def _share(workers: int) -> int:
    """Of this machine's memory, for one of so many."""
    return max(_LEAST_MEMORY_LIMIT, int(psutil.virtual_memory().total * _MEMORY_SHARE / max(1, workers)))
