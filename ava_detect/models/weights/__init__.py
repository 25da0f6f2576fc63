"""Read and write weights files of the families in use, with a report of every tensor."""

from ava_detect.models.weights.checkpoint_settings import CheckpointSettings
from ava_detect.models.weights.converting import ConversionReport, convert, save_weights
from ava_detect.models.weights.key_map import FAMILIES
from ava_detect.models.weights.loading import initialise_from_classifier, load_weights
from ava_detect.models.weights.renaming import KeyMap
from ava_detect.models.weights.report import WeightsReport
from ava_detect.models.weights.summary import FileSummary, inspect_file

__all__ = [
    "FAMILIES",
    "CheckpointSettings",
    "ConversionReport",
    "FileSummary",
    "KeyMap",
    "WeightsReport",
    "convert",
    "initialise_from_classifier",
    "inspect_file",
    "load_weights",
    "save_weights",
]
