"""The settings of engines, and the engine that they describe, with workers that fit the machine."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import psutil

from ava_detect.annotation.engines.base import Engine, Limits, Outcome, Servers
from ava_detect.annotation.engines.local import LocalEngine
from ava_detect.annotation.engines.worker_count import sensible_workers
from ava_detect.environment import usable_cores
from ava_detect.errors import ConfigError
from ava_detect.results.manifest import VideoRecord

ENGINES = ("local", "ray")
_MEMORY_SHARE = 0.9
_MIN_MEMORY_LIMIT = 3 << 30
_ANY_NUMBER_OF_VIDEOS = 1 << 31


@dataclass(frozen=True)
class ClusterSettings:
    """The resources of workers, and the address of Ray.

    Attributes:
        cores: Cores of a worker.
        gpus: GPUs of each network of ``models``, or without those of each worker; a fraction for a shared one; None: 1
            where Ray has any and the device allows it.
        address: Address of a Ray cluster; None: the one that the environment names, else a new one on this machine.
        models: Number of networks in processes of their own, which the workers share; None: each worker has its own.
        model_cores: Cores of each of those.

    Raises:
        ConfigError: The numbers do not fit each other.
    """

    cores: int = 1
    gpus: float | None = None
    address: str | None = None
    models: int | None = None
    model_cores: int = 1

    def __post_init__(self) -> None:
        # Written so that NaN is refused, too.
        if self.cores < 1 or (self.gpus is not None and not 0 <= self.gpus < math.inf):
            raise ConfigError(f"a worker has at least 1 core and no less than 0 GPUs, got {self.cores} and {self.gpus}")
        if self.model_cores < 1 or (self.models is not None and self.models < 1):
            raise ConfigError(
                f"`models` is at least 1, each with at least 1 core, got {self.models} and {self.model_cores}; leave "
                "both out and every worker has a network of its own"
            )
        if self.models is None and self.model_cores != 1:
            raise ConfigError(
                f"`model_cores={self.model_cores}` is for `models`, of which there are none; say how many, or give "
                "`cores`, which the workers' own networks share"
            )


def cluster_of(
    *,
    cores: int | None,
    gpus: float | None,
    address: str | None,
    models: int | None = None,
    model_cores: int | None = None,
) -> ClusterSettings | None:
    """Return cluster settings from options of which some were given.

    Args:
        cores: As in ``ClusterSettings``; None where not given; so are the others.
        gpus: See ``cores``.
        address: See ``cores``.
        models: See ``cores``.
        model_cores: See ``cores``.

    Returns:
        The settings with the defaults for the others; None where no option was given.
    """
    given = {"cores": cores, "gpus": gpus, "address": address, "models": models, "model_cores": model_cores}
    known: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    return ClusterSettings(**known) if known else None


def limits_of(
    stall_seconds: float | None, total_seconds: float | None, memory_gib: float | None, tries: int | None
) -> Limits | None:
    """Return limits from options of which some were given.

    Args:
        stall_seconds: As in ``Limits``; None where not given; so are the others.
        total_seconds: See ``stall_seconds``.
        memory_gib: ``memory_bytes`` in GiB.
        tries: See ``stall_seconds``.

    Returns:
        The limits with the defaults for the others; None where no option was given.

    Raises:
        ConfigError: A limit is not positive.
    """
    given = {"stall_seconds": stall_seconds, "total_seconds": total_seconds, "tries": tries}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if memory_gib is not None:
        if not 0 < memory_gib < math.inf:
            raise ConfigError(f"`memory_gib` is a number of GiB above 0, got {memory_gib}")
        changes["memory_bytes"] = int(memory_gib * (1 << 30))
    return replace(Limits(), **changes) if changes else None


def build_engine(
    name: str,
    workers: int | Literal["auto"] | None,
    cluster: ClusterSettings | None,
    limits: Limits | None,
    device: str,
) -> Engine:
    """Build an engine; without a memory limit, a worker may use its share of the machine's memory.

    Args:
        name: ``local`` or ``ray``.
        workers: Number of workers; None and ``auto``: as many as fit.
        cluster: The resources of workers; by default one core each.
        limits: When an item is stopped.
        device: Where the networks run; for ``local``, ``cpu`` or ``cuda``.

    Returns:
        The engine; nothing is started yet.

    Raises:
        ConfigError: The settings do not fit each other.
        MissingDependencyError: Ray is not installed.
    """
    cluster, limits = cluster or ClusterSettings(), limits or Limits()
    fixed = None if workers in (None, "auto") else int(workers or 0)
    if fixed is not None and cluster.models is not None and cluster.models > fixed:
        raise ConfigError(
            f"`models={cluster.models}` for {fixed} workers: each of them asks one at a time, so some would never be "
            "asked; give more `workers` than `models`"
        )
    if name == "ray":
        return _ray_engine(fixed, cluster, limits, device)
    if cluster.address is not None or cluster.gpus is not None:
        raise ConfigError("`address` and `gpus` are for `engine=ray`")
    number = fixed or _fitting_workers(cluster, device)
    if limits.memory_bytes is None:
        limits = replace(limits, memory_bytes=_memory_share(number + (cluster.models or 0)))
    servers = None if cluster.models is None else Servers(cluster.models, cluster.model_cores)
    return LocalEngine(number, cluster.cores, limits, servers)


def _ray_engine(workers: int | None, cluster: ClusterSettings, limits: Limits, device: str) -> Engine:
    from ava_detect.annotation.engines.ray_engine import RayEngine

    gpus = 0.0 if device == "cpu" else cluster.gpus
    if limits.memory_bytes is None:
        limits = replace(limits, memory_bytes=_memory_share(usable_cores() // cluster.cores))
    return RayEngine(
        workers=workers,
        cores_per_worker=cluster.cores,
        gpus_per_worker=gpus,
        address=cluster.address,
        limits=limits,
        servers=None if cluster.models is None else Servers(cluster.models, cluster.model_cores, gpus),
        count=_counter_amounts,
    )


def _fitting_workers(cluster: ClusterSettings, device: str) -> int:
    """Number of workers of this machine; beside shared models, workers that only decode get all other cores."""
    if cluster.models is not None:
        return max(1, (usable_cores() - cluster.models * cluster.model_cores) // cluster.cores)
    return max(1, sensible_workers(_ANY_NUMBER_OF_VIDEOS, device) // (cluster.cores if device == "cpu" else 1))


def _memory_share(workers: int) -> int:
    """One worker's share of this machine's memory in bytes."""
    return max(_MIN_MEMORY_LIMIT, int(psutil.virtual_memory().total * _MEMORY_SHARE / max(1, workers)))


def _counter_amounts(outcome: Outcome[Any, VideoRecord]) -> dict[str, float]:
    """The amounts that a video adds to Ray's counters."""
    record = outcome.result
    if record is None:
        return {"ava_detect_videos_failed": 1.0}
    stages = {f"ava_detect_{stage}_seconds": seconds for stage, seconds in record.seconds.items()}
    numbers = {
        "ava_detect_keyframes": record.num_keyframes,
        "ava_detect_people": record.num_people or 0,
        "ava_detect_boxes": record.num_boxes,
    }
    return {f"ava_detect_videos_{record.status}": 1.0, **numbers, **stages}
