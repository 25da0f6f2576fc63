"""How a live run goes about its work."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from ava_detect.errors import ConfigError

Latency = Literal["centred", "now"]

_MAX_SECONDS, _MIN_LOST_SECONDS, _MAX_LOST_SECONDS, _MAX_SPEED = 1e9, 0.5, 3600.0, 1000.0


@dataclass(frozen=True)
class LiveOptions:
    """Settings of a live run.

    Attributes:
        latency: ``centred``: the keyframe is in the middle of its clip, as in training, so that rows come half a clip
            late. ``now``: the clip ends with the keyframe.
        max_seconds: End after so long; None for no end.
        lost_seconds: A source without a picture for so long is lost, and connected to again; 0.5 to 3600.
        speed: Files are played so many times as fast as their clock, above 0, at most 1000.
        transport: How RTSP carries pictures: ``tcp``, which loses none, or ``udp``.
        certificates: Certificates that encrypted streams (``rtsps://``, ``https://``, ``rtmps://``) may have: a PEM
            file, ``any`` to check none, or None for those that the system trusts.

    Raises:
        ConfigError: A value is not allowed.
    """

    latency: Latency = "centred"
    max_seconds: float | None = None
    lost_seconds: float = 10.0
    speed: float = 1.0
    transport: str = "tcp"
    certificates: str | Path | None = None

    def __post_init__(self) -> None:
        """Check the values."""
        if self.latency not in get_args(Latency):
            raise ConfigError(f"`latency` is {' or '.join(get_args(Latency))}, got {self.latency!r}")
        if self.max_seconds is not None and not 0 < self.max_seconds <= _MAX_SECONDS:
            raise ConfigError(f"`max_seconds` is a number of seconds above 0, got {self.max_seconds}")
        if not _MIN_LOST_SECONDS <= self.lost_seconds <= _MAX_LOST_SECONDS:
            raise ConfigError(
                f"`lost_seconds` is from {_MIN_LOST_SECONDS:g} to {_MAX_LOST_SECONDS:g}, got {self.lost_seconds}"
            )
        if not (0 < self.speed <= _MAX_SPEED and math.isfinite(self.speed)):
            raise ConfigError(f"`speed` is above 0 and at most {_MAX_SPEED:g}, got {self.speed}")
