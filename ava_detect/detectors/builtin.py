"""The person detector that comes with the package: SSDLite on MobileNetV2, small enough to ship, on any CPU.

Origin and licence of the network: ``builtin_model/README.md``.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from ava_detect.detectors.base import Converters
from ava_detect.detectors.onnx import OnnxDetector

MODEL_FILE = Path(__file__).parent / "builtin_model" / "person_ssdlite_mobilenet_v2_coco.onnx"


class BuiltinDetector(OnnxDetector):
    """People found by ssdlite_mobilenet_v2_coco in three views of the frame: the whole and its two end squares.

    The network sees 300x300 pixels; with the squares it finds people that the whole frame alone loses. An NMS
    threshold of 0.6 keeps two people who stand close together apart, where 0.5 merges them (docs/detectors.md).
    """

    spec_options: ClassVar[Converters] = {}

    def __init__(self, *, min_score: float = 0.3, num_threads: int | None = None) -> None:
        """``min_score``: people below it are left out. ``num_threads``: default all cores that may be used."""
        super().__init__(
            MODEL_FILE,
            min_score=min_score,
            num_threads=num_threads,
            layout="xyxy_scores",
            coordinates="fractions",
            color="rgb",
            scale=2 / 255,
            mean=(1.0,),
            nms_iou=0.6,
            views="squares",
        )
        self.name = "builtin"
