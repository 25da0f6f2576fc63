"""Work that passes through processes which need not know what it is made of."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass

from ava_detect.engines.base import Ask, SignOfLife


@dataclass(frozen=True)
class Sealed:
    """Makes the work that ``make_work`` makes, for items and results as bytes; opened only where it is done."""

    make_work: bytes

    def __call__(self, ask: Ask) -> Callable[[bytes, SignOfLife], bytes]:
        """Open it."""
        work = pickle.loads(self.make_work)(ask)
        return lambda item, sign: pickle.dumps(work(pickle.loads(item), sign))
