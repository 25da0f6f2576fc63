"""Opening a video file and decoding its frames, also where the file is damaged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import RawIOBase
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import av
import av.error
import av.logging
from av.container import InputContainer
from av.stream import Disposition

from ava_detect.errors import VideoError, shown, special_file
from ava_detect.video.clock import PacketTimes
from ava_detect.video.remote import RemoteVideo

_MAX_READ_ERRORS_IN_A_ROW = 64
# Two streams of a film are interleaved within seconds; a still picture comes once in all of these.
_MAX_PROBED_PACKETS = 1000
_COVER = Disposition.attached_pic
_STILLS = Disposition.still_image | Disposition.timed_thumbnails
# Metadata that is not UTF-8, such as a title, must not prevent reading: the default of PyAV 19, an option before.
_OPEN_OPTIONS: dict[str, Any] = {} if int(av.__version__.partition(".")[0]) >= 19 else {"metadata_errors": "replace"}


@dataclass
class Damage:
    """Counter of decoding errors.

    Attributes:
        packets: Number of packets that could not be read or decoded.
    """

    packets: int = 0


def ffmpeg_path(path: str | Path) -> str:
    """Return a path of this machine as FFmpeg takes it: a colon in a name does not make it a protocol.

    Args:
        path: The path.

    Returns:
        The path as a ``file:`` URL of FFmpeg.
    """
    return f"file:{path}"


def open_container(path: Path | RemoteVideo) -> InputContainer:
    """Open a video file for reading.

    Args:
        path: The file.

    Returns:
        The open container; a context manager.

    Raises:
        VideoError: If the file does not exist, is a folder, pipe, device or socket, or cannot be opened as a video.
        StoreError: If the store of a remote file does not answer.
    """
    file: str | RawIOBase | BinaryIO
    if isinstance(path, RemoteVideo):
        file = path.open_file()
    else:
        _require_file(path)
        file = ffmpeg_path(path)
    try:
        return open_input(file)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        if isinstance(path, RemoteVideo) and path.failure is not None:
            raise path.failure from None
        reason = shown(getattr(error, "strerror", None) or error)
        raise VideoError(
            f"{shown(path)} cannot be opened as a video ({reason}); is the file complete, and a video?"
        ) from error


def open_input(file: str | RawIOBase | BinaryIO, **options: Any) -> InputContainer:
    """Open what FFmpeg reads, with the settings that every video needs.

    Args:
        file: The address as FFmpeg takes it, or an open file.
        options: Further arguments of ``av.open``.

    Returns:
        The open container; a context manager.

    Raises:
        av.error.FFmpegError: FFmpeg cannot open it.
        OSError: It cannot be read.
        ValueError: PyAV refuses an argument.
    """
    # torchvision before 0.26 turns PyAV's log on. A decoder's thread that logs waits for the GIL, and PyAV waits for
    # the thread with the GIL when it closes the decoder: forever.
    if av.logging.get_level() is not None:
        av.logging.set_level(None)
    container: InputContainer = av.open(file, **_OPEN_OPTIONS, **options)
    return container


def _require_file(path: Path) -> None:
    """Refuse a path that is no regular file before it is opened: a pipe would wait for its writer for ever."""
    try:
        kind = special_file(path)
    except FileNotFoundError:
        raise VideoError(f"{shown(path)}: there is no such file") from None
    except (OSError, ValueError) as error:
        reason = shown(getattr(error, "strerror", None) or error)
        raise VideoError(f"{shown(path)} cannot be read ({reason})") from error
    if kind:
        raise VideoError(
            f"{shown(path)} is a {kind}, not a file; videos are read more than once, so save the video to a file first"
        )
    if path.is_dir():
        raise VideoError(f"{shown(path)} is a folder, not a video file")


def choose_stream(container: InputContainer, path: Path | RemoteVideo, num_threads: int) -> av.VideoStream:
    """Select the film among the video streams, and set its decoder threads.

    Cover images are ignored. A stream of more than one picture comes before a still picture, then the default stream
    before others, then the one with the largest frames.

    Args:
        container: The open container.
        path: The file.
        num_threads: Number of decoder threads, at least 1.

    Returns:
        The stream.

    Raises:
        VideoError: If the container has no video stream that can be decoded.
    """
    # Streams of unknown codecs have no codec context.
    known = [stream for stream in container.streams.video if stream.codec_context is not None]
    streams = [stream for stream in known if not stream.disposition & _COVER]
    if not streams:
        raise VideoError(f"{shown(path)} {_what_it_holds(container, bool(known))}; give a file with a picture")
    if len(streams) > 1:
        stills = _still_streams(streams, path)
        streams.sort(key=lambda stream: -stream.width * stream.height)
        streams.sort(key=lambda stream: (stream.index in stills, not stream.disposition & Disposition.default))
    stream = streams[0]
    stream.thread_type = "AUTO"
    stream.codec_context.thread_count = num_threads
    return stream


def _what_it_holds(container: InputContainer, has_cover: bool) -> str:
    """Describe a container without a video stream that can be decoded."""
    kinds = sorted({stream.type for stream in container.streams})
    if has_cover:
        others = [kind for kind in kinds if kind != "video"]
        return f"holds no video, only {', '.join([*others, 'a cover picture'])}"
    if "video" in kinds:
        return "holds video of a codec that FFmpeg does not know"
    return f"holds no video, only {', '.join(kinds) or 'nothing'}"


def _still_streams(streams: Sequence[av.VideoStream], path: Path | RemoteVideo) -> set[int]:
    """Return the indices of the streams that hold one picture, or are marked as still pictures or thumbnails."""
    marked = {stream.index for stream in streams if stream.disposition & _STILLS}
    num_pictures = Counter({stream.index: stream.frames for stream in streams})
    unknown = {stream.index for stream in streams if not stream.frames}
    if unknown:
        # The container does not count its pictures. Another one is read, whose position does not matter.
        with open_container(path) as probe, suppress(av.error.FFmpegError):
            probed = [probe.streams[index] for index in sorted(unknown)]
            for packet in islice(probe.demux(probed), _MAX_PROBED_PACKETS):
                num_pictures[packet.stream.index] += bool(packet.size)
                if all(num_pictures[index] > 1 for index in unknown):
                    break
    return marked | {index for index, number in num_pictures.items() if number <= 1}


def decode_frames(
    container: InputContainer, stream: av.VideoStream, damage: Damage, times: PacketTimes
) -> Iterator[av.VideoFrame]:
    """Decode the frames of a stream from the container's current position, skipping damaged packets.

    Decoding ends after 65 read errors in a row.

    Args:
        container: The open container.
        stream: One of its video streams.
        damage: The counter for packets that cannot be read or decoded; increased while iterating.
        times: Gets every packet before it is decoded.

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
        times.feed(packet)
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            damage.packets += 1
            times.lose(packet)
            continue
        for frame in frames:
            if isinstance(frame, av.VideoFrame):
                yield frame
    # Reading ended in errors: the frames left in the decoder.
    try:
        yield from stream.codec_context.decode(None)
    except av.error.FFmpegError:
        damage.packets += 1
