"""Many videos -> files: resumable, and one bad video stops nothing.

PyTorch is loaded only for a run in this process; a process that drives others or a cluster needs little memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from ava_detect.annotation.dataset import annotate_dataset
from ava_detect.annotation.engines.base import Limits
from ava_detect.annotation.engines.settings import ClusterSettings
from ava_detect.annotation.folder import annotate_folder
from ava_detect.annotation.settings import AnnotateSettings, RunOptions
from ava_detect.annotation.summary import AnnotateSummary
from ava_detect.config import Config
from ava_detect.config.choice import choose_network
from ava_detect.errors import ConfigError
from ava_detect.evaluation.calibration import Calibration
from ava_detect.evaluation.thresholds import Thresholds
from ava_detect.evaluation.written_scores import calibration_of, thresholds_of
from ava_detect.formats.writers import DEFAULT_FORMATS, parse_formats
from ava_detect.storage.addresses import address_of, is_address
from ava_detect.storage.outputs import DEFAULT_OUT, refuse_same_address
from ava_detect.structures.progress import OnProgress


def annotate_videos(
    sources: str | Path | Iterable[str | Path],
    out: str | Path = DEFAULT_OUT,
    *,
    config: Config | str | Path | None = None,
    weights: str | Path | None = None,
    overrides: Sequence[str] = (),
    detector: str | None = None,
    boxes: str | Path | None = None,
    min_person_score: float | None = None,
    new_person_score: float | None = None,
    device: str = "auto",
    precision: str = "auto",
    execution: str = "auto",
    every_seconds: float = 1.0,
    min_score: float = 0.0,
    thresholds: float | str | Path | Thresholds | None = None,
    top: int | None = None,
    calibration: str | Path | Calibration | None = None,
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
    """Annotate videos into a folder or a dataset.

    A folder gets ``NAME.csv``, ``NAME.jsonl`` and ``NAME.parquet`` per video, a manifest and a ``summary.json``. Where
    ``out`` is an address, or ``engine`` is ``"ray"``, the results are a Parquet dataset (``results/dataset.py``,
    docs/scale.md).

    A video that fails is recorded and the others go on. Ctrl-C ends the run early with ``interrupted`` set.

    Args:
        sources: Files, folders (searched recursively), globs, addresses of these (``s3://`` ...) and lists of videos
            (docs/scale.md).
        out: The folder, or the address of the dataset; by default ``ava_results`` in the current folder.
        config: A config, a file, or a name in ``configs/``; by default that of the weights: the zoo's, the one inside
            the file, or the one in ``configs/`` whose network and settings the file has (docs/weights.md).
        weights: A checkpoint file or its address, ``"demo"``, a name of the zoo (downloaded into the cache when it is
            not there), or ``"random"`` for an untrained network, which every output then says. By default the weights
            that the zoo recommends for the device (docs/zoo.md); a ``ChoiceWarning`` says which.
        overrides: ``section.key=value`` each, in place of the config's values and of settings inside ``weights``.
        detector: A spec (docs/detectors.md); by default the config's.
        boxes: A csv or COCO json of people instead of a detector, or its address.
        min_person_score: People with a lower score, in 0..1, are left out; by default the config's, else the
            detector's own.
        new_person_score: People with a lower score, in 0..1, are kept only where they continue a track
            (docs/tracks.md).
        device: ``auto``, ``cpu`` or ``cuda``: where the network runs.
        precision: ``auto``, ``fp32``, ``bf16`` or ``fast``.
        execution: ``auto``, ``eager`` or ``fused``; see ``models/execution.py``.
        every_seconds: Time between keyframes in seconds; they go from 0 to the end.
        min_score: Actions with a lower score, in 0..1, are not written.
        thresholds: Actions below the threshold of their class are not written: a number for all classes, a file of
            ``ava-detect calibrate``, a csv of ``id,threshold`` (docs/calibration.md), or ``"beside"`` for the
            calibration beside the file of weights. With ``min_score`` an action must reach both. People without any
            action left keep their box in jsonl.
        top: Only the best actions of each person are written, at most this many.
        calibration: A file of ``ava-detect calibrate``, or ``"beside"``: probabilities are written in the place of the
            network's scores. By default scores are never changed.
        start_seconds: Where in its movie each file starts, in seconds: added to the csv's timestamps, and to the time
            at which ``boxes`` are looked up.
        formats: Of ``csv``, ``jsonl``, ``parquet`` and the formats of plug-ins; by default these three, and for a
            dataset, which is Parquet itself, none beside it.
        draw: Also write ``NAME.annotated.mp4``.
        resume: Skip videos that are finished in ``out``; the settings must then be the same.
        workers: Number of worker processes, each with a network and a share of the cores; ``"auto"`` for as many as the
            cores, the memory and the videos warrant. By default 1, and ``"auto"`` for a dataset.
        engine: Where the work runs: ``local`` or ``ray``.
        cluster: The resources of a worker, by default an equal share of the cores, and one core for a dataset; and the
            address of Ray.
        limits: When a video that hangs or fills the memory is stopped; by default ``Limits()`` for several workers.
            With limits, or a ``cluster``, a single worker too is a process of its own; without both it is this one.
        on_progress: Told of a download (bytes) and of the videos; called by any thread.

    Returns:
        What became of the videos.

    Raises:
        ConfigError: The call is wrong; raised before any work, as are other errors of type ``AvaDetectError``.

    Example:
        >>> summary = annotate_videos("videos/", weights="demo")
        >>> summary.totals.done, summary.all_well
    """
    is_dataset = is_address(out) or engine != "local"
    if isinstance(formats, str):
        formats = parse_formats(formats)
    if detector is not None and boxes is not None:
        raise ConfigError("`boxes` gives the people, so there is nothing for a `detector` to find; give one of the two")
    if boxes is not None:
        detector = f"boxes:{boxes}" + (f"?start_seconds={start_seconds}" if start_seconds else "")
    run = RunOptions(resume, workers, engine, cluster, limits, on_progress)
    choice = choose_network(weights, config, overrides=overrides, device=device)
    settings = AnnotateSettings(
        config=choice.config,
        weights=choice.weights,
        overrides=choice.overrides,
        detector=detector,
        min_person_score=min_person_score,
        new_person_score=new_person_score,
        device=device,
        precision=precision,
        execution=execution,
        every_seconds=every_seconds,
        min_score=min_score,
        thresholds=thresholds_of(thresholds, choice.weights),
        top=top,
        calibration=calibration_of(calibration, choice.weights),
        start_seconds=start_seconds,
        # A dataset is Parquet by itself.
        formats=tuple(name for name in formats or () if name != "parquet")
        if is_dataset
        else tuple(formats or DEFAULT_FORMATS),
        draw=draw,
    )
    choice.announce()
    listed = [sources] if isinstance(sources, str | Path) else list(sources)
    if is_dataset:
        refuse_same_address(out, {"sources": listed, "boxes": boxes, "weights": choice.weights})
        return annotate_dataset(listed, address_of(out), settings, run)
    return annotate_folder(listed, Path(out), settings, run)
