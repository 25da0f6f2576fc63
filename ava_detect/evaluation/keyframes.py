"""Integer keys for keyframes: equal (video, timestamp) pairs get equal keys over any number of tables.

A keyframe's key is one int64: the video's number in the upper 22 bits and the timestamp in microseconds in the lower
42, so that ``902``, ``0902`` and ``902.0000001`` are one keyframe, as in the official evaluator, whose keys are
``"%.6f"`` of the time.

Shapes: R rows of a table, U runs of rows with the same keyframe and box, N keys, K distinct keyframes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ava_detect.errors import FormatError
from ava_detect.formats.ava_csv import AvaTable
from ava_detect.structures.video_ids import ByVideoId

IntArray = npt.NDArray[np.int64]
Int32Array = npt.NDArray[np.int32]

_TIME_BITS = 42
_NEAR_HALF = 1e-2  # microseconds; the rounding error of the product is below 5e-4 within the limit
_MICROSECONDS_LIMIT = 1 << (_TIME_BITS - 1)  # about 25 days before and after 0
_VIDEO_LIMIT = 1 << (63 - _TIME_BITS)


@dataclass(frozen=True, eq=False)
class RowRuns:
    """Keyframes and boxes of rows, run-length encoded.

    Neighbouring rows, one for each action of a person, mostly share keyframe and box; so U is far smaller than R.

    Attributes:
        keys: int64 ``[U]``, keyframe key of each run.
        boxes: float64 ``[U, 4]``, x1, y1, x2, y2.
        lengths: int64 ``[U]``, number of rows in each run; they sum to R.
    """

    keys: IntArray
    boxes: npt.NDArray[np.float64]
    lengths: IntArray

    def select(self, rows: npt.NDArray[np.intp]) -> RowRuns:
        """Return the runs of some of the rows.

        Args:
            rows: int ``[N]``, ascending row numbers, 0 to R - 1.

        Returns:
            Runs of N rows in all; runs without a selected row are left out.
        """
        # Number of selected rows before the end of each run; the differences are the selected rows per run.
        bounds = np.searchsorted(rows, np.cumsum(self.lengths))  # [U]
        lengths = np.diff(bounds, prepend=0)
        is_used = lengths > 0
        return RowRuns(self.keys[is_used], self.boxes[is_used], lengths[is_used])

    @classmethod
    def concatenate(cls, parts: list[RowRuns]) -> RowRuns:
        """Return the rows of all parts, in order.

        Args:
            parts: Any number of parts, none included.

        Returns:
            Their runs one after another.
        """
        empty = np.empty(0, np.int64)
        return cls(
            np.concatenate([empty, *(part.keys for part in parts)]),
            np.concatenate([np.empty((0, 4)), *(part.boxes for part in parts)]),
            np.concatenate([empty, *(part.lengths for part in parts)]),
        )

    def __len__(self) -> int:
        return len(self.keys)


class KeyframeKeys:
    """Assigns keys to keyframes, consistently over all tables that it is given."""

    def __init__(self) -> None:
        self._numbers: ByVideoId[int] = ByVideoId()
        self._video_ids: list[str] = []

    @property
    def video_ids(self) -> tuple[str, ...]:
        """Ids of the videos seen so far; a key's video number is an index into them."""
        return tuple(self._video_ids)

    def of_rows(self, table: AvaTable) -> IntArray:
        """Return the key of each row.

        Args:
            table: Any table of R rows.

        Returns:
            int64 ``[R]``.

        Raises:
            FormatError: A timestamp is more than 25 days from 0, or there are more than 2,097,152 videos.
        """
        # Number the videos of the rows in the order of the table's video ids; ids without rows get no number.
        number_of_video = np.zeros(len(table.video_ids), np.int64)
        used = np.flatnonzero(np.bincount(table.video_index, minlength=len(table.video_ids)))
        for index in used.tolist():
            video_id = table.video_ids[index]
            number_of_video[index] = self._numbers.setdefault(video_id, len(self._video_ids))
            if len(self._numbers) > len(self._video_ids):
                self._video_ids.append(video_id)
        if len(self._numbers) > _VIDEO_LIMIT:
            raise FormatError(f"{len(self._numbers)} videos are more than the {_VIDEO_LIMIT} that fit one evaluation")
        microseconds = _microseconds(table.timestamps_seconds)  # [R]
        fits = np.abs(microseconds) < _MICROSECONDS_LIMIT
        if not fits.all():
            row = int(fits.argmin())
            raise FormatError(
                f"video {table.video_ids[table.video_index[row]]!r}: timestamp {table.timestamps_seconds[row]:g} is no "
                "time in a movie; give seconds"
            )
        keys: IntArray = number_of_video[table.video_index] << _TIME_BITS  # [R]
        # The offset makes the lower bits positive, so that they never borrow from the video number.
        keys += microseconds.astype(np.int64) + _MICROSECONDS_LIMIT
        return keys


def _microseconds(seconds: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Round times ``[R]`` to whole microseconds, exactly as ``"%.6f"`` rounds their decimal values."""
    scaled = seconds * 1e6
    rounded = np.rint(scaled)
    # The product is rounded itself, which decides times close to half a microsecond: those are rounded as text.
    is_close_to_half = np.abs(np.abs(scaled - rounded) - 0.5) < _NEAR_HALF
    for row in np.flatnonzero(is_close_to_half).tolist():
        rounded[row] = np.rint(float(f"{seconds[row]:.6f}") * 1e6)
    return rounded


def video_numbers(keys: IntArray) -> IntArray:
    """Return the video number of each key.

    Args:
        keys: int64 ``[N]``.

    Returns:
        int64 ``[N]``, indices into ``KeyframeKeys.video_ids``.
    """
    return keys >> _TIME_BITS


def key_seconds(keys: IntArray) -> npt.NDArray[np.float64]:
    """Return the timestamp of each key.

    Args:
        keys: int64 ``[N]``.

    Returns:
        float64 ``[N]``, seconds.
    """
    microseconds = (keys & ((1 << _TIME_BITS) - 1)) - _MICROSECONDS_LIMIT
    return microseconds / 1e6


def enumerate_keys(keys: IntArray) -> tuple[IntArray, Int32Array]:
    """Number the distinct keys in the order of first appearance.

    Args:
        keys: int64 ``[N]``.

    Returns:
        The distinct keys, int64 ``[K]``, and the index of each entry among them, int32 ``[N]``.
    """
    distinct, first, inverse = np.unique(keys, return_index=True, return_inverse=True)  # [K], [K], [N]
    # np.unique sorts by value; ``rank`` maps its order to the order of first appearance.
    by_appearance = np.argsort(first)  # [K]
    rank = np.empty(len(distinct), np.int32)
    rank[by_appearance] = np.arange(len(distinct), dtype=np.int32)
    return distinct[by_appearance], rank[inverse]


def starts_run(values: npt.NDArray[np.generic]) -> npt.NDArray[np.bool_]:
    """Return which entries start a run of equal values.

    Args:
        values: ``[N]``.

    Returns:
        bool ``[N]``, True for the first entry and for each that differs from the entry before it.
    """
    starts = np.ones(len(values), np.bool_)
    np.not_equal(values[1:], values[:-1], out=starts[1:])
    return starts
