"""Decoded frames: a single frame, the clip around a keyframe, and the settings by which clips are sampled.

Shapes: T frames, H height, W width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

Sampling = Literal["time", "frames"]
Resize = Literal["swscale", "opencv"]
# What a clip may be. Beyond these lie slips of the pen (pixels as fractions, 1e9 frames), and hours of decoding.
MAX_CLIP_FRAMES, MAX_RATE, MIN_FPS, MAX_FPS, MAX_SIDE_PIXELS = 1024, 1000, 0.1, 1000.0, 4096
MIN_STD = 1e-4
MAX_SPAN_SECONDS = 3600.0


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
        keyframe_index: The keyframe's index in ``frames`` (T // 2 in sampled clips).
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

    Raises:
        ValueError: If a setting is out of range, NaN or infinite, or the clip lasts more than ``MAX_SPAN_SECONDS``.
    """

    num_frames: int = 32
    sampling_rate: int = 2
    sampling_fps: float = 30.0
    short_side: int = 256
    mean: tuple[float, float, float] = (0.45, 0.45, 0.45)
    std: tuple[float, float, float] = (0.225, 0.225, 0.225)
    sampling: Sampling = "time"
    resize: Resize = "opencv"

    def __post_init__(self) -> None:
        for name, allowed in (("sampling", Sampling), ("resize", Resize)):
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
        if self.span_seconds > MAX_SPAN_SECONDS:
            raise ValueError(
                f"a clip of {self.num_frames} frames, {self.sampling_rate} steps of 1/{self.sampling_fps:g} s apart, "
                f"lasts {self.span_seconds:,.0f} s, more than {MAX_SPAN_SECONDS:,.0f} s; lower num_frames or "
                "sampling_rate, or raise sampling_fps"
            )

    @property
    def span_seconds(self) -> float:
        """Duration of a clip, ``num_frames * sampling_rate / sampling_fps`` seconds."""
        return self.num_frames * self.sampling_rate / self.sampling_fps
