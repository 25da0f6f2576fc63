"""The rules of ``evaluation.video_map``, written out one by one in plain Python."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ava_detect.formats.ava_table import AvaTable
from ava_detect.structures.frame_tubes import FrameTube


def naive_map(
    truth: list[FrameTube], found: list[FrameTube] | AvaTable, dialect: str, threshold: float, classes: Sequence[int]
) -> float:
    """The mAP, 0..1; of boxes, where ``found`` is a table, as tubes of one frame."""
    is_act = dialect == "act"
    if isinstance(found, AvaTable):
        truth = [part for tube in truth for part in _frames_of(tube)]
        detections = _boxes_of(found)
    else:
        detections = found
    precisions = []
    for action_id in classes:
        own = [tube for tube in truth if tube.action_id == action_id]
        ranked = [tube for tube in detections if tube.action_id == action_id]
        if is_act and not isinstance(found, AvaTable):
            ranked = _suppressed(ranked, list(dict.fromkeys(tube.video_id for tube in truth)))
        ranked.sort(key=lambda tube: -tube.score)
        hits = _hits(own, ranked, threshold, is_act=is_act, has_time=not isinstance(found, AvaTable))
        if not own:
            precisions += [0.0] if is_act else []
        elif is_act:
            precisions.append(_trapezoids(hits, len(own)))
        else:
            precisions.append(_envelope(hits, len(own)))
    return sum(precisions) / len(precisions) if precisions else math.nan


def _hits(
    own: list[FrameTube], ranked: list[FrameTube], threshold: float, *, is_act: bool, has_time: bool
) -> list[bool]:
    taken: set[int] = set()
    hits = []
    for tube in ranked:
        best, best_overlap = -1, -1.0
        for number, one in enumerate(own):
            if one.video_id != tube.video_id or (is_act and number in taken):
                continue
            overlap = _overlap(one, tube, is_act=is_act, has_time=has_time)
            if overlap > best_overlap:
                best, best_overlap = number, overlap
        hit = best_overlap >= threshold and best not in taken
        if hit:
            taken.add(best)
        hits.append(hit)
    return hits


def _overlap(a: FrameTube, b: FrameTube, *, is_act: bool, has_time: bool) -> float:
    more = 1 if is_act else 0
    common = [frame for frame in a.frames.tolist() if frame in b.frames]
    if not common:
        return 0.0
    ious = [_iou(_box(a, frame), _box(b, frame), more) for frame in common]
    if not has_time:
        return ious[0]
    first, last = max(a.frames[0], b.frames[0]), min(a.frames[-1], b.frames[-1])
    begin, end = min(a.frames[0], b.frames[0]), max(a.frames[-1], b.frames[-1])
    return float(sum(ious) / len(ious) * (last - first + more) / (end - begin + more))


def _box(tube: FrameTube, frame: int) -> list[float]:
    box: list[float] = tube.boxes_xyxy[tube.frames.tolist().index(frame)].tolist()
    return box


def _iou(a: list[float], b: list[float], more: int) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0]) + more
    height = min(a[3], b[3]) - max(a[1], b[1]) + more
    shared = max(width, 0) * max(height, 0)
    areas = [(box[2] - box[0] + more) * (box[3] - box[1] + more) for box in (a, b)]
    return shared / (sum(areas) - shared)


def _suppressed(ranked: list[FrameTube], videos: list[str]) -> list[FrameTube]:
    kept: list[FrameTube] = []
    for video in dict.fromkeys([*videos, *(tube.video_id for tube in ranked)]):
        left = sorted((tube for tube in ranked if tube.video_id == video), key=lambda tube: tube.score)
        while left:
            best = left.pop()
            kept.append(best)
            left = [tube for tube in left if _overlap(tube, best, is_act=True, has_time=True) <= 0.3]
    return kept


def _envelope(hits: list[bool], num_gt: int) -> float:
    precision = [sum(hits[: rank + 1]) / (rank + 1) for rank in range(len(hits))]
    return sum(max(precision[rank:]) for rank, hit in enumerate(hits) if hit) / num_gt


def _trapezoids(hits: list[bool], num_gt: int) -> float:
    area, before = 0.0, 1.0
    for rank, hit in enumerate(hits):
        precision = sum(hits[: rank + 1]) / (rank + 1)
        area += hit / num_gt * (precision + before) / 2
        before = precision
    return area


def _frames_of(tube: FrameTube) -> list[FrameTube]:
    return [
        FrameTube(tube.video_id, tube.action_id, np.array([frame]), box[None])
        for frame, box in zip(tube.frames.tolist(), tube.boxes_xyxy, strict=True)
    ]


def _boxes_of(table: AvaTable) -> list[FrameTube]:
    rows = zip(
        table.video_index.tolist(), table.timestamps_seconds.tolist(), table.action_ids.tolist(), table.scores.tolist(),
        table.boxes_fraction, strict=True,
    )  # fmt: skip
    return [FrameTube(table.video_ids[v], a, np.array([int(t)]), box[None], s) for v, t, a, s, box in rows]
