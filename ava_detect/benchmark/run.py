"""``ava-detect benchmark``: a split in, its score out, every stage timed apart, and nothing left out in silence.

Detection (AVA): ``OUT/detections.csv`` holds what was found on the keyframes of the ground truth, ``OUT/result.json``
its frame-mAP. Classification (Kinetics, Charades): ``OUT/scores.jsonl`` and ``OUT/result.json``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from ava_detect.benchmark.classification import SCORES, benchmark_classifier
from ava_detect.benchmark.detection import DetectionSplit, benchmark_detector, check_dialect
from ava_detect.benchmark.result import BenchmarkResult
from ava_detect.benchmark.view_scorer import ViewScorer
from ava_detect.config import Config, SplitConfig
from ava_detect.config.build import build_model, label_map_of
from ava_detect.config.choice import config_of
from ava_detect.datasets.build import build_dataset
from ava_detect.errors import ConfigError
from ava_detect.inference.pipeline import Pipeline
from ava_detect.inference.scorer import Scorer
from ava_detect.models import zoo
from ava_detect.models.action_detector import ActionClassifier, ActionDetector
from ava_detect.models.execution import Execution, Precision, resolve_device, resolve_execution, resolve_precision
from ava_detect.models.weights import load_weights
from ava_detect.models.zoo import UNTRAINED_NOTE
from ava_detect.results.manifest import MANIFEST, Manifest
from ava_detect.storage.local_files import sha256_of
from ava_detect.structures.labels import LabelMap
from ava_detect.structures.progress import OnProgress


def run_benchmark(
    config: Config | str | Path | None,
    weights: str | Path,
    *,
    out: str | Path,
    videos: str | Path | None = None,
    ground_truth: str | Path | None = None,
    boxes: str | Path | None = None,
    exclude: str | Path | None = None,
    label_map: str | Path | None = None,
    detector: str | None = None,
    min_person_score: float | None = None,
    start_seconds: float | None = None,
    dialect: str = "official",
    flip: bool = False,
    scales: Sequence[int] = (),
    device: str = "auto",
    precision: str = "auto",
    execution: str = "auto",
    clips_per_batch: int | None = None,
    resume: bool = True,
    on_progress: OnProgress | None = None,
) -> BenchmarkResult:
    """Run a network over a split and score it; ``out`` then holds ``result.json`` and what was found.

    ``config``: a config, a file, or a name in ``configs/``; None: the one that belongs to ``weights``. ``weights``: a
    checkpoint file, a name (``ava-detect weights list``), or ``"random"``. ``videos``, ``ground_truth``, ``boxes`` and
    ``exclude`` are by default those of the config's ``data.val``.

    A detector is scored on the keyframes that the ground truth lists, those of ``exclude`` left out. ``boxes``: who
    stands on them, an AVA csv or COCO json, or ``"ground-truth"`` for the true boxes; without it ``detector`` finds
    them, a spec, by default the config's. ``min_person_score``: people below it are left out; by default the config's,
    and for true boxes none. ``start_seconds``: where in its movie each file starts (900 for AVA's trimmed files); by
    default the config's. ``label_map``: the classes that count; by default AVA's 60 for a model of AVA's 80 actions,
    else the model's own. ``dialect``: whose rules (docs/evaluation.md); under ``pyslowfast`` the keyframes that
    ``boxes`` lists are scored too. ``scales`` and ``flip``: test-time augmentation, see ``Pipeline``.

    A classifier is scored on the views ``data.test_views`` of every video; the options of the paragraph above are then
    refused.

    ``precision``, ``execution``: how the network is run, see ``models/execution.py``.
    ``clips_per_batch``: so many go through the network at once; by default 1 on a CPU and 8 on a GPU. ``resume``: go on
    where an earlier run in ``out`` stopped; the settings must then be the same.

    What cannot be read is named in the result's ``problems``; for a detector it stays in the ground truth, a
    classifier's video is left out. Raises ``ConfigError`` (and other ``AvaDetectError``) before any work when the call
    itself is wrong.
    """
    options = _DetectionOptions(
        boxes=boxes,
        exclude=exclude,
        label_map=label_map,
        detector=detector,
        min_person_score=min_person_score,
        start_seconds=start_seconds,
        dialect=dialect,
        flip=flip,
        scales=tuple(scales),
    )
    config = _with_split(config_of(config, weights), videos, ground_truth, options)
    network = _Network.load(config, weights, device, precision, execution, clips_per_batch, on_progress)
    test = _test_classifier if isinstance(network.model, ActionClassifier) else _test_detector
    result = test(network, options, Path(out), resume, on_progress)
    if str(weights) == zoo.RANDOM_WEIGHTS:
        result = replace(result, notes=(UNTRAINED_NOTE, *result.notes))
    result.write()
    return result


@dataclass(frozen=True)
class _DetectionOptions:
    """What only the test of a detector takes; see ``run_benchmark``."""

    boxes: str | Path | None = None
    exclude: str | Path | None = None
    label_map: str | Path | None = None
    detector: str | None = None
    min_person_score: float | None = None
    start_seconds: float | None = None
    dialect: str = "official"
    flip: bool = False
    scales: tuple[int, ...] = ()

    @property
    def asked_for(self) -> list[str]:
        """The options, as the command line names them, that are not at their defaults."""
        changed = [field.name for field in fields(self) if getattr(self, field.name) != field.default]
        return [f"`{name}`" for name in changed]


@dataclass(frozen=True)
class _Network:
    """A network with its config and weights, and what is known of them."""

    config: Config
    model: ActionDetector | ActionClassifier
    device: str
    precision: Precision
    execution: Execution
    clips_per_batch: int
    weights: dict[str, Any]

    @classmethod
    def load(
        cls,
        config: Config,
        weights: str | Path,
        device: str,
        precision: str,
        execution: str,
        clips_per_batch: int | None,
        on_progress: OnProgress | None,
    ) -> _Network:
        place, accuracy, way = resolve_device(device), resolve_precision(precision), resolve_execution(execution)
        model = build_model(config)
        known: dict[str, Any] = {"source": zoo.RANDOM_WEIGHTS, "sha256": None, "trained": False}
        if str(weights) != zoo.RANDOM_WEIGHTS:
            path = zoo.resolve(weights, on_progress)
            report = load_weights(model, path)
            known = {"source": str(path.resolve()), "sha256": sha256_of(path), "trained": True}
            known["tensors_loaded"] = len(report.loaded)
        at_once = clips_per_batch or (1 if place == "cpu" else 8)
        return cls(config, model.to(place), place, accuracy, way, at_once, known)

    @property
    def settings(self) -> dict[str, Any]:
        """What of it decides the scores."""
        settings = self.config.model_dump(mode="json", include={"model", "clip", "labels"})
        weights = self.weights["sha256"] or zoo.RANDOM_WEIGHTS
        how = {"device": self.device, "precision": self.precision, "execution": self.execution}
        return settings | {"weights": weights} | how


def _test_classifier(
    network: _Network, options: _DetectionOptions, out: Path, resume: bool, on_progress: OnProgress | None
) -> BenchmarkResult:
    if options.asked_for:
        raise ConfigError(
            f"{', '.join(options.asked_for)}: this config is a classifier, which knows no boxes; what it is shown are "
            "the views of data.test_views"
        )
    assert isinstance(network.model, ActionClassifier)
    scorer = ViewScorer(network.model, network.device, network.precision, network.execution, network.clips_per_batch)
    dataset = build_dataset(network.config, "val", training=False)
    data, files = network.config.data, network.config.data.val
    assert files is not None
    views = {"kind": data.kind, "test_views": list(data.test_views), "annotations": sha256_of(files.annotations)}
    run = _open_run(out, network.settings | views, resume=resume)
    return benchmark_classifier(scorer, dataset, network.config, run, network.weights, on_progress)


def _test_detector(
    network: _Network, options: _DetectionOptions, out: Path, resume: bool, on_progress: OnProgress | None
) -> BenchmarkResult:
    split = _detection_split(network.config, options)
    plan = split.plan()
    pipeline = Pipeline(
        split.build_detector(plan, network.device),
        Scorer(
            network.model,
            device=network.device,
            precision=network.precision,
            execution=network.execution,
            clips_per_batch=network.clips_per_batch,
            flip=options.flip,
        ),
        label_map=label_map_of(network.config),
        scales=options.scales,
    )
    views = {"scales": list(pipeline.scales), "flip": options.flip, "keyframes": plan.digest}
    run = _open_run(out, network.settings | split.describe() | views, resume=resume)
    return benchmark_detector(pipeline, split, plan, run, network.weights, on_progress)


def _with_split(
    config: Config, videos: str | Path | None, ground_truth: str | Path | None, options: _DetectionOptions
) -> Config:
    """The config with what was named on the call in the place of its own ``data.val``."""
    if (config.data.kind == "ava") != (config.model.task == "detection"):
        raise ConfigError(
            f"data.kind {config.data.kind} does not fit model.task {config.model.task}: detectors are scored on ava, "
            "classifiers on kinetics or charades"
        )
    before = {} if config.data.val is None else config.data.val.model_dump()
    named = {
        "videos": videos, "annotations": ground_truth, "proposals": options.boxes, "exclude": options.exclude
    }  # fmt: skip
    files = before | {key: str(value) for key, value in named.items() if value is not None}
    if videos is not None:
        files["frames"] = None
    given = {"`ground_truth`": files.get("annotations"), "`videos`": files.get("videos") or files.get("frames")}
    missing = [option for option, value in given.items() if value is None]
    if missing:
        raise ConfigError(f"there is no {' and no '.join(missing)}, and the config's data.val does not say it either")
    data = config.data.model_copy(update={"val": SplitConfig.model_validate(files)})
    return config.model_copy(update={"data": data})


def _detection_split(config: Config, options: _DetectionOptions) -> DetectionSplit:
    files, least, start = config.data.val, options.min_person_score, options.start_seconds
    assert files is not None
    if files.videos is None:
        raise ConfigError("a detector is scored on video files: give their folder by `videos`, not extracted frames")
    if options.boxes is not None and options.detector is not None:
        raise ConfigError("`boxes` says where the people are, so there is nothing for a `detector` to find; give one")
    return DetectionSplit(
        videos=Path(files.videos),
        ground_truth=Path(files.annotations),
        exclude=None if files.exclude is None else Path(files.exclude),
        boxes=None if options.detector is not None else files.proposals,
        detector=options.detector or config.detector.spec,
        min_person_score=config.detector.min_score if least is None else least,
        start_seconds=config.data.start_seconds if start is None else start,
        evaluated=LabelMap.from_pbtxt(options.label_map) if options.label_map else _evaluated(config),
        dialect=check_dialect(options.dialect),
    )


def _evaluated(config: Config) -> LabelMap:
    """Of AVA's 80 actions 60 are evaluated; of any others, all."""
    actions = label_map_of(config)
    return LabelMap.ava_evaluated() if actions.ids == LabelMap.ava().ids else actions


def _open_run(out: Path, settings: Mapping[str, Any], *, resume: bool) -> Manifest:
    try:
        out.mkdir(parents=True, exist_ok=True)
        if not (resume and (out / MANIFEST).is_file()):
            # Nobody knows any more which settings they were made with.
            (out / SCORES).unlink(missing_ok=True)
        return Manifest(out, settings, resume=resume)
    except OSError as error:
        raise ConfigError(
            f"`out` {out} cannot be written to ({error.strerror or error}); choose another folder"
        ) from error
