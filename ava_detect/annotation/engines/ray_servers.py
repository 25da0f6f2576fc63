"""The driver's side of the server actors on a Ray cluster: create them, place them on nodes, and await their start.

Ray itself restarts an actor that dies, under the same handle. Each actor has a placement group of its own, which keeps
its CPU cores and GPUs reserved during a restart, so that workers waiting for resources cannot take them.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import ray as ray_module
from ray.util.placement_group import placement_group, placement_group_table, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from ava_detect.annotation.engines.base import Limits, ServiceFactory
from ava_detect.annotation.engines.ray_actors import Server
from ava_detect.errors import ConfigError, EngineError

# Typed as Any, because mypy also runs where Ray, an optional dependency, is not installed.
ray: Any = ray_module
# Longest total wait for the placement groups of all servers.
_PLACEMENT_TIMEOUT_SECONDS = 10.0
# Consecutive failed starts after which the run is given up: the cause is then hardly the loss of single nodes.
_MAX_FAILED_STARTS = 5
# Delay before a retry, in which Ray notices that the actor has died; a call made earlier would fail as well.
_RETRY_SECONDS = 0.5


class RayServers:
    """The server actors of a run.

    The constructor waits up to 10 seconds until the cluster has reserved the actors' resources. Actors for which no
    node has free resources by then are placed by Ray as soon as one has.

    Attributes:
        number: Number of actors.
        cores: CPU cores of each actor.
        gpus: GPUs of each actor.
        actors: Handles of the actors, valid for the whole run, also after a restart.
        starting: The pending result (an ``ObjectRef``) of each call of ``Server.start`` -> its actor.

    Args:
        service_factory: Called in each actor; returns the service that answers requests.
        number: Number of actors.
        cores: CPU cores of each actor.
        gpus: GPUs of each actor; may be a fraction, as in Ray; 0 for none.
        limits: Only ``stall_seconds`` applies: the timeout of one request, in seconds.
    """

    def __init__(self, service_factory: ServiceFactory, number: int, cores: int, gpus: float, limits: Limits) -> None:
        self.number, self.cores, self.gpus = number, cores, gpus
        bundle = {"CPU": cores} | ({"GPU": gpus} if gpus else {})
        self._groups = [placement_group([bundle]) for _ in range(number)]
        # Restarted without limit; pings have a thread of their own, so that they are answered during a request.
        options = {"num_cpus": cores, "num_gpus": gpus, "max_restarts": -1, "concurrency_groups": {"pings": 1}}
        actor_class = ray.remote(**options)(Server)
        # Pickled here, not put into Ray's object store: if the constructor's arguments were lost with a node there, Ray
        # could not restart an actor.
        service = ray.cloudpickle.dumps(service_factory)
        strategies = map(PlacementGroupSchedulingStrategy, self._groups)
        self.actors = [
            actor_class.options(scheduling_strategy=strategy).remote(service, i, limits)
            for i, strategy in enumerate(strategies)
        ]
        self.starting = {actor.start.remote(): actor for actor in self.actors}
        self._failed_starts = 0
        deadline = time.monotonic() + _PLACEMENT_TIMEOUT_SECONDS
        for group in self._groups:
            group.wait(max(0.0, deadline - time.monotonic()))

    def on_nodes(self) -> Counter[str]:
        """Return the number of servers on each node, by node id; servers that are not placed yet are left out."""
        tables = [placement_group_table(group) for group in self._groups]
        return Counter(node for table in tables for node in table["bundles_to_node_id"].values() if node)

    def take_start(self, answer: Any) -> None:
        """Take the result of a call of ``Server.start``; where the actor died, call it again.

        Args:
            answer: A key of ``starting`` that is ready.

        Raises:
            ConfigError: The service cannot be created, such as from wrong settings.
            EngineError: Five starts in a row failed because the actor died.
        """
        actor = self.starting.pop(answer)
        try:
            kind, value = ray.get(answer)
        except ray.exceptions.RayTaskError:
            # An exception in `Server.start` itself is a bug in this package, which a retry would repeat.
            raise
        except ray.exceptions.RayError as error:
            self._failed_starts += 1
            if self._failed_starts >= _MAX_FAILED_STARTS:
                reason = str(error).splitlines()[0]
                raise EngineError(f"{self._failed_starts} servers in a row could not be started ({reason})") from error
            time.sleep(_RETRY_SECONDS)
            self.starting[actor.start.remote()] = actor
            return
        if kind == "refused":
            raise ConfigError(value)
        self._failed_starts = 0

    def close(self) -> None:
        """Kill all actors and release the resources that their placement groups reserve."""
        for actor in self.actors:
            ray.kill(actor)
        for group in self._groups:
            remove_placement_group(group)
