"""The ways of linking detected boxes to tubes, by name.

``moc`` and ``mmaction2`` link each action by itself, with the settings of the published programs
(``structures.tube_linking``); ``tracks`` links people first, whatever they do (``structures.track_tubes``).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, cast, get_args

import numpy as np
import numpy.typing as npt

from ava_detect.evaluation.frame_map_result import check_word
from ava_detect.evaluation.video_map_result import TubeDialect
from ava_detect.formats.ava_table import AvaTable
from ava_detect.formats.tube_tables import runs
from ava_detect.structures import ActionDetections
from ava_detect.structures.frame_numbers import FrameNumbers
from ava_detect.structures.frame_tubes import FrameTube
from ava_detect.structures.track_tubes import tubes_of_tracks
from ava_detect.structures.tube_linking import TubeLinking, link_boxes

LinkingName = Literal["moc", "mmaction2", "tracks"]
#: ``BuildTubes`` of MOC, and ``link_tubes`` of mmaction2.
PUBLISHED: dict[LinkingName, TubeLinking] = {
    "moc": TubeLinking(),
    "mmaction2": TubeLinking(max_gap=1, inclusive=False),
}
#: What the program of each dialect does.
OF_DIALECT: dict[TubeDialect, LinkingName] = {"multisports": "mmaction2", "act": "moc"}
# Where boxes come from a file that counts frames only: the rate of UCF101 and of MultiSports.
_USUAL_FPS = 25.0


def check_linking(linking: str) -> LinkingName:
    """Return ``linking`` if it is one.

    Args:
        linking: The name that was given.

    Returns:
        The same name.

    Raises:
        ConfigError: It is neither ``moc`` nor ``mmaction2`` nor ``tracks``.
    """
    check_word("linking", linking, get_args(LinkingName))
    return cast(LinkingName, linking)


def link_table(boxes: AvaTable, linking: LinkingName, fps: float | None = None) -> Iterator[FrameTube]:
    """Link the detected boxes of a table to tubes, video by video.

    Args:
        boxes: The boxes; timestamps are frame numbers. For ``tracks``, rows of one frame and box are one person, whose
            track is the person id; where rows have none, people are linked.
        linking: How they are linked.
        fps: Frames per second, which ``tracks`` needs; None for 25.

    Yields:
        The tubes.
    """
    if linking == "tracks":
        numbers = FrameNumbers(fps or _USUAL_FPS)
        for rows in _by(boxes, np.argsort(boxes.video_index, kind="stable"), "video_index"):
            yield from tubes_of_tracks(_people(rows, numbers), numbers)
        return
    order = np.lexsort((boxes.timestamps_seconds, boxes.action_ids, boxes.video_index))
    for rows in _by(boxes, order, "video_index", "action_ids"):
        frames = rows.timestamps_seconds.astype(np.int64)
        of_frames = ((int(frames[part][0]), rows.boxes_fraction[part], rows.scores[part]) for part in runs(frames))
        video_id = rows.video_ids[rows.video_index[0]]
        yield from link_boxes(video_id, int(rows.action_ids[0]), of_frames, PUBLISHED[linking])


def _by(boxes: AvaTable, order: npt.NDArray[np.intp], *columns: str) -> Iterator[AvaTable]:
    """Yield the rows of each run of equal values in some columns, in an order."""
    ordered = boxes[order]
    for rows in runs(*(getattr(ordered, column) for column in columns)):
        yield ordered[rows]


def _people(rows: AvaTable, numbers: FrameNumbers) -> Iterator[ActionDetections]:
    """Collect the people on each frame of one video: rows of one frame, track and box."""
    frames = rows.timestamps_seconds.astype(np.int64)
    keys: list[npt.NDArray[Any]] = [*rows.boxes_fraction.T, rows.person_ids, frames]
    order = np.lexsort(keys)
    rows, frames = rows[order], frames[order]
    is_new = np.ones(len(rows), np.bool_)
    is_new[1:] = np.any([np.diff(column[order]) != 0 for column in keys], axis=0)
    person = np.cumsum(is_new) - 1  # [R]
    firsts = np.flatnonzero(is_new)  # [P]
    ids, columns = np.unique(rows.action_ids, return_inverse=True)
    scores = np.zeros((len(firsts), len(ids)), np.float32)  # [P, C]
    np.maximum.at(scores, (person, columns), rows.scores.astype(np.float32))
    has_tracks = bool((rows.person_ids != -1).all())
    video_id = rows.video_ids[rows.video_index[0]]
    for part in runs(frames[firsts]):
        of_frame = firsts[part]
        yield ActionDetections(
            video_id,
            float(numbers.seconds(frames[of_frame[0]])),
            # In pixels: linking compares boxes with each other only.
            rows.boxes_fraction[of_frame].astype(np.float32),
            scores[part].max(axis=1),
            scores[part],
            ids.astype(np.int64),
            rows.person_ids[of_frame] if has_tracks else None,
        )
