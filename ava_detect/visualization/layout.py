"""Where label chips go: near their box, inside the frame, off each other and off people's faces.

Each person's chip has two dozen places around and inside the box, with all of its rows or fewer. The
cheapest is taken, person by person, the largest box (mostly the nearest person) first. Where somebody finds
every place taken all chips are cut to one row; who finds none even then has no chip, since of two that overlap
neither can be read. From frame to frame a chip keeps its place unless another has become clearly better, so
that it does not jump.

Boxes are xyxy pixels; a chip's place is an index into ``_PLACES``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ava_detect.structures.boxes import FloatArray, areas, intersections

Rectangle = tuple[int, int, int, int]

# A place is the point of the box and the point of the chip that meet there, each as fractions of its own
# sides; the most wished for first: above and below the box, then inside it, then beside it.
_PLACES = np.array(
    [[(x, y), (x, 1 - y)] for y in (0, 1) for x in (0, 1)]
    + [[(x, y), (x, y)] for y in (1, 0, 0.5, 0.75, 0.25) for x in (0, 1)]
    + [[(x, y), (1 - x, y)] for y in (0, 0.5, 1, 0.25, 0.75) for x in (1, 0)]
)
# A face fills about the upper middle of a person's box: x and y range as fractions of it.
_FACE = np.array([0.25, 0.0, 0.75, 0.35])

# What a place costs. Covering a whole face is worst, then losing a row.
_COST_COVERING_A_FACE = 3.0
_COST_PER_LOST_ROW = 0.8
_COST_COVERING_OTHERS = 0.5
_COST_PER_RANK = 0.03
_GAIN_OF_STAYING = 0.3


@dataclass(frozen=True)
class Placement:
    """Where one chip goes: its top left corner in pixels, the place that this is, and which of its sizes."""

    x: int
    y: int
    place: int
    size_index: int


def place_chips(
    boxes_xyxy: FloatArray,
    sizes: Sequence[Sequence[tuple[int, int]]],
    area_xyxy: Rectangle,
    obstacles_xyxy: FloatArray,
    previous: Sequence[int | None],
) -> list[Placement | None]:
    """The placement of every chip, in the order of the boxes; None where there is no free place.

    ``boxes_xyxy`` ``[N, 4]``. ``sizes[i]``: widths and heights that the chip of person i can have, with all of its
    rows first, then with one less each. ``area_xyxy``: where chips may lie; one that is larger starts at its
    top left corner and must be cut. ``obstacles_xyxy`` ``[K, 4]``: what must not be covered (the time stamp).
    ``previous[i]``: the place that person i's chip had on the frame before, or None.
    """
    placements = _place(boxes_xyxy, sizes, area_xyxy, obstacles_xyxy, previous)
    if None not in placements:
        return placements
    shortest = _place(boxes_xyxy, sizes, area_xyxy, obstacles_xyxy, previous, shortest_only=True)
    return min(placements, shortest, key=lambda result: result.count(None))


def _place(
    boxes_xyxy: FloatArray,
    sizes: Sequence[Sequence[tuple[int, int]]],
    area_xyxy: Rectangle,
    obstacles_xyxy: FloatArray,
    previous: Sequence[int | None],
    shortest_only: bool = False,
) -> list[Placement | None]:
    placements: list[Placement | None] = [None] * len(boxes_xyxy)
    taken = obstacles_xyxy
    faces = _faces(boxes_xyxy)
    for i in np.argsort(-areas(boxes_xyxy), kind="stable").tolist():
        candidates = _candidates(boxes_xyxy[i], sizes[i], area_xyxy)
        flat = candidates.reshape(-1, 4)
        costs = _COST_COVERING_A_FACE * (intersections(flat, faces) / np.maximum(areas(faces), 1)).sum(axis=1)
        others = np.delete(boxes_xyxy, i, axis=0)
        costs += _COST_COVERING_OTHERS * intersections(flat, others).sum(axis=1) / areas(flat)
        costs[intersections(flat, taken).any(axis=1)] = np.inf
        costs = costs.reshape(candidates.shape[:2])
        if shortest_only:
            costs[:-1] = np.inf
        costs += _COST_PER_LOST_ROW * np.arange(len(costs))[:, None] + _COST_PER_RANK * np.arange(len(_PLACES))
        if previous[i] is not None:
            costs[:, previous[i]] -= _GAIN_OF_STAYING
        size_index, place = divmod(int(costs.argmin()), len(_PLACES))
        if np.isfinite(costs[size_index, place]):
            chosen = candidates[size_index, place]
            placements[i] = Placement(int(chosen[0]), int(chosen[1]), place, size_index)
            taken = np.concatenate([taken, chosen[None]])
    return placements


def _faces(boxes_xyxy: FloatArray) -> FloatArray:
    """About where faces are, ``[N, 4]``."""
    origin, sides = boxes_xyxy[:, :2], boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]
    return np.concatenate([origin + sides * _FACE[:2], origin + sides * _FACE[2:]], axis=1)


def _candidates(box: FloatArray, sizes: Sequence[tuple[int, int]], area_xyxy: Rectangle) -> FloatArray:
    """Every place of a chip in each of its sizes, pushed into the area: xyxy ``[sizes, places, 4]``."""
    sides = np.array(sizes, np.float64)[:, None]
    corners = box[:2] + _PLACES[:, 0] * (box[2:] - box[:2]) - _PLACES[:, 1] * sides
    area = np.array(area_xyxy, np.float64)
    corners = np.maximum(np.minimum(np.round(corners), area[2:] - sides), area[:2])
    return np.concatenate([corners, corners + sides], axis=-1)
