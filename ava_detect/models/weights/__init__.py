"""Weights: files of the field's families in, every tensor accounted for."""

from ava_detect.models.weights.loading import FAMILIES, load_weights
from ava_detect.models.weights.report import WeightsReport

__all__ = ["FAMILIES", "WeightsReport", "load_weights"]
