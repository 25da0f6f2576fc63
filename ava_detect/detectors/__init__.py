"""Person detectors: one protocol, one module per detector, and specs that name detectors by text."""

from ava_detect.detectors.base import PersonDetector
from ava_detect.detectors.specs import build_detector

__all__ = ["PersonDetector", "build_detector"]
