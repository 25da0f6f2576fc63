"""How well tracks keep people's identities: IDF1.

Ristani et al., "Performance measures and a data set for multi-target, multi-camera tracking", ECCV workshops 2016,
arXiv:1609.01775.

One assignment of whole tracks to whole people, the one that explains most boxes, is made for the whole video; a box
counts where its track and its person belong together and overlap by an IoU of 0.5.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from ava_detect.structures import ActionDetections
from ava_detect.structures.boxes import iou


def idf1(truth: Sequence[ActionDetections], found: Sequence[ActionDetections]) -> float:
    """``2 IDTP / (boxes of truth + boxes found)``, in 0..1; keyframe i of one is keyframe i of the other."""
    together: Counter[tuple[int, int]] = Counter()
    for true, tracked in zip(truth, found, strict=True):
        assert true.timestamp_seconds == tracked.timestamp_seconds
        assert true.track_ids is not None and tracked.track_ids is not None
        overlaps = iou(true.boxes_fraction.astype(np.float64), tracked.boxes_fraction.astype(np.float64))
        for person, track in np.argwhere(overlaps >= 0.5):
            together[int(true.track_ids[person]), int(tracked.track_ids[track])] += 1
    people, tracks = (sorted({pair[side] for pair in together}) for side in (0, 1))
    counts = np.array([[together[person, track] for track in tracks] for person in people]).reshape(len(people), -1)
    rows, columns = linear_sum_assignment(counts, maximize=True)
    num_boxes = sum(map(len, truth)) + sum(map(len, found))
    return 2 * int(counts[rows, columns].sum()) / num_boxes if num_boxes else 1.0


def found_f1(truth: Sequence[ActionDetections], found: Sequence[ActionDetections]) -> float:
    """The IDF1 that the boxes of ``found`` would have if no person were ever mistaken for another."""
    num_pairs = 0
    for true, boxes in zip(truth, found, strict=True):
        overlaps = iou(true.boxes_fraction.astype(np.float64), boxes.boxes_fraction.astype(np.float64))
        num_pairs += int((overlaps >= 0.5)[linear_sum_assignment(overlaps >= 0.5, maximize=True)].sum())
    num_boxes = sum(map(len, truth)) + sum(map(len, found))
    return 2 * num_pairs / num_boxes if num_boxes else 1.0
