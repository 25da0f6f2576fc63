"""Interpolation between keyframes, and resampling of frames to a constant rate.

Both work on streams in time order and read one element ahead. Between two keyframes on which a person has the same
track id, the box moves linearly; the actions are those of the nearer keyframe. ``page/static/people.js`` follows the
same rules; ``tests/visualization/page/test_page_browser.py`` compares the two.

Shapes: N people on a keyframe.
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

# Displays rarely show more frames per second, and every written frame costs time and disk space.
_MAX_OUTPUT_FPS = 60.0


def output_fps(source_fps: float | Fraction) -> float | Fraction:
    """Return the frame rate at which a video is written again: that of its source, at most 60.

    Args:
        source_fps: Average frame rate of the source, frames per second.

    Returns:
        The rate, frames per second.
    """
    return min(source_fps, _MAX_OUTPUT_FPS)


class TrackInterpolator:
    """The people of one video at any time, interpolated between its linked keyframes.

    A person on two consecutive keyframes moves linearly from box to box. A person on one of them only is shown around
    that keyframe: for half the usual spacing, or until the middle between the two keyframes where that is less.
    A box is never carried across a hard cut.

    Args:
        keyframes: Keyframes of one video with track ids, in time order.
        keyframe_seconds: Usual spacing of keyframes, seconds.
        cuts_seconds: Times of the video's hard cuts, seconds, rising.

    Example:
        >>> interpolator = TrackInterpolator(keyframes, keyframe_seconds=1.0)
        >>> detections = interpolator.at(12.4)
    """

    def __init__(
        self, keyframes: Iterable[ActionDetections], keyframe_seconds: float, cuts_seconds: Sequence[float] = ()
    ) -> None:
        self._cuts_seconds = cuts_seconds
        self._keyframes = iter(keyframes)
        self._hold_seconds = keyframe_seconds / 2
        # The keyframes on either side of the current time; None before the first, and after the last.
        self._before: ActionDetections | None = None
        self._after = self._next_keyframe()

    def _next_keyframe(self) -> ActionDetections | None:
        """Read one keyframe and check that it follows ``_before``."""
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
        """Return the people at a time.

        Args:
            timestamp_seconds: The time in seconds; never less than in an earlier call.

        Returns:
            The people with interpolated boxes and this timestamp; None where the nearest keyframe is too far away.

        Raises:
            AvaDetectError: The keyframes are of several videos, or not in time order.
        """
        while self._after is not None and self._after.timestamp_seconds <= timestamp_seconds:
            self._before = self._after
            self._after = self._next_keyframe()
        if self._before is not None and self._after is not None:
            # The cuts in (before, after]: a cut at the time of a keyframe precedes that keyframe.
            first, last = (bisect_right(self._cuts_seconds, k.timestamp_seconds) for k in (self._before, self._after))
            cuts = self._cuts_seconds[first:last]
            if cuts:
                return _between_cuts(self._before, self._after, timestamp_seconds, self._hold_seconds, cuts)
            return _interpolate(self._before, self._after, timestamp_seconds, self._hold_seconds)
        # Before the first keyframe or after the last one.
        only = self._after if self._before is None else self._before
        if only is None or abs(timestamp_seconds - only.timestamp_seconds) > self._hold_seconds:
            return None
        return replace(only, timestamp_seconds=timestamp_seconds)


def _interpolate(
    before: ActionDetections, after: ActionDetections, timestamp_seconds: float, hold_seconds: float
) -> ActionDetections:
    """Interpolate between two linked keyframes of one shot.

    A person on both has an interpolated box. A person on the nearer keyframe only is held for ``hold_seconds``.
    A person on the farther keyframe only is not shown.
    """
    middle = (before.timestamp_seconds + after.timestamp_seconds) / 2
    near, far = (before, after) if timestamp_seconds < middle else (after, before)
    # 0 at the nearer keyframe, 0.5 in the middle.
    weight = (timestamp_seconds - near.timestamp_seconds) / (far.timestamp_seconds - near.timestamp_seconds)
    far_boxes = dict(zip(_track_ids(far), far.boxes_fraction, strict=True))  # track id -> [4]
    boxes = near.boxes_fraction.copy()  # [N, 4]
    is_held = abs(timestamp_seconds - near.timestamp_seconds) <= hold_seconds
    shown = []
    for row, track_id in enumerate(_track_ids(near)):
        if track_id in far_boxes:
            boxes[row] += np.float32(weight) * (far_boxes[track_id] - boxes[row])
        if is_held or track_id in far_boxes:
            shown.append(row)
    return replace(near, boxes_fraction=boxes, timestamp_seconds=timestamp_seconds)[shown]


def _between_cuts(
    before: ActionDetections,
    after: ActionDetections,
    timestamp_seconds: float,
    hold_seconds: float,
    cuts_seconds: Sequence[float],
) -> ActionDetections:
    """Return the people of the keyframe in the same shot, held for ``hold_seconds``; none in a shot without keyframe.

    ``cuts_seconds``: the cuts between the two keyframes, at least one.
    """
    same_shot = before if timestamp_seconds < cuts_seconds[0] else after
    # With two cuts or more there are shots between the keyframes that contain neither of them.
    is_other_shot = cuts_seconds[0] <= timestamp_seconds < cuts_seconds[-1]
    is_held = not is_other_shot and abs(timestamp_seconds - same_shot.timestamp_seconds) <= hold_seconds
    detections = replace(same_shot, timestamp_seconds=timestamp_seconds)
    return detections if is_held else detections[:0]


def _track_ids(detections: ActionDetections) -> list[int]:
    assert detections.track_ids is not None, "TrackInterpolator takes linked keyframes only"
    return [int(track_id) for track_id in detections.track_ids]


def at_constant_rate(frames: Iterable[Frame], fps: float | Fraction) -> Iterator[Frame]:
    """Repeat or drop frames so that playback at ``fps`` has the original speed; holds one frame in memory.

    Output frame n is the frame on screen ``n / fps`` seconds after the first one, rounded to the nearest tick.

    Args:
        frames: Frames in time order, of any rate.
        fps: Constant rate of the output, frames per second.

    Yields:
        One frame per tick, with the time of the tick. The last frame is shown for one tick.

    Raises:
        AvaDetectError: A frame is earlier than its predecessor.
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
        # The nearest tick at which this frame appears; the previous frame fills the ticks before it.
        first_tick = math.floor((frame.timestamp_seconds - start) * fps + 0.5)
        while shown is not None and tick < first_tick:
            yield replace(shown, timestamp_seconds=start + float(tick / fps))
            tick += 1
        shown = frame
    if shown is not None:
        yield replace(shown, timestamp_seconds=start + float(tick / fps))
