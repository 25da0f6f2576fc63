"""Tubes as the rows of an AVA csv, and back: a row for each box, of which the person id tells the tubes apart.

Frames become seconds and seconds frames by ``structures.frame_numbers``; pixels become fractions of the frame. A frame
without people has a row of video and time alone, as AVA lists keyframes on which no action is performed: so detections
there are errors on both sides.

A tube is one action of one person. It ends where the person is labelled without the action on a frame between; frames
on which the person is not labelled at all are left out of the tube.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ava_detect.errors import FormatError, shown
from ava_detect.formats.ava_table import AvaTable
from ava_detect.formats.tube_pickles import TubeAnnotations
from ava_detect.structures.frame_numbers import FrameNumbers
from ava_detect.structures.frame_tubes import FrameTube
from ava_detect.structures.labels import NO_ACTION, LabelMap

FloatArray = npt.NDArray[np.float64]
#: Height and width of each video in pixels, by video id.
Resolutions = Mapping[str, tuple[int, int]]
_DECIMALS = 9
# Of a quotient and a product of doubles, in units in the last place.
_ROUNDING_ERRORS = 4


def plain_decimals(values: FloatArray) -> FloatArray:
    """Remove the rounding errors of a division and a multiplication.

    Args:
        values: Numbers of any shape.

    Returns:
        The single-precision number, or else the decimal of up to nine places, that each value is within rounding errors
        of; the value itself where there is neither. So pixels of files of such numbers come back exactly.
    """
    reach = _ROUNDING_ERRORS * np.spacing(np.abs(values))
    single = values.astype(np.float32).astype(np.float64)
    decimal = np.round(values, _DECIMALS)
    return np.where(
        np.abs(single - values) <= reach, single, np.where(np.abs(decimal - values) <= reach, decimal, values)
    )


def to_pixels(
    boxes: FloatArray, video_ids: Sequence[str], video_index: npt.NDArray[np.integer[Any]], resolutions: Resolutions
) -> FloatArray:
    """Convert fractions of the frame to pixels.

    Args:
        boxes: float64 ``[N, 4]``, x1, y1, x2, y2 in fractions.
        video_ids: Distinct video ids.
        video_index: int ``[N]``, the video of each box in ``video_ids``.
        resolutions: Sizes of the videos.

    Returns:
        float64 ``[N, 4]`` in pixels.

    Raises:
        FormatError: The size of a video is unknown.
    """
    return plain_decimals(boxes * _sides(video_ids, video_index, resolutions))


def to_fractions(
    boxes: FloatArray, video_ids: Sequence[str], video_index: npt.NDArray[np.integer[Any]], resolutions: Resolutions
) -> FloatArray:
    """Convert pixels to fractions of the frame.

    Args:
        boxes: float64 ``[N, 4]``, x1, y1, x2, y2 in pixels.
        video_ids: Distinct video ids.
        video_index: int ``[N]``, the video of each box in ``video_ids``.
        resolutions: Sizes of the videos.

    Returns:
        float64 ``[N, 4]`` in fractions.

    Raises:
        FormatError: The size of a video is unknown.
    """
    return plain_decimals(boxes / _sides(video_ids, video_index, resolutions))


def _sides(video_ids: Sequence[str], video_index: npt.NDArray[np.integer[Any]], resolutions: Resolutions) -> FloatArray:
    """Width, height, width, height of the video of each box, ``[N, 4]``."""
    sides = np.zeros((len(video_ids), 4))
    for index in np.unique(video_index).tolist():
        height, width = resolutions.get(video_ids[index], (0, 0))
        if height <= 0 or width <= 0:
            raise FormatError(
                f"video {shown(video_ids[index])!r}: its height and width are unknown, and fractions of the frame need "
                "them"
            )
        sides[index] = width, height, width, height
    of_boxes: FloatArray = sides[video_index]
    return of_boxes


def rows_of_annotations(annotations: TubeAnnotations, numbers: FrameNumbers, action_ids: Mapping[int, int]) -> AvaTable:
    """Write tubes out as the rows of an AVA csv.

    Args:
        annotations: The tubes, with the size of each video.
        numbers: Converts frames to seconds.
        action_ids: The id in the csv of each label.

    Returns:
        The rows, video after video in time order. The person id is the number of the tube in its video, from 0.

    Raises:
        FormatError: The size of a video is unknown, or a frame is numbered below 1.
    """
    tables = []
    for video_id in dict.fromkeys([*annotations.num_frames, *annotations.tubes]):
        tubes = annotations.tubes.get(video_id, ())
        early = next((tube for tube in tubes if tube.frames[0] < 1), None)
        if early is not None:
            raise FormatError(f"video {shown(video_id)!r}: a tube has frame {early.frames[0]}; frames count from 1")
        lengths = [len(tube) for tube in tubes]
        frames = np.concatenate([np.empty(0, np.int64), *(tube.frames for tube in tubes)])
        empty = np.setdiff1d(np.arange(1, annotations.num_frames.get(video_id, 0) + 1), frames)
        boxes = np.concatenate([np.empty((0, 4)), *(tube.boxes_xyxy for tube in tubes)])
        if len(boxes):  # a video without tubes needs no size
            boxes = to_fractions(boxes, [video_id], np.zeros(len(boxes), np.int32), annotations.resolutions)
        boxes = np.concatenate([boxes, np.full((len(empty), 4), math.nan)])
        ids = np.repeat([action_ids[tube.action_id] for tube in tubes], lengths).astype(np.int32)
        people = np.repeat(np.arange(len(tubes)), lengths)
        frames = np.concatenate([frames, empty])
        table = AvaTable(
            (video_id,),
            np.zeros(len(frames), np.int32),
            numbers.seconds(frames),
            boxes,
            np.concatenate([ids, np.full(len(empty), NO_ACTION, np.int32)]),
            np.full(len(frames), math.nan),
            np.concatenate([people, np.full(len(empty), -1)]).astype(np.int64),
        )
        tables.append(table[np.argsort(frames, kind="stable")])
    return AvaTable.concatenate(tables)


def tubes_of_rows(
    table: AvaTable, labels: Mapping[int, int], numbers: FrameNumbers, resolutions: Resolutions | None
) -> dict[str, tuple[FrameTube, ...]]:
    """Collect the tubes of the rows of an AVA csv.

    Args:
        table: The rows, with person ids.
        labels: The label of each action id; rows of other actions only tell that the person is there.
        numbers: Converts seconds to frames.
        resolutions: Sizes of the videos; None leaves the boxes in fractions.

    Returns:
        The tubes of each video, by person id, action and time.

    Raises:
        FormatError: A row has no person id, lies between two frames, is given twice, or its video has no known size;
            the message names its video and second.
    """
    found: dict[str, tuple[FrameTube, ...]] = dict.fromkeys(table.video_ids, ())
    table = table[~table.is_keyframe_only]
    if not len(table):
        return found
    _check_rows(table, numbers)
    frames = numbers.at(table.timestamps_seconds)
    order = np.lexsort((frames, table.action_ids, table.person_ids, table.video_index))
    table, frames = table[order], frames[order]
    boxes = table.boxes_fraction
    if resolutions is not None:
        boxes = to_pixels(boxes, table.video_ids, table.video_index, resolutions)
    for people in runs(table.video_index, table.person_ids):
        video_id = table.video_ids[table.video_index[people.start]]
        present = np.unique(frames[people])
        tubes: list[FrameTube] = []
        for rows in runs(table.action_ids[people], first=people.start):
            action_id = int(table.action_ids[rows.start])
            if action_id not in labels:
                continue
            # A step of more than one among the person's frames: labelled there without this action.
            steps = np.diff(np.searchsorted(present, frames[rows]))
            if (steps == 0).any():
                row = rows.start + int((steps == 0).argmax())
                raise FormatError(f"{_place(table, row)}: person and action {action_id} are given twice on one frame")
            bounds = [rows.start, *(rows.start + 1 + np.flatnonzero(steps > 1)).tolist(), rows.stop]
            for low, high in itertools.pairwise(bounds):
                tubes.append(FrameTube(video_id, labels[action_id], frames[low:high], boxes[low:high]))
        found[video_id] += tuple(tubes)
    return found


def _check_rows(table: AvaTable, numbers: FrameNumbers) -> None:
    if (table.person_ids == -1).any():
        row = int((table.person_ids == -1).argmax())
        raise FormatError(
            f"{_place(table, row)}: the row has no person id (column 8), which tells the tubes of a video apart"
        )
    if not np.isfinite(table.boxes_fraction).all():
        row = int((~np.isfinite(table.boxes_fraction)).any(axis=1).argmax())
        raise FormatError(f"{_place(table, row)}: a corner of the box is no finite number")
    row_between = numbers.first_between(table.timestamps_seconds)
    if row_between is not None:
        raise FormatError(
            f"{_place(table, row_between)}: at {numbers.fps:g} frames a second this lies between two frames; `fps` is "
            "the number of labelled frames a second"
        )


def _place(table: AvaTable, row: int) -> str:
    video_id = table.video_ids[table.video_index[row]]
    return f"video {shown(video_id)!r}, second {table.timestamps_seconds[row]:.10g}"


def runs(*columns: npt.NDArray[np.integer[Any]], first: int = 0) -> Iterator[slice]:
    """Find the runs of equal rows of some columns.

    Args:
        *columns: Integers ``[R]`` each.
        first: Number of the first row.

    Yields:
        The rows of each run, counted from ``first``.
    """
    if not len(columns[0]):
        return
    starts = np.flatnonzero(np.logical_or.reduce([np.diff(column, prepend=column[0] - 1) != 0 for column in columns]))
    for low, high in zip(starts.tolist(), [*starts[1:].tolist(), len(columns[0])], strict=True):
        yield slice(first + low, first + high)


def labels_by_name(known: LabelMap, given: LabelMap) -> dict[int, int]:
    """Match the actions of two label maps by their names; case, underscores and spaces make no difference.

    Args:
        known: The actions of the data set.
        given: Other actions.

    Returns:
        The label in ``known`` of each id of ``given`` that has one.
    """
    by_name = {_plain(action.name): action.id for action in known}
    return {action.id: by_name[name] for action in given if (name := _plain(action.name)) in by_name}


def _plain(name: str) -> str:
    return " ".join(name.casefold().replace("_", " ").split())
