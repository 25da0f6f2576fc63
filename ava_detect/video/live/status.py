"""How a live source is doing: its state for those who look, and notices for those who are told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from ava_detect.video.live.connection import StreamCounts

State = Literal["connecting", "running", "lost", "ended", "failed"]
NoticeKind = Literal["connected", "changed", "lost", "dark", "bright", "ended", "failed"]


@dataclass(frozen=True)
class LiveNotice:
    """Something that happened to a source.

    Attributes:
        source: The source's name.
        kind: ``connected``, ``changed`` (another size), ``lost``, ``dark`` (the picture is black), ``bright`` (it is
            not any more), ``ended`` or ``failed``.
        text: A clause for a message, without passwords.
    """

    source: str
    kind: NoticeKind
    text: str


OnNotice = Callable[[LiveNotice], None]


@dataclass
class SourceStatus:
    """The state of one source; one thread writes it, and any may read it.

    Attributes:
        name: The source's name.
        state: ``connecting``, ``running``, ``lost`` (tried again), ``ended`` or ``failed`` (not tried again).
        reason: Why it is lost or failed.
        width: Width of the pictures, pixels; 0 before the first.
        height: Height of the pictures, pixels.
        is_dark: Whether the picture is black.
        num_connections: Number of connections so far.
        counts: What the reading has met.
    """

    name: str
    state: State = "connecting"
    reason: str = ""
    width: int = 0
    height: int = 0
    is_dark: bool = False
    num_connections: int = 0
    counts: StreamCounts = field(default_factory=StreamCounts)
