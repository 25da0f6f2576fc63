"""Many videos -> files: resumable, and one bad video stops nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from ava_detect.addresses import Address, address_of, is_address
from ava_detect.annotate_dataset import annotate_dataset
from ava_detect.annotator import AnnotateSettings, Annotator, resolve_device
from ava_detect.build import RANDOM_WEIGHTS, config_of
from ava_detect.dataset_work import AnnotateWork
from ava_detect.engine_choice import ENGINES, ClusterSettings, build_engine
from ava_detect.engines.base import Limits
from ava_detect.environment import versions
from ava_detect.errors import ConfigError, suggestion
from ava_detect.files import remove_stale_temporaries, sha256_of, write_text_atomic
from ava_detect.models.zoo import OnProgress, is_file, resolve
from ava_detect.publishing import PublishedResults, safe_name
from ava_detect.run_record import SUMMARY, RunRecord, Totals, VideoRecord
from ava_detect.run_record import Progress as Progress
from ava_detect.source_lists import is_list, stream_videos
from ava_detect.sources import AnyVideo, find_videos
from ava_detect.workers import annotate_in_processes, annotate_one, sensible_workers


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
    on_progress: Callable[[Progress], None] | None = None,
    on_download: OnProgress | None = None,
) -> AnnotateSummary:
    """Annotate videos into the folder ``out``: per video ``NAME.csv``, ``NAME.jsonl`` ..., and a ``summary.json``.

    ``sources``: files, folders (searched to the bottom), globs, addresses of these (``s3://`` ...) and lists of videos
    (docs/scale.md). ``config``: a file, or a name in ``configs/``; by default the one inside ``weights`` or their
    zoo's, else ``demo``. ``weights``: a checkpoint file, ``"demo"``, a name of the zoo (downloaded into the cache when
    it is not there), or ``"random"`` for an untrained network, which every output then says.
    ``detector``: a spec (docs/detectors.md), by default the config's; ``boxes``: a csv or COCO json of people, instead.
    ``min_person_score``: people below it are left out; by default the config's, else the detector's own.
    ``new_person_score``: people below it are kept only where they continue somebody known (docs/tracks.md).
    ``every_seconds``: keyframes lie so far apart, from 0 to the end. ``min_score``: actions below it are not written.
    ``start_seconds``: where in its movie each file starts; added to the csv's timestamps, and to the time at which
    ``boxes`` are looked up. ``formats``: of ``csv``, ``jsonl``, ``parquet``. ``draw``: also ``NAME.annotated.mp4``.
    ``resume``: skip videos that are finished in ``out``; the settings must then be the same. ``workers``: processes,
    each with a network and a share of the cores; ``"auto"``: as many as the cores, the memory and the videos warrant.
    ``precision`` and ``execution``: how the network is run, see ``models/execution.py``.

    Where ``out`` is an address, or ``engine`` is ``"ray"``, the results are a Parquet dataset (``publishing.py``,
    docs/scale.md), ``formats`` says what lies beside it (by default nothing), ``workers`` is ``"auto"`` by default,
    ``limits`` stop a video that hangs or fills the memory, and ``cluster`` says what a worker holds and where Ray is.

    A video that fails is recorded and the others go on. Raises ``ConfigError`` (and other ``AvaDetectError``) before
    any work when the call itself is wrong. An interrupt (Ctrl-C) ends the run early with ``interrupted`` set.
    """
    if engine not in ENGINES:
        raise ConfigError(f"--engine is {' or '.join(ENGINES)}, got {engine!r}{suggestion(engine, ENGINES)}")
    is_dataset = is_address(out) or engine != "local"
    if not is_dataset and (limits is not None or cluster is not None):
        raise ConfigError(
            "limits and the size of a worker are for a dataset: give an --out like file:///..., or --engine ray"
        )
    if detector is not None and boxes is not None:
        raise ConfigError("--boxes gives the people, so there is nothing for a --detector to find; give one of the two")
    if boxes is not None:
        detector = f"boxes:{boxes}" + (f"?start_seconds={start_seconds}" if start_seconds else "")
    if workers is not None and workers != "auto" and workers < 1:
        raise ConfigError(f"--workers is at least 1, got {workers}")
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
        return _into_dataset(
            listed, address_of(out), settings, resume, engine, workers, cluster, limits, on_progress, on_download
        )
    return _into_folder(listed, Path(out), settings, resume, workers or 1, on_progress, on_download)


def _into_folder(
    sources: Sequence[str | Path],
    out: Path,
    settings: AnnotateSettings,
    resume: bool,
    workers: int | Literal["auto"],
    on_progress: Callable[[Progress], None] | None,
    on_download: OnProgress | None,
) -> AnnotateSummary:
    settings = _with_weights_file(settings, on_download)
    videos = _all_videos(sources, out)
    # Built before the first video even when worker processes build their own: what is wrong with it is wrong once.
    annotator = Annotator(settings)
    if workers == "auto":
        workers = sensible_workers(len(videos), resolve_device(settings.device))
    _make_writable(out)
    weights_known = _describe_weights(annotator)
    run = RunRecord(out, _fingerprint(settings, weights_known), resume=resume)
    finished: dict[str, VideoRecord] = {}
    interrupted = False
    try:
        for record in _annotate_all(annotator, videos, run, workers, on_progress):
            finished[record.video_id] = record
    except KeyboardInterrupt:
        interrupted = True
    records = tuple(finished[video.video_id] for video in videos if video.video_id in finished)
    totals = Totals()
    for record in records:
        totals.add(record)
    summary = AnnotateSummary(run.settings, weights_known, settings.note, totals, records, interrupted)
    write_text_atomic(out / SUMMARY, json.dumps(summary.to_json(), indent=2, ensure_ascii=False) + "\n")
    return summary


def _into_dataset(
    sources: Sequence[str | Path],
    out: Address,
    settings: AnnotateSettings,
    resume: bool,
    engine: str,
    workers: int | Literal["auto"] | None,
    cluster: ClusterSettings | None,
    limits: Limits | None,
    on_progress: Callable[[Progress], None] | None,
    on_download: OnProgress | None,
) -> AnnotateSummary:
    runner = build_engine(engine, workers, cluster, limits, settings.device)
    here = _with_weights_file(settings, on_download)
    # What is wrong with the network is said before anything is written; where the run is started need be no GPU.
    weights_known = _describe_weights(Annotator(here if engine == "local" else replace(here, device="cpu")))
    fingerprint = _fingerprint(here, weights_known)
    about = {"weights": weights_known, "note": here.note, "versions": versions()}
    results = PublishedResults.begin(out, fingerprint, about, resume=resume)
    # A name is resolved by every machine for itself; a file's path is the same on all of them.
    named = here if settings.weights is None or is_file(settings.weights) else settings
    work = AnnotateWork(named, results, weights_known["sha256"], runner.cores_per_worker)
    outcome = annotate_dataset(sources, results, work, runner, on_progress)
    return AnnotateSummary(
        fingerprint,
        weights_known,
        here.note,
        outcome.totals,
        outcome.problems,
        outcome.interrupted,
        outcome.num_before,
    )


def _with_weights_file(settings: AnnotateSettings, on_download: OnProgress | None) -> AnnotateSettings:
    """The same with a file's path in the place of a name."""
    if settings.weights is None or settings.weights == RANDOM_WEIGHTS:
        return settings
    return replace(settings, weights=str(Path(resolve(settings.weights, on_download)).resolve()))


