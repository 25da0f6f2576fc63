"""``ava-detect evaluate``: files of detections against ground truth, one run or several, with reasons and a report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

from ava_detect.errors import ConfigError, FormatError, suggestion
from ava_detect.evaluation.compare import Comparison, compare
from ava_detect.evaluation.diagnosis import diagnose
from ava_detect.evaluation.frame_map import FrameMAP, load_metric
from ava_detect.evaluation.frame_map_result import Dialect, FrameMAPResult

# Below this a run has most likely gone wrong, and the reader is owed a reason.
_SUSPICIOUS_MAP = 0.01


@dataclass(frozen=True)
class Run:
    """One file of detections: its result at each IoU threshold, and what is obviously wrong with it, if anything is."""

    path: Path
    results: tuple[FrameMAPResult, ...]
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The first threshold's result, and all of them where there are several."""
        content = {**self.results[0].to_json(), "detections": str(self.path), "warnings": list(self.warnings)}
        if len(self.results) > 1:
            content["per_iou"] = [result.to_json() for result in self.results]
        return content


@dataclass(frozen=True)
class Evaluation:
    """All runs, and how each later one compares with the first. ``metrics``: of each run, for reports about it."""

    runs: tuple[Run, ...]
    comparisons: tuple[Comparison, ...]
    metrics: tuple[FrameMAP, ...]

    def to_json(self) -> dict[str, Any]:
        """One run: its result. Several: the first one's, and beside it ``runs`` and ``comparisons``."""
        content = self.runs[0].to_json()
        if len(self.runs) > 1:
            content["runs"] = [run.to_json() for run in self.runs]
            content["comparisons"] = [comparison.to_json() for comparison in self.comparisons]
        return content


def evaluate_runs(
    ground_truth: Path,
    detections: Sequence[Path],
    *,
    label_map: Path | None = None,
    exclude: Path | None = None,
    dialect: str = "official",
    iou_thresholds: Sequence[float] = (0.5,),
    subset: Path | None = None,
    start_seconds: float = 0.0,
) -> Evaluation:
    """Score every file of ``detections`` against ``ground_truth``; compare the later ones with the first.

    ``label_map``: the classes that count, by default AVA's 60. ``exclude``: keyframes that are dropped on both sides.
    ``subset``: a text file of the videos that count, one a line. ``start_seconds``: added to the times of Parquet
    files.
    Raises ``ConfigError`` for a setting that is not allowed and ``FormatError`` for a file that cannot be read.
    """
    for threshold in iou_thresholds:
        if not 0 < threshold <= 1:
            raise ConfigError(f"`iou_thresholds` are above 0 and at most 1, got {threshold:g}; the benchmark uses 0.5")
    if dialect not in get_args(Dialect):
        known = get_args(Dialect)
        raise ConfigError(f"`dialect` is {' or '.join(known)}, got {dialect!r}{suggestion(dialect, known)}")
    metrics = [
        load_metric(
            ground_truth,
            path,
            label_map=label_map,
            exclude=exclude,
            dialect=cast(Dialect, dialect),
            iou_threshold=iou_thresholds[0],
            start_seconds=start_seconds,
            videos=None if subset is None else read_subset(subset),
        )
        for path in detections
    ]
    runs = tuple(_run(path, metric, iou_thresholds) for path, metric in zip(detections, metrics, strict=True))
    comparisons = tuple(compare(metrics[0], metric) for metric in metrics[1:])
    return Evaluation(runs, comparisons, tuple(metrics))


def read_subset(path: Path) -> frozenset[str]:
    """Video ids, one a line; a file suffix is dropped, so that AVA's own lists of file names can be given."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(
            f"{path}: the list of videos cannot be read ({error}); give a text file, one id a line"
        ) from error
    names = {line.strip() for line in lines if line.strip()}
    if not names:
        raise FormatError(f"{path}: the list of videos is empty; give one id a line")
    return frozenset(names | {Path(name).stem for name in names})


def _run(path: Path, metric: FrameMAP, iou_thresholds: Sequence[float]) -> Run:
    results = metric.compute_at(iou_thresholds)
    suspicious = math.isnan(results[0].mAP) or results[0].mAP < _SUSPICIOUS_MAP
    return Run(path, tuple(results), tuple(diagnose(metric.match()) if suspicious else ()))
