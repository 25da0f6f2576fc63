"""Everything that decides what a video's results are, checked as far as that costs no work. Needs no PyTorch."""

from __future__ import annotations

from dataclasses import dataclass

from ava_detect.config import Config
from ava_detect.errors import ConfigError
from ava_detect.models.zoo import RANDOM_WEIGHTS, note_on_weights


@dataclass(frozen=True)
class AnnotateSettings:
    """Everything that decides what a video's results are; see ``ava_detect.annotation.annotate.annotate_videos``."""

    config: Config
    weights: str | None
    detector: str | None
    min_person_score: float | None
    device: str
    precision: str
    every_seconds: float
    min_score: float
    start_seconds: float
    formats: tuple[str, ...]
    draw: bool
    execution: str = "auto"
    new_person_score: float | None = None

    def __post_init__(self) -> None:
        """Every check that costs no work; ``ConfigError`` says what is wrong."""
        if self.weights is None:
            raise ConfigError(
                "there are no weights: give `weights`: a file (a checkpoint trained with the config), a name that "
                f"`ava-detect weights list` shows, or `weights={RANDOM_WEIGHTS}` to try an untrained network"
            )
        if self.config.model.task != "detection":
            raise ConfigError(
                "this config is a classifier: it says what a whole clip shows, not what each person does; choose a "
                "config whose model.task is detection"
            )
        if not 0 <= self.min_score <= 1:
            raise ConfigError(f"`min_score` is a score from 0 to 1, got {self.min_score}")
        if not 0 <= (self.new_person_score or 0) <= 1:
            raise ConfigError(f"`new_person_score` is a score from 0 to 1, got {self.new_person_score}")

    @property
    def note(self) -> str:
        """What every output must say of these settings; empty when nothing."""
        return note_on_weights(self.weights)
