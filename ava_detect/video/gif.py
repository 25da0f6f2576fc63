"""Writing animated GIFs frame by frame, each with its own palette; memory does not grow with the length."""

from __future__ import annotations

from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import av.filter
import numpy as np
import numpy.typing as npt

from ava_detect.errors import shown
from ava_detect.storage.local_files import atomic_path
from ava_detect.video.container import ffmpeg_path

# A GIF stores frame durations in hundredths of a second; browsers slow down frames shorter than two of them.
MAX_FPS = 50


class GifWriter:
    """A context manager that encodes frames into a GIF that repeats without end.

    The file is written atomically: it exists once the block has ended without an error.

    Args:
        path: The file to write.
        fps: Frames per second, above 0 and at most 50.

    Raises:
        ValueError: If ``fps`` is out of range.

    Example:
        >>> with GifWriter("out.gif", fps=8) as writer:
        ...     writer.write(image)
    """

    def __init__(self, path: str | Path, fps: float | Fraction) -> None:
        if not 0 < fps <= MAX_FPS:
            raise ValueError(f"a GIF has at most {MAX_FPS} frames per second, and more than 0; got {fps}")
        self._path = Path(path)
        self._rate = Fraction(fps).limit_denominator(1000)
        self._stack = ExitStack()
        self._num_frames = 0
        self._stream: av.VideoStream | None = None

    def __enter__(self) -> Self:
        temporary = self._stack.enter_context(atomic_path(self._path))
        self._container = self._stack.enter_context(av.open(ffmpeg_path(temporary), "w", format="gif"))
        return self

    def write(self, image: npt.NDArray[np.uint8]) -> None:
        """Append one frame.

        Args:
            image: uint8 RGB ``[H, W, 3]``, of the size of the first frame.

        Raises:
            ValueError: If the size differs from that of the first frame.
        """
        height, width = image.shape[:2]
        if self._stream is None:
            self._stream = self._container.add_stream("gif", rate=self._rate)
            self._stream.width, self._stream.height, self._stream.pix_fmt = width, height, "pal8"
            self._graph = _palette_graph(width, height, self._rate)
        if (width, height) != (self._stream.width, self._stream.height):
            raise ValueError(
                f"{shown(self._path)}: frames must all be {self._stream.width}x{self._stream.height}, "
                f"got {width}x{height}"
            )
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        frame.pts, frame.time_base = self._num_frames, 1 / self._rate
        self._num_frames += 1
        self._graph.push(frame)
        self._encode()

    def _encode(self) -> None:
        """Encode the frames that the palette filters have finished."""
        assert self._stream is not None, "called after the first frame only"
        while True:
            try:
                frame = self._graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            assert isinstance(frame, av.VideoFrame), "the graph's sink gives video frames"
            self._container.mux(self._stream.encode(frame))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self._stream is not None:
            self._graph.push(None)
            self._encode()
            self._container.mux(self._stream.encode())
        self._stack.__exit__(kind, error, trace)


def _palette_graph(width: int, height: int, rate: Fraction) -> av.filter.Graph:
    """Build the filter graph: FFmpeg's palettegen and paletteuse, with a new palette for each frame."""
    graph = av.filter.Graph()
    source = graph.add_buffer(width=width, height=height, format=av.VideoFormat("rgb24"), time_base=1 / rate)
    split = graph.add("split")
    palette = graph.add("palettegen", "stats_mode=single")
    use = graph.add("paletteuse", "new=1:dither=bayer:bayer_scale=4")
    sink = graph.add("buffersink")
    source.link_to(split)
    split.link_to(use, 0, 0)
    split.link_to(palette, 1, 0)
    palette.link_to(use, 0, 1)
    use.link_to(sink)
    graph.configure()
    return graph
