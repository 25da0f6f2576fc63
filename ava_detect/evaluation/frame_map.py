"""AVA's frame-mAP: the metric by which action detectors on AVA are compared.

Reads like any streaming metric: ``update`` with ground truth and detections in any number of pieces, then
``compute``. There is no one official number, so the dialect is part of the call and of the result:

* ``official``: ActivityNet's ``Evaluation/get_ava_performance.py`` (its head of 2021). Keeps the best 50
  detections of a keyframe, matches best score first, ignores keyframes without a ground-truth row.
* ``pyslowfast``: PySlowFast's ``ava_evaluation``. Keeps all, matches in the order of the file, and detections
  on keyframes without ground truth are false positives.

``docs/evaluation.md`` has the semantics in full, with the cases in which the two part.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import get_args

import numpy as np

from ava_detect.errors import FormatError
from ava_detect.evaluation.average_precision import PrecisionRecall, Ranking
from ava_detect.evaluation.frame_map_result import ClassResult, Dialect, FrameMAPResult
from ava_detect.evaluation.matches import Matches, match
from ava_detect.evaluation.rows import RowCollector
from ava_detect.formats.ava_csv import AvaTable, iter_ava_csv, read_ava_csv
from ava_detect.formats.ava_csv_reader import LastColumn
from ava_detect.formats.parquet_reader import is_parquet_file, iter_parquet
from ava_detect.structures.labels import LabelMap

Paths = str | Path | Sequence[str | Path]


class FrameMAP:
    """Frame-mAP over ground truth and detections that arrive in pieces.

    ``label_map``: the classes that count, AVA's 60 by default; rows of others take no part. ``iou_threshold``: how
    much a detection must overlap its box. ``exclude``: keyframes that are dropped on both sides, in either dialect.
    The order of pieces and rows is the order of the file: it decides between equal scores, and in ``pyslowfast``
    which of two detections gets a box.
    """

    def __init__(
        self,
        label_map: LabelMap | None = None,
        dialect: Dialect = "official",
        iou_threshold: float = 0.5,
        *,
        exclude: AvaTable | None = None,
    ) -> None:
        if dialect not in get_args(Dialect):
            raise ValueError(f"dialect must be one of {', '.join(get_args(Dialect))}, got {dialect!r}")
        if not 0 < iou_threshold <= 1:
            raise ValueError(f"iou_threshold must be above 0 and at most 1, got {iou_threshold}")
        self.label_map = LabelMap.ava_evaluated() if label_map is None else label_map
        self.dialect: Dialect = dialect
        self.iou_threshold = iou_threshold
        self._exclude = AvaTable.empty() if exclude is None else exclude
        self.reset()

    def reset(self) -> None:
        """Forget all rows."""
        self._rows = RowCollector(self.label_map, self.dialect)
        self._excluded_keys = self._rows.keys_of(self._exclude)

    def update(self, *, ground_truth: AvaTable | None = None, detections: AvaTable | None = None) -> None:
        """Take a piece of the ground truth, of the detections, or of both.

        Boxes are used as they are, not clipped; only both sides must use the same frame. In ``official`` a detection
        without a score has score 1. Raises ``FormatError`` naming video and second for a row that cannot be scored.
        """
        if ground_truth is not None:
            self._rows.add_ground_truth(ground_truth)
        if detections is not None:
            self._rows.add_detections(detections)

    def compute(self) -> FrameMAPResult:
        """Score what has arrived so far; more may follow."""
        return self.compute_at((self.iou_threshold,))[0]

    def compute_at(self, iou_thresholds: Sequence[float]) -> list[FrameMAPResult]:
        """The result at each of several IoU thresholds, for little more than the price of one."""
        matches = self.match()
        num_gt = np.bincount(matches.truth.classes, minlength=len(self.label_map)).tolist()
        hits = [matches.true_positives(threshold) for threshold in iou_thresholds]
        per_class: list[dict[int, ClassResult]] = [{} for _ in hits]
        for action, rows, to_find in zip(self.label_map, matches.by_class(), num_gt, strict=True):
            ranking = Ranking(matches.detections.scores[rows])
            for results, hit in zip(per_class, hits, strict=True):
                is_tp = hit[rows]
                found = ranking.average_precision(is_tp, to_find)
                results[action.id] = ClassResult(
                    action.name,
                    action.kind,
                    found.ap,
                    num_gt=to_find,
                    num_det=len(rows),
                    num_tp=int(np.count_nonzero(is_tp)),
                    ap_tie_min=found.tie_min,
                    ap_tie_max=found.tie_max,
                )
        return [
            FrameMAPResult(results, self.dialect, threshold, matches.num_keyframes, matches.ignored)
            for results, threshold in zip(per_class, iou_thresholds, strict=True)
        ]

    def precision_recall(self) -> dict[int, PrecisionRecall]:
        """The precision-recall curve of each class at the metric's IoU threshold, by action id."""
        matches = self.match()
        is_tp = matches.true_positives(self.iou_threshold)
        num_gt = np.bincount(matches.truth.classes, minlength=len(self.label_map)).tolist()
        return {
            action_id: Ranking(matches.detections.scores[rows]).precision_recall(is_tp[rows], to_find)
            for action_id, rows, to_find in zip(self.label_map.ids, matches.by_class(), num_gt, strict=True)
        }

    def match(self) -> Matches:
        """Who took part and which box each detection overlaps most: what results and analyses are made of."""
        return match(self._rows, self._excluded_keys, self.dialect, np.array(self.label_map.ids, np.int64))


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
    """Score files of detections against files of ground truth: csv, plain or gzipped, or Parquet; one or several.

    ``label_map``: a ``LabelMap`` or a ``.pbtxt`` file; AVA's 60 evaluated classes by default. ``exclude``: a csv of
    ``video,timestamp`` rows, dropped on both sides. ``start_seconds`` is added to the timestamps of Parquet files,
    which count from the start of the video, where a csv's count from the start of the movie. ``videos``: the ids of
    those that count; None for all.
    The files are read piece by piece and never held as text.
    Raises ``FormatError`` naming the file and, in a csv, the line, or else video and second.
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
    """A ``FrameMAP`` filled from files, for more than one question to it; see ``evaluate_files``."""
    if label_map is not None and not isinstance(label_map, LabelMap):
        label_map = LabelMap.from_pbtxt(label_map)
    excluded = None if exclude is None else read_ava_csv(exclude)
    metric = FrameMAP(label_map, dialect, iou_threshold, exclude=excluded)
    for path, piece in _pieces(ground_truth, "person_id", start_seconds):
        with _naming(path):
            metric.update(ground_truth=piece if videos is None else piece.only_videos(videos))
    for path, piece in _pieces(detections, "score", start_seconds):
        with _naming(path):
            metric.update(detections=piece if videos is None else piece.only_videos(videos))
    return metric


def _pieces(paths: Paths, last_column: LastColumn, start_seconds: float) -> Iterator[tuple[Path, AvaTable]]:
    for path in map(Path, [paths] if isinstance(paths, str | Path) else paths):
        is_parquet = is_parquet_file(path)
        pieces = (
            iter_parquet(path, start_seconds=start_seconds)
            if is_parquet
            else iter_ava_csv(path, last_column=last_column)
        )
        for piece in pieces:
            yield path, piece


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Puts the file's name before what the metric says of a row."""
    try:
        yield
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from error
