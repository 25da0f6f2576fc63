"""Between keyframes: where people are at any moment of a video, and which frame is on screen.

Both work on streams, in time order, and look one element ahead.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np

from ava_detect.errors import AvaDetectError
from ava_detect.structures import ActionDetections, Frame


def between(
    before: ActionDetections,
    after: ActionDetections,
    timestamp_seconds: float,
    hold_seconds: float,
    cuts_seconds: Sequence[float] = (),
) -> ActionDetections:
    """The people at a moment between two linked keyframes, with the actions of the nearer one.

    Somebody on both has a box in between, by linear interpolation. Somebody on the nearer one alone is
    held there for up to ``hold_seconds``. People of the farther one alone are not there yet, or not any more.
    ``cuts_seconds``: the hard cuts between the two; on either side of one there is only the keyframe of that side.
    """
    if cuts_seconds:
        return _beside_cuts(before, after, timestamp_seconds, hold_seconds, cuts_seconds)
    middle = (before.timestamp_seconds + after.timestamp_seconds) / 2
    near, far = (before, after) if timestamp_seconds < middle else (after, before)
    weight = (timestamp_seconds - near.timestamp_seconds) / (far.timestamp_seconds - near.timestamp_seconds)
    far_boxes = dict(zip(_track_ids(far), far.boxes_fraction, strict=True))
    boxes = near.boxes_fraction.copy()
    held = abs(timestamp_seconds - near.timestamp_seconds) <= hold_seconds
    shown = []
    for row, track_id in enumerate(_track_ids(near)):
        if track_id in far_boxes:
            boxes[row] += np.float32(weight) * (far_boxes[track_id] - boxes[row])
        if held or track_id in far_boxes:
            shown.append(row)
    return replace(near, boxes_fraction=boxes, timestamp_seconds=timestamp_seconds)[shown]


def _beside_cuts(
    before: ActionDetections,
    after: ActionDetections,
    timestamp_seconds: float,
    hold_seconds: float,
    cuts_seconds: Sequence[float],
) -> ActionDetections:
    near = before if timestamp_seconds < cuts_seconds[0] else after
    in_between = cuts_seconds[0] <= timestamp_seconds < cuts_seconds[-1]
    held = not in_between and abs(timestamp_seconds - near.timestamp_seconds) <= hold_seconds
    everybody = replace(near, timestamp_seconds=timestamp_seconds)
    return everybody if held else everybody[:0]


def _track_ids(detections: ActionDetections) -> list[int]:
    assert detections.track_ids is not None, "Timeline takes linked keyframes only"
    return [int(track_id) for track_id in detections.track_ids]


class Timeline:
    """The people of one video at any moment, from its linked keyframes; asked in time order."""

    def __init__(
        self, keyframes: Iterable[ActionDetections], keyframe_seconds: float, cuts_seconds: Sequence[float] = ()
    ) -> None:
        """``keyframes``: with track ids, in time order. ``keyframe_seconds``: their usual spacing; somebody who is
        not on the next keyframe is held for half of it, or half the way to that keyframe where that is less.
        ``cuts_seconds``: when the video's hard cuts are, rising; nobody is carried across one.
        """
        self._cuts = cuts_seconds
        self._keyframes = iter(keyframes)
        self._hold_seconds = keyframe_seconds / 2
        self._before: ActionDetections | None = None
        self._after = self._next()

    def _next(self) -> ActionDetections | None:
        keyframe = next(self._keyframes, None)
        if keyframe is None or self._before is None:
            return keyframe
        if keyframe.video_id != self._before.video_id:
            raise AvaDetectError(
                f"detections of {self._before.video_id!r} and of {keyframe.video_id!r} in one drawing; "
                "draw each video with its own"
            )
        if keyframe.timestamp_seconds <= self._before.timestamp_seconds:
            raise AvaDetectError(
                f"{keyframe.video_id}: keyframe at {keyframe.timestamp_seconds:g} s after the one at "
                f"{self._before.timestamp_seconds:g} s; give keyframes in the order of their time, each once"
            )
        return keyframe

    def at(self, timestamp_seconds: float) -> ActionDetections | None:
        """Everybody to be shown at a moment, which may not lie before the last one asked for; None: nobody."""
        while self._after is not None and self._after.timestamp_seconds <= timestamp_seconds:
            self._before = self._after
            self._after = self._next()
        if self._before is not None and self._after is not None:
            first, last = (bisect_right(self._cuts, k.timestamp_seconds) for k in (self._before, self._after))
            return between(self._before, self._after, timestamp_seconds, self._hold_seconds, self._cuts[first:last])
        only = self._after if self._before is None else self._before
        if only is None or abs(timestamp_seconds - only.timestamp_seconds) > self._hold_seconds:
            return None
        return replace(only, timestamp_seconds=timestamp_seconds)


def at_constant_rate(frames: Iterable[Frame], fps: float | Fraction) -> Iterator[Frame]:
    """``frames`` repeated or dropped so that playback at ``fps`` has their own speed; one frame in memory.

    Output frame n is the one on screen ``n / fps`` seconds after the first, to the nearest tick, and carries that
    time. The last frame is shown for one tick. Raises ``AvaDetectError`` when a frame comes before its
    predecessor.
    """
    start = 0.0
    tick = 0
    shown: Frame | None = None
    for frame in frames:
        if shown is None:
            start = frame.timestamp_seconds
        elif frame.timestamp_seconds < shown.timestamp_seconds:
            raise AvaDetectError(
                f"{frame.video_id}: frame at {frame.timestamp_seconds:g} s after the one at "
                f"{shown.timestamp_seconds:g} s; give frames in the order of their time"
            )
        first_tick = math.floor((frame.timestamp_seconds - start) * fps + 0.5)
        while shown is not None and tick < first_tick:
            yield replace(shown, timestamp_seconds=start + float(tick / fps))
            tick += 1
        shown = frame
    if shown is not None:
        yield replace(shown, timestamp_seconds=start + float(tick / fps))
