"""Work that passes through processes which need not know what it is made of."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass

from ava_detect.annotation.engines.base import Ask, Heartbeat


@dataclass(frozen=True)
class OpaqueWork:
    """Makes the work that ``work_factory`` makes, for items and results as bytes; opened only where it is done."""

    work_factory: bytes

    def __call__(self, ask: Ask) -> Callable[[bytes, Heartbeat], bytes]:
        """Open it."""
        work = pickle.loads(self.work_factory)(ask)
        return lambda item, sign: pickle.dumps(work(pickle.loads(item), sign))
