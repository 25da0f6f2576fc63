"""Initialise a network from a weights file or a name of the zoo, of any family that the package reads."""

from __future__ import annotations

from collections.abc import Sequence

from ava_detect.errors import counted, shown
from ava_detect.models.action_detector import ActionClassifier, ActionDetector
from ava_detect.models.weights import initialise_from_classifier, inspect_file, load_weights
from ava_detect.models.zoo import resolve

_MAX_NAMES = 4  # of each kind in the sentence


def initialise(network: ActionDetector | ActionClassifier, name_or_path: str) -> str:
    """Load the weights that a training starts from.

    If the file's last layer has as many rows as the network's, every tensor is loaded. Otherwise (Kinetics weights for
    AVA, or other actions), or where the file is that of a pretraining or a vision transformer's classifier, the last
    layer keeps its random weights.

    Args:
        network: The network to fill.
        name_or_path: A weights file, its address, or a name of the zoo.

    Returns:
        A sentence that names the file, the number of tensors loaded, and those that are fresh or were left out.

    Raises:
        WeightsError: The weights cannot be had, or do not fit the network.
    """
    path = resolve(name_or_path)
    summary = inspect_file(path)
    same_head = not summary.unknown and summary.head_rows == network.head.projection.out_features
    report = load_weights(network, path) if same_head else initialise_from_classifier(network, path)
    text = f"weights start from {path} ({counted(len(report.loaded), 'tensor')}, {report.family} layout)"
    if same_head:
        return text
    left_out = f"; not used: {_listed(report.ignored)}" if report.ignored else ""
    fresh = [name for name in report.fresh if not name.startswith("head.")]
    others = f", as do {_listed(fresh)}" if fresh else ""
    return f"{text}{left_out}; the last layer starts fresh{others}"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
    return shown(", ".join(names[:_MAX_NAMES])) + more
