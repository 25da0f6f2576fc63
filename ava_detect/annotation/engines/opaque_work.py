"""Work as bytes, for processes that pass it on and cannot unpickle it."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass

from ava_detect.annotation.engines.base import Ask, Heartbeat


@dataclass(frozen=True)
class OpaqueWork:
    """Makes the work of a pickled factory, for items and results as bytes; unpickled only in the worker.

    Attributes:
        work_factory: The pickled ``WorkFactory``.
    """

    work_factory: bytes

    def __call__(self, ask: Ask) -> Callable[[bytes, Heartbeat], bytes]:
        """Unpickle the factory and make its work.

        Args:
            ask: Sends a request to the engine's servers.

        Returns:
            The work, which takes and returns pickles.
        """
        work = pickle.loads(self.work_factory)(ask)
        return lambda item, heartbeat: pickle.dumps(work(pickle.loads(item), heartbeat))
