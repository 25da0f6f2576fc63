"""Action tubes: from action scores per keyframe to time spans such as "person 3 talks from 12.5 to 19.5 s".

Each action score of each person is smoothed over time with a Gaussian (over the keyframes that contain the person, at
any spacing). Two thresholds then cut it into spans, like the edges of Canny's detector (1986): a tube extends as far as
the smoothed score stays at or above ``min_score``, and is kept if it reaches ``min_peak`` at least once. Short dips
therefore do not split a tube, and short peaks below ``min_peak`` do not create one. The span of a keyframe reaches half
way to its neighbours.

Shapes: K keyframes of a track or tube, C actions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt

from ava_detect.errors import AvaDetectError, shown
from ava_detect.structures import ActionDetections, Float32Array

Float64Array = npt.NDArray[np.float64]

_DEFAULT_SPACING_SECONDS = 1.0


@dataclass(frozen=True, eq=False)
class ActionTube:
    """One action of one person over a span of time, with K keyframes.

    Attributes:
        video_id: The video's name.
        track_id: The person's track id.
        action_id: The action's id.
        start_seconds: Start of the span, from the start of the file.
        end_seconds: End of the span, from the start of the file.
        timestamps_seconds: float64 ``[K]``, the times of the tube's keyframes, ascending.
        boxes_fraction: float32 ``[K, 4]``, the person's boxes on them, xyxy in fractions of the frame.
        scores: float32 ``[K]``, the smoothed scores of the action, in 0..1.
    """

    video_id: str
    track_id: int
    action_id: int
    start_seconds: float
    end_seconds: float
    timestamps_seconds: Float64Array
    boxes_fraction: Float32Array
    scores: Float32Array

    @property
    def mean_score(self) -> float:
        """Mean of the smoothed scores, in 0..1."""
        return float(self.scores.mean())

    @property
    def max_score(self) -> float:
        """Maximum of the smoothed scores, in 0..1."""
        return float(self.scores.max())

    def __repr__(self) -> str:
        return (
            f"ActionTube({self.video_id!r}, track={self.track_id}, action={self.action_id}, "
            f"{self.start_seconds:g}-{self.end_seconds:g}s, mean={self.mean_score:.2f})"
        )


def action_tubes(
    keyframes: Iterable[ActionDetections],
    *,
    min_peak: float = 0.5,
    min_score: float = 0.3,
    smoothing_seconds: float = 0.6,
) -> Iterator[ActionTube]:
    """Find the action tubes of linked keyframes.

    Args:
        keyframes: Keyframes with track ids, in time order; the keyframes of one video must be consecutive.
        min_peak: Smoothed score that a tube must reach at least once, in 0..1.
        min_score: Smallest smoothed score inside a tube, from 0 to ``min_peak``.
        smoothing_seconds: Standard deviation of the Gaussian, in seconds; 0 turns smoothing off. At the default, a
            keyframe at a distance of one second has a quarter of the central keyframe's weight.

    Yields:
        The tubes, video by video; those of a video by start time, track id and action id.

    Raises:
        AvaDetectError: If a setting is out of range or a keyframe has no track ids.
    """
    if not 0 <= min_score <= min_peak <= 1:
        raise AvaDetectError(
            f"`min_score` is a score from 0 to `min_peak`, and `min_peak` from `min_score` to 1, got {min_score} and "
            f"{min_peak}"
        )
    if not smoothing_seconds >= 0:
        raise AvaDetectError(f"`smoothing_seconds` must be 0 or more, got {smoothing_seconds}")
    for _, group in groupby(keyframes, key=lambda keyframe: keyframe.video_id):
        video_keyframes = list(group)
        half_spacing = median_spacing(video_keyframes) / 2
        tubes = [
            tube
            for track in _tracks(video_keyframes)
            for tube in track.tubes(min_peak, min_score, smoothing_seconds, half_spacing)
        ]
        yield from sorted(tubes, key=lambda tube: (tube.start_seconds, tube.track_id, tube.action_id))


def median_spacing(keyframes: Sequence[ActionDetections]) -> float:
    """Compute the median spacing of keyframes.

    Args:
        keyframes: The keyframes of one video, in time order.

    Returns:
        The median time between consecutive keyframes in seconds; 1 for fewer than two keyframes.
    """
    gaps = np.diff([keyframe.timestamp_seconds for keyframe in keyframes])
    return float(np.median(gaps)) if len(gaps) else _DEFAULT_SPACING_SECONDS


@dataclass(frozen=True, eq=False)
class _Track:
    """The keyframes of one person.

    Attributes:
        video_id: The video's name.
        track_id: The person's track id.
        action_ids: int64 ``[C]``.
        seconds: float64 ``[K]``, the keyframes' times, ascending.
        boxes: float32 ``[K, 4]`` xyxy, fractions of the frame.
        scores: float32 ``[K, C]``, in 0..1.
    """

    video_id: str
    track_id: int
    action_ids: npt.NDArray[np.int64]
    seconds: Float64Array
    boxes: Float32Array
    scores: Float32Array

    def tubes(self, min_peak: float, min_score: float, sigma: float, half_spacing: float) -> Iterator[ActionTube]:
        """Find the tubes of all actions; ``sigma`` and ``half_spacing`` in seconds."""
        smoothed = smooth(self.seconds, self.scores, sigma)  # [K, C]
        starts, ends = self._spans(half_spacing)  # [K], [K]
        # Only the actions that reach the upper threshold anywhere can have a tube.
        for column in np.flatnonzero(smoothed.max(axis=0) >= min_peak).tolist():
            # Each run of keyframes at or above the lower threshold is a candidate.
            for first, last in _runs(smoothed[:, column] >= min_score):
                scores = smoothed[first : last + 1, column]
                if scores.max() >= min_peak:
                    yield ActionTube(
                        self.video_id,
                        self.track_id,
                        int(self.action_ids[column]),
                        float(starts[first]),
                        float(ends[last]),
                        self.seconds[first : last + 1],
                        self.boxes[first : last + 1],
                        scores,
                    )

    def _spans(self, half_spacing: float) -> tuple[Float64Array, Float64Array]:
        """Compute the start ``[K]`` and end ``[K]`` of each keyframe's span, in seconds from 0."""
        # Half way to the neighbour, but at most half the usual spacing: a gap in the track stays uncovered.
        reach = np.minimum(np.diff(self.seconds) / 2, half_spacing)  # [K - 1]
        starts = np.maximum(self.seconds - np.append(half_spacing, reach), 0)
        return starts, self.seconds + np.append(reach, half_spacing)


