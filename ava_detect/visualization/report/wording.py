"""What is counted in a report, in words: boxes of people on keyframes, tubes, or boxes of tubes on frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Wording:
    """The words of one metric.

    Attributes:
        metric: Name of the metric, as in ``frame-mAP``.
        thing: What is found and matched: ``box`` or ``tube``.
        things: Its plural.
        groupings: Title and anchor of each group of the error analysis, by the name of its field.
        groups: Explains the groups.
        overlap: Explains the overlap of a match; empty where nothing needs to be explained.
    """

    metric: str
    thing: str
    things: str
    groupings: Mapping[str, tuple[str, str]]
    groups: str
    overlap: str = ""


_STEEP = (
    "A steep line names those whom the run serves worst. Groups hold different classes, so small steps mean little."
)
KEYFRAMES = Wording(
    "frame-mAP",
    "box",
    "boxes",
    {
        "by_size": ("by size of the person", "size"),
        "by_crowd": ("by people on the keyframe", "crowd"),
        "by_frequency": ("by class frequency", "class-frequency"),
    },
    "mAP among people of one size (share of the frame), on keyframes with so many people, and over classes with so "
    f"many ground-truth boxes. {_STEEP}",
)
TUBES = Wording(
    "video-mAP",
    "tube",
    "tubes",
    {
        "by_size": ("by size of the person", "size"),
        "by_length": ("by length of the tube", "length"),
        "by_crowd": ("by people at the same time", "crowd"),
        "by_frequency": ("by class frequency", "class-frequency"),
    },
    "mAP among people of one size (mean over the tube), among tubes of one length, with so many people at the same "
    f"time, and over classes with so many tubes. {_STEEP}",
    "The overlap of two tubes is the mean IoU of their boxes on shared frames, times the IoU of their spans in time.",
)
TUBE_BOXES = Wording(
    "frame-mAP",
    "box",
    "boxes",
    {
        "by_size": ("by size of the person", "size"),
        "by_crowd": ("by people on the frame", "crowd"),
        "by_frequency": ("by class frequency", "class-frequency"),
    },
    f"mAP among people of one size, on frames with so many people, and over classes with so many boxes. {_STEEP}",
)
