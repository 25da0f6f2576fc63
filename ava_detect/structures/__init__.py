"""The validated values that the package's functions exchange, and the arithmetic on them.

Arrays are numpy arrays, so results are read and written without torch. Each value checks on construction that its
fields agree. Values are immutable by convention: create a new one instead of changing an array in place.
"""

from ava_detect.structures.clip import Clip, ClipSettings, Frame, LongSide, Resize, Sampling
from ava_detect.structures.detections import ActionDetections, Float32Array, PersonBoxes

__all__ = [
    "ActionDetections",
    "Clip",
    "ClipSettings",
    "Float32Array",
    "Frame",
    "LongSide",
    "PersonBoxes",
    "Resize",
    "Sampling",
]
