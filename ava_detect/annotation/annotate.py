"""Many videos -> files: resumable, and one bad video stops nothing.

Only a run in this process loads PyTorch here; whoever drives other processes or a cluster stays small.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from ava_detect.annotation.dataset import annotate_dataset
from ava_detect.annotation.dataset_worker import DatasetWork
from ava_detect.annotation.engines.base import Limits, Servers
from ava_detect.annotation.engines.settings import ENGINES, ClusterSettings, build_engine
from ava_detect.annotation.engines.worker_count import sensible_workers
from ava_detect.annotation.folder import (
    Annotate,
    FolderWork,
    annotate_folder,
    in_this_process,
    make_writable,
    on_engine,
    videos_of_folder,
)
from ava_detect.annotation.model_server import ModelServer
from ava_detect.annotation.preflight import NetworkFacts, check_network, facts_of
from ava_detect.annotation.settings import AnnotateSettings
from ava_detect.config.choice import config_of
from ava_detect.detectors import specs
from ava_detect.environment import usable_cores, versions
from ava_detect.errors import ConfigError, suggestion
from ava_detect.models.zoo import RANDOM_WEIGHTS, is_file, resolve
from ava_detect.results.dataset import ResultsDataset
from ava_detect.results.manifest import Manifest, Totals, VideoRecord, write_summary
from ava_detect.storage.addresses import Address, address_of, is_address
from ava_detect.storage.local_files import sha256_of
from ava_detect.structures.progress import OnProgress


@dataclass(frozen=True)
class AnnotateSummary:
    """The outcome of a run: what was asked for, with what, the sums over all videos, and records.

    ``videos``: of a folder every video's, in the order of the sources; of a dataset the first thousand that did not go
    well. ``num_before``: videos of a dataset that earlier runs had finished, which are in no sum; None for a folder.
    """

    settings: dict[str, Any]
    weights: dict[str, Any]
    note: str
    totals: Totals
    videos: tuple[VideoRecord, ...]
    interrupted: bool
    num_before: int | None = None

    @property
    def all_well(self) -> bool:
        """Whether every video was read to its end."""
        return not (self.interrupted or self.totals.failed or self.totals.damaged)

    def to_json(self) -> dict[str, Any]:
        """Plain values, as in ``summary.json``."""
        totals = asdict(self.totals)
        before = {} if self.num_before is None else {"before": self.num_before}
        count = self.totals.done + self.totals.damaged + self.totals.failed
        return {
            "note": self.note,
            "settings": self.settings,
            "weights": self.weights,
            "versions": versions(),
            "interrupted": self.interrupted,
            "totals": {"videos": count, **totals, **before},
            "videos": [asdict(record) for record in self.videos],
        }


_FORMATS = ("csv", "jsonl")


def annotate_videos(
    sources: str | Path | Iterable[str | Path],
    out: str | Path,
    *,
    config: str | None = None,
    weights: str | None = None,
    detector: str | None = None,
    boxes: str | Path | None = None,
    min_person_score: float | None = None,
    new_person_score: float | None = None,
    device: str = "auto",
    precision: str = "auto",
    execution: str = "auto",
    every_seconds: float = 1.0,
    min_score: float = 0.0,
    start_seconds: float = 0.0,
    formats: Sequence[str] | None = None,
    draw: bool = False,
    resume: bool = True,
    workers: int | Literal["auto"] | None = None,
    engine: str = "local",
    cluster: ClusterSettings | None = None,
    limits: Limits | None = None,
    on_progress: OnProgress | None = None,
) -> AnnotateSummary:
    """Annotate videos into the folder ``out``: per video ``NAME.csv``, ``NAME.jsonl`` ..., and a ``summary.json``.

    ``sources``: files, folders (searched to the bottom), globs, addresses of these (``s3://`` ...) and lists of videos
    (docs/scale.md). ``config``: a file, or a name in ``configs/``; by default the one inside ``weights`` or their
    zoo's, else ``demo``. ``weights``: a checkpoint file or its address, ``"demo"``, a name of the zoo (downloaded into
    the cache when it is not there), or ``"random"`` for an untrained network, which every output then says.
    ``detector``: a spec (docs/detectors.md), by default the config's; ``boxes``: a csv or COCO json of people, instead,
    or its address.
    ``min_person_score``: people below it are left out; by default the config's, else the detector's own.
    ``new_person_score``: people below it are kept only where they continue somebody known (docs/tracks.md).
    ``every_seconds``: keyframes lie so far apart, from 0 to the end. ``min_score``: actions below it are not written.
    ``start_seconds``: where in its movie each file starts; added to the csv's timestamps, and to the time at which
    ``boxes`` are looked up. ``formats``: of ``csv``, ``jsonl``, ``parquet``. ``draw``: also ``NAME.annotated.mp4``.
    ``resume``: skip videos that are finished in ``out``; the settings must then be the same. ``workers``: processes,
    each with a network and a share of the cores; ``"auto"``: as many as the cores, the memory and the videos warrant.
    ``precision`` and ``execution``: how the network is run, see ``models/execution.py``. ``cluster``: what a worker
    holds, by default an equal share of the cores. ``limits``: stop a video that hangs or fills the memory; several
    workers have those of ``Limits()`` where nothing is said. With either, one worker too is a process of its own, where
    else it is this one. ``on_progress``: told of a download (bytes) and of the
    videos; any thread may call it.

    Where ``out`` is an address, or ``engine`` is ``"ray"``, the results are a Parquet dataset (``publishing.py``,
    docs/scale.md), ``formats`` says what lies beside it (by default nothing), ``workers`` is ``"auto"`` by default,
    ``cluster`` also says where Ray is, and a worker holds one core by default.

    A video that fails is recorded and the others go on. Raises ``ConfigError`` (and other ``AvaDetectError``) before
    any work when the call itself is wrong. An interrupt (Ctrl-C) ends the run early with ``interrupted`` set.
    """
    if engine not in ENGINES:
        raise ConfigError(f"`engine` is {' or '.join(ENGINES)}, got {engine!r}{suggestion(engine, ENGINES)}")
    is_dataset = is_address(out) or engine != "local"
    if detector is not None and boxes is not None:
        raise ConfigError("`boxes` gives the people, so there is nothing for a `detector` to find; give one of the two")
    if boxes is not None:
        detector = f"boxes:{boxes}" + (f"?start_seconds={start_seconds}" if start_seconds else "")
    if workers is not None and workers != "auto" and workers < 1:
        raise ConfigError(f"`workers` is at least 1, got {workers}")
    settings = AnnotateSettings(
        config=config_of(config, weights),
        weights=None if weights is None else str(weights),
        detector=detector,
        min_person_score=min_person_score,
        new_person_score=new_person_score,
        device=device,
        precision=precision,
        execution=execution,
        every_seconds=every_seconds,
        min_score=min_score,
        start_seconds=start_seconds,
        # A dataset is Parquet by itself.
        formats=tuple(name for name in formats or () if name != "parquet")
        if is_dataset
        else tuple(formats or _FORMATS),
        draw=draw,
    )
    listed = [sources] if isinstance(sources, str | Path) else list(sources)
    if is_dataset:
        return _into_dataset(listed, address_of(out), settings, resume, engine, workers, cluster, limits, on_progress)
    return _into_folder(listed, Path(out), settings, resume, workers or 1, cluster, limits, on_progress)


def _into_folder(
    sources: Sequence[str | Path],
    out: Path,
    settings: AnnotateSettings,
    resume: bool,
    workers: int | Literal["auto"],
    cluster: ClusterSettings | None,
    limits: Limits | None,
    on_progress: OnProgress | None,
) -> AnnotateSummary:
    named, settings = settings.weights, _with_weights_file(settings, on_progress)
    videos = videos_of_folder(sources, out)
    if workers == "auto" and len(videos) == 1:
        workers = 1
    facts, annotate = _folder_annotation(settings, out, len(videos), workers, cluster, limits)
    facts = facts.called(named)
    make_writable(out)
    run = Manifest(out, _fingerprint(settings, facts.weights), resume=resume)
    finished: dict[str, VideoRecord] = {}
    interrupted = False
    try:
        with closing(annotate_folder(videos, run, annotate, on_progress)) as ended:
            for record in ended:
                finished[record.video_id] = record
    except KeyboardInterrupt:
        interrupted = True
    records = tuple(finished[video.video_id] for video in videos if video.video_id in finished)
    totals = Totals()
    for record in records:
        totals.add(record)
    summary = AnnotateSummary(run.settings, facts.weights, settings.note, totals, records, interrupted)
    write_summary(out, summary.to_json())
    return summary


def _folder_annotation(
    settings: AnnotateSettings,
    out: Path,
    num_videos: int,
    workers: int | Literal["auto"],
    cluster: ClusterSettings | None,
    limits: Limits | None,
) -> tuple[NetworkFacts, Annotate]:
    """What does the work, once it is known that it can: one worker of which nothing was said is this process."""
    if workers == 1 and cluster is None and limits is None:
        from ava_detect.annotation.video_annotator import VideoAnnotator

        annotator = VideoAnnotator(settings)
        return facts_of(annotator), in_this_process(annotator, out)
    facts = check_network(settings)
    is_alone = workers == 1 and cluster is None
    if cluster is None:
        workers = sensible_workers(num_videos, facts.device) if workers == "auto" else workers
        cluster = ClusterSettings(cores=max(1, usable_cores() // workers))
    engine = build_engine("local", workers, cluster, limits, facts.device)
    threads = None if is_alone else engine.cores_per_worker
    work = FolderWork(settings, out, threads, served=engine.servers is not None)
    return facts, on_engine(engine, work, _service(settings, facts, engine.servers))


def _service(settings: AnnotateSettings, facts: NetworkFacts, servers: Servers | None) -> ModelServer | None:
    return None if servers is None else ModelServer(settings, facts.weights["sha256"], servers.cores)


def _into_dataset(
    sources: Sequence[str | Path],
    out: Address,
    settings: AnnotateSettings,
    resume: bool,
    engine: str,
    workers: int | Literal["auto"] | None,
    cluster: ClusterSettings | None,
    limits: Limits | None,
    on_progress: OnProgress | None,
) -> AnnotateSummary:
    here = _with_weights_file(settings, on_progress)
    # What is wrong with the network is said before anything is written; where the run is started need be no GPU.
    facts = check_network(here if engine == "local" else replace(here, device="cpu")).called(settings.weights)
    runner = build_engine(engine, workers, cluster, limits, facts.device if engine == "local" else settings.device)
    fingerprint = _fingerprint(here, facts.weights)
    about = {"weights": facts.weights, "note": here.note, "versions": versions()}
    results = ResultsDataset.begin(out, fingerprint, about, resume=resume)
    # A name or an address is resolved by every machine for itself; a file's path is the same on all of them.
    named = here if settings.weights is None or is_file(settings.weights) else settings
    served = runner.servers is not None
    work = DatasetWork(named, results, facts.weights["sha256"], runner.cores_per_worker, served=served)
    service = _service(named, facts, runner.servers)
    outcome = annotate_dataset(sources, results, work, runner, on_progress, service)
    return AnnotateSummary(
        fingerprint,
        facts.weights,
        here.note,
        outcome.totals,
        outcome.problems,
        outcome.interrupted,
        outcome.num_before,
    )


def _with_weights_file(settings: AnnotateSettings, on_progress: OnProgress | None) -> AnnotateSettings:
    """The same with a file's path in the place of a name."""
    if settings.weights is None or settings.weights == RANDOM_WEIGHTS:
        return settings
    return replace(settings, weights=str(Path(resolve(settings.weights, on_progress)).resolve()))


def _fingerprint(settings: AnnotateSettings, weights: dict[str, Any]) -> dict[str, Any]:
    """The settings with contents in the place of file names, so that a changed file is a changed setting."""
    resolved = asdict(settings)
    # How the weights were trained changes no result.
    resolved["config"] = settings.config.model_dump(mode="json", exclude={"description", "data", "train"})
    spec = settings.detector or settings.config.detector.spec
    resolved["detector"] = specs.shown(spec)
    if (detector_file := specs.file_of(spec)) is not None:
        resolved["detector_sha256"] = sha256_of(detector_file)
    resolved["weights"] = weights["sha256"] or weights["source"]
    return resolved
