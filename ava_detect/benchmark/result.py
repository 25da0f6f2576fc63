"""The outcome of a benchmark, as a value that prints and is written to ``result.json``."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ava_detect.environment import versions
from ava_detect.storage.local_files import write_text_atomic

RESULT = "result.json"


class BenchmarkScore(Protocol):
    """A score that prints: a ``FrameMAPResult`` or a ``ClassificationScore``."""

    def summary(self) -> str:
        """Return the score in one line."""
        ...

    def to_json(self) -> dict[str, Any]:
        """Return the score as plain values; NaN becomes None."""
        ...


@dataclass(frozen=True)
class BenchmarkResult:
    """The outcome of a benchmark.

    Attributes:
        out: The output folder.
        kind: The kind of data: ``ava``, ``kinetics`` or ``charades``.
        score: The score: frame-mAP, accuracies or mAP.
        counts: Numbers of videos, clips (keyframes, or the views of a classifier) and people, by name.
        problems: A sentence for each video that could not be scored completely, and how it affects the score.
        notes: Remarks on the score, such as the likely reason of an mAP near 0.
        seconds: Time per stage, seconds.
        settings: Everything that decides the scores.
        weights: The source of the weights, their SHA-256, and whether they are trained.
        files: Names of the other files in ``out``, by meaning.
        inputs: Paths of the files that were scored against, by meaning: ``ground_truth``, ``exclude``.
    """

    out: Path
    kind: str
    score: BenchmarkScore
    counts: dict[str, int]
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    seconds: dict[str, float]
    settings: dict[str, Any]
    weights: dict[str, Any]
    files: dict[str, str]
    inputs: dict[str, str] = field(default_factory=dict)

    @property
    def all_well(self) -> bool:
        """Whether every video of the split was scored completely."""
        return not self.problems

    @property
    def clips_per_second(self) -> float:
        """Number of clips over the time for data, detection and action; NaN if no time was spent."""
        spent = sum(value for stage, value in self.seconds.items() if stage != "evaluation")
        return self.counts["clips"] / spent if spent else math.nan

    def to_json(self) -> dict[str, Any]:
        """Return the content of ``result.json``.

        Returns:
            Plain values; those of the score come first.
        """
        rate = self.clips_per_second
        return {
            **self.score.to_json(),
            "kind": self.kind,
            "counts": self.counts,
            "problems": list(self.problems),
            "notes": list(self.notes),
            "seconds": self.seconds,
            "clips_per_second": None if math.isnan(rate) else round(rate, 3),
            "files": self.files,
            "inputs": self.inputs,
            "settings": self.settings,
            "weights": self.weights,
            "versions": versions(),
        }

    def write(self) -> None:
        """Write ``out/result.json`` atomically."""
        write_text_atomic(self.out / RESULT, json.dumps(self.to_json(), indent=2, ensure_ascii=False) + "\n")


@dataclass
class StageTimes:
    """A stopwatch per stage.

    Attributes:
        seconds: Accumulated time by stage, seconds, rounded to milliseconds.
    """

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Add the time that the ``with`` block takes.

        Args:
            stage: Name of the stage.

        Yields:
            Nothing.
        """
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = round(self.seconds.get(stage, 0.0) + time.perf_counter() - started, 3)
