"""A keyframe of a live source, with when it was seen and how late its rows are."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path as Path  # as the following names with "as": for the annotations of the inherited fields
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ava_detect.formats.jsonl import keyframe_to_json
from ava_detect.formats.keyframe_writer import BoolArray
from ava_detect.storage.addresses import Address as Address
from ava_detect.structures import Float32Array as Float32Array
from ava_detect.structures import Frame
from ava_detect.structures.labels import LabelMap as LabelMap
from ava_detect.visualization.keyframe_result import DRAWN_ACTIONS, DRAWN_SCORE, KeyframeResult, RGBImage

_EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, eq=False, repr=False)
class LiveKeyframe(KeyframeResult):
    """The people on one keyframe of a live source and their actions.

    It has the fields of ``KeyframeResult``, and these. ``video_id`` is the source's name; ``timestamp_seconds`` counts
    from the source's first frame.

    Attributes:
        seen: When its frame arrived, in UTC.
        lag_seconds: Time from then until these rows were ready.
        num_dropped: Number of keyframes of the source that were left out since the one before this, because the network
            was busy.
        picture: The keyframe as the detector saw it; None where it needs no pictures.
    """

    seen: datetime = _EPOCH
    lag_seconds: float = 0.0
    num_dropped: int = 0
    picture: npt.NDArray[np.uint8] | None = None

    @classmethod
    def seen_at(
        cls, result: KeyframeResult, seen: datetime, lag_seconds: float, num_dropped: int, picture: RGBImage | None
    ) -> Self:
        """Build from a result.

        Args:
            result: The people and their actions.
            seen: When the frame arrived, in UTC.
            lag_seconds: Time from then until now.
            num_dropped: Number of keyframes left out before it.
            picture: The keyframe; None where there is none.

        Returns:
            The keyframe.
        """
        values = {name.name: getattr(result, name.name) for name in fields(KeyframeResult)}
        return cls(**values, seen=seen, lag_seconds=lag_seconds, num_dropped=num_dropped, picture=picture)

    def to_dict(self, *, min_score: float = 0.0) -> dict[str, Any]:
        """Convert to plain values: those of ``KeyframeResult.to_dict``, and ``time``, ``lag_seconds``, ``num_dropped``.

        Args:
            min_score: Smallest action score to keep, in 0..1.

        Returns:
            Dictionaries, lists, strings and numbers.

        Raises:
            ConfigError: ``min_score`` is no score.
        """
        return keyframe_line(self, self.action_scores >= self.listed_from(min_score))

    def draw(
        self,
        frame: Any = None,
        *,
        min_score: float = DRAWN_SCORE,
        max_actions: int = DRAWN_ACTIONS,
        max_width: int | None = None,
    ) -> RGBImage:
        """Draw the people with their best actions onto a copy of the keyframe, or of another frame.

        Args:
            frame: The frame: uint8 RGB ``[H, W, 3]``, a ``Frame``, or a Pillow image; by default ``picture``.
            min_score: Least score of a drawn action, in 0..1.
            max_actions: Most actions of one person, best first.
            max_width: Not used: the picture has the detector's size.

        Returns:
            The drawn frame, uint8 RGB ``[H, W, 3]``.

        Raises:
            AvaDetectError: There is no picture, or ``frame`` is no such image.
        """
        if frame is None and self.picture is not None:
            frame = Frame(self.picture, self.timestamp_seconds, self.video_id)
        return super().draw(frame, min_score=min_score, max_actions=max_actions, max_width=max_width)


def keyframe_line(keyframe: LiveKeyframe, kept: BoolArray) -> dict[str, Any]:
    """Convert a keyframe to the plain values of a line.

    Args:
        keyframe: The keyframe.
        kept: bool ``[N, C]``, which scores are listed.

    Returns:
        Those of a line of ``annotate``, and ``time``, ``lag_seconds`` and ``num_dropped``.
    """
    names = {action.id: action.name for action in keyframe.label_map}
    live = {
        "time": time_text(keyframe.seen),
        "lag_seconds": round(keyframe.lag_seconds, 3),
        "num_dropped": keyframe.num_dropped,
    }
    return keyframe_to_json(keyframe, names, kept) | ({"note": keyframe.note} if keyframe.note else {}) | live


def time_text(time: datetime) -> str:
    """Return a time of day as text: ISO 8601 in UTC, with milliseconds.

    Args:
        time: The time, with its zone.

    Returns:
        The text, such as ``2026-11-30T12:00:01.250Z``.
    """
    return time.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
