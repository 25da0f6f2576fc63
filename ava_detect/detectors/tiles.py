"""Views: the parts of a frame on which a detector is run one by one, and the fusion of their boxes.

A network that resizes a 1920x1080 frame to 300x300 pixels gets persons at a sixth of their width. In the two end
squares of the frame persons keep their proportions and are larger. A person who is cut by a square's inner edge is
complete in another view, so boxes that touch such an edge are dropped before the views' boxes are joined.

Shapes: K boxes, xyxy in pixels of the frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ava_detect.structures import PersonBoxes, boxes

# A box that ends this close to a view's inner edge, as a fraction of the view's side, counts as cut by it: the edges
# that a network regresses often end slightly inside the border.
CUT_MARGIN = 0.02


class View(NamedTuple):
    """A rectangle of the frame, in whole pixels.

    Attributes:
        x1: Left edge.
        y1: Top edge.
        x2: Right edge, exclusive.
        y2: Bottom edge, exclusive.
    """

    x1: int
    y1: int
    x2: int
    y2: int

    @property
    def width(self) -> int:
        """Width in pixels."""
        return self.x2 - self.x1

    @property
    def height(self) -> int:
        """Height in pixels."""
        return self.y2 - self.y1


def views_of(width: int, height: int, *, squares: bool) -> list[View]:
    """Return the views of a frame.

    Args:
        width: Width of the frame in pixels.
        height: Height of the frame in pixels.
        squares: Whether the left and right squares (portrait: top and bottom) are views too.

    Returns:
        The whole frame, then the squares; a square frame is one view in any case.
    """
    whole = View(0, 0, width, height)
    if not squares or width == height:
        return [whole]
    side = min(width, height)
    return [whole, View(0, 0, side, side), View(width - side, height - side, width, height)]


def uncut(boxes_xyxy: boxes.FloatArray, view: View, width: int, height: int) -> npt.NDArray[np.bool_]:
    """Select the boxes that are not cut by an inner edge of a view.

    Args:
        boxes_xyxy: Boxes ``[K, 4]`` that were found in the view, in pixels of the frame.
        view: The view.
        width: Width of the frame in pixels.
        height: Height of the frame in pixels.

    Returns:
        Mask ``[K]``, True for boxes to keep.
    """
    margin_x, margin_y = CUT_MARGIN * view.width, CUT_MARGIN * view.height
    keep = np.ones(len(boxes_xyxy), dtype=bool)  # [K]
    # Only edges inside the frame cut persons; a box may touch the frame's own edges.
    if view.x1 > 0:
        keep &= boxes_xyxy[:, 0] > view.x1 + margin_x
    if view.y1 > 0:
        keep &= boxes_xyxy[:, 1] > view.y1 + margin_y
    if view.x2 < width:
        keep &= boxes_xyxy[:, 2] < view.x2 - margin_x
    if view.y2 < height:
        keep &= boxes_xyxy[:, 3] < view.y2 - margin_y
    return keep


def join(found: Sequence[PersonBoxes], views: Sequence[View], width: int, height: int, nms_iou: float) -> PersonBoxes:
    """Join the boxes of all views by non-maximum suppression.

    Args:
        found: The boxes of each view, in pixels of the frame.
        views: The views.
        width: Width of the frame in pixels.
        height: Height of the frame in pixels.
        nms_iou: Of two boxes with a larger IoU, the one with the lower score is dropped; 1 keeps all.

    Returns:
        The persons on the frame, best score first.
    """
    # Drop the boxes that a view's inner edge has cut.
    uncut_people = [
        people[uncut(people.boxes_xyxy, view, width, height)] for people, view in zip(found, views, strict=True)
    ]
    # Put the boxes of all views together, inside the frame.
    boxes_xyxy = boxes.clip(np.concatenate([people.boxes_xyxy for people in uncut_people]), width, height)  # [K, 4]
    scores = np.concatenate([people.scores for people in uncut_people])  # [K]
    # Drop boxes without area, then the weaker of overlapping ones.
    visible = np.flatnonzero(boxes.areas(boxes_xyxy) > 0)
    kept = visible[boxes.nms(boxes_xyxy[visible], scores[visible], nms_iou)]
    return PersonBoxes(boxes_xyxy[kept], scores[kept])
