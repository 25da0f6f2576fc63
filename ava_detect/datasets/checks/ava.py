"""Checks of one split in AVA's format: rows, proposals, excluded keyframes, and the videos.

Shapes: R rows of the annotations, V annotated videos.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ava_detect.config import SplitConfig
from ava_detect.datasets.checks.report import SplitSummary
from ava_detect.datasets.checks.rows import RowFindings, check_ground_truth, check_proposals
from ava_detect.datasets.checks.split import CheckedSplit
from ava_detect.datasets.checks.videos import (
    VideoFacts,
    check_facts,
    check_names,
    end_seconds,
    media_of,
)
from ava_detect.datasets.keyframe_table import read_keyframe_table
from ava_detect.errors import FormatError, counted
from ava_detect.evaluation.keyframes import IntArray, KeyframeKeys, key_seconds
from ava_detect.formats.annotation_files import read_ground_truth, read_person_boxes
from ava_detect.formats.ava_csv import AvaTable, read_ava_csv
from ava_detect.formats.row_checks import BoolArray
from ava_detect.structures.labels import LabelMap
from ava_detect.structures.video_ids import ByVideoId
from ava_detect.video.sources import VideoFile


class AvaSplit(CheckedSplit):
    """A csv of people on keyframes."""

    def __init__(
        self, name: str, files: SplitConfig, *, start_seconds: float = 0.0, min_proposal_score: float = 0.0
    ) -> None:
        """Read the annotations and find the videos.

        Args:
            name: The split's name in the report.
            files: The annotations, the folder of the videos or frames, and optional proposals and exclusions.
            start_seconds: The start of each file in seconds of its movie, unless the file's name states it.
            min_proposal_score: Least score, 0 to 1, of the proposals that training uses.
        """
        super().__init__(name, files.videos or files.frames or "", ByVideoId())
        self._files = files
        self._min_proposal_score = min_proposal_score
        self._start_seconds = start_seconds
        self._numbering = KeyframeKeys()
        self._table, self._keys = self._read(files.annotations, self._read_truth) or (
            AvaTable.empty(),
            np.zeros(0, np.int64),
        )
        self.media = self._find_media()
        self._used: BoolArray = np.ones(len(self._table), np.bool_)  # [R], rows whose keyframe is not excluded
        named = [self.media[video][0].start_seconds if video in self.media else None for video in self.video_ids]
        self._starts = np.array([start_seconds if start is None else start for start in named])  # [V], seconds

    def _read_truth(self, path: str) -> AvaTable:
        return read_ground_truth(path, start_seconds=self._start_seconds, actions_required=True)

    def _find_media(self) -> ByVideoId[list[VideoFile]]:
        return media_of(self._files)

    def _rows_of(self, path: str, table: AvaTable) -> RowFindings:
        """Start the findings of a file of this split."""
        return RowFindings(self.name, path, table)

    @property
    def video_ids(self) -> Sequence[str]:
        """See ``CheckedSplit.video_ids``."""
        return self._table.video_ids

    def check_rows(self, known_ids: Iterable[int], scored_ids: Sequence[int]) -> None:
        """See ``CheckedSplit.check_rows``."""
        rows = self._rows_of(self._files.annotations, self._table)
        self._check_truth(rows, known_ids)
        self.findings += rows.findings()
        if self._files.exclude is not None:
            self._check_exclusions(self._files.exclude)
        if self._files.proposals is not None:
            self._check_proposals(self._files.proposals)
        if not self.has_problem:
            self._check_as_training(scored_ids)

    def check_files(self, facts: Mapping[Path, VideoFacts], min_fps: float) -> None:
        """See ``CheckedSplit.check_files``."""
        self.findings += check_names(self.name, self.video_ids, self.media, self.folder)
        fact_of = {video: facts[path] for video, path in self.paths.items()}
        self.findings += check_facts(self.name, fact_of.values(), min_fps)
        # One row for each keyframe whose time is past the end of its video: those that training cannot read.
        seconds = key_seconds(self._keys) - (self._starts[self._table.video_index] if len(self._table) else 0)  # [R]
        keyframes = first_of_each(self._keys, self._used & (seconds >= 0))  # [R]
        facts_of = [fact_of.get(video) for video in self.video_ids]
        for row in np.flatnonzero(keyframes).tolist():
            fact = facts_of[self._table.video_index[row]]
            keyframes[row] = fact is not None and not fact.error and not fact.holds(float(seconds[row]))
        num_past = np.bincount(self._table.video_index[keyframes], minlength=len(self.video_ids))  # [V]
        ends = self._starts + np.array([end_seconds(fact) for fact in facts_of])  # [V], seconds of the movie

        def detail(row: int) -> str:
            video = int(self._table.video_index[row])
            number = counted(int(num_past[video]), "annotated second")
            return f"{number} from here on; the video ends at second {ends[video]:.2f}"

        rows = RowFindings(self.name, self._files.annotations, self._table)
        rows.add("second-past-end", first_of_each(self._table.video_index, keyframes), detail, unit="video")
        self.findings += rows.findings()

    def summary(self, label_map: LabelMap, known_ids: Iterable[int]) -> SplitSummary:
        """See ``CheckedSplit.summary``."""
        ids, counts = np.unique(self._table.action_ids, return_counts=True)
        rows_of = dict(zip(ids.tolist(), counts.tolist(), strict=True))
        return SplitSummary(
            self.name,
            self._files.annotations,
            num_rows=len(self._table),
            num_keyframes=len(np.unique(self._keys)),
            num_videos=len(self.video_ids),
            num_unscored_rows=sum(rows_of.get(action_id, 0) for action_id in set(known_ids) - set(label_map.ids)),
            rows_of_class={action_id: rows_of.get(action_id, 0) for action_id in label_map.ids},
        )

    def _check_truth(self, rows: RowFindings, known_ids: Iterable[int]) -> None:
        check_ground_truth(rows, known_ids=known_ids, starts_seconds=self._starts, keys=self._keys)

    def _check_as_training(self, action_ids: Sequence[int]) -> None:
        """Read the files as training or, for a split called "val", a test does, which may refuse them as a whole."""
        try:
            read_keyframe_table(
                self._files.annotations,
                action_ids=action_ids,
                proposals=self._files.proposals,
                exclude=self._files.exclude,
                min_proposal_score=self._min_proposal_score,
                start_seconds=self._start_seconds,
                training=self.name != "val",
            )
        except FormatError as error:
            self.note("unusable-annotations", [str(error)], unit="file")

    def _check_exclusions(self, path: str) -> None:
        if (read := self._read(path, read_ava_csv)) is None:
            return
        excluded, keys = read
        rows = self._rows_of(path, excluded)
        rows.add("exclusion-matches-nothing", ~np.isin(keys, self._keys), lambda row: "not annotated", unit="keyframe")
        self.findings += rows.findings()
        self._used = ~np.isin(self._keys, keys)

    def _check_proposals(self, path: str) -> None:
        if (read := self._read(path, read_person_boxes)) is None:
            return
        proposals, keys = read
        rows = self._rows_of(path, proposals)
        check_proposals(rows)
        self.findings += rows.findings()
        # Videos that only one of the two files names.
        annotated, proposed = set(self.video_ids), set(proposals.video_ids)
        self.note("video-without-proposals", [f"{path}: {video}" for video in self.video_ids if video not in proposed])
        others = [video for video in proposals.video_ids if video not in annotated]
        self.note("proposals-of-other-video", [f"{path}: {video}" for video in others])
        # Keyframes without a usable proposal. A box without a score counts as certain, as in training.
        usable = ~(proposals.scores < self._min_proposal_score) & ~proposals.is_keyframe_only
        without = self._used & ~np.isin(self._keys, keys[usable])  # [R]
        detail = f"no proposal with a score of {self._min_proposal_score:g} or more"
        rows = self._rows_of(self._files.annotations, self._table)
        first = first_of_each(self._keys, without)
        rows.add("keyframe-without-proposals", first, lambda row: detail, unit="keyframe")
        self.findings += rows.findings()

    def _read(self, path: str, read: Callable[[str], AvaTable]) -> tuple[AvaTable, IntArray] | None:
        """Read a file: rows and their keyframe keys; where it cannot be read, add a finding."""
        try:
            table = self._renamed(read(path))
            return table, self._numbering.of_rows(table)
        except FormatError as error:
            self.note("unreadable-file", [str(error)], unit="file")
            return None

    def _renamed(self, table: AvaTable) -> AvaTable:
        """Give the videos of a table the ids of the split, where other files may name them differently."""
        return table


def first_of_each(groups: npt.NDArray[np.integer], chosen: BoolArray) -> BoolArray:
    """Select the first chosen row of each group.

    Args:
        groups: int ``[R]``, the group of each row.
        chosen: bool ``[R]``, the rows to select from.

    Returns:
        bool ``[R]``, one true row per group that has a chosen row.
    """
    rows = np.flatnonzero(chosen)
    first = np.zeros(len(chosen), np.bool_)
    first[rows[np.unique(groups[rows], return_index=True)[1]]] = True  # unique returns first occurrences
    return first
