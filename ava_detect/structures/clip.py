"""Decoded frames: a single frame, the clip around a keyframe, and when and by which settings clips are sampled.

Shapes: T frames, H height, W width.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, pairwise
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from ava_detect.errors import AvaDetectError

Sampling = Literal["time", "frames"]
Resize = Literal["swscale", "opencv"]
LongSide = Literal["floor", "round"]
# What a clip may be. Beyond these lie slips of the pen (pixels as fractions, 1e9 frames), and hours of decoding.
MAX_CLIP_FRAMES, MAX_RATE, MIN_FPS, MAX_FPS, MAX_SIDE_PIXELS = 1024, 1000, 0.1, 1000.0, 4096
MIN_STD = 1e-4
MAX_SPAN_SECONDS = 3600.0
_MAX_SHOWN = 10  # offsets in an error message
# Videos with more pictures per second are not to be expected, and each of the keyframes between two pictures costs a
# clip; a time beyond the upper limit could not be counted in steps of the grid.
_MIN_EVERY_SECONDS, _MAX_EVERY_SECONDS = 0.001, 1e9


@dataclass(frozen=True, eq=False)
class Frame:
    """One decoded frame with its time and video.

    Attributes:
        image: uint8 RGB ``[H, W, 3]``, upright, with square pixels.
        timestamp_seconds: Time from the start of the file; for a keyframe, the keyframe's time.
        video_id: The video's name.

    Raises:
        ValueError: If ``image`` has another dtype or shape.
    """

    image: npt.NDArray[np.uint8]
    timestamp_seconds: float = 0.0
    video_id: str = ""

    def __post_init__(self) -> None:
        if self.image.ndim != 3 or self.image.shape[2] != 3 or self.image.dtype != np.uint8:
            raise ValueError(f"image must be uint8 [H, W, 3], got {self.image.dtype} {list(self.image.shape)}")

    def __repr__(self) -> str:
        return f"Frame({self.video_id!r}, t={self.timestamp_seconds:.3f}s, image={list(self.image.shape)})"


@dataclass(frozen=True, eq=False)
class Clip:
    """The frames around one keyframe, on the sampling grid.

    Attributes:
        frames: uint8 RGB ``[T, H, W, 3]``.
        timestamp_seconds: The keyframe's time from the start of the file.
        keyframe_index: The keyframe's index in ``frames``; ``ClipSettings.keyframe_index`` in sampled clips.
        num_padded: Number of frames that repeat the first or last frame of the video because the clip extends beyond
            its start or end.
        source_size: The (width, height) of the video's frames, where ``frames`` were resized; None if they were not.

    Raises:
        ValueError: If ``frames`` has another dtype or shape, or ``keyframe_index`` is out of range.
    """

    frames: npt.NDArray[np.uint8]
    timestamp_seconds: float
    keyframe_index: int
    num_padded: int = 0
    source_size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.frames.ndim != 4 or self.frames.shape[3] != 3 or self.frames.dtype != np.uint8:
            raise ValueError(f"frames must be uint8 [T, H, W, 3], got {self.frames.dtype} {list(self.frames.shape)}")
        if not 0 <= self.keyframe_index < len(self.frames):
            raise ValueError(f"keyframe_index {self.keyframe_index} is outside the clip's {len(self.frames)} frames")

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def height(self) -> int:
        """Frame height, pixels."""
        return int(self.frames.shape[1])

    @property
    def width(self) -> int:
        """Frame width, pixels."""
        return int(self.frames.shape[2])

    def __repr__(self) -> str:
        return f"Clip(t={self.timestamp_seconds:.3f}s, frames={list(self.frames.shape)}, padded={self.num_padded})"


@dataclass(frozen=True)
class ClipSettings:
    """How the clips of a model are sampled, resized and normalized; stored with the model's weights.

    Attributes:
        num_frames: Number of frames T of a clip (PySlowFast ``DATA.NUM_FRAMES``).
        sampling_rate: Steps of the sampling grid from one frame to the next (PySlowFast ``DATA.SAMPLING_RATE``).
        sampling_fps: Steps of the sampling grid per second; AVA's frames were extracted at 30.
        short_side: Length in pixels to which the frame's short side is resized.
        mean: Per RGB channel, in 0..1; pixels become ``(x / 255 - mean) / std``.
        std: Per RGB channel, in the unit of ``mean``.
        sampling: ``"time"`` selects frames by their presentation times, ``"frames"`` by their numbers in the file, as
            PySlowFast and its relatives do.
        resize: ``"opencv"`` gives the pixels of OpenCV's resize, on which the published networks were trained, bit by
            bit; ``"swscale"`` converts and resizes in one step and is several times faster. ``docs/parity.md``
            compares the two.
        frame_offsets: Steps of the sampling grid from the keyframe to each of the T frames, ascending, with 0 between
            the first and the last; None for the rule of ``offsets``. With it ``sampling_rate`` is unused.
        long_side: ``"floor"`` rounds the resized frame's long side down, as PySlowFast does; ``"round"`` to the nearest
            pixel, as mmaction2 does. See ``ava_detect.video.transforms.short_side_size``.

    Raises:
        ValueError: If a setting is out of range, NaN or infinite, ``frame_offsets`` are not as above, or the clip lasts
            more than ``MAX_SPAN_SECONDS``.
    """

    num_frames: int = 32
    sampling_rate: int = 2
    sampling_fps: float = 30.0
    short_side: int = 256
    mean: tuple[float, float, float] = (0.45, 0.45, 0.45)
    std: tuple[float, float, float] = (0.225, 0.225, 0.225)
    sampling: Sampling = "time"
    resize: Resize = "opencv"
    frame_offsets: tuple[int, ...] | None = None
    long_side: LongSide = "floor"

    def __post_init__(self) -> None:
        for name, allowed in (("sampling", Sampling), ("resize", Resize), ("long_side", LongSide)):
            value = getattr(self, name)
            if value not in get_args(allowed):
                raise ValueError(f"{name} is {' or '.join(map(repr, get_args(allowed)))}, got {value!r}")
        for name, low, high in (
            ("num_frames", 1, MAX_CLIP_FRAMES),
            ("sampling_rate", 1, MAX_RATE),
            ("sampling_fps", MIN_FPS, MAX_FPS),
            ("short_side", 1, MAX_SIDE_PIXELS),
            ("mean", 0, 1),
            ("std", MIN_STD, 1),
        ):
            value = getattr(self, name)
            if not all(low <= number <= high for number in (value if isinstance(value, tuple | list) else (value,))):
                raise ValueError(f"{name} must be from {low:g} to {high:g}, got {value!r}")
        if self.frame_offsets is not None:
            object.__setattr__(self, "frame_offsets", _checked_offsets(self.frame_offsets, self.num_frames))
        if self.span_seconds > MAX_SPAN_SECONDS:
            raise ValueError(
                f"a clip of {self.num_frames} frames, {self._step:g} steps of 1/{self.sampling_fps:g} s apart, lasts "
                f"{self.span_seconds:,.0f} s, more than {MAX_SPAN_SECONDS:,.0f} s; "
                + ("lower num_frames or sampling_rate" if self.frame_offsets is None else "narrow frame_offsets")
                + ", or raise sampling_fps"
            )

    @property
    def offsets(self) -> tuple[int, ...]:
        """Steps of the sampling grid from the keyframe to each of the T frames, ascending.

        ``frame_offsets``, or by default ``-T*r//2 + r*i`` for i = 0..T-1 and r the ``sampling_rate`` (PySlowFast
        ``get_sequence``, commit 287ec007; for an even T mmaction2's ``SampleAVAFrames``, commit 4d6c9347, gives the
        same).
        """
        if self.frame_offsets is not None:
            return self.frame_offsets
        first = -(self.num_frames * self.sampling_rate // 2)
        return tuple(first + self.sampling_rate * i for i in range(self.num_frames))

    @property
    def keyframe_index(self) -> int:
        """The index of the frame that shows the keyframe: the one nearest to it, the earlier of two as near.

        By the default rule of ``offsets`` that is T // 2.
        """
        offsets = self.offsets
        return min(range(len(offsets)), key=lambda i: abs(offsets[i]))

    @property
    def seconds_before_keyframe(self) -> float:
        """Time from a clip's first frame to its keyframe, in seconds."""
        return -self.offsets[0] / self.sampling_fps

    @property
    def span_seconds(self) -> float:
        """Duration of a clip in seconds: T frames, each shown until the next one, the last as long as the average."""
        return self.num_frames * self._step / self.sampling_fps

    @property
    def frames_per_second(self) -> float:
        """Frames of a clip per second, on average."""
        return self.sampling_fps / self._step

    @property
    def _step(self) -> float:
        """Steps of the sampling grid from one frame to the next, on average."""
        if self.frame_offsets is None or len(self.frame_offsets) == 1:
            return self.sampling_rate
        return (self.frame_offsets[-1] - self.frame_offsets[0]) / (len(self.frame_offsets) - 1)


