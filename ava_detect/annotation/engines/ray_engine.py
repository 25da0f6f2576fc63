"""The engine of a Ray cluster: actors with one watched process each, on the nodes of the cluster.

An actor has one item at a time and the driver holds no more items than there are actors, so memory stays bounded. What
an item does to its process is handled by ``watched_process.py``; lost actors and nodes are handled here: the item goes
to another actor, and a new actor replaces the lost one. Servers are actors too, each in a placement group, which
reserves its cores and its GPU while Ray restarts it.
"""

from __future__ import annotations

import os
import pickle
import re
import socket
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ava_detect.annotation.engines.base import (
    Heartbeat,
    Item,
    Limits,
    Outcome,
    Result,
    Servers,
    ServiceFactory,
    WorkFactory,
    WorkQueue,
)
from ava_detect.annotation.engines.opaque_work import OpaqueWork
from ava_detect.environment import install_line
from ava_detect.errors import ConfigError, EngineError, MissingDependencyError

if TYPE_CHECKING:
    from ava_detect.annotation.engines.ray_servers import RayServers

# Counter name -> the amount that an outcome adds to it.
Count = Callable[[Outcome[Any, Any]], Mapping[str, float]]

_WAIT_SECONDS = 5.0
_TOKEN_ADVICE = (
    "set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN (or RAY_AUTH_TOKEN_PATH, or the file ~/.ray/auth_token) to that of the "
    "cluster's head, where `ray get-auth-token` prints it"
)
_SECONDS_BETWEEN_SIZE_CHECKS = 30.0
# An item whose actors die this often may be what kills them.
_MAX_LOSSES = 5
# This many actors in a row that end before their first item are no coincidence.
_MAX_FAILED_STARTS = 8


