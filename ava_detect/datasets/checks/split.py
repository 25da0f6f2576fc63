"""The base class of the checks of one split, for any kind of dataset."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ava_detect.datasets.checks.report import KINDS, PLACES_SHOWN, Finding, SplitSummary
from ava_detect.datasets.checks.videos import VideoFacts
from ava_detect.structures.labels import LabelMap
from ava_detect.video.sources import VideoFile


class CheckedSplit(ABC):
    """The annotations and media of one split, and the findings so far.

    Attributes:
        name: The split's name in the report, such as "train".
        folder: The folder of its videos or frames.
        media: All files or frame folders in ``folder``, by the ids that annotations may use for them.
        findings: What was found so far.
    """

    def __init__(self, name: str, folder: str, media: dict[str, list[VideoFile]]) -> None:
        """Start without findings.

        Args:
            name: The split's name in the report.
            folder: The folder of its videos or frames.
            media: The files or frame folders in ``folder``, by video id.
        """
        self.name = name
        self.folder = folder
        self.media = media
        self.findings: list[Finding] = []

    @property
    @abstractmethod
    def video_ids(self) -> Sequence[str]:
        """The ids of the annotated videos."""

    @abstractmethod
    def check_rows(self, known_ids: Iterable[int], scored_ids: Sequence[int]) -> None:
        """Check what the annotations alone can tell.

        Args:
            known_ids: The ids of the actions that exist.
            scored_ids: The ids of the actions that are learnt and scored.
        """

    @abstractmethod
    def check_files(self, facts: Mapping[Path, VideoFacts], min_fps: float) -> None:
        """Check the videos or frames, alone and against the annotations.

        Args:
            facts: What was measured of each file or frame folder.
            min_fps: Frames per second that the network samples; lower rates are reported.
        """

    @abstractmethod
    def summary(self, label_map: LabelMap, known_ids: Iterable[int]) -> SplitSummary:
        """Count the split's rows, keyframes and videos.

        Args:
            label_map: The actions that are scored.
            known_ids: The ids of the actions that exist.

        Returns:
            The counts.
        """

    @property
    def paths(self) -> dict[str, Path]:
        """The file or frame folder of each annotated video that exists, by video id."""
        return {video: self.media[video][0].path for video in self.video_ids if video in self.media}

    @property
    def has_problem(self) -> bool:
        """Whether a problem was found so far."""
        return any(KINDS[finding.kind].level == "problem" for finding in self.findings)

    def note(self, kind: str, places: Sequence[str], unit: str = "video") -> None:
        """Add a finding that belongs to no row; nothing if there are no locations.

        Args:
            kind: The kind of finding, a key of ``KINDS``.
            places: All its locations, as text.
            unit: What each location is, in the singular.
        """
        if places:
            self.findings.append(Finding(kind, self.name, len(places), unit, tuple(places[:PLACES_SHOWN])))
