"""The parts of a pipeline from their settings, for ``Pipeline.from_pretrained`` and for the annotation of videos."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ava_detect.config import Config
from ava_detect.config.build import build_with_weights
from ava_detect.detectors.base import PersonDetector
from ava_detect.detectors.function import DetectorFunction, as_detector
from ava_detect.detectors.specs import build_detector
from ava_detect.inference.scorer import Scorer
from ava_detect.models.network_options import NetworkOptions
from ava_detect.models.weights import WeightsReport


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


def build_scorer(
    config: Config, weights: str | Path | None, options: NetworkOptions, overrides: Sequence[str] = ()
) -> tuple[Scorer, WeightsReport | None]:
    """Build the network of a config, load its weights, and prepare it for its device.

    Args:
        config: The config.
        weights: The weights file; None for random weights.
        options: Device, precision, and how the network is run.
        overrides: ``section.key=value`` each, which are in the config already: contradicting settings inside the
            weights file give way to them.

    Returns:
        The scorer, and the report on the weights file; None for random weights.

    Raises:
        ConfigError: The options cannot be met on this machine, or the network needs more memory than it has.
        WeightsError: The file is no weights file, or does not fit the network.
    """
    network = options.resolve()
    model, report = build_with_weights(config, weights, overrides)
    scorer = Scorer(
        model,
        device=network.device,
        precision=network.precision,
        execution=network.execution,
        clips_per_batch=network.clips_per_batch,
    )
    return scorer, report
