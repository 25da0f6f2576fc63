"""Writing H.264 mp4 files that play in browsers (yuv420p, index at the start of the file), frame by frame."""

from __future__ import annotations

from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
import numpy.typing as npt

from ava_detect.errors import shown
from ava_detect.storage.local_files import atomic_path
from ava_detect.video.container import ffmpeg_path


class VideoWriter:
    """A context manager that encodes frames into an mp4 file; memory does not grow with the length.

    The file is written atomically: it exists once the block has ended without an error. yuv420p needs even sides, so a
    frame of odd width or height loses its last column or row. Equal frames give equal bytes.

    Args:
        path: The file to write.
        fps: Frames per second, above 0.
        quality: x264's constant rate factor, 0 (lossless) to 51; 18-28 is usual.
        title: The title in the file's metadata; empty: none.

    Raises:
        ValueError: If ``fps`` is not above 0.

    Example:
        >>> with VideoWriter("out.mp4", fps=30) as writer:
        ...     writer.write(image)
    """

    def __init__(self, path: str | Path, fps: float | Fraction, *, quality: int = 20, title: str = "") -> None:
        self._path = Path(path)
        self._rate = Fraction(fps).limit_denominator(1001 * 60)
        if self._rate <= 0:
            raise ValueError(f"fps must be above 0, got {fps}")
        # With its macroblock tree, x264 sometimes encodes the same frames to different bytes; without it, never.
        self._options = {"crf": str(quality), "preset": "veryfast", "x264-params": "mbtree=0"}
        self._title = title
        self._stack = ExitStack()
        self._stream: av.VideoStream | None = None

    def __enter__(self) -> Self:
        temporary = self._stack.enter_context(atomic_path(self._path))
        self._container = self._stack.enter_context(
            av.open(ffmpeg_path(temporary), "w", options={"movflags": "+faststart"})
        )
        if self._title:
            self._container.metadata["title"] = self._title
        return self

    def write(self, image: npt.NDArray[np.uint8]) -> None:
        """Append one frame.

        Args:
            image: uint8 RGB ``[H, W, 3]``, at least 2x2 pixels, of the size of the first frame.

        Raises:
            ValueError: If the frame is too small or its size differs from that of the first frame.
        """
        height, width = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2
        if self._stream is None:
            if not (height and width):
                raise ValueError(f"a frame must be at least 2x2 pixels, got {image.shape[1]}x{image.shape[0]}")
            self._stream = self._container.add_stream("libx264", rate=self._rate, options=self._options)
            self._stream.width, self._stream.height, self._stream.pix_fmt = width, height, "yuv420p"
        if (width, height) != (self._stream.width, self._stream.height):
            raise ValueError(
                f"{shown(self._path)}: frames must all be {self._stream.width}x{self._stream.height}, "
                f"got {width}x{height}"
            )
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image[:height, :width]), format="rgb24")
        self._container.mux(self._stream.encode(frame))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self._stream is not None:
            self._container.mux(self._stream.encode())
        self._stack.__exit__(kind, error, trace)
