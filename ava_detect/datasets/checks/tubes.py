"""Checks of one split of MultiSports, UCF101-24 or JHMDB: tubes, proposals, excluded frames, and the videos.

Shapes: R rows, a box of a tube each; V videos.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from ava_detect.config import SplitConfig
from ava_detect.datasets.checks.ava import AvaSplit, first_of_each
from ava_detect.datasets.checks.rows import RowFindings, box_text
from ava_detect.datasets.checks.videos import VideoFacts, check_facts, check_names
from ava_detect.datasets.keyframe_table import keyframe_table
from ava_detect.datasets.tubes import ids_of_labels, media_of_tubes, tube_rows, videos_of, with_ids_of
from ava_detect.errors import ConfigError, FormatError, VideoError, counted
from ava_detect.formats.ava_table import AvaTable
from ava_detect.formats.tube_pickles import TubeAnnotations, read_tube_annotations
from ava_detect.structures.labels import LabelMap
from ava_detect.structures.video_ids import ByVideoId
from ava_detect.video.sources import VideoFile

# Boxes that were drawn on an enlarged frame reach over its border by a pixel or two.
_TOLERANCE_PIXELS = 2
# Of the ratio of width to height; a side may have been rounded to an even number.
_SHAPE_TOLERANCE = 0.02


class TubeSplit(AvaSplit):
    """A pickle of tubes: the videos of one side of a division, or all of them."""

    def __init__(
        self,
        name: str,
        files: SplitConfig,
        label_map: LabelMap,
        *,
        division: int = 1,
        is_chosen: bool = False,
        min_proposal_score: float = 0.0,
    ) -> None:
        """Read the tubes and find the videos.

        Args:
            name: The split's name in the report: ``train`` for the videos to train with, ``val`` for those to measure
                on, any other for all.
            files: The pickle, the folder of the videos or frames, and optional proposals and exclusions.
            label_map: The actions that are learnt and scored.
            division: Number of the data set's division, from 1.
            is_chosen: Whether they were chosen among the labels.
            min_proposal_score: Least score, 0 to 1, of the proposals that training uses.
        """
        self._division = division
        self._label_map = label_map
        self._is_chosen = is_chosen
        self._annotations: TubeAnnotations | None = None
        self._ids: tuple[str, ...] = ()
        super().__init__(name, files, min_proposal_score=min_proposal_score)

    @property
    def video_ids(self) -> Sequence[str]:
        """See ``CheckedSplit.video_ids``."""
        return self._ids

    def check_files(self, facts: Mapping[Path, VideoFacts], min_fps: float) -> None:
        """See ``CheckedSplit.check_files``."""
        self.findings += check_names(self.name, self.video_ids, self.media, self.folder)
        fact_of = {video: facts[path] for video, path in self.paths.items() if not facts[path].error}
        self.findings += check_facts(self.name, (facts[path] for path in self.paths.values()), min_fps)
        if self._annotations is None:
            return
        self._check_ends(fact_of)
        expected = self._annotations.num_frames
        counts = {video: fact.num_frames for video, fact in fact_of.items() if fact.num_frames is not None}
        others = [
            f"{fact_of[video].path}: {counted(number, 'frame')}, {expected[video]} in the pickle"
            for video, number in counts.items()
            if expected.get(video, number) != number
        ]
        self.note("frame-count", others)
        sizes = {video: fact.size for video, fact in fact_of.items() if fact.size is not None}
        self.note(
            "frame-size",
            [text for video, size in sizes.items() if (text := self._other_shape(video, size, fact_of[video].path))],
        )

    def _check_ends(self, fact_of: Mapping[str, VideoFacts]) -> None:
        """Add the frames of tubes after the end of their videos, one place for each video."""
        rows = self._rows_of(self._files.annotations, self._table)
        past = np.zeros(len(self._table), np.bool_)
        ends = np.array([_num_frames(fact_of.get(video)) for video in self._table.video_ids])  # [V]
        if len(self._table):
            past = self._used & (self._table.timestamps_seconds > ends[self._table.video_index])

        def detail(row: int) -> str:
            return f"the video has {counted(int(ends[self._table.video_index[row]]), 'frame')}"

        rows.add("frame-past-end", first_of_each(self._table.video_index, past), detail, unit="video")
        self.findings += rows.findings()

    def _other_shape(self, video: str, size: tuple[int, int], path: Path) -> str:
        assert self._annotations is not None
        height, width = self._annotations.resolutions.get(video, (0, 0))
        # A video without tubes may have none.
        if not (height and width) or abs(size[0] / size[1] / (width / height) - 1) <= _SHAPE_TOLERANCE:
            return ""
        return f"{path}: {size[0]}x{size[1]}, {width}x{height} in the pickle"

    def _read_truth(self, path: str) -> AvaTable:
        annotations = read_tube_annotations(path)
        try:
            ids = ids_of_labels(annotations.label_map, self._label_map, path, is_chosen=self._is_chosen)
            self._ids = self._videos(annotations)
        except ConfigError as error:
            raise FormatError(str(error)) from error
        table = tube_rows(annotations, self._ids, ids, path)
        self._annotations = annotations
        return table

    def _videos(self, annotations: TubeAnnotations) -> tuple[str, ...]:
        sides: tuple[Literal["train", "val"], ...] = ("train", "val")
        chosen = [side for side in sides if self.name in (side, "data")]
        return tuple(dict.fromkeys(one for side in chosen for one in videos_of(annotations, side, self._division)))

    def _find_media(self) -> ByVideoId[list[VideoFile]]:
        try:
            return media_of_tubes(self._files, self._ids)
        except VideoError:
            return ByVideoId()

    def _rows_of(self, path: str, table: AvaTable) -> RowFindings:
        return RowFindings(self.name, path, table, counted_by="frame")

    def _renamed(self, table: AvaTable) -> AvaTable:
        return with_ids_of(table, self._ids)

    def _check_truth(self, rows: RowFindings, known_ids: Iterable[int]) -> None:
        if self._annotations is None:
            return
        table, annotations = self._table, self._annotations
        boxes, frames = table.boxes_fraction, table.timestamps_seconds
        sides = [min(annotations.resolutions.get(video, (1, 1))) for video in table.video_ids]
        pixel = (1 / np.array(sides))[table.video_index]
        over = np.maximum(-boxes.min(axis=1, initial=0), boxes.max(axis=1, initial=1) - 1)
        rows.add("tube-outside", over > _TOLERANCE_PIXELS * pixel, lambda row: box_text(table, row))
        degenerate = ~((boxes[:, 0] < boxes[:, 2]) & (boxes[:, 1] < boxes[:, 3]))
        rows.add("box-degenerate", degenerate, lambda row: box_text(table, row))
        lengths = np.array([annotations.num_frames.get(video, 0) for video in table.video_ids])[table.video_index]
        rows.add("frame-outside", (frames < 1) | (frames > lengths), lambda row: f"the pickle counts {lengths[row]}")

    def _check_as_training(self, action_ids: Sequence[int]) -> None:
        try:
            keyframe_table(self._table, self._files.annotations, action_ids=action_ids, training=self.name != "val")
        except FormatError as error:
            self.note("unusable-annotations", [str(error)], unit="file")


def _num_frames(fact: VideoFacts | None) -> float:
    """Number of frames of a video; infinity where it is unknown."""
    if fact is None:
        return np.inf
    if fact.num_frames is not None:
        return fact.num_frames
    if fact.end_seconds is None or fact.frames_per_second is None:
        return np.inf
    return float(np.rint(fact.end_seconds * fact.frames_per_second))