class RayEngine:
    """Workers on the nodes of a Ray cluster. It carries no heartbeats: progress is reported item by item.

    Args:
        workers: Number of workers; None: as many as the cluster holds, also when it grows.
        cores_per_worker: Cores that the work in one worker may use.
        gpus_per_worker: GPUs of a worker; None: 1 where the cluster has GPUs, else 0; 0 with ``servers``, which have
            them.
        address: The cluster's address; None: as ``ray.init`` finds it.
        limits: When an item is stopped.
        servers: The server actors, where the work asks a service.
        count: What each outcome adds to the counters at Ray's own Prometheus endpoint.

    Raises:
        MissingDependencyError: Ray is not installed.
    """

    def __init__(
        self,
        *,
        workers: int | None = None,
        cores_per_worker: int = 1,
        gpus_per_worker: float | None = None,
        address: str | None = None,
        limits: Limits | None = None,
        servers: Servers | None = None,
        count: Count | None = None,
    ) -> None:
        try:
            import ray
        except ImportError as error:
            raise MissingDependencyError(
                f"`engine=ray` needs Ray, which is not installed; try: {install_line('ray')}"
            ) from error
        self._ray: Any = ray
        self._workers = workers
        self.cores_per_worker = cores_per_worker
        self.servers = servers
        self._gpus_per_worker = 0.0 if servers else gpus_per_worker
        self._address = address
        self._limits = limits or Limits()
        self._count = count

    def run(
        self,
        work_factory: WorkFactory[Item, Result],
        items: Iterable[Item],
        on_heartbeat: Heartbeat | None = None,
        service_factory: ServiceFactory | None = None,
    ) -> Generator[Outcome[Item, Result], None, None]:
        """Run work over items; see ``Engine.run``.

        Raises:
            ConfigError: No such cluster answers, or it does not accept this process.
        """
        waiting = WorkQueue(items, self._limits.tries)
        if waiting.is_empty():
            return
        ray = self._ray
        is_ours = not ray.is_initialized()
        if is_ours:
            try:
                ray.init(
                    address=self._address, log_to_driver=False, include_dashboard=False if not self._address else None
                )
            except getattr(ray.exceptions, "AuthenticationError", ()) as error:  # since Ray 2.52
                raise ConfigError(f"{self._place()} wants a token, and {_token_here()}; {_TOKEN_ADVICE}") from error
            except (OSError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
                raise ConfigError(self._refusal(error)) from error
            except Exception as error:  # which Ray raises, of no other type, where a node of its own does not start
                raise ConfigError(
                    f"Ray did not start on this machine ({error}); mostly it is too busy: try again when less runs, or "
                    "start a cluster first (`ray start --head`) and give its `address`"
                ) from error
        with ExitStack() as stack:
            if is_ours:
                stack.callback(ray.shutdown)
            servers = self._start_servers(service_factory)
            if servers is not None:
                stack.callback(servers.close)
            gpus = self._gpus(self._gpus_per_worker)
            pool = _Pool(ray, work_factory, self._limits, self.cores_per_worker, gpus, self._workers, servers)
            stack.callback(pool.close)
            counters = _Counters()
            for outcome in pool.outcomes(waiting):
                if self._count is not None:
                    counters.add(self._count(outcome))
                yield outcome

    def _place(self) -> str:
        return f"the Ray cluster at {self._address or 'this machine'}"

    def _refusal(self, error: Exception) -> str:
        """Why no cluster could be joined: nothing listens, or what listens does not accept this process.

        Ray's own error is the same for both: it writes that a token is missing or wrong into its log only.
        """
        if not any(_listens(*found) for found in re.findall(r"([\w.-]+):(\d+)", f"{self._address} {error}")):
            return f"no Ray cluster answers at {self._address or 'this machine'} ({error})"
        return (
            f"{self._place()} can be reached and does not accept this process ({error}): mostly it wants a token, and "
            f"{_token_here()}; {_TOKEN_ADVICE}; or its version of Ray is another than {self._ray.__version__} here"
        )

    def _start_servers(self, service_factory: ServiceFactory | None) -> RayServers | None:
        if self.servers is None or service_factory is None:
            return None
        from ava_detect.annotation.engines.ray_servers import RayServers

        asked = self.servers
        return RayServers(service_factory, asked.number, asked.cores, self._gpus(asked.gpus), self._limits)

    def _gpus(self, asked: float | None) -> float:
        if asked is not None:
            return asked
        return 1.0 if self._ray.cluster_resources().get("GPU", 0) >= 1 else 0.0


def _listens(host: str, port: str) -> bool:
    """Whether something accepts connections there."""
    try:
        with socket.create_connection((host, int(port)), timeout=_WAIT_SECONDS):
            return True
    except (OSError, ValueError, OverflowError):
        return False


def _token_here() -> str:
    """What this process has of Ray's token authentication, as a clause."""
    variables = [name for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH") if os.environ.get(name)]
    has_file = (Path.home() / ".ray" / "auth_token").is_file()
    if not variables and not has_file:
        return "there is none here"
    if os.environ.get("RAY_AUTH_MODE", "").lower() not in ("", "token"):
        return "RAY_AUTH_MODE is not token here"
    source = variables[0] if variables else "~/.ray/auth_token"
    return f"the one here ({source}) is not the cluster's"


class _Pool:
    """The actors of one run."""

    def __init__(
        self,
        ray: Any,
        work_factory: WorkFactory[Any, Any],
        limits: Limits,
        cores: int,
        gpus: float,
        workers: int | None,
        servers: RayServers | None,
    ) -> None:
        from ava_detect.annotation.engines.ray_actors import Worker

        self._ray = ray
        options = {"num_cpus": cores, "num_gpus": gpus, "max_restarts": 0, "scheduling_strategy": "SPREAD"}
        self._actor_class = ray.remote(**options)(Worker)
        self._servers = servers
        self._arguments = (
            ray.put(OpaqueWork(ray.cloudpickle.dumps(work_factory))),
            limits,
            servers.actors if servers else [],
        )
        self._num_started = 0
        self._cores, self._gpus, self._workers = cores, gpus, workers
        self._losses: Counter[Any] = Counter()
        self._failed_starts = 0
        # Object reference of a pending result -> its actor, and its item with the attempt number; None while it starts.
        self._awaited: dict[Any, tuple[Any, tuple[Any, int] | None]] = {}
        self._idle: list[Any] = []
        self._size_checked = -_SECONDS_BETWEEN_SIZE_CHECKS

    def outcomes(self, waiting: WorkQueue[Item]) -> Generator[Outcome[Item, Any], None, None]:
        """Yield outcomes until no item waits and no actor works."""
        while True:
            while self._idle and (taken := waiting.take()) is not None:
                actor = self._idle.pop()
                self._awaited[actor.work.remote(self._ray.cloudpickle.dumps(taken[0]))] = (actor, taken)
            if self._idle and not any(task for _, task in self._awaited.values()):
                return
            self._grow()
            starting = self._servers.starting if self._servers else {}
            ready, _ = self._ray.wait([*starting, *self._awaited], num_returns=1, timeout=_WAIT_SECONDS)
            for answer in ready:
                if self._servers and answer in starting:
                    self._servers.take_start(answer)
                    continue
                actor, task = self._awaited.pop(answer)
                kind, value = self._get(answer)
                if kind == "lost":
                    outcome = self._lost(actor, task, value, waiting)
                else:
                    self._idle.append(actor)
                    outcome = None if task is None else self._ended(kind, value, task, waiting)
                if outcome is not None:
                    yield outcome

    def close(self) -> None:
        """End all actors; their processes end with them."""
        for actor in (*self._idle, *(actor for actor, _ in self._awaited.values())):
            self._ray.kill(actor)

    def _get(self, answer: Any) -> tuple[str, Any]:
        try:
            answered: tuple[str, Any] = self._ray.get(answer)
        except self._ray.exceptions.RayTaskError:
            # A fault in this package, which another actor would repeat.
            raise
        except self._ray.exceptions.RayError as error:
            return "lost", f"{type(error).__name__}: {str(error).splitlines()[0]}"
        if answered[0] == "refused":
            raise ConfigError(answered[1])
        if answered[0] == "broken":
            return "lost", answered[1]
        self._failed_starts = 0
        return answered

    def _ended(
        self, kind: str, value: Any, task: tuple[Item, int], waiting: WorkQueue[Item]
    ) -> Outcome[Item, Any] | None:
        item, number = task
        self._losses.pop(item, None)
        if kind == "result":
            return Outcome(item, pickle.loads(value), tries=number)
        return waiting.stopped(item, number, value)

    def _lost(
        self, actor: Any, task: tuple[Item, int] | None, reason: str, waiting: WorkQueue[Item]
    ) -> Outcome[Item, Any] | None:
        """Queue the item of a lost actor again; up to a limit, that is not the item's fault."""
        # It may only be unreachable and still work; both actors then write the same bytes.
        self._ray.kill(actor)
        self._size_checked = -_SECONDS_BETWEEN_SIZE_CHECKS
        if task is None:
            self._failed_starts += 1
            if self._failed_starts >= _MAX_FAILED_STARTS:
                raise EngineError(f"{self._failed_starts} workers in a row could not be started ({reason})")
            return None
        item, number = task
        self._losses[item] += 1
        if self._losses[item] >= _MAX_LOSSES:
            return Outcome(item, None, f"{self._losses.pop(item)} Ray actors died over it ({reason})", number)
        waiting.give_back(item, number)
        return None

    def _grow(self) -> None:
        """Start actors up to the number that was requested, or that the cluster holds now."""
        if time.monotonic() - self._size_checked < _SECONDS_BETWEEN_SIZE_CHECKS:
            return
        self._size_checked = time.monotonic()
        wanted = self._workers or self._capacity()
        number = len(self._awaited) + len(self._idle)
        if self._workers is None:
            # Actors that were to start on a node that has left the cluster since would wait forever.
            starting = [answer for answer, (_, task) in self._awaited.items() if task is None]
            for answer in starting[: max(0, number - wanted)]:
                self._ray.kill(self._awaited.pop(answer)[0])
                number -= 1
        if not wanted and not number:
            beside = f" beside {self._servers.number} servers of {self._servers.cores}" if self._servers else ""
            raise ConfigError(
                f"no node of the Ray cluster holds a worker of {self._cores} cores and {self._gpus:g} GPUs{beside}; "
                "ask for less, or name a number of `workers` to wait for"
            )
        for _ in range(wanted - number):
            actor = self._actor_class.remote(*self._arguments, self._num_started)
            self._num_started += 1
            self._awaited[actor.start.remote()] = (actor, None)

    def _capacity(self) -> int:
        """Number of workers that fit on the live nodes beside the servers there."""
        servers = self._servers.on_nodes() if self._servers else Counter[str]()
        total = 0
        for node in self._ray.nodes():
            if node["Alive"]:
                taken = servers[node["NodeID"]] * self._servers.cores if self._servers else 0
                held = int((node["Resources"].get("CPU", 0) - taken) // self._cores)
                if self._gpus:
                    held = min(held, int(node["Resources"].get("GPU", 0) / self._gpus + 1e-9))
                total += max(held, 0)
        return total


class _Counters:
    """Counters of this process at Ray's Prometheus endpoint."""

    def __init__(self) -> None:
        self._counters: dict[str, Any] = {}

    def add(self, amounts: Mapping[str, float]) -> None:
        """Increase counters by name; a counter exists from its first increase on."""
        from ray.util.metrics import Counter as RayCounter

        for name, amount in amounts.items():
            if name not in self._counters:
                self._counters[name] = RayCounter(name)
            if amount > 0:
                self._counters[name].inc(amount)
