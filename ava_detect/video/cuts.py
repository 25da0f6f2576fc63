"""Hard cuts: which uncut stretch ("shot") of a video each frame belongs to, from thumbnails of the decoded frames.

A frame begins a new shot when it differs from the one before it in three ways at once: more than a picture in motion
does (mean absolute difference), more than this picture just did (against the median of the last few differences, so
that unrest is no cut), and in its colours (a joint histogram, which motion hardly changes). The first two are those of
FFmpeg's ``scdet`` and PySceneDetect's adaptive detector; the histogram is that of Zhang, Kankanhalli and Smoliar
("Automatic partitioning of full-motion video", 1993). Before the first two are taken, the camera's own motion is: the
two pictures are laid over each other where they fit best, or else a camera that follows somebody would make every
difference as great as a cut's, most of all in videos of few frames a second.

A frame that looks like one from before a very short shot goes back to that shot: a camera's flash or a broken picture
cuts nothing. Fades and dissolves are not looked for. What the thresholds find and mistake is counted in docs/tracks.md.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Thumbnail = npt.NDArray[np.uint8]
_Sums = npt.NDArray[np.int16]

THUMBNAIL_HEIGHT, THUMBNAIL_WIDTH = 36, 64

_LEAST_DIFFERENCE = 6.0  # grey levels of 255, mean over the three planes
_LEAST_RISE = 2.5  # times the median of the last differences
_LEAST_HISTOGRAM_DISTANCE = 0.22  # share of the picture that changed its colour
_REMEMBERED_DIFFERENCES = 8
_FLASH_SECONDS = 0.5
# The furthest shift that is tried, in cells of 2 x 2 thumbnail pixels: a fifth of the width, a ninth of the height.
_MOST_SHIFT_X, _MOST_SHIFT_Y = 6, 2
# Differences below this are not worth the search; a cut's are twice as great.
_LEAST_DIFFERENCE_TO_SEARCH = 2.5


class _Look:
    """A thumbnail, prepared for comparison."""

    def __init__(self, thumbnail: Thumbnail) -> None:
        self._thumbnail = thumbnail
        wide = thumbnail.astype(np.int16)
        rows = wide[:, ::2] + wide[:, 1::2]
        # Sums of 2 x 2 pixels, in which fine texture in motion averages out.
        self._sums = rows[:, :, ::2] + rows[:, :, 1::2]

    def difference(self, other: _Look) -> float:
        """Mean absolute difference in grey levels over the three planes, where the two fit best."""
        still = _mean_difference(self._sums, other._sums)
        if still < _LEAST_DIFFERENCE_TO_SEARCH:
            return still
        return min(still, _mean_difference(*_overlap(self._sums, other._sums, *_best_shift(self._sums, other._sums))))

    def is_another_scene(self, other: _Look, difference: float) -> bool:
        """Whether the two differ in place and in colour; ``difference``: that of the two."""
        if difference < _LEAST_DIFFERENCE:
            return False
        distance = np.abs(_histogram(self._thumbnail) - _histogram(other._thumbnail)).sum() / 2
        return bool(distance >= _LEAST_HISTOGRAM_DISTANCE)


@dataclass(frozen=True, eq=False)
class _Ended:
    """A shot that gave way to another: its number, how it looked last, and when the next one began."""

    shot: int
    look: _Look
    cut_seconds: float


class ShotCounter:
    """Numbers the shots of one video, frame by frame, in the order of display; the first is 0.

    ``cuts_seconds``: when each new shot began, so far.
    """

    def __init__(self) -> None:
        self.cuts_seconds: list[float] = []
        self._shot = self._num_shots = 0
        self._previous: _Look | None = None
        self._differences: deque[float] = deque(maxlen=_REMEMBERED_DIFFERENCES)
        self._ended: list[_Ended] = []

    def update(self, thumbnail: Thumbnail, timestamp_seconds: float) -> int:
        """The shot of the next frame; ``thumbnail``: its ``DecodedFrame.thumbnail()``."""
        look = _Look(thumbnail)
        previous, self._previous = self._previous, look
        if previous is None:
            return self._shot
        difference = look.difference(previous)
        usual = sorted(self._differences)[len(self._differences) // 2] if self._differences else 0.0
        if difference >= _LEAST_RISE * usual and look.is_another_scene(previous, difference):
            self._differences.clear()
            self._cut(previous, look, timestamp_seconds)
        else:
            self._differences.append(difference)
        return self._shot

    def _cut(self, previous: _Look, look: _Look, timestamp_seconds: float) -> None:
        self._ended = [ended for ended in self._ended if timestamp_seconds - ended.cut_seconds <= _FLASH_SECONDS]
        for index, ended in enumerate(self._ended):
            if not look.is_another_scene(ended.look, look.difference(ended.look)):
                # Back in an earlier shot: what came between was a flash, and its beginning no cut.
                self.cuts_seconds = [cut for cut in self.cuts_seconds if cut < ended.cut_seconds]
                self._shot = ended.shot
                del self._ended[index:]
                return
        self._ended.append(_Ended(self._shot, previous, timestamp_seconds))
        self.cuts_seconds.append(timestamp_seconds)
        self._num_shots += 1
        self._shot = self._num_shots


def _mean_difference(sums: _Sums, others: _Sums) -> float:
    return float(np.abs(sums - others).mean()) / 4


def _best_shift(sums: _Sums, others: _Sums) -> tuple[int, int]:
    """By how many rows and columns the middle of ``others`` has to move to lie on its like in ``sums`` (by luma)."""
    middle = others[0, _MOST_SHIFT_Y:-_MOST_SHIFT_Y, _MOST_SHIFT_X:-_MOST_SHIFT_X]
    windows = np.lib.stride_tricks.sliding_window_view(sums[0], middle.shape)
    misfits = np.abs(windows - middle).mean(axis=(2, 3))
    row, column = divmod(int(misfits.argmin()), misfits.shape[1])
    return row - _MOST_SHIFT_Y, column - _MOST_SHIFT_X


def _overlap(sums: _Sums, others: _Sums, down: int, right: int) -> tuple[_Sums, _Sums]:
    """What both show when ``others`` is moved by so much."""
    height, width = sums.shape[1:]
    rows, columns = slice(max(0, down), height + min(0, down)), slice(max(0, right), width + min(0, right))
    moved_rows = slice(max(0, -down), height + min(0, -down))
    moved_columns = slice(max(0, -right), width + min(0, -right))
    return sums[:, rows, columns], others[:, moved_rows, moved_columns]


def _histogram(thumbnail: Thumbnail) -> npt.NDArray[np.float64]:
    """Shares of the picture in 8 x 8 x 8 bins of YUV; chroma, which seldom strays far from grey, in finer steps."""
    luma, blue, red = thumbnail.astype(np.intp)
    bins = luma // 32 * 64 + np.clip(blue // 16 - 4, 0, 7) * 8 + np.clip(red // 16 - 4, 0, 7)
    shares: npt.NDArray[np.float64] = np.bincount(bins.ravel(), minlength=512) / bins.size
    return shares
