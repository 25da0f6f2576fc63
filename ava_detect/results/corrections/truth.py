"""Ground truth from corrections: the rows of the keyframes that a person accepted, and a part to hold out.

An accepted keyframe is complete: each person on it has a box, and an action that is not ticked is not performed. A
keyframe that was not accepted, changed or not, says nothing and gives no row.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from ava_detect.errors import ConfigError, counted
from ava_detect.formats.ava_table import AvaTable
from ava_detect.results.corrections.folder import read_info, read_logs, torn_notices
from ava_detect.results.corrections.keyframes import CorrectedKeyframe
from ava_detect.structures import boxes as box_ops
from ava_detect.structures.labels import NO_ACTION, LabelMap
from ava_detect.structures.video_ids import composed

Key = tuple[str, float]
Part = Literal["train", "held_out", "between"]
# A box of the results that overlaps no person by as much is a false detection, as an evaluation counts it.
_SAME_PERSON_IOU = 0.5
_NAN_BOX = (math.nan, math.nan, math.nan, math.nan)


@dataclass(frozen=True, eq=False)
class ReviewedTruth:
    """The accepted keyframes of a folder of corrections. Times are in seconds from the start of each video file.

    Attributes:
        keyframes: Video id and time of each accepted keyframe, video after video in time order.
        rows: Their ground truth: a row per person and action with the track id as person id, one row without an action
            for a person who performs none, and one of video and time alone for a keyframe without people.
        rejected: False detections: boxes of the results on these keyframes that overlap no person; a row each, without
            action.
        label_map: The actions that could be ticked.
        results: Path of the results that were corrected, as it was then.
        num_unaccepted: Number of keyframes that were changed but not accepted.
        notices: Sentences on what could not be read.
    """

    keyframes: tuple[Key, ...]
    rows: AvaTable
    rejected: AvaTable
    label_map: LabelMap
    results: Path
    num_unaccepted: int = 0
    notices: tuple[str, ...] = ()


def read_reviewed(folder: str | Path) -> ReviewedTruth:
    """Read the ground truth of a folder of corrections.

    Args:
        folder: The folder that ``ava-detect review`` wrote.

    Returns:
        The ground truth; empty where no keyframe is accepted.

    Raises:
        FormatError: The folder holds no corrections, or a file is damaged; names the file and the line.
        OSError: A file cannot be read.
    """
    folder = Path(folder)
    info = read_info(folder)
    logs = read_logs(folder, info)
    keyframes: list[Key] = []
    rows: list[_Row] = []
    rejected: list[_Row] = []
    num_unaccepted = 0
    for log in sorted(logs.values(), key=lambda log: log.base.video_id):
        changed = set(log.video.changed_since(0))
        for seconds, keyframe in log.video.keyframes.items():
            if keyframe.is_accepted:
                key = (log.base.video_id, seconds)
                keyframes.append(key)
                rows += _true_rows(key, keyframe)
                rejected += _rejected_rows(key, log.base.keyframes[seconds], keyframe)
            elif seconds in changed:
                num_unaccepted += 1
    return ReviewedTruth(
        tuple(keyframes),
        _table(rows),
        _table(rejected),
        info.label_map,
        Path(info.results),
        num_unaccepted,
        tuple(torn_notices(logs)),
    )


_Row = tuple[Key, tuple[float, float, float, float], int, int]  # keyframe, box, action id, person id


def _true_rows(key: Key, keyframe: CorrectedKeyframe) -> list[_Row]:
    if not keyframe.people:
        return [(key, _NAN_BOX, NO_ACTION, -1)]
    return [
        # A person id is a whole number from 0 up; a track of the results may have another.
        (key, person.box_fraction, action_id, max(track, -1))
        for track, person in keyframe.people.items()
        for action_id in person.actions or (NO_ACTION,)
    ]


def _rejected_rows(key: Key, before: CorrectedKeyframe, keyframe: CorrectedKeyframe) -> list[_Row]:
    """Rows of the boxes of the results that overlap no person of the corrected keyframe."""
    people = list(before.people.values())
    found = np.array([person.box_fraction for person in people], np.float64).reshape(-1, 4)
    true = np.array([person.box_fraction for person in keyframe.people.values()], np.float64).reshape(-1, 4)
    best = box_ops.iou(found, true).max(axis=1, initial=0.0)  # [found]
    false = np.flatnonzero(best < _SAME_PERSON_IOU).tolist()
    return [(key, people[index].box_fraction, NO_ACTION, -1) for index in false]


def _table(rows: Iterable[_Row]) -> AvaTable:
    listed = list(rows)
    return AvaTable.from_columns(
        [key[0] for key, _, _, _ in listed],
        [key[1] for key, _, _, _ in listed],
        [box for _, box, _, _ in listed],
        [action_id for _, _, action_id, _ in listed],
        person_ids=[person_id for _, _, _, person_id in listed],
    )


@dataclass(frozen=True)
class HeldOut:
    """Which keyframes are held out of a training, to measure on.

    Attributes:
        videos: Videos that are held out as a whole, or, with ``from_seconds``, the one that is held out in part.
        from_seconds: Time from which that video is held out; None for whole videos.
        gap_seconds: Time before ``from_seconds`` in which keyframes are neither trained on nor measured on, because
            their clips share frames with those held out.
    """

    videos: frozenset[str] = frozenset()
    from_seconds: float | None = None
    gap_seconds: float = 0.0

    def part_of(self, video_id: str, seconds: float) -> Part:
        """Return the part that a keyframe belongs to.

        Args:
            video_id: Id of the video.
            seconds: Time from the start of the file.

        Returns:
            ``"train"``, ``"held_out"``, or ``"between"``: neither.
        """
        if composed(video_id) not in self.videos:
            return "train"
        if self.from_seconds is None or seconds >= self.from_seconds:
            return "held_out"
        return "between" if seconds > self.from_seconds - self.gap_seconds else "train"


def hold_out(keyframes: Collection[Key], share: float, *, gap_seconds: float = 0.0) -> HeldOut:
    """Choose the keyframes to hold out: whole videos, or the end of the only one.

    A video is held out if the number that its id is hashed to, from 0 to 1, is below ``share``; at least the video of
    the least number is, and that of the greatest never. So a video that was trained on is not held out later, when more
    videos have been reviewed.

    Args:
        keyframes: Video id and time of each reviewed keyframe.
        share: Share of the videos (of the keyframes, where they are of one video) to hold out, from 0 (none) to below
            1.
        gap_seconds: Duration of a clip in seconds, for keyframes of one video.

    Returns:
        The choice.

    Raises:
        ConfigError: Nothing would be left to train on, or to hold out.
    """
    if not share:
        return HeldOut()
    videos = sorted({composed(video_id) for video_id, _ in keyframes}, key=_hashed)
    if len(videos) > 1:
        chosen = [video_id for video_id in videos if _hashed(video_id) < share] or videos[:1]
        return HeldOut(frozenset(chosen if len(chosen) < len(videos) else videos[:-1]))
    times = sorted(seconds for _, seconds in keyframes)
    num_held_out = max(1, round(share * len(times)))
    from_seconds = times[-num_held_out] if times else 0.0
    split = HeldOut(frozenset(videos), from_seconds, gap_seconds)
    if not any(split.part_of(video_id, seconds) == "train" for video_id, seconds in keyframes):
        raise ConfigError(
            f"{counted(len(times), 'reviewed keyframe')} of one video cannot be divided into a part to train on and a "
            f"part to hold out, {gap_seconds:g} s apart; review more, or hold none out (`held_out` 0)"
        )
    return split


def _hashed(video_id: str) -> float:
    """A number from 0 to 1 that depends on the id alone."""
    return int.from_bytes(hashlib.sha256(video_id.encode("utf-8", "surrogatepass")).digest()[:8]) / 2**64
