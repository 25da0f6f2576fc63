"""The keyframes to process: those that the ground truth lists, each in its video file."""

from __future__ import annotations

import hashlib
import json
import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ava_detect.errors import ConfigError, counted, shown, suggestion
from ava_detect.evaluation.keyframes import KeyframeKeys, key_seconds, video_numbers
from ava_detect.formats.ava_csv import AvaTable
from ava_detect.structures.video_ids import ByVideoId
from ava_detect.video.extracted_frames import frame_folders
from ava_detect.video.frame_folder import FrameFolder
from ava_detect.video.sources import LocalVideo, VideoFile, videos_by_id


@dataclass(frozen=True)
class VideoKeyframes:
    """One video of the ground truth and its keyframes.

    Attributes:
        source: The video file, or the folder of its extracted frames.
        seconds: The keyframes' times from the start of the file, in seconds, ascending; a time below 0 lies before the
            file's start and has no frame.
        start_seconds: Where in its movie the file starts, in seconds.
        frames_fps: Extracted frames per second; None for a video file.
    """

    source: LocalVideo
    seconds: tuple[float, ...]
    start_seconds: float = 0.0
    frames_fps: float | None = None

    def open(self) -> Path | FrameFolder:
        """Return what a pipeline reads: the file, or its frames.

        Raises:
            VideoError: The folder of frames cannot be used.
        """
        path = self.source.path
        return path if self.frames_fps is None else FrameFolder(path, self.frames_fps)

    @property
    def readable_seconds(self) -> list[float]:
        """The times that are not before the file's start."""
        return [second for second in self.seconds if second >= 0]

    def shortfall(self, num_read: int, damaged_packets: int) -> str:
        """Describe the part of the file that could not be read.

        Args:
            num_read: Number of ``readable_seconds`` that lie before the end of the file.
            damaged_packets: Number of packets that could not be decoded.

        Returns:
            A sentence; empty when everything was read.
        """
        parts = []
        if damaged_packets:
            parts.append(f"{counted(damaged_packets, 'damaged packet')} had to be left out")
        outside = sorted(set(self.seconds) - set(self.readable_seconds[:num_read]))
        if outside:
            first = f"the movie's second {outside[0] + self.start_seconds:g}, the file's {outside[0]:g}"
            rate = "" if self.frames_fps is None else f"{self.frames_fps:g} a second; "
            place = "file" if self.frames_fps is None else "frames"
            parts.append(
                f"{len(outside)} of {len(self.seconds)} keyframes lie outside the {place} ({rate}the first is {first})"
            )
        return " and ".join(parts)


@dataclass(frozen=True)
class KeyframePlan:
    """The videos of the ground truth and their keyframes.

    Attributes:
        videos: The videos that have a file, in the order of the ground truth's rows.
        missing: Video id -> number of keyframes, for each video without a file.
    """

    videos: tuple[VideoKeyframes, ...]
    missing: dict[str, int]

    @property
    def num_keyframes(self) -> int:
        """Number of keyframes of all videos, those without a file included."""
        return sum(len(video.seconds) for video in self.videos) + sum(self.missing.values())

    def missing_problems(self, ground_truth: str | Path, videos: str | Path, consequence: str) -> list[str]:
        """Describe the videos that have no file.

        Args:
            ground_truth: The file that names the videos.
            videos: Where the files were searched.
            consequence: What that means for their keyframes, with ``{keyframes}`` for their number.

        Returns:
            A sentence in a list; an empty list where no video is missing.
        """
        if not self.missing:
            return []
        keyframes = f"their {counted(sum(self.missing.values()), 'keyframe')}"
        return [
            f"{shown(ground_truth)}: {len(self.missing)} of the {len(self.missing) + len(self.videos)} videos of the "
            f"ground truth are not in {videos}: {', '.join(self.missing)}; {consequence.format(keyframes=keyframes)}"
        ]

    @property
    def digest(self) -> str:
        """A hash of the ids and times, which identifies the ground truth in the settings of a run."""
        content = [[video.source.video_id, video.seconds] for video in self.videos]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def plan_keyframes(
    listed: AvaTable,
    videos: str | Path,
    *,
    exclude: AvaTable | None = None,
    start_seconds: float = 0.0,
    frames_fps: float | None = None,
) -> KeyframePlan:
    """Find the files of the keyframes that a table lists.

    Args:
        listed: Rows that name the keyframes.
        videos: A folder (searched recursively) or glob; ``sources.videos_by_id`` says which file is which video. Of
            extracted frames the folder of all videos' folders (``extracted_frames.frame_folders``).
        exclude: Rows that name keyframes to leave out.
        start_seconds: Where in its movie each file starts, in seconds.
        frames_fps: Extracted frames per second; None for video files.

    Returns:
        The videos with a file, and the keyframes of those without.

    Raises:
        VideoError: There is no video at all.
        ConfigError: No file belongs to the ground truth, two files belong to one id, no keyframe is left, or
            ``start_seconds`` is no finite number.
    """
    if not math.isfinite(start_seconds):
        raise ConfigError(f"`start_seconds` is a number of seconds, got {start_seconds}")
    seconds_by_id = _keyframes_by_id(listed, exclude)
    if not seconds_by_id:
        raise ConfigError("the ground truth lists no keyframe, or all of them are excluded: nothing is left to process")
    files_by_id = videos_by_id(videos) if frames_fps is None else _folders_by_id(Path(videos), seconds_by_id)
    found, missing = [], {}
    for video_id, seconds in seconds_by_id.items():
        files = files_by_id.get(video_id, [])
        if len(files) > 1:
            paths = ", ".join(str(file.path) for file in files[:3])
            raise ConfigError(f"{len(files)} files are the video {video_id!r}: {paths}; keep one of them")
        if files:
            start = start_seconds if files[0].start_seconds is None else files[0].start_seconds
            in_file = tuple(round(second - start, 6) for second in seconds)
            found.append(VideoKeyframes(LocalVideo(files[0].path, video_id), in_file, start, frames_fps))
        else:
            missing[video_id] = len(seconds)
    if not found:
        first = next(iter(missing))
        if frames_fps is not None:
            raise ConfigError(
                f"no folder in {videos} is a video of the ground truth, which begins with {first!r}; the frames of a "
                "video lie in a folder whose name is the video's id"
            )
        raise ConfigError(
            f"no file of {videos} is a video of the ground truth, which begins with {first!r}"
            f"{suggestion(first, files_by_id)}; a file's name without its suffix must be the video's id"
        )
    return KeyframePlan(tuple(found), missing)


def _folders_by_id(folder: Path, video_ids: Iterable[str]) -> ByVideoId[list[VideoFile]]:
    return ByVideoId((name, [VideoFile(path)]) for name, path in frame_folders(folder, video_ids).items())


def _keyframes_by_id(listed: AvaTable, exclude: AvaTable | None) -> dict[str, list[float]]:
    """Distinct timestamps of each video in seconds, ascending; videos in the order of their first row."""
    known = KeyframeKeys()
    keys = np.unique(known.of_rows(listed))
    if exclude is not None:
        keys = np.setdiff1d(keys, known.of_rows(exclude))
    times: dict[str, list[float]] = defaultdict(list)
    for number, seconds in zip(video_numbers(keys).tolist(), key_seconds(keys).tolist(), strict=True):
        times[known.video_ids[number]].append(seconds)
    return {video_id: times[video_id] for video_id in known.video_ids if video_id in times}
