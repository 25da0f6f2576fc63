"""Action tubes: from a score a second to "person 3 talks from 12.5 to 19.5 s", with the boxes on the way.

Each person's score of each action is smoothed over time with a Gaussian (only over the keyframes that the person is on,
whatever their spacing), then cut by two thresholds, as edges are in Canny's detector (1986): a tube reaches as far as
the smoothed score stays at ``min_score``, and counts if it once reaches ``min_peak``. So it neither breaks at every dip
nor begins at every flicker. A keyframe stands for the time half the way to its neighbours.

Shapes: K keyframes of a track, C actions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt

from ava_detect.errors import AvaDetectError
from ava_detect.structures import ActionDetections, Float32Array

Float64Array = npt.NDArray[np.float64]

_DEFAULT_SPACING_SECONDS = 1.0


@dataclass(frozen=True, eq=False)
class ActionTube:
    """One person doing one thing for a while; K keyframes.

    ``start_seconds``, ``end_seconds``: from the start of the file. ``timestamps_seconds`` ``[K]``, ``boxes_fraction``
    ``[K, 4]`` xyxy and ``scores`` ``[K]``: the keyframes that it covers, where the person is on them, and the smoothed
    scores, of which ``mean_score`` and ``max_score`` are the mean and the maximum.
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
        """Greatest of the smoothed scores, in 0..1."""
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
    """The tubes of linked keyframes, video by video, each video's by start, then track and action.

    ``keyframes``: with track ids, in time order, those of one video together. ``min_peak``, ``min_score``: the two
    thresholds, ``0 <= min_score <= min_peak <= 1``. ``smoothing_seconds``: the Gaussian's standard deviation; 0 leaves
    the scores as they are. At the default a keyframe a second away weighs a quarter of the keyframe itself. Raises
    ``AvaDetectError`` for settings out of range and keyframes without track ids.
    """
    if not 0 <= min_score <= min_peak <= 1:
        raise AvaDetectError(
            f"min_score and min_peak are scores with 0 <= min_score <= min_peak <= 1, got {min_score} and {min_peak}"
        )
    if not smoothing_seconds >= 0:
        raise AvaDetectError(f"smoothing_seconds must be 0 or more, got {smoothing_seconds}")
    for _, group in groupby(keyframes, key=lambda keyframe: keyframe.video_id):
        of_video = list(group)
        half = usual_spacing(of_video) / 2
        tubes = [
            tube for track in _tracks(of_video) for tube in track.tubes(min_peak, min_score, smoothing_seconds, half)
        ]
        yield from sorted(tubes, key=lambda tube: (tube.start_seconds, tube.track_id, tube.action_id))


def usual_spacing(keyframes: Sequence[ActionDetections]) -> float:
    """The median time in seconds from keyframe to keyframe; 1 where there are fewer than two."""
    gaps = np.diff([keyframe.timestamp_seconds for keyframe in keyframes])
    return float(np.median(gaps)) if len(gaps) else _DEFAULT_SPACING_SECONDS


@dataclass(frozen=True, eq=False)
class _Track:
    """One person's keyframes: times ``[K]``, boxes ``[K, 4]``, action scores ``[K, C]``."""

    video_id: str
    track_id: int
    action_ids: npt.NDArray[np.int64]
    seconds: Float64Array
    boxes: Float32Array
    scores: Float32Array

    def tubes(self, min_peak: float, min_score: float, sigma: float, half_spacing: float) -> Iterator[ActionTube]:
        smoothed = smooth(self.seconds, self.scores, sigma)
        starts, ends = self._edges(half_spacing)
        for column in np.flatnonzero(smoothed.max(axis=0) >= min_peak).tolist():
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

    def _edges(self, half_spacing: float) -> tuple[Float64Array, Float64Array]:
        """The time that each keyframe stands for: half a spacing to both sides, less where the next is nearer."""
        reach = np.minimum(np.diff(self.seconds) / 2, half_spacing)
        starts = np.maximum(self.seconds - np.append(half_spacing, reach), 0)
        return starts, self.seconds + np.append(reach, half_spacing)


def _tracks(keyframes: Sequence[ActionDetections]) -> Iterator[_Track]:
    rows: dict[int, list[tuple[int, int]]] = {}
    for k, keyframe in enumerate(keyframes):
        if keyframe.track_ids is None:
            raise AvaDetectError(
                f"{keyframe.video_id}, second {keyframe.timestamp_seconds:g}: the people have no track ids; link the "
                "keyframes first (ava_detect.structures.linking.Linker)"
            )
        for row, track_id in enumerate(keyframe.track_ids.tolist()):
            rows.setdefault(track_id, []).append((k, row))
    for track_id, places in rows.items():
        seen = [(keyframes[k], row) for k, row in places]
        yield _Track(
            keyframes[0].video_id,
            track_id,
            keyframes[0].action_ids,
            np.array([keyframe.timestamp_seconds for keyframe, _ in seen]),
            np.stack([keyframe.boxes_fraction[row] for keyframe, row in seen]),
            np.stack([keyframe.action_scores[row] for keyframe, row in seen]),
        )


def smooth(seconds: Float64Array, scores: Float32Array, sigma_seconds: float) -> Float32Array:
    """``scores`` ``[K, C]`` at rising times ``[K]``: each becomes a mean, weighted by a Gaussian of time."""
    if sigma_seconds == 0 or len(seconds) < 2:
        return scores
    # Beyond four standard deviations a weight is below 4e-4; a band keeps the cost linear in K.
    reach = int(np.ceil(4 * sigma_seconds / np.diff(seconds).min()))
    total, weights = scores.astype(np.float64), np.ones((len(seconds), 1))
    for offset in range(1, min(reach, len(seconds) - 1) + 1):
        apart = seconds[offset:] - seconds[:-offset]
        weight = np.exp(-(apart**2) / (2 * sigma_seconds**2))[:, None]
        total[offset:] += weight * scores[:-offset]
        total[:-offset] += weight * scores[offset:]
        weights[offset:] += weight
        weights[:-offset] += weight
    smoothed: Float32Array = (total / weights).astype(np.float32)
    return smoothed


def _runs(mask: npt.NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """First and last index of every run of True."""
    steps = np.diff(np.concatenate([[0], mask.astype(np.int8), [0]]))
    firsts, ends = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    yield from zip(firsts.tolist(), (ends - 1).tolist(), strict=True)
