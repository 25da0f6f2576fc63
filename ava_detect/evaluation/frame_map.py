"""Frame-mAP, the metric of AVA: average precision per action class at an IoU threshold, averaged over the classes.

A streaming metric: ``update`` with ground truth and detections in any number of chunks, then ``compute``. Each row is
one box of a keyframe with one action class; in detections, with the confidence score of that class.

Two evaluators are in common use and differ in their results, so the choice (the ``dialect``) is a parameter and is
recorded in the result:

* ``official``: ActivityNet's ``Evaluation/get_ava_performance.py`` (as of 2021). Keeps the 50 highest-scoring
  detections of a keyframe, matches them to ground truth in order of descending score, and ignores keyframes without a
  ground-truth row.
* ``pyslowfast``: PySlowFast's ``ava_evaluation``. Keeps all detections, matches them in the order of the file, and
  counts detections on keyframes without ground truth as false positives.

``docs/evaluation.md`` describes the rules in full, with the cases in which the two differ.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ava_detect.errors import FormatError
from ava_detect.evaluation.average_precision import PrecisionRecall, Ranking
from ava_detect.evaluation.frame_map_result import ClassResult, Dialect, FrameMAPResult, check_dialect
from ava_detect.evaluation.matches import Matches, match
from ava_detect.evaluation.rows import RowCollector
from ava_detect.formats.annotation_files import iter_ground_truth
from ava_detect.formats.ava_csv import AvaTable, iter_ava_csv, read_ava_csv
from ava_detect.formats.parquet_reader import is_parquet_file, iter_parquet
from ava_detect.structures.labels import LabelMap

Paths = str | Path | Sequence[str | Path]


class FrameMAP:
    """Frame-mAP over ground truth and detections that arrive in chunks.

    The order in which rows arrive counts as the order of the file: it breaks ties between equal scores, and in
    ``pyslowfast`` it decides which of two detections is matched to a ground-truth box.

    Args:
        label_map: The evaluated classes, AVA's 60 by default; rows of other classes are ignored.
        dialect: The evaluator whose rules apply, ``official`` or ``pyslowfast``.
        iou_threshold: Least IoU of a true positive with its ground-truth box, above 0 and at most 1.
        exclude: Keyframes that are dropped from ground truth and detections, in either dialect; None for none.

    Raises:
        ConfigError: The dialect is unknown.
        ValueError: The threshold is out of range.

    Example:
        >>> metric = FrameMAP()
        >>> metric.update(ground_truth=read_ava_csv("ava_val_v2.2.csv"), detections=read_ava_csv("detections.csv"))
        >>> print(metric.compute().summary())
    """

    def __init__(
        self,
        label_map: LabelMap | None = None,
        dialect: Dialect = "official",
        iou_threshold: float = 0.5,
        *,
        exclude: AvaTable | None = None,
    ) -> None:
        check_dialect(dialect)
        if not 0 < iou_threshold <= 1:
            raise ValueError(f"iou_threshold must be above 0 and at most 1, got {iou_threshold}")
        self.label_map = LabelMap.ava_evaluated() if label_map is None else label_map
        self.dialect: Dialect = dialect
        self.iou_threshold = iou_threshold
        self._exclude = AvaTable.empty() if exclude is None else exclude
        self.reset()

    def reset(self) -> None:
        """Remove all rows."""
        self._rows = RowCollector(self.label_map, self.dialect)
        self._excluded_keys = self._rows.keys_of(self._exclude)

    def update(self, *, ground_truth: AvaTable | None = None, detections: AvaTable | None = None) -> None:
        """Add rows of the ground truth, of the detections, or of both.

        Boxes are not clipped to the frame. Ground truth and detections must use the same box units (AVA: fractions of
        the frame) and the same time axis.

        Args:
            ground_truth: A chunk of the ground truth.
            detections: A chunk of the detections. In ``official`` a detection without a score has score 1.

        Raises:
            FormatError: A row is invalid; the message names its video and second.
        """
        if ground_truth is not None:
            self._rows.add_ground_truth(ground_truth)
        if detections is not None:
            self._rows.add_detections(detections)

    def compute(self) -> FrameMAPResult:
        """Evaluate the rows added so far; more may be added afterwards.

        Returns:
            The result at the metric's IoU threshold.
        """
        return self.compute_at((self.iou_threshold,))[0]

    def compute_at(self, iou_thresholds: Sequence[float]) -> list[FrameMAPResult]:
        """Evaluate the rows added so far at several IoU thresholds; IoUs are computed once for all of them.

        Args:
            iou_thresholds: Least IoUs of a true positive with its ground-truth box, each above 0 and at most 1.

        Returns:
            A result for each threshold, in the order given.
        """
        matches = matches_of(self)
        num_gt = np.bincount(matches.truth.classes, minlength=len(self.label_map)).tolist()
        # For each threshold a mask, bool [R], of the true positives among the R detections.
        true_positives = [matches.true_positives(threshold) for threshold in iou_thresholds]
        per_class: list[dict[int, ClassResult]] = [{} for _ in true_positives]
        for action, rows, class_num_gt in zip(self.label_map, matches.by_class(), num_gt, strict=True):
            # The detections of a class are sorted once, for all thresholds.
            ranking = Ranking(matches.detections.scores[rows])
            for results, is_tp in zip(per_class, true_positives, strict=True):
                class_is_tp = is_tp[rows]
                precision = ranking.average_precision(class_is_tp, class_num_gt)
                results[action.id] = ClassResult(
                    action.name,
                    action.kind,
                    precision.ap,
                    num_gt=class_num_gt,
                    num_det=len(rows),
                    num_tp=int(np.count_nonzero(class_is_tp)),
                    ap_tie_min=precision.tie_min,
                    ap_tie_max=precision.tie_max,
                )
        return [
            FrameMAPResult(results, self.dialect, threshold, matches.num_keyframes, matches.ignored)
            for results, threshold in zip(per_class, iou_thresholds, strict=True)
        ]

    def precision_recall(self) -> dict[int, PrecisionRecall]:
        """Compute the precision-recall curve of each class at the metric's IoU threshold.

        Returns:
            The curves by action id, in the order of the label map.
        """
        matches = matches_of(self)
        is_tp = matches.true_positives(self.iou_threshold)
        num_gt = np.bincount(matches.truth.classes, minlength=len(self.label_map)).tolist()
        return {
            action_id: Ranking(matches.detections.scores[rows]).precision_recall(is_tp[rows], class_num_gt)
            for action_id, rows, class_num_gt in zip(self.label_map.ids, matches.by_class(), num_gt, strict=True)
        }


def matches_of(metric: FrameMAP, *, is_capped: bool = True) -> Matches:
    """Match the detections of a metric with its ground truth; used by the metric itself and by the error analyses.

    Args:
        metric: The metric, with the rows added so far.
        is_capped: Whether the dialect's limit of detections per keyframe applies.

    Returns:
        The evaluated rows, and the ground-truth box with the highest IoU for each detection.
    """
    ids = np.array(metric.label_map.ids, np.int64)
    return match(metric._rows, metric._excluded_keys, metric.dialect, ids, is_capped=is_capped)


def evaluate_files(
    ground_truth: Paths,
    detections: Paths,
    *,
    label_map: LabelMap | str | Path | None = None,
    exclude: str | Path | None = None,
    dialect: Dialect = "official",
    iou_threshold: float = 0.5,
    start_seconds: float = 0.0,
    videos: Collection[str] | None = None,
) -> FrameMAPResult:
    """Compute the frame-mAP of files of detections against files of ground truth.

    The files are csv, plain or gzipped, or Parquet; ground truth may also be a COCO instances file whose categories are
    the actions. They are read in chunks, to save memory.

    Args:
        ground_truth: One file or several.
        detections: One file or several.
        label_map: A ``LabelMap`` or the path of a ``.pbtxt`` file; AVA's 60 evaluated classes by default.
        exclude: A csv of ``video,timestamp`` rows: keyframes that are dropped from ground truth and detections.
        dialect: The evaluator whose rules apply, ``official`` or ``pyslowfast``.
        iou_threshold: Least IoU of a true positive with its ground-truth box, above 0 and at most 1.
        start_seconds: Time in the movie, in seconds, at which each video file starts (900 for AVA's trimmed files). It
            is added to the timestamps of Parquet files, which are relative to the video file; those of a csv are
            relative to the movie.
        videos: Ids of the videos to evaluate; None for all.

    Returns:
        The result.

    Raises:
        FormatError: A file cannot be read; the message names the file and, in a csv, the line, or else video and
            second.
        ConfigError: The dialect is unknown.
        ValueError: The threshold is out of range.

    Example:
        >>> print(evaluate_files("ava_val_v2.2.csv", "detections.csv").summary())
    """
    metric = load_metric(
        ground_truth,
        detections,
        label_map=label_map,
        exclude=exclude,
        dialect=dialect,
        iou_threshold=iou_threshold,
        start_seconds=start_seconds,
        videos=videos,
    )
    return metric.compute()


def load_metric(
    ground_truth: Paths,
    detections: Paths,
    *,
    label_map: LabelMap | str | Path | None = None,
    exclude: str | Path | None = None,
    dialect: Dialect = "official",
    iou_threshold: float = 0.5,
    start_seconds: float = 0.0,
    videos: Collection[str] | None = None,
) -> FrameMAP:
    """Fill a ``FrameMAP`` from files, to compute several results on the same rows.

    The parameters are those of ``evaluate_files``.

    Args:
        ground_truth: One file or several.
        detections: One file or several.
        label_map: A ``LabelMap`` or the path of a ``.pbtxt`` file; AVA's 60 evaluated classes by default.
        exclude: A csv of ``video,timestamp`` rows: keyframes that are dropped from ground truth and detections.
        dialect: The evaluator whose rules apply, ``official`` or ``pyslowfast``.
        iou_threshold: Least IoU of a true positive with its ground-truth box, above 0 and at most 1.
        start_seconds: Time in the movie, in seconds, at which each video file starts; added to the timestamps of
            Parquet files.
        videos: Ids of the videos to evaluate; None for all.

    Returns:
        The metric, ready to ``compute``.

    Raises:
        FormatError: A file cannot be read.
        ConfigError: The dialect is unknown.
        ValueError: The threshold is out of range.
    """
    if label_map is not None and not isinstance(label_map, LabelMap):
        label_map = LabelMap.from_pbtxt(label_map, distinct_names=False)
    excluded = None if exclude is None else read_ava_csv(exclude)
    metric = FrameMAP(label_map, dialect, iou_threshold, exclude=excluded)
    for path in _as_list(ground_truth):
        for chunk in iter_ground_truth(path, start_seconds=start_seconds, actions_required=True):
            with _errors_prefixed_with(path):
                metric.update(ground_truth=chunk if videos is None else chunk.only_videos(videos))
    for path in _as_list(detections):
        for chunk in _iter_detections(path, start_seconds):
            with _errors_prefixed_with(path):
                metric.update(detections=chunk if videos is None else chunk.only_videos(videos))
    return metric


def _as_list(paths: Paths) -> list[Path]:
    return list(map(Path, [paths] if isinstance(paths, str | Path) else paths))


def _iter_detections(path: Path, start_seconds: float) -> Iterator[AvaTable]:
    if is_parquet_file(path):
        return iter_parquet(path, start_seconds=start_seconds)
    return iter_ava_csv(path, python_scores=True)


@contextmanager
def _errors_prefixed_with(path: Path) -> Iterator[None]:
    """Prefix the message of a ``FormatError``, which names only the row, with the file's path."""
    try:
        yield
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from error
