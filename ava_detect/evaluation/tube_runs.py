"""Score files of detected tubes or boxes against the ground truth of MultiSports, UCF101-24 or JHMDB."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ava_detect.errors import ConfigError, FormatError, shown
from ava_detect.evaluation.video_map import VideoMAP
from ava_detect.evaluation.video_map_result import (
    AVERAGES,
    TubeDialect,
    TubeMetric,
    VideoMAPResult,
    check_tube_dialect,
    check_tube_metric,
    mean_map,
)
from ava_detect.formats.ava_table import AvaTable
from ava_detect.formats.proposal_pickles import is_pickle_file
from ava_detect.formats.tube_pickles import TubeAnnotations, read_tube_annotations, read_tube_detections
from ava_detect.structures.frame_tubes import FrameTube
from ava_detect.structures.progress import OnProgress, report_stage
from ava_detect.structures.tube_linking import TubeLinking, link_boxes

DEFAULT_THRESHOLDS: dict[TubeMetric, tuple[float, ...]] = {"video": (0.2, 0.5, 0.75), "frame": (0.5,)}
# How each evaluator's own program links boxes: ``link_tubes`` of mmaction2, ``BuildTubes`` of MOC.
LINKINGS: dict[TubeDialect, TubeLinking] = {
    "multisports": TubeLinking(max_gap=1, inclusive=False),
    "act": TubeLinking(),
}


@dataclass(frozen=True)
class TubeOptions:
    """The settings of an evaluation of tubes.

    Attributes:
        metric: ``video`` for tubes, ``frame`` for boxes of single frames.
        dialect: Whose rules apply, ``multisports`` or ``act``.
        iou_thresholds: Least overlaps of a true positive, each above 0 and at most 1; empty for those that papers
            report.
        split: Number of the split, from 1.

    Raises:
        ConfigError: The metric or the dialect is unknown, or a threshold is out of range.
    """

    metric: str = "video"
    dialect: str = "multisports"
    iou_thresholds: tuple[float, ...] = ()
    split: int = 1

    def __post_init__(self) -> None:
        check_tube_metric(self.metric)
        check_tube_dialect(self.dialect)
        for threshold in self.iou_thresholds:
            if not 0 < threshold <= 1:
                raise ConfigError(f"each of `iou_thresholds` is above 0 and at most 1, got {threshold:g}")


@dataclass(frozen=True)
class TubeRun:
    """One file of detections and its results.

    Attributes:
        path: The file.
        results: The result at each threshold, in the order of the options.
        averages: mAP averaged over the thresholds of each of ``AVERAGES``, 0..1; empty for ``frame``.
        num_linked: Number of tubes that boxes were linked to; None where the file has tubes.
    """

    path: Path
    results: tuple[VideoMAPResult, ...]
    averages: dict[str, float]
    num_linked: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return a dict for ``json.dumps``.

        Returns:
            The first threshold's result with path and averages; where there are several, all of them under
            ``per_iou``.
        """
        content = {**self.results[0].to_json(), "detections": str(self.path), "averages": self.averages}
        if len(self.results) > 1:
            content["per_iou"] = [result.to_json() for result in self.results]
        return content


def evaluate_tubes(
    ground_truth: str | Path,
    detections: Sequence[str | Path],
    options: TubeOptions | None = None,
    *,
    on_progress: OnProgress | None = None,
) -> list[TubeRun]:
    """Score files of detections against the ground truth of a data set of tubes.

    Boxes of single frames are linked to tubes for ``video`` as the dialect's own program does (``LINKINGS``).

    Args:
        ground_truth: The pickle of the data set.
        detections: Pickles of detected tubes or boxes, one or several.
        options: The settings; those of MultiSports' evaluator by default.
        on_progress: Told of the stages.

    Returns:
        The results of each file.

    Raises:
        FormatError: A file cannot be read, or does not fit the ground truth or the metric.
        ConfigError: There is no such split.
    """
    options = options or TubeOptions()
    report_stage(on_progress, "reading the ground truth")
    truth = read_tube_annotations(ground_truth)
    videos = truth.test_videos(options.split)
    runs = []
    for path in map(Path, detections):
        report_stage(on_progress, f"scoring {path.name}")
        runs.append(_run(path, truth, videos, options))
    return runs


def _run(path: Path, truth: TubeAnnotations, videos: Sequence[str], options: TubeOptions) -> TubeRun:
    dialect, kind = check_tube_dialect(options.dialect), check_tube_metric(options.metric)
    if not is_pickle_file(path):
        raise FormatError(
            f"{shown(path)} is no pickle; against the ground truth of a data set of tubes, detections are pickles of "
            "tubes or of boxes"
        )
    metric = VideoMAP(truth.label_map, dialect, videos)
    metric.update(ground_truth=truth.tubes_of(videos))
    found = read_tube_detections(path, truth.label_map, videos)
    num_linked = None
    if isinstance(found, AvaTable):
        if kind == "frame":
            metric.update(boxes=found)
        else:
            linked = list(link_table(found, LINKINGS[dialect]))
            num_linked = len(linked)
            metric.update(tubes=linked)
    elif kind == "frame":
        raise FormatError(
            f"{shown(path)} has tubes, and `metric=frame` takes boxes of single frames; give the file of boxes, or use "
            "`metric=video`"
        )
    else:
        metric.update(tubes=found)
    thresholds = options.iou_thresholds or DEFAULT_THRESHOLDS[kind]
    averaged = AVERAGES if kind == "video" else {}
    every = dict.fromkeys([*thresholds, *(one for several in averaged.values() for one in several)])
    results = dict(zip(every, metric.compute_at(list(every), kind), strict=True))
    averages = {name: mean_map([results[one] for one in several]) for name, several in averaged.items()}
    return TubeRun(path, tuple(results[one] for one in thresholds), averages, num_linked)


def link_table(boxes: AvaTable, settings: TubeLinking) -> Iterator[FrameTube]:
    """Link the detected boxes of a table to tubes, video by video and action by action.

    Args:
        boxes: The boxes; timestamps are frame numbers, boxes are in pixels.
        settings: How they are linked.

    Yields:
        The tubes.
    """
    order = np.lexsort((boxes.timestamps_seconds, boxes.action_ids, boxes.video_index))
    boxes = boxes[order]
    frames = boxes.timestamps_seconds.astype(np.int64)
    for rows in _runs(boxes.video_index, boxes.action_ids):
        of_frames = (
            (int(frames[part][0]), boxes.boxes_fraction[part], boxes.scores[part])
            for part in _runs(frames[rows], first=rows.start)
        )
        video_id = boxes.video_ids[boxes.video_index[rows.start]]
        yield from link_boxes(video_id, int(boxes.action_ids[rows.start]), of_frames, settings)


def _runs(*columns: npt.NDArray[np.integer[Any]], first: int = 0) -> Iterator[slice]:
    """Yield the rows of each run of equal values, counted from ``first``."""
    if not len(columns[0]):
        return
    starts = np.flatnonzero(np.logical_or.reduce([np.diff(column, prepend=column[0] - 1) != 0 for column in columns]))
    for low, high in zip(starts.tolist(), [*starts[1:].tolist(), len(columns[0])], strict=True):
        yield slice(first + low, first + high)
