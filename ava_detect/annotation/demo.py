"""``ava-detect demo``: a rendered movie of people-like figures, annotated end to end and scored against its truth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment

from ava_detect.annotation.annotate import AnnotateSummary, annotate_videos
from ava_detect.datasets.synthetic.world import WorldSettings, write_world
from ava_detect.evaluation.frame_map import evaluate_files
from ava_detect.evaluation.frame_map_result import FrameMAPResult
from ava_detect.formats.ava_table import AvaTable
from ava_detect.formats.jsonl import read_jsonl
from ava_detect.structures import boxes as box_ops
from ava_detect.structures.labels import LabelMap
from ava_detect.structures.progress import OnProgress

DEMO_SEED = 28  # many actions in a short movie; training had other seeds
DEMO_SECONDS = 16.0
_FOUND_AT_IOU = 0.5


@dataclass(frozen=True)
class DemoResult:
    """What the demo made; how many of the movie's people the builtin detector found (IoU at least 0.5); and the score
    of all that it says about them.
    """

    summary: AnnotateSummary
    world: Path
    results: Path
    num_people: int
    num_found: int
    num_false: int
    score: FrameMAPResult


def run_demo(out: str | Path, *, on_progress: OnProgress | None = None) -> DemoResult:
    """Render a movie into ``out/world``, annotate it into ``out/results``, from scratch, and score the result.

    The action network is the small ``demo`` config, trained on other movies of the same kind (``docs/training.md``).
    """
    out = Path(out)
    world, results = out / "world", out / "results"
    truth = write_world(world, WorldSettings(seed=DEMO_SEED, seconds=DEMO_SECONDS))
    summary = annotate_videos(
        world / "videos",
        results,
        weights="demo",
        formats=("csv", "jsonl", "parquet"),
        draw=True,
        resume=False,
        on_progress=on_progress,
    )
    num_people, num_found, num_false = count_found(truth, results)
    score = evaluate_files(
        world / "ground_truth.csv",
        [results / f"{video_id}.csv" for video_id in truth.video_ids],
        label_map=world / "label_map.pbtxt",
    )
    return DemoResult(summary, world, results, num_people, num_found, num_false, score)


def count_found(truth: AvaTable, results: Path) -> tuple[int, int, int]:
    """People on the movie's keyframes, how many of them have a box of their own, and how many boxes are left over."""
    num_people = num_found = num_false = 0
    for index, video_id in enumerate(truth.video_ids):
        for keyframe in read_jsonl(results / f"{video_id}.jsonl", LabelMap.ava()):
            rows = (truth.video_index == index) & (np.abs(truth.timestamps_seconds - keyframe.timestamp_seconds) < 1e-3)
            # One row a person and action: the first row of each person has the box.
            _, first = np.unique(truth.person_ids[rows], return_index=True)
            overlaps = box_ops.iou(truth.boxes_fraction[rows][first], keyframe.boxes_fraction.astype(np.float64))
            hits = overlaps >= _FOUND_AT_IOU
            pairs = hits[linear_sum_assignment(hits, maximize=True)].sum()
            num_people += len(first)
            num_found += int(pairs)
            num_false += overlaps.shape[1] - int(pairs)
    return num_people, num_found, num_false
