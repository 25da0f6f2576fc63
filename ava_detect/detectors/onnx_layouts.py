"""The output layouts of detection networks, and their decoding into boxes and person scores.

Shapes: n images, k candidate boxes, c classes, h x w cells of a grid. Every decoder returns boxes ``[n, k, 4]``, xyxy
in pixels of the model's input, and scores ``[n, k]``, before any threshold or non-maximum suppression.

Sources: YOLOX (Megvii, ``yolox/utils/demo_utils.py``), YOLOv8's single output and its form after NMS, DETR and RT-DETR
as their Hugging Face exports name and shape them, FastestDet (``utils/tool.py``, ``handle_preds``). Each layout also
has the input format of that project as defaults, so that an unmodified export needs no option but its layout.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ava_detect.errors import DetectorError, shown
from ava_detect.structures.boxes import FloatArray

_YOLOX_STRIDES = (8, 16, 32)
# x1 y1 x2 y2, score and class: no grid of boxes is as small.
VALUES_AFTER_NMS = 6


@dataclass(frozen=True)
class OutputFormat:
    """The settings of a decoder.

    Attributes:
        width: Width of the model's input in pixels.
        height: Height of the model's input in pixels.
        classes: Indices of the classes that are the actors.
        coordinates: Unit of the boxes: ``"fractions"`` of the input, ``"pixels"`` or ``"grid"`` cells.
    """

    width: int
    height: int
    classes: tuple[int, ...]
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
        unnamed_person_class: Index of the person class in a file without class names.
    """

    decode: Callable[[Outputs, OutputFormat], Decoded]
    shapes: str
    coordinates: tuple[str, ...]
    required: tuple[str, ...] = ()
    defaults: dict[str, Any] = field(default_factory=dict)
    unnamed_person_class: int = 0


def _xyxy_scores(outputs: Outputs, output: OutputFormat) -> Decoded:
    """Boxes ``[n, k, 4]`` and scores ``[n, k]`` or ``[n, k, c]``."""
    found, scores = _boxes_and_scores(outputs)
    if scores.ndim == 3:
        scores = _actor(scores, output.classes)  # [n, k]
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
    return _xyxy(centers, sides), objectness * _actor(classes, output.classes)


def _yolov8(outputs: Outputs, output: OutputFormat) -> Decoded:
    """YOLOv8: one output ``[n, 4 + c, k]`` of center, size and class scores; boxes after NMS by their axes."""
    given = _only(outputs, ndim=3)
    if given.shape[2] == VALUES_AFTER_NMS:
        return _yolo_nms(outputs, output)
    if VALUES_AFTER_NMS < given.shape[2] < given.shape[1]:
        # Read in the other direction, the coordinates of one box would be the scores of another.
        raise DetectorError(
            f"layout yolov8 is [n,4+c,k] with more boxes k than values of each, got {_shapes(outputs)}; with rows of "
            "x1 y1 x2 y2, score and class it is layout=yolo_nms"
        )
    values = given.transpose(0, 2, 1)  # [n, k, 4 + c]
    found = _xyxy(values[..., :2], values[..., 2:4])
    return found * _unit_pixels(output), _actor(values[..., 4:], output.classes)


def _yolo_nms(outputs: Outputs, output: OutputFormat) -> Decoded:
    """YOLO with its own NMS, or without need of one: ``[n, k, 6]`` of corners, score and class; more may follow."""
    values = _rows_after_nms(outputs)  # [n, k, 6 or more]
    return values[..., :4] * _unit_pixels(output), _actor_rows(values, output.classes)


def _rows_after_nms(outputs: Outputs) -> FloatArray:
    """Rows of corners, score and class ``[n, k, 6 or more]`` from one output, or from one for each of them."""
    parts = _nms_parts(outputs)
    if not parts:
        values = _only(outputs, ndim=3)
        if values.shape[2] < VALUES_AFTER_NMS:
            raise DetectorError(f"expected rows of x1 y1 x2 y2, score and class, got {_shapes(outputs)}")
        return values
    found = outputs[parts["boxes"]]  # [n, k, 4], or [n, k, 5] with the scores
    others = [outputs[parts[name]] for name in ("scores", "classes") if name in parts]  # [n, k] each
    if (
        found.ndim != 3
        or found.shape[2] + len(others) != VALUES_AFTER_NMS
        or any(o.shape != found.shape[:2] for o in others)
    ):
        raise DetectorError(f"expected boxes [n,k,4], scores [n,k] and classes [n,k], got {_shapes(outputs)}")
    count, num_rows = found.shape[:2]
    rows = np.concatenate([found, *(values[..., None] for values in others)], axis=-1)  # [n, k, 6]
    if "num" in parts:
        # The rows after the last detection hold anything.
        is_filled = np.arange(num_rows) < outputs[parts["num"]].reshape(count, 1)  # [n, k]
        rows = np.where(is_filled[..., None], rows, 0)
    return rows


def _nms_parts(outputs: Mapping[str, Any]) -> dict[str, str]:
    """The names of the outputs of an NMS that gives each part as an output of its own; empty for other outputs.

    ``num_dets, det_boxes, det_scores, det_classes`` of TensorRT's plugin, with or without the number, and
    ``dets, labels`` of mmdeploy, whose boxes are followed by their scores.
    """
    words = {"num": "num", "score": "scores", "class": "classes", "label": "classes", "box": "boxes", "dets": "boxes"}
    parts: dict[str, str] = {}
    for name in outputs:
        part = next((part for word, part in words.items() if word in name.lower()), "")
        if not part or part in parts:
            return {}
        parts[part] = name
    return parts if set(parts) - {"num"} in ({"boxes", "scores", "classes"}, {"boxes", "classes"}) else {}


