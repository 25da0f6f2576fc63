"""What can be wrong with the files: videos opened, and unless haste is asked for, decoded to their ends."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ava_detect.config import SplitConfig
from ava_detect.datasets.checks.report import PLACES_SHOWN, Finding
from ava_detect.errors import VideoError, suggestion
from ava_detect.structures.progress import OnProgress, Progress
from ava_detect.video.reader import VideoReader
from ava_detect.video.sources import VideoPlace, videos_by_id

# A frame that comes half a period early or late; one in a hundred such is no rounding of time stamps.
_UNEVEN_PERIODS = 0.5
_UNEVEN_SHARE = 0.01
FRAMES_PER_SECOND = 30.0  # of extracted frames, as PySlowFast lays them out


@dataclass(frozen=True)
class VideoFacts:
    """A file, or a folder of frames, as it is.

    ``end_seconds``: None where a header does not say it. ``damage``: what is broken. ``gaps``: which frames are
    left out. ``error``: why it cannot be opened.
    """

    path: Path
    end_seconds: float | None = None
    frames_per_second: float | None = None
    is_uneven: bool = False
    damage: str = ""
    gaps: str = ""
    error: str = ""


def media_of(files: SplitConfig) -> dict[str, list[VideoPlace]]:
    """The files or folders of frames of a split, by the videos that they are; none where there is no such folder."""
    if files.videos is None:
        return _frame_places(files.frames or "")
    try:
        return videos_by_id(files.videos)
    except VideoError:
        return {}


def _frame_places(folder: str | Path) -> dict[str, list[VideoPlace]]:
    """The folders of extracted frames in a folder, by the video whose name they have."""
    folders = Path(folder).iterdir() if Path(folder).is_dir() else ()
    return {path.name: [VideoPlace(path)] for path in sorted(folders) if path.is_dir()}


def examine_all(
    paths: Iterable[Path],
    *,
    decode: bool,
    num_threads: int,
    on_progress: OnProgress | None = None,
) -> dict[Path, VideoFacts]:
    """Look at each file or folder of frames once, several at a time."""
    wanted = list(dict.fromkeys(paths))
    facts: dict[Path, VideoFacts] = {}
    with ThreadPoolExecutor(num_threads) as pool:
        for fact in pool.map(lambda p: examine_frames(p) if p.is_dir() else examine_video(p, decode=decode), wanted):
            facts[fact.path] = fact
            if on_progress is not None:
                on_progress(Progress("videos", len(facts), len(wanted)))
    return facts


def examine_video(path: Path, *, decode: bool) -> VideoFacts:
    """Open one file; ``decode``: read every frame of it, which alone shows damage, the true end and uneven frames."""
    try:
        video = VideoReader(path)
        if not decode:
            return VideoFacts(path, video.info.duration_seconds, video.info.average_fps)
        times = np.array([frame.timestamp_seconds for frame in video.decode()])
    except VideoError as error:
        return VideoFacts(path, error=str(error))
    if damage := video.damage():
        # What is left of it tells nothing of the rate that the file had.
        return VideoFacts(path, video.end_seconds, video.info.average_fps, damage=damage)
    periods = np.diff(times)
    if not len(periods):
        return VideoFacts(path, video.end_seconds, video.info.average_fps)
    usual = float(np.median(periods))
    uneven = np.abs(periods - usual) > _UNEVEN_PERIODS * usual
    rate = len(periods) / float(times[-1] - times[0])
    return VideoFacts(path, video.end_seconds, rate, is_uneven=float(uneven.mean()) > _UNEVEN_SHARE)


def examine_frames(folder: Path) -> VideoFacts:
    """Look at a folder of ``VIDEO_000001.jpg`` and so on, 30 a second: its end, and the numbers left out."""
    pattern = re.compile(re.escape(folder.name) + r"_(\d{6})\.jpg")
    numbers = {int(match[1]) for path in folder.iterdir() if (match := pattern.fullmatch(path.name))}
    if not numbers:
        return VideoFacts(folder, error=f"{folder} holds no frame; they are called {folder.name}_000001.jpg and so on")
    absent = sorted(set(range(1, max(numbers) + 1)) - numbers)
    gaps = f"{len(absent)} numbers are left out, the first is {absent[0]}" if absent else ""
    return VideoFacts(folder, max(numbers) / FRAMES_PER_SECOND, FRAMES_PER_SECOND, gaps=gaps)


def check_names(split: str, wanted: Iterable[str], files: Mapping[str, list[VideoPlace]], folder: str) -> list[Finding]:
    """Findings on annotated videos that are not there, or there more than once."""
    names = list(wanted)
    missing = [name for name in names if name not in files]
    hinted = [f"{folder}: {name}{_nearest(name, files)}" for name in missing[:PLACES_SHOWN]]
    ambiguous = [", ".join(str(place.path) for place in files[name]) for name in names if len(files.get(name, ())) > 1]
    found = [Finding("missing-video", split, len(missing), "video", tuple(hinted))] if missing else []
    return [*found, *_finding("ambiguous-video", split, ambiguous)]


def _nearest(name: str, known: Iterable[str]) -> str:
    """A hint at the name that is meant: the same but for capitals or a suffix, or else a like one."""
    known = list(known)
    same = [other for other in known if other.casefold() in (name.casefold(), Path(name).stem.casefold())]
    return suggestion(name, same or known)


def check_facts(split: str, facts: Iterable[VideoFacts], least_fps: float) -> list[Finding]:
    """Findings on the files themselves. ``least_fps``: frames a second that the network looks at."""
    places: dict[str, list[str]] = {}
    for fact in facts:
        if fact.error:
            places.setdefault("unreadable-video", []).append(fact.error)
        if fact.damage:
            places.setdefault("damaged-video", []).append(f"{fact.path}: {fact.damage}")
        if fact.gaps:
            places.setdefault("missing-frames", []).append(f"{fact.path}: {fact.gaps}")
        if fact.frames_per_second is not None and fact.frames_per_second < least_fps - 0.01:
            text = f"{fact.path}: {fact.frames_per_second:.4g}, the network looks at {least_fps:g}"
            places.setdefault("frame-rate", []).append(text)
        if fact.is_uneven:
            places.setdefault("variable-frame-rate", []).append(str(fact.path))
    return [finding for kind, where in places.items() for finding in _finding(kind, split, where)]


def end_seconds(fact: VideoFacts | None) -> float:
    """Where a file ends; without end where that is unknown, so that nothing is said of it."""
    return math.inf if fact is None or fact.end_seconds is None else fact.end_seconds


def frame_rates(facts: Iterable[VideoFacts]) -> dict[float, int]:
    """How many videos have each rate, to the hundredth, in rising order."""
    counts = Counter(round(fact.frames_per_second, 2) for fact in facts if fact.frames_per_second is not None)
    return dict(sorted(counts.items()))


def _finding(kind: str, split: str, places: Sequence[str], unit: str = "video") -> list[Finding]:
    return [Finding(kind, split, len(places), unit, tuple(places[:PLACES_SHOWN]))] if places else []