def _tracks(keyframes: Sequence[ActionDetections]) -> Iterator[_Track]:
    """Collect the keyframes of each person of one video."""
    # track id -> (index of the keyframe, row of the person on it) of each appearance
    appearances: dict[int, list[tuple[int, int]]] = {}
    for index, keyframe in enumerate(keyframes):
        if keyframe.track_ids is None:
            raise AvaDetectError(
                f"{shown(keyframe.video_id)}, second {keyframe.timestamp_seconds:g}: the people have no track ids; "
                "link the keyframes first (ava_detect.structures.linking.Linker)"
            )
        for row, track_id in enumerate(keyframe.track_ids.tolist()):
            appearances.setdefault(track_id, []).append((index, row))
    for track_id, positions in appearances.items():
        seen = [(keyframes[index], row) for index, row in positions]
        yield _Track(
            keyframes[0].video_id,
            track_id,
            keyframes[0].action_ids,
            np.array([keyframe.timestamp_seconds for keyframe, _ in seen]),
            np.stack([keyframe.boxes_fraction[row] for keyframe, row in seen]),
            np.stack([keyframe.action_scores[row] for keyframe, row in seen]),
        )


def smooth(seconds: Float64Array, scores: Float32Array, sigma_seconds: float) -> Float32Array:
    """Smooth scores over time with a Gaussian, at any spacing of the keyframes.

    Args:
        seconds: Times ``[K]`` of the keyframes, strictly ascending.
        scores: Scores ``[K, C]``.
        sigma_seconds: Standard deviation of the Gaussian, in seconds; 0 returns ``scores``.

    Returns:
        Smoothed scores ``[K, C]``: for each keyframe the mean over all keyframes, weighted by a Gaussian of the
        difference of their times.
    """
    if sigma_seconds == 0 or len(seconds) < 2:
        return scores
    # Weights beyond four standard deviations are below 4e-4 and left out, so the cost grows linearly with K.
    reach = int(np.ceil(4 * sigma_seconds / np.diff(seconds).min()))
    # Each keyframe's own score has weight 1.
    total, weights = scores.astype(np.float64), np.ones((len(seconds), 1))  # [K, C], [K, 1]
    for offset in range(1, min(reach, len(seconds) - 1) + 1):
        # The pairs (k, k + offset): each adds the other's score with the same weight.
        apart = seconds[offset:] - seconds[:-offset]  # [K - offset]
        weight = np.exp(-(apart**2) / (2 * sigma_seconds**2))[:, None]  # [K - offset, 1]
        total[offset:] += weight * scores[:-offset]
        total[:-offset] += weight * scores[offset:]
        weights[offset:] += weight
        weights[:-offset] += weight
    smoothed: Float32Array = (total / weights).astype(np.float32)
    return smoothed


def _runs(mask: npt.NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Yield the first and last index of each run of True in a mask ``[K]``."""
    # With a zero on either side, a run starts where the difference is 1 and ends before the index where it is -1.
    steps = np.diff(np.concatenate([[0], mask.astype(np.int8), [0]]))  # [K + 1]
    firsts, ends = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    yield from zip(firsts.tolist(), (ends - 1).tolist(), strict=True)
