"""Which keyframes of which video files are looked at: those that the ground truth lists, and no others."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ava_detect.errors import ConfigError, suggestion
from ava_detect.evaluation.keyframes import KeyframeKeys, key_seconds, video_numbers
from ava_detect.formats.ava_csv import AvaTable
from ava_detect.video.sources import LocalVideo, videos_by_id


@dataclass(frozen=True)
class VideoKeyframes:
    """One video of the ground truth: its file and its keyframes, in seconds from the start of the file, ascending.

    A time below 0 lies before the file's start, where nothing can be seen. ``start_seconds``: where in its movie the
    file starts.
    """

    source: LocalVideo
    seconds: tuple[float, ...]
    start_seconds: float = 0.0

    @property
    def seconds_to_see(self) -> list[float]:
        """The times that do not lie before the file's start."""
        return [second for second in self.seconds if second >= 0]

    def shortfall(self, num_seen: int, damaged_packets: int) -> str:
        """What of the file could not be seen, in a sentence; empty when nothing.

        ``num_seen``: how many of ``seconds_to_see`` there were before the file's end.
        """
        parts = []
        if damaged_packets:
            plural = "s" if damaged_packets > 1 else ""
            parts.append(f"{damaged_packets} damaged packet{plural} had to be left out")
        outside = sorted(set(self.seconds) - set(self.seconds_to_see[:num_seen]))
        if outside:
            first = f"the movie's second {outside[0] + self.start_seconds:g}, the file's {outside[0]:g}"
            parts.append(f"{len(outside)} of {len(self.seconds)} keyframes lie outside the file (the first is {first})")
        return " and ".join(parts)


@dataclass(frozen=True)
class KeyframePlan:
    """The videos of the ground truth, in the order of its rows.

    ``missing``: the number of keyframes of each video that has no file, by its id.
    """

    videos: tuple[VideoKeyframes, ...]
    missing: dict[str, int]

    @property
    def num_keyframes(self) -> int:
        """Keyframes of all videos, those without a file included."""
        return sum(len(video.seconds) for video in self.videos) + sum(self.missing.values())

    def missing_problems(self, videos: str | Path, consequence: str) -> list[str]:
        """A sentence for the videos that have no file in ``videos``, if there are any.

        ``consequence``: what that means for their keyframes, with ``{keyframes}`` in the place of how many those are.
        """
        if not self.missing:
            return []
        keyframes = f"their {sum(self.missing.values())} keyframes"
        return [
            f"{len(self.missing)} of the {len(self.missing) + len(self.videos)} videos of the ground truth are not in "
            f"{videos}: {', '.join(self.missing)}; {consequence.format(keyframes=keyframes)}"
        ]

    @property
    def digest(self) -> str:
        """A hash of the ids and times, so that another ground truth is another run."""
        content = [[video.source.video_id, video.seconds] for video in self.videos]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def plan_keyframes(
    listed: AvaTable, videos: str | Path, *, exclude: AvaTable | None = None, start_seconds: float = 0.0
) -> KeyframePlan:
    """The keyframes that any row of ``listed`` names, without those of ``exclude``, and the files they are in.

    ``videos``: a folder (searched to the bottom) or glob; which file is which video: ``sources.videos_by_id``.
    ``start_seconds``: where in its movie each file starts. Raises ``VideoError`` when there
    is no video at all, ``ConfigError`` when none belongs to the ground truth, or two belong to one id.
    """
    seconds_by_id = _keyframes_by_id(listed, exclude)
    if not seconds_by_id:
        raise ConfigError("the ground truth lists no keyframe, or all of them are excluded: nothing is left to look at")
    places = videos_by_id(videos)
    found, missing = [], {}
    for video_id, seconds in seconds_by_id.items():
        files = places.get(video_id, [])
        if len(files) > 1:
            shown = ", ".join(str(place.path) for place in files[:3])
            raise ConfigError(f"{len(files)} files are the video {video_id!r}: {shown}; keep one of them")
        if files:
            start = start_seconds if files[0].start_seconds is None else files[0].start_seconds
            in_file = tuple(round(second - start, 6) for second in seconds)
            found.append(VideoKeyframes(LocalVideo(files[0].path, video_id), in_file, start))
        else:
            missing[video_id] = len(seconds)
    if not found:
        first = next(iter(missing))
        raise ConfigError(
            f"no file of {videos} is a video of the ground truth, which begins with {first!r}"
            f"{suggestion(first, places)}; a file's name without its suffix must be the video's id"
        )
    return KeyframePlan(tuple(found), missing)


def _keyframes_by_id(listed: AvaTable, exclude: AvaTable | None) -> dict[str, list[float]]:
    """Distinct timestamps of each video, ascending; videos in the order of their first row."""
    known = KeyframeKeys()
    keys = np.unique(known.of_rows(listed))
    if exclude is not None:
        keys = np.setdiff1d(keys, known.of_rows(exclude))
    times: dict[str, list[float]] = defaultdict(list)
    for number, seconds in zip(video_numbers(keys).tolist(), key_seconds(keys).tolist(), strict=True):
        times[known.video_ids[number]].append(seconds)
    return {video_id: times[video_id] for video_id in known.video_ids if video_id in times}
