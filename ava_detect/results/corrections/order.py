"""Which keyframes a person should look at first: those from which the next model learns most.

Three criteria of active learning, for each keyframe the sum over its people:

- **doubtful actions**: the entropy of each action score (uncertainty sampling; Lewis & Gale, SIGIR 1994);
- **changes within a track**: how far a person's action scores disagree with those on the keyframes before and after, as
  the Jensen-Shannon divergence of each score (disagreement of a committee, McCallum & Nigam, ICML 1998, whose members
  are the moments of a video: Bengar et al., "Temporal Coherence for Active Learning in Videos", ICCV Workshops 2019);
- **doubtful people**: the entropy of the person's score, and 1 bit for a person who is missing between two keyframes of
  their track.

In the first two, an action counts by the inverse root of its frequency in the results, since the mAP is a mean over
actions. Each criterion is divided by its mean over all keyframes, so that all have the same say whatever the number of
actions; their mean is the keyframe's *usefulness*.

The keyframes are then taken greedily, since the most useful ones are often neighbours (core-set selection: Sener &
Savarese, ICLR 2018). A keyframe counts less the nearer it is in time to one that was taken and shows the same tracks,
and the more of its video was taken already.

Shapes: K keyframes and P people of a video (a person counts once per keyframe), C actions.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from ava_detect.errors import ConfigError, shown
from ava_detect.results.corrections.folder import CORRECTIONS_FILE
from ava_detect.results.corrections.truth import read_reviewed
from ava_detect.results.people_table import PeopleTable
from ava_detect.results.saved import ReadOptions, read_saved_results
from ava_detect.structures import ActionDetections
from ava_detect.structures.linking import max_gap_seconds

Key = tuple[str, float]
Float64Array = npt.NDArray[np.float64]
KeyframesByVideo = Mapping[str, Sequence[ActionDetections]]

ORDERS = ("useful", "time")
# Usefulness of a keyframe of which the results give no doubt, such as one without people; the mean keyframe has 1.
_LEAST_USEFULNESS = 0.05
# Keyframes of the same people this far apart are 0.61 alike, at twice the time 0.14.
_SIMILAR_SECONDS = 2.0
# Beyond so many times that, keyframes are not alike.
_LARGEST_DISTANCE = 4.0
_TIME_DECIMALS = 6  # as the keyframes of an evaluation are told apart


def review_order(
    keyframes_by_video: KeyframesByVideo,
    budget: int | None = None,
    kind: str = "useful",
    *,
    reviewed: Collection[Key] = (),
) -> list[Key]:
    """Choose the keyframes to review, the first to look at first.

    A greater budget continues the order of a smaller one.

    Args:
        keyframes_by_video: The keyframes of each video in time order, with track ids, as ``read_saved_results`` gives
            them; the keyframes of a video have the same score columns.
        budget: Number of keyframes, at least 1; None for all.
        kind: ``"useful"``: those that teach most first; ``"time"``: one video after another, in the order of time.
        reviewed: Keyframes (video id, seconds) that are done. They are left out, and ``"useful"`` avoids what is like
            them.

    Returns:
        Video id and seconds of each chosen keyframe, as the keyframes have them.

    Raises:
        ConfigError: ``budget`` or ``kind`` is out of range.

    Example:
        >>> found = {saved.video_id: saved.keyframes for saved in read_saved_results("results")}
        >>> review_order(found, 100)
    """
    if budget is not None and budget < 1:
        raise ConfigError(f"`budget` is the number of keyframes to review, at least 1, got {budget}")
    if kind not in ORDERS:
        raise ConfigError(f"`kind` is one of {', '.join(ORDERS)}, got {shown(kind)!r}")
    done = {(video_id, round(seconds, _TIME_DECIMALS)) for video_id, seconds in reviewed}
    if kind == "time":
        keys = [
            (video_id, keyframe.timestamp_seconds)
            for video_id, keyframes in keyframes_by_video.items()
            for keyframe in sorted(keyframes, key=lambda keyframe: keyframe.timestamp_seconds)
            if (video_id, round(keyframe.timestamp_seconds, _TIME_DECIMALS)) not in done
        ]
        return keys[:budget]
    return _greedy_order(_candidates(keyframes_by_video, usefulness(keyframes_by_video)), budget, done)


def keyframes_to_review(
    results: str | Path,
    options: ReadOptions | None = None,
    budget: int | None = None,
    kind: str = "useful",
    *,
    corrections: str | Path | None = None,
) -> list[Key]:
    """Choose the keyframes of saved results to review, the first to look at first; see ``review_order``.

    Args:
        results: The folder that ``annotate_videos`` wrote, or one file of results.
        options: How the results are read.
        budget: Number of keyframes, at least 1; None for all.
        kind: ``"useful"`` or ``"time"``.
        corrections: A folder of corrections, whose accepted keyframes are done; None, or one that does not exist yet,
            where nothing is done.

    Returns:
        Video id and seconds, from the start of the file, of each chosen keyframe.

    Raises:
        ConfigError: ``budget`` or ``kind`` is out of range.
        FormatError: There are no results, or the corrections are damaged.
    """
    found = {saved.video_id: saved.keyframes for saved in read_saved_results(results, options)}
    has_begun = corrections is not None and (Path(corrections) / CORRECTIONS_FILE).is_file()
    reviewed = read_reviewed(corrections).keyframes if corrections is not None and has_begun else ()
    return review_order(found, budget, kind, reviewed=reviewed)


def usefulness(keyframes_by_video: KeyframesByVideo) -> dict[str, Float64Array]:
    """Compute how much each keyframe would teach, apart from all others.

    Args:
        keyframes_by_video: As for ``review_order``.

    Returns:
        By video id float64 ``[K]``, at least 0.05; the mean over all keyframes is about 1.
    """
    weights = _action_weights(keyframes_by_video)
    criteria = {video_id: _criteria(keyframes, weights) for video_id, keyframes in keyframes_by_video.items()}
    of_all = np.concatenate([np.zeros((0, 3)), *criteria.values()])
    means = of_all.sum(axis=0) / max(1, len(of_all))
    # A criterion that is 0 everywhere, such as that of people where a detector gives no scores, has no say.
    is_known = means > 0
    return {
        video_id: _LEAST_USEFULNESS + (values[:, is_known] / means[is_known]).sum(axis=1) / max(1, is_known.sum())
        for video_id, values in criteria.items()
    }


def _action_weights(keyframes_by_video: KeyframesByVideo) -> dict[int, float]:
    """The weight of each action: the inverse root of its expected number of people, relative to the mean action's."""
    expected: dict[int, float] = {}
    for keyframes in keyframes_by_video.values():
        for keyframe in keyframes:
            sums = keyframe.action_scores.sum(axis=0, dtype=np.float64)
            for action_id, number in zip(keyframe.action_ids.tolist(), sums.tolist(), strict=True):
                expected[action_id] = expected.get(action_id, 0.0) + number
    mean = sum(expected.values()) / max(1, len(expected))
    # The 1 added to both keeps the weight of an action that was never seen finite.
    return {action_id: float(np.sqrt((mean + 1) / (number + 1))) for action_id, number in expected.items()}


