"""The demo: a rendered movie of human-like figures, annotated end to end and scored against its ground truth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment

from ava_detect.annotation.annotate import annotate_videos
from ava_detect.annotation.summary import AnnotateSummary
from ava_detect.datasets.synthetic.world import WorldSettings, write_world
from ava_detect.evaluation.frame_map import evaluate_files
from ava_detect.evaluation.frame_map_result import FrameMAPResult
from ava_detect.formats.ava_table import AvaTable
from ava_detect.formats.jsonl import read_jsonl
from ava_detect.structures import boxes as box_ops
from ava_detect.structures.labels import LabelMap
from ava_detect.structures.progress import OnProgress, report_stage

DEMO_SEED = 28  # many actions in a short movie; training had other seeds
DEMO_SECONDS = 16.0
_FOUND_AT_IOU = 0.5


@dataclass(frozen=True)
class DemoResult:
    """What the demo made.

    Attributes:
        summary: The outcome of the annotation.
        world: The folder of the movie and its ground truth.
        results: The folder of the results.
        num_people: Number of people on the movie's keyframes.
        num_found: Number of them that the builtin detector found (IoU at least 0.5).
        num_false: Number of boxes left over.
        score: The frame-mAP of the results.
    """

    summary: AnnotateSummary
    world: Path
    results: Path
    num_people: int
    num_found: int
    num_false: int
    score: FrameMAPResult


def run_demo(out: str | Path, *, on_progress: OnProgress | None = None) -> DemoResult:
    """Render a movie into ``out/world``, annotate it into ``out/results``, and score the results.

    The action network is the small ``demo`` config, trained on other movies of the same kind (``docs/training.md``).

    Args:
        out: The folder; results of an earlier demo in it are replaced.
        on_progress: Told of the stages and the video.

    Returns:
        Where everything is, and the scores.
    """
    out = Path(out)
    world, results = out / "world", out / "results"
    report_stage(on_progress, "rendering a short movie")
    truth = write_world(world, WorldSettings(seed=DEMO_SEED, seconds=DEMO_SECONDS))
    summary = annotate_videos(
        world / "videos",
        results,
        weights="demo",
        draw=True,
        resume=False,
        on_progress=on_progress,
    )
    report_stage(on_progress, "comparing with the truth")
    num_people, num_found, num_false = count_found(truth, results)
    score = evaluate_files(
        world / "ground_truth.csv",
        [results / f"{video_id}.csv" for video_id in truth.video_ids],
        label_map=world / "label_map.pbtxt",
    )
    return DemoResult(summary, world, results, num_people, num_found, num_false, score)


def count_found(truth: AvaTable, results: Path) -> tuple[int, int, int]:
    """Count the people that a detector found.

    Args:
        truth: The ground truth.
        results: The folder of the results (jsonl).

    Returns:
        Number of people on the keyframes, number of those with a box of their own, number of boxes left over.
    """
    num_people = num_found = num_false = 0
    for index, video_id in enumerate(truth.video_ids):
        for keyframe in read_jsonl(results / f"{video_id}.jsonl", LabelMap.ava()):
            rows = (truth.video_index == index) & (np.abs(truth.timestamps_seconds - keyframe.timestamp_seconds) < 1e-3)
            # A person has a row per action, all with the same box: take the first row of each.
            _, first = np.unique(truth.person_ids[rows], return_index=True)
            overlaps = box_ops.iou(truth.boxes_fraction[rows][first], keyframe.boxes_fraction.astype(np.float64))
            hits = overlaps >= _FOUND_AT_IOU
            # One-to-one pairs with as many hits as possible.
            pairs = hits[linear_sum_assignment(hits, maximize=True)].sum()
            num_people += len(first)
            num_found += int(pairs)
            num_false += overlaps.shape[1] - int(pairs)
    return num_people, num_found, num_false
