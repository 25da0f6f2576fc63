"""What a run of annotation came to."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ava_detect.environment import versions
from ava_detect.results.manifest import Totals, VideoRecord


@dataclass(frozen=True)
class AnnotateSummary:
    """The outcome of a run.

    Attributes:
        settings: Everything that decided the results.
        weights: What is known of the weights: ``source``, ``sha256``, ``trained``.
        note: The warning that the results carry; empty when there is none.
        totals: Sums over the videos.
        videos: Of a folder the record of every video, in the order of the sources; of a dataset the first thousand
            that failed, are damaged or have a warning.
        interrupted: Whether Ctrl-C ended the run early.
        num_before: Number of videos of a dataset that earlier runs had finished, in no sum; None for a folder.
        num_kept: Number of ``videos`` of a folder that an earlier run had finished; they are in the sums.
    """

    settings: dict[str, Any]
    weights: dict[str, Any]
    note: str
    totals: Totals
    videos: tuple[VideoRecord, ...]
    interrupted: bool
    num_before: int | None = None
    num_kept: int = 0

    @property
    def all_well(self) -> bool:
        """Whether every video was read to its end, and none has a warning, such as boxes that meet no keyframe."""
        return not (self.interrupted or self.totals.failed or self.totals.damaged or self.warned)

    @property
    def warned(self) -> tuple[VideoRecord, ...]:
        """The records, among ``videos``, that have a warning."""
        return tuple(record for record in self.videos if record.warning)

    def to_json(self) -> dict[str, Any]:
        """Return plain values, as in ``summary.json``."""
        totals = asdict(self.totals)
        before = {} if self.num_before is None else {"before": self.num_before}
        count = self.totals.done + self.totals.damaged + self.totals.failed
        return {
            "note": self.note,
            "settings": self.settings,
            "weights": self.weights,
            "versions": versions(),
            "interrupted": self.interrupted,
            "totals": {"videos": count, **totals, **before},
            "videos": [asdict(record) for record in self.videos],
        }
