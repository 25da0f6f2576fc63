"""A server of live streams on this machine: each connection gets its own pieces of MPEG-TS, at their own pace."""

from __future__ import annotations

import io
import socket
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from fractions import Fraction
from types import TracebackType
from typing import Self

import av
import numpy as np
from videos import numbered_frame

# (bytes, seconds to wait after them)
Piece = tuple[bytes, float]


def transport_stream(
    numbers: Iterable[int],
    *,
    fps: int = 25,
    start_seconds: float = 0.0,
    width: int = 80,
    height: int = 48,
    keyframe_every: int | None = None,
    aspect: Fraction = Fraction(1),
) -> bytes:
    """MPEG-TS of numbered frames; ``keyframe_every`` is the distance of the codec's keyframes, ``aspect`` the width of
    a pixel by its height.
    """
    file = io.BytesIO()
    options = {"tune": "zerolatency", "g": str(keyframe_every or fps)} | (
        {"sc_threshold": "0"} if keyframe_every else {}
    )
    with av.open(file, "w", format="mpegts") as container:
        stream = container.add_stream("libx264", rate=fps, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.sample_aspect_ratio = aspect
        for index, number in enumerate(numbers):
            frame = av.VideoFrame.from_ndarray(
                np.ascontiguousarray(numbered_frame(number, width, height)), format="rgb24"
            )
            frame.time_base = Fraction(1, 90000)
            frame.pts = round((start_seconds + index / fps) * 90000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return file.getvalue()


def paced(data: bytes, seconds: float, pieces: int = 20) -> list[Piece]:
    """Data in pieces that take so long together."""
    size = max(188, len(data) // pieces // 188 * 188)
    parts = [data[start : start + size] for start in range(0, len(data), size)]
    return [(part, seconds / len(parts)) for part in parts]


class StreamServer:
    """Serves connections: the n-th gets the n-th list of pieces, and the last one ever after.

    Attributes:
        port: The port on 127.0.0.1.
        num_connections: Number of connections so far.
    """

    def __init__(self, *connections: Sequence[Piece]) -> None:
        self._scripts = connections
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.num_connections = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def url(self) -> str:
        """The address of the stream."""
        return f"tcp://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()

    def _serve(self) -> None:
        while not self._end.is_set():
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            script = self._scripts[min(self.num_connections, len(self._scripts) - 1)]
            self.num_connections += 1
            threading.Thread(target=self._send, args=(connection, script), daemon=True).start()

    def _send(self, connection: socket.socket, script: Sequence[Piece]) -> None:
        with connection, suppress(OSError):
            for data, wait in script:
                connection.sendall(data)
                if self._end.wait(wait):
                    break
