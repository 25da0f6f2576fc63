"""Test a classifier: score several views of every video, merge them per video, and compare with the labels.

Kinetics: the mean over the views of their softmax scores; top-1 and top-5 accuracy (SlowFast paper, section 4.1: 10
clips spread evenly over the video, 3 crops of each). Charades: the maximum over the views of their sigmoid scores; mean
average precision over the classes that occur (PySlowFast ``configs/Charades/SLOWFAST_16x8_R50.yaml``:
``ENSEMBLE_METHOD: max``, 10 x 3 views).

``OUT/scores.jsonl`` has a line per video, appended once all of its views are scored, so that an interrupted run can be
resumed.

Shapes: K classes.
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
from ava_detect.errors import FormatError, counted, shown
from ava_detect.evaluation.clip_scores import average_precisions, top_k_accuracy
from ava_detect.evaluation.frame_map_result import mean_of_known, null_if_nan
from ava_detect.formats.json_values import MALFORMED, check_number, check_text, check_type, parse_json, reason_of
from ava_detect.formats.jsonl import shortest_decimal
from ava_detect.results.manifest import Manifest
from ava_detect.storage.local_files import complete_lines, remove_stale_temporaries, write_text_atomic
from ava_detect.structures import Float32Array
from ava_detect.structures.labels import GREATEST_ACTION_ID, LabelMap
from ava_detect.structures.progress import OnProgress, Progress

SCORES = "scores.jsonl"
_LARGEST_SCORE = 1e9
Kind = Literal["kinetics", "charades"]


@dataclass(frozen=True)
class ClassificationScore:
    """The score of a classifier.

    Attributes:
        metrics: Metrics in 0..1 by name, the main one first: ``top1`` and ``top5``, or ``mAP``.
        num_videos: Number of videos that were scored.
        num_views: Number of views per video.
        per_class: Class name and average precision by action id (Charades); empty for Kinetics.
    """

    metrics: dict[str, float]
    num_videos: int
    num_views: int
    per_class: dict[int, tuple[str, float]]

    def summary(self) -> str:
        """Return the score in one line."""
        numbers = ", ".join(f"{name} {100 * value:.2f}" for name, value in self.metrics.items())
        classes = sum(not math.isnan(ap) for _, ap in self.per_class.values())
        over = f"{counted(classes, 'class', 'classes')} and " if self.per_class else ""
        return f"{numbers} over {over}{counted(self.num_videos, 'video')} of {counted(self.num_views, 'view')}"

    def to_json(self) -> dict[str, Any]:
        """Return the score as plain values; NaN becomes None."""
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
    """The merged scores of one video.

    Attributes:
        video_id: Id of the video.
        labels: Columns of its true classes.
        scores: Scores in 0..1, float32 ``[K]``, merged over the views.
    """

    video_id: str
    labels: tuple[int, ...]
    scores: Float32Array

    def to_line(self) -> str:
        """Return the video's line of ``scores.jsonl``, with the shortest decimals that give the same float32."""
        content = {
            "video_id": self.video_id,
            "labels": self.labels,
            "scores": [shortest_decimal(s) for s in self.scores],
        }
        return json.dumps(content, ensure_ascii=False) + "\n"

    @classmethod
    def from_line(cls, line: str) -> VideoScores:
        """Read a line of ``scores.jsonl``.

        Args:
            line: A line that ``to_line`` wrote.

        Returns:
            The scores, equal bit by bit.

        Raises:
            ValueError: The line is not JSON, or a number is out of range; of the kinds in ``MALFORMED``, as all errors.
        """
        content = parse_json(line.encode())
        check_text("video_id", content["video_id"])
        for name, low, high in (("labels", 0, GREATEST_ACTION_ID), ("scores", -_LARGEST_SCORE, _LARGEST_SCORE)):
            check_type(name, content[name], list)
            for value in content[name]:
                check_number(name, value, low, high)
        return cls(content["video_id"], tuple(content["labels"]), np.array(content["scores"], np.float32))


