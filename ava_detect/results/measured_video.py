"""A video file as annotation tools see it: the size of its frames, and the time of each.

Pixels: boxes are in pixels of the upright frame as players show it, with square pixels. Tools that decode the frames
themselves, or are given frames that FFmpeg cut, see the upright frame in the file's own pixels instead: on anamorphic
video it is narrower or lower (``decoded_size``).

Times: seconds from the first frame. A player's clock starts earlier where sound begins before the picture
(``player_seconds``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ava_detect.video.reader import VideoReader

# Half a step of the grid on which keyframes are cut: a keyframe at 1 s shows the frame of 1.001 s in a 29.97 fps file.
HALF_GRID_STEP_SECONDS = 1 / 60


@dataclass(frozen=True, eq=False)
class MeasuredVideo:
    """A video file that was decoded once.

    Attributes:
        video_id: Id of the video.
        path: Its file.
        width: Width of an upright frame in square pixels, as players show it.
        height: Height of an upright frame in square pixels.
        frame_times: float64 ``[num_frames]``, time of each frame in seconds, ascending.
        unstretched_size: Width and height of an upright frame in the file's own pixels; None where these are square.
        start_seconds: Time that a player shows at the first frame.
    """

    video_id: str
    path: Path
    width: int
    height: int
    frame_times: npt.NDArray[np.float64]
    unstretched_size: tuple[int, int] | None = field(default=None, kw_only=True)
    start_seconds: float = field(default=0.0, kw_only=True)

    @property
    def num_frames(self) -> int:
        """Number of frames of the video."""
        return len(self.frame_times)

    @property
    def fps(self) -> float:
        """Average frame rate; 1 for fewer than two frames."""
        if self.num_frames < 2:
            return 1.0
        return float((self.num_frames - 1) / (self.frame_times[-1] - self.frame_times[0]))

    @property
    def duration_seconds(self) -> float:
        """Time from the first frame to the end of the last, in seconds."""
        return self.num_frames / self.fps

    @property
    def decoded_size(self) -> tuple[int, int]:
        """Width and height of an upright frame in the file's own pixels."""
        return self.unstretched_size or (self.width, self.height)

    def player_seconds(self, seconds: float) -> float:
        """Convert a time to the clock of a player.

        Args:
            seconds: Time from the first frame.

        Returns:
            Seconds on the file's own clock, to microseconds.
        """
        return round(seconds + self.start_seconds, 6)

    def frame_at(self, timestamp_seconds: float) -> int:
        """Return the frame that a keyframe shows.

        Args:
            timestamp_seconds: Time of the keyframe from the start of the file.

        Returns:
            Number of the frame, from 0: the last one that does not begin after the keyframe.
        """
        frame = int(np.searchsorted(self.frame_times, timestamp_seconds + HALF_GRID_STEP_SECONDS, "right")) - 1
        return max(frame, 0)


def measure_video(path: Path, video_id: str) -> MeasuredVideo:
    """Measure a video file; this decodes all of it.

    Args:
        path: The file.
        video_id: Id of the video.

    Returns:
        Its size, clock and frame times.

    Raises:
        VideoError: The file cannot be opened, or no frame can be decoded.
    """
    reader = VideoReader(path)
    return MeasuredVideo(
        video_id,
        path,
        reader.info.width,
        reader.info.height,
        reader.frame_times(),
        unstretched_size=reader.info.unstretched_size,
        start_seconds=reader.start_seconds,
    )
