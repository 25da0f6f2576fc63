"""``run_benchmark``: run a network over a split, score the result, and time every stage.

Detection (AVA): ``OUT/detections.csv`` holds the detections on the keyframes of the ground truth, ``OUT/result.json``
their frame-mAP; of tubes ``OUT/detections.pkl`` holds them too, and ``OUT/result.json`` the video-mAP. Classification
(Kinetics, Charades): ``OUT/scores.jsonl`` and ``OUT/result.json``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ava_detect.benchmark.classification import SCORES, benchmark_classifier
from ava_detect.benchmark.detection import DetectionSplit
from ava_detect.benchmark.options import PeopleOptions, SplitOptions
from ava_detect.benchmark.result import RESULT, BenchmarkResult
from ava_detect.benchmark.tubes import BOXES, TubeDetectionSplit
from ava_detect.benchmark.videos import DETECTIONS, PARTS
from ava_detect.benchmark.view_scorer import ViewScorer
from ava_detect.config import Config, SplitConfig
from ava_detect.config.build import build_with_weights, label_map_of
from ava_detect.config.choice import NetworkChoice, choose_network
from ava_detect.config.loading import from_values
from ava_detect.config.memory import require_memory
from ava_detect.datasets.base import ClipDataset
from ava_detect.datasets.build import build_dataset
from ava_detect.datasets.tubes import ids_of_labels, require_sizes
from ava_detect.detectors.base import PersonDetector
from ava_detect.errors import ConfigError
from ava_detect.evaluation.frame_map_result import check_dialect
from ava_detect.evaluation.video_map_result import check_tube_dialect
from ava_detect.formats.proposal_pickles import is_pickle_file
from ava_detect.formats.tube_pickles import read_tube_annotations
from ava_detect.inference.keyframe_plan import KeyframePlan
from ava_detect.inference.pipeline import Pipeline, check_scales
from ava_detect.inference.scorer import Scorer
from ava_detect.models import zoo
from ava_detect.models.action_detector import ActionClassifier, ActionDetector
from ava_detect.models.network_options import NetworkOptions, ResolvedNetworkOptions
from ava_detect.models.zoo import UNTRAINED_NOTE
from ava_detect.results.manifest import Manifest
from ava_detect.storage.file_hashes import sha256_of
from ava_detect.storage.file_names import MANIFEST
from ava_detect.storage.outputs import check_output_folder
from ava_detect.structures.labels import LabelMap
from ava_detect.structures.progress import OnProgress, report_stage


def run_benchmark(
    config: Config | str | Path | None,
    weights: str | Path,
    out: str | Path,
    *,
    overrides: Sequence[str] = (),
    split: SplitOptions | None = None,
    people: PeopleOptions | None = None,
    network: NetworkOptions | None = None,
    dialect: str | None = None,
    label_map: str | Path | None = None,
    scales: Sequence[int] = (),
    flip: bool = False,
    resume: bool = True,
    on_progress: OnProgress | None = None,
) -> BenchmarkResult:
    """Run a network over a split and score it.

    A detector is scored on the keyframes that the ground truth lists (under ``pyslowfast`` also on those that the box
    file lists), of tubes on every frame of the test videos; a classifier on the views ``data.test_views`` of every
    video. A video that cannot be read is named in the result's ``problems``: the ground truth of a detector's video
    stays in the score, where its people count as not found; a classifier's video is left out of the score.

    Args:
        config: A config, a config file, or a name in ``configs/``; None for the config that belongs to ``weights``.
        weights: A checkpoint file, a name that ``ava-detect weights list`` shows, or ``"random"``.
        out: Output folder; it gets ``result.json`` and the detections or scores.
        overrides: ``section.key=value`` each, in place of the config's values and of settings inside ``weights``.
        split: The videos and annotations; None for the config's ``data.val``.
        people: Detectors only: where the person boxes come from; None for the config's proposals or detector.
        network: Where and how the network runs; None for ``NetworkOptions()``.
        dialect: Detectors only: the evaluation rules, ``"official"`` or ``"pyslowfast"`` (``docs/evaluation.md``), of
            tubes ``"multisports"`` or ``"act"`` (``docs/video-map.md``); None for the first of them.
        label_map: Detectors only: a pbtxt of the classes that count; None for AVA's 60 evaluated classes if the model
            predicts AVA's 80, else for all of the model's classes.
        scales: Detectors only: test-time augmentation, short sides in pixels at which each clip is scored in place of
            the config's; the scores are averaged.
        flip: Detectors only: test-time augmentation, also score each clip mirrored; the scores are averaged.
        resume: Keep the videos that an earlier run in ``out`` finished; its settings must be the same. False starts
            over.
        on_progress: Called with the progress of a download (bytes), the keyframes or the videos; None for no reports.

    Returns:
        The score, counts, problems and times.

    Raises:
        ConfigError: The options contradict each other or the config, or ``out`` cannot be written to. Raised before any
            video is read.
        AvaDetectError: The config, weights, annotations or boxes cannot be used; also before any video is read.

    Example:
        >>> result = run_benchmark("demo", "demo", "out", split=SplitOptions("world/videos", "world/ground_truth.csv"))
        >>> print(result.score.summary())
    """
    options = _DetectorOptions(
        split or SplitOptions(), people or PeopleOptions(), dialect, label_map, tuple(scales), flip
    )
    inputs = {"config": config, "weights": weights, "label_map": label_map}
    choice = choose_network(weights, config, overrides=overrides).announce()
    config = _with_split(choice.config, options)
    if (files := config.data.val) is not None:
        inputs |= {"ground_truth": files.annotations, "videos": files.videos or files.frames}
        inputs |= {"boxes": files.proposals, "exclude": files.exclude}
    _check_free(Path(out), inputs)
    resolved = (network or NetworkOptions()).resolve()
    require_memory(
        config,
        num_clips=resolved.clips_per_batch,
        short_side=max(scales, default=config.clip.short_side),
        device=resolved.device,
    )
    # Errors in the data are reported before the network is loaded.
    report_stage(on_progress, "reading the annotations")
    prepare = _DetectorTest.prepare if config.model.task == "detection" else _ClassifierTest.prepare
    test: _DetectorTest | _ClassifierTest = prepare(config, options, resolved)
    loaded = _load_network(config, choice, resolved, on_progress)
    result = test.run(loaded, Path(out), resume, on_progress)
    if str(weights) == zoo.RANDOM_WEIGHTS:
        result = replace(result, notes=(UNTRAINED_NOTE, *result.notes))
    result.write()
    return result


@dataclass(frozen=True)
class _DetectorOptions:
    """The options of ``run_benchmark`` that only a detector takes, beside the files of the split."""

    split: SplitOptions
    people: PeopleOptions
    dialect: str | None
    label_map: str | Path | None
    scales: tuple[int, ...]
    flip: bool

    @property
    def given(self) -> list[str]:
        """The options that differ from their defaults, in backquotes; those that a classifier takes too left out."""
        values = {
            "boxes": self.people.boxes,
            "exclude": self.split.exclude,
            "label_map": self.label_map,
            "detector": self.people.detector,
            "min_person_score": self.people.min_person_score,
            "start_seconds": self.split.start_seconds,
            "dialect": None if self.dialect == "official" else self.dialect,
            "flip": self.flip or None,
            "scales": self.scales or None,
        }
        return [f"`{name}`" for name, value in values.items() if value is not None]


@dataclass(frozen=True)
class _LoadedNetwork:
    """A network on its device.

    Attributes:
        config: The config of the network and the split.
        model: The network with its weights.
        options: Where and how it runs.
        weights: The source of the weights, their SHA-256, and whether they are trained; for ``result.json``.
    """

    config: Config
    model: ActionDetector | ActionClassifier
    options: ResolvedNetworkOptions
    weights: dict[str, Any]

    @property
    def settings(self) -> dict[str, Any]:
        """Every setting of the network that decides the scores."""
        settings = self.config.model_dump(mode="json", include={"model", "clip", "labels"})
        weights = self.weights["sha256"] or zoo.RANDOM_WEIGHTS
        options = self.options
        how = {"device": options.device, "precision": options.precision, "execution": options.execution}
        return settings | {"weights": weights} | how


def _load_network(
    config: Config, choice: NetworkChoice, options: ResolvedNetworkOptions, on_progress: OnProgress | None
) -> _LoadedNetwork:
    path = choice.weights_file(on_progress)
    report_stage(on_progress, "loading the network")
    model, report = build_with_weights(config, path, choice.overrides)
    description: dict[str, Any] = {"source": zoo.RANDOM_WEIGHTS, "sha256": None, "trained": False}
    if path is not None and report is not None:
        description = {"source": str(path.resolve()), "sha256": sha256_of(path), "trained": True}
        description["tensors_loaded"] = len(report.loaded)
    return _LoadedNetwork(config, model.to(options.device), options, description)


@dataclass(frozen=True)
class _ClassifierTest:
    """The views that a classifier is scored on."""

    dataset: ClipDataset

    @classmethod
    def prepare(cls, config: Config, options: _DetectorOptions, network: ResolvedNetworkOptions) -> _ClassifierTest:
        if options.given:
            raise ConfigError(
                f"{', '.join(options.given)}: this config is a classifier, which takes no person boxes and is scored "
                "on the views of data.test_views"
            )
        return cls(build_dataset(config, "val", training=False))

    def run(self, network: _LoadedNetwork, out: Path, resume: bool, on_progress: OnProgress | None) -> BenchmarkResult:
        assert isinstance(network.model, ActionClassifier)
        scorer = ViewScorer(network.model, network.options)
        data, files = network.config.data, network.config.data.val
        assert files is not None
        views = {"kind": data.kind, "test_views": list(data.test_views), "annotations": sha256_of(files.annotations)}
        run = _open_run(out, network.settings | views, resume=resume)
        return benchmark_classifier(scorer, self.dataset, network.config, run, network.weights, on_progress)


@dataclass(frozen=True)
class _DetectorTest:
    """The keyframes that a detector is scored on, and the people on them."""

    options: _DetectorOptions
    split: DetectionSplit | TubeDetectionSplit
    plan: KeyframePlan
    people: PersonDetector
    label_map: LabelMap

    @classmethod
    def prepare(cls, config: Config, options: _DetectorOptions, network: ResolvedNetworkOptions) -> _DetectorTest:
        label_map = label_map_of(config)
        split = _tube_split(config, options) if config.data.kind == "tubes" else _detection_split(config, options)
        check_scales(options.scales)
        plan = split.plan()
        return cls(options, split, plan, split.build_detector(plan, network.device), label_map)

    def run(self, network: _LoadedNetwork, out: Path, resume: bool, on_progress: OnProgress | None) -> BenchmarkResult:
        pipeline = Pipeline(
            self.people,
            Scorer(
                network.model,
                device=network.options.device,
                precision=network.options.precision,
                execution=network.options.execution,
                clips_per_batch=network.options.clips_per_batch,
                flip=self.options.flip,
            ),
            label_map=self.label_map,
            scales=self.options.scales,
        )
        views = {"scales": list(pipeline.scales), "flip": self.options.flip, "keyframes": self.plan.digest}
        run = _open_run(out, network.settings | self.split.describe() | views, resume=resume)
        return self.split.benchmark(pipeline, self.plan, run, network.weights, on_progress)


def _with_split(config: Config, options: _DetectorOptions) -> Config:
    """The config with the files that were given in place of those of its ``data.val``."""
    if config.data.is_of_people != (config.model.task == "detection"):
        raise ConfigError(
            f"data.kind {config.data.kind} does not fit model.task {config.model.task}: detectors are scored on ava or "
            "tubes, classifiers on kinetics or charades"
        )
    defaults = {} if config.data.val is None else config.data.val.model_dump()
    split = options.split
    given = {
        "videos": split.videos, "annotations": split.ground_truth,
        "proposals": options.people.boxes, "exclude": split.exclude,
    }  # fmt: skip
    files = defaults | {key: str(value) for key, value in given.items() if value is not None}
    if split.videos is not None:
        files["frames"] = None
    needed = {"`ground_truth`": files.get("annotations"), "`videos`": files.get("videos") or files.get("frames")}
    missing = [option for option, value in needed.items() if value is None]
    if missing:
        raise ConfigError(
            f"there is no {' and no '.join(missing)}, and the config's data.val does not name it either; extracted "
            "frames take the place of videos there (data.val.frames)"
        )
    changed: dict[str, Any] = {"val": from_values(SplitConfig, files, "the files of the split")}
    if config.data.is_of_people:
        changed["kind"] = "tubes" if is_pickle_file(files["annotations"]) else "ava"
    data = config.data.model_copy(update=changed)
    return config.model_copy(update={"data": data})


def _detection_split(config: Config, options: _DetectorOptions) -> DetectionSplit:
    """The split with every default taken from the config."""
    files, people = _files_to_score(config, options), options.people
    least, start = people.min_person_score, options.split.start_seconds
    return DetectionSplit(
        videos=Path(files.videos or files.frames or ""),
        frames_fps=None if files.videos is not None else config.clip.sampling_fps,
        ground_truth=Path(files.annotations),
        exclude=None if files.exclude is None else Path(files.exclude),
        boxes=None if people.detector is not None else files.proposals,
        detector=people.detector or config.detector.spec,
        min_person_score=config.detector.min_score if least is None else least,
        start_seconds=config.data.start_seconds if start is None else start,
        evaluated=LabelMap.from_pbtxt(options.label_map) if options.label_map else _evaluated_classes(config),
        dialect=check_dialect(options.dialect or "official"),
    )


def _tube_split(config: Config, options: _DetectorOptions) -> TubeDetectionSplit:
    """The split of tubes with every default taken from the config."""
    files, people = _files_to_score(config, options), options.people
    not_of_tubes = {
        "`exclude`": options.split.exclude or files.exclude,
        "`label_map`": options.label_map,
        "`start_seconds`": options.split.start_seconds,
    }
    if given := [name for name, value in not_of_tubes.items() if value]:
        raise ConfigError(f"{', '.join(given)}: not for tubes, whose pickle says which frames and actions count")
    annotations = read_tube_annotations(files.annotations)
    require_sizes(annotations, annotations.test_videos(config.data.split), files.annotations)
    is_chosen = bool(config.labels.ids)
    dialect = check_tube_dialect(options.dialect or "multisports")
    least = people.min_person_score
    return TubeDetectionSplit(
        files=files,
        sampling_fps=config.clip.sampling_fps,
        annotations=annotations,
        ids=ids_of_labels(annotations.label_map, label_map_of(config), files.annotations, is_chosen=is_chosen),
        division=config.data.split,
        frames=config.data.test_frames,
        boxes=None if people.detector is not None else files.proposals,
        detector=people.detector or config.detector.spec,
        min_person_score=config.detector.min_score if least is None else least,
        dialect=dialect,
        best_only=config.model.head.is_single_label and dialect == "multisports",
    )


def _files_to_score(config: Config, options: _DetectorOptions) -> SplitConfig:
    """The files of the test split."""
    files, people = config.data.val, options.people
    assert files is not None
    if people.boxes is not None and people.detector is not None:
        raise ConfigError("`boxes` gives the people, so there is nothing for a `detector` to find; give one of the two")
    return files


def _evaluated_classes(config: Config) -> LabelMap:
    """AVA evaluates 60 of its 80 actions; of any other set of actions all are evaluated."""
    actions = label_map_of(config)
    return LabelMap.ava_evaluated() if actions.ids == LabelMap.ava().ids else actions


def _check_free(out: Path, inputs: Mapping[str, Any]) -> None:
    """Refuse a folder in which a file that will be written is an input, or none of an earlier benchmark."""
    parts = [f"{PARTS}/{path.name}" for path in (out / PARTS).glob("*.csv")]
    has_manifest = (out / MANIFEST).is_file()
    check_output_folder(
        out, [DETECTIONS, BOXES, SCORES, RESULT, *parts], inputs, is_own=lambda path: has_manifest, overwrite=None
    )


def _open_run(out: Path, settings: Mapping[str, Any], *, resume: bool) -> Manifest:
    try:
        out.mkdir(parents=True, exist_ok=True)
        if not (resume and (out / MANIFEST).is_file()):
            # Scores without a manifest: their settings are unknown.
            (out / SCORES).unlink(missing_ok=True)
        return Manifest(out, settings, resume=resume)
    except OSError as error:
        raise ConfigError(
            f"`out` {out} cannot be written to ({error.strerror or error}); choose another folder"
        ) from error
