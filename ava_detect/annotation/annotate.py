"""Many videos -> files: resumable, and one bad video stops nothing.

Only a run in this process loads PyTorch here; whoever drives other processes or a cluster stays small.
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
from ava_detect.config.choice import config_of
from ava_detect.errors import ConfigError
from ava_detect.storage.addresses import address_of, is_address
from ava_detect.structures.progress import OnProgress

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
    is_dataset = is_address(out) or engine != "local"
    if detector is not None and boxes is not None:
        raise ConfigError("`boxes` gives the people, so there is nothing for a `detector` to find; give one of the two")
    if boxes is not None:
        detector = f"boxes:{boxes}" + (f"?start_seconds={start_seconds}" if start_seconds else "")
    run = RunOptions(resume, workers, engine, cluster, limits, on_progress)
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
        return annotate_dataset(listed, address_of(out), settings, run)
    return annotate_folder(listed, Path(out), settings, run)
