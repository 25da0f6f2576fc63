"""Test a detector: score the people on the keyframes of the ground truth, and evaluate by AVA's frame-mAP."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ava_detect.benchmark.result import BenchmarkResult, StageTimes
from ava_detect.benchmark.videos import DETECTIONS, PARTS, pipeline_seconds, score_videos
from ava_detect.detectors import build_detector
from ava_detect.detectors.base import PersonDetector
from ava_detect.detectors.precomputed import PrecomputedBoxes
from ava_detect.evaluation.diagnosis import diagnose_if_suspicious
from ava_detect.evaluation.frame_map import load_metric
from ava_detect.evaluation.frame_map_result import Dialect
from ava_detect.formats.annotation_files import read_ground_truth, read_person_boxes
from ava_detect.formats.ava_csv import AvaTable, read_ava_csv
from ava_detect.inference.keyframe_plan import KeyframePlan, plan_keyframes
from ava_detect.inference.pipeline import Pipeline
from ava_detect.results.manifest import Manifest, VideoRecord
from ava_detect.storage.file_hashes import sha256_of
from ava_detect.structures.labels import LabelMap
from ava_detect.structures.progress import OnProgress, report_stage

GROUND_TRUTH_BOXES = "ground-truth"


@dataclass(frozen=True)
class DetectionSplit:
    """The split that a detector is scored on, with every default resolved; see ``run_benchmark``.

    Attributes:
        videos: Folder of the video files, or of the folders of their extracted frames.
        frames_fps: Extracted frames per second; None for video files.
        ground_truth: AVA csv of the annotations.
        exclude: AVA csv of keyframes that are not scored, or None.
        boxes: File of person boxes, ``"ground-truth"``, or None to run ``detector``.
        detector: Spec of the person detector; unused with ``boxes``.
        min_person_score: Lowest person score in 0..1 that is kept; None for the detector's own default.
        start_seconds: Position in its movie at which each file starts, seconds.
        evaluated: The classes whose average precisions are averaged.
        dialect: The evaluation rules, ``"official"`` or ``"pyslowfast"``.
    """

    videos: Path
    frames_fps: float | None
    ground_truth: Path
    exclude: Path | None
    boxes: str | None
    detector: str
    min_person_score: float | None
    start_seconds: float
    evaluated: LabelMap
    dialect: Dialect

    def build_detector(self, plan: KeyframePlan, device: str) -> PersonDetector:
        """Build the person detector, or the reader of the box file that replaces it.

        Args:
            plan: The keyframes; it knows at which second of its movie each file starts.
            device: The device of a detector that is a network, ``"cpu"`` or ``"cuda"``.

        Returns:
            A detector of the people on the keyframes of ``plan``.

        Raises:
            AvaDetectError: The box file or the spec cannot be used.
        """
        starts = {video.source.video_id: video.start_seconds for video in plan.videos}
        if self.boxes == GROUND_TRUTH_BOXES:
            return PrecomputedBoxes(
                self.ground_truth, start_seconds=self.start_seconds, video_starts=starts, last_column="person_id"
            )
        if self.boxes is not None:
            return PrecomputedBoxes(self.boxes, video_starts=starts, min_score=self.min_person_score)
        return build_detector(self.detector, min_score=self.min_person_score, device=device)

    def plan(self) -> KeyframePlan:
        """List the keyframes to score.

        The official rules need the keyframes of the ground truth only. PySlowFast also scores those that only its box
        file lists, where every detection counts as a false positive.

        Returns:
            The keyframes by video, those of ``exclude`` left out.

        Raises:
            AvaDetectError: A file cannot be read, or no video of the ground truth is there.
        """
        listed = read_ground_truth(self.ground_truth, start_seconds=self.start_seconds, actions_required=True)
        if self.dialect == "pyslowfast" and self.boxes not in (None, GROUND_TRUTH_BOXES):
            listed = AvaTable.concatenate([listed, read_person_boxes(str(self.boxes)).only_videos(listed.video_ids)])
        exclude = None if self.exclude is None else read_ava_csv(self.exclude)
        return plan_keyframes(
            listed, self.videos, exclude=exclude, start_seconds=self.start_seconds, frames_fps=self.frames_fps
        )

    def describe(self) -> dict[str, Any]:
        """Return every setting that decides the detections; files are identified by their SHA-256, not their names."""
        return {
            "people": self.detector if self.boxes is None else "boxes",
            "people_sha256": self._people_sha256(),
            "min_person_score": self.min_person_score,
            "start_seconds": self.start_seconds,
        }

    def _people_sha256(self) -> str | None:
        """The SHA-256 of the box file, or of the file that a detector spec such as ``onnx:FILE`` names."""
        if self.boxes is not None:
            return sha256_of(self.ground_truth if self.boxes == GROUND_TRUTH_BOXES else self.boxes)
        kind, _, target = self.detector.partition("?")[0].partition(":")
        return sha256_of(target) if kind in ("boxes", "onnx") and Path(target).is_file() else None

    def benchmark(
        self,
        pipeline: Pipeline,
        plan: KeyframePlan,
        run: Manifest,
        weights: dict[str, Any],
        on_progress: OnProgress | None,
    ) -> BenchmarkResult:
        """Score the keyframes of a plan, write the detections into the run's folder, and evaluate them.

        Args:
            pipeline: The person detector and the network.
            plan: The keyframes to score.
            run: The run; videos that it has recorded as finished are not scored again.
            weights: The description of the weights for the result.
            on_progress: Called for each keyframe; None for no reports.

        Returns:
            The result, with the frame-mAP of all videos, those of earlier runs included.
        """
        records = score_videos(pipeline, plan, run, on_progress=on_progress)
        report_stage(on_progress, "matching with the ground truth")
        times = StageTimes(pipeline_seconds(records))
        with times.measure("evaluation"):
            metric = load_metric(
                self.ground_truth,
                run.out / DETECTIONS,
                label_map=self.evaluated,
                exclude=self.exclude,
                dialect=self.dialect,
                start_seconds=self.start_seconds,
            )
            score = metric.compute()
            reasons = diagnose_if_suspicious(metric, score)
        return BenchmarkResult(
            out=run.out,
            kind="ava",
            score=score,
            counts=count_detections(plan, records),
            problems=tuple(problems_of(plan, records, self.ground_truth, self.videos)),
            notes=(*score.notes, *reasons, *joined_times(records)),
            seconds=times.seconds,
            settings=run.settings,
            weights=weights,
            files={"detections": DETECTIONS, "detections_by_video": PARTS},
            inputs={
                name: str(path.resolve())
                for name, path in (("ground_truth", self.ground_truth), ("exclude", self.exclude))
                if path is not None
            },
        )


def count_detections(plan: KeyframePlan, records: list[VideoRecord]) -> dict[str, int]:
    """Count the videos and keyframes of the ground truth, and what was scored.

    Args:
        plan: The keyframes.
        records: A record of each video.

    Returns:
        Numbers by name.
    """
    return {
        "videos": len(plan.videos) + len(plan.missing),
        "videos_missing": len(plan.missing),
        "videos_failed": sum(record.status == "failed" for record in records),
        "videos_damaged": sum(record.status == "damaged" for record in records),
        "keyframes": plan.num_keyframes,
        "clips": sum(record.num_keyframes for record in records),
        "boxes": sum(record.num_boxes for record in records),
        "rows": sum(record.num_rows for record in records),
    }


def joined_times(records: list[VideoRecord]) -> list[str]:
    """Describe the videos whose time stamps jump: they are scored as a whole, but their times may be others.

    Args:
        records: A record of each video.

    Returns:
        A sentence for each.
    """
    return [f"{record.source}: {record.message}" for record in records if record.status == "done" and record.message]


def problems_of(plan: KeyframePlan, records: list[VideoRecord], ground_truth: Path, videos: Path) -> list[str]:
    """Describe missing, broken and damaged videos.

    Args:
        plan: The keyframes.
        records: A record of each video.
        ground_truth: The file that names the videos.
        videos: Where the files were searched.

    Returns:
        A sentence for each.
    """
    problems = plan.missing_problems(ground_truth, videos, "the people on {keyframes} count as not found")
    for record in records:
        if record.status == "failed":
            problems.append(f"{record.message}; the people of {record.video_id} count as not found")
        elif record.status == "damaged":
            problems.append(f"{record.source}: {record.message}; the rest is scored")
        if record.warning:
            problems.append(f"{record.source}: {record.warning}")
    return problems
