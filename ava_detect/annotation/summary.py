"""What a run of annotation came to."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ava_detect.environment import versions
from ava_detect.errors import AvaDetectError
from ava_detect.results.manifest import Totals, VideoRecord
from ava_detect.storage.addresses import Address
from ava_detect.visualization.result_set import ResultSet, read_results

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, repr=False)
class AnnotateSummary:
    """The outcome of a run, and the way to its results.

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
        out: The folder, or the address of the dataset, with the results.

    Example:
        >>> summary = annotate_videos("videos/", "results", weights="demo")
        >>> summary.to_pandas(min_score=0.5)
        >>> for video in summary.results():
        ...     video.show()
    """

    settings: dict[str, Any]
    weights: dict[str, Any]
    note: str
    totals: Totals
    videos: tuple[VideoRecord, ...]
    interrupted: bool
    num_before: int | None = None
    num_kept: int = 0
    out: Path | Address | None = None

    @property
    def all_well(self) -> bool:
        """Whether every video was read to its end, and none has a warning, such as boxes that meet no keyframe."""
        return not (self.interrupted or self.totals.failed or self.totals.damaged or self.warned)

    @property
    def warned(self) -> tuple[VideoRecord, ...]:
        """The records, among ``videos``, that have a warning."""
        return tuple(record for record in self.videos if record.warning)

    def results(self) -> ResultSet:
        """Open the results: of a folder those of this run's videos, of a dataset those of all videos in it.

        Returns:
            The results, which are read when they are needed.

        Raises:
            FormatError: They are no longer there, or cannot be read.
        """
        if self.out is None:
            raise AvaDetectError("this summary does not know where its results are; open them with `read_results`")
        found = read_results(self.out)
        return found if self.num_before is not None else found.only(*(record.video_id for record in self.videos))

    def to_pandas(self, *, min_score: float = 0.0, wide: bool = False) -> pd.DataFrame:
        """Read the results as one table; see ``ResultSet.to_pandas``."""
        return self.results().to_pandas(min_score=min_score, wide=wide)

    def show(self) -> None:
        """Show keyframes of one of the videos; see ``ResultSet.show``."""
        self.results().show()

    def __repr__(self) -> str:
        totals = self.totals
        ended = ", interrupted=True" if self.interrupted else ""
        return (
            f"AnnotateSummary(out={str(self.out)!r}, done={totals.done}, damaged={totals.damaged}, "
            f"failed={totals.failed}, keyframes={totals.keyframes}, people={totals.people}, rows={totals.rows}{ended})"
        )

    def _repr_html_(self) -> str:
        from ava_detect.visualization.notebook import paragraph

        problems = [f"{record.status}: {record.message}" for record in self.videos if record.message]
        try:
            body = self.results()._repr_html_()
        except AvaDetectError as error:
            body = paragraph(str(error))
        return paragraph(repr(self)) + "".join(map(paragraph, problems)) + body

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
