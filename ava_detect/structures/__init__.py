"""The small validated values that travel through the package, and the arithmetic on them.

Arrays are numpy, so that everything that reads or writes results works without torch. Each value checks on
construction that its parts agree, and is immutable by convention: make a new one.
"""

from ava_detect.structures.clip import Clip, ClipSettings, Frame, Resize, Sampling
from ava_detect.structures.detections import ActionDetections, Float32Array, PersonBoxes

__all__ = ["ActionDetections", "Clip", "ClipSettings", "Float32Array", "Frame", "PersonBoxes", "Resize", "Sampling"]
