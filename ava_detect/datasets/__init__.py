"""From annotation files and videos to training samples: AVA, Kinetics, Charades."""

from ava_detect.datasets.ava import AvaDataset
from ava_detect.datasets.base import ClipDataset
from ava_detect.datasets.build import build_dataset
from ava_detect.datasets.classification import ClassificationDataset
from ava_detect.datasets.samples import Batch, Sample, collate, network_input

__all__ = [
    "AvaDataset",
    "Batch",
    "ClassificationDataset",
    "ClipDataset",
    "Sample",
    "build_dataset",
    "collate",
    "network_input",
]
