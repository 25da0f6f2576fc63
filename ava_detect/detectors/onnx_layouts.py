"""The output layouts of detection networks, and their decoding into boxes and person scores.

Shapes: n images, k candidate boxes, c classes, h x w cells of a grid. Every decoder returns boxes ``[n, k, 4]``, xyxy
in pixels of the model's input, and scores ``[n, k]``, before any threshold or non-maximum suppression.

Sources: YOLOX (Megvii, ``yolox/utils/demo_utils.py``), YOLOv8's single output and its form after NMS, DETR and RT-DETR
as their Hugging Face exports name and shape them, FastestDet (``utils/tool.py``, ``handle_preds``). Each layout also
has the input format of that project as defaults, so that an unmodified export needs no option but its layout.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ava_detect.errors import DetectorError, shown
from ava_detect.structures.boxes import FloatArray

_YOLOX_STRIDES = (8, 16, 32)
# x1 y1 x2 y2, score and class: no grid of boxes is as small.
_VALUES_AFTER_NMS = 6


@dataclass(frozen=True)
class OutputFormat:
    """The settings of a decoder.

    Attributes:
        width: Width of the model's input in pixels.
        height: Height of the model's input in pixels.
        person_class: Index of the person class.
        coordinates: Unit of the boxes: ``"fractions"`` of the input, ``"pixels"`` or ``"grid"`` cells.
    """

    width: int
    height: int
    person_class: int
    coordinates: str


Outputs = Mapping[str, FloatArray]
Decoded = tuple[FloatArray, FloatArray]


@dataclass(frozen=True)
class Layout:
    """One output layout.

    Attributes:
        decode: Function from the model's outputs to boxes and scores.
        shapes: Names and shapes of the outputs, for messages.
        coordinates: Allowed units of the boxes, the default first.
        required: Options without default.
        defaults: Defaults of the other options.
    """

    decode: Callable[[Outputs, OutputFormat], Decoded]
    shapes: str
    coordinates: tuple[str, ...]
    required: tuple[str, ...] = ()
    defaults: dict[str, Any] = field(default_factory=dict)


def _xyxy_scores(outputs: Outputs, output: OutputFormat) -> Decoded:
    """Boxes ``[n, k, 4]`` and scores ``[n, k]`` or ``[n, k, c]``."""
    found, scores = _boxes_and_scores(outputs)
    if scores.ndim == 3:
        scores = _person(scores, output.person_class)  # [n, k]
    return found * _unit_pixels(output), scores


def _yolox(outputs: Outputs, output: OutputFormat) -> Decoded:
    """YOLOX: one output ``[n, k, 5 + c]`` of center, size, objectness and class scores."""
    values = _only(outputs, ndim=3)  # [n, k, 5 + c]
    centers, sides, objectness, classes = values[..., :2], values[..., 2:4], values[..., 4], values[..., 5:]
    if output.coordinates == "grid":
        # Centers are offsets from their cell's corner in cells, sizes are logarithms of cells.
        corners, strides = _yolox_grid(output.width, output.height)  # [k, 2] and [k, 1]
        if len(strides) != values.shape[1]:
            raise DetectorError(
                f"the model gives {values.shape[1]} boxes, but a YOLOX grid with strides 8, 16 and 32 on "
                f"{output.width}x{output.height} has {len(strides)}; say coordinates=pixels if it decodes its own grid"
            )
        # In pixels, [n, k, 2] each.
        centers, sides = (centers + corners) * strides, np.exp(sides) * strides
    return _xyxy(centers, sides), objectness * _person(classes, output.person_class)


def _yolov8(outputs: Outputs, output: OutputFormat) -> Decoded:
    """YOLOv8: one output ``[n, 4 + c, k]`` of center, size and class scores; boxes after NMS by their axes."""
    given = _only(outputs, ndim=3)
    if given.shape[2] == _VALUES_AFTER_NMS:
        return _yolo_nms(outputs, output)
    if _VALUES_AFTER_NMS < given.shape[2] < given.shape[1]:
        # Read in the other direction, the coordinates of one box would be the scores of another.
        raise DetectorError(
            f"layout yolov8 is [n,4+c,k] with more boxes k than values of each, got {_shapes(outputs)}; with rows of "
            "x1 y1 x2 y2, score and class it is layout=yolo_nms"
        )
    values = given.transpose(0, 2, 1)  # [n, k, 4 + c]
    found = _xyxy(values[..., :2], values[..., 2:4])
    return found * _unit_pixels(output), _person(values[..., 4:], output.person_class)


def _yolo_nms(outputs: Outputs, output: OutputFormat) -> Decoded:
    """YOLO with its own NMS, or without need of one: ``[n, k, 6]`` of corners, score and class; more may follow."""
    values = _only(outputs, ndim=3)  # [n, k, 6 or more]
    if values.shape[2] < _VALUES_AFTER_NMS:
        raise DetectorError(f"expected rows of x1 y1 x2 y2, score and class, got {_shapes(outputs)}")
    is_person = np.rint(values[..., 5]) == output.person_class  # [n, k]
    # Scores of other classes are kept out, but seen by the check of their range.
    scores = np.where(is_person | (values[..., 4] > 1), values[..., 4], 0)
    return values[..., :4] * _unit_pixels(output), scores


def _detr(outputs: Outputs, output: OutputFormat) -> Decoded:
    """DETR: boxes ``[n, k, 4]`` of center and size, and logits ``[n, k, c + 1]``."""
    from scipy.special import softmax  # slow to import, and few detectors need it

    found, logits = _boxes_and_scores(outputs)
    scores = softmax(logits, axis=-1)  # [n, k, c + 1]; the last class is "no object"
    return _xyxy(found[..., :2], found[..., 2:]) * _unit_pixels(output), _person(scores, output.person_class)


def _rtdetr(outputs: Outputs, output: OutputFormat) -> Decoded:
    """RT-DETR: boxes ``[n, k, 4]`` of center and size, and one logit per class ``[n, k, c]``."""
    from scipy.special import expit  # slow to import, and few detectors need it

    found, logits = _boxes_and_scores(outputs)
    scores = expit(_person(logits, output.person_class))
    return _xyxy(found[..., :2], found[..., 2:]) * _unit_pixels(output), scores


def _fastestdet(outputs: Outputs, output: OutputFormat) -> Decoded:
    """FastestDet: one output ``[n, 5 + c, h, w]`` of objectness, center offset, size and class scores per cell."""
    from scipy.special import expit  # slow to import, and few detectors need it

    values = _only(outputs, ndim=4)
    count, channels, rows, columns = values.shape
    # One candidate box per cell of the grid.
    cells = values.reshape(count, channels, rows * columns).transpose(0, 2, 1)  # [n, h * w, 5 + c]
    y, x = np.divmod(np.arange(rows * columns, dtype=np.float32), np.float32(columns))  # [h * w] each
    # Centers are offsets of up to one cell from the cell's corner, here as fractions of the grid, [n, h * w, 2]; sizes
    # are fractions of the input.
    centers = (np.tanh(cells[..., 1:3]) + np.stack([x, y], axis=-1)) / np.array([columns, rows], dtype=np.float32)
    found = _xyxy(centers, expit(cells[..., 3:5])) * _unit_pixels(output)
    classes = cells[..., 5:]  # [n, h * w, c]
    person = _person(classes, output.person_class)  # [n, h * w]
    # A cell predicts its best class only; for other classes the power 0.4 would raise low scores too much.
    person = np.where(person >= classes.max(axis=-1), person, 0)
    return found, np.clip(cells[..., 0], 0, 1) ** 0.6 * np.clip(person, 0, 1) ** 0.4


_PLAIN_INPUT = {"std": (1.0, 1.0, 1.0), "mean": (0.0, 0.0, 0.0)}
_UNIT_INPUT = {"scale": 1 / 255, **_PLAIN_INPUT}

LAYOUTS: dict[str, Layout] = {
    "xyxy_scores": Layout(
        _xyxy_scores,
        "boxes [n,k,4] and scores [n,k] or [n,k,c]",
        coordinates=("fractions", "pixels"),
        required=("coordinates", "color", "scale"),
        defaults={"resize": "stretch", "nms_iou": 0.6, **_PLAIN_INPUT},
    ),
    "yolox": Layout(
        _yolox,
        "[n,k,5+c]: cx cy w h, objectness, classes",
        coordinates=("grid", "pixels"),
        defaults={"resize": "letterbox", "color": "bgr", "scale": 1.0, "nms_iou": 0.6, **_PLAIN_INPUT},
    ),
    "yolov8": Layout(
        _yolov8,
        "[n,4+c,k]: cx cy w h, classes",
        coordinates=("pixels", "fractions"),
        defaults={"resize": "letterbox_center", "color": "rgb", "nms_iou": 0.7, **_UNIT_INPUT},
    ),
    "yolo_nms": Layout(
        _yolo_nms,
        "[n,k,6]: x1 y1 x2 y2, score, class, as exported with NMS",
        coordinates=("pixels", "fractions"),
        defaults={"resize": "letterbox_center", "color": "rgb", "nms_iou": 0.7, **_UNIT_INPUT},
    ),
    "detr": Layout(
        _detr,
        "boxes [n,k,4] cx cy w h and logits [n,k,c+1], the last class being no object",
        coordinates=("fractions", "pixels"),
        defaults={
            "resize": "stretch",
            "color": "rgb",
            "scale": 1 / 255,
            "mean": (0.485, 0.456, 0.406),
            "std": (0.229, 0.224, 0.225),
            "person_class": 1,  # DETR was trained on COCO's original ids
            "nms_iou": 1.0,
        },
    ),
    "rtdetr": Layout(
        _rtdetr,
        "boxes [n,k,4] cx cy w h and logits [n,k,c]",
        coordinates=("fractions", "pixels"),
        defaults={"resize": "stretch", "color": "rgb", "nms_iou": 1.0, **_UNIT_INPUT},
    ),
    "fastestdet": Layout(
        _fastestdet,
        "[n,5+c,h,w]: objectness, dx dy w h, classes",
        coordinates=("fractions",),
        defaults={"resize": "stretch", "color": "bgr", "nms_iou": 0.45, "min_score": 0.65, **_UNIT_INPUT},
    ),
}


def _only(outputs: Outputs, ndim: int) -> FloatArray:
    """The one output of ``ndim`` axes."""
    found = [values for values in outputs.values() if values.ndim == ndim]
    if len(found) != 1:
        raise DetectorError(f"expected one output with {ndim} axes, got {_shapes(outputs)}")
    return found[0]


def _boxes_and_scores(outputs: Outputs) -> tuple[FloatArray, FloatArray]:
    """The output whose name contains "box", or else the one whose last axis is 4; and the other output."""
    named = [name for name in outputs if "box" in name.lower()]
    chosen = named or [name for name, values in outputs.items() if values.shape[-1] == 4]
    if len(chosen) == 1 and len(outputs) == 2:
        found = outputs[chosen[0]]
        scores = next(values for name, values in outputs.items() if name != chosen[0])
        if found.ndim == 3 and found.shape[-1] == 4 and scores.shape[:2] == found.shape[:2]:
            return found, scores
    raise DetectorError(f"expected boxes [n,k,4] and scores of the same n and k, got {_shapes(outputs)}")


def _shapes(outputs: Outputs) -> str:
    return ", ".join(f"{shown(name)} {list(values.shape)}" for name, values in outputs.items())


def _person(classes: FloatArray, person_class: int) -> FloatArray:
    """The score of the person class: ``[..., c]`` -> ``[...]``."""
    if not 0 <= person_class < classes.shape[-1]:
        raise DetectorError(f"person_class must be 0 to {classes.shape[-1] - 1} for this model, got {person_class}")
    result: FloatArray = classes[..., person_class]
    return result


def _xyxy(centers: FloatArray, sides: FloatArray) -> FloatArray:
    """Centers and sides, ``[..., 2]`` each -> boxes ``[..., 4]``."""
    return np.concatenate([centers - sides / 2, centers + sides / 2], axis=-1)


def _unit_pixels(output: OutputFormat) -> FloatArray:
    """The length of one unit of the boxes in pixels of the input, for each of x1, y1, x2, y2: ``[4]``."""
    if output.coordinates == "fractions":
        return np.array([output.width, output.height] * 2, dtype=np.float32)
    return np.ones(4, dtype=np.float32)


def _yolox_grid(width: int, height: int) -> tuple[FloatArray, FloatArray]:
    """Cell corners ``[k, 2]`` (in cells) and strides ``[k, 1]`` of YOLOX's three grids, finest first."""
    corners: list[FloatArray] = []
    strides: list[FloatArray] = []
    for stride in _YOLOX_STRIDES:
        y, x = np.mgrid[: height // stride, : width // stride].astype(np.float32)  # [h, w] each
        corners.append(np.stack([x.ravel(), y.ravel()], axis=-1))
        strides.append(np.full((x.size, 1), stride, dtype=np.float32))
    return np.concatenate(corners), np.concatenate(strides)
