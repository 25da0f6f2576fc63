"""The person detector in the package: SSDLite on MobileNetV2, small, for any CPU.

Origin and licence of the network: ``builtin_model/README.md``.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from ava_detect.detectors.base import Converters
from ava_detect.detectors.classes import Wanted, read_classes
from ava_detect.detectors.onnx import OnnxDetector

MODEL_FILE = Path(__file__).parent / "builtin_model" / "person_ssdlite_mobilenet_v2_coco.onnx"


class BuiltinDetector(OnnxDetector):
    """Finds persons with ssdlite_mobilenet_v2_coco in three views of the frame: the whole and its two end squares.

    The network's input has 300x300 pixels; with the squares it finds persons that it misses on the whole frame alone.
    With an NMS threshold of 0.6 two persons who stand close together keep their own boxes; with 0.5 they are merged
    (docs/detectors.md).
    """

    spec_options: ClassVar[Converters] = {"classes": read_classes}

    def __init__(
        self, *, classes: Wanted = ("person",), min_score: float = 0.3, num_threads: int | None = None
    ) -> None:
        """Load the network.

        Args:
            classes: The classes that are the actors; the network has one, ``person``, which is 0.
            min_score: Lowest score of a person, 0..1.
            num_threads: Threads of onnxruntime; by default one per usable core.
        """
        super().__init__(
            MODEL_FILE,
            min_score=min_score,
            num_threads=num_threads,
            names={0: "person"},
            classes=classes,
            layout="xyxy_scores",
            coordinates="fractions",
            color="rgb",
            scale=2 / 255,
            mean=(1.0,),
            nms_iou=0.6,
            views="squares",
        )
        self.name = "builtin"

    def _describe(self) -> str:
        return "builtin"
