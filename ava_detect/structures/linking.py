"""Linking the people of one keyframe to those of the next: who is the same person.

Keyframes lie about a second apart, so that a walking person's boxes often do not overlap and IoU alone
loses them. Each known person is therefore moved on at constant velocity (as in SORT, Bewley et al. 2016,
arXiv:1602.00763), the similarity of a moved box to a new one is half IoU and half how near and how alike in
size they are, and the Hungarian method picks the pairs. Boxes only: no pixels, no torch. Nobody is the same person
across a hard cut, which only the pixels know: the caller says which shot a keyframe lies in (``video/cuts.py``).

Shapes: N people on the keyframe, T people remembered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from ava_detect.errors import AvaDetectError
from ava_detect.structures import ActionDetections
from ava_detect.structures.boxes import iou

Float64Array = npt.NDArray[np.float64]

# How far a person strays from constant velocity in one second: standard deviation, in sides of the own box
# (widths across, heights down). Grows with the square root of time, as a random walk does.
_STRAY_BOX_SIDES = 1.6
# Somebody who was missing on the last keyframe gives way to somebody who was there and fits as well.
_MISSING_FACTOR = 0.8
_SMALLEST_SIDE = 1e-6
_NOBODY = 0  # ids count from 1


@dataclass
class _Track:
    """What is remembered of one person; box in fractions, velocity in fractions per second."""

    track_id: int
    box: Float64Array
    seen_seconds: float
    velocity: Float64Array
    shot: int

    def box_at(self, timestamp_seconds: float) -> Float64Array:
        """Where the person is if nothing changed since the last sight."""
        shift = self.velocity * (timestamp_seconds - self.seen_seconds)
        result: Float64Array = self.box + np.concatenate([shift, shift])
        return result

    def see(self, box: Float64Array, timestamp_seconds: float) -> None:
        self.velocity = (_centres(box) - _centres(self.box)) / (timestamp_seconds - self.seen_seconds)
        self.box, self.seen_seconds = box, timestamp_seconds


class Linker:
    """Gives the people of a video's keyframes track ids, keyframe by keyframe, in time order.

    Ids count from 1 in each video, new people of one keyframe from left to right, and are never reused. The
    answer does not depend on the order of the people on a keyframe. Memory holds only the people seen
    within ``max_gap_seconds``.

    >>> linker = Linker()
    >>> linked = [linker.update(keyframe) for keyframe in detections]
    """

    def __init__(self, max_gap_seconds: float = 2.5, min_similarity: float = 0.15, *, start_score: float = 0.0) -> None:
        """``max_gap_seconds``: how long a person may be out of sight and still be known, the time from the last
        keyframe with them to the next; 2.5 lets one keyframe in a second fail. Keyframes further apart than
        this are never linked: give about 2.5 times their spacing. ``min_similarity``: in 0..1; a pair below
        it is never linked. At the default two boxes of one size link, a second apart and without overlap, up
        to 2.5 box sides from where the person was expected. ``start_score``: a person score in 0..1; whoever is below
        it is kept only as somebody who is known already. 0 keeps everybody.
        """
        if not max_gap_seconds > 0:
            raise AvaDetectError(f"max_gap_seconds must be above 0, got {max_gap_seconds}")
        if not 0 < min_similarity <= 1:
            raise AvaDetectError(f"min_similarity must be above 0 and at most 1, got {min_similarity}")
        if not 0 <= start_score <= 1:
            raise AvaDetectError(f"start_score is a person score from 0 to 1, got {start_score}")
        self._max_gap_seconds = max_gap_seconds
        self._min_similarity = min_similarity
        self._start_score = start_score
        self._forget()

    def _forget(self, video_id: str | None = None) -> None:
        self._video_id = video_id
        self._tracks: list[_Track] = []
        self._num_ids = 0
        self._last_seconds = -np.inf

    def update(self, detections: ActionDetections, *, shot: int = 0) -> ActionDetections:
        """The same people with ``track_ids`` filled in (ids that came with them are replaced), in the same order.

        With ``start_score`` those are left out who are below it and continue nobody. ``shot``: the number of the uncut
        stretch of the video that the keyframe lies in; people are linked within their shot only. A new ``video_id``
        starts afresh. Raises ``AvaDetectError`` when the keyframe is not later than the one before it.
        """
        now = detections.timestamp_seconds
        if detections.video_id != self._video_id:
            self._forget(detections.video_id)
        if not now > self._last_seconds:
            raise AvaDetectError(
                f"{detections.video_id}: keyframe at {now:g} s after the one at {self._last_seconds:g} s; link the "
                "keyframes of a video in the order of their time, each once"
            )
        self._tracks = [track for track in self._tracks if now - track.seen_seconds <= self._max_gap_seconds]
        order = _reading_order(detections)
        boxes = detections.boxes_fraction[order].astype(np.float64)
        is_sure = detections.person_scores[order] >= self._start_score
        track_ids = np.full(len(boxes), _NOBODY, np.int64)
        track_ids[order] = self._assign(boxes, is_sure, now, shot)
        self._last_seconds = now
        linked = replace(detections, track_ids=track_ids)
        return linked if track_ids.all() else linked[track_ids != _NOBODY]

    def _assign(self, boxes: Float64Array, is_sure: npt.NDArray[np.bool_], now: float, shot: int) -> list[int]:
        """The ids of ``boxes [N, 4]``, 0 for an unsure one that continues nobody; remembers what was seen."""
        scores = self._similarities(boxes, now)
        scores[scores < self._min_similarity] = 0
        scores[[track.shot != shot for track in self._tracks]] = 0
        known = _best_pairs(np.where(is_sure, scores, 0))
        scores[[*known.values()]] = 0
        known |= _best_pairs(np.where(is_sure, 0, scores))
        track_ids = [_NOBODY] * len(boxes)
        for index, box in enumerate(boxes):
            if index in known:
                track = self._tracks[known[index]]
                track.see(box, now)
                track_ids[index] = track.track_id
            elif is_sure[index]:
                self._num_ids += 1
                self._tracks.append(_Track(self._num_ids, box, now, np.zeros(2), shot))
                track_ids[index] = self._num_ids
        return track_ids

    def _similarities(self, boxes: Float64Array, now: float) -> Float64Array:
        """``[T, N]``: how well each person remembered fits each box."""
        if not self._tracks:
            return np.zeros((0, len(boxes)))
        expected = np.stack([track.box_at(now) for track in self._tracks])
        elapsed = np.array([now - track.seen_seconds for track in self._tracks])
        missing = np.array([track.seen_seconds < self._last_seconds for track in self._tracks])
        factors = np.where(missing, _MISSING_FACTOR, 1.0)
        return factors[:, None] * similarities(expected, boxes, elapsed)


def _best_pairs(scores: Float64Array) -> dict[int, int]:
    """Column -> row, of the pairs above 0 whose sum is greatest."""
    rows, columns = linear_sum_assignment(scores, maximize=True)
    return {int(column): int(row) for row, column in zip(rows, columns, strict=True) if scores[row, column] > 0}


_MAX_GAP_IN_KEYFRAMES = 2.5


def max_gap_seconds(keyframe_seconds: float) -> float:
    """Return how long a person may be out of sight and still keep their track id: 2.5 keyframe intervals.

    One keyframe on which the person is not detected is bridged, also where the spacing is slightly irregular.

    Args:
        keyframe_seconds: Usual spacing of keyframes, seconds.

    Returns:
        The gap for ``Linker(max_gap_seconds=...)``, seconds.
    """
    return _MAX_GAP_IN_KEYFRAMES * keyframe_seconds


def similarities(expected: Float64Array, boxes: Float64Array, elapsed_seconds: Float64Array) -> Float64Array:
    """How alike boxes are, ``[T, N]`` in 0..1: the mean of IoU and of nearness times likeness in size.

    ``expected`` ``[T, 4]`` against ``boxes`` ``[N, 4]``, xyxy in one unit; ``elapsed_seconds`` ``[T]``: the time
    since each of ``expected`` was seen. Nearness is ``exp(-d^2 / 2 s^2)`` with ``d`` the distance of the centres
    in mean box sides and ``s`` growing with time; likeness is the smaller over the larger width, times the same
    of the heights.
    """
    sides_a, sides_b = _sides(expected)[:, None], _sides(boxes)[None]
    steps = (_centres(expected)[:, None] - _centres(boxes)[None]) / ((sides_a + sides_b) / 2)
    spread = _STRAY_BOX_SIDES**2 * elapsed_seconds[:, None]
    nearness = np.exp(-(steps**2).sum(axis=-1) / (2 * spread))
    likeness = (np.minimum(sides_a, sides_b) / np.maximum(sides_a, sides_b)).prod(axis=-1)
    result: Float64Array = (iou(expected, boxes) + nearness * likeness) / 2
    return result


def _centres(boxes: Float64Array) -> Float64Array:
    return (boxes[..., :2] + boxes[..., 2:]) / 2


def _sides(boxes: Float64Array) -> Float64Array:
    return np.maximum(boxes[..., 2:] - boxes[..., :2], _SMALLEST_SIDE)


def _reading_order(detections: ActionDetections) -> npt.NDArray[np.intp]:
    """People from left to right (then by the other corners and the score), whatever order they came in."""
    columns: Sequence[npt.NDArray[np.float32]] = [detections.person_scores, *detections.boxes_fraction.T[::-1]]
    return np.lexsort(columns)
