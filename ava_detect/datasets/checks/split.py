"""What the check of a split of any data set has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ava_detect.datasets.checks.report import PLACES_SHOWN, Finding, SplitSummary
from ava_detect.datasets.checks.videos import VideoFacts
from ava_detect.structures.labels import LabelMap
from ava_detect.video.sources import VideoPlace


class CheckedSplit(ABC):
    """One split as it was read, and what was found in it so far.

    ``media``: all that lies in ``folder``, by the names under which annotations may speak of it.
    """

    def __init__(self, name: str, folder: str, media: dict[str, list[VideoPlace]]) -> None:
        self.name = name
        self.folder = folder
        self.media = media
        self.findings: list[Finding] = []

    @property
    @abstractmethod
    def video_ids(self) -> Sequence[str]:
        """The videos that the annotations name."""

    @abstractmethod
    def check_rows(self, known_ids: Iterable[int]) -> None:
        """Everything that the rows alone tell; ``known_ids``: the actions that exist."""

    @abstractmethod
    def check_files(self, facts: Mapping[Path, VideoFacts], least_fps: float) -> None:
        """Everything that the videos or frames tell, alone and together with the rows."""

    @abstractmethod
    def summary(self, label_map: LabelMap, known_ids: Iterable[int]) -> SplitSummary:
        """The split in numbers; ``label_map``: the actions that are scored."""

    @property
    def paths(self) -> dict[str, Path]:
        """The file, or folder of frames, of each annotated video that is there."""
        return {video: self.media[video][0].path for video in self.video_ids if video in self.media}

    def note(self, kind: str, places: Sequence[str], unit: str = "video") -> None:
        """Add a finding that has no row, unless there is no place of it."""
        if places:
            self.findings.append(Finding(kind, self.name, len(places), unit, tuple(places[:PLACES_SHOWN])))
