"""Linking people across keyframes: track ids that are equal for the same person.

Keyframes are about a second apart, so a walking person's boxes often do not overlap, and IoU alone loses the person.
The box of each track is therefore predicted at constant velocity (as in SORT, Bewley et al. 2016, arXiv:1602.00763);
the similarity of a predicted box and a new one is the mean of their IoU and of a term for their distance and sizes; and
the Hungarian method chooses the pairs of greatest total similarity. Only boxes are used, no pixels and no torch. Tracks
end at hard cuts, which boxes do not show: the caller passes the shot of each keyframe (``video/cuts.py`` finds shots).

Shapes: N people on the keyframe, T tracks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ava_detect.errors import AvaDetectError, shown
from ava_detect.structures import ActionDetections
from ava_detect.structures.boxes import iou

Float64Array = npt.NDArray[np.float64]

# Standard deviation of a person's deviation from constant velocity after one second, in sides of the person's box
# (widths horizontally, heights vertically). It grows with the square root of time, as in a random walk.
_DEVIATION_BOX_SIDES = 1.6
# Applied to the similarities of tracks that were missing on the last keyframe: a track that was present and fits
# equally well is preferred.
_MISSING_FACTOR = 0.8
# Lower bound of a box side, so that a box without area causes no division by zero.
_MIN_SIDE = 1e-6
_NO_TRACK = 0  # track ids count from 1


@dataclass
class _Track:
    """The last known state of one person.

    Attributes:
        track_id: The person's id, from 1.
        box: ``[4]`` xyxy on the last keyframe with the person, fractions of the frame.
        seen_seconds: The time of that keyframe.
        velocity: ``[2]`` of the box's centre, fractions of the frame per second.
        shot: The number of the shot in which the person was seen.
    """

    track_id: int
    box: Float64Array
    seen_seconds: float
    velocity: Float64Array
    shot: int

    def predict(self, timestamp_seconds: float) -> Float64Array:
        """Move the box to a later time at constant velocity: ``[4]``."""
        shift = self.velocity * (timestamp_seconds - self.seen_seconds)  # [2]
        result: Float64Array = self.box + np.concatenate([shift, shift])
        return result

    def update(self, box: Float64Array, timestamp_seconds: float) -> None:
        """Set the velocity to that of the last step, and the state to the new box."""
        self.velocity = (_centres(box) - _centres(self.box)) / (timestamp_seconds - self.seen_seconds)
        self.box, self.seen_seconds = box, timestamp_seconds


_MAX_GAP_IN_KEYFRAMES = 2.5
# More pairs of a track and a box are not all compared: two thousand people on a keyframe and on the one before.
_MAX_PAIRS = 4_000_000
# Boxes that are compared with a track then.
_NEIGHBOURS = 16


def max_gap_seconds(keyframe_seconds: float) -> float:
    """Return how long a person may be out of sight and still keep their track id: 2.5 keyframe intervals.

    One keyframe on which the person is not detected is bridged, also where the spacing is slightly irregular.

    Args:
        keyframe_seconds: Usual spacing of keyframes, seconds.

    Returns:
        The gap for ``Linker(max_gap_seconds=...)``, seconds.
    """
    return _MAX_GAP_IN_KEYFRAMES * keyframe_seconds


class Linker:
    """Assigns track ids to the people of a video, keyframe by keyframe in time order.

    Ids count from 1 in each video, are given to the new people of a keyframe from left to right, and are never reused.
    The result does not depend on the order of the people on a keyframe. Memory holds only the people seen within
    ``max_gap_seconds``.

    Args:
        max_gap_seconds: Longest time, above 0, between two consecutive keyframes of one person. The default allows
            one missed detection at keyframes a second apart. Keyframes further apart than this are never linked;
            choose about 2.5 times their spacing.
        min_similarity: Smallest similarity of a linked pair, above 0 and at most 1. At the default, boxes of equal
            size a second apart and without overlap link up to 2.5 box sides from the predicted position.
        start_score: Smallest person score, in 0..1, that starts a track. A person below it is kept only as the
            continuation of a track. 0 keeps every person.

    Attributes:
        max_gap_seconds: As above; it may be changed between keyframes whose spacing changes.

    Raises:
        AvaDetectError: If a setting is out of range.

    Example:
        >>> linker = Linker()
        >>> linked = [linker.update(keyframe) for keyframe in detections]
    """

    def __init__(self, max_gap_seconds: float = 2.5, min_similarity: float = 0.15, *, start_score: float = 0.0) -> None:
        if not max_gap_seconds > 0:
            raise AvaDetectError(f"max_gap_seconds must be above 0, got {max_gap_seconds}")
        if not 0 < min_similarity <= 1:
            raise AvaDetectError(f"min_similarity must be above 0 and at most 1, got {min_similarity}")
        if not 0 <= start_score <= 1:
            raise AvaDetectError(f"start_score is a person score from 0 to 1, got {start_score}")
        self.max_gap_seconds = max_gap_seconds
        self._min_similarity = min_similarity
        self._start_score = start_score
        self._reset()

    def _reset(self, video_id: str | None = None) -> None:
        self._video_id = video_id
        self._tracks: list[_Track] = []
        self._num_ids = 0
        self._last_seconds = -np.inf

    def update(self, detections: ActionDetections, *, shot: int = 0) -> ActionDetections:
        """Link the people of the next keyframe to the known tracks.

        Args:
            detections: The keyframe; track ids that it already has are replaced. A ``video_id`` other than that of
                the keyframe before resets the linker.
            shot: Number of the keyframe's shot (the stretch of video between two hard cuts). People are linked only
                within a shot.

        Returns:
            The same people in the same order with ``track_ids``, without those that are below ``start_score`` and
            continue no track.

        Raises:
            AvaDetectError: If the keyframe is not later than the one before.
        """
        now = detections.timestamp_seconds
        if detections.video_id != self._video_id:
            self._reset(detections.video_id)
        if not now > self._last_seconds:
            raise AvaDetectError(
                f"{shown(detections.video_id)}: keyframe at {now:g} s after the one at {self._last_seconds:g} s; link "
                "the keyframes of a video in the order of their time, each once"
            )
        # Drop tracks that were not seen for too long.
        self._tracks = [track for track in self._tracks if now - track.seen_seconds <= self.max_gap_seconds]
        # Assign in an order that depends on the boxes only, then write the ids back in the keyframe's own order.
        order = _left_to_right(detections)  # [N]
        boxes = detections.boxes_fraction[order].astype(np.float64)  # [N, 4]
        can_start = detections.person_scores[order] >= self._start_score  # [N]
        track_ids = np.full(len(boxes), _NO_TRACK, np.int64)
        track_ids[order] = self._assign(boxes, can_start, now, shot)
        self._last_seconds = now
        linked = replace(detections, track_ids=track_ids)
        return linked if track_ids.all() else linked[track_ids != _NO_TRACK]

    def _assign(self, boxes: Float64Array, can_start: npt.NDArray[np.bool_], now: float, shot: int) -> list[int]:
        """Update the tracks with the new boxes and return the id of each box.

        Args:
            boxes: ``[N, 4]``, from left to right.
            can_start: Bool ``[N]``: whether a box may start a track.
            now: The keyframe's time in seconds.
            shot: The keyframe's shot.

        Returns:
            N track ids, ``_NO_TRACK`` for a box that continues no track and may not start one.
        """
        is_crowd = len(self._tracks) * len(boxes) > _MAX_PAIRS
        pairs = self._pairs_in_crowd if is_crowd else self._pairs
        track_of_box = pairs(boxes, can_start, now, shot)
        track_ids = [_NO_TRACK] * len(boxes)
        for index, box in enumerate(boxes):
            if index in track_of_box:
                track = self._tracks[track_of_box[index]]
                track.update(box, now)
                track_ids[index] = track.track_id
            elif can_start[index]:
                # The new track is appended behind the T tracks that the pairs refer to.
                self._num_ids += 1
                self._tracks.append(_Track(self._num_ids, box, now, np.zeros(2), shot))
                track_ids[index] = self._num_ids
        return track_ids

    def _pairs(self, boxes: Float64Array, can_start: npt.NDArray[np.bool_], now: float, shot: int) -> dict[int, int]:
        """The pairs of the greatest total similarity, box -> track."""
        scores = self._similarities(boxes, now)  # [T, N]
        # A similarity of 0 forbids a pair: too little alike, or in different shots.
        scores[scores < self._min_similarity] = 0
        scores[[track.shot != shot for track in self._tracks]] = 0
        # First the boxes that could start a track, so that an uncertain box never takes a track from one of them.
        track_of_box = _best_pairs(np.where(can_start, scores, 0))
        # Then the others, among the tracks that are left.
        scores[[*track_of_box.values()]] = 0
        return track_of_box | _best_pairs(np.where(can_start, 0, scores))

    def _pairs_in_crowd(
        self, boxes: Float64Array, can_start: npt.NDArray[np.bool_], now: float, shot: int
    ) -> dict[int, int]:
        """Pairs among thousands of people, box -> track: the most alike first, among each track's nearest boxes.

        Time and memory grow with the number of people, not with its third and second power.
        """
        from scipy.spatial import cKDTree  # slow to import, and few videos have so many people

        predicted, elapsed, factors = self._expectations(now)
        number = min(_NEIGHBOURS, len(boxes))
        _, found = cKDTree(_centres(boxes)).query(_centres(predicted), k=range(1, number + 1))
        near = np.asarray(found)  # [T, number]
        scores = np.concatenate(
            [
                factors[i] * similarities(predicted[i : i + 1], boxes[near[i]], elapsed[i : i + 1])
                for i in range(len(predicted))
            ]
        )  # [T, number]
        scores[scores < self._min_similarity] = 0
        scores[[track.shot != shot for track in self._tracks]] = 0
        tracks = np.repeat(np.arange(len(predicted)), number)  # [T * number], as are the others
        near, scores = near.ravel(), scores.ravel()
        # Boxes that could start a track come first here, too.
        order = np.lexsort((-scores, ~can_start[near]))
        track_of_box: dict[int, int] = {}
        taken: set[int] = set()
        for track, box, score in zip(tracks[order].tolist(), near[order].tolist(), scores[order].tolist(), strict=True):
            if score > 0 and box not in track_of_box and track not in taken:
                track_of_box[box] = track
                taken.add(track)
        return track_of_box

    def _expectations(self, now: float) -> tuple[Float64Array, Float64Array, Float64Array]:
        """Each track's predicted box ``[T, 4]``, the seconds since it was seen and a factor of its similarities."""
        predicted = np.stack([track.predict(now) for track in self._tracks])  # [T, 4]
        elapsed = np.array([now - track.seen_seconds for track in self._tracks])  # [T]
        is_missing = np.array([track.seen_seconds < self._last_seconds for track in self._tracks])  # [T]
        return predicted, elapsed, np.where(is_missing, _MISSING_FACTOR, 1.0)

    def _similarities(self, boxes: Float64Array, now: float) -> Float64Array:
        """Compute the similarity ``[T, N]`` of each track's predicted box and each new box ``[N, 4]``."""
        if not self._tracks:
            return np.zeros((0, len(boxes)))
        predicted, elapsed, factors = self._expectations(now)
        return factors[:, None] * similarities(predicted, boxes, elapsed)


