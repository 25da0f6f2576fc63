"""Initialise a network from a weights file or a name of the zoo, of any family that the package reads."""

from __future__ import annotations

from ava_detect.errors import counted
from ava_detect.models.action_detector import ActionClassifier, ActionDetector
from ava_detect.models.weights import initialise_from_classifier, inspect_file, load_weights
from ava_detect.models.zoo import resolve


def initialise(network: ActionDetector | ActionClassifier, name_or_path: str) -> str:
    """Load the weights that a training starts from.

    If the file's last layer has as many rows as the network's, every tensor is loaded. Otherwise (Kinetics weights for
    AVA, or other actions) the last layer keeps its random weights.

    Args:
        network: The network to fill.
        name_or_path: A weights file, its address, or a name of the zoo.

    Returns:
        A sentence that names the file and the number of tensors loaded.

    Raises:
        WeightsError: The weights cannot be had, or do not fit the network.
    """
    path = resolve(name_or_path)
    same_head = inspect_file(path).head_rows == network.head.projection.out_features
    report = load_weights(network, path) if same_head else initialise_from_classifier(network, path)
    fresh = "" if same_head else "; the last layer starts fresh"
    return f"weights start from {path} ({counted(len(report.loaded), 'tensor')}, {report.family} layout){fresh}"
