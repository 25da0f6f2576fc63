"""Score detections against ground truth: one run or several, compared, with reasons for suspicious results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ava_detect.errors import ConfigError, FormatError, require_file, shown
from ava_detect.evaluation.compare import Comparison, compare
from ava_detect.evaluation.diagnosis import diagnose_if_suspicious
from ava_detect.evaluation.frame_map import FrameMAP, load_metric
from ava_detect.evaluation.frame_map_result import FrameMAPResult, check_dialect
from ava_detect.structures.labels import LabelMap
from ava_detect.structures.progress import OnProgress, report_stage

_MAX_LIST_BYTES = 1 << 26  # of a list of video ids


@dataclass(frozen=True)
class EvaluationOptions:
    """The settings of an evaluation, the same for all of its runs.

    Attributes:
        label_map: The evaluated classes, or their ``.pbtxt``; AVA's 60 by default.
        exclude: A csv of ``video,timestamp`` rows, keyframes that are dropped on both sides.
        dialect: Whose rules apply, ``official`` or ``pyslowfast``.
        iou_thresholds: Least IoUs of a true positive with its box, each above 0 and at most 1. The first one is that
            of comparisons, warnings and reports.
        subset: A text file of the ids of the videos that count, one a line; all videos by default.
        start_seconds: Added to the timestamps of Parquet files, which count from the start of the video.

    Raises:
        ConfigError: The dialect is unknown, or there is no threshold or one out of range.
    """

    label_map: LabelMap | Path | None = None
    exclude: Path | None = None
    dialect: str = "official"
    iou_thresholds: tuple[float, ...] = (0.5,)
    subset: Path | None = None
    start_seconds: float = 0.0

    def __post_init__(self) -> None:
        if not self.iou_thresholds:
            raise ConfigError("`iou_thresholds` holds no threshold; the benchmark uses 0.5")
        for threshold in self.iou_thresholds:
            if not 0 < threshold <= 1:
                raise ConfigError(
                    f"each of `iou_thresholds` is above 0 and at most 1, got {threshold:g}; the benchmark uses 0.5"
                )
        check_dialect(self.dialect)


@dataclass(frozen=True)
class RunFiles:
    """The detections of a run.

    Attributes:
        path: What the run is called: its file, or its folder.
        files: The files, at least one.
    """

    path: Path
    files: tuple[Path, ...]


@dataclass(frozen=True)
class Run:
    """The detections of one run, and their results.

    Attributes:
        path: Their file, or the folder of their files.
        results: The result at each IoU threshold, in the order of the options.
        warnings: Likely reasons for a suspicious result; empty for a plausible one.
    """

    path: Path
    results: tuple[FrameMAPResult, ...]
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return a dict for ``json.dumps``.

        Returns:
            The first threshold's result with path and warnings; where there are several thresholds, all of their
            results under ``per_iou``.
        """
        content = {**self.results[0].to_json(), "detections": str(self.path), "warnings": list(self.warnings)}
        if len(self.results) > 1:
            content["per_iou"] = [result.to_json() for result in self.results]
        return content


@dataclass(frozen=True)
class Evaluation:
    """All runs of an evaluation, and how each later one compares with the first.

    Attributes:
        runs: The runs with their results, at least one.
        comparisons: The first run against each later one; empty for one run.
        metrics: The filled metric of each run, for reports.
    """

    runs: tuple[Run, ...]
    comparisons: tuple[Comparison, ...]
    metrics: tuple[FrameMAP, ...]

    def to_json(self) -> dict[str, Any]:
        """Return a dict for ``json.dumps``.

        Returns:
            The first run's result; where there are several, all of them under ``runs`` and ``comparisons``.
        """
        content = self.runs[0].to_json()
        if len(self.runs) > 1:
            content["runs"] = [run.to_json() for run in self.runs]
            content["comparisons"] = [comparison.to_json() for comparison in self.comparisons]
        return content


def evaluate_runs(
    ground_truth: Path,
    detections: Sequence[RunFiles],
    options: EvaluationOptions | None = None,
    *,
    on_progress: OnProgress | None = None,
) -> Evaluation:
    """Score the detections of each run against the ground truth, and compare the later runs with the first.

    Args:
        ground_truth: A csv, plain or gzipped, or a Parquet file.
        detections: The runs, at least one.
        options: The settings; by default those of the benchmark.
        on_progress: Told which file is read and matched.

    Returns:
        The results and comparisons.

    Raises:
        FormatError: A file cannot be read.
    """
    options = options or EvaluationOptions()
    metrics = []
    for run in detections:
        report_stage(on_progress, f"reading {run.path.name}")
        metric = load_metric(
            ground_truth,
            run.files,
            label_map=options.label_map,
            exclude=options.exclude,
            dialect=check_dialect(options.dialect),
            iou_threshold=options.iou_thresholds[0],
            start_seconds=options.start_seconds,
            videos=None if options.subset is None else read_subset(options.subset),
        )
        metrics.append(metric)
    shared = _same_names(metrics[0].label_map) if metrics else []
    runs = []
    for run, metric in zip(detections, metrics, strict=True):
        report_stage(on_progress, f"matching {run.path.name}")
        runs.append(_run(run.path, metric, options.iou_thresholds, shared))
    comparisons = tuple(compare(metrics[0], metric) for metric in metrics[1:])
    return Evaluation(tuple(runs), comparisons, tuple(metrics))


def read_subset(path: Path) -> frozenset[str]:
    """Read a list of video ids.

    Args:
        path: A UTF-8 text file, one id a line. Of a file name, as in AVA's own lists, the name without suffix is an id,
            too.

    Returns:
        The ids.

    Raises:
        FormatError: The file cannot be read, or is empty.
    """
    try:
        require_file(path, max_bytes=_MAX_LIST_BYTES)
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(
            f"{path}: the list of videos cannot be read ({error}); give a text file, one id a line"
        ) from error
    names = {line.strip() for line in lines if line.strip()}
    if not names:
        raise FormatError(f"{path}: the list of videos is empty; give one id a line")
    return frozenset(names | {Path(name).stem for name in names})


def _run(path: Path, metric: FrameMAP, iou_thresholds: Sequence[float], warnings: Sequence[str]) -> Run:
    results = metric.compute_at(iou_thresholds)
    return Run(path, tuple(results), (*warnings, *diagnose_if_suspicious(metric, results[0])))


def _same_names(label_map: LabelMap) -> list[str]:
    """Return a sentence for each class that has the name of an earlier one."""
    id_of_name: dict[str, int] = {}
    return [
        f"ids {id_of_name[action.name]} and {action.id} of the label map are both called {shown(action.name)!r}"
        for action in label_map
        if id_of_name.setdefault(action.name, action.id) != action.id
    ]
