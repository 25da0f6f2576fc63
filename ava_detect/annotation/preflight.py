"""A check before any work that the network and the detector can be built, in a process that ends with it.

PyTorch and a network take some hundred megabytes, which a process that only drives a run does not need.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ava_detect.annotation.engines.base import Ask, Heartbeat, Limits
from ava_detect.annotation.engines.watched_process import WatchedProcess
from ava_detect.annotation.settings import AnnotateSettings
from ava_detect.errors import AvaDetectWarning
from ava_detect.models.zoo import RANDOM_WEIGHTS
from ava_detect.storage.addresses import is_address, without_secrets
from ava_detect.storage.file_hashes import sha256_of

if TYPE_CHECKING:
    from ava_detect.annotation.video_annotator import VideoAnnotator


@dataclass(frozen=True)
class NetworkFacts:
    """What a run must know of its network.

    Attributes:
        weights: ``source``, ``sha256`` and ``trained``, for the summary; ``tensors_loaded`` of trained weights.
        device: ``cpu`` or ``cuda``, also where the settings say ``auto``.
        precision: ``fp32`` or ``bf16``: the one that the network runs with on this machine.
    """

    weights: dict[str, Any]
    device: str
    precision: str

    def with_address(self, weights: str | None) -> NetworkFacts:
        """Return the same facts with the address of the weights as their source, where they were given by one.

        Args:
            weights: The weights as they were given.
        """
        if weights is None or not is_address(weights):
            return self
        return replace(self, weights={**self.weights, "source": without_secrets(weights)})

    def settings_of(self, settings: AnnotateSettings) -> AnnotateSettings:
        """Return a run's settings with the precision that its network has, so that all its processes have the same.

        Args:
            settings: The settings as they were given.
        """
        is_known = settings.precision in ("auto", self.precision)
        return settings if is_known else replace(settings, precision=self.precision)


@dataclass(frozen=True)
class _Check:
    """The work of the process: the network is built when the work is made, so that errors keep their type."""

    settings: AnnotateSettings

    def __call__(self, ask: Ask) -> Callable[[None, Heartbeat], tuple[NetworkFacts, list[str]]]:
        from ava_detect.annotation.video_annotator import VideoAnnotator

        with warnings.catch_warnings(record=True) as caught:
            facts = facts_of(VideoAnnotator(self.settings))
        ours = [str(warning.message) for warning in caught if issubclass(warning.category, AvaDetectWarning)]
        return lambda _, heartbeat: (facts, ours)


def check_network(settings: AnnotateSettings) -> NetworkFacts:
    """Build the network and the detector in another process.

    Args:
        settings: The settings of a run.

    Returns:
        The facts of the network.

    Raises:
        AvaDetectError: It cannot be built.
    """
    if "torch" in sys.modules:
        # PyTorch is loaded here already, so another process would save nothing.
        from ava_detect.annotation.video_annotator import VideoAnnotator

        return facts_of(VideoAnnotator(settings))
    child: WatchedProcess[None, tuple[NetworkFacts, list[str]]]
    with closing(WatchedProcess(_Check(settings), Limits())) as child:
        child.start()
        facts, caught = child(None)
    for message in caught:
        warnings.warn(message, AvaDetectWarning, stacklevel=2)
    return facts


def facts_of(annotator: VideoAnnotator) -> NetworkFacts:
    """Return the facts of a network that was built in this process.

    Args:
        annotator: Has the network.
    """
    device, report = annotator.device, annotator.weights_report
    precision = annotator.precision
    if report is None:
        return NetworkFacts({"source": RANDOM_WEIGHTS, "sha256": None, "trained": False}, device, precision)
    path = Path(report.path).resolve()
    known = {"source": str(path), "sha256": sha256_of(path), "trained": True, "tensors_loaded": len(report.loaded)}
    return NetworkFacts(known, device, precision)
