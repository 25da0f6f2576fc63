"""Test a detector on MultiSports, UCF101-24 or JHMDB: score every frame, link boxes to tubes, frame- and video-mAP."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ava_detect.benchmark.detection import GROUND_TRUTH_BOXES, count_detections, joined_times, problems_of
from ava_detect.benchmark.result import BenchmarkResult, StageTimes
from ava_detect.benchmark.videos import DETECTIONS, PARTS, pipeline_seconds, score_videos
from ava_detect.config import SplitConfig
from ava_detect.datasets.tubes import IdArray, tube_rows, with_ids_of
from ava_detect.detectors import build_detector
from ava_detect.detectors.base import PersonDetector
from ava_detect.detectors.precomputed import PrecomputedBoxes
from ava_detect.evaluation.tube_runs import TubeOptions, TubeRun, evaluate_tubes
from ava_detect.formats.annotation_files import read_person_boxes
from ava_detect.formats.ava_csv import read_ava_csv
from ava_detect.formats.ava_table import AvaTable
from ava_detect.formats.keyframe_writer import BoolArray
from ava_detect.formats.tube_pickles import TubeAnnotations, write_detected_boxes
from ava_detect.formats.tube_tables import to_pixels
from ava_detect.inference.keyframe_plan import KeyframePlan
from ava_detect.inference.pipeline import Pipeline
from ava_detect.inference.tube_plan import TubePlan, plan_tubes
from ava_detect.results.manifest import Manifest
from ava_detect.storage.file_hashes import sha256_of
from ava_detect.structures import ActionDetections
from ava_detect.structures.labels import NO_ACTION
from ava_detect.structures.progress import OnProgress, report_stage

BOXES = "detections.pkl"
# A box counts for each action with at least this score; lower ones add a tail of false detections to every class.
_LEAST_SCORE = 0.01


@dataclass(frozen=True)
class TubeScore:
    """Frame-mAP of the boxes and video-mAP of the tubes that they are linked to.

    Attributes:
        frame: The frame-mAP.
        video: The video-mAP at the thresholds of papers and their averages.
    """

    frame: TubeRun
    video: TubeRun

    def summary(self) -> str:
        """Return the scores, a line for each threshold."""
        lines = [result.summary() for run in (self.frame, self.video) for result in run.results]
        averages = ", ".join(f"{100 * value:.2f} @ {name}" for name, value in self.video.averages.items())
        return "\n".join([*lines, f"video-mAP averaged over IoU: {averages}"])

    def to_json(self) -> dict[str, Any]:
        """Return a dict for ``json.dumps``: ``mAP`` is the frame-mAP."""
        frame, video = self.frame.to_json(), self.video.to_json()
        return {"mAP": frame["mAP"], "frame": frame, "video": video}


@dataclass(frozen=True, eq=False)
class TubeDetectionSplit:
    """The test videos of a data set of tubes, with every default resolved; see ``run_benchmark``.

    Attributes:
        files: The pickle, and the folder of the videos or of their extracted frames.
        sampling_fps: The rate that extracted frames have.
        annotations: The content of the pickle.
        ids: int32 ``[L]``, the network's action of each label.
        division: Number of the data set's division, from 1.
        frames: Which frames are scored, ``all`` or ``labelled``.
        boxes: File of person boxes, ``"ground-truth"``, or None to run ``detector``.
        detector: Spec of the person detector; unused with ``boxes``.
        min_person_score: Lowest person score in 0..1 that is kept; None for the detector's own default.
        dialect: The evaluation rules, ``"multisports"`` or ``"act"``.
        best_only: Whether each box counts for its best action alone, as in mmaction2's ``MultiSportsMetric``.
    """

    files: SplitConfig
    sampling_fps: float
    annotations: TubeAnnotations
    ids: IdArray
    division: int
    frames: Literal["all", "labelled"]
    boxes: str | None
    detector: str
    min_person_score: float | None
    dialect: str
    best_only: bool

    @property
    def videos(self) -> tuple[str, ...]:
        """The ids of the test videos, in the order in which detections count them."""
        return self.annotations.test_videos(self.division)

    def plan(self) -> KeyframePlan:
        """List the frames to score: all of the test videos, or those with a tube.

        Returns:
            The times of the frames in their files.

        Raises:
            VideoError: There is no video.
            ConfigError: No file belongs to the data set, or several files are one video.
        """
        return self._frames.keyframes

    @cached_property
    def _frames(self) -> TubePlan:
        return plan_tubes(self.annotations, self.videos, self.files, self.frames, sampling_fps=self.sampling_fps)

    def build_detector(self, plan: KeyframePlan, device: str) -> PersonDetector:
        """Build the person detector, or the reader of the boxes that replace it.

        Args:
            plan: The frames.
            device: The device of a detector that is a network, ``"cpu"`` or ``"cuda"``.

        Returns:
            A detector of the people on the frames of ``plan``.

        Raises:
            AvaDetectError: The box file or the spec cannot be used.
        """
        if self.boxes is None:
            return build_detector(self.detector, min_score=self.min_person_score, device=device)
        if self.boxes == GROUND_TRUTH_BOXES:
            rows, origin = tube_rows(self.annotations, self.videos, self.ids, self.files.annotations), "ground truth"
            return PrecomputedBoxes.from_table(self._frames.in_seconds(rows), origin)
        rows = with_ids_of(read_person_boxes(self.boxes), self.videos)
        return PrecomputedBoxes.from_table(self._frames.in_seconds(rows), self.boxes, min_score=self.min_person_score)

    def describe(self) -> dict[str, Any]:
        """Return every setting that decides the detections; files are identified by their SHA-256, not their names."""
        is_file = self.boxes not in (None, GROUND_TRUTH_BOXES)
        people = self.files.annotations if self.boxes == GROUND_TRUTH_BOXES else self.boxes
        return {
            "people": self.detector if self.boxes is None else "boxes",
            "people_sha256": None if people is None else sha256_of(people),
            "min_person_score": self.min_person_score if is_file or self.boxes is None else None,
            "best_only": self.best_only,
        }

    def benchmark(
        self,
        pipeline: Pipeline,
        plan: KeyframePlan,
        run: Manifest,
        weights: dict[str, Any],
        on_progress: OnProgress | None,
    ) -> BenchmarkResult:
        """Score the frames of a plan, write the detections into the run's folder, link and evaluate them.

        Args:
            pipeline: The person detector and the network.
            plan: The frames to score.
            run: The run; videos that it has recorded as finished are not scored again.
            weights: The description of the weights for the result.
            on_progress: Called for each frame; None for no reports.

        Returns:
            The result, with the frame-mAP and the video-mAP of all videos.
        """
        records = score_videos(pipeline, plan, run, kept=self._kept, on_progress=on_progress)
        report_stage(on_progress, "matching with the ground truth")
        times = StageTimes(pipeline_seconds(records))
        with times.measure("evaluation"):
            path = run.out / BOXES
            write_detected_boxes(path, self._detected(run.out / DETECTIONS), self.videos)
            options = TubeOptions(dialect=self.dialect, split=self.division)
            runs = {
                metric: evaluate_tubes(self.annotations, [path], replace(options, metric=metric))[0]
                for metric in ("frame", "video")
            }
        score = TubeScore(runs["frame"], runs["video"])
        return BenchmarkResult(
            out=run.out,
            kind="tubes",
            score=score,
            counts=count_detections(plan, records),
            problems=tuple(
                problems_of(
                    plan, records, Path(self.files.annotations), Path(self.files.videos or self.files.frames or "")
                )
            ),
            notes=(*score.video.results[0].notes, *joined_times(records)),
            seconds=times.seconds,
            settings=run.settings,
            weights=weights,
            files={"detections": BOXES, "detections_in_seconds": DETECTIONS, "detections_by_video": PARTS},
            inputs={"ground_truth": str(Path(self.files.annotations).resolve())},
        )

    def _kept(self, keyframe: ActionDetections) -> BoolArray:
        """Which scores ``[N, C]`` count."""
        scores = keyframe.action_scores
        if not self.best_only:
            return scores >= _LEAST_SCORE
        best = np.zeros(scores.shape, np.bool_)
        if len(scores):
            best[np.arange(len(scores)), scores.argmax(axis=1)] = True
        return best

    def _detected(self, path: Path) -> AvaTable:
        """The detections of a csv as boxes on numbered frames: in pixels, with labels for actions."""
        table = self._frames.in_frames(read_ava_csv(path))
        label_of = {action_id: label for label, action_id in enumerate(self.ids.tolist()) if action_id != NO_ACTION}
        table = table[np.isin(table.action_ids, list(label_of))]
        labels = np.array([label_of[action_id] for action_id in table.action_ids.tolist()], np.int32)
        boxes = to_pixels(table.boxes_fraction, table.video_ids, table.video_index, self.annotations.resolutions)
        return replace(table, action_ids=labels, boxes_fraction=boxes)
