"""Score files of detected tubes or boxes against the ground truth of MultiSports, UCF101-24 or JHMDB."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ava_detect.errors import ConfigError, FormatError, shown
from ava_detect.evaluation.linking_choice import OF_DIALECT, LinkingName, check_linking, link_table
from ava_detect.evaluation.video_map import VideoMAP, check_boxes
from ava_detect.evaluation.video_map_result import (
    AVERAGES,
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

DEFAULT_THRESHOLDS: dict[TubeMetric, tuple[float, ...]] = {"video": (0.2, 0.5, 0.75), "frame": (0.5,)}
_MAIN_THRESHOLD = 0.5
#: Reads a file of detections: tubes, or boxes whose timestamps are numbers of frames.
ReadDetections = Callable[[Path], AvaTable | list[FrameTube]]


@dataclass(frozen=True)
class TubeOptions:
    """The settings of an evaluation of tubes.

    Attributes:
        metric: ``video`` for tubes, ``frame`` for boxes of single frames.
        dialect: Whose rules apply, ``multisports`` or ``act``.
        iou_thresholds: Least overlaps of a true positive, each above 0 and at most 1; empty for those that papers
            report.
        split: Number of the split, from 1.
        linking: How boxes are linked to tubes for ``video``: ``moc``, ``mmaction2`` or ``tracks``; None for what the
            dialect's own program does.
        fps: Frames per second, for ``tracks``; None for 25.

    Raises:
        ConfigError: The metric, the dialect or the linking is unknown, or a number is out of range.
    """

    metric: str = "video"
    dialect: str = "multisports"
    iou_thresholds: tuple[float, ...] = ()
    split: int = 1
    linking: str | None = None
    fps: float | None = None

    def __post_init__(self) -> None:
        check_tube_metric(self.metric)
        check_tube_dialect(self.dialect)
        if self.linking is not None:
            check_linking(self.linking)
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
        num_linked: Number of tubes that boxes were linked to; None where none were.
        linking: How they were linked; None where none were.
        metric: The filled metric, for reports.
    """

    path: Path
    results: tuple[VideoMAPResult, ...]
    averages: dict[str, float]
    num_linked: int | None = None
    linking: LinkingName | None = None
    metric: VideoMAP | None = field(default=None, repr=False)

    @property
    def main_result(self) -> VideoMAPResult:
        """The result of comparisons and reports: that at 0.5 where it is among them, else the first."""
        return next((result for result in self.results if result.iou_threshold == _MAIN_THRESHOLD), self.results[0])

    def to_json(self) -> dict[str, Any]:
        """Return a dict for ``json.dumps``.

        Returns:
            The first threshold's result with path and averages; where there are several, all of them under
            ``per_iou``.
        """
        content = {
            **self.results[0].to_json(),
            "detections": str(self.path),
            "averages": self.averages,
            "linking": self.linking,
        }
        if len(self.results) > 1:
            content["per_iou"] = [result.to_json() for result in self.results]
        return content


def evaluate_tubes(
    ground_truth: str | Path | TubeAnnotations,
    detections: Sequence[str | Path],
    options: TubeOptions | None = None,
    *,
    read: ReadDetections | None = None,
    on_progress: OnProgress | None = None,
) -> list[TubeRun]:
    """Score files of detections against the ground truth of a data set of tubes.

    Boxes of single frames are linked to tubes for ``video``.

    Args:
        ground_truth: The pickle of the data set, or its content.
        detections: Pickles of detected tubes or boxes, one or several.
        options: The settings; those of MultiSports' evaluator by default.
        read: Reads the files of detections; None for pickles.
        on_progress: Told of the stages.

    Returns:
        The results of each file.

    Raises:
        FormatError: A file cannot be read, or does not fit the ground truth or the metric.
        ConfigError: There is no such split.
    """
    options = options or TubeOptions()
    report_stage(on_progress, "reading the ground truth")
    truth = ground_truth if isinstance(ground_truth, TubeAnnotations) else read_tube_annotations(ground_truth)
    videos = truth.test_videos(options.split)
    runs = []
    for path in map(Path, detections):
        report_stage(on_progress, f"scoring {path.name}")
        found = _pickled(path, truth, videos) if read is None else read(path)
        runs.append(_run(path, found, truth, videos, options))
    return runs


def _pickled(path: Path, truth: TubeAnnotations, videos: Sequence[str]) -> AvaTable | list[FrameTube]:
    if not is_pickle_file(path):
        raise FormatError(f"{shown(path)} is no pickle; detections are pickles of tubes or of boxes")
    return read_tube_detections(path, truth.label_map, videos)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Put the file before what is wrong in it."""
    try:
        yield
    except FormatError as error:
        raise FormatError(f"{shown(path)}: {error}") from None


def _run(
    path: Path,
    found: AvaTable | list[FrameTube],
    truth: TubeAnnotations,
    videos: Sequence[str],
    options: TubeOptions,
) -> TubeRun:
    dialect, kind = check_tube_dialect(options.dialect), check_tube_metric(options.metric)
    metric = VideoMAP(truth.label_map, dialect, videos)
    metric.update(ground_truth=truth.tubes_of(videos))
    num_linked, linking = None, None
    if isinstance(found, AvaTable):
        with _naming(path):
            check_boxes(found)
        if kind == "frame":
            metric.update(boxes=found)
        else:
            linking = OF_DIALECT[dialect] if options.linking is None else check_linking(options.linking)
            linked = list(link_table(found, linking, options.fps))
            num_linked = len(linked)
            metric.update(tubes=linked)
    elif kind == "frame":
        raise FormatError(
            f"{shown(path)} has tubes, and `metric=frame` takes boxes of single frames; give the file of boxes, or use "
            "`metric=video`"
        )
    else:
        with _naming(path):
            metric.update(tubes=found)
    thresholds = options.iou_thresholds or DEFAULT_THRESHOLDS[kind]
    averaged = AVERAGES if kind == "video" else {}
    every = dict.fromkeys([*thresholds, *(one for several in averaged.values() for one in several)])
    results = dict(zip(every, metric.compute_at(list(every), kind), strict=True))
    averages = {name: mean_map([results[one] for one in several]) for name, several in averaged.items()}
    return TubeRun(path, tuple(results[one] for one in thresholds), averages, num_linked, linking, metric)
