"""Find the video that an annotation tool means, which has its own names for the files that it was given."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

from ava_detect.errors import FormatError, shown
from ava_detect.results.measured_video import MeasuredVideo, measure_video
from ava_detect.results.recorded_names import label_map_of_settings, recorded_names
from ava_detect.results.saved import locate
from ava_detect.results.saved_run import SavedRun, open_run, run_of_manifest
from ava_detect.storage.file_names import valid_id
from ava_detect.structures.labels import LabelMap
from ava_detect.structures.video_ids import ByVideoId
from ava_detect.video.folders import VIDEO_SUFFIXES
from ava_detect.video.sources import find_videos

# Label Studio puts eight hexadecimal digits before the name of a file that was uploaded.
_UPLOADED = re.compile(r"[0-9a-f]{8}-(?=.)")
_HAS_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
# A time that is this near to a multiple is meant to be it; containers and tools round times to milliseconds.
_ROUNDING_SECONDS = 0.0005


class VideoLookup:
    """Finds video files by the names that tools give them, and measures each once.

    A name is looked for among the ids, the file names and the stems of ``results`` and ``videos``; then as a path, and
    as a file beside the labels.

    Args:
        videos: A folder of videos; or the output folder of ``annotate``, which then is ``results``, too; None for the
            places that the labels name.
        beside: The files of labels.
        results: The output folder of ``annotate`` or a file of results, which has paths and ids of videos, the label
            map, and where in their movies the files start; None where the labels are of no results.
        every_seconds: Time from one multiple to the next; None where readers take frames that a person labelled alone.
        start_seconds: Time in the movie, in seconds, at which each video file starts; None for that of the results, or
            0.

    Attributes:
        label_map: The label map of the results; None where there is none.
        every_seconds: As given; readers of tracks interpolate at the multiples where it is not None.
        start_seconds: Time in the movie at which each file starts; readers subtract it from times of the movie.
        paths: The video files that are known.

    Raises:
        VideoError: The folder does not exist, or holds no video.
        FormatError: The results cannot be read.
    """

    def __init__(
        self,
        videos: str | Path | None = None,
        beside: Iterable[str | Path] = (),
        *,
        results: str | Path | None = None,
        every_seconds: float | None = None,
        start_seconds: float | None = None,
    ) -> None:
        of_videos = None if videos is None else run_of_manifest(Path(videos))
        run = of_videos if results is None else open_run(Path(results))
        self.label_map: LabelMap | None = None if run is None else _label_map_of(run)
        self.every_seconds = every_seconds
        given = start_seconds if run is None else run.start_seconds(start_seconds)
        self.start_seconds = 0.0 if given is None else given
        self._is_given = videos is not None
        self._folders = list(dict.fromkeys(_folder_of(Path(path)) for path in beside))
        moved = [] if videos is None or of_videos is not None else find_videos([videos])
        located = {} if run is None else {v.video_id: locate(v.video_id, v.source, moved) for v in run.videos}
        named = [(video_id, path) for video_id, path in located.items() if path is not None]
        named += [(video.video_id, video.path) for video in moved if video.path not in located.values()]
        self.paths: tuple[Path, ...] = tuple(path for _, path in named)
        # Ids come before file names, and these before stems: the first list that has the name decides.
        self._by_name = _names([(path.stem, video_id, path) for video_id, path in named])
        self._by_name.update(_names([(path.name, video_id, path) for video_id, path in named]))
        self._by_name.update(_names([(video_id, video_id, path) for video_id, path in named]))
        self._measured: dict[str, MeasuredVideo] = {}
        self._located: dict[str, tuple[str, Path] | None] = {}

    def find(self, *names: str) -> MeasuredVideo | None:
        """Find and measure a video.

        Args:
            *names: The names that the tool's file has for the video, the most telling first: ids, file names, paths,
                addresses.

        Returns:
            The video; None where no file has any of the names.

        Raises:
            VideoError: The file is no video that can be decoded.
            FormatError: Several files have the name.
        """
        for name in names:
            found = self._locate(name)
            if found is not None:
                video_id, path = found
                if video_id not in self._measured:
                    self._measured[video_id] = measure_video(path, video_id)
                return self._measured[video_id]
        return None

    def get(self, *names: str, where: str, need: str) -> MeasuredVideo:
        """Find and measure a video that a reader cannot do without.

        Args:
            *names: The names, as for ``find``.
            where: The file and the entry that name the video, for the message.
            need: What the video is needed for, a clause such as "frame numbers become times".

        Returns:
            The video.

        Raises:
            FormatError: There is no such file, or there are several.
            VideoError: The file is no video that can be decoded.
        """
        video = self.find(*names)
        if video is None:
            called = " or ".join(repr(shown(name)) for name in dict.fromkeys(filter(None, names))) or "nameless"
            advice = (
                "the folder `videos` has no such file; rename the file, or give another folder"
                if self._is_given
                else "give the folder of the videos (`videos`), or the results that the labels are of (`results`)"
            )
            raise FormatError(f"{where}: the video {called} is needed ({need}), and is not there; {advice}")
        return video

    def id_of(self, name: str) -> str:
        """Return the id of a video, whether its file is there or not.

        Args:
            name: The tool's name of the video, or the id of a video that was found.

        Returns:
            The id: of the file that was found, else the name of the file without folder and the suffix of a video.
        """
        if name in self._measured:
            return name
        found = self._locate(name)
        return _id_without_file(name) if found is None else found[0]

    def measured(self, video_id: str) -> MeasuredVideo | None:
        """Return a video that a reader has opened.

        Args:
            video_id: Its id.

        Returns:
            The video; None where no reader needed it, so that times do not mean its frames.
        """
        return self._measured.get(video_id)

    def frames_of_multiples(self, video: MeasuredVideo) -> list[int]:
        """List the frames at which readers of tracks interpolate.

        Args:
            video: The video.

        Returns:
            The numbers of the frames that the multiples of ``every_seconds`` show, ascending; empty where it is None.
        """
        if self.every_seconds is None:
            return []
        times = multiples(video, self.every_seconds)
        return sorted({video.frame_at(seconds) for seconds in times})

    def _locate(self, name: str) -> tuple[str, Path] | None:
        """Return the id and the path of the video with a name; None where there is none."""
        if name not in self._located:
            self._located[name] = self._look_for(name)
        return self._located[name]

    def _look_for(self, name: str) -> tuple[str, Path] | None:
        for spelling in _spellings(name):
            if spelling in self._by_name:
                return _one_of(self._by_name[spelling], name)
        for path in self._places(name):
            if _is_video_file(path):
                return valid_id(path.stem), path
        return None

    def _places(self, name: str) -> Iterator[Path]:
        """Yield the paths at which the file of a name may lie if no folder of videos was given."""
        if self._is_given:
            return
        path = as_path(name)
        if path and Path(path).suffix.lower() in VIDEO_SUFFIXES:
            # An absolute path stays what it is.
            yield from (folder / path for folder in self._folders)
            yield from (folder / _base_name(name) for folder in self._folders)
        for spelling in _spellings(name):
            if spelling and "/" not in spelling:
                for folder in self._folders:
                    try:
                        beside = sorted(folder.iterdir())
                    except OSError:
                        continue
                    yield from (file for file in beside if spelling in (file.name, file.stem))


def _label_map_of(run: SavedRun) -> LabelMap | None:
    """Return the label map of a run, or the names in a file of results; None where they are AVA's, or unknown."""
    label_map = label_map_of_settings(run.settings)
    file = next((video.file for video in run.videos if video.file is not None), None)
    if label_map is None and file is not None and (names := recorded_names(file)) is not None and not names.is_of_ava:
        return names.label_map
    return label_map


