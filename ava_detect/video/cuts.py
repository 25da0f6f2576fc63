"""Hard cuts: the number of the shot (the stretch between two cuts) of each frame, from thumbnails of decoded frames.

A frame starts a new shot when it differs from the frame before it in three ways at once:

1. Its mean absolute difference is larger than motion usually causes.
2. The difference is several times the median of the last few differences, so restless shots are not cut.
3. Its colours differ, by a joint histogram, which motion hardly changes.

The first two criteria are those of FFmpeg's ``scdet`` and PySceneDetect's adaptive detector; the histogram is that of
Zhang, Kankanhalli and Smoliar ("Automatic partitioning of full-motion video", 1993). Camera motion is compensated
before the difference is measured: the two thumbnails are shifted to where they match best. Without this, a camera that
follows a person makes every difference as large as that of a cut, especially in videos of few frames per second.

A frame that looks like one from before a very short shot returns to the earlier shot, so a camera flash or a damaged
frame is no cut. Fades and dissolves are not detected. ``docs/tracks.md`` counts hits and errors of these thresholds.

Shapes: thumbnails are YUV ``[3, 36, 64]``, their cell sums ``[3, 18, 32]``.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Thumbnail = npt.NDArray[np.uint8]
_Sums = npt.NDArray[np.int16]

THUMBNAIL_HEIGHT, THUMBNAIL_WIDTH = 36, 64

_MIN_DIFFERENCE = 6.0  # grey levels of 255, mean over the three planes
_MIN_RELATIVE_DIFFERENCE = 2.5  # times the median of the last differences
_MIN_HISTOGRAM_DISTANCE = 0.22  # fraction of the pixels whose colour changed
_NUM_DIFFERENCES = 8  # number of last differences for the median
_FLASH_SECONDS = 0.5
# The largest shift that is searched, in cells of 2 x 2 thumbnail pixels: a fifth of the width, a ninth of the height.
_MAX_SHIFT_X, _MAX_SHIFT_Y = 6, 2
# Below this difference no shift is searched; that of a cut is more than twice as large.
_MIN_DIFFERENCE_TO_SEARCH = 2.5


class _PreparedThumbnail:
    """A thumbnail ``[3, 36, 64]`` with its cell sums ``[3, 18, 32]``, ready for comparison."""

    def __init__(self, thumbnail: Thumbnail) -> None:
        self._thumbnail = thumbnail
        # Sums over cells of 2 x 2 pixels, in which fine moving texture averages out.
        wide = thumbnail.astype(np.int16)
        rows = wide[:, ::2] + wide[:, 1::2]  # [3, 18, 64]
        self._sums = rows[:, :, ::2] + rows[:, :, 1::2]  # [3, 18, 32]

    def difference(self, other: _PreparedThumbnail) -> float:
        """Compute the mean absolute difference over the three planes at the best shift, in grey levels of 255."""
        unshifted = _mean_difference(self._sums, other._sums)
        if unshifted < _MIN_DIFFERENCE_TO_SEARCH:
            return unshifted
        shifted = _mean_difference(*_overlap(self._sums, other._sums, *_best_shift(self._sums, other._sums)))
        return min(unshifted, shifted)

    def is_another_scene(self, other: _PreparedThumbnail, difference: float) -> bool:
        """Check whether the two differ both in their pixels (``difference``, as computed above) and their colours."""
        if difference < _MIN_DIFFERENCE:
            return False
        # Half the L1 distance of two histograms of sum 1: the fraction of pixels in other bins, in 0..1.
        distance = np.abs(_histogram(self._thumbnail) - _histogram(other._thumbnail)).sum() / 2
        return bool(distance >= _MIN_HISTOGRAM_DISTANCE)


@dataclass(frozen=True, eq=False)
class _EndedShot:
    """A shot that a cut ended.

    Attributes:
        shot: Its number.
        last_frame: Its last frame.
        cut_seconds: The time of the cut, at which the next shot started.
    """

    shot: int
    last_frame: _PreparedThumbnail
    cut_seconds: float


class ShotCounter:
    """Numbers the shots of one video, frame by frame in display order; the first shot is 0.

    Attributes:
        cuts_seconds: The times at which new shots started, so far.
    """

    def __init__(self) -> None:
        self.cuts_seconds: list[float] = []
        self._shot = self._num_shots = 0
        self._previous: _PreparedThumbnail | None = None
        self._differences: deque[float] = deque(maxlen=_NUM_DIFFERENCES)
        self._ended_shots: list[_EndedShot] = []

    def update(self, thumbnail: Thumbnail, timestamp_seconds: float) -> int:
        """Assign the next frame to a shot.

        Args:
            thumbnail: The frame's ``DecodedFrame.thumbnail()``, YUV uint8 ``[3, 36, 64]``.
            timestamp_seconds: The frame's time.

        Returns:
            The number of the frame's shot.
        """
        frame = _PreparedThumbnail(thumbnail)
        previous, self._previous = self._previous, frame
        if previous is None:
            return self._shot
        difference = frame.difference(previous)
        # The upper median of the last differences inside this shot; 0 right after a cut.
        median = sorted(self._differences)[len(self._differences) // 2] if self._differences else 0.0
        if difference >= _MIN_RELATIVE_DIFFERENCE * median and frame.is_another_scene(previous, difference):
            self._differences.clear()
            self._cut(previous, frame, timestamp_seconds)
        else:
            self._differences.append(difference)
        return self._shot

    def _cut(self, previous: _PreparedThumbnail, frame: _PreparedThumbnail, timestamp_seconds: float) -> None:
        """Start a new shot at ``frame``, or return to a shot that ended less than half a second ago."""
        self._ended_shots = [
            ended for ended in self._ended_shots if timestamp_seconds - ended.cut_seconds <= _FLASH_SECONDS
        ]
        for index, ended in enumerate(self._ended_shots):
            if not frame.is_another_scene(ended.last_frame, frame.difference(ended.last_frame)):
                # Back in an earlier shot: the frames between were a flash, whose cuts are removed.
                self.cuts_seconds = [cut for cut in self.cuts_seconds if cut < ended.cut_seconds]
                self._shot = ended.shot
                del self._ended_shots[index:]
                return
        self._ended_shots.append(_EndedShot(self._shot, previous, timestamp_seconds))
        self.cuts_seconds.append(timestamp_seconds)
        self._num_shots += 1
        self._shot = self._num_shots


def _mean_difference(sums: _Sums, others: _Sums) -> float:
    """Compute the mean absolute difference in grey levels of cell sums ``[3, h, w]``, each over four pixels."""
    return float(np.abs(sums - others).mean()) / 4


def _best_shift(sums: _Sums, others: _Sums) -> tuple[int, int]:
    """Find the shift (down, right), in cells, at which the centre of ``others`` matches ``sums`` best, by luma."""
    # Slide the centre of one luma plane over the other: 5 x 13 positions.
    centre = others[0, _MAX_SHIFT_Y:-_MAX_SHIFT_Y, _MAX_SHIFT_X:-_MAX_SHIFT_X]  # [14, 20]
    windows = np.lib.stride_tricks.sliding_window_view(sums[0], centre.shape)  # [5, 13, 14, 20]
    differences = np.abs(windows - centre).mean(axis=(2, 3))  # [5, 13]
    row, column = divmod(int(differences.argmin()), differences.shape[1])
    return row - _MAX_SHIFT_Y, column - _MAX_SHIFT_X


def _overlap(sums: _Sums, others: _Sums, down: int, right: int) -> tuple[_Sums, _Sums]:
    """Return the parts ``[3, h, w]`` of both that overlap when ``others`` is shifted down and right, in cells."""
    height, width = sums.shape[1:]
    rows, columns = slice(max(0, down), height + min(0, down)), slice(max(0, right), width + min(0, right))
    moved_rows = slice(max(0, -down), height + min(0, -down))
    moved_columns = slice(max(0, -right), width + min(0, -right))
    return sums[:, rows, columns], others[:, moved_rows, moved_columns]


def _histogram(thumbnail: Thumbnail) -> npt.NDArray[np.float64]:
    """Compute the fractions of the pixels in 8 x 8 x 8 bins of Y, U and V: ``[512]``, of sum 1."""
    luma, blue, red = thumbnail.astype(np.intp)  # each [36, 64]
    # Luma in 8 bins of 32 levels. Chroma is seldom far from grey (128): 8 bins of 16 levels from 64 to 192, the outer
    # two including everything beyond.
    bins = luma // 32 * 64 + np.clip(blue // 16 - 4, 0, 7) * 8 + np.clip(red // 16 - 4, 0, 7)  # [36, 64]
    fractions: npt.NDArray[np.float64] = np.bincount(bins.ravel(), minlength=512) / bins.size
    return fractions
