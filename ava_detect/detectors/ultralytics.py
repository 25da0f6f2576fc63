"""What the metadata of an Ultralytics export (YOLOv8 and its successors) says of the model.

Their exporter writes the keys ``task``, ``names``, ``imgsz``, ``stride`` and, where NMS is inside, ``args`` or
``end2end``, each as the text of a Python value.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from ava_detect.errors import DetectorError, shown

_KEYS = ("task", "names", "stride")
# Of a model for other tasks the values of a box mean something else.
_TASKS = ("detect", "segment", "pose")
_LAYOUTS = ("yolov8", "yolo_nms")


def ultralytics_options(metadata: Mapping[str, str], given: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Return the options of a model that Ultralytics' exporter wrote.

    Args:
        metadata: The file's metadata.
        given: The options that were given otherwise.
        model: The file, its inputs and outputs, for messages.

    Returns:
        ``layout``, ``person_class`` and ``size``, as far as the metadata has them; nothing for other files.

    Raises:
        DetectorError: The model finds no persons, or it is unclear which class they are.
    """
    if not all(key in metadata for key in _KEYS) or given.get("layout", _LAYOUTS[0]) not in _LAYOUTS:
        return {}
    task = metadata["task"]
    if task not in _TASKS:
        raise DetectorError(f"{model}: the model's task is {shown(task)}; give one for {', '.join(_TASKS)}")
    arguments = _value(metadata.get("args", "")) or {}
    has_nms = _value(metadata.get("end2end", "")) is True or (
        isinstance(arguments, dict) and arguments.get("nms") is True
    )
    options: dict[str, Any] = {"layout": "yolo_nms" if has_nms else "yolov8"}
    if "person_class" not in given:
        options["person_class"] = _person_class(_value(metadata["names"]), model)
    sides = _value(metadata.get("imgsz", ""))
    if isinstance(sides, list) and len(sides) == 2 and all(isinstance(side, int) and side > 0 for side in sides):
        options["size"] = (sides[1], sides[0])
    return options


def _person_class(names: Any, model: str) -> int:
    """The index of the class that is called person; a model of one class has no other."""
    by_index = dict(enumerate(names)) if isinstance(names, list) else names
    if not isinstance(by_index, dict) or not by_index or not all(isinstance(index, int) for index in by_index):
        return 0
    for index, name in by_index.items():
        if str(name).strip().casefold() in ("person", "people", "pedestrian", "human"):
            return int(index)
    if len(by_index) == 1:
        return int(next(iter(by_index)))
    classes = shown(", ".join(str(name) for name in list(by_index.values())[:10]))
    raise DetectorError(
        f"{model}: none of its {len(by_index)} classes is called person ({classes}); say person_class=INDEX"
    )


def _value(text: str) -> Any:
    """The Python value of a text; None where it is none."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return None
