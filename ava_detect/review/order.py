"""In which order keyframes are reviewed."""

from __future__ import annotations

from ava_detect.results.saved import SavedResults
from ava_detect.review.review import Order


def order_by(kind: str, budget: int | None) -> Order:
    """Return the function that orders the keyframes of results.

    Args:
        kind: ``time``, or ``useful`` for what teaches a network most.
        budget: Number of keyframes; None for all.

    Returns:
        A function from the results of each video, by its id, to video id and time of each keyframe, the first to look
        at first.
    """

    def in_time(found: dict[str, SavedResults]) -> list[tuple[str, float]]:
        keys = [(one.video_id, keyframe.timestamp_seconds) for one in found.values() for keyframe in one.keyframes]
        return keys[:budget]

    assert kind == "time"
    return in_time
