"""Frame-mAP written from its description, box by box and slowly: an independent reference for the tests."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Sequence

Box = tuple[float, float, float, float]
Row = tuple[str, float, Box, int, float]  # video, second, box, action, score or person id


def iou(a: Box, b: Box) -> float:
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    inter = height * width
    area_a, area_b = ((box[3] - box[1]) * (box[2] - box[0]) for box in (a, b))
    return inter / ((area_a + area_b) - inter) if inter > 0 else 0.0


def average_precision(ranked: Sequence[bool], num_gt: int) -> float:
    """``ranked``: true positive or not, best first."""
    precision, hits = [], 0
    for rank, hit in enumerate(ranked, 1):
        hits += hit
        precision.append(hits / rank)
    return sum(max(precision[rank:]) for rank, hit in enumerate(ranked) if hit) / num_gt


def frame_ap(truth: Sequence[Row], detections: Sequence[Row], ids: Sequence[int], dialect: str) -> dict[int, float]:
    """AP per class that has ground truth, in the official order of equal scores under a stable sort."""
    official = dialect == "official"
    listed = {(video, second) for video, second, *_ in truth}
    boxes = defaultdict(list)
    for video, second, box, action, person in truth:
        boxes[video, second, action].append((person, box))
    for group in boxes.values():
        if official:
            group.sort(key=lambda item: -item[0])
    images: defaultdict[tuple[str, float], list[tuple[float, int, float, float, float, float]]] = defaultdict(list)
    for video, second, box, action, score in detections:
        if action in ids and ((video, second) in listed or not official):
            entry = (score, action, box[1], box[0], box[3], box[2])
            heap = images[video, second]
            if not official:
                heap.append(entry)
            elif len(heap) < 50:
                heapq.heappush(heap, entry)
            elif score > heap[0][0]:
                heapq.heapreplace(heap, entry)
    found = defaultdict(list)
    for (video, second), entries in images.items():
        taken = set()
        for score, action, y1, x1, y2, x2 in sorted(entries, key=lambda e: -e[0]) if official else entries:
            if not (x1 < x2 and y1 < y2):
                continue
            candidates = [iou((x1, y1, x2, y2), box) for _, box in boxes[video, second, action]]
            best = max(range(len(candidates)), key=lambda i: candidates[i], default=None)
            hit = best is not None and candidates[best] >= 0.5 and (action, best) not in taken
            if hit:
                taken.add((action, best))
            found[action].append((score, hit))
    result = {}
    for action in ids:
        if num_gt := sum(row[3] == action for row in truth):
            found[action].reverse()
            ranked = sorted(found[action], key=lambda item: -item[0])
            result[action] = average_precision([hit for _, hit in ranked], num_gt)
    return result
