"""The settings of an annotation: what decides a video's results, and how a run does its work. Needs no PyTorch."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from ava_detect.annotation.engines.base import Limits
from ava_detect.annotation.engines.settings import ENGINES, ClusterSettings
from ava_detect.config import Config
from ava_detect.config.memory import require_memory
from ava_detect.detectors import specs
from ava_detect.errors import ConfigError, shown, suggestion
from ava_detect.evaluation.calibration import Calibration
from ava_detect.evaluation.thresholds import Thresholds
from ava_detect.evaluation.written_scores import ScoreRules
from ava_detect.formats.writers import check_formats
from ava_detect.models.network_options import check_names
from ava_detect.models.zoo import note_on_weights, weights_file
from ava_detect.storage.file_hashes import sha256_of
from ava_detect.structures.clip import keyframe_times
from ava_detect.structures.progress import OnProgress, Progress, report_stage

# More processes than any machine or cluster starts for one run.
_MAX_WORKERS = 10_000


@dataclass(frozen=True)
class AnnotateSettings:
    """Everything that decides a video's results.

    Attributes:
        config: The network, its clips and its detector.
        weights: A checkpoint file, its address, a name of the zoo, or ``random``.
        detector: A detector's spec; None for the config's.
        min_person_score: People with a lower score, in 0..1, are left out; None for the config's, or the detector's.
        device: ``auto``, ``cpu`` or ``cuda``.
        precision: ``auto``, ``fp32``, ``bf16`` or ``fast``.
        every_seconds: Time between keyframes in seconds.
        min_score: Actions with a lower score, in 0..1, are not written.
        start_seconds: Where in its movie each file starts, in seconds.
        formats: Names from ``RESULT_FORMATS``.
        draw: Also write an annotated mp4.
        execution: ``auto``, ``eager`` or ``fused``.
        new_person_score: People with a lower score, in 0..1, are kept only if they were seen before.
        overrides: ``section.key=value`` each, which are in ``config`` already: contradicting settings inside the
            weights file give way to them.
        thresholds: Least score of an action to be written, for each class; None for none.
        top: The most actions of a person that are written, the best; None for all.
        calibration: Turns scores into the probabilities that are written; None writes the network's scores.

    Raises:
        ConfigError: A setting is wrong, as far as that can be told without any work.
    """

    config: Config
    weights: str
    detector: str | None = None
    min_person_score: float | None = None
    device: str = "auto"
    precision: str = "auto"
    every_seconds: float = 1.0
    min_score: float = 0.0
    start_seconds: float = 0.0
    formats: tuple[str, ...] = ()
    draw: bool = False
    execution: str = "auto"
    new_person_score: float | None = None
    overrides: tuple[str, ...] = ()
    thresholds: Thresholds | None = None
    top: int | None = None
    calibration: Calibration | None = None

    def __post_init__(self) -> None:
        self.config.require_detection()
        require_memory(self.config)
        for name in ("min_person_score", "new_person_score"):
            # Written so that NaN is refused, too.
            if not 0 <= (getattr(self, name) or 0) <= 1:
                raise ConfigError(f"`{name}` is a score from 0 to 1, got {getattr(self, name)}")
        if not math.isfinite(self.start_seconds):
            raise ConfigError(f"`start_seconds` is a number of seconds, got {self.start_seconds}")
        keyframe_times(self.every_seconds)
        check_names(self.device, self.precision, self.execution)
        check_formats(self.formats)
        specs.check_spec(self.detector_spec)
        _ = self.score_rules  # checks them

    @property
    def score_rules(self) -> ScoreRules:
        """Which scores are written, and as what."""
        return ScoreRules(self.min_score, self.thresholds, self.top, self.calibration)

    @property
    def note(self) -> str:
        """The warning that every output of these settings must carry; empty when there is none."""
        return note_on_weights(self.weights)

    @property
    def detector_spec(self) -> str:
        """The detector's spec: the one that was given, else the config's."""
        return self.detector or self.config.detector.spec

    def with_weights_file(self, on_progress: OnProgress | None = None) -> AnnotateSettings:
        """Return the same settings with the path of a weights file instead of its name or address.

        Args:
            on_progress: Told of the bytes of a download.

        Raises:
            WeightsError: The name is unknown, or the file cannot be had.
        """
        path = weights_file(self.weights, on_progress)
        return self if path is None else replace(self, weights=str(path.resolve()))

    def fingerprint(self, weights: dict[str, Any]) -> dict[str, Any]:
        """Return the settings with file contents instead of file names, so that a changed file is a changed setting.

        Args:
            weights: ``sha256`` and ``source`` of the weights.
        """
        resolved = asdict(replace(self, thresholds=None, calibration=None))
        del resolved["overrides"]  # the config has their values
        for name in ("thresholds", "top", "calibration"):
            del resolved[name]
        resolved |= self.score_rules.fingerprint()
        # How the weights were trained changes no result.
        resolved["config"] = self.config.model_dump(mode="json", exclude={"description", "data", "train"})
        resolved["detector"] = specs.spec_without_secrets(self.detector_spec)
        if (detector_file := specs.file_of(self.detector_spec)) is not None:
            resolved["detector_sha256"] = sha256_of(detector_file)
        resolved["weights"] = weights["sha256"] or weights["source"]
        return resolved


@dataclass(frozen=True)
class RunOptions:
    """How a run goes about its work; nothing here changes a result.

    Attributes:
        resume: Skip videos that are finished; without it, do every video again.
        workers: Number of worker processes; ``auto`` for as many as fit; None for the default of the output's layout.
        engine: Where the work runs: ``local`` or ``ray``.
        cluster: The cores of a worker, shared networks, and the Ray cluster.
        limits: When a video is stopped.
        on_progress: Told of downloads and videos; called by any thread.

    Raises:
        ConfigError: A setting is wrong.
    """

    resume: bool = True
    workers: int | Literal["auto"] | None = None
    engine: str = "local"
    cluster: ClusterSettings | None = None
    limits: Limits | None = None
    on_progress: OnProgress | None = None

    def __post_init__(self) -> None:
        if self.engine not in ENGINES:
            known = " or ".join(ENGINES)
            raise ConfigError(f"`engine` is {known}, got {self.engine!r}{suggestion(self.engine, ENGINES)}")
        if self.workers in (None, "auto"):
            return
        if isinstance(self.workers, bool) or not isinstance(self.workers, int):
            raise ConfigError(f"`workers` is a number of processes or auto, got {self.workers!r}")
        if not 1 <= self.workers <= _MAX_WORKERS:
            raise ConfigError(f"`workers` is at least 1 and at most {_MAX_WORKERS:,}, got {shown(self.workers)}")

    def report(self, progress: Progress) -> None:
        """Call ``on_progress``, if there is one.

        Args:
            progress: The report.
        """
        if self.on_progress is not None:
            self.on_progress(progress)

    def report_stage(self, stage: str) -> None:
        """Report a stage that has no count, such as loading the network.

        Args:
            stage: What is done, such as ``"loading the network"``.
        """
        report_stage(self.on_progress, stage)
