"""The test of a classifier: several views of every video, their scores merged, and the video scored.

Kinetics: scores of the views (softmax each) are averaged; top-1 and top-5 (SlowFast paper, section 4.1: 10 clips evenly
over the video, 3 crops of each). Charades: the greatest over the views (sigmoid); mean average precision over the
classes that occur (PySlowFast ``configs/Charades/SLOWFAST_16x8_R50.yaml``: ``ENSEMBLE_METHOD: max``, 10 x 3 views).

``OUT/scores.jsonl`` has a line for each video, appended when its last view is in; so a run can be cut and resumed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ava_detect.benchmark.result import BenchmarkResult, StageTimes
from ava_detect.benchmark.view_scorer import ViewScorer, score_views
from ava_detect.config import Config
from ava_detect.datasets.base import ClipDataset
from ava_detect.errors import FormatError
from ava_detect.evaluation.clip_scores import average_precisions, top_k_accuracy
from ava_detect.evaluation.frame_map_result import mean_of_known, null_if_nan
from ava_detect.formats.jsonl import shortest
from ava_detect.results.manifest import Manifest
from ava_detect.storage.local_files import remove_stale_temporaries, whole_lines, write_text_atomic
from ava_detect.structures import Float32Array
from ava_detect.structures.labels import LabelMap
from ava_detect.structures.progress import OnProgress, Progress

SCORES = "scores.jsonl"
Kind = Literal["kinetics", "charades"]


@dataclass(frozen=True)
class ClassificationScore:
    """``metrics`` by name, the first being the one that counts, in 0..1. ``per_class``: AP by action id (Charades)."""

    metrics: dict[str, float]
    num_videos: int
    num_views: int
    per_class: dict[int, tuple[str, float]]

    def summary(self) -> str:
        """The score in one line."""
        numbers = ", ".join(f"{name} {100 * value:.2f}" for name, value in self.metrics.items())
        classes = sum(not math.isnan(ap) for _, ap in self.per_class.values())
        over = f"{classes} classes and " if self.per_class else ""
        return f"{numbers} over {over}{self.num_videos} videos of {self.num_views} views"

    def to_json(self) -> dict[str, Any]:
        """Plain values; NaN is None."""
        content: dict[str, Any] = {name: null_if_nan(value) for name, value in self.metrics.items()}
        content |= {"num_videos": self.num_videos, "num_views": self.num_views}
        if self.per_class:
            content["per_class"] = {
                str(action_id): {"name": name, "ap": null_if_nan(ap)}
                for action_id, (name, ap) in self.per_class.items()
            }
        return content


@dataclass(frozen=True)
class VideoScores:
    """One video: its scores ``[K]``, merged over the views, and the columns of its true labels."""

    video_id: str
    labels: tuple[int, ...]
    scores: Float32Array

    def line(self) -> str:
        """As ``scores.jsonl`` holds it."""
        content = {"video_id": self.video_id, "labels": self.labels, "scores": [shortest(s) for s in self.scores]}
        return json.dumps(content, ensure_ascii=False) + "\n"

    @classmethod
    def of_line(cls, line: str) -> VideoScores:
        """Read a line."""
        content = json.loads(line)
        return cls(content["video_id"], tuple(content["labels"]), np.array(content["scores"], np.float32))


def benchmark_classifier(
    scorer: ViewScorer,
    dataset: ClipDataset,
    config: Config,
    run: Manifest,
    weights: dict[str, Any],
    on_progress: OnProgress | None,
) -> BenchmarkResult:
    """Score every view of ``dataset`` into ``run``'s folder. ``weights``: what is known of them.

    A video of which a view cannot be read is left out of the score and named.
    """
    kind: Kind = "charades" if config.data.kind == "charades" else "kinetics"
    views = _views_by_video(dataset)
    path = run.out / SCORES
    remove_stale_temporaries(run.out)
    scored = {video.video_id: video for video in _read(path)}
    _rewrite(path, scored.values())
    waiting = {video_id: indices for video_id, indices in views.items() if video_id not in scored}
    times, failed, num_clips = StageTimes(), {}, 0
    with path.open("a", encoding="utf-8") as file:
        for video_id, outcome in _score_videos(scorer, dataset, waiting, kind, config.data.num_workers, times):
            if isinstance(outcome, str):
                failed[video_id] = outcome
            else:
                scored[video_id] = outcome
                file.write(outcome.line())
                file.flush()
                num_clips += len(views[video_id])
            if on_progress is not None:
                on_progress(Progress("videos", len(scored) + len(failed), len(views), video_id, failed=len(failed)))
    in_order = [scored[video_id] for video_id in views if video_id in scored]
    _rewrite(path, in_order)
    with times.of("evaluation"):
        score = score_classification(in_order, dataset.label_map, kind, math.prod(config.data.test_views))
    counts = {"videos": len(views), "videos_failed": len(failed), "clips": num_clips}
    problems = tuple(f"{message}; {video_id} is left out of the score" for video_id, message in failed.items())
    files = {"scores": SCORES}
    return BenchmarkResult(run.out, kind, score, counts, problems, (), times.seconds, run.settings, weights, files)


def score_classification(
    videos: Sequence[VideoScores], label_map: LabelMap, kind: Kind, num_views: int
) -> ClassificationScore:
    """Kinetics: ``top1`` and ``top5``. Charades: ``mAP`` over the classes that are true of any video."""
    scores = np.stack([video.scores for video in videos]) if videos else np.zeros((0, len(label_map)), np.float32)
    if kind == "kinetics":
        labels = np.array([video.labels[0] for video in videos], np.int64)
        metrics = {f"top{k}": top_k_accuracy(scores, labels, k) for k in (1, 5)}
        return ClassificationScore(metrics, len(videos), num_views, {})
    truth = np.zeros(scores.shape, np.bool_)
    for row, video in zip(truth, videos, strict=True):
        row[list(video.labels)] = True
    found = average_precisions(scores, truth).tolist()
    per_class = {action.id: (action.name, ap) for action, ap in zip(label_map, found, strict=True)}
    return ClassificationScore({"mAP": mean_of_known(found)}, len(videos), num_views, per_class)


def merge_views(scores: Sequence[Float32Array], kind: Kind) -> Float32Array:
    """The scores ``[K]`` of a video from those of its views: their mean, or for Charades the greatest of each class."""
    views = np.stack(scores)
    merged: Float32Array = views.max(axis=0) if kind == "charades" else views.mean(axis=0, dtype=np.float32)
    return merged


def _views_by_video(dataset: ClipDataset) -> dict[str, list[int]]:
    """The numbers of each video's samples; videos in the order of the annotations."""
    views: dict[str, list[int]] = {}
    for index, (video_id, _) in enumerate(dataset.keys):
        views.setdefault(video_id, []).append(index)
    return views


