"""Long files from short videos, and a process that serves them as RTSP."""

from __future__ import annotations

import socket
import subprocess
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import av

SYSTEM_PYTHON = "/usr/bin/python3"
SERVER = Path(__file__).with_name("rtsp_server.py")


def repeated(video: Path, target: Path, seconds: float) -> Path:
    """Write a Matroska file in which a video is shown again and again, without encoding it anew."""
    with av.open(str(target), "w") as container:
        out, shift = None, 0.0
        while shift < seconds:
            with av.open(str(video)) as source:
                stream = source.streams.video[0]
                out = container.add_stream_from_template(stream) if out is None else out
                packets = [packet for packet in source.demux(stream) if packet.size]
                starts = [float(packet.dts * packet.time_base) for packet in packets if packet.dts is not None]
                length = max(starts) - min(starts) + 1 / float(stream.average_rate or 25)
                for packet in packets:
                    offset = round((shift - min(starts)) / float(packet.time_base))
                    packet.pts = None if packet.pts is None else packet.pts + offset
                    packet.dts = None if packet.dts is None else packet.dts + offset
                    packet.stream = out
                    container.mux(packet)
            shift += length
    return target


def has_rtsp_server() -> bool:
    """Return whether GStreamer's RTSP server can be run on this machine."""
    program = (
        "import gi; gi.require_version('Gst', '1.0'); gi.require_version('GstRtspServer', '1.0'); "
        "from gi.repository import Gst, GstRtspServer; Gst.init(None); "
        "assert all(map(Gst.ElementFactory.find, ('matroskademux', 'h264parse', 'rtph264pay')))"
    )
    with suppress(OSError):
        return subprocess.run([SYSTEM_PYTHON, "-c", program], capture_output=True, check=False).returncode == 0
    return False


class RtspServer:
    """A server in a process of its own; a context manager.

    Args:
        mounts: Name of each stream -> its Matroska file.
        port: The port; 0 for any that is free.
        loss: Share of the RTP packets that are left out.
        certificate: A certificate and its key in one PEM file: it encrypts (``rtsps://``).
        user: ``NAME:PASSWORD`` of the only user; None for no such check.
    """

    def __init__(
        self,
        mounts: dict[str, Path],
        *,
        port: int = 0,
        loss: float = 0.0,
        certificate: Path | None = None,
        user: str | None = None,
    ) -> None:
        self.port, self._scheme = port or _free_port(), "rtsps" if certificate else "rtsp"
        options = {"--loss": loss or None, "--certificate": certificate, "--user": user}
        self._command = [
            *(SYSTEM_PYTHON, str(SERVER), str(self.port)),
            *(f"{name}={path}" for name, path in mounts.items()),
            *(str(part) for option in options.items() if option[1] is not None for part in option),
        ]
        self._process: subprocess.Popen[str] | None = None

    def url(self, name: str) -> str:
        """Return the address of a stream."""
        return f"{self._scheme}://127.0.0.1:{self.port}/{name}"

    def start(self) -> None:
        """Start it, and wait until it listens."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self._process.stdout is not None
        if self._process.stdout.readline().strip() != "ready":
            raise RuntimeError(f"the server did not start: {' '.join(self._command)}")

    def kill(self) -> None:
        """End it at once, as a camera that loses its power."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()  # type: ignore[union-attr]
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port