def _criteria(keyframes: Sequence[ActionDetections], weights: Mapping[int, float]) -> Float64Array:
    """The three criteria of each keyframe of a video, ``[K, 3]``: doubtful actions, changes, doubtful people."""
    if not keyframes:
        return np.zeros((0, 3))
    people = PeopleTable.from_keyframes(keyframes, keyframes[0].action_scores.shape[1])
    weight = np.array([weights[action_id] for action_id in keyframes[0].action_ids.tolist()])  # [C]
    assert people.person_scores is not None
    num_keyframes, keyframe_of = len(people.timestamps_seconds), people.keyframe_of
    scores = people.action_scores.astype(np.float64)  # [P, C]
    doubtful = _entropy(scores) @ weight  # [P]
    changes, missing = np.zeros(len(people)), np.zeros(num_keyframes)
    if people.track_ids is not None:
        first, second = _neighbours(people)  # the people of each pair of neighbours within a track
        divergence = _divergence(scores[first], scores[second]) @ weight  # [pairs]
        number = np.bincount(first, minlength=len(people)) + np.bincount(second, minlength=len(people))  # [P], 0 to 2
        total = np.bincount(first, divergence, len(people)) + np.bincount(second, divergence, len(people))
        changes = total / np.maximum(number, 1)
        for before, after in zip(keyframe_of[first].tolist(), keyframe_of[second].tolist(), strict=True):
            missing[before + 1 : after] += 1.0
    unsure = _entropy(people.person_scores.astype(np.float64))  # [P]
    sums = [np.bincount(keyframe_of, values, num_keyframes) for values in (doubtful, changes, unsure)]
    return np.column_stack([sums[0], sums[1], sums[2] + missing]).astype(np.float64)


