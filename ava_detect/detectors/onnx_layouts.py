"""How detection networks write their boxes down, and how each spelling becomes boxes and person scores.

Shapes: n pictures, k candidate boxes, c classes, h x w cells of a grid. Every decoder gives boxes ``[n, k, 4]`` xyxy
in pixels of the model's input and scores ``[n, k]``, before any threshold or non-maximum suppression.

Sources: YOLOX (Megvii, ``yolox/utils/demo_utils.py``), YOLOv8's single output, DETR and RT-DETR as their Hugging
Face exports name and shape them, FastestDet (``utils/tool.py``, ``handle_preds``). Each layout also carries how that
project prepares its pictures, so that an unmodified export needs nothing said but its layout.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import expit, softmax

from ava_detect.errors import DetectorError
from ava_detect.structures.boxes import FloatArray

_YOLOX_STRIDES = (8, 16, 32)


@dataclass(frozen=True)
class OutputFormat:
    """What a decoder has to know: the input's size in pixels, which class is a person, what the numbers measure."""

    width: int
    height: int
    person_class: int
    coordinates: str


Outputs = Mapping[str, FloatArray]
Decoded = tuple[FloatArray, FloatArray]


@dataclass(frozen=True)
class Layout:
    """A spelling of boxes.

    ``coordinates``: what its numbers may measure, the usual one first. ``must_say``: options that have no usual
    value. ``defaults``: the usual value of the other options.
    """

    decode: Callable[[Outputs, OutputFormat], Decoded]
    shapes: str
    coordinates: tuple[str, ...]
    must_say: tuple[str, ...] = ()
    defaults: dict[str, Any] = field(default_factory=dict)


def _xyxy_scores(outputs: Outputs, output: OutputFormat) -> Decoded:
    found, scores = _boxes_and_scores(outputs)
    if scores.ndim == 3:
        scores = _person(scores, output.person_class)
    return found * _unit(output), scores


def _yolox(outputs: Outputs, output: OutputFormat) -> Decoded:
    values = _only(outputs, ndim=3)
    centers, sides, objectness, classes = values[..., :2], values[..., 2:4], values[..., 4], values[..., 5:]
    if output.coordinates == "grid":
        corners, strides = _yolox_grid(output.width, output.height)
        if len(strides) != values.shape[1]:
            raise DetectorError(
                f"the model gives {values.shape[1]} boxes, but a YOLOX grid with strides 8, 16 and 32 on "
                f"{output.width}x{output.height} has {len(strides)}; say coordinates=pixels if it decodes its own grid"
            )
        centers, sides = (centers + corners) * strides, np.exp(sides) * strides
    return _xyxy(centers, sides), objectness * _person(classes, output.person_class)


def _yolov8(outputs: Outputs, output: OutputFormat) -> Decoded:
    values = _only(outputs, ndim=3).transpose(0, 2, 1)
    found = _xyxy(values[..., :2], values[..., 2:4])
    return found * _unit(output), _person(values[..., 4:], output.person_class)


def _detr(outputs: Outputs, output: OutputFormat) -> Decoded:
    found, logits = _boxes_and_scores(outputs)
    shares = softmax(logits, axis=-1)  # the last class is "no object"
    return _xyxy(found[..., :2], found[..., 2:]) * _unit(output), _person(shares, output.person_class)


def _rtdetr(outputs: Outputs, output: OutputFormat) -> Decoded:
    found, logits = _boxes_and_scores(outputs)
    scores = expit(_person(logits, output.person_class))
    return _xyxy(found[..., :2], found[..., 2:]) * _unit(output), scores


def _fastestdet(outputs: Outputs, output: OutputFormat) -> Decoded:
    values = _only(outputs, ndim=4)
    count, channels, rows, columns = values.shape
    cells = values.reshape(count, channels, rows * columns).transpose(0, 2, 1)
    y, x = np.divmod(np.arange(rows * columns, dtype=np.float32), np.float32(columns))
    centers = (np.tanh(cells[..., 1:3]) + np.stack([x, y], axis=-1)) / np.array([columns, rows], dtype=np.float32)
    found = _xyxy(centers, expit(cells[..., 3:5])) * _unit(output)
    classes = cells[..., 5:]
    person = _person(classes, output.person_class)
    # A cell speaks for its best class only; elsewhere the power 0.4 would lift faint second guesses too far.
    person = np.where(person >= classes.max(axis=-1), person, 0)
    return found, np.clip(cells[..., 0], 0, 1) ** 0.6 * np.clip(person, 0, 1) ** 0.4


_YOLO_PICTURE = {"std": (1.0, 1.0, 1.0), "mean": (0.0, 0.0, 0.0)}
_UNIT_PICTURE = {"scale": 1 / 255, **_YOLO_PICTURE}