def _names(named: Iterable[tuple[str, str, Path]]) -> ByVideoId[list[tuple[str, Path]]]:
    """Return the videos, id and path, of each name."""
    by_name: ByVideoId[list[tuple[str, Path]]] = ByVideoId()
    for name, video_id, path in named:
        by_name.setdefault(valid_id(name), []).append((video_id, path))
    return by_name


def multiples(video: MeasuredVideo, every_seconds: float) -> np.ndarray:
    """List the multiples of a time that lie in a video.

    Args:
        video: The video.
        every_seconds: The time in seconds, above 0.

    Returns:
        float64 ``[M]``, from 0 to the time of the last frame.
    """
    last = float(video.frame_times[-1]) if video.num_frames else 0.0
    count = int(last / every_seconds + 1e-6) + 1
    return np.round(np.arange(count) * every_seconds, 6)


def keyframe_times(video: MeasuredVideo | None, seconds: Iterable[float], every_seconds: float) -> dict[float, float]:
    """Return the times that frames get in a file of keyframes.

    A frame that is on display at a multiple of ``every_seconds`` gets the multiple: the export of a keyframe at 1 s
    shows the frame of 1.001 s in a file of 29.97 fps, and comes back as 1 s. Another one keeps its own time.

    Args:
        video: The video whose frames the times mean; None where they mean no frames, and are kept.
        seconds: Times from the first frame of the file.
        every_seconds: Time from one multiple to the next, above 0.

    Returns:
        Each time -> the time that is written, with 3 decimals; with 6 where there is no video.
    """
    if video is None:
        return {time: round(time, 6) for time in seconds}
    multiple_of_frame: dict[int, float] = {}
    for multiple in multiples(video, every_seconds).tolist():
        multiple_of_frame.setdefault(video.frame_at(multiple), multiple)
    frames = {
        time: int(np.searchsorted(video.frame_times, time + _ROUNDING_SECONDS, "right")) - 1
        for time in dict.fromkeys(seconds)
    }
    written = {time: multiple_of_frame[frame] for time, frame in frames.items() if frame in multiple_of_frame}
    taken = set(written.values())
    for time, frame in frames.items():
        if time in written:
            continue
        nearest = round(time / every_seconds) * every_seconds
        written[time] = round(nearest if abs(time - nearest) <= _ROUNDING_SECONDS else time, 3)
        is_frame = frame >= 0 and abs(video.frame_times[frame] - time) <= _ROUNDING_SECONDS
        # Frames closer than the grid of keyframes: the one that a multiple shows has its time already.
        while is_frame and written[time] in taken:
            written[time] = round(written[time] - 0.001, 3)
    return written


