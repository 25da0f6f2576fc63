"""Views: the parts of a frame that a detector looks at one by one, and how their answers become one.

A network that squeezes a 1920x1080 frame into 300x300 pixels sees people at a sixth of their width. Looking at the
two end squares of the frame as well shows it people in their true proportions and larger. A person who is cut by a
square's inner edge is seen whole by another view, so such half people are dropped before the answers are joined.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ava_detect.structures import PersonBoxes, boxes

# A box that ends this close to a view's inner edge, as a share of the view's side, counts as cut by it: regressed
# edges stop a little short of the border.
CUT_MARGIN = 0.02


class View(NamedTuple):
    """A rectangle of the frame: whole pixels, ``x2`` and ``y2`` exclusive."""

    x1: int
    y1: int
    x2: int
    y2: int

    @property
    def width(self) -> int:
        """Pixels from left to right."""
        return self.x2 - self.x1

    @property
    def height(self) -> int:
        """Pixels from top to bottom."""
        return self.y2 - self.y1


def views_of(width: int, height: int, *, squares: bool) -> list[View]:
    """The whole frame and, with ``squares``, its left and right (portrait: top and bottom) squares.

    A square frame is one view in any case.
    """
    whole = View(0, 0, width, height)
    if not squares or width == height:
        return [whole]
    side = min(width, height)
    return [whole, View(0, 0, side, side), View(width - side, height - side, width, height)]


def uncut(boxes_xyxy: boxes.FloatArray, view: View, width: int, height: int) -> npt.NDArray[np.bool_]:
    """Which boxes ``[K]`` (pixels of the ``width`` x ``height`` frame) no inner edge of ``view`` has cut."""
    margin_x, margin_y = CUT_MARGIN * view.width, CUT_MARGIN * view.height
    keep = np.ones(len(boxes_xyxy), dtype=bool)
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
    """One answer for the frame from each view's boxes (in pixels of the frame), by joint NMS, best score first."""
    whole = [people[uncut(people.boxes_xyxy, view, width, height)] for people, view in zip(found, views, strict=True)]
    boxes_xyxy = boxes.clip(np.concatenate([people.boxes_xyxy for people in whole]), width, height)
    scores = np.concatenate([people.scores for people in whole])
    seen = np.flatnonzero(boxes.areas(boxes_xyxy) > 0)
    kept = seen[boxes.nms(boxes_xyxy[seen], scores[seen], nms_iou)]
    return PersonBoxes(boxes_xyxy[kept], scores[kept])
