"""The detector of a pipeline from its settings, as ``build.py`` has the scorer; needs no PyTorch by itself."""

from __future__ import annotations

from ava_detect.config import Config
from ava_detect.detectors.base import PersonDetector
from ava_detect.detectors.function import DetectorFunction, as_detector
from ava_detect.detectors.specs import build_detector


def people_detector(
    config: Config,
    detector: str | PersonDetector | DetectorFunction | None = None,
    *,
    min_person_score: float | None = None,
    device: str = "cpu",
    num_threads: int | None = None,
) -> PersonDetector:
    """Build the detector of a pipeline.

    Args:
        config: Names the detector where none is given, and the lowest score of those that are named by a spec.
        detector: A spec, a detector, or a function from an image to the people on it; None for the config's.
        min_person_score: People with a lower score, in 0..1, are left out; None for the config's, or the detector's
            own.
        device: Where detectors on torch run, ``cpu`` or ``cuda``.
        num_threads: Number of threads of the detectors on onnxruntime; None for the number of cores.

    Returns:
        The detector.

    Raises:
        DetectorError: The detector cannot be built.
        MissingDependencyError: Its library is not installed.
    """
    if detector is not None and not isinstance(detector, str):
        return as_detector(detector, min_score=min_person_score)
    return build_detector(
        detector or config.detector.spec,
        min_score=config.detector.min_score if min_person_score is None else min_person_score,
        num_threads=num_threads,
        device=device,
    )
