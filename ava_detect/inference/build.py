"""The scorer of a pipeline from its settings, for ``Pipeline.from_pretrained`` and for the annotation of videos."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ava_detect.config import Config
from ava_detect.config.build import build_with_weights
from ava_detect.inference.scorer import Scorer
from ava_detect.models.network_options import NetworkOptions
from ava_detect.models.weights import WeightsReport


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
