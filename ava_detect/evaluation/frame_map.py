"""AVA's frame-mAP: the metric by which action detectors on AVA are compared.

A streaming metric: ``update`` with ground truth and detections in any number of chunks, then ``compute``. There are
two evaluators in use and they disagree, so the dialect is part of the call and of the result:

* ``official``: ActivityNet's ``Evaluation/get_ava_performance.py`` (its head of 2021). Keeps the best 50
  detections of a keyframe, matches best score first, ignores keyframes without a ground-truth row.
* ``pyslowfast``: PySlowFast's ``ava_evaluation``. Keeps all, matches in the order of the file, and detections
  on keyframes without ground truth are false positives.

``docs/evaluation.md`` has the semantics in full, with the cases in which the two differ.
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
from ava_detect.formats.ava_csv import AvaTable, iter_ava_csv, read_ava_csv
from ava_detect.formats.ava_csv_reader import LastColumn
from ava_detect.formats.parquet_reader import is_parquet_file, iter_parquet
from ava_detect.structures.labels import LabelMap

Paths = str | Path | Sequence[str | Path]


class FrameMAP:
    """Frame-mAP over ground truth and detections that arrive in chunks.

    The order of chunks and rows is the order of the file: it decides between equal scores, and in ``pyslowfast``
    which of two detections gets a box.

    Args:
        label_map: The evaluated classes, AVA's 60 by default; rows of other classes take no part.
        dialect: Whose rules apply, ``official`` or ``pyslowfast``.
        iou_threshold: Least IoU of a true positive with its box, above 0 and at most 1.
        exclude: Keyframes that are dropped on both sides, in either dialect; None for none.

    Raises:
        ConfigError: The dialect is unknown.
        ValueError: The threshold is out of range, or an action id of the label map is not in 1..1,000,000.

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

        Boxes are not clipped to the frame; both sides must use the same units.

        Args:
            ground_truth: A chunk of the ground truth.
            detections: A chunk of the detections. In ``official`` a detection without a score has score 1.

        Raises:
            FormatError: A row cannot be scored; the message names its video and second.
        """
        if ground_truth is not None:
            self._rows.add_ground_truth(ground_truth)
        if detections is not None:
            self._rows.add_detections(detections)

    def compute(self) -> FrameMAPResult:
        """Score the rows added so far; more may follow.

        Returns:
            The result at the metric's IoU threshold.
        """
        return self.compute_at((self.iou_threshold,))[0]

    def compute_at(self, iou_thresholds: Sequence[float]) -> list[FrameMAPResult]:
        """Score the rows added so far at several IoU thresholds, with one matching for all of them.

        Args:
            iou_thresholds: Least IoUs, each above 0 and at most 1.

        Returns:
            A result for each threshold.
        """
        matches = matches_of(self)
        num_gt = np.bincount(matches.truth.classes, minlength=len(self.label_map)).tolist()
        # One bool [R] over all detections for each threshold.
        true_positives = [matches.true_positives(threshold) for threshold in iou_thresholds]
        per_class: list[dict[int, ClassResult]] = [{} for _ in true_positives]
        for action, rows, class_num_gt in zip(self.label_map, matches.by_class(), num_gt, strict=True):
            # Detections are sorted once a class, and scored at each threshold.
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


def matches_of(metric: FrameMAP) -> Matches:
    """Match the detections of a metric with its ground truth, the common basis of results and analyses.

    Args:
        metric: The metric, with the rows that have arrived so far.

    Returns:
        The rows that take part, and the ground-truth box that each detection overlaps most.
    """
    ids = np.array(metric.label_map.ids, np.int64)
    return match(metric._rows, metric._excluded_keys, metric.dialect, ids)


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
    """Score files of detections against files of ground truth.

    The files are csv, plain or gzipped, or Parquet. They are read in chunks and never held as text.

    Args:
        ground_truth: One file or several.
        detections: One file or several.
        label_map: A ``LabelMap`` or the path of a ``.pbtxt`` file; AVA's 60 evaluated classes by default.
        exclude: A csv of ``video,timestamp`` rows, keyframes that are dropped on both sides.
        dialect: Whose rules apply, ``official`` or ``pyslowfast``.
        iou_threshold: Least IoU of a true positive with its box, above 0 and at most 1.
        start_seconds: Added to the timestamps of Parquet files, which count from the start of the video, where the
            timestamps of a csv count from the start of the movie.
        videos: Ids of the videos that count; None for all.

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
    """Fill a ``FrameMAP`` from files, for more than one computation on the same rows.

    Args:
        ground_truth: See ``evaluate_files``, as for all parameters.
        detections: One file or several.
        label_map: A ``LabelMap`` or the path of a ``.pbtxt`` file; AVA's 60 evaluated classes by default.
        exclude: A csv of ``video,timestamp`` rows, keyframes that are dropped on both sides.
        dialect: Whose rules apply.
        iou_threshold: Least IoU of a true positive with its box.
        start_seconds: Added to the timestamps of Parquet files.
        videos: Ids of the videos that count; None for all.

    Returns:
        The metric.

    Raises:
        FormatError: A file cannot be read.
        ConfigError: The dialect is unknown.
        ValueError: The threshold is out of range.
    """
    if label_map is not None and not isinstance(label_map, LabelMap):
        label_map = LabelMap.from_pbtxt(label_map)
    excluded = None if exclude is None else read_ava_csv(exclude)
    metric = FrameMAP(label_map, dialect, iou_threshold, exclude=excluded)
    for path, chunk in _iter_chunks(ground_truth, "person_id", start_seconds):
        with _file_named_in_errors(path):
            metric.update(ground_truth=chunk if videos is None else chunk.only_videos(videos))
    for path, chunk in _iter_chunks(detections, "score", start_seconds):
        with _file_named_in_errors(path):
            metric.update(detections=chunk if videos is None else chunk.only_videos(videos))
    return metric


def _iter_chunks(paths: Paths, last_column: LastColumn, start_seconds: float) -> Iterator[tuple[Path, AvaTable]]:
    """Yield the rows of all files in chunks, each with its file."""
    for path in map(Path, [paths] if isinstance(paths, str | Path) else paths):
        is_parquet = is_parquet_file(path)
        chunks = (
            iter_parquet(path, start_seconds=start_seconds)
            if is_parquet
            else iter_ava_csv(path, last_column=last_column)
        )
        for chunk in chunks:
            yield path, chunk


@contextmanager
def _file_named_in_errors(path: Path) -> Iterator[None]:
    """Put the file's path before the message of a ``FormatError`` about one of its rows."""
    try:
        yield
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from error
