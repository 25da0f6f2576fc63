"""Placement of label chips: near their box, inside the frame, clear of each other and of people's faces.

Every chip has 24 candidate positions around and inside its box, each with all of its rows or with fewer. Boxes are
handled from the largest (usually the person nearest to the camera) to the smallest, and each chip takes the candidate
of least cost that is still free. Where a chip finds no free candidate, all chips are cut to one row and placed again;
a chip without a free candidate even then is left out, because overlapping chips are illegible. From frame to frame
a chip keeps its position unless another has become clearly cheaper, so that it does not jump.

Boxes are xyxy pixels; the position of a chip is an index into ``_POSITIONS``.

Shapes: N boxes, K obstacles, F faces, S sizes of a chip, P = 24 positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ava_detect.structures.boxes import FloatArray, areas, intersections

Rectangle = tuple[int, int, int, int]

# A position is the point of the box and the point of the chip that coincide, each as (x, y) fractions of its own
# sides: [P, 2 (box, chip), 2 (x, y)]. The most preferred come first: above and below the box, inside it, beside it.
_POSITIONS = np.array(
    [[(x, y), (x, 1 - y)] for y in (0, 1) for x in (0, 1)]
    + [[(x, y), (x, y)] for y in (1, 0, 0.5, 0.75, 0.25) for x in (0, 1)]
    + [[(x, y), (1 - x, y)] for y in (0, 0.5, 1, 0.25, 0.75) for x in (1, 0)]
)
# A face is assumed to fill the upper middle of a person's box: xyxy as fractions of the box.
_FACE = np.array([0.25, 0.0, 0.75, 0.35])

# Costs of a candidate. Covering a whole face costs most, then losing a row.
_COST_COVERING_A_FACE = 3.0
_COST_PER_LOST_ROW = 0.8
_COST_COVERING_OTHERS = 0.5
_COST_PER_RANK = 0.03
_GAIN_OF_STAYING = 0.3


@dataclass(frozen=True)
class Placement:
    """Where one chip is drawn.

    Attributes:
        x: Left edge, pixels.
        y: Top edge, pixels.
        position: Index into the candidate positions, given back as ``previous`` for the next frame.
        size_index: Index into the sizes of this chip.
    """

    x: int
    y: int
    position: int
    size_index: int


def place_chips(
    boxes_xyxy: FloatArray,
    sizes: Sequence[Sequence[tuple[int, int]]],
    area_xyxy: Rectangle,
    obstacles_xyxy: FloatArray,
    previous: Sequence[int | None],
) -> list[Placement | None]:
    """Place one chip for every box.

    Args:
        boxes_xyxy: ``[N, 4]``, pixels.
        sizes: For each box the widths and heights that its chip can have, with all rows first, then with one row less
            each time.
        area_xyxy: Where chips may lie, pixels; a larger chip starts at its top left corner and must be cut.
        obstacles_xyxy: ``[K, 4]``, rectangles that must stay free, such as the time stamp.
        previous: For each box the position of its chip on the previous frame; None where it had none.

    Returns:
        A placement per box, in their order; None where there is no free candidate.
    """
    placements = _place(boxes_xyxy, sizes, area_xyxy, obstacles_xyxy, previous)
    if None not in placements:
        return placements
    one_row = _place(boxes_xyxy, sizes, area_xyxy, obstacles_xyxy, previous, one_row_only=True)
    return min(placements, one_row, key=lambda result: result.count(None))


def _place(
    boxes_xyxy: FloatArray,
    sizes: Sequence[Sequence[tuple[int, int]]],
    area_xyxy: Rectangle,
    obstacles_xyxy: FloatArray,
    previous: Sequence[int | None],
    one_row_only: bool = False,
) -> list[Placement | None]:
    """Place greedily, the largest box first."""
    placements: list[Placement | None] = [None] * len(boxes_xyxy)
    taken = obstacles_xyxy  # [K + chips placed so far, 4]
    faces = _faces(boxes_xyxy)  # [F = N, 4]
    for i in np.argsort(-areas(boxes_xyxy), kind="stable").tolist():
        candidates = _candidates(boxes_xyxy[i], sizes[i], area_xyxy)  # [S, P, 4]
        costs = _covering_costs(candidates, np.delete(boxes_xyxy, i, axis=0), faces, taken)  # [S, P]
        if one_row_only:
            costs[:-1] = np.inf
        # Size s has lost s rows; the positions are in order of preference.
        costs += _COST_PER_LOST_ROW * np.arange(len(costs))[:, None] + _COST_PER_RANK * np.arange(len(_POSITIONS))
        if previous[i] is not None:
            costs[:, previous[i]] -= _GAIN_OF_STAYING
        size_index, position = divmod(int(costs.argmin()), len(_POSITIONS))
        if np.isfinite(costs[size_index, position]):
            chosen = candidates[size_index, position]  # [4]
            placements[i] = Placement(int(chosen[0]), int(chosen[1]), position, size_index)
            taken = np.concatenate([taken, chosen[None]])
    return placements


def _covering_costs(
    candidates: FloatArray, other_boxes: FloatArray, faces: FloatArray, taken: FloatArray
) -> FloatArray:
    """Return the cost ``[S, P]`` of what each candidate ``[S, P, 4]`` covers; infinite where it is not free."""
    flat = candidates.reshape(-1, 4)  # [S * P, 4]
    # The covered share of every face, summed over the faces.
    costs = _COST_COVERING_A_FACE * (intersections(flat, faces) / np.maximum(areas(faces), 1)).sum(axis=1)
    # The share of the chip that lies on other people's boxes.
    costs += _COST_COVERING_OTHERS * intersections(flat, other_boxes).sum(axis=1) / areas(flat)
    # Chips must not overlap obstacles and each other.
    costs[intersections(flat, taken).any(axis=1)] = np.inf
    by_size: FloatArray = costs.reshape(candidates.shape[:2])
    return by_size


def _faces(boxes_xyxy: FloatArray) -> FloatArray:
    """Return the approximate face of each person, ``[N, 4]``."""
    top_left, sides = boxes_xyxy[:, :2], boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]  # [N, 2] each
    return np.concatenate([top_left + sides * _FACE[:2], top_left + sides * _FACE[2:]], axis=1)


def _candidates(box: FloatArray, sizes: Sequence[tuple[int, int]], area_xyxy: Rectangle) -> FloatArray:
    """Return every candidate of a chip, moved into the area: xyxy ``[S, P, 4]``."""
    sides = np.array(sizes, np.float64)[:, None]  # [S, 1, 2]
    # Top left corner of the chip: the meeting point on the box, minus the meeting point's offset in the chip.
    corners = box[:2] + _POSITIONS[:, 0] * (box[2:] - box[:2]) - _POSITIONS[:, 1] * sides  # [S, P, 2]
    # Move the chip left and up until it ends inside the area, then right and down until it starts inside it.
    area = np.array(area_xyxy, np.float64)
    corners = np.maximum(np.minimum(np.round(corners), area[2:] - sides), area[:2])
    return np.concatenate([corners, corners + sides], axis=-1)