def _best_pairs(scores: Float64Array) -> dict[int, int]:
    """Match tracks to boxes, ``scores`` ``[T, N]``: box -> track, of the pairs above 0 with the greatest total."""
    if not scores.any():
        return {}
    from scipy.optimize import linear_sum_assignment  # slow to import: a fifth of a second where nothing is linked

    tracks, boxes = linear_sum_assignment(scores, maximize=True)
    return {int(box): int(track) for track, box in zip(tracks, boxes, strict=True) if scores[track, box] > 0}


def similarities(expected: Float64Array, boxes: Float64Array, elapsed_seconds: Float64Array) -> Float64Array:
    """Compute the similarity of predicted and observed boxes: the mean of IoU and of proximity times size similarity.

    Proximity is ``exp(-d^2 / 2 s^2)``, where d is the distance of the centres in mean box sides and s the expected
    deviation, which grows with the square root of time. Size similarity is the ratio of the smaller to the larger
    width, times the same ratio of the heights.

    Args:
        expected: Predicted boxes ``[T, 4]``, xyxy.
        boxes: Observed boxes ``[N, 4]``, xyxy in the same unit.
        elapsed_seconds: Time ``[T]``, above 0, since each person of ``expected`` was seen.

    Returns:
        Similarities ``[T, N]``, in 0..1.
    """
    sides_a, sides_b = _sides(expected)[:, None], _sides(boxes)[None]  # [T, 1, 2], [1, N, 2]: width, height
    # Horizontal and vertical distance of the centres, each in the mean of the two boxes' sides.
    steps = (_centres(expected)[:, None] - _centres(boxes)[None]) / ((sides_a + sides_b) / 2)  # [T, N, 2]
    # The variance s^2 of a random walk grows in proportion to time.
    variance = _DEVIATION_BOX_SIDES**2 * elapsed_seconds[:, None]  # [T, 1]
    proximity = np.exp(-(steps**2).sum(axis=-1) / (2 * variance))  # [T, N]
    size_similarity = (np.minimum(sides_a, sides_b) / np.maximum(sides_a, sides_b)).prod(axis=-1)  # [T, N]
    result: Float64Array = (iou(expected, boxes) + proximity * size_similarity) / 2
    return result


def _centres(boxes: Float64Array) -> Float64Array:
    """Compute centres: ``[..., 4]`` xyxy -> ``[..., 2]``."""
    return (boxes[..., :2] + boxes[..., 2:]) / 2


def _sides(boxes: Float64Array) -> Float64Array:
    """Compute widths and heights, at least ``_MIN_SIDE``: ``[..., 4]`` xyxy -> ``[..., 2]``."""
    return np.maximum(boxes[..., 2:] - boxes[..., :2], _MIN_SIDE)


def _left_to_right(detections: ActionDetections) -> npt.NDArray[np.intp]:
    """Sort people by x1, then y1, x2, y2 and score: indices ``[N]`` that do not depend on the order of the input."""
    # lexsort's last key is its primary one.
    columns: Sequence[npt.NDArray[np.float32]] = [detections.person_scores, *detections.boxes_fraction.T[::-1]]
    return np.lexsort(columns)
