"""Which rows belong to one keyframe: (video, timestamp) pairs as numbers, over many tables.

A keyframe's key is one int64: the video's number and the timestamp in microseconds, so that ``902``, ``0902``
and ``902.0000001`` are one keyframe, as in the official evaluator, whose keys hold six decimals.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ava_detect.errors import FormatError
from ava_detect.formats.ava_csv import AvaTable

IntArray = npt.NDArray[np.int64]
Int32Array = npt.NDArray[np.int32]

_TIME_BITS = 42
_MICROSECONDS_LIMIT = 1 << (_TIME_BITS - 1)  # about 25 days, either way of 0
_VIDEO_LIMIT = 1 << (63 - _TIME_BITS)


@dataclass(frozen=True, eq=False)
class Runs:
    """Keyframes and boxes of rows, run by run: neighbouring rows mostly share theirs, and millions become thousands.

    ``keys``: int64 ``[U]``. ``boxes``: float64 ``[U, 4]``. ``lengths``: int64 ``[U]``, rows per run.
    """

    keys: IntArray
    boxes: npt.NDArray[np.float64]
    lengths: IntArray

    def of_chosen(self, rows: npt.NDArray[np.intp]) -> Runs:
        """The runs of some of the rows, whose numbers ascend."""
        bounds = np.searchsorted(rows, np.cumsum(self.lengths))
        lengths = np.diff(bounds, prepend=0)
        is_used = lengths > 0
        return Runs(self.keys[is_used], self.boxes[is_used], lengths[is_used])

    @classmethod
    def joined(cls, parts: list[Runs]) -> Runs:
        """The rows of all parts, in order."""
        empty = np.empty(0, np.int64)
        return cls(
            np.concatenate([empty, *(part.keys for part in parts)]),
            np.concatenate([np.empty((0, 4)), *(part.boxes for part in parts)]),
            np.concatenate([empty, *(part.lengths for part in parts)]),
        )

    def __len__(self) -> int:
        return len(self.keys)


class KeyframeKeys:
    """Hands out keys that agree over all tables that it has seen."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    @property
    def video_ids(self) -> tuple[str, ...]:
        """The ids of the videos met so far; a key's video number counts in this order."""
        return tuple(self._numbers)

    def of_rows(self, table: AvaTable) -> IntArray:
        """The key ``[R]`` of each row. Raises ``FormatError`` for a timestamp beyond 25 days."""
        number_of = np.zeros(len(table.video_ids), np.int64)
        used = np.flatnonzero(np.bincount(table.video_index, minlength=len(table.video_ids)))
        for index in used.tolist():
            number_of[index] = self._numbers.setdefault(table.video_ids[index], len(self._numbers))
        if len(self._numbers) > _VIDEO_LIMIT:
            raise FormatError(f"{len(self._numbers)} videos are more than the {_VIDEO_LIMIT} that fit one evaluation")
        microseconds = np.rint(table.timestamps_seconds * 1e6)
        fits = np.abs(microseconds) < _MICROSECONDS_LIMIT
        if not fits.all():
            row = int(fits.argmin())
            raise FormatError(
                f"video {table.video_ids[table.video_index[row]]!r}: timestamp {table.timestamps_seconds[row]:g} is no "
                "time in a movie; give seconds"
            )
        keys: IntArray = number_of[table.video_index] << _TIME_BITS
        keys += microseconds.astype(np.int64) + _MICROSECONDS_LIMIT
        return keys


def video_numbers(keys: IntArray) -> IntArray:
    """The video number of each key, counting in ``KeyframeKeys.video_ids``."""
    return keys >> _TIME_BITS


def key_seconds(keys: IntArray) -> npt.NDArray[np.float64]:
    """The timestamp of each key, seconds."""
    microseconds = (keys & ((1 << _TIME_BITS) - 1)) - _MICROSECONDS_LIMIT
    return microseconds / 1e6


def enumerate_keys(keys: IntArray) -> tuple[IntArray, Int32Array]:
    """The distinct keys in order of first appearance, and for each entry its place among them."""
    distinct, first, place = np.unique(keys, return_index=True, return_inverse=True)
    by_appearance = np.argsort(first)
    rank = np.empty(len(distinct), np.int32)
    rank[by_appearance] = np.arange(len(distinct), dtype=np.int32)
    return distinct[by_appearance], rank[place]


def starts_run(values: npt.NDArray[np.generic]) -> npt.NDArray[np.bool_]:
    """Whether an entry differs from the one before it; the first does."""
    starts = np.ones(len(values), np.bool_)
    np.not_equal(values[1:], values[:-1], out=starts[1:])
    return starts
