"""Person boxes from a file: an AVA csv (PySlowFast's proposals, ground truth), COCO json or a pickle of mmaction2."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from ava_detect.detectors.base import Converters, Image, finite_number
from ava_detect.detectors.classes import Wanted, chosen_classes, read_classes
from ava_detect.detectors.function import boxes_of
from ava_detect.errors import DetectorError, FormatError, shown
from ava_detect.formats.annotation_files import is_coco_file, read_ground_truth, read_person_boxes
from ava_detect.formats.ava_csv import AvaTable
from ava_detect.formats.ava_csv_header import LastColumn
from ava_detect.formats.row_checks import check_boxes
from ava_detect.structures import Float32Array, Frame, PersonBoxes, boxes
from ava_detect.structures.video_ids import ByVideoId

if TYPE_CHECKING:
    from supervision import Detections

# Greatest difference between a frame's time and the file's timestamp: writers round to hundredths.
TIMESTAMP_TOLERANCE_SECONDS = 0.01
# The float sum and difference of two-decimal times may miss the tolerance by a rounding.
_TOLERANCE = TIMESTAMP_TOLERANCE_SECONDS + 1e-9
_IDS_HINT = "if column 8 holds person ids, as in ground truth, say last_column=person_id"


class _Video(NamedTuple):
    """The persons of one video in order of time, R rows.

    Attributes:
        timestamps_seconds: Time of the keyframe of each row, ``[R]``.
        boxes_fraction: Boxes as fractions of the frame, ``[R, 4]``.
        scores: Scores in 0..1, ``[R]``.
        listed_seconds: Distinct times that the file lists, ascending, those without a person that is kept included.
    """

    timestamps_seconds: npt.NDArray[np.float64]
    boxes_fraction: Float32Array
    scores: Float32Array
    listed_seconds: npt.NDArray[np.float64]


class PrecomputedBoxes:
    """Returns the persons that a file lists for a keyframe, by the frame's video and time; pixels are not read.

    The attribute ``start_seconds`` may be changed between videos. Several rows of one box on one keyframe, one per
    action label, are one person, with the best of their scores.
    """

    needs_images: bool = False
    spec_options: ClassVar[Converters] = {
        "start_seconds": finite_number,
        "last_column": str,
        "images": str,
        "classes": read_classes,
    }

    def __init__(
        self,
        path: str | Path,
        *,
        start_seconds: float = 0.0,
        min_score: float | None = None,
        last_column: LastColumn = "score",
        images: str | Path | None = None,
        classes: Wanted | None = None,
        video_starts: Mapping[str, float] | None = None,
    ) -> None:
        """Read the file.

        Args:
            path: An AVA csv, a COCO json file if the name ends in ``.json``, or mmaction2's pickle of proposals.
            start_seconds: Time in the movie at which a video file starts; it is added to a frame's time to get the
                file's timestamp (900 for AVA's trimmed files).
            min_score: Lowest score of a person, 0..1; None keeps all. A person without a score has the score 1.
            last_column: Content of column 8 of a csv, ``"score"`` or ``"person_id"`` (ground truth).
            images: The instances file that belongs to a COCO results list.
            classes: The categories of a COCO file that are the actors, by id or name; by default person.
            video_starts: Video id -> ``start_seconds`` of that video, where it differs.

        Raises:
            FormatError: The file cannot be read.
            DetectorError: A box is in pixels or has reversed sides, a score is not in 0..1 or may be a person id, or
                the file has no such category.
        """
        if classes is not None and (last_column == "person_id" or not is_coco_file(path)):
            raise DetectorError(
                f"{path}: its boxes have no classes; only those of a COCO json have them, so leave classes out"
            )
        if last_column == "person_id":
            table = read_ground_truth(path, start_seconds=start_seconds)
        else:
            table = read_person_boxes(
                path, images_path=images, choose=lambda names: chosen_classes(classes, names, str(path), unnamed=1)
            )
        _check(table, path)
        self.start_seconds = start_seconds
        self._list(path, table, min_score, video_starts)

    @classmethod
    def from_table(cls, table: AvaTable, origin: str | Path, *, min_score: float | None = None) -> Self:
        """Take the people of rows that were read already.

        Args:
            table: The rows; timestamps in seconds from the start of the video file.
            origin: Where they come from, for messages.
            min_score: Lowest score of a person, 0..1; None keeps all. A person without a score has the score 1.

        Returns:
            The detector.

        Raises:
            DetectorError: A box is in pixels or has reversed sides, or a score is not in 0..1 or may be a person id.
        """
        _check(table, origin)
        self = cls.__new__(cls)
        self.start_seconds = 0.0
        self._list(origin, table, min_score)
        return self

    @classmethod
    def from_supervision(
        cls,
        detections: Mapping[float, Detections],
        size: tuple[int, int],
        *,
        video_id: str,
        min_score: float | None = None,
    ) -> Self:
        """Take the people that another detector or tracker found on the keyframes of a video.

        Args:
            detections: Time of the keyframe, in seconds from the start of the file -> ``supervision.Detections``. Every
                box is a person.
            size: Width and height of the frames in pixels, in which the boxes are.
            video_id: The video: its file's name without suffix, or the ``video_id`` with which the pipeline is called.
            min_score: Lowest score of a person, 0..1; None keeps all. A person without a score has the score 1.

        Returns:
            The detector.

        Raises:
            DetectorError: A value has no ``xyxy`` and ``confidence``, a score is not in 0..1, a time is no number from
                0 on, or the size is none.

        Example:
            >>> found = {second: tracker.update_with_detections(detect(second)) for second in range(60)}
            >>> Pipeline(PrecomputedBoxes.from_supervision(found, (1920, 1080), video_id="movie"), model)("movie.mp4")
        """
        width, height = size
        if not (width > 0 and height > 0):
            raise DetectorError(f"`size` is the width and the height of the frames in pixels, got {size}")
        parts = [AvaTable.empty()]
        for seconds, found in detections.items():
            where = f"supervision.Detections of {shown(video_id)} at {seconds} s"
            try:
                if not 0 <= seconds < math.inf:
                    raise ValueError("times are seconds from 0 on")
                people = boxes_of(found)
            except (AttributeError, TypeError, ValueError) as error:
                raise DetectorError(f"{where}: {shown(error)}") from error
            fractions = boxes.pixels_to_fractions(people.boxes_xyxy.astype(np.float64), width, height)
            if (people.scores < 0).any() or (people.scores > 1).any():
                raise DetectorError(
                    f"{where}: scores lie in 0..1, got {people.scores.min():g} to {people.scores.max():g}"
                )
            inside = boxes.clip(fractions, 1, 1)
            # A keyframe without people is a row without a box, which tells it apart from one that is not listed.
            rows = np.vstack([inside, np.full((1, 4), np.nan)])
            scores = np.append(people.scores.astype(np.float64), np.nan)
            parts.append(AvaTable.from_columns([video_id] * len(rows), [seconds] * len(rows), rows, scores=scores))
        self = cls.__new__(cls)
        self.start_seconds = 0.0
        self._list(f"supervision:{video_id}", AvaTable.concatenate(parts), min_score)
        return self

    def _list(
        self,
        path: str | Path,
        table: AvaTable,
        min_score: float | None,
        video_starts: Mapping[str, float] | None = None,
    ) -> None:
        """Take the rows of a table whose boxes and scores are in range."""
        self.name = f"boxes:{Path(path).name}"
        self._path = path
        self._video_starts = {} if video_starts is None else video_starts
        self._videos = _people_by_video(table, min_score)

    def __call__(self, frames: Sequence[Frame | Image]) -> list[PersonBoxes]:
        """Look up the persons on each frame.

        Args:
            frames: ``Frame`` values, which have a video id and a time.

        Returns:
            One ``PersonBoxes`` per frame, in pixels of the frame, best score first; empty where the file has no such
            time.

        Raises:
            DetectorError: A frame is a plain image, or the file has no row of its video.
        """
        return [self._people(frame) for frame in frames]

    def mismatch(self, video_id: str, keyframes_seconds: npt.ArrayLike) -> str:
        """Describe why a video has no person at all: the file lists none of its keyframes.

        Args:
            video_id: The video.
            keyframes_seconds: Times of its keyframes from the start of the file, in seconds, ascending.

        Returns:
            A sentence with the ranges of both; empty where a keyframe is listed, with people or without.
        """
        keyframes = np.asarray(keyframes_seconds, np.float64)
        start = self._video_starts.get(video_id, self.start_seconds)
        listed = self._videos[video_id].listed_seconds if video_id in self._videos else np.empty(0)
        if not (len(keyframes) and len(listed)):
            return ""
        # The distance of each keyframe to the listed times on both sides of it.
        after = np.searchsorted(listed, keyframes + start)
        sides = listed[np.clip(np.stack([after - 1, after]), 0, len(listed) - 1)]
        if (np.abs(sides - (keyframes + start)) <= _TOLERANCE).any():
            return ""
        shift = f" plus `start_seconds` {start:g}" if start else ""
        return (
            f"{shown(self._path)}: none of the {len(listed)} times that it lists for {shown(video_id)} is a keyframe, "
            f"so no person was found: it lists {listed[0]:g} to {listed[-1]:g} s, and the {len(keyframes)} keyframes "
            f"are {keyframes[0]:g} to {keyframes[-1]:g} s{shift}; `start_seconds` says where in its movie the file "
            "starts (900 for AVA's trimmed files), and `every_seconds` how far keyframes are apart"
        )

    def _people(self, frame: Frame | Image) -> PersonBoxes:
        """The persons on one frame."""
        if not isinstance(frame, Frame):
            raise DetectorError(f"{self._path}: boxes are found by video and time; give Frame values, not plain arrays")
        video = self._videos.get(frame.video_id)
        if video is None:
            raise DetectorError(self._no_such_video(frame.video_id))
        times = video.timestamps_seconds
        wanted = frame.timestamp_seconds + self._video_starts.get(frame.video_id, self.start_seconds)
        if not len(times):
            return PersonBoxes.empty()
        # The keyframe nearest in time, and all rows of it.
        nearest = times[np.abs(times - wanted).argmin()]
        if abs(nearest - wanted) > _TOLERANCE:
            return PersonBoxes.empty()
        rows = slice(np.searchsorted(times, nearest, "left"), np.searchsorted(times, nearest, "right"))
        height, width = frame.image.shape[:2]
        inside = boxes.clip(video.boxes_fraction[rows], 1, 1)
        return PersonBoxes(boxes.fractions_to_pixels(inside, width, height), video.scores[rows])

    def _no_such_video(self, video_id: str) -> str:
        """The message for a video without rows, with similar names."""
        known = list(self._videos)
        stem = Path(video_id).stem
        near = [name for name in known if Path(name).stem == stem] or get_close_matches(video_id, known, n=1)
        hint = f"did you mean {near[0]!r}? it has" if near else "it has"
        examples = shown(", ".join(known[:3])) + (f" and {len(known) - 3} more" if len(known) > 3 else "")
        return f"{self._path}: no row is of the video {video_id!r}; {hint} {examples or 'no video at all'}"


def _check(table: AvaTable, path: str | Path) -> None:
    try:
        check_boxes(table, path, ids_hint=_IDS_HINT)
    except FormatError as error:
        raise DetectorError(str(error)) from None


def _people_by_video(table: AvaTable, min_score: float | None) -> ByVideoId[_Video]:
    """The persons of each video, one row per person; a video whose keyframes are all empty has no rows."""
    import pandas as pd  # slow to import (a quarter of a second), and needed only for files of boxes

    corners = ["x1", "y1", "x2", "y2"]
    rows = pd.DataFrame(table.boxes_fraction, columns=corners)
    rows.insert(0, "video", table.video_index)
    rows.insert(1, "seconds", table.timestamps_seconds)
    rows["score"] = np.where(np.isnan(table.scores), 1.0, table.scores)
    # Sort by time, then by descending score, so that the first of equal boxes has the best score.
    people = rows[~table.is_keyframe_only].sort_values(["seconds", "score"], ascending=[True, False], kind="stable")
    people = people.drop_duplicates(["video", "seconds", *corners])
    if min_score is not None:
        people = people[people["score"] >= min_score]
    groups = dict(iter(people.groupby("video")))
    listed = {index: np.unique(seconds) for index, seconds in rows.groupby("video")["seconds"]}
    return ByVideoId(
        (
            video_id,
            _Video(
                found["seconds"].to_numpy(np.float64),
                found[corners].to_numpy(np.float32),
                found["score"].to_numpy(np.float32),
                listed.get(index, np.empty(0)),
            ),
        )
        for index, video_id in enumerate(table.video_ids)
        for found in [groups.get(index, people.iloc[:0])]
    )