def _all_videos(sources: Sequence[str | Path], out: Path) -> list[AnyVideo]:
    """The videos of a run into a folder, whose results are files called by the videos' ids."""
    if not any(is_list(source) or is_address(source) for source in sources):
        return [*find_videos(sources, inside_out=out)]
    videos = list(stream_videos(sources, inside_out=address_of(out)))
    seen: dict[str, AnyVideo] = {}
    for number, video in enumerate(videos):
        if "/" in video.video_id:
            # What lies deeper is called as two files of one name are.
            videos[number] = video = replace(video, video_id=video.video_id.replace("/", "__"))
        if video.problem:
            raise ConfigError(f"{video.problem}; mend the list, or have --out be a dataset, where others go on")
        if safe_name(video.video_id) != video.video_id:
            raise ConfigError(
                f"{video.video_id!r} is no name for a file in {out}: such ids need letters, digits, '.', '_' and '-' "
                "and no more than 60; have --out be a dataset (file:///...), which takes any id"
            )
        other = seen.setdefault(video.video_id.casefold(), video)
        if other is not video:
            raise ConfigError(
                f"two videos are called {video.video_id!r} ({other.place} and {video.place}); give them other ids in a "
                "list, or have --out be a dataset (file:///...)"
            )
    return videos


def _annotate_all(
    annotator: Annotator,
    videos: Sequence[AnyVideo],
    run: RunRecord,
    workers: int,
    on_progress: Callable[[Progress], None] | None,
) -> Iterator[VideoRecord]:
    """The record of every video, those first that an earlier run has finished."""
    num_finished = 0

    def report(video_id: str, **more: Any) -> None:
        if on_progress is not None:
            on_progress(Progress(video_id, num_finished, len(videos), **more))

    def tick(video_id: str, second: float, duration: float | None) -> None:
        report(video_id, second=second, duration_seconds=duration)

    waiting = []
    for video in videos:
        record = run.finished(video)
        if record is None:
            waiting.append(video)
        else:
            num_finished += 1
            report(video.video_id, record=record)
            yield record
    records: Iterator[VideoRecord]
    if not waiting:
        return
    if workers == 1:
        records = (annotate_one(annotator, video, run.out, tick) for video in waiting)
    else:
        records = annotate_in_processes(annotator.settings, waiting, run.out, workers)
    for record in records:
        run.add(record)
        num_finished += 1
        report(record.video_id, record=record)
        yield record


def _make_writable(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        remove_stale_temporaries(out)
        write_text_atomic(out / ".writable", "")
        (out / ".writable").unlink()
    except OSError as error:
        raise ConfigError(
            f"--out {out} cannot be written to ({error.strerror or error}); choose another folder"
        ) from error


def _describe_weights(annotator: Annotator) -> dict[str, Any]:
    report = annotator.weights_report
    if report is None:
        return {"source": RANDOM_WEIGHTS, "sha256": None, "trained": False}
    path = Path(report.path).resolve()
    return {"source": str(path), "sha256": sha256_of(path), "trained": True, "tensors_loaded": len(report.loaded)}


def _fingerprint(settings: AnnotateSettings, weights: dict[str, Any]) -> dict[str, Any]:
    """The settings with contents in the place of file names, so that a changed file is a changed setting."""
    resolved = asdict(settings)
    # How the weights were trained changes no result.
    resolved["config"] = settings.config.model_dump(mode="json", exclude={"description", "data", "train"})
    resolved["detector"] = settings.detector or settings.config.detector.spec
    kind, _, target = resolved["detector"].partition("?")[0].partition(":")
    if kind in ("boxes", "onnx") and Path(target).is_file():
        resolved["detector_sha256"] = sha256_of(target)
    resolved["weights"] = weights["sha256"] or weights["source"]
    return resolved