def is_nms_outputs(shapes: Mapping[str, Sequence[int | str | None]]) -> bool:
    """Return whether outputs are boxes, scores and classes after NMS, each an output of its own.

    Args:
        shapes: Shape of each output by its name.

    Returns:
        Whether they are.
    """
    parts = _nms_parts(shapes)
    # TensorFlow's detectors give detection_boxes, too, but as y1 x1 y2 x2.
    return bool(parts) and "detection" not in parts["boxes"] and len(shapes[parts["boxes"]]) == 3


def _actor_rows(values: FloatArray, classes: tuple[int, ...]) -> FloatArray:
    """The scores of rows of box, score and class: ``[n, k, 6 or more]`` -> ``[n, k]``, 0 for those of no actor."""
    is_actor = np.isin(np.rint(values[..., 5]), classes)  # [n, k]
    # Scores of other classes are kept out, but seen by the check of their range.
    return np.where(is_actor | (values[..., 4] > 1), values[..., 4], 0)


def _detr(outputs: Outputs, output: OutputFormat) -> Decoded:
    """DETR: boxes ``[n, k, 4]`` of center and size, and logits ``[n, k, c + 1]``."""
    from scipy.special import softmax  # slow to import, and few detectors need it

    found, logits = _boxes_and_scores(outputs)
    scores = softmax(logits, axis=-1)  # [n, k, c + 1]; the last class is "no object"
    return _xyxy(found[..., :2], found[..., 2:]) * _unit_pixels(output), _actor(scores, output.classes)


def _rtdetr(outputs: Outputs, output: OutputFormat) -> Decoded:
    """RT-DETR: boxes ``[n, k, 4]`` of center and size, and one logit per class ``[n, k, c]``."""
    from scipy.special import expit  # slow to import, and few detectors need it

    found, logits = _boxes_and_scores(outputs)
    scores = expit(_actor(logits, output.classes))
    return _xyxy(found[..., :2], found[..., 2:]) * _unit_pixels(output), scores


def _rtdetr_ultralytics(outputs: Outputs, output: OutputFormat) -> Decoded:
    """RT-DETR of Ultralytics: ``[n, k, 6]`` of center, size, score and class, in older exports ``[n, k, 4 + c]``."""
    values = _only(outputs, ndim=3)
    found = _xyxy(values[..., :2], values[..., 2:4]) * _unit_pixels(output)
    # With two classes the older form has six values, too, but its last is a score, no whole number.
    if values.shape[2] == VALUES_AFTER_NMS and np.array_equal(values[..., 5], np.rint(values[..., 5])):
        return found, _actor_rows(values, output.classes)
    return found, _actor(values[..., 4:], output.classes)


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
    actor = _actor(classes, output.classes)  # [n, h * w]
    # A cell predicts its best class only; for other classes the power 0.4 would raise low scores too much.
    actor = np.where(actor >= classes.max(axis=-1), actor, 0)
    return found, np.clip(cells[..., 0], 0, 1) ** 0.6 * np.clip(actor, 0, 1) ** 0.4


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
        "[n,k,6]: x1 y1 x2 y2, score, class, as exported with NMS, or boxes, scores and classes as outputs",
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
            "nms_iou": 1.0,
        },
        unnamed_person_class=1,  # DETR was trained on COCO's original ids
    ),
    "rtdetr": Layout(
        _rtdetr,
        "boxes [n,k,4] cx cy w h and logits [n,k,c]",
        coordinates=("fractions", "pixels"),
        defaults={"resize": "stretch", "color": "rgb", "nms_iou": 1.0, **_UNIT_INPUT},
    ),
    "rtdetr_ultralytics": Layout(
        _rtdetr_ultralytics,
        "[n,k,6]: cx cy w h, score, class",
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


def _actor(scores: FloatArray, classes: tuple[int, ...]) -> FloatArray:
    """The best score of the actors' classes: ``[..., c]`` -> ``[...]``."""
    if max(classes) >= scores.shape[-1]:
        raise DetectorError(f"classes are 0 to {scores.shape[-1] - 1} for this model, got {max(classes)}")
    result: FloatArray = scores[..., list(classes)].max(axis=-1)
    return result


def _xyxy(centers: FloatArray, sides: FloatArray) -> FloatArray:
    """Centers and sides, ``[..., 2]`` each -> boxes ``[..., 4]``."""
    return np.concatenate([centers - sides / 2, centers + sides / 2], axis=-1)


def _unit_pixels(output: OutputFormat) -> FloatArray:
    """The length of one unit of the boxes in pixels of the input, for each of x1, y1, x2, y2: ``[4]``."""
    if output.coordinates == "fractions":
        return np.array([output.width, output.height] * 2, dtype=np.float32)
    return np.ones(4, dtype=np.float32)


def num_grid_cells(width: int, height: int) -> int:
    """Return the number of cells of the grids with strides 8, 16 and 32, which the YOLO family has.

    Args:
        width: Width of the input in pixels.
        height: Height of the input in pixels.

    Returns:
        The number.
    """
    return sum((width // stride) * (height // stride) for stride in _YOLOX_STRIDES)


def _yolox_grid(width: int, height: int) -> tuple[FloatArray, FloatArray]:
    """Cell corners ``[k, 2]`` (in cells) and strides ``[k, 1]`` of YOLOX's three grids, finest first."""
    corners: list[FloatArray] = []
    strides: list[FloatArray] = []
    for stride in _YOLOX_STRIDES:
        y, x = np.mgrid[: height // stride, : width // stride].astype(np.float32)  # [h, w] each
        corners.append(np.stack([x.ravel(), y.ravel()], axis=-1))
        strides.append(np.full((x.size, 1), stride, dtype=np.float32))
    return np.concatenate(corners), np.concatenate(strides)
