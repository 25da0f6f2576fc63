"""Short videos whose every frame is known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from itertools import count
from pathlib import Path

import av
import numpy as np

BITS = 10
MILLISECOND = Fraction(1, 1000)


def write_frames(
    path: Path,
    frames: Iterable[np.ndarray],
    timestamps_seconds: Iterable[float] | None = None,
    *,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    rate: Fraction | int = 30,
    time_base: Fraction = MILLISECOND / 90,
    options: Mapping[str, str] | None = None,
    display_matrix: Sequence[int] | None = None,
) -> Path:
    """A video of these RGB frames ``[height, width, 3]``, by default at the constant ``rate``.

    ``display_matrix`` is a, b, c, d: a stored point (x, y) is shown at (a x + c y, b x + d y).
    """
    times = (float(number / Fraction(rate)) for number in count()) if timestamps_seconds is None else timestamps_seconds
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options=dict(options or {}))
        assert isinstance(stream, av.VideoStream)
        stream.pix_fmt = pixel_format
        stream.codec_context.time_base = time_base
        if display_matrix is not None:
            a, b, c, d = (value << 16 for value in display_matrix)
            stream.set_display_matrix([a, b, 0, c, d, 0, 0, 0, 1 << 30])
        for number, (image, seconds) in enumerate(zip(frames, times, strict=timestamps_seconds is not None)):
            if number == 0:
                stream.height, stream.width = image.shape[:2]
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = round(Fraction(seconds).limit_denominator(10**6) / time_base)
            frame.time_base = time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def numbered_frame(number: int, width: int = 80, height: int = 48) -> np.ndarray:
    """A frame that carries ``number`` as black and white bars, which survive any codec and resize."""
    bars = [255 * (number >> bit & 1) for bit in range(BITS)]
    row = np.repeat(np.array(bars, np.uint8), -(-width // BITS))[:width]
    return np.broadcast_to(row[None, :, None], (height, width, 3)).copy()


def frame_number(image: np.ndarray) -> int:
    """The number that a frame carries."""
    middle = image[image.shape[0] // 2].mean(axis=1)
    centres = ((np.arange(BITS) + 0.5) * len(middle) / BITS).astype(int)
    return sum(1 << bit for bit, value in enumerate(middle[centres]) if value > 127)


def write_numbered_video(
    path: Path,
    timestamps_seconds: Sequence[float],
    *,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    rate: Fraction | int = 30,
    time_base: Fraction = MILLISECOND / 90,
    width: int = 80,
    height: int = 48,
    options: Mapping[str, str] | None = None,
) -> Path:
    """A video whose frame i, shown at ``timestamps_seconds[i]``, carries the number i."""
    frames = [numbered_frame(number, width, height) for number in range(len(timestamps_seconds))]
    return write_frames(
        path,
        frames,
        timestamps_seconds,
        codec=codec,
        pixel_format=pixel_format,
        rate=rate,
        time_base=time_base,
        options=options,
    )


def write_parts(path: Path, *starts_seconds: float, num_frames: int = 25) -> Path:
    """A MPEG-TS file put together of numbered parts of 25 frames a second, whose time stamps start at these times."""
    parts = []
    for number, start in enumerate(starts_seconds):
        part = path.with_name(f"part{number}.ts")
        frames = [numbered_frame(number * num_frames + i) for i in range(num_frames)]
        times = [start + time for time in constant_rate(num_frames, 25)]
        write_frames(part, frames, times, rate=25)
        parts.append(part.read_bytes())
        part.unlink()
    path.write_bytes(b"".join(parts))
    return path


def shift_packets(path: Path, target: Path, packets_shifted: range, seconds: float, *, timescale: int = 12800) -> Path:
    """A copy of a video in which the time stamps of some packets, by their numbers, are shifted.

    Decoding times may only rise, so they are shifted only where no later packet keeps its own.
    """
    options = {"video_track_timescale": str(timescale)} if target.suffix in (".mp4", ".mov") else {}
    with av.open(str(path)) as source, av.open(str(target), "w", options=options) as container:
        stream = container.add_stream_from_template(source.streams.video[0])
        packets = [packet for packet in source.demux(video=0) if packet.size]
        for number, packet in enumerate(packets):
            assert packet.pts is not None, "mp4 has all time stamps"
            assert packet.dts is not None, "mp4 has all time stamps"
            if number in packets_shifted:
                shift = round(seconds / packet.time_base)
                packet.pts += shift
                packet.dts += shift if len(packets) - 1 in packets_shifted else 0
            packet.stream = stream
            container.mux(packet)
    return target


def constant_rate(num_frames: int, fps: Fraction | int) -> list[float]:
    """Presentation times of a constant frame rate."""
    return [float(i / Fraction(fps)) for i in range(num_frames)]


def write_noise_video(path: Path, num_frames: int, *, options: Mapping[str, str] | None = None) -> Path:
    """Random pixels, 160x96, which no codec makes small: about half a megabyte for 60 frames."""
    chance = np.random.default_rng(0)
    frames = (chance.integers(0, 255, (96, 160, 3), np.uint8) for _ in range(num_frames))
    return write_frames(path, frames, options=options)
