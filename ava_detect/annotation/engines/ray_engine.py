"""The engine of a Ray cluster: actors that each hold one watched process, on whatever nodes there are.

An actor has one item at a time and the driver holds no more than there are actors, so nothing piles up. What an item
does to its process is the guard's business (``guard.py``); what happens to actors and nodes is dealt with here: the
item goes to another actor, and another actor takes the lost one's place. Servers are actors too, each in a placement
group, which keeps its cores and its GPU for it when Ray starts it anew.
"""

from __future__ import annotations

import pickle
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import ExitStack
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
from ava_detect.errors import ConfigError, EngineError, MissingDependencyError

if TYPE_CHECKING:
    from ava_detect.annotation.engines.ray_servers import RayServers

# What an outcome adds to which counters.
Count = Callable[[Outcome[Any, Any]], Mapping[str, float]]

_WAIT_SECONDS = 5.0
_SECONDS_BETWEEN_LOOKS = 30.0
# An item whose actors die again and again may be what kills them.
_MAX_LOSSES = 5
# So many actors in a row that end before their first item are no accident.
_MAX_FAILED_STARTS = 8


class RayEngine:
    """Workers on the nodes of a Ray cluster. It carries no signs of life: progress is told item by item."""

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
        """``workers``: None: as many as the cluster holds, also when it grows. ``address``: None: see ``ray.init``.

        ``gpus_per_worker``: None: 1 where the cluster has GPUs, else 0; with ``servers``, which have them, 0.
        ``count``: what of each outcome is to be read at Ray's own Prometheus endpoint. ``MissingDependencyError``
        without Ray.
        """
        try:
            import ray
        except ImportError as error:
            raise MissingDependencyError(
                '`engine=ray` needs Ray, which is not installed; try: pip install "ava_detect[ray]"'
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
        """See ``Engine.run``. ``ConfigError`` where there is no such cluster."""
        feed = WorkQueue(items, self._limits.tries)
        if feed.is_empty():
            return
        ray = self._ray
        is_ours = not ray.is_initialized()
        if is_ours:
            try:
                ray.init(
                    address=self._address, log_to_driver=False, include_dashboard=False if not self._address else None
                )
            except (ConnectionError, ValueError, RuntimeError) as error:
                raise ConfigError(f"no Ray cluster answers at {self._address or 'this machine'} ({error})") from error
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
            for outcome in pool.outcomes(feed):
                if self._count is not None:
                    counters.add(self._count(outcome))
                yield outcome

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
        # What each answer that is awaited is about: its actor, and its item with the number of the try.
        self._awaited: dict[Any, tuple[Any, tuple[Any, int] | None]] = {}
        self._idle: list[Any] = []
        self._looked = -_SECONDS_BETWEEN_LOOKS

    def outcomes(self, feed: WorkQueue[Item]) -> Generator[Outcome[Item, Any], None, None]:
        """Until nothing waits and nobody works."""
        while True:
            while self._idle and (taken := feed.take()) is not None:
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
                    outcome = self._lost(actor, task, value, feed)
                else:
                    self._idle.append(actor)
                    outcome = None if task is None else self._ended(kind, value, task, feed)
                if outcome is not None:
                    yield outcome

    def close(self) -> None:
        """End all actors; their processes follow them."""
        for actor in (*self._idle, *(actor for actor, _ in self._awaited.values())):
            self._ray.kill(actor)

    def _get(self, answer: Any) -> tuple[str, Any]:
        try:
            answered: tuple[str, Any] = self._ray.get(answer)
        except self._ray.exceptions.RayTaskError:
            # A fault in this package, which no other actor would do better.
            raise
        except self._ray.exceptions.RayError as error:
            return "lost", f"{type(error).__name__}: {str(error).splitlines()[0]}"
        if answered[0] == "refused":
            raise ConfigError(answered[1])
        if answered[0] == "broken":
            return "lost", answered[1]
        self._failed_starts = 0
        return answered

    def _ended(self, kind: str, value: Any, task: tuple[Item, int], feed: WorkQueue[Item]) -> Outcome[Item, Any] | None:
        item, number = task
        self._losses.pop(item, None)
        if kind == "result":
            return Outcome(item, pickle.loads(value), tries=number)
        return feed.stopped(item, number, value)

    def _lost(
        self, actor: Any, task: tuple[Item, int] | None, reason: str, feed: WorkQueue[Item]
    ) -> Outcome[Item, Any] | None:
        """An actor or its node is gone; that is not the item's fault, up to a point."""
        # It may be out of reach only, and still at work: results are the same whoever writes them.
        self._ray.kill(actor)
        self._looked = -_SECONDS_BETWEEN_LOOKS
        if task is None:
            self._failed_starts += 1
            if self._failed_starts >= _MAX_FAILED_STARTS:
                raise EngineError(f"{self._failed_starts} workers in a row could not be started ({reason})")
            return None
        item, number = task
        self._losses[item] += 1
        if self._losses[item] >= _MAX_LOSSES:
            return Outcome(item, None, f"{self._losses.pop(item)} Ray actors died over it ({reason})", number)
        feed.give_back(item, number)
        return None

    def _grow(self) -> None:
        """As many actors as were asked for, or as the cluster holds now."""
        if time.monotonic() - self._looked < _SECONDS_BETWEEN_LOOKS:
            return
        self._looked = time.monotonic()
        wanted = self._workers or self._capacity()
        number = len(self._awaited) + len(self._idle)
        if self._workers is None:
            # A node that went before they came to it took their room along.
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
        """How many workers the nodes hold that are alive, beside the servers there."""
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
    """Counters of this process that Ray shows, with its own, to Prometheus."""

    def __init__(self) -> None:
        self._counters: dict[str, Any] = {}

    def add(self, amounts: Mapping[str, float]) -> None:
        """Names -> what is added; there is a counter of each name from the first time on."""
        from ray.util.metrics import Counter as RayCounter

        for name, amount in amounts.items():
            if name not in self._counters:
                self._counters[name] = RayCounter(name)
            if amount > 0:
                self._counters[name].inc(amount)
