"""What a live source is: its address for FFmpeg, its name in the results, and its text without passwords."""

from __future__ import annotations

import os
import re
import ssl
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from ava_detect.errors import ConfigError, VideoError, shown, special_file
from ava_detect.storage.file_names import safe_name, valid_id
from ava_detect.video.container import ffmpeg_path
from ava_detect.video.live.address import SCHEME, address_without_secrets, host_of, path_without_secrets

Kind = Literal["stream", "camera", "pipe", "file"]
Transport = Literal["tcp", "udp"]

TRANSPORTS: tuple[Transport, ...] = ("tcp", "udp")
# In the place of a file of certificates: none is checked.
ANY_CERTIFICATE = "any"
_NAMED = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]{0,60})=(.+)", re.DOTALL)
_CAMERA_NUMBER = re.compile(r"\d{1,3}")
_CAMERA_DEVICE = re.compile(r"/dev/(video\d{1,3})")
# FFmpeg's input devices for cameras, by ``sys.platform``.
_CAMERA_FORMATS = {"linux": "v4l2", "darwin": "avfoundation", "win32": "dshow"}


@dataclass(frozen=True)
class LiveSource:
    """A camera, a stream, a pipe, or a file that is played in real time.

    Attributes:
        url: The address for FFmpeg, passwords included; not for messages. ``str()`` gives the form without them.
        name: The name in the results, and of the files that hold them.
        kind: How it is opened: ``stream``, ``camera``, ``pipe`` (a container on the standard input) or ``file``.
        transport: How RTSP carries pictures: ``tcp``, which loses none, or ``udp``.
        certificates: File of the certificates that an encrypted stream may have, ``any``, or None for the system's.
    """

    url: str = field(repr=False)
    name: str
    kind: Kind
    transport: Transport = "tcp"
    certificates: str | None = None

    @property
    def scheme(self) -> str:
        """The scheme of the address in small letters; empty where there is none."""
        match = SCHEME.match(self.url) if self.kind == "stream" else None
        return match[1].lower() if match else ""

    @property
    def format(self) -> str | None:
        """FFmpeg's input format, where it cannot be told from the content."""
        return _CAMERA_FORMATS[sys.platform] if self.kind == "camera" else None

    @property
    def path(self) -> Path:
        """The path of a file."""
        return Path(self.url)

    @property
    def ffmpeg_url(self) -> str:
        """The address as FFmpeg opens it."""
        if self.kind == "pipe":
            return "pipe:0" if self.url == "-" else ffmpeg_path(self.url)
        return self.url

    def __str__(self) -> str:
        if self.url == "-":
            return "the standard input"
        return shown(address_without_secrets(self.url) if self.kind == "stream" else self.url)


def live_sources(
    sources: str | Path | Iterable[str | Path], *, transport: str = "tcp", certificates: str | Path | None = None
) -> list[LiveSource]:
    """Recognise live sources.

    Args:
        sources: Each an address (``rtsp://``, ``http://``, ``udp://``, ``srt://`` ...), a camera (``0`` or
            ``/dev/video0``), ``-`` for a container on the standard input, or a file. ``NAME=SOURCE`` gives a name.
        transport: How RTSP carries pictures: ``tcp`` or ``udp``.
        certificates: Certificates that ``rtsps://``, ``https://`` and ``rtmps://`` may have: a PEM file, ``any`` to
            check none, or None for those that the system trusts.

    Returns:
        The sources, each with a name of its own.

    Raises:
        ConfigError: An address is not of a known kind, there is no source, or one twice, or no such certificates.
        VideoError: There is no such file or camera.
    """
    if transport not in TRANSPORTS:
        raise ConfigError(f"`transport` is tcp or udp, got {transport!r}")
    given = [sources] if isinstance(sources, str | Path) else list(sources)
    trusted = _checked_certificates(certificates)
    found = [replace(_source_of(source), transport=transport, certificates=trusted) for source in given]
    if not found:
        raise ConfigError("no source was named; give an address, a camera, a file or -")
    twice = {source.url for source in found if [other.url for other in found].count(source.url) > 1}
    if twice:
        first = next(source for source in found if source.url in twice)
        raise ConfigError(f"{first} is given twice; give each source once")
    return _with_distinct_names(found)


def _checked_certificates(certificates: str | Path | None) -> str | None:
    """Refuse a file that holds no certificate before anything is opened."""
    if certificates is None or certificates == ANY_CERTIFICATE:
        return certificates
    try:
        ssl.create_default_context(cafile=certificates)
    except OSError as error:
        raise ConfigError(
            f"`certificates` is a PEM file or {ANY_CERTIFICATE}, got {shown(certificates)} "
            f"({shown(error.strerror or error)})"
        ) from error
    return os.fspath(certificates)


def _source_of(source: str | Path) -> LiveSource:
    text = os.fspath(source)
    named = _NAMED.fullmatch(text)
    if named and not os.path.lexists(text):
        return replace(_source_of(named[2]), name=valid_id(named[1]))
    if text == "-":
        return LiveSource(text, "stdin", "pipe")
    if _CAMERA_NUMBER.fullmatch(text) and not os.path.lexists(text):
        return _camera(f"/dev/video{int(text)}" if sys.platform == "linux" else text, f"camera{int(text)}")
    if match := _CAMERA_DEVICE.fullmatch(text):
        return _camera(text, match[1])
    if match := SCHEME.match(text):
        return _file(text[len("file://") :]) if match[1].lower() == "file" else _stream(text, match[1].lower())
    kind = special_file(text) if Path(text).exists() else ""
    if kind == "device":
        return _camera(text, Path(text).name)
    return LiveSource(text, valid_id(Path(text).stem), "pipe") if kind == "pipe" else _file(text)


def _camera(device: str, name: str) -> LiveSource:
    if sys.platform not in _CAMERA_FORMATS:
        raise ConfigError(f"cameras of this system ({sys.platform}) cannot be opened; give its stream by an address")
    if sys.platform == "linux" and not os.path.lexists(device):
        cameras = ", ".join(sorted(str(path) for path in Path("/dev").glob("video*")))
        others = f"here are {cameras}" if cameras else "none is here; plug one in, or give the address of a stream"
        raise VideoError(f"there is no camera {shown(device)}; {others}")
    return LiveSource(device, valid_id(name), "camera")


def _stream(url: str, scheme: str) -> LiveSource:
    host = host_of(url, scheme)
    return LiveSource(url, safe_name(host) if host else scheme, "stream")


def _file(path: str) -> LiveSource:
    if not os.path.lexists(path):
        raise VideoError(
            f"{shown(path_without_secrets(path))}: there is no such file; a live source is a file, an address with its "
            "scheme (rtsp://HOST/PATH), a camera (0) or -"
        )
    return LiveSource(path, valid_id(Path(path).stem), "file")


def _with_distinct_names(sources: Sequence[LiveSource]) -> list[LiveSource]:
    """Append a number to names that are there already; addresses hold passwords, so names are of hosts only."""
    taken: set[str] = set()
    named = []
    for source in sources:
        name, number = source.name, 2
        while name.casefold() in taken:
            name = f"{source.name}-{number}"
            number += 1
        taken.add(name.casefold())
        named.append(replace(source, name=name))
    return named
