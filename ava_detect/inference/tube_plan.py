"""The frames of videos of a data set of tubes to process, and the way between their numbers and times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from ava_detect.config import SplitConfig
from ava_detect.datasets.tubes import media_of_tubes
from ava_detect.errors import ConfigError, shown
from ava_detect.formats.ava_table import AvaTable
from ava_detect.formats.tube_pickles import TubeAnnotations
from ava_detect.inference.keyframe_plan import KeyframePlan, VideoKeyframes
from ava_detect.structures import ClipSettings
from ava_detect.structures.frame_numbers import FrameNumbers
from ava_detect.structures.video_ids import ByVideoId
from ava_detect.video.reader import VideoReader
from ava_detect.video.sources import LocalVideo

_MOST_SHOWN = 3


@dataclass(frozen=True, eq=False)
class TubePlan:
    """The frames to process, as keyframes of their files.

    Attributes:
        keyframes: The videos and the times of the frames.
        fps: Frames per second of each video that has a file.
    """

    keyframes: KeyframePlan
    fps: ByVideoId[float]

    def in_seconds(self, table: AvaTable) -> AvaTable:
        """Give rows on numbered frames the times in their files.

        Args:
            table: Rows whose timestamps are numbers of frames.

        Returns:
            The rows of the videos of the plan; their timestamps are seconds.
        """
        seconds = np.full(len(table), np.nan)
        for rows, fps in self._videos_of(table):
            seconds[rows] = FrameNumbers(fps).seconds(table.timestamps_seconds[rows])
        return replace(table, timestamps_seconds=seconds)[np.isfinite(seconds)]

    def in_frames(self, table: AvaTable) -> AvaTable:
        """Give rows at times in files the numbers of their frames.

        Args:
            table: Rows of videos of the plan, in seconds.

        Returns:
            The same rows; their timestamps are numbers of frames, from 1.
        """
        frames = np.zeros(len(table))
        for rows, fps in self._videos_of(table):
            frames[rows] = FrameNumbers(fps).at(table.timestamps_seconds[rows])
        return replace(table, timestamps_seconds=frames)

    def _videos_of(self, table: AvaTable) -> Iterator[tuple[npt.NDArray[np.bool_], float]]:
        """Yield which rows ``[R]`` are of each video of the plan, and its rate."""
        for number, video_id in enumerate(table.video_ids):
            if video_id in self.fps:
                yield table.video_index == number, self.fps[video_id]


def plan_tubes(
    annotations: TubeAnnotations,
    video_ids: Sequence[str],
    files: SplitConfig,
    frames: Literal["all", "labelled"],
    *,
    sampling_fps: float = ClipSettings.sampling_fps,
) -> TubePlan:
    """Find the files, or the folders of extracted frames, of videos of a data set of tubes.

    Args:
        annotations: The ground truth.
        video_ids: The videos.
        files: The folder of the videos or of their frames.
        frames: ``all`` frames of the videos, or those with a tube (``labelled``).
        sampling_fps: The rate that extracted frames have, as in training; video files have their own.

    Returns:
        The frames of the videos with a file, and their number of those without.

    Raises:
        VideoError: There is no video at all, or one cannot be opened.
        ConfigError: No file belongs to the data set, or several files are one video.
    """
    media = media_of_tubes(files, video_ids)
    found: list[VideoKeyframes] = []
    missing: dict[str, int] = {}
    rates: ByVideoId[float] = ByVideoId()
    for video_id in video_ids:
        numbers = _numbers(annotations, video_id, frames)
        paths = [file.path for file in media.get(video_id, [])]
        if len(paths) > 1:
            places = ", ".join(shown(path) for path in paths[:_MOST_SHOWN])
            raise ConfigError(f"{len(paths)} files are the video {shown(video_id)!r}: {places}; keep one of them")
        if not paths:
            missing[video_id] = len(numbers)
        elif numbers:
            frames_fps = sampling_fps if files.videos is None else None
            rates[video_id] = frames_fps or _fps(paths[0])
            seconds = tuple(FrameNumbers(rates[video_id]).seconds(numbers).tolist())
            found.append(VideoKeyframes(LocalVideo(paths[0], video_id), seconds, frames_fps=frames_fps))
    if not found:
        place = f"no file of {shown(files.videos)}" if files.videos else f"no folder of {shown(files.frames)}"
        raise ConfigError(
            f"{place} is one of the {len(video_ids)} videos of {shown(files.annotations)}, such as "
            f"{shown(next(iter(video_ids), 'none'))!r}"
        )
    return TubePlan(KeyframePlan(tuple(found), missing), rates)


def _numbers(annotations: TubeAnnotations, video_id: str, frames: Literal["all", "labelled"]) -> list[int]:
    if frames == "all":
        return list(range(1, annotations.num_frames.get(video_id, 0) + 1))
    tubes = annotations.tubes.get(video_id, ())
    return sorted({frame for tube in tubes for frame in tube.frames.tolist()})


def _fps(path: Path) -> float:
    return VideoReader(path).info.average_fps
