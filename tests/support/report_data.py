"""Synthetic results for the tests of the report: many classes, and every kind of error."""

from __future__ import annotations

from typing import Any

import numpy as np

from ava_detect.evaluation.frame_map import FrameMAP
from ava_detect.formats.ava_csv import AvaTable
from ava_detect.structures.labels import Action, ActionKind, LabelMap

NASTY = 'הליכה <b>"A" & $x_1$</b>\n中'
SMALL_MAP = LabelMap(
    (
        Action(5, "stand", ActionKind.POSE),
        Action(9, NASTY, ActionKind.OBJECT),
        Action(70, "watch (a person)", ActionKind.PERSON),
        Action(71, "never", ActionKind.UNKNOWN),
    )
)


def filled_metric(labels: LabelMap, *, seed: int = 0, noise: float = 0.5, num_videos: int = 4) -> FrameMAP:
    """Three people with up to three actions each on 20 keyframes of each video; rare classes are rare.

    Boxes are moved, some people missed, some found twice, and scores follow the truth as far as ``noise`` lets them.
    The last class of ``labels`` has no ground truth.
    """
    truth, run = np.random.default_rng(0), np.random.default_rng(seed)
    ids = labels.ids[:-1]
    chances = 1 / np.arange(1, len(ids) + 1)
    gt: list[tuple[Any, ...]] = []
    found: list[tuple[Any, ...]] = []
    for video in range(num_videos):
        for second in range(20):
            for person in range(3):
                x, size = 0.33 * person, truth.uniform(0.1, 0.33)
                box = np.array([x, 0.05, x + size, 0.05 + 2 * size])
                num_deeds = int(truth.integers(1, min(3, len(ids)) + 1))
                deeds = set(truth.choice(ids, num_deeds, replace=False, p=chances / chances.sum()).tolist())
                gt += [(f"v{video}", second, box, action) for action in deeds]
                for copy in range(int(run.choice([0, 1, 2], p=[0.1, 0.8, 0.1]))):
                    moved = box + run.normal(0, 0.02, 4) + (0.4 if run.random() < 0.05 else 0)
                    scores = run.normal(0, noise, len(ids)) + [action in deeds for action in ids] - 0.1 * copy
                    best = np.argsort(-scores)[:8]
                    found += [(f"v{video}", second, moved, ids[i], scores[i]) for i in best.tolist()]
    metric = FrameMAP(labels)
    metric.update(
        ground_truth=AvaTable.from_columns(*columns(gt)),
        detections=AvaTable.from_columns(*columns(found)),
    )
    return metric


def columns(rows: list[tuple[Any, ...]]) -> list[list[Any]]:
    """The columns of a table of rows."""
    return [list(column) for column in zip(*rows, strict=True)]