def _checked_offsets(offsets: Sequence[int], num_frames: int) -> tuple[int, ...]:
    """The offsets of a clip's frames as a tuple; ``ValueError`` where they are none."""
    got = f"{', '.join(map(str, offsets[:_MAX_SHOWN]))}{', ...' if len(offsets) > _MAX_SHOWN else ''}"
    if not all(isinstance(offset, int) and not isinstance(offset, bool) for offset in offsets):
        raise ValueError(f"frame_offsets are whole numbers of steps of the sampling grid, got {got}")
    if len(offsets) != num_frames:
        raise ValueError(f"frame_offsets names {len(offsets)} frames and num_frames is {num_frames}; make them equal")
    if any(offset >= following for offset, following in pairwise(offsets)):
        raise ValueError(f"frame_offsets must be ascending, each once, got {got}")
    if not offsets[0] <= 0 <= offsets[-1]:
        raise ValueError(
            "frame_offsets must have 0, the keyframe, between the first and the last, got "
            f"{offsets[0]} to {offsets[-1]}"
        )
    return tuple(offsets)


def keyframe_times(every_seconds: float) -> Iterator[float]:
    """Return evenly spaced keyframe times from 0 on, without end.

    Args:
        every_seconds: Spacing of the keyframes in seconds, above 0.

    Returns:
        An iterator over 0, ``every_seconds``, ``2 * every_seconds``, ...

    Raises:
        AvaDetectError: If ``every_seconds`` is not a positive finite number, or below a millisecond.
    """
    if not (every_seconds > 0 and math.isfinite(every_seconds)):
        raise AvaDetectError(f"keyframes must be a positive number of seconds apart, got {every_seconds}; try 1")
    if not _MIN_EVERY_SECONDS <= every_seconds <= _MAX_EVERY_SECONDS:
        raise AvaDetectError(
            f"keyframes are {_MIN_EVERY_SECONDS:g} to {_MAX_EVERY_SECONDS:g} seconds apart, got {every_seconds:g}; "
            "try 1"
        )
    return (i * every_seconds for i in count())
