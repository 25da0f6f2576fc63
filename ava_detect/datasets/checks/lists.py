"""Checking one split of Kinetics or Charades: lists of videos with labels, no boxes.

Shapes: V videos, L labels.
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
from ava_detect.datasets.checks.rows import BoolArray, line_numbers
from ava_detect.datasets.checks.split import CheckedSplit
from ava_detect.datasets.checks.videos import (
    FRAMES_PER_SECOND,
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
from ava_detect.structures.labels import LabelMap
from ava_detect.video.sources import VideoPlace

ListKind = Literal["kinetics", "charades"]

_ANY_LABEL = 1 << 15  # so that the readers let pass what is to be counted here


class ListSplit(CheckedSplit):
    """A list whose labels are the columns of the model, from 0."""

    def __init__(self, name: str, files: SplitConfig, *, kind: ListKind, num_classes: int) -> None:
        """``ConfigError`` for Kinetics in frames, which training refuses as well."""
        if kind == "kinetics" and files.videos is None:
            raise ConfigError("a list of Kinetics names video files: give their folder as videos, not frames")
        folder = files.videos or files.frames or ""
        media = media_of(files)
        super().__init__(name, folder, media)
        self._annotations = files.annotations
        self._kind = kind
        self._num_classes = num_classes
        self._videos, self._labels = self._read()
        if kind == "kinetics":
            self.media = _by_path(folder, media, self._videos)
        self._columns = self._labels.columns.values.numpy()
        lengths = np.diff(self._labels.columns.ends.numpy(), prepend=0)
        self._video_of_label = np.repeat(np.arange(len(self._videos)), lengths)

    @property
    def video_ids(self) -> Sequence[str]:
        """See ``CheckedSplit``."""
        return list(dict.fromkeys(self._videos))

    def check_rows(self, known_ids: Iterable[int]) -> None:
        """See ``CheckedSplit``; labels are columns, whatever the ids of their actions."""
        outside = self._columns >= self._num_classes
        self._add(
            "label-outside", outside, lambda label: f"label {self._columns[label]} of {self._num_classes} classes"
        )
        backwards = (self._labels.ends < self._labels.starts).numpy()
        self._add("action-backwards", backwards, self._times)
        first = {video: number for number, video in reversed([*enumerate(self._videos)])}
        again = [number for number, video in enumerate(self._videos) if first[video] != number]
        self._found("duplicate-row", "video", len(again), [(video, "listed again") for video in again[:PLACES_SHOWN]])

    def check_files(self, facts: Mapping[Path, VideoFacts], least_fps: float) -> None:
        """See ``CheckedSplit``."""
        self.findings += check_names(self.name, self.video_ids, self.media, self.folder)
        paths = self.paths
        self.findings += check_facts(self.name, (facts[path] for path in paths.values()), least_fps)
        ends = np.array([end_seconds(facts.get(paths.get(video, Path()))) for video in self._videos])
        past = self._labels.starts.numpy() >= ends[self._video_of_label]
        self._add(
            "second-past-end", past, lambda label: f"{self._times(label)} of {ends[self._video_of_label[label]]:.2f}"
        )

    def summary(self, label_map: LabelMap, known_ids: Iterable[int]) -> SplitSummary:
        """See ``CheckedSplit``."""
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
        """The list; an empty one, and a finding, where it cannot be read."""
        try:
            if self._kind == "kinetics":
                return read_kinetics(self._annotations, _ANY_LABEL)
            return read_charades(self._annotations, _ANY_LABEL, frames_per_second=FRAMES_PER_SECOND)
        except FormatError as error:
            self.note("unreadable-file", [str(error)], unit="file")
            nothing = PackedLists.of(np.zeros(0, np.int16), np.zeros(0, np.int64))
            return [], TimedLabels(nothing, torch.zeros(0), torch.zeros(0), self._num_classes)

    def _add(self, kind: str, wrong: BoolArray, detail: Callable[[int], str]) -> None:
        """Note the labels of a mask ``[L]``; ``detail`` says of a label what is wrong."""
        labels = np.flatnonzero(wrong).tolist()
        first = [(int(self._video_of_label[label]), detail(label)) for label in labels[:PLACES_SHOWN]]
        self._found(kind, "label", len(labels), first)

    def _found(self, kind: str, unit: str, count: int, first: Sequence[tuple[int, str]]) -> None:
        """``first``: the number of the video, and what is wrong, of the first few."""
        if not count:
            return
        # A line of Kinetics is a video; those of Charades may be frames, or go on over a quoted line end.
        numbers = [video for video, _ in first] if self._kind == "kinetics" else []
        lines = line_numbers(self._annotations, numbers, len(self._videos)) if numbers else {}
        places = [
            f"{self._annotations}{f', line {lines[video]}' if video in lines else ''}: {self._videos[video]}: {detail}"
            for video, detail in first
        ]
        self.findings.append(Finding(kind, self.name, count, unit, tuple(places)))

    def _times(self, label: int) -> str:
        start, end = float(self._labels.starts[label]), float(self._labels.ends[label])
        return f"class {self._columns[label]} from {start:g} to {end:g} s"


def _by_path(folder: str, media: Mapping[str, list[VideoPlace]], listed: Iterable[str]) -> dict[str, list[VideoPlace]]:
    """Files by the path that a list calls them by, others by their own below the folder."""
    places = {place.path: place for same in media.values() for place in same}
    by_path = {video: [VideoPlace(Path(folder) / video)] for video in listed if (Path(folder) / video).is_file()}
    named = {same[0].path for same in by_path.values()}
    return by_path | {str(path.relative_to(folder)): [place] for path, place in places.items() if path not in named}