def _neighbours(people: PeopleTable) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Rows of the people who follow each other in a track, closer in time than a track may have gaps."""
    assert people.track_ids is not None
    keyframe_of = people.keyframe_of
    order = np.lexsort((keyframe_of, people.track_ids))  # track after track, in time order
    first, second = order[:-1], order[1:]
    times = people.timestamps_seconds[keyframe_of]
    gap = times[second] - times[first]
    is_pair = people.track_ids[first] == people.track_ids[second]
    is_pair &= (gap > 0) & (gap <= max_gap_seconds(people.spacing_seconds))
    return first[is_pair], second[is_pair]


def _entropy(scores: Float64Array) -> Float64Array:
    """The entropy in bits of a yes or no with each probability; 0 at 0 and 1, 1 at 0.5."""
    p = np.clip(scores, 0.0, 1.0)
    parts = [np.where(q > 0, -q * np.log2(np.maximum(q, np.finfo(np.float64).tiny)), 0.0) for q in (p, 1 - p)]
    result: Float64Array = parts[0] + parts[1]
    return result


def _divergence(one: Float64Array, other: Float64Array) -> Float64Array:
    """The Jensen-Shannon divergence in bits of two such probabilities; 0 for equal ones, 1 for 0 and 1."""
    result: Float64Array = _entropy((one + other) / 2) - (_entropy(one) + _entropy(other)) / 2
    return np.maximum(result, 0.0)  # equal scores may give -1e-17


@dataclass
class _Candidates:
    """The keyframes of one video that may still be taken.

    Attributes:
        video_id: Id of the video.
        seconds: Times ``[K]``, ascending.
        usefulness: ``[K]``.
        tracks: The track ids on each keyframe.
        novelty: ``[K]``, 1 minus the likeness to the keyframe that is most alike among those taken.
        is_open: Bool ``[K]``, False for those taken.
        num_taken: Number of keyframes taken.
    """

    video_id: str
    seconds: Float64Array
    usefulness: Float64Array
    tracks: list[frozenset[int]]
    novelty: Float64Array = field(init=False)
    is_open: npt.NDArray[np.bool_] = field(init=False)
    num_taken: int = 0

    def __post_init__(self) -> None:
        self.novelty = np.ones(len(self.seconds))
        self.is_open = np.ones(len(self.seconds), np.bool_)

    @classmethod
    def of(cls, video_id: str, keyframes: Sequence[ActionDetections], values: Float64Array) -> Self:
        """Build from the keyframes of a video and their usefulness ``[K]`` in time order."""
        ordered = sorted(keyframes, key=lambda keyframe: keyframe.timestamp_seconds)
        seconds = np.array([keyframe.timestamp_seconds for keyframe in ordered], np.float64)
        tracks = [frozenset(() if k.track_ids is None else k.track_ids.tolist()) for k in ordered]
        return cls(video_id, seconds, values, tracks)

    def best(self) -> tuple[int, float]:
        """Return the keyframe of the greatest gain, and the gain; -1 where none is open."""
        gains = np.where(self.is_open, self.usefulness * self.novelty, -1.0)
        index = int(gains.argmax())
        return index, float(gains[index])

    def take(self, index: int) -> None:
        """Take a keyframe; those alike become less novel."""
        self.is_open[index] = False
        self.num_taken += 1
        reach = _LARGEST_DISTANCE * _SIMILAR_SECONDS
        first, last = np.searchsorted(self.seconds, [self.seconds[index] - reach, self.seconds[index] + reach])
        near = slice(int(first), int(last))
        distance = (self.seconds[near] - self.seconds[index]) / _SIMILAR_SECONDS
        shared = np.array([_overlap(self.tracks[index], tracks) for tracks in self.tracks[near]])
        likeness = np.exp(-(distance**2) / 2) * shared
        self.novelty[near] = np.minimum(self.novelty[near], 1 - likeness)


def _overlap(one: frozenset[int], other: frozenset[int]) -> float:
    """The share of tracks that two keyframes have in common; two keyframes without people are alike."""
    return len(one & other) / len(one | other) if one or other else 1.0


def _candidates(keyframes_by_video: KeyframesByVideo, values: Mapping[str, Float64Array]) -> list[_Candidates]:
    return [
        _Candidates.of(video_id, keyframes, values[video_id])
        for video_id, keyframes in keyframes_by_video.items()
        if len(keyframes)
    ]


def _greedy_order(videos: Sequence[_Candidates], budget: int | None, done: Collection[Key]) -> list[Key]:
    """Take the keyframe of the greatest gain until the budget is spent; of equals the first video and time.

    The gain is usefulness times novelty, over 1 + the ratio of the share of the video's keyframes that was taken to
    the share of all keyframes that will have been taken: a video that has had its share counts half.
    """
    for video in videos:
        for index, seconds in enumerate(video.seconds.tolist()):
            if (video.video_id, round(seconds, _TIME_DECIMALS)) in done:
                video.take(index)
    lengths = np.array([len(video.seconds) for video in videos])
    num_taken = np.array([video.num_taken for video in videos])
    best = [video.best() for video in videos]
    gains = np.array([gain for _, gain in best])
    order: list[Key] = []
    num_open = int(lengths.sum() - num_taken.sum())
    for _ in range(num_open if budget is None else min(budget, num_open)):
        ratio = num_taken / lengths * lengths.sum() / (num_taken.sum() + 1)
        chosen = int(np.where(gains < 0, -1.0, gains / (1 + ratio)).argmax())
        video, index = videos[chosen], best[chosen][0]
        order.append((video.video_id, float(video.seconds[index])))
        video.take(index)
        num_taken[chosen] += 1
        best[chosen] = video.best()
        gains[chosen] = best[chosen][1]
    return order
