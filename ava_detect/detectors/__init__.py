"""Person detectors: one Protocol, one file per detector, and specs as text."""

from ava_detect.detectors.base import PersonDetector
from ava_detect.detectors.specs import build_detector

__all__ = ["PersonDetector", "build_detector"]
