"""Checks of one split of Kinetics or Charades: lists of videos with labels, without boxes.

Shapes: V videos, L labels of all videos.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from ava_detect.config import SplitConfig
from ava_detect.datasets.charades import read_charades
from ava_detect.datasets.checks.report import PLACES_SHOWN, Finding, SplitSummary
from ava_detect.datasets.checks.split import CheckedSplit
from ava_detect.datasets.checks.videos import (
    VideoFacts,
    check_facts,
    check_names,
    end_seconds,
    media_of,
)
from ava_detect.datasets.classification import TimedLabels
from ava_detect.datasets.kinetics import read_kinetics
from ava_detect.datasets.packed import PackedLists
from ava_detect.errors import ConfigError, FormatError
from ava_detect.formats.row_checks import BoolArray, line_numbers
from ava_detect.structures.labels import LabelMap
from ava_detect.video.sources import VideoFile

ListKind = Literal["kinetics", "charades"]

_ANY_LABEL = 1 << 15  # more than any list has, so that the readers accept the labels that are counted here


class ListSplit(CheckedSplit):
    """A list of videos whose labels are columns of the model, from 0."""

    def __init__(self, name: str, files: SplitConfig, *, kind: ListKind, num_classes: int, sampling_fps: float) -> None:
        """Read the list and find the videos.

        Args:
            name: The split's name in the report.
            files: The list and the folder of the videos or frames.
            kind: The format of the list.
            num_classes: Number of the model's label columns.
            sampling_fps: Frames per second of extracted frames and of a frame list.

        Raises:
            ConfigError: If a Kinetics split names frames, which training refuses too.
        """
        if kind == "kinetics" and files.videos is None:
            raise ConfigError("a list of Kinetics names video files: give their folder as videos, not frames")
        folder = files.videos or files.frames or ""
        media = media_of(files)
        super().__init__(name, folder, media)
        self._annotations = files.annotations
        self._kind = kind
        self._num_classes = num_classes
        self._sampling_fps = sampling_fps
        self._videos, self._labels = self._read()
        if kind == "kinetics":
            self.media = _by_path(folder, media, self._videos)
        self._columns = self._labels.columns.values.numpy()  # [L]
        lengths = np.diff(self._labels.columns.ends.numpy(), prepend=0)  # [V], labels of each video
        self._video_of_label = np.repeat(np.arange(len(self._videos)), lengths)  # [L]

    @property
    def video_ids(self) -> Sequence[str]:
        """See ``CheckedSplit.video_ids``."""
        return list(dict.fromkeys(self._videos))

    def check_rows(self, known_ids: Iterable[int], scored_ids: Sequence[int]) -> None:
        """See ``CheckedSplit.check_rows``. Labels are columns, so that the ids of the actions do not matter."""
        outside = self._columns >= self._num_classes
        self._add_labels(
            "label-outside", outside, lambda label: f"label {self._columns[label]} of {self._num_classes} classes"
        )
        backwards = (self._labels.ends < self._labels.starts).numpy()
        self._add_labels("action-backwards", backwards, self._times)
        # Reversed, so that the first line of each video wins.
        first = {video: number for number, video in reversed([*enumerate(self._videos)])}
        repeated = [number for number, video in enumerate(self._videos) if first[video] != number]
        shown = [(video, "listed again") for video in repeated[:PLACES_SHOWN]]
        self._add_finding("duplicate-row", "video", len(repeated), shown)

    def check_files(self, facts: Mapping[Path, VideoFacts], min_fps: float) -> None:
        """See ``CheckedSplit.check_files``."""
        self.findings += check_names(self.name, self.video_ids, self.media, self.folder)
        paths = self.paths
        self.findings += check_facts(self.name, (facts[path] for path in paths.values()), min_fps)
        ends = np.array([end_seconds(facts.get(paths.get(video, Path()))) for video in self._videos])  # [V]
        past = self._labels.starts.numpy() >= ends[self._video_of_label]  # [L]
        self._add_labels(
            "second-past-end", past, lambda label: f"{self._times(label)} of {ends[self._video_of_label[label]]:.2f}"
        )

    def summary(self, label_map: LabelMap, known_ids: Iterable[int]) -> SplitSummary:
        """See ``CheckedSplit.summary``."""
        counts = np.bincount(self._columns, minlength=len(label_map))
        return SplitSummary(
            self.name,
            self._annotations,
            num_rows=len(self._columns),
            num_keyframes=None,
            num_videos=len(self.video_ids),
            rows_of_class=dict(zip(label_map.ids, counts.tolist(), strict=False)),
        )

    def _read(self) -> tuple[list[str], TimedLabels]:
        """Read the list; where it cannot be read, add a finding and return an empty list."""
        try:
            if self._kind == "kinetics":
                return read_kinetics(self._annotations, _ANY_LABEL)
            return read_charades(self._annotations, _ANY_LABEL, frames_per_second=self._sampling_fps)
        except FormatError as error:
            self.note("unreadable-file", [str(error)], unit="file")
            empty = PackedLists.of(np.zeros(0, np.int16), np.zeros(0, np.int64))
            return [], TimedLabels(empty, torch.zeros(0), torch.zeros(0), self._num_classes)

    def _add_labels(self, kind: str, wrong: BoolArray, detail: Callable[[int], str]) -> None:
        """Add a finding of the labels of a mask ``[L]``; ``detail`` describes the fault of one label."""
        labels = np.flatnonzero(wrong).tolist()
        first = [(int(self._video_of_label[label]), detail(label)) for label in labels[:PLACES_SHOWN]]
        self._add_finding(kind, "label", len(labels), first)

    def _add_finding(self, kind: str, unit: str, count: int, first: Sequence[tuple[int, str]]) -> None:
        """Add a finding, unless ``count`` is 0; ``first``: video index and description of the first few faults."""
        if not count:
            return
        # A line of Kinetics is a video. Lines of Charades are frames, or may contain quoted line ends: not counted.
        numbers = [video for video, _ in first] if self._kind == "kinetics" else []
        lines = line_numbers(self._annotations, numbers, len(self._videos)) if numbers else {}
        places = [
            f"{self._annotations}{f', line {lines[video]}' if video in lines else ''}: {self._videos[video]}: {detail}"
            for video, detail in first
        ]
        self.findings.append(Finding(kind, self.name, count, unit, tuple(places)))

    def _times(self, label: int) -> str:
        """Write class, start and end of a label as text."""
        start, end = float(self._labels.starts[label]), float(self._labels.ends[label])
        return f"class {self._columns[label]} from {start:g} to {end:g} s"


def _by_path(folder: str, media: Mapping[str, list[VideoFile]], listed: Iterable[str]) -> dict[str, list[VideoFile]]:
    """Return the listed files by the path in the list, and all others by their path below the folder."""
    files = {file.path: file for same in media.values() for file in same}
    by_path = {video: [VideoFile(Path(folder) / video)] for video in listed if (Path(folder) / video).is_file()}
    named = {same[0].path for same in by_path.values()}
    return by_path | {str(path.relative_to(folder)): [file] for path, file in files.items() if path not in named}
