"""What a run in this process can do while PyTorch is imported: hash the weights, build the detector.

Both spend their time outside the interpreter lock. What they import has been imported before, so that no two threads
import at once.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from ava_detect.annotation.settings import AnnotateSettings
from ava_detect.detectors import PersonDetector
from ava_detect.detectors.specs import runs_on_onnxruntime
from ava_detect.inference.people_detector import people_detector
from ava_detect.models.zoo import RANDOM_WEIGHTS
from ava_detect.storage.file_hashes import sha256_of
from ava_detect.video.sources import SourceVideo


@dataclass(frozen=True)
class HeadStart:
    """What is under way before the network is built.

    Attributes:
        first: The video that comes first, where that is known; it is read while the network is built.
        detector: The detector; None where it needs PyTorch.
        hashed: The SHA-256 of the weights, which ``sha256_of`` then knows; None for an untrained network.
    """

    first: SourceVideo | None
    detector: Future[PersonDetector] | None
    hashed: Future[str] | None

    def wait(self) -> None:
        """Wait for the hash; an error is left to the call that needs it."""
        if self.hashed is not None:
            with suppress(Exception):
                self.hashed.result()


def give_head_start(settings: AnnotateSettings, first: SourceVideo | None) -> HeadStart:
    """Begin what needs no PyTorch, in threads that end with it.

    Args:
        settings: The settings, with a file as weights.
        first: The video that comes first.

    Returns:
        What is under way.
    """
    threads = ThreadPoolExecutor(2, "ava-detect start")
    hashed = detector = None
    if settings.weights is not None and settings.weights != RANDOM_WEIGHTS:
        hashed = threads.submit(sha256_of, settings.weights)
    if runs_on_onnxruntime(settings.detector_spec):
        build = partial(people_detector, settings.config, settings.detector, min_person_score=settings.min_person_score)
        detector = threads.submit(build)
    threads.shutdown(wait=False)
    return HeadStart(first, detector, hashed)
