"""Many videos -> files: resumable, and one bad video stops nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from ava_detect.annotator import AnnotateSettings, Annotator, resolve_device
from ava_detect.build import RANDOM_WEIGHTS, config_of
from ava_detect.environment import versions
from ava_detect.errors import ConfigError
from ava_detect.files import remove_stale_temporaries, sha256_of, write_text_atomic
from ava_detect.models.zoo import OnProgress, resolve
from ava_detect.run_record import SUMMARY, RunRecord, VideoRecord
from ava_detect.sources import VideoSource, find_videos
from ava_detect.workers import annotate_in_processes, annotate_one, sensible_workers


@dataclass(frozen=True)
class Progress:
    """Where a run is. ``record`` is given once, when the video of ``video_id`` is finished or was found finished."""

    video_id: str
    num_finished: int
    num_videos: int
    second: float = 0.0
    duration_seconds: float | None = None
    record: VideoRecord | None = None


@dataclass(frozen=True)
class AnnotateSummary:
    """The outcome of a run: what was asked for, with what, and a record per video, in the order of the sources."""

    settings: dict[str, Any]
    weights: dict[str, Any]
    note: str
    videos: tuple[VideoRecord, ...]
    interrupted: bool

    @property
    def all_well(self) -> bool:
        """Whether every video was read to its end."""
        return not self.interrupted and all(record.status == "done" for record in self.videos)

    def to_json(self) -> dict[str, Any]:
        """Plain values, as in ``summary.json``."""
        count = {status: sum(r.status == status for r in self.videos) for status in ("done", "damaged", "failed")}
        seconds: dict[str, float] = {}
        for record in self.videos:
            for stage, value in record.seconds.items():
                seconds[stage] = round(seconds.get(stage, 0.0) + value, 3)
        return {
            "note": self.note,
            "settings": self.settings,
            "weights": self.weights,
            "versions": versions(),
            "interrupted": self.interrupted,
            "totals": {
                "videos": len(self.videos),
                **count,
                "keyframes": sum(record.num_keyframes for record in self.videos),
                "people": sum(record.num_people for record in self.videos),
                "rows": sum(record.num_rows for record in self.videos),
                "seconds": seconds,
            },
            "videos": [asdict(record) for record in self.videos],
        }


def annotate_videos(
    sources: str | Path | Iterable[str | Path],
    out: str | Path,
    *,
    config: str | None = None,
    weights: str | None = None,
    detector: str | None = None,
    boxes: str | Path | None = None,
    min_person_score: float | None = None,
    device: str = "auto",
    precision: str = "auto",
    execution: str = "auto",
    every_seconds: float = 1.0,
    min_score: float = 0.0,
    start_seconds: float = 0.0,
    formats: Sequence[str] = ("csv", "jsonl"),
    draw: bool = False,
    resume: bool = True,
    workers: int | Literal["auto"] = 1,
    on_progress: Callable[[Progress], None] | None = None,
    on_download: OnProgress | None = None,
) -> AnnotateSummary:
    """Annotate videos into the folder ``out``: per video ``NAME.csv``, ``NAME.jsonl`` ..., and a ``summary.json``.

    ``sources``: files, folders (searched to the bottom) and globs. ``config``: a file, or a name in ``configs/``; by
    default the one inside ``weights`` or their zoo's, else ``demo``. ``weights``: a checkpoint file, ``"demo"``, a name
    of the zoo (downloaded into the cache when it is not there), or ``"random"`` for an untrained network, which every
    output then says.
    ``detector``: a spec (docs/detectors.md), by default the config's; ``boxes``: a csv or COCO json of people, instead.
    ``min_person_score``: people below it are left out; by default the config's, else the detector's own.
    ``every_seconds``: keyframes lie so far apart, from 0 to the end. ``min_score``: actions below it are not written.
    ``start_seconds``: where in its movie each file starts; added to the csv's timestamps, and to the time at which
    ``boxes`` are looked up. ``formats``: of ``csv``, ``jsonl``, ``parquet``. ``draw``: also ``NAME.annotated.mp4``.
    ``resume``: skip videos that are finished in ``out``; the settings must then be the same. ``workers``: processes,
    each with a network and a share of the cores; ``"auto"``: as many as the cores, the memory and the videos warrant.
    ``precision`` and ``execution``: how the network is run, see ``models/execution.py``.

    A video that fails is recorded and the others go on. Raises ``ConfigError`` (and other ``AvaDetectError``) before
    any work when the call itself is wrong. An interrupt (Ctrl-C) ends the run early with ``interrupted`` set.
    """
    out = Path(out)
    if detector is not None and boxes is not None:
        raise ConfigError("--boxes gives the people, so there is nothing for a --detector to find; give one of the two")
    if boxes is not None:
        detector = f"boxes:{boxes}" + (f"?start_seconds={start_seconds}" if start_seconds else "")
    if workers != "auto" and workers < 1:
        raise ConfigError(f"--workers is at least 1, got {workers}")
    settings = AnnotateSettings(
        config=config_of(config, weights),
        weights=None if weights is None else str(weights),
        detector=detector,
        min_person_score=min_person_score,
        device=device,
        precision=precision,
        execution=execution,
        every_seconds=every_seconds,
        min_score=min_score,
        start_seconds=start_seconds,
        formats=tuple(formats),
        draw=draw,
    )
    if weights is not None and weights != RANDOM_WEIGHTS:
        settings = replace(settings, weights=str(resolve(weights, on_download)))
    videos = find_videos([sources] if isinstance(sources, str | Path) else sources, inside_out=out)
    # Built before the first video even when worker processes build their own: what is wrong with it is wrong once.
    annotator = Annotator(settings)
    if workers == "auto":
        workers = sensible_workers(len(videos), resolve_device(device))
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
    summary = AnnotateSummary(run.settings, weights_known, settings.note, records, interrupted)
    write_text_atomic(out / SUMMARY, json.dumps(summary.to_json(), indent=2, ensure_ascii=False) + "\n")
    return summary


def _annotate_all(
    annotator: Annotator,
    videos: Sequence[VideoSource],
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
