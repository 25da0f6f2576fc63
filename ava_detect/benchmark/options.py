"""The options of ``run_benchmark``: which split is scored, and where its people come from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class SplitOptions:
    """The files of the split; None stands for the entry of the config's ``data.val``.

    Attributes:
        videos: Folder of the video files, named by their ids. Folders of extracted frames are given by the config's
            ``data.val.frames``.
        ground_truth: The annotations: an AVA csv, the pickle of a data set of tubes, or the list of a Kinetics or
            Charades split.
        exclude: Detectors only: an AVA csv of keyframes (video, timestamp) that are not scored.
        start_seconds: Detectors only: position in its movie at which each file starts, seconds (900 for AVA's trimmed
            files); None for the config's ``data.start_seconds``.
    """

    videos: str | Path | None = None
    ground_truth: str | Path | None = None
    exclude: str | Path | None = None
    start_seconds: float | None = None


@dataclass(frozen=True)
class PeopleOptions:
    """The person boxes on the keyframes: read from a file, or found by a person detector.

    Attributes:
        boxes: An AVA csv or COCO json of person boxes, or ``"ground-truth"`` for those of the ground truth. None for
            the config's ``data.val.proposals``, if it has any.
        detector: The spec of a person detector (``docs/detectors.md``); None for the config's. Cannot be combined with
            ``boxes``.
        min_person_score: Lowest person score in 0..1 that is kept; None for the config's ``detector.min_score``. The
            boxes of the ground truth are all kept.
    """

    boxes: str | Path | None = None
    detector: str | None = None
    min_person_score: float | None = None
