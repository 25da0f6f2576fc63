"""What a live run is to give, checked before a network is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ava_detect.config.build import label_map_of
from ava_detect.config.choice import choose_network
from ava_detect.errors import ConfigError
from ava_detect.evaluation.written_scores import ScoreRules
from ava_detect.live.alarms import AlarmRule
from ava_detect.live.clips import ClipOptions
from ava_detect.live.lines import check_rotation
from ava_detect.live.mqtt import check_mqtt
from ava_detect.live.webhook import check_webhook
from ava_detect.review.loopback import require_server
from ava_detect.storage.file_hashes import sha256_of
from ava_detect.structures.progress import OnProgress

_MAX_CLIP_SECONDS = 60.0


@dataclass(frozen=True)
class LiveSettings:
    """What a live run gives.

    Attributes:
        out: Folder of the files of JSON lines; None for none.
        print_lines: Whether the lines are printed on the standard output.
        scores: Which scores are written, and as what.
        event_score: Score that makes an event, in 0..1.
        when: Alarm rules, such as ``fight > 0.6 for 2s``.
        webhook: Address that gets the events; None for none.
        mqtt: Address of an MQTT broker that gets keyframes and events; None for none.
        clips: Which clips are saved; None for none.
        rotate_mb: Size at which a file rotates, in MB.
        keep: Number of files that are kept beside the one that is written.
        page_port: Port of the page on this machine, 0 for any that is free; None for no page.

    Raises:
        ConfigError: A value is not allowed.
        MissingDependencyError: A library is not installed.
    """

    out: Path | None = None
    print_lines: bool = True
    scores: ScoreRules = field(default_factory=ScoreRules)
    event_score: float = 0.5
    when: tuple[str, ...] = ()
    webhook: str | None = None
    mqtt: str | None = None
    clips: ClipOptions | None = None
    rotate_mb: float = 100.0
    keep: int = 10
    page_port: int | None = None

    def __post_init__(self) -> None:
        """Check the values."""
        if not 0 <= self.event_score <= 1:
            raise ConfigError(f"`event_score` is a score from 0 to 1, got {self.event_score}")
        check_rotation(self.rotate_mb, self.keep)
        if self.webhook is not None:
            check_webhook(self.webhook)
        if self.mqtt is not None:
            check_mqtt(self.mqtt)
        if self.page_port is not None:
            require_server("the page", "live")
        if self.clips is not None:
            for name in ("before_seconds", "after_seconds"):
                if not 0 <= getattr(self.clips, name) <= _MAX_CLIP_SECONDS:
                    raise ConfigError(f"a clip shows from 0 to {_MAX_CLIP_SECONDS:g} s before and after an event")

    def check_rules(
        self,
        weights: str | None,
        config: str | None,
        *,
        overrides: Sequence[str] = (),
        device: str = "auto",
        on_progress: OnProgress | None = None,
    ) -> None:
        """Refuse rules on actions that the network does not know, before it is loaded.

        A calibration to the scores of other weights is a warning.

        Args:
            weights: As for ``Pipeline.from_pretrained``.
            config: Likewise.
            overrides: Likewise.
            device: Likewise.
            on_progress: Told of the bytes of a download.

        Raises:
            ConfigError: A rule is none, or names no action, or thresholds or calibration are for other classes.
            WeightsError: There are no such weights, or they cannot be had.
        """
        if not (self.when or self.scores.is_of_classes):
            return
        choice = choose_network(weights, config, overrides=overrides, device=device)
        label_map = label_map_of(choice.config)
        for rule in self.when:
            AlarmRule.parse(rule, label_map)
        if self.scores.is_of_classes:
            self.scores.for_classes(label_map)
            file = choice.weights_file(on_progress)
            self.scores.warn_of_other_weights(None if file is None else sha256_of(file))
