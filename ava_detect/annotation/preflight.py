"""What is wrong with a network and its detector, said before any work, in a process that ends when that is known.

PyTorch and a network are some hundred megabytes, and whoever only drives a run needs neither.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ava_detect.annotation.engines.base import Ask, Heartbeat, Limits
from ava_detect.annotation.engines.watched_process import WatchedProcess
from ava_detect.annotation.settings import AnnotateSettings
from ava_detect.models.zoo import RANDOM_WEIGHTS
from ava_detect.storage.addresses import is_address, without_secrets
from ava_detect.storage.local_files import sha256_of

if TYPE_CHECKING:
    from ava_detect.annotation.video_annotator import VideoAnnotator


@dataclass(frozen=True)
class NetworkFacts:
    """``weights``: what a run's summary says of them. ``device``: ``cpu`` or ``cuda``, what ``auto`` came to."""

    weights: dict[str, Any]
    device: str

    def with_address(self, weights: str | None) -> NetworkFacts:
        """The same of weights that were given by their address, which their copy here does not tell."""
        if weights is None or not is_address(weights):
            return self
        return replace(self, weights={**self.weights, "source": without_secrets(weights)})


@dataclass(frozen=True)
class _Check:
    """Makes the work of the process: the network is built before it is asked for, so that errors keep their kind."""

    settings: AnnotateSettings

    def __call__(self, ask: Ask) -> Callable[[None, Heartbeat], NetworkFacts]:
        from ava_detect.annotation.video_annotator import VideoAnnotator

        facts = facts_of(VideoAnnotator(self.settings))
        return lambda _, sign: facts


def check_network(settings: AnnotateSettings) -> NetworkFacts:
    """Build what ``settings`` describe, in another process. Raises the ``AvaDetectError`` where that cannot be."""
    if "torch" in sys.modules:
        # What another process would keep out of this one is here.
        from ava_detect.annotation.video_annotator import VideoAnnotator

        return facts_of(VideoAnnotator(settings))
    with closing(WatchedProcess(_Check(settings), Limits())) as child:
        child.start()
        facts: NetworkFacts = child(None)
    return facts


def facts_of(annotator: VideoAnnotator) -> NetworkFacts:
    """The facts of what is built in this process."""
    device, report = annotator.device, annotator.weights_report
    if report is None:
        return NetworkFacts({"source": RANDOM_WEIGHTS, "sha256": None, "trained": False}, device)
    path = Path(report.path).resolve()
    known = {"source": str(path), "sha256": sha256_of(path), "trained": True, "tensors_loaded": len(report.loaded)}
    return NetworkFacts(known, device)
