"""Opening a video file and decoding its frames, also where the file is damaged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import RawIOBase
from pathlib import Path
from typing import Any, BinaryIO

import av
import av.error
from av.container import InputContainer

from ava_detect.errors import VideoError, shown
from ava_detect.video.remote import RemoteVideo

_MAX_READ_ERRORS_IN_A_ROW = 64
# Metadata that is not UTF-8, such as a title, must not prevent reading: the default of PyAV 19, an option before.
_OPEN_OPTIONS: dict[str, Any] = {} if int(av.__version__.partition(".")[0]) >= 19 else {"metadata_errors": "replace"}


@dataclass
class Damage:
    """Counter of decoding errors.

    Attributes:
        packets: Number of packets that could not be read or decoded.
    """

    packets: int = 0


def open_container(path: Path | RemoteVideo) -> InputContainer:
    """Open a video file for reading.

    Args:
        path: The file.

    Returns:
        The open container; a context manager.

    Raises:
        VideoError: If the file does not exist, is a folder or cannot be opened as a video.
        StoreError: If the store of a remote file does not answer.
    """
    file: str | RawIOBase | BinaryIO
    if isinstance(path, RemoteVideo):
        file = path.open_file()
    elif not path.exists():
        raise VideoError(f"{shown(path)}: there is no such file")
    elif path.is_dir():
        raise VideoError(f"{shown(path)} is a folder, not a video file")
    else:
        file = str(path)
    try:
        container: InputContainer = av.open(file, **_OPEN_OPTIONS)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        if isinstance(path, RemoteVideo) and path.failure is not None:
            raise path.failure from None
        reason = shown(getattr(error, "strerror", None) or error)
        raise VideoError(
            f"{shown(path)} cannot be opened as a video ({reason}); is the file complete, and a video?"
        ) from error
    return container


def choose_stream(container: InputContainer, path: Path | RemoteVideo, num_threads: int) -> av.VideoStream:
    """Select the video stream with the largest frames, ignoring cover images, and set its decoder threads.

    Args:
        container: The open container.
        path: The file, named in the error message.
        num_threads: Number of decoder threads, at least 1.

    Returns:
        The stream.

    Raises:
        VideoError: If the container has no video stream.
    """
    streams = [s for s in container.streams.video if not s.disposition & s.disposition.attached_pic]
    if not streams:
        kinds = sorted({stream.type for stream in container.streams})
        raise VideoError(
            f"{shown(path)} holds no video, only {', '.join(kinds) or 'nothing'}; give a file with a picture"
        )
    stream = max(streams, key=lambda candidate: candidate.width * candidate.height)
    stream.thread_type = "AUTO"
    stream.codec_context.thread_count = num_threads
    return stream


def decode_frames(container: InputContainer, stream: av.VideoStream, damage: Damage) -> Iterator[av.VideoFrame]:
    """Decode the frames of a stream from the container's current position, skipping damaged packets.

    Decoding ends after 65 read errors in a row.

    Args:
        container: The open container.
        stream: One of its video streams.
        damage: The counter for packets that cannot be read or decoded; increased while iterating.

    Yields:
        Frames in display order.
    """
    packets = container.demux(stream)
    errors_in_a_row = 0
    while errors_in_a_row <= _MAX_READ_ERRORS_IN_A_ROW:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except av.error.FFmpegError:
            # A failed read ends the generator but not the file: continue after the damaged packet.
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
    """Yield the frames that a packet completes; without a packet, the frames left in the decoder of ``stream``."""
    try:
        frames = packet.decode() if packet is not None else stream.codec_context.decode(None) if stream else []
    except av.error.FFmpegError:
        damage.packets += 1
        return
    for frame in frames:
        if isinstance(frame, av.VideoFrame):
            yield frame
