"""Decoded pictures: one frame, the clip around a keyframe, and how a network wants its clips cut.

Shapes: T frames, H height, W width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

Sampling = Literal["time", "frames"]
Resize = Literal["swscale", "opencv"]


@dataclass(frozen=True, eq=False)
class Frame:
    """One decoded picture and where it comes from.

    ``image``: uint8 RGB ``[H, W, 3]``, upright, with square pixels. ``timestamp_seconds``: its time from the
    start of the file; on a keyframe, the keyframe's time. ``video_id``: the video's name.
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

    ``frames``: uint8 RGB ``[T, H, W, 3]``. ``timestamp_seconds``: the keyframe's time from the start of the
    file. ``keyframe_index``: its position in ``frames`` (T // 2). ``num_padded``: how many of the frames
    repeat the first or last frame of the video because the clip reaches past its ends. ``source_size``: the
    (width, height) of the video's own frames, where ``frames`` were resized; None means that they were not.
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
    """How a model wants its clips cut: plain numbers that travel with its weights.

    ``num_frames`` frames every ``sampling_rate`` steps of a ``sampling_fps`` grid (PySlowFast
    ``DATA.NUM_FRAMES``, ``DATA.SAMPLING_RATE``; AVA frames are cut at 30 fps); the short side resized to
    ``short_side`` pixels; then ``(x / 255 - mean) / std`` per RGB channel.
    ``sampling``: frames by ``"time"``, or by the numbers of the file's ``"frames"``, as the field's other code does it.
    ``resize``: ``"opencv"`` has the bits that the published networks were trained on; ``"swscale"`` converts and
    shrinks in one step and is several times faster. ``docs/parity.md`` has both in numbers.
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

    @property
    def span_seconds(self) -> float:
        """Time from the first to just past the last frame of a clip."""
        return self.num_frames * self.sampling_rate / self.sampling_fps
