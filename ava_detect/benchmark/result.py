"""What a benchmark found, as a value that prints and goes into ``result.json``; and how far a running one is."""

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


class Score(Protocol):
    """A ``FrameMAPResult`` or a ``ClassificationScore``."""

    def summary(self) -> str:
        """The score in one line."""
        ...

    def to_json(self) -> dict[str, Any]:
        """The score as plain values; NaN is None."""
        ...


@dataclass(frozen=True)
class BenchmarkResult:
    """The outcome of a benchmark.

    ``kind``: ``ava``, ``kinetics`` or ``charades``. ``score``: what was measured. ``counts``: videos, clips (keyframes,
    or a classifier's views), people. ``problems``: a sentence for whatever could not be scored, and what that does to
    the score. ``notes``: what else a reader should know. ``seconds``: time per stage. ``settings``, ``weights``: what
    it was made with. ``files``: what else lies in ``out``, by meaning.
    """

    out: Path
    kind: str
    score: Score
    counts: dict[str, int]
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    seconds: dict[str, float]
    settings: dict[str, Any]
    weights: dict[str, Any]
    files: dict[str, str]

    @property
    def all_well(self) -> bool:
        """Whether everything that was to be scored was scored."""
        return not self.problems

    @property
    def clips_per_second(self) -> float:
        """Clips over the time for data, detection and action; NaN when there was none."""
        spent = sum(value for stage, value in self.seconds.items() if stage != "evaluation")
        return self.counts["clips"] / spent if spent else math.nan

    def to_json(self) -> dict[str, Any]:
        """Plain values: the score's own first."""
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
            "settings": self.settings,
            "weights": self.weights,
            "versions": versions(),
        }

    def write(self) -> None:
        """Write ``out/result.json``."""
        write_text_atomic(self.out / RESULT, json.dumps(self.to_json(), indent=2, ensure_ascii=False) + "\n")


@dataclass
class StageTimes:
    """Seconds by stage, added up block by block."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def of(self, stage: str) -> Iterator[None]:
        """Add the time of the block."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = round(self.seconds.get(stage, 0.0) + time.perf_counter() - started, 3)
