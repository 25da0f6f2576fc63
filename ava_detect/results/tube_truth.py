"""The ground truth of tubes that detections are measured against: the pickle of a data set, or an AVA csv."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from ava_detect.errors import FormatError, shown
from ava_detect.formats.annotation_files import read_ground_truth
from ava_detect.formats.ava_table import AvaTable
from ava_detect.formats.row_checks import check_boxes
from ava_detect.formats.tube_pickles import TubeAnnotations, read_tube_annotations
from ava_detect.formats.tube_tables import tubes_of_rows
from ava_detect.structures.frame_numbers import FrameNumbers
from ava_detect.structures.frame_tubes import FrameTube
from ava_detect.structures.labels import LabelMap


@dataclass(frozen=True)
class TubeTruth:
    """What detections are measured against.

    Attributes:
        annotations: The ground truth; without resolutions its boxes are in fractions of the frame.
        videos: Ids of the videos that are measured, in the order that detections count.
        label_ids: The label of each action id in csv files without names.
    """

    annotations: TubeAnnotations
    videos: tuple[str, ...]
    label_ids: Mapping[int, int]

    @property
    def is_in_pixels(self) -> bool:
        """Whether boxes are in pixels."""
        return bool(self.annotations.resolutions)

    def video_of(self, video_id: str) -> str | None:
        """Find the video that results call by its id, or by the last part of it, as file names do.

        Args:
            video_id: Id in the results.

        Returns:
            Id of the video; None where it is not measured.

        Raises:
            FormatError: Several videos end in that name.
        """
        if video_id in self.videos:
            return video_id
        found = [known for known in self.videos if PurePosixPath(known).name == video_id]
        if len(found) > 1:
            raise FormatError(
                f"{shown(video_id)} is the name of {len(found)} videos of the ground truth, such as {shown(found[0])}; "
                "call the results by the whole id"
            )
        return found[0] if found else None


def truth_of_pickle(path: str | Path, split: int = 1) -> TubeTruth:
    """Read the pickle of a data set.

    Args:
        path: The pickle.
        split: Number of the split, from 1.

    Returns:
        Its ground truth, measured on the test videos of the split.

    Raises:
        FormatError: The file cannot be read.
        ConfigError: There is no such split.
    """
    annotations = read_tube_annotations(path)
    by_id = {label + 1: label for label in annotations.label_map.ids}
    return TubeTruth(annotations, annotations.test_videos(split), by_id)


def truth_of_csv(
    path: str | Path, numbers: FrameNumbers, label_map: LabelMap, exclude: AvaTable, only: Collection[str] | None = None
) -> TubeTruth:
    """Read an AVA csv, or another file of ground truth, with person ids; its boxes stay in fractions of the frame.

    Args:
        path: The file.
        numbers: Converts its times, in seconds of the movie, into frames.
        label_map: The actions that count.
        exclude: Rows of video and time that are left out.
        only: Ids of the videos that count; None for all.

    Returns:
        The ground truth, measured on all of these videos.

    Raises:
        FormatError: The file cannot be read, a row has no person id, or its box is none in fractions of the frame; the
            message names the file and the row.
    """
    rows = read_ground_truth(path, start_seconds=numbers.start_seconds, actions_required=True)
    check_boxes(rows, path)
    rows = rows if only is None else rows.only_videos(only)
    videos = tuple(video_id for video_id in rows.video_ids if only is None or video_id in only)
    same = {action_id: action_id for action_id in label_map.ids}
    rows = rows[~is_excluded(rows, numbers.at(rows.timestamps_seconds), excluded_frames(exclude, numbers))]
    try:
        tubes = tubes_of_rows(rows, same, numbers, None)
    except FormatError as error:
        raise FormatError(f"{shown(path)}: {error}") from error
    tubes = {video_id: tubes[video_id] for video_id in videos}
    return TubeTruth(TubeAnnotations(label_map, tubes, {}, ((),), (videos,), {}), videos, same)


def excluded_frames(exclude: AvaTable, numbers: FrameNumbers) -> dict[str, set[int]]:
    """Return the numbers of the excluded frames of each video.

    Args:
        exclude: Rows of video and time, in seconds of the movie.
        numbers: Converts times into frames.

    Returns:
        The frames by video id.
    """
    frames: dict[str, set[int]] = {}
    for index, frame in zip(exclude.video_index.tolist(), numbers.at(exclude.timestamps_seconds).tolist(), strict=True):
        frames.setdefault(exclude.video_ids[index], set()).add(frame)
    return frames


def is_excluded(
    rows: AvaTable, frames: npt.NDArray[np.int64], excluded: Mapping[str, Collection[int]]
) -> npt.NDArray[np.bool_]:
    """Tell which rows are on excluded frames.

    Args:
        rows: R rows.
        frames: int64 ``[R]``, number of the frame of each.
        excluded: The excluded frames by video id.

    Returns:
        bool ``[R]``.
    """
    mask = np.zeros(len(rows), np.bool_)
    for index, video_id in enumerate(rows.video_ids):
        if video_id in excluded:
            mask |= (rows.video_index == index) & np.isin(frames, list(excluded[video_id]))
    return mask


def without_frames(
    found: AvaTable | list[FrameTube], excluded: Mapping[str, Collection[int]]
) -> AvaTable | list[FrameTube]:
    """Leave out what was detected on excluded frames.

    Args:
        found: Boxes whose timestamps are numbers of frames, or tubes.
        excluded: The excluded frames by video id.

    Returns:
        The other boxes; or the tubes without these frames, and without those that then have none.
    """
    if not excluded:
        return found
    if isinstance(found, AvaTable):
        return found[~is_excluded(found, found.timestamps_seconds.astype(np.int64), excluded)]
    kept = []
    for tube in found:
        stays = ~np.isin(tube.frames, list(excluded.get(tube.video_id, ())))
        if stays.any():
            kept.append(replace(tube, frames=tube.frames[stays], boxes_xyxy=tube.boxes_xyxy[stays]))
    return kept
