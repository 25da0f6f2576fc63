"""The servers of a run on a Ray cluster, as its driver sees them: started, placed, asked whether they stand.

Ray itself starts a lost one anew, under the same handle. Each has a placement group, which keeps its cores and its GPU
for it meanwhile: workers that wait for room cannot take them.
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

# Whoever has no Ray installed checks types as well.
ray: Any = ray_module
_PLACING_SECONDS = 10.0
# So many in a row that end while they start are no accident.
_MAX_FAILED_STARTS = 5


class RayServers:
    """``actors``: their handles, good as long as the run. ``starting``: what they still have to answer to that."""

    def __init__(self, service_factory: ServiceFactory, number: int, cores: int, gpus: float, limits: Limits) -> None:
        """They are placed before this returns, where there is room."""
        self.number, self.cores, self.gpus = number, cores, gpus
        room = {"CPU": cores} | ({"GPU": gpus} if gpus else {})
        self._groups = [placement_group([room]) for _ in range(number)]
        options = {"num_cpus": cores, "num_gpus": gpus, "max_restarts": -1, "concurrency_groups": {"signs": 1}}
        actor_class = ray.remote(**options)(Server)
        # Not an object of its own: one that has gone meanwhile could start nobody anew.
        service = ray.cloudpickle.dumps(service_factory)
        places = map(PlacementGroupSchedulingStrategy, self._groups)
        self.actors = [
            actor_class.options(scheduling_strategy=place).remote(service, i, limits) for i, place in enumerate(places)
        ]
        self.starting = {actor.start.remote(): actor for actor in self.actors}
        self._failed_starts = 0
        until = time.monotonic() + _PLACING_SECONDS
        for group in self._groups:
            group.wait(max(0.0, until - time.monotonic()))

    def on_nodes(self) -> Counter[str]:
        """How many are on which node, by its id; those that found no room are on none."""
        tables = [placement_group_table(group) for group in self._groups]
        return Counter(node for table in tables for node in table["bundles_to_node_id"].values() if node)

    def take_start(self, answer: Any) -> None:
        """One of ``starting`` is there. ``ConfigError`` where no service can be made, ``EngineError`` if all die."""
        actor = self.starting.pop(answer)
        try:
            kind, value = ray.get(answer)
        except ray.exceptions.RayTaskError:
            # A fault in this package, which no other would do better.
            raise
        except ray.exceptions.RayError as error:
            self._failed_starts += 1
            if self._failed_starts >= _MAX_FAILED_STARTS:
                reason = str(error).splitlines()[0]
                raise EngineError(f"{self._failed_starts} servers in a row could not be started ({reason})") from error
            # Ray takes a moment to see that it is gone.
            time.sleep(0.5)
            self.starting[actor.start.remote()] = actor
            return
        if kind == "refused":
            raise ConfigError(value)
        self._failed_starts = 0

    def close(self) -> None:
        """End them all and give back their room."""
        for actor in self.actors:
            ray.kill(actor)
        for group in self._groups:
            remove_placement_group(group)