def benchmark_classifier(
    scorer: ViewScorer,
    dataset: ClipDataset,
    config: Config,
    run: Manifest,
    weights: dict[str, Any],
    on_progress: OnProgress | None,
) -> BenchmarkResult:
    """Score every view of a data set and write ``scores.jsonl`` into the run's folder.

    A video with a view that cannot be read is left out of the score and named in the result's ``problems``.

    Args:
        scorer: The classifier.
        dataset: The views of every video.
        config: The config, whose ``data`` describes the split.
        run: The run; videos in its ``scores.jsonl`` are not scored again.
        weights: The description of the weights for the result.
        on_progress: Called after each video; None for no reports.

    Returns:
        The result, with ``metrics`` of all videos, those of earlier runs included.

    Raises:
        FormatError: The ``scores.jsonl`` of an earlier run cannot be read.
    """
    kind: Kind = "charades" if config.data.kind == "charades" else "kinetics"
    views = _views_by_video(dataset)
    path = run.out / SCORES
    remove_stale_temporaries(run.out)
    scored = {video.video_id: video for video in _read_scores(path)}
    # Drop a line that was cut off while it was written.
    _write_scores(path, scored.values())
    remaining = {video_id: indices for video_id, indices in views.items() if video_id not in scored}
    times, failed, num_clips = StageTimes(), {}, 0
    with path.open("a", encoding="utf-8") as file:
        for video_id, outcome in _score_videos(scorer, dataset, remaining, kind, config.data.num_workers, times):
            if isinstance(outcome, str):
                failed[video_id] = outcome
            else:
                scored[video_id] = outcome
                file.write(outcome.to_line())
                file.flush()
                num_clips += len(views[video_id])
            if on_progress is not None:
                on_progress(Progress("videos", len(scored) + len(failed), len(views), video_id, failed=len(failed)))
    # The order of the annotations, whichever run scored a video.
    in_order = [scored[video_id] for video_id in views if video_id in scored]
    _write_scores(path, in_order)
    with times.measure("evaluation"):
        score = score_classification(in_order, dataset.label_map, kind, math.prod(config.data.test_views))
    return BenchmarkResult(
        out=run.out,
        kind=kind,
        score=score,
        counts={"videos": len(views), "videos_failed": len(failed), "clips": num_clips},
        problems=tuple(f"{message}; {video_id} is left out of the score" for video_id, message in failed.items()),
        notes=(),
        seconds=times.seconds,
        settings=run.settings,
        weights=weights,
        files={"scores": SCORES},
    )


def score_classification(
    videos: Sequence[VideoScores], label_map: LabelMap, kind: Kind, num_views: int
) -> ClassificationScore:
    """Compute the metrics of a split.

    Args:
        videos: Scores ``[K]`` and true classes of each of V videos.
        label_map: The K classes, in the order of the columns.
        kind: ``"kinetics"`` for ``top1`` and ``top5``; ``"charades"`` for ``mAP`` over the classes that occur.
        num_views: Number of views per video, for the summary.

    Returns:
        The score; its metrics are NaN where there is no video.
    """
    scores = np.stack([video.scores for video in videos]) if videos else np.zeros((0, len(label_map)), np.float32)
    if kind == "kinetics":
        labels = np.array([video.labels[0] for video in videos], np.int64)  # [V]
        metrics = {f"top{k}": top_k_accuracy(scores, labels, k) for k in (1, 5)}
        return ClassificationScore(metrics, len(videos), num_views, {})
    is_true = np.zeros(scores.shape, np.bool_)  # [V, K]
    for row, video in zip(is_true, videos, strict=True):
        row[list(video.labels)] = True
    aps = average_precisions(scores, is_true).tolist()  # [K]
    per_class = {action.id: (action.name, ap) for action, ap in zip(label_map, aps, strict=True)}
    return ClassificationScore({"mAP": mean_of_known(aps)}, len(videos), num_views, per_class)


def merge_views(scores: Sequence[Float32Array], kind: Kind) -> Float32Array:
    """Merge the scores of a video's views.

    Args:
        scores: Scores ``[K]`` of each view.
        kind: ``"kinetics"`` for the mean over the views, ``"charades"`` for the maximum.

    Returns:
        Scores of the video, float32 ``[K]``.
    """
    views = np.stack(scores)  # [views, K]
    merged: Float32Array = views.max(axis=0) if kind == "charades" else views.mean(axis=0, dtype=np.float32)
    return merged


def _views_by_video(dataset: ClipDataset) -> dict[str, list[int]]:
    """The sample numbers of each video; videos in the order of the annotations."""
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
    """Yield each video's merged scores, or the first error among its views."""
    indices = [index for video_views in views.values() for index in video_views]
    results = score_views(scorer, dataset, indices, num_workers, times)
    for video_id, video_views in views.items():
        scores: list[Float32Array] = []
        labels: tuple[int, ...] = ()
        first_error = ""
        for _ in video_views:
            outcome = next(results)
            if isinstance(outcome, str):
                first_error = first_error or outcome
            else:
                scores.append(outcome[0])
                labels = outcome[1]
        yield video_id, first_error or VideoScores(video_id, labels, merge_views(scores, kind))


def _read_scores(path: Path) -> list[VideoScores]:
    """The videos that an earlier run scored; a last line that was cut off is ignored."""
    if not path.is_file():
        return []
    try:
        lines = complete_lines(path)
        return [_scores_of_line(path, number, line) for number, line in enumerate(lines, start=1)]
    except UnicodeDecodeError as error:
        raise _not_resumable(shown(path), error) from error


def _scores_of_line(path: Path, number: int, line: str) -> VideoScores:
    try:
        return VideoScores.from_line(line)
    except MALFORMED as error:
        raise _not_resumable(f"{shown(path)}, line {number}", error) from error


def _not_resumable(where: str, error: BaseException) -> FormatError:
    return FormatError(
        f"{where}: cannot be read ({reason_of(error)}), so the run cannot be resumed; `resume=False` starts over"
    )


def _write_scores(path: Path, videos: Iterable[VideoScores]) -> None:
    write_text_atomic(path, "".join(video.to_line() for video in videos))
