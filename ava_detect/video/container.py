"""Opening a video file and decoding its pictures, whatever state the file is in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import RawIOBase
from pathlib import Path
from typing import Any, BinaryIO

import av
import av.error
from av.container import InputContainer

from ava_detect.errors import VideoError
from ava_detect.video.remote import RemoteVideo

_MAX_READ_ERRORS_IN_A_ROW = 64
# A title that is no UTF-8 must not keep a video from being read: PyAV 19 sees to that, older ones must be told.
_OPEN_OPTIONS: dict[str, Any] = {} if int(av.__version__.partition(".")[0]) >= 19 else {"metadata_errors": "replace"}


@dataclass
class Damage:
    """What went wrong while decoding."""

    packets: int = 0


def open_container(path: Path | RemoteVideo) -> InputContainer:
    """Open a file for reading; ``VideoError`` with the reason when that cannot be done."""
    file: str | RawIOBase | BinaryIO
    if isinstance(path, RemoteVideo):
        file = path.open_file()
    elif not path.exists():
        raise VideoError(f"{path}: there is no such file")
    elif path.is_dir():
        raise VideoError(f"{path} is a folder, not a video file")
    else:
        file = str(path)
    try:
        container: InputContainer = av.open(file, **_OPEN_OPTIONS)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        if isinstance(path, RemoteVideo) and path.failure is not None:
            raise path.failure from None
        reason = getattr(error, "strerror", None) or str(error)
        raise VideoError(f"{path} cannot be opened as a video ({reason}); is the file whole, and a video?") from error
    return container


def choose_stream(container: InputContainer, path: Path | RemoteVideo, num_threads: int) -> av.VideoStream:
    """The largest video stream, cover pictures left aside, set to decode with ``num_threads``."""
    streams = [s for s in container.streams.video if not s.disposition & s.disposition.attached_pic]
    if not streams:
        kinds = sorted({stream.type for stream in container.streams})
        raise VideoError(f"{path} holds no video, only {', '.join(kinds) or 'nothing'}; give a file with a picture")
    stream = max(streams, key=lambda candidate: candidate.width * candidate.height)
    stream.thread_type = "AUTO"
    stream.codec_context.thread_count = num_threads
    return stream


def decode_pictures(container: InputContainer, stream: av.VideoStream, damage: Damage) -> Iterator[av.VideoFrame]:
    """Pictures in display order; what cannot be read or decoded is counted in ``damage`` and left out."""
    packets = container.demux(stream)
    errors_in_a_row = 0
    while errors_in_a_row <= _MAX_READ_ERRORS_IN_A_ROW:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except av.error.FFmpegError:
            # A failed read ends the generator, not the file: go on behind the bad place.
            damage.packets += 1
            errors_in_a_row += 1
            packets = container.demux(stream)
            continue
        errors_in_a_row = 0
        yield from _decode(packet, damage)
    yield from _decode(None, damage, stream)


def _decode(
    packet: av.Packet[av.VideoStream] | None, damage: Damage, stream: av.VideoStream | None = None
) -> Iterator[av.VideoFrame]:
    """The pictures that a packet completes; without a packet, those which the decoder still holds."""
    try:
        pictures = packet.decode() if packet is not None else stream.codec_context.decode(None) if stream else []
    except av.error.FFmpegError:
        damage.packets += 1
        return
    for picture in pictures:
        if isinstance(picture, av.VideoFrame):
            yield picture
