"""Numbers of frames and seconds of a video, converted into each other by one rule.

Frame 1 is at second 0 of the file, and frame n at second (n - 1) / fps. A time belongs to the nearest frame. Data sets
of tubes (UCF101-24, JHMDB, MultiSports) count frames; AVA's csv files and the results of ``annotate`` count seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ava_detect.errors import ConfigError

# A labelled time further from its frame, in frames, is a sign of another frame rate. Times of two decimals at 30 frames
# a second are off by up to 0.15.
_MAX_DEVIATION_FRAMES = 0.2
_MAX_FPS = 1000.0


@dataclass(frozen=True)
class FrameNumbers:
    """The rule for videos of one frame rate.

    Attributes:
        fps: Frames per second, above 0 and at most 1000. 1 numbers keyframes that are a second apart.
        start_seconds: Time in the movie, in seconds, at which the file starts.

    Raises:
        ConfigError: ``fps`` is out of range.
    """

    fps: float
    start_seconds: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.fps <= _MAX_FPS:
            raise ConfigError(f"`fps` is above 0 and at most {_MAX_FPS:g}, got {self.fps:g}")

    def at(self, seconds: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Return the frames nearest to some times.

        Args:
            seconds: Times ``[N]`` in seconds of the movie.

        Returns:
            int64 ``[N]``, numbers of the frames; 1 is the first of the file.
        """
        return np.rint(self._positions(seconds)).astype(np.int64) + 1

    def seconds(self, frames: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return the times of some frames.

        Args:
            frames: Numbers ``[N]`` of the frames; 1 is the first of the file.

        Returns:
            float64 ``[N]``, in seconds of the movie, to microseconds.
        """
        times = (np.asarray(frames, np.float64) - 1) / self.fps + self.start_seconds
        rounded: npt.NDArray[np.float64] = np.round(times, 6)
        return rounded

    def first_between(self, seconds: npt.ArrayLike) -> int | None:
        """Find a time that lies between two frames, which tells of another frame rate.

        Args:
            seconds: Times ``[N]`` in seconds of the movie.

        Returns:
            Index of the first time that is further than a fifth of a frame from its frame; None where there is none.
        """
        positions = self._positions(seconds)
        is_between = np.abs(positions - np.rint(positions)) > _MAX_DEVIATION_FRAMES
        return int(is_between.argmax()) if is_between.any() else None

    def _positions(self, seconds: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Frames from the first one of the file on, as real numbers."""
        positions: npt.NDArray[np.float64] = (np.asarray(seconds, np.float64) - self.start_seconds) * self.fps
        return positions