def _score_videos(
    scorer: ViewScorer,
    dataset: ClipDataset,
    views: Mapping[str, Sequence[int]],
    kind: Kind,
    num_workers: int,
    times: StageTimes,
) -> Iterator[tuple[str, VideoScores | str]]:
    """Each video's scores, or why there are none."""
    indices = [index for of_video in views.values() for index in of_video]
    results = score_views(scorer, dataset, indices, num_workers, times)
    for video_id, of_video in views.items():
        scores: list[Float32Array] = []
        labels: tuple[int, ...] = ()
        trouble = ""
        for _ in of_video:
            outcome = next(results)
            if isinstance(outcome, str):
                trouble = trouble or outcome
            else:
                scores.append(outcome[0])
                labels = outcome[1]
        yield video_id, trouble or VideoScores(video_id, labels, merge_views(scores, kind))


def _read(path: Path) -> list[VideoScores]:
    """The videos of an earlier run."""
    if not path.is_file():
        return []
    try:
        return [VideoScores.of_line(line) for line in whole_lines(path)]
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(
            f"{path} cannot be read ({error}), so nothing can be resumed; `resume=False` begins anew"
        ) from error


def _rewrite(path: Path, videos: Iterable[VideoScores]) -> None:
    write_text_atomic(path, "".join(video.line() for video in videos))