LAYOUTS: dict[str, Layout] = {
    "xyxy_scores": Layout(
        _xyxy_scores,
        "boxes [n,k,4] and scores [n,k] or [n,k,c]",
        coordinates=("fractions", "pixels"),
        must_say=("coordinates", "color", "scale"),
        defaults={"resize": "stretch", "nms_iou": 0.6, **_YOLO_PICTURE},
    ),
    "yolox": Layout(
        _yolox,
        "[n,k,5+c]: cx cy w h, objectness, classes",
        coordinates=("grid", "pixels"),
        defaults={"resize": "letterbox", "color": "bgr", "scale": 1.0, "nms_iou": 0.6, **_YOLO_PICTURE},
    ),
    "yolov8": Layout(
        _yolov8,
        "[n,4+c,k]: cx cy w h, classes",
        coordinates=("pixels", "fractions"),
        defaults={"resize": "letterbox_center", "color": "rgb", "nms_iou": 0.7, **_UNIT_PICTURE},
    ),
    "detr": Layout(
        _detr,
        "boxes [n,k,4] cx cy w h and logits [n,k,c+1], the last class being nothing",
        coordinates=("fractions", "pixels"),
        defaults={
            "resize": "stretch",
            "color": "rgb",
            "scale": 1 / 255,
            "mean": (0.485, 0.456, 0.406),
            "std": (0.229, 0.224, 0.225),
            "person_class": 1,  # DETR was trained on COCO's own ids
            "nms_iou": 1.0,
        },
    ),
    "rtdetr": Layout(
        _rtdetr,
        "boxes [n,k,4] cx cy w h and logits [n,k,c]",
        coordinates=("fractions", "pixels"),
        defaults={"resize": "stretch", "color": "rgb", "nms_iou": 1.0, **_UNIT_PICTURE},
    ),
    "fastestdet": Layout(
        _fastestdet,
        "[n,5+c,h,w]: objectness, dx dy w h, classes",
        coordinates=("fractions",),
        defaults={"resize": "stretch", "color": "bgr", "nms_iou": 0.45, "min_score": 0.65, **_UNIT_PICTURE},
    ),
}


def _only(outputs: Outputs, ndim: int) -> FloatArray:
    """The one output of ``ndim`` axes."""
    found = [values for values in outputs.values() if values.ndim == ndim]
    if len(found) != 1:
        raise DetectorError(f"expected one output with {ndim} axes, got {_shapes(outputs)}")
    return found[0]


def _boxes_and_scores(outputs: Outputs) -> tuple[FloatArray, FloatArray]:
    """The output whose name holds "box", else the one whose last axis is 4; and the other one."""
    named = [name for name in outputs if "box" in name.lower()]
    chosen = named or [name for name, values in outputs.items() if values.shape[-1] == 4]
    if len(chosen) == 1 and len(outputs) == 2:
        found = outputs[chosen[0]]
        scores = next(values for name, values in outputs.items() if name != chosen[0])
        if found.ndim == 3 and found.shape[-1] == 4 and scores.shape[:2] == found.shape[:2]:
            return found, scores
    raise DetectorError(f"expected boxes [n,k,4] and scores of the same n and k, got {_shapes(outputs)}")


def _shapes(outputs: Outputs) -> str:
    return ", ".join(f"{name} {list(values.shape)}" for name, values in outputs.items())


def _person(classes: FloatArray, person_class: int) -> FloatArray:
    """The column of the person class; ``classes``: ``[..., c]``."""
    if not 0 <= person_class < classes.shape[-1]:
        raise DetectorError(f"person_class must be 0 to {classes.shape[-1] - 1} for this model, got {person_class}")
    result: FloatArray = classes[..., person_class]
    return result


def _xyxy(centers: FloatArray, sides: FloatArray) -> FloatArray:
    return np.concatenate([centers - sides / 2, centers + sides / 2], axis=-1)


def _unit(output: OutputFormat) -> FloatArray:
    """What one unit of the boxes' numbers is in pixels of the input, per coordinate."""
    if output.coordinates == "fractions":
        return np.array([output.width, output.height] * 2, dtype=np.float32)
    return np.ones(4, dtype=np.float32)


def _yolox_grid(width: int, height: int) -> tuple[FloatArray, FloatArray]:
    """Cell corners ``[k, 2]`` (in cells) and strides ``[k, 1]`` of YOLOX's three grids, finest first."""
    corners: list[FloatArray] = []
    strides: list[FloatArray] = []
    for stride in _YOLOX_STRIDES:
        y, x = np.mgrid[: height // stride, : width // stride].astype(np.float32)
        corners.append(np.stack([x.ravel(), y.ravel()], axis=-1))
        strides.append(np.full((x.size, 1), stride, dtype=np.float32))
    return np.concatenate(corners), np.concatenate(strides)
