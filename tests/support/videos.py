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
) -> Path:
    """A video of these RGB frames ``[height, width, 3]``, by default at the constant ``rate``."""
    times = (float(number / Fraction(rate)) for number in count()) if timestamps_seconds is None else timestamps_seconds
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options=dict(options or {}))
        assert isinstance(stream, av.VideoStream)
        stream.pix_fmt = pixel_format
        stream.codec_context.time_base = time_base
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
) -> Path:
    """A video whose frame i, shown at ``timestamps_seconds[i]``, carries the number i."""
    frames = [numbered_frame(number, width, height) for number in range(len(timestamps_seconds))]
    return write_frames(
        path, frames, timestamps_seconds, codec=codec, pixel_format=pixel_format, rate=rate, time_base=time_base
    )


def constant_rate(num_frames: int, fps: Fraction | int) -> list[float]:
    """Presentation times of a constant frame rate."""
    return [float(i / Fraction(fps)) for i in range(num_frames)]


def write_noise_video(path: Path, num_frames: int, *, options: Mapping[str, str] | None = None) -> Path:
    """Random pixels, 160x96, which no codec makes small: about half a megabyte for 60 frames."""
    chance = np.random.default_rng(0)
    frames = (chance.integers(0, 255, (96, 160, 3), np.uint8) for _ in range(num_frames))
    return write_frames(path, frames, options=options)
