"""Sources of a dataset's clips: video files, or frames extracted to image files beforehand.

A source finds a video by its index in a list of ids. Files are closed between clips, and a source is cheap to copy to
the workers of a loader.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from ava_detect.datasets.packed import LruCache, PackedStrings
from ava_detect.errors import VideoError, shown
from ava_detect.structures import Clip, ClipSettings
from ava_detect.video.clip_sampler import ClipSampler, sample_clip
from ava_detect.video.extracted_frames import FrameSequence, find_frames, frame_folders
from ava_detect.video.frame_folder import FrameFolder
from ava_detect.video.reader import VideoReader
from ava_detect.video.sources import videos_by_id

_READERS_KEPT, _FOLDERS_KEPT = 64, 1024
_MOST_IDS_SHOWN = 3
_ADVICE = "'ava-detect data check' lists every such fault of a dataset before training"


class ClipSource(Protocol):
    """Reads clips of videos, which are given by their index from 0."""

    def duration_seconds(self, video: int, settings: ClipSettings) -> float:
        """Return the duration of a video.

        Args:
            video: The video, from 0.
            settings: The clips; their rate is the rate of extracted frames.

        Returns:
            The duration in seconds.
        """
        ...

    def to_file_seconds(self, video: int, seconds: float) -> float:
        """Convert a timestamp of the annotations to a time in the file.

        Args:
            video: The video, from 0.
            seconds: The timestamp, in seconds of the movie that the file was cut from.

        Returns:
            Seconds from the start of the file.
        """
        ...

    def clip(self, video: int, file_seconds: float, settings: ClipSettings) -> Clip:
        """Read the clip around a time.

        Args:
            video: The video, from 0.
            file_seconds: The middle of the clip, in seconds from the start of the file.
            settings: Length, frame rate and size of the clip.

        Returns:
            The clip.

        Raises:
            VideoError: If the file cannot be read, or the time lies outside the video; names the file and the time.
        """
        ...


class VideoClips:
    """Clips decoded from video files. No frames need to be extracted beforehand."""

    def __init__(self, paths: Sequence[str], start_seconds: Tensor | None = None) -> None:
        """Keep the paths; no file is opened before its first clip is read.

        Args:
            paths: The V files.
            start_seconds: float64 ``[V]``, the start of each file in seconds of the movie that it was cut from; 0 by
                default.
        """
        self._paths = PackedStrings.of(paths)
        self._start_seconds = torch.zeros(len(paths), dtype=torch.float64) if start_seconds is None else start_seconds
        # Probing a file costs as much as decoding a few frames, so the readers of the last files are kept.
        self._readers = LruCache(_READERS_KEPT, self._open)

    @classmethod
    def of_folder(cls, folder: str | Path, video_ids: Sequence[str], *, start_seconds: float = 0.0) -> VideoClips:
        """Find the files of videos below a folder, by the rules of ``video.sources.videos_by_id``.

        Args:
            folder: The folder.
            video_ids: The ids of the V videos.
            start_seconds: The start of each file in seconds of its movie (900 for AVA's trimmed files). A file named
                ``ID_000012_000022``, as AVA-Kinetics is distributed, starts at 12 instead.

        Returns:
            The clips of the videos, in the order of ``video_ids``.

        Raises:
            VideoError: If videos have no file; names their ids.
        """
        files = videos_by_id(folder)
        check_found(folder, [name for name in video_ids if name not in files], len(video_ids))
        found = [files[name][0] for name in video_ids]
        starts = [start_seconds if file.start_seconds is None else file.start_seconds for file in found]
        return cls([str(file.path) for file in found], torch.tensor(starts, dtype=torch.float64))

    def to_file_seconds(self, video: int, seconds: float) -> float:
        """See ``ClipSource.to_file_seconds``."""
        return seconds - float(self._start_seconds[video])

    def clip(self, video: int, file_seconds: float, settings: ClipSettings) -> Clip:
        """See ``ClipSource.clip``. Decoding starts at the last key frame before the clip."""
        reader = self._readers[video]
        try:
            clip = sample_clip(reader, file_seconds, settings)
        except VideoError as error:
            raise VideoError(f"{error}; {_ADVICE}") from error
        if reader.damaged_packets:
            # The same text each time, so that Python shows the warning once per file and worker.
            warnings.warn(f"{reader.path}: damaged; clips repeat the frame before. {_ADVICE}", stacklevel=2)
        return clip

    def duration_seconds(self, video: int, settings: ClipSettings) -> float:
        """See ``ClipSource.duration_seconds``; a file whose header has no duration is decoded completely to find it."""
        reader = self._readers[video]
        if reader.info.duration_seconds is not None:
            return reader.info.duration_seconds
        for _ in reader.decode():
            pass
        return reader.end_seconds

    def frames_per_second(self, video: int, settings: ClipSettings) -> float:
        """Return the frame rate of a video.

        Args:
            video: The video, from 0.
            settings: The clips; only of extracted frames do they say the rate.

        Returns:
            Frames per second.
        """
        return self._readers[video].info.average_fps

    def _open(self, video: int) -> VideoReader:
        try:
            return VideoReader(self._paths[video])
        except VideoError as error:
            raise VideoError(f"{error}; {_ADVICE}") from error


class JoinedClips:
    """Clips of several sources: some videos are read by one, some by another."""

    def __init__(self, sources: Sequence[ClipSource], source_of: Sequence[int]) -> None:
        """Number the videos.

        Args:
            sources: The sources. Each numbers its videos from 0, in the order in which they are listed here.
            source_of: The source of each of the V videos, an index into ``sources``.
        """
        self._sources = tuple(sources)
        self._source_of = torch.tensor(source_of, dtype=torch.int32)  # [V]
        # The number of each video within its source: how many of that source come before it.
        self._number_of = torch.zeros(len(source_of), dtype=torch.int64)
        for source in range(len(sources)):
            own = self._source_of == source
            self._number_of[own] = torch.arange(int(own.sum()))

    def duration_seconds(self, video: int, settings: ClipSettings) -> float:
        """See ``ClipSource.duration_seconds``."""
        source, number = self._find(video)
        return source.duration_seconds(number, settings)

    def to_file_seconds(self, video: int, seconds: float) -> float:
        """See ``ClipSource.to_file_seconds``."""
        source, number = self._find(video)
        return source.to_file_seconds(number, seconds)

    def clip(self, video: int, file_seconds: float, settings: ClipSettings) -> Clip:
        """See ``ClipSource.clip``."""
        source, number = self._find(video)
        return source.clip(number, file_seconds, settings)

    def _find(self, video: int) -> tuple[ClipSource, int]:
        return self._sources[int(self._source_of[video])], int(self._number_of[video])


class FrameClips:
    """Clips of extracted frames: ``FOLDER/ID/ID_000001.jpg`` and so on, named as in ``extracted_frames``.

    The frames must have been extracted at ``settings.sampling_fps`` (30 for AVA, 24 for Charades).
    """

    def __init__(self, folder: str | Path, video_ids: Sequence[str], *, start_seconds: float = 0.0) -> None:
        """Check that every video has a folder.

        Args:
            folder: The folder of all videos' frame folders.
            video_ids: The ids of the videos.
            start_seconds: The time of each video's first frame in seconds of its movie.

        Raises:
            VideoError: If videos have no folder; names their ids.
        """
        self._folder = Path(folder)
        self._start_seconds = start_seconds
        # Listed on first use, since a dataset has millions of frames.
        self._sequences = LruCache(_FOLDERS_KEPT, self._find_frames)
        found = frame_folders(self._folder, video_ids)
        check_found(folder, [name for name in video_ids if name not in found], len(video_ids))
        self._folder_names = PackedStrings.of([found[name].relative_to(folder).as_posix() for name in video_ids])

    def duration_seconds(self, video: int, settings: ClipSettings) -> float:
        """See ``ClipSource.duration_seconds``."""
        return self._sequences[video].num_frames / settings.sampling_fps

    def to_file_seconds(self, video: int, seconds: float) -> float:
        """See ``ClipSource.to_file_seconds``."""
        return seconds - self._start_seconds

    def frames_per_second(self, video: int, settings: ClipSettings) -> float:
        """Return the rate of the frames; see ``VideoClips.frames_per_second``."""
        return settings.sampling_fps

    def clip(self, video: int, file_seconds: float, settings: ClipSettings) -> Clip:
        """See ``ClipSource.clip``."""
        sequence = self._sequences[video]
        last = sequence.num_frames - 1
        if not sequence.holds(file_seconds, settings.sampling_fps):
            raise VideoError(
                f"{shown(sequence.folder)}: second {file_seconds:g} lies outside its {last + 1} frames, which are "
                f"{settings.sampling_fps:g} a second; {_ADVICE}"
            )
        # A step of the grid is a frame in both ways of sampling; by time, the frames before the clip are not counted.
        by_time = replace(settings, sampling="time")
        try:
            sampler = ClipSampler(FrameFolder(sequence, settings.sampling_fps), by_time, keyframe_images=False)
            return next(sampler.sample([file_seconds])).clip
        except VideoError as error:
            raise VideoError(f"{error}; {_ADVICE}") from error

    def _find_frames(self, video: int) -> FrameSequence:
        try:
            return find_frames(self._folder / self._folder_names[video])
        except VideoError as error:
            raise VideoError(f"{error}; {_ADVICE}") from error


def check_found(folder: str | Path, missing: list[str], num_wanted: int) -> None:
    """Refuse a folder that lacks videos.

    Args:
        folder: The folder of the videos or frames.
        missing: Ids of those that it lacks.
        num_wanted: Number of videos that the annotations name.

    Raises:
        VideoError: Any is missing; names the first few.
    """
    if missing:
        more = len(missing) - _MOST_IDS_SHOWN
        ids = shown(", ".join(missing[:_MOST_IDS_SHOWN])) + (f" and {more} more" if more > 0 else "")
        raise VideoError(
            f"{shown(folder)}: {len(missing)} of the {num_wanted} videos that the annotations name are not there: "
            f"{ids}; get them, or leave their rows out ('ava-detect data check' lists them all)"
        )
