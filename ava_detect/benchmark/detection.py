"""The test of a detector: people and actions on the keyframes of the ground truth, scored by AVA's frame-mAP."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

from ava_detect.benchmark.result import BenchmarkResult, StageTimes
from ava_detect.benchmark.videos import DETECTIONS, PARTS, pipeline_seconds, score_videos
from ava_detect.detectors import build_detector
from ava_detect.detectors.base import PersonDetector
from ava_detect.detectors.precomputed import PrecomputedBoxes
from ava_detect.errors import ConfigError, suggestion
from ava_detect.evaluation.diagnosis import diagnose
from ava_detect.evaluation.frame_map import load_metric
from ava_detect.evaluation.frame_map_result import Dialect
from ava_detect.formats.ava_csv import AvaTable, read_ava_csv
from ava_detect.formats.coco_json import read_coco_json
from ava_detect.inference.keyframe_plan import KeyframePlan, plan_keyframes
from ava_detect.inference.pipeline import Pipeline
from ava_detect.results.manifest import Manifest, VideoRecord
from ava_detect.storage.local_files import sha256_of
from ava_detect.structures.labels import LabelMap
from ava_detect.structures.progress import OnProgress

GROUND_TRUTH_BOXES = "ground-truth"
# Below this a run has most likely gone wrong, and the reader is owed a reason.
_SUSPICIOUS_MAP = 0.01


@dataclass(frozen=True)
class DetectionSplit:
    """What a detector is scored on; see ``ava_detect.benchmark.run_benchmark``.

    ``boxes``: a file, ``"ground-truth"``, or None where ``detector`` finds the people. ``min_person_score``: people
    below it are left out, None for the detector's own default. ``evaluated``: the classes that count.
    """

    videos: Path
    ground_truth: Path
    exclude: Path | None
    boxes: str | None
    detector: str
    min_person_score: float | None
    start_seconds: float
    evaluated: LabelMap
    dialect: Dialect

    def build_detector(self, plan: KeyframePlan, device: str) -> PersonDetector:
        """Whoever says where the people of ``plan`` are."""
        starts = {video.source.video_id: video.start_seconds for video in plan.videos}
        if self.boxes == GROUND_TRUTH_BOXES:
            return PrecomputedBoxes(self.ground_truth, video_starts=starts, last_column="person_id")
        if self.boxes is not None:
            return PrecomputedBoxes(self.boxes, video_starts=starts, min_score=self.min_person_score)
        return build_detector(self.detector, min_score=self.min_person_score, device=device)

    def plan(self) -> KeyframePlan:
        """The keyframes to be scored.

        PySlowFast scores whatever its box files list, and counts what it finds beyond the ground truth as false.
        """
        listed = read_ava_csv(self.ground_truth, last_column="person_id")
        if self.dialect == "pyslowfast" and self.boxes not in (None, GROUND_TRUTH_BOXES):
            listed = AvaTable.concatenate([listed, _read_boxes(str(self.boxes)).only_videos(listed.video_ids)])
        exclude = None if self.exclude is None else read_ava_csv(self.exclude)
        return plan_keyframes(listed, self.videos, exclude=exclude, start_seconds=self.start_seconds)

    def describe(self) -> dict[str, Any]:
        """Everything that decides what is found, with contents in the place of file names."""
        return {
            "people": self.detector if self.boxes is None else "boxes",
            "people_sha256": self._people_sha256(),
            "min_person_score": self.min_person_score,
            "start_seconds": self.start_seconds,
        }

    def _people_sha256(self) -> str | None:
        if self.boxes is not None:
            return sha256_of(self.ground_truth if self.boxes == GROUND_TRUTH_BOXES else self.boxes)
        kind, _, target = self.detector.partition("?")[0].partition(":")
        return sha256_of(target) if kind in ("boxes", "onnx") and Path(target).is_file() else None


def check_dialect(dialect: str) -> Dialect:
    """``dialect``, if it is one; else a ``ConfigError`` that names those that are."""
    known = get_args(Dialect)
    if dialect not in known:
        raise ConfigError(f"`dialect` is {' or '.join(known)}, got {dialect!r}{suggestion(dialect, known)}")
    return cast(Dialect, dialect)


def benchmark_detector(
    pipeline: Pipeline,
    split: DetectionSplit,
    plan: KeyframePlan,
    run: Manifest,
    weights: dict[str, Any],
    on_progress: OnProgress | None,
) -> BenchmarkResult:
    """Score the keyframes of ``plan`` into ``run``'s folder, and evaluate them. ``weights``: what is known of them."""
    records = score_videos(pipeline, plan, run, on_progress=on_progress)
    times = StageTimes(pipeline_seconds(records))
    with times.of("evaluation"):
        metric = load_metric(
            split.ground_truth,
            run.out / DETECTIONS,
            label_map=split.evaluated,
            exclude=split.exclude,
            dialect=split.dialect,
        )
        score = metric.compute()
        suspicious = math.isnan(score.mAP) or score.mAP < _SUSPICIOUS_MAP
        reasons = diagnose(metric.match()) if suspicious else []
    return BenchmarkResult(
        run.out,
        "ava",
        score,
        _counts(plan, records),
        tuple(_problems(plan, records, split.videos)),
        (*score.notes, *reasons),
        times.seconds,
        run.settings,
        weights,
        {"detections": DETECTIONS, "detections_by_video": PARTS},
    )


def _counts(plan: KeyframePlan, records: list[VideoRecord]) -> dict[str, int]:
    """Videos and keyframes of the ground truth, and what became of them."""
    return {
        "videos": len(plan.videos) + len(plan.missing),
        "videos_missing": len(plan.missing),
        "videos_failed": sum(record.status == "failed" for record in records),
        "videos_damaged": sum(record.status == "damaged" for record in records),
        "keyframes": plan.num_keyframes,
        "clips": sum(record.num_keyframes for record in records),
        "people": sum(record.num_people for record in records),
        "rows": sum(record.num_rows for record in records),
    }


def _problems(plan: KeyframePlan, records: list[VideoRecord], videos: Path) -> list[str]:
    problems = plan.missing_problems(videos, "the people on {keyframes} count as not found")
    for record in records:
        if record.status == "failed":
            problems.append(f"{record.message}; the people of {record.video_id} count as not found")
        elif record.status == "damaged":
            problems.append(f"{record.source}: {record.message}; the rest is scored")
    return problems


def _read_boxes(path: str) -> AvaTable:
    return read_coco_json(path) if Path(path).suffix.lower() == ".json" else read_ava_csv(path)
