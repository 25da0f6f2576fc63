"""The servers of a run on a Ray cluster, in its driver: started, placed, and checked for readiness.

Ray itself restarts a lost server under the same handle. Each has a placement group, which reserves its cores and its
GPU meanwhile, so that workers that wait for room cannot take them.
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

# Types are also checked where Ray is not installed.
ray: Any = ray_module
_PLACING_SECONDS = 10.0
# This many in a row that end while they start are no coincidence.
_MAX_FAILED_STARTS = 5


class RayServers:
    """The server actors of a run, placed where there is room before the constructor returns.

    Attributes:
        actors: Their handles, valid for the whole run.
        starting: Open answer -> the actor that still starts.

    Args:
        service_factory: Makes the service in each actor.
        number: Number of actors.
        cores: Cores of each.
        gpus: GPUs of each.
        limits: ``stall_seconds`` is how long one answer may take.
    """

    def __init__(self, service_factory: ServiceFactory, number: int, cores: int, gpus: float, limits: Limits) -> None:
        self.number, self.cores, self.gpus = number, cores, gpus
        room = {"CPU": cores} | ({"GPU": gpus} if gpus else {})
        self._groups = [placement_group([room]) for _ in range(number)]
        options = {"num_cpus": cores, "num_gpus": gpus, "max_restarts": -1, "concurrency_groups": {"pings": 1}}
        actor_class = ray.remote(**options)(Server)
        # Passed by value: an object of the store that is lost meanwhile could restart no actor.
        service = ray.cloudpickle.dumps(service_factory)
        strategies = map(PlacementGroupSchedulingStrategy, self._groups)
        self.actors = [
            actor_class.options(scheduling_strategy=strategy).remote(service, i, limits)
            for i, strategy in enumerate(strategies)
        ]
        self.starting = {actor.start.remote(): actor for actor in self.actors}
        self._failed_starts = 0
        until = time.monotonic() + _PLACING_SECONDS
        for group in self._groups:
            group.wait(max(0.0, until - time.monotonic()))

    def on_nodes(self) -> Counter[str]:
        """Return the number of servers on each node, by its id; those that found no room are on none."""
        tables = [placement_group_table(group) for group in self._groups]
        return Counter(node for table in tables for node in table["bundles_to_node_id"].values() if node)

    def take_start(self, answer: Any) -> None:
        """Handle an answer of ``starting``.

        Args:
            answer: The answer.

        Raises:
            ConfigError: The service cannot be made.
            EngineError: Too many servers in a row end while they start.
        """
        actor = self.starting.pop(answer)
        try:
            kind, value = ray.get(answer)
        except ray.exceptions.RayTaskError:
            # A fault in this package, which another server would repeat.
            raise
        except ray.exceptions.RayError as error:
            self._failed_starts += 1
            if self._failed_starts >= _MAX_FAILED_STARTS:
                reason = str(error).splitlines()[0]
                raise EngineError(f"{self._failed_starts} servers in a row could not be started ({reason})") from error
            # Ray needs a moment to notice that it has ended.
            time.sleep(0.5)
            self.starting[actor.start.remote()] = actor
            return
        if kind == "refused":
            raise ConfigError(value)
        self._failed_starts = 0

    def close(self) -> None:
        """End all actors and release their placement groups."""
        for actor in self.actors:
            ray.kill(actor)
        for group in self._groups:
            remove_placement_group(group)