def _spellings(name: str) -> list[str]:
    """Return the names under which a tool's name may be known here, the most telling first."""
    base = _base_name(name)
    plain = [name, base, _UPLOADED.sub("", base)]
    stems = [PurePosixPath(text).stem for text in plain[1:] if PurePosixPath(text).suffix.lower() in VIDEO_SUFFIXES]
    return [text for text in dict.fromkeys([*plain, *stems]) if text.strip()]


def as_path(name: str) -> str:
    """Return the path in a name that a tool has for a file.

    Args:
        name: A path, an address, or a place in Label Studio's local storage.

    Returns:
        The path of an address or in the storage; any other name as it is.
    """
    if not _HAS_SCHEME.match(name) and not name.startswith("/data/local-files/"):
        return name
    try:
        parts = urlsplit(name)
    except ValueError:
        return name
    if stored := parse_qs(parts.query).get("d"):
        return stored[0]
    return unquote(parts.path)


def _base_name(name: str) -> str:
    """Return the part of a path or address after its last separator, of either kind."""
    return re.split(r"[/\\]", as_path(name).rstrip("/\\"))[-1]


@lru_cache(maxsize=4096)
def _id_without_file(name: str) -> str:
    base = _base_name(name)
    return PurePosixPath(base).stem if PurePosixPath(base).suffix.lower() in VIDEO_SUFFIXES else base


def _folder_of(path: Path) -> Path:
    return path if path.is_dir() else path.parent


def _is_video_file(path: Path) -> bool:
    try:
        return path.suffix.lower() in VIDEO_SUFFIXES and path.is_file()
    except (OSError, ValueError):
        return False


def _one_of(found: list[tuple[str, Path]], name: str) -> tuple[str, Path]:
    """Return the one video of a name; of several the one whose path ends as the name does."""
    if len(found) == 1:
        return found[0]
    parts = Path(as_path(name)).parts
    for length in range(len(parts), 1, -1):
        ending = [one for one in found if one[1].parts[-length:] == parts[-length:]]
        if len(ending) == 1:
            return ending[0]
    raise FormatError(
        f"{shown(name)} may be any of {', '.join(shown(path) for _, path in found[:3])}; give a folder of videos "
        "(`videos`) where only one has this name"
    )
