"""Checks of video files and folders of frames: opened and, unless that is turned off, decoded to their ends."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ava_detect.config import SplitConfig
from ava_detect.datasets.checks.report import PLACES_SHOWN, Finding
from ava_detect.errors import VideoError, suggestion
from ava_detect.structures.progress import OnProgress, Progress
from ava_detect.structures.video_ids import ByVideoId
from ava_detect.video.extracted_frames import FrameSequence, find_frames, read_image
from ava_detect.video.reader import VideoReader
from ava_detect.video.sources import VideoFile, videos_by_id

# A frame is uneven if it is more than half a period early or late. Rounded timestamps are not: a video counts as
# uneven from one such frame in a hundred on.
_UNEVEN_PERIODS = 0.5
_UNEVEN_SHARE = 0.01
_FPS_TOLERANCE = 0.01
_ROUNDING_SECONDS = 1e-6  # training's tolerance at the end of a video


@dataclass(frozen=True)
class VideoFacts:
    """What was measured of a video file or a folder of frames.

    Attributes:
        path: The file or folder.
        end_seconds: End of the last frame, in seconds from the start of the file; None if the header does not state it.
        frames_per_second: Average frame rate; None if unknown.
        is_uneven: Whether frames come at uneven times.
        damage: Description of damaged or missing parts; empty if there are none.
        jumps: Description of jumps of the time stamps; empty if there are none.
        error: Why the file cannot be opened; empty if it can.
        is_folder: Whether the video is a folder of extracted frames.
        frames: The frames of such a folder; None if training cannot read it.
        num_frames: Number of frames; None if they were not counted.
        size: Width and height of an upright frame in the file's own pixels; None if unknown.
    """

    path: Path
    end_seconds: float | None = None
    frames_per_second: float | None = None
    is_uneven: bool = False
    damage: str = ""
    jumps: str = ""
    error: str = ""
    is_folder: bool = False
    frames: FrameSequence | None = None
    num_frames: int | None = None
    size: tuple[int, int] | None = None

    def holds(self, file_seconds: float) -> bool:
        """Return whether a training can read the clip around a time, which is at least 0.

        Args:
            file_seconds: The time, in seconds from the start of the file.

        Returns:
            Whether it can; True where the end of the file is unknown.
        """
        if self.frames is not None and self.frames_per_second is not None:
            return self.frames.holds(file_seconds, self.frames_per_second)
        return self.end_seconds is None or file_seconds < self.end_seconds - _ROUNDING_SECONDS


def media_of(files: SplitConfig) -> ByVideoId[list[VideoFile]]:
    """List the video files or frame folders of a split.

    Args:
        files: The split, with a folder of videos or of frames.

    Returns:
        The files or folders by video id; empty if the folder does not exist.
    """
    if files.videos is None:
        return _frame_folders(files.frames or "")
    try:
        return videos_by_id(files.videos)
    except VideoError:
        return ByVideoId()


def _frame_folders(folder: str | Path) -> ByVideoId[list[VideoFile]]:
    """Return the folders of extracted frames in a folder; their names are the video ids."""
    folders = Path(folder).iterdir() if Path(folder).is_dir() else ()
    return ByVideoId((path.name, [VideoFile(path)]) for path in sorted(folders) if path.is_dir())


def examine_all(
    paths: Iterable[Path],
    *,
    decode: bool,
    sampling_fps: float,
    num_threads: int,
    on_progress: OnProgress | None = None,
) -> dict[Path, VideoFacts]:
    """Examine each file or folder of frames once.

    Args:
        paths: The files and folders; repeated ones are examined once.
        decode: Whether to decode files to their end, and to read all extracted frames.
        sampling_fps: Frames per second of extracted frames.
        num_threads: Number of files examined in parallel, from 1.
        on_progress: Called after each file.

    Returns:
        What was measured, by path.
    """
    distinct = list(dict.fromkeys(paths))
    facts: dict[Path, VideoFacts] = {}

    def examine(path: Path) -> VideoFacts:
        if path.is_dir():
            return examine_frames(path, sampling_fps, decode=decode)
        return examine_video(path, decode=decode)

    with ThreadPoolExecutor(num_threads) as pool:
        for fact in pool.map(examine, distinct):
            facts[fact.path] = fact
            if on_progress is not None:
                on_progress(Progress("videos", len(facts), len(distinct)))
    return facts


def examine_video(path: Path, *, decode: bool) -> VideoFacts:
    """Examine a video file.

    Args:
        path: The file.
        decode: Whether to decode every frame, which alone shows damage, the true end and uneven frames; otherwise only
            the header is read.

    Returns:
        What was measured; a file that cannot be opened has an ``error``.
    """
    try:
        video = VideoReader(path)
        size = video.info.unstretched_size
        if not decode:
            return VideoFacts(path, video.info.duration_seconds, video.info.average_fps, size=size)
        times = np.array([frame.timestamp_seconds for frame in video.decode()])  # [frames]
    except VideoError as error:
        return VideoFacts(path, error=str(error))
    damage, jumps = video.damage(), video.time_jumps()
    facts = VideoFacts(path, video.end_seconds, video.info.average_fps, num_frames=len(times), size=size)
    if damage or jumps:
        # The remaining frames say nothing about the original frame rate.
        return replace(facts, damage=damage, jumps=jumps)
    periods = np.diff(times)  # [frames - 1], seconds
    if not len(periods):
        return facts
    usual = float(np.median(periods))
    uneven = np.abs(periods - usual) > _UNEVEN_PERIODS * usual
    rate = len(periods) / float(times[-1] - times[0])
    return replace(facts, frames_per_second=rate, is_uneven=float(uneven.mean()) > _UNEVEN_SHARE)


def examine_frames(folder: Path, sampling_fps: float, *, decode: bool) -> VideoFacts:
    """Examine a folder of extracted frames as training reads it.

    Args:
        folder: The folder, named like the video.
        sampling_fps: Frames per second.
        decode: Whether to read every image, which alone shows damaged ones and other sizes.

    Returns:
        What was measured; a folder that training cannot read has an ``error``.
    """
    try:
        frames = find_frames(folder)
    except VideoError as error:
        return VideoFacts(folder, is_folder=True, error=str(error))
    damage = _damage_of(frames) if decode else ""
    end_seconds = frames.num_frames / sampling_fps
    facts = VideoFacts(folder, end_seconds, sampling_fps, damage=damage, is_folder=True, frames=frames)
    return replace(facts, num_frames=frames.num_frames, size=_size_of(frames))


def _size_of(frames: FrameSequence) -> tuple[int, int] | None:
    """Width and height of the first image; None where it cannot be read, which ``_damage_of`` says."""
    try:
        height, width = read_image(frames.path(0)).shape[:2]
    except VideoError:
        return None
    return width, height


def _damage_of(frames: FrameSequence) -> str:
    """Describe the first image that cannot be read or has another size than the first one; empty if there is none."""
    size = None
    for index in range(frames.num_frames):
        try:
            height, width = read_image(frames.path(index)).shape[:2]
        except VideoError as error:
            return str(error)
        if size not in (None, (width, height)):
            return f"{frames.path(index).name} has {width}x{height} pixels, the frames before have {size[0]}x{size[1]}"
        size = width, height
    return ""


def check_names(split: str, wanted: Iterable[str], files: Mapping[str, list[VideoFile]], folder: str) -> list[Finding]:
    """Find annotated videos that are missing, or that several files match.

    Args:
        split: The split's name in the report.
        wanted: The ids of the annotated videos.
        files: The files or frame folders, by video id.
        folder: The folder of the files, for the text of the findings.

    Returns:
        The findings.
    """
    names = list(wanted)
    missing = [name for name in names if name not in files]
    hinted = [f"{folder}: {name}{_similar_name(name, files)}" for name in missing[:PLACES_SHOWN]]
    ambiguous = [", ".join(str(file.path) for file in files[name]) for name in names if len(files.get(name, ())) > 1]
    found = [Finding("missing-video", split, len(missing), "video", tuple(hinted))] if missing else []
    return [*found, *_finding("ambiguous-video", split, ambiguous)]


def _similar_name(name: str, known: Iterable[str]) -> str:
    """Suggest the intended name: equal but for case or a suffix, or else a similar one."""
    known = list(known)
    same = [other for other in known if other.casefold() in (name.casefold(), Path(name).stem.casefold())]
    return suggestion(name, same or known)


def check_facts(split: str, facts: Iterable[VideoFacts], min_fps: float) -> list[Finding]:
    """Find faults of the files themselves.

    Args:
        split: The split's name in the report.
        facts: What was measured of each file.
        min_fps: Frames per second that the network samples; lower rates are reported.

    Returns:
        The findings.
    """
    places: dict[str, list[str]] = {}
    for fact in facts:
        if fact.error:
            places.setdefault("unusable-frames" if fact.is_folder else "unreadable-video", []).append(fact.error)
        if fact.damage:
            kind = "unusable-frames" if fact.is_folder else "damaged-video"
            places.setdefault(kind, []).append(f"{fact.path}: {fact.damage}")
        if fact.jumps:
            places.setdefault("time-jump", []).append(f"{fact.path}: {fact.jumps}")
        if fact.frames_per_second is not None and fact.frames_per_second < min_fps - _FPS_TOLERANCE:
            text = f"{fact.path}: {fact.frames_per_second:.4g}, the network samples {min_fps:g}"
            places.setdefault("frame-rate", []).append(text)
        if fact.is_uneven:
            places.setdefault("variable-frame-rate", []).append(str(fact.path))
    return [finding for kind, where in places.items() for finding in _finding(kind, split, where)]


def end_seconds(fact: VideoFacts | None) -> float:
    """Return the end of a file, infinity where it is unknown, so that no timestamp lies past it.

    Args:
        fact: What was measured; None for a missing file.

    Returns:
        Seconds from the start of the file.
    """
    return math.inf if fact is None or fact.end_seconds is None else fact.end_seconds


def frame_rates(facts: Iterable[VideoFacts]) -> dict[float, int]:
    """Count the videos of each frame rate.

    Args:
        facts: What was measured of each file.

    Returns:
        The number of videos by frames per second, rounded to the hundredth, in rising order.
    """
    counts = Counter(round(fact.frames_per_second, 2) for fact in facts if fact.frames_per_second is not None)
    return dict(sorted(counts.items()))


def _finding(kind: str, split: str, places: Sequence[str], unit: str = "video") -> list[Finding]:
    """Return a finding in a list, or an empty list if there are no locations."""
    return [Finding(kind, split, len(places), unit, tuple(places[:PLACES_SHOWN]))] if places else []
