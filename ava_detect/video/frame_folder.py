"""A folder of extracted frames in place of a video file: the same interface, so that clips are cut by the same code.

Frame i of N, from 0, is at second i / fps. The files have no times, so the rate is that of the clips
(``clip.sampling_fps``), and a step of their sampling grid is a frame.

Shapes: H height, W width.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import VideoReformatter

from ava_detect.errors import VideoError, shown
from ava_detect.video.clip_sampler import grid_point
from ava_detect.video.cuts import Thumbnail
from ava_detect.video.extracted_frames import FrameSequence, find_frames, read_image
from ava_detect.video.orientation import Orientation
from ava_detect.video.reader import DecodedFrame, VideoInfo


class FrameFolder:
    """Reads the frames of one video from the image files of a folder, named as in ``extracted_frames``.

    A file is read when its picture is asked for, so that frames which no clip shows cost nothing. Nothing is repaired:
    a file that is missing, broken or of another size is an error, since one frame less would shift all that follow.

    Args:
        folder: The folder, or the frames found in it.
        fps: Frames per second.

    Attributes:
        path: The folder.
        info: The properties of the frames.
        num_frames: Number of frames.
        end_seconds: End of the last frame.
        damaged_packets: 0; see ``VideoReader``.

    Raises:
        VideoError: The folder cannot be read, holds no frames, numbers are left out, or the first one is broken.

    Example:
        >>> for keyframe in pipeline(FrameFolder("frames/movie", fps=30)):
        ...     keyframe.timestamp_seconds
    """

    damaged_packets = 0

    def __init__(self, folder: str | Path | FrameSequence, fps: float) -> None:
        self._frames = folder if isinstance(folder, FrameSequence) else find_frames(Path(folder))
        self._fps = fps
        self.path = self._frames.folder
        self.num_frames = self._frames.num_frames
        self.end_seconds = self.num_frames / fps
        width, height = self._frames.size
        self.info = VideoInfo(
            width=width,
            height=height,
            rotation_degrees=0,
            is_mirrored=False,
            sample_aspect=1.0,
            average_fps=fps,
            duration_seconds=self.end_seconds,
            codec=self._frames.suffix.lstrip(".").lower(),
            container="frames",
        )

    def decode(self, from_seconds: float = 0.0) -> Iterator[PictureFrame]:
        """Go through the frames from a position on; see ``VideoReader.decode``.

        Args:
            from_seconds: Time from the first frame, at least 0, to the nearest frame.

        Yields:
            The frames, which are read when their pictures are asked for.
        """
        reformatters: dict[tuple[int, int], VideoReformatter] = {}
        for index in range(grid_point(from_seconds, self._fps), self.num_frames):
            yield PictureFrame(self._frames, index, index / self._fps, reformatters)

    def damage(self) -> str:
        """Return the empty text: a folder with damage cannot be read at all; see ``VideoReader.damage``."""
        return ""

    def time_jumps(self) -> str:
        """Return the empty text: frames without time stamps have no jumps; see ``VideoReader.time_jumps``."""
        return ""


class PictureFrame:
    """One frame of a folder, whose file is read once, when its picture is asked for.

    Args:
        frames: The frames of the folder.
        index: Which of them, from 0.
        timestamp_seconds: Its time from the first frame.
        reformatters: Converters by stored (width, height), shared by the frames of a pass.
    """

    def __init__(
        self,
        frames: FrameSequence,
        index: int,
        timestamp_seconds: float,
        reformatters: dict[tuple[int, int], VideoReformatter],
    ) -> None:
        self.timestamp_seconds = timestamp_seconds
        self._frames = frames
        self._index = index
        self._reformatters = reformatters

    def image(self, width: int, height: int) -> npt.NDArray[np.uint8]:
        """Return the picture as RGB; see ``DecodedFrame.image``.

        Args:
            width: Width of the image, pixels.
            height: Height of the image, pixels.

        Returns:
            uint8 RGB ``[height, width, 3]``.

        Raises:
            VideoError: The file cannot be read, or has another size than the first one; names it.
        """
        return self._pixels if (width, height) == self._frames.size else self._decoded.image(width, height)

    def thumbnail(self) -> Thumbnail:
        """Sample evenly spaced pixels for shot detection; see ``DecodedFrame.thumbnail``.

        Returns:
            YUV uint8 ``[3, 36, 64]``.

        Raises:
            VideoError: The file cannot be read, or has another size than the first one; names it.
        """
        return self._decoded.thumbnail()

    @cached_property
    def _decoded(self) -> DecodedFrame:
        frame = av.VideoFrame.from_ndarray(self._pixels, format="rgb24")
        return DecodedFrame(frame, self.timestamp_seconds, Orientation(), self._reformatters)

    @cached_property
    def _pixels(self) -> npt.NDArray[np.uint8]:
        """The picture ``[H, W, 3]``."""
        path, (width, height) = self._frames.path(self._index), self._frames.size
        pixels = read_image(path)
        if pixels.shape[:2] != (height, width):
            raise VideoError(
                f"{shown(path)}: {pixels.shape[1]}x{pixels.shape[0]} pixels, and {shown(self._frames.path(0).name)} "
                f"has {width}x{height}; the frames of a video have one size: extract them again"
            )
        return pixels
