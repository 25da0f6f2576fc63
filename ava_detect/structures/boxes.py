"""Box arithmetic on ``xyxy`` arrays.

Pixel model: continuous coordinates. A frame of width W and height H covers ``[0, 0, W, H]``; the centre of its first
pixel is (0.5, 0.5). No function adds or subtracts 1. In files boxes are fractions of the frame: the full frame is
``[0, 0, 1, 1]``. Only this file converts between the two.

Shapes: N, M boxes. Arrays are ``[N, 4]`` in the order x1, y1, x2, y2; results keep the dtype of the input.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating[Any]]
# How a person's box becomes the region of interest of a network: each code base has its rule
# (``video.transforms.roi_boxes`` before the network, ``models.roi.RoIPool.extended`` inside it).
BoxRule = Literal["pyslowfast", "alphaction", "mmaction2"]


def areas(boxes_xyxy: FloatArray) -> FloatArray:
    """Compute the areas of boxes.

    Args:
        boxes_xyxy: Boxes ``[N, 4]``.

    Returns:
        Areas ``[N]``; 0 for a box whose sides are zero or reversed (x2 < x1 or y2 < y1).
    """
    sides = np.clip(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], 0, None)  # [N, 2]: width, height
    result: FloatArray = sides[:, 0] * sides[:, 1]
    return result


def intersections(boxes_a: FloatArray, boxes_b: FloatArray) -> FloatArray:
    """Compute the area of overlap of every pair of boxes.

    Args:
        boxes_a: Boxes ``[N, 4]``.
        boxes_b: Boxes ``[M, 4]`` in the same unit.

    Returns:
        Areas ``[N, M]``.
    """
    # Corners of each pair's overlap, by broadcasting [N, 1, 2] against [1, M, 2].
    top_left = np.maximum(boxes_a[:, None, :2], boxes_b[None, :, :2])  # [N, M, 2]
    bottom_right = np.minimum(boxes_a[:, None, 2:], boxes_b[None, :, 2:])  # [N, M, 2]
    # Boxes that do not touch have a negative side; it counts as 0.
    sides = np.clip(bottom_right - top_left, 0, None)  # [N, M, 2]
    result: FloatArray = sides[..., 0] * sides[..., 1]
    return result


def iou(boxes_a: FloatArray, boxes_b: FloatArray) -> FloatArray:
    """Compute the intersection over union of every pair of boxes.

    Args:
        boxes_a: Boxes ``[N, 4]``.
        boxes_b: Boxes ``[M, 4]`` in the same unit.

    Returns:
        IoU ``[N, M]``, in 0..1; 0 where both boxes have area 0.
    """
    inter = intersections(boxes_a, boxes_b)  # [N, M]
    union = areas(boxes_a)[:, None] + areas(boxes_b)[None, :] - inter  # [N, M]
    return np.divide(inter, union, out=np.zeros_like(inter), where=union > 0)


def clip(boxes_xyxy: FloatArray, width: float, height: float) -> FloatArray:
    """Clip boxes to the frame ``[0, 0, width, height]``.

    Args:
        boxes_xyxy: Boxes ``[N, 4]``.
        width: Right edge of the frame, in the unit of the boxes.
        height: Bottom edge of the frame, in the unit of the boxes.

    Returns:
        Boxes ``[N, 4]``; a box outside the frame keeps its row, with area 0.
    """
    limits = np.array([width, height, width, height], dtype=boxes_xyxy.dtype)
    result: FloatArray = np.clip(boxes_xyxy, 0, limits)
    return result


def scale(boxes_xyxy: FloatArray, scale_x: float, scale_y: float) -> FloatArray:
    """Scale boxes as their frame is scaled by a resize.

    Args:
        boxes_xyxy: Boxes ``[N, 4]``.
        scale_x: New width over old width.
        scale_y: New height over old height.

    Returns:
        Boxes ``[N, 4]`` on the resized frame.
    """
    factors = np.array([scale_x, scale_y, scale_x, scale_y], dtype=boxes_xyxy.dtype)
    result: FloatArray = boxes_xyxy * factors
    return result


def pixels_to_fractions(boxes_xyxy: FloatArray, width: float, height: float) -> FloatArray:
    """Convert boxes from pixels to fractions of the frame.

    Args:
        boxes_xyxy: Boxes ``[N, 4]``, pixels.
        width: Frame width, pixels.
        height: Frame height, pixels.

    Returns:
        Boxes ``[N, 4]``, fractions of the frame.
    """
    return scale(boxes_xyxy, 1 / width, 1 / height)


def fractions_to_pixels(boxes_fraction: FloatArray, width: float, height: float) -> FloatArray:
    """Convert boxes from fractions of the frame to pixels.

    Args:
        boxes_fraction: Boxes ``[N, 4]`` xyxy, fractions of the frame.
        width: Frame width, pixels.
        height: Frame height, pixels.

    Returns:
        Boxes ``[N, 4]``, pixels.
    """
    return scale(boxes_fraction, width, height)


def nms(boxes_xyxy: FloatArray, scores: FloatArray, iou_threshold: float) -> npt.NDArray[np.intp]:
    """Select boxes by greedy non-maximum suppression.

    A box is dropped when its IoU with a kept box of a higher score is *above* the threshold. The numpy implementation
    serves detectors that run on onnxruntime without torch; ``torchvision.ops.nms`` gives the same result
    (``tests/structures/test_boxes.py``).

    Args:
        boxes_xyxy: Boxes ``[N, 4]``.
        scores: Scores ``[N]``.
        iou_threshold: Largest IoU of two kept boxes, in 0..1.

    Returns:
        Indices of the kept boxes, by descending score.
    """
    # A stable sort: boxes of equal score keep their order in the input.
    order = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while order.size:
        # Keep the best remaining box and drop the others that overlap it too much.
        best, order = order[0], order[1:]
        kept.append(int(best))
        overlaps = iou(boxes_xyxy[best : best + 1], boxes_xyxy[order])[0]  # [remaining]
        order = order[overlaps <= iou_threshold]
    return np.array(kept, dtype=np.intp)
