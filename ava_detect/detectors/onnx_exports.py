"""What an ONNX file tells of its model: the metadata of Ultralytics' exports, and outputs that only one layout has.

Their exporter (YOLOv8 and its successors, RT-DETR) writes the keys ``task``, ``names``, ``imgsz``, ``stride`` and,
where NMS is inside, ``args`` or ``end2end``, each as the text of a Python value.

Shapes: n images, k candidate boxes, c classes.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ava_detect.detectors.classes import names_by_index
from ava_detect.detectors.onnx_layouts import VALUES_AFTER_NMS, is_nms_outputs, num_grid_cells
from ava_detect.errors import DetectorError, shown

_KEYS = ("task", "names", "stride")
# Of a model for other tasks the values of a box mean something else.
_TASKS = ("detect", "segment", "pose")
_LAYOUTS = ("yolov8", "yolo_nms", "rtdetr_ultralytics")
# A model with NMS inside keeps 100 or 300 boxes; a grid of boxes is larger.
_MAX_AFTER_NMS = 1000


@dataclass(frozen=True)
class OnnxFile:
    """What is known of a model before it is run.

    Attributes:
        description: The file, its inputs and outputs, for messages.
        metadata: The file's metadata.
        outputs: Shape of each output by its name; an axis of any length is a text or None.
        size: Width and height of the input in pixels; None for a model that takes any.
        names: Class index -> name; empty to read them from the metadata.
    """

    description: str
    metadata: Mapping[str, str]
    outputs: Mapping[str, Sequence[int | str | None]]
    size: tuple[int, int] | None
    names: Mapping[int, str]

    def class_names(self) -> dict[int, str]:
        """Return the names of the classes, from the metadata key ``names``; empty where the file has none."""
        return dict(self.names) or names_by_index(_value(self.metadata.get("names", "")))

    def told_options(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options that the file tells.

        Args:
            given: The options that were given otherwise.

        Returns:
            ``layout`` and ``size``, as far as the file tells them.

        Raises:
            DetectorError: The model is for another task.
        """
        if all(key in self.metadata for key in _KEYS) and given.get("layout", _LAYOUTS[0]) in _LAYOUTS:
            return self._ultralytics_options()
        layout = "" if "layout" in given else self._layout_by_shape()
        return {"layout": layout} if layout else {}

    def _ultralytics_options(self) -> dict[str, Any]:
        """The options of a model that Ultralytics' exporter wrote."""
        task = self.metadata["task"]
        if task not in _TASKS:
            raise DetectorError(
                f"{self.description}: the model's task is {shown(task)}; give one for {', '.join(_TASKS)}"
            )
        options: dict[str, Any] = {"layout": self._ultralytics_layout()}
        sides = _value(self.metadata.get("imgsz", ""))
        if isinstance(sides, list) and len(sides) == 2 and all(isinstance(side, int) and side > 0 for side in sides):
            options["size"] = (sides[1], sides[0])
        return options

    def _ultralytics_layout(self) -> str:
        # Older exports have no "head", and a description such as "Ultralytics rtdetr-l model".
        if "rtdetr" in f"{self.metadata.get('head')} {self.metadata.get('description')}".casefold():
            return "rtdetr_ultralytics"
        arguments = _value(self.metadata.get("args", ""))
        has_nms = _value(self.metadata.get("end2end", "")) is True or (
            isinstance(arguments, dict) and arguments.get("nms") is True
        )
        return "yolo_nms" if has_nms else "yolov8"

    def _layout_by_shape(self) -> str:
        """The one layout that has outputs of these shapes; empty where several may have them."""
        if is_nms_outputs(self.outputs):
            return "yolo_nms"
        shapes = [shape for shape in self.outputs.values() if len(shape) == 3]
        if len(self.outputs) != 1 or not shapes:
            return ""
        first, last = shapes[0][1:]
        num_cells = num_grid_cells(*self.size) if self.size else 0
        # YOLOX with one class has six values, too, but a box for each cell of its grids.
        if last == VALUES_AFTER_NMS and isinstance(first, int) and first <= _MAX_AFTER_NMS and first != num_cells:
            return "yolo_nms"
        # Boxes along the last axis, one for each cell: 4 + c values of each.
        if last == num_cells and isinstance(first, int) and 4 < first < num_cells:
            return "yolov8"
        return ""


def _value(text: str) -> Any:
    """The Python value of a text; None where it is none."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return None
