"""MultiSports, UCF101-24 and JHMDB as data sets of people on keyframes: every frame of a tube is a keyframe.

Their pickle (``formats.tube_pickles``) counts frames from 1 and has boxes in pixels. The tables here have the number of
the frame in place of the second, and ``NumberedClips`` finds the frame of a number in its file.

Shapes: R rows, L labels of the data set.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
import numpy.typing as npt

from ava_detect.config import SplitConfig
from ava_detect.datasets.clip_sources import FrameClips, VideoClips, check_found
from ava_detect.errors import ConfigError, FormatError, VideoError, counted, shown
from ava_detect.formats.ava_table import AvaTable
from ava_detect.formats.tube_pickles import TubeAnnotations
from ava_detect.formats.tube_tables import labels_by_name, to_fractions
from ava_detect.structures import Clip, ClipSettings
from ava_detect.structures.frame_numbers import FrameNumbers
from ava_detect.structures.labels import NO_ACTION, LabelMap
from ava_detect.structures.video_ids import ByVideoId
from ava_detect.video.sources import VideoFile, videos_by_id

IdArray = npt.NDArray[np.int32]
_MOST_SHOWN = 5


def videos_of(annotations: TubeAnnotations, split: Literal["train", "val"], number: int) -> tuple[str, ...]:
    """Return the videos of a split: those to train with for ``train``, those to measure on for ``val``.

    Args:
        annotations: The ground truth.
        split: The section of the config.
        number: Number of the data set's division, from 1.

    Returns:
        The ids.

    Raises:
        ConfigError: There is no such division.
    """
    return annotations.train_videos(number) if split == "train" else annotations.test_videos(number)


def ids_of_labels(labels: LabelMap, actions: LabelMap, origin: str | Path, *, is_chosen: bool = False) -> IdArray:
    """Find the network's action of each label of a data set, by its name.

    Case, underscores and spaces make no difference. A network whose actions have no names has them in the order of the
    labels.

    Args:
        labels: The labels of the data set.
        actions: The network's actions.
        origin: The file of the data set, for messages.
        is_chosen: Whether the network's actions were chosen among the labels, so that others may be left out.

    Returns:
        int32 ``[L]``, the id of each label's action; ``NO_ACTION`` where it was left out.

    Raises:
        ConfigError: A label has no action, or none has one.
    """
    if all(action.name == f"action {action.id}" for action in actions) and len(actions) == len(labels):
        return np.array(actions.ids, np.int32)
    action_of = {label: action_id for action_id, label in labels_by_name(labels, actions).items()}
    ids = np.array([action_of.get(label.id, NO_ACTION) for label in labels], np.int32)
    missing = [label.name for label, found in zip(labels, ids.tolist(), strict=True) if found == NO_ACTION]
    if missing and (not is_chosen or len(missing) == len(labels)):
        names = shown(", ".join(missing[:_MOST_SHOWN])) + (" and others" if len(missing) > _MOST_SHOWN else "")
        raise ConfigError(
            f"{shown(origin)}: {len(missing)} of its {counted(len(labels), 'label')} are no actions of the network: "
            f"{names}; give the label map that belongs to it (`labels.map`), or remove `labels` from the config, so "
            "that the data set names the actions"
        )
    return ids


def tube_rows(annotations: TubeAnnotations, videos: Iterable[str], ids: IdArray, origin: str | Path) -> AvaTable:
    """Return the boxes of tubes as rows of a table.

    Args:
        annotations: The ground truth.
        videos: Ids of the videos.
        ids: int32 ``[L]``, the action id of each label.
        origin: The file, for messages.

    Returns:
        A row for each box: the number of its frame as timestamp, fractions of the frame, the number of its tube, from
        0, as person.

    Raises:
        FormatError: The resolution of a video with a tube is missing or is none.
    """
    videos = tuple(dict.fromkeys(videos))
    tubes = [(number, tube) for number, video_id in enumerate(videos) for tube in annotations.tubes.get(video_id, ())]
    lengths = [len(tube) for _, tube in tubes]
    video_index = np.repeat(np.array([number for number, _ in tubes], np.int32), lengths)
    corners = np.concatenate([np.empty((0, 4)), *(tube.boxes_xyxy for _, tube in tubes)])  # [R, 4], pixels
    require_sizes(annotations, dict.fromkeys(tube.video_id for _, tube in tubes), origin)
    return AvaTable(
        videos,
        video_index,
        np.concatenate([np.empty(0), *(tube.frames for _, tube in tubes)]),
        to_fractions(corners, videos, video_index, annotations.resolutions),
        np.repeat(np.array([ids[tube.action_id] for _, tube in tubes], np.int32), lengths),
        np.full(len(corners), np.nan),
        np.repeat(np.arange(len(tubes), dtype=np.int64), lengths),
    )


def require_sizes(annotations: TubeAnnotations, videos: Iterable[str], origin: str | Path) -> None:
    """Refuse a data set that does not say the size of a video, in whose pixels its boxes are.

    Args:
        annotations: The ground truth.
        videos: Ids of the videos.
        origin: The file, for messages.

    Raises:
        FormatError: The resolution of a video is missing or is none.
    """
    for video_id in videos:
        if min(annotations.resolutions.get(video_id, (0, 0))) <= 0:
            raise FormatError(
                f"{shown(origin)}: video {shown(video_id)!r} has no resolution (height and width in pixels); boxes are "
                "in pixels of it"
            )


def with_ids_of(table: AvaTable, video_ids: Iterable[str]) -> AvaTable:
    """Give the videos of a table the ids of a data set.

    Files of boxes name a video with its folder or without, as ``aerobic_gymnastics/v_x``, ``v_x`` or, in mmaction2's
    pickles, ``aerobic_gymnastics/v_x.mp4``.

    Args:
        table: Rows of videos.
        video_ids: The ids of the data set.

    Returns:
        The rows with the ids of the data set; those of other videos keep theirs.
    """
    video_ids = tuple(video_ids)
    known = ByVideoId((video_id, video_id) for video_id in video_ids)
    counts = Counter(PurePosixPath(video_id).name for video_id in video_ids)
    by_name = ByVideoId((name, one) for one in video_ids if counts[name := PurePosixPath(one).name] == 1)

    def renamed(video_id: str) -> str:
        path = PurePosixPath(video_id)
        names = (video_id, str(path.with_suffix("")) if path.name else video_id)
        found = next((known[name] for name in names if name in known), None)
        return found or next((by_name[name] for name in (path.name, path.stem) if name in by_name), video_id)

    names = [renamed(video_id) for video_id in table.video_ids]
    distinct = {name: number for number, name in enumerate(dict.fromkeys(names))}
    numbers = np.array([distinct[name] for name in names], np.int32)
    index = numbers[table.video_index] if len(table) else table.video_index
    return replace(table, video_ids=tuple(distinct), video_index=index)


def media_of_tubes(files: SplitConfig, video_ids: Collection[str]) -> ByVideoId[list[VideoFile]]:
    """Find the files or the folders of frames of videos whose ids have a folder in them, as ``basketball/v_x``.

    The video may lie in that folder, at any depth, or without it where no other id of the data set ends alike.

    Args:
        files: The split.
        video_ids: The ids.

    Returns:
        The files or folders of each id that has one; several where they cannot be told apart.

    Raises:
        VideoError: There is no such folder, or no video in it.
    """
    counts = Counter(PurePosixPath(video_id).name for video_id in video_ids)
    if files.videos is None:
        folder = Path(files.frames or "")
        flat = [(one, folder / _name(one)) for one in video_ids if counts[_name(one)] == 1]
        nested = [(one, folder / one) for one in video_ids]  # which replace the others
        return ByVideoId((one, [VideoFile(path)]) for one, path in (*flat, *nested) if path.is_dir())
    by_name = videos_by_id(files.videos)
    media: ByVideoId[list[VideoFile]] = ByVideoId()
    for one in video_ids:
        # A clip that was cut out of the video counts its own frames.
        alike = [file for file in by_name.get(_name(one), []) if file.start_seconds is None]
        parts = PurePosixPath(one).parts
        exact = [file for file in alike if file.path.with_suffix("").parts[-len(parts) :][:-1] == parts[:-1]]
        if chosen := exact or (alike if counts[_name(one)] == 1 else []):
            media[one] = chosen
    return media


def _name(video_id: str) -> str:
    return PurePosixPath(video_id).name


class NumberedClips:
    """Clips around the frames of a number: timestamps of the annotations are numbers of frames, from 1."""

    def __init__(self, source: VideoClips | FrameClips, settings: ClipSettings) -> None:
        """Wrap a source that counts seconds.

        Args:
            source: The clips by time.
            settings: The clips' settings, whose rate is that of extracted frames.
        """
        self._source = source
        self._settings = settings

    def duration_seconds(self, video: int, settings: ClipSettings) -> float:
        """See ``ClipSource.duration_seconds``."""
        return self._source.duration_seconds(video, settings)

    def to_file_seconds(self, video: int, seconds: float) -> float:
        """See ``ClipSource.to_file_seconds``; the number of a frame, from 1, stands in place of the seconds."""
        return float(FrameNumbers(self._source.frames_per_second(video, self._settings)).seconds(seconds))

    def clip(self, video: int, file_seconds: float, settings: ClipSettings) -> Clip:
        """See ``ClipSource.clip``."""
        return self._source.clip(video, file_seconds, settings)


def clips_of_tubes(files: SplitConfig, video_ids: Sequence[str], settings: ClipSettings) -> NumberedClips:
    """Return the source of the clips of a split of tubes.

    Args:
        files: The split.
        video_ids: The videos.
        settings: How clips are cut.

    Returns:
        The clips, in the order of the ids; their timestamps are numbers of frames.

    Raises:
        VideoError: Videos are missing, or several files are one of them; names the annotations, too.
    """
    listed = f"(listed in {shown(files.annotations)})"
    folder = files.videos or files.frames or ""
    try:
        media = media_of_tubes(files, video_ids)
        check_found(folder, [one for one in video_ids if one not in media], len(video_ids))
    except VideoError as error:
        raise VideoError(f"{error} {listed}") from error
    for one in video_ids:
        if len(media[one]) > 1:
            places = ", ".join(shown(file.path) for file in media[one][:_MOST_SHOWN])
            raise ConfigError(f"{len(media[one])} files are the video {shown(one)!r} {listed}: {places}; keep one")
    paths = [media[one][0].path for one in video_ids]
    if files.videos is not None:
        return NumberedClips(VideoClips([str(path) for path in paths]), settings)
    return NumberedClips(FrameClips(folder, [path.relative_to(folder).as_posix() for path in paths]), settings)
