"""Weights to start from: a file or a zoo name, of any family that the package reads."""

from __future__ import annotations

from ava_detect.models.action_detector import ActionClassifier, ActionDetector
from ava_detect.models.weights import initialise_from_classifier, inspect_file, load_weights
from ava_detect.models.zoo import resolve


def initialise(network: ActionDetector | ActionClassifier, name_or_path: str) -> str:
    """Fill ``network`` from a weights file, and say in a line what was taken.

    Everything is taken where the file's last layer has as many rows as the network's; otherwise (Kinetics weights for
    AVA, or other actions) everything but the last layer, which stays fresh. ``WeightsError`` when it does not fit.
    """
    path = resolve(name_or_path)
    same_head = inspect_file(path).head_rows == network.head.projection.out_features
    report = load_weights(network, path) if same_head else initialise_from_classifier(network, path)
    fresh = "" if same_head else "; the last layer starts fresh"
    return f"weights start from {path} ({len(report.loaded)} tensors, {report.family} layout){fresh}"
