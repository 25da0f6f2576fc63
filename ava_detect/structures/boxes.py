"""Box arithmetic on ``xyxy`` arrays.

Pixel model: continuous coordinates. A frame of width W and height H covers ``[0, 0, W, H]``; a pixel's
centre lies at +0.5. Nothing here adds or subtracts 1. In files boxes are fractions of the frame, so
the full frame is ``[0, 0, 1, 1]``. Conversions between the two happen in this file only.

Shapes: N, M boxes. Arrays are ``[N, 4]`` in the order x1, y1, x2, y2; the dtype of the input is kept.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating[Any]]


def areas(boxes_xyxy: FloatArray) -> FloatArray:
    """Areas ``[N]``; a box whose sides are reversed or zero has area 0."""
    sides = np.clip(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], 0, None)
    result: FloatArray = sides[:, 0] * sides[:, 1]
    return result


def intersections(boxes_a: FloatArray, boxes_b: FloatArray) -> FloatArray:
    """Areas of overlap ``[N, M]`` of every box of ``boxes_a`` with every box of ``boxes_b``."""
    top_left = np.maximum(boxes_a[:, None, :2], boxes_b[None, :, :2])
    bottom_right = np.minimum(boxes_a[:, None, 2:], boxes_b[None, :, 2:])
    sides = np.clip(bottom_right - top_left, 0, None)
    result: FloatArray = sides[..., 0] * sides[..., 1]
    return result


def iou(boxes_a: FloatArray, boxes_b: FloatArray) -> FloatArray:
    """Intersection over union ``[N, M]``, in 0..1; 0 where both boxes are empty."""
    inter = intersections(boxes_a, boxes_b)
    union = areas(boxes_a)[:, None] + areas(boxes_b)[None, :] - inter
    return np.divide(inter, union, out=np.zeros_like(inter), where=union > 0)


def clip(boxes_xyxy: FloatArray, width: float, height: float) -> FloatArray:
    """Boxes cut to the frame ``[0, 0, width, height]``."""
    limits = np.array([width, height, width, height], dtype=boxes_xyxy.dtype)
    result: FloatArray = np.clip(boxes_xyxy, 0, limits)
    return result


def scale(boxes_xyxy: FloatArray, scale_x: float, scale_y: float) -> FloatArray:
    """Boxes of a frame that was resized by ``scale_x`` and ``scale_y``."""
    factors = np.array([scale_x, scale_y, scale_x, scale_y], dtype=boxes_xyxy.dtype)
    result: FloatArray = boxes_xyxy * factors
    return result


def pixels_to_fractions(boxes_xyxy: FloatArray, width: float, height: float) -> FloatArray:
    """Pixel boxes of a ``width`` x ``height`` frame as fractions of it."""
    return scale(boxes_xyxy, 1 / width, 1 / height)


def fractions_to_pixels(boxes_fraction: FloatArray, width: float, height: float) -> FloatArray:
    """Fractional boxes as pixels of a ``width`` x ``height`` frame."""
    return scale(boxes_fraction, width, height)


def nms(boxes_xyxy: FloatArray, scores: FloatArray, iou_threshold: float) -> npt.NDArray[np.intp]:
    """Indices that survive greedy non-maximum suppression, best score first.

    A box is dropped when its IoU with a better, kept box is *above* ``iou_threshold``. Equal scores
    keep their order in the input. The numpy form exists so that detectors that run on onnxruntime
    need no torch; ``torchvision.ops.nms`` gives the same answer (``tests/test_boxes.py``).
    """
    order = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while order.size:
        best, order = order[0], order[1:]
        kept.append(int(best))
        overlaps = iou(boxes_xyxy[best : best + 1], boxes_xyxy[order])[0]
        order = order[overlaps <= iou_threshold]
    return np.array(kept, dtype=np.intp)
