"""Videos whose every frame tells its number, and small models: what several rooms' tests need."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
import yaml

from ava_detect.config import Config
from ava_detect.config.build import build_model
from ava_detect.models.action_detector import ActionDetector

BITS = 10
MILLISECOND = Fraction(1, 1000)

SMALL_CONFIG = {
    "model": {"backbone": {"depths": [1, 1, 1, 1], "width": 16}},
    "clip": {"num_frames": 8, "sampling_rate": 4, "short_side": 32},
}


def numbered_frame(number: int, width: int = 80, height: int = 48) -> np.ndarray:
    """A picture that carries ``number`` as black and white bars, which survive any codec and resize."""
    bars = [255 * (number >> bit & 1) for bit in range(BITS)]
    row = np.repeat(np.array(bars, np.uint8), -(-width // BITS))[:width]
    return np.broadcast_to(row[None, :, None], (height, width, 3)).copy()


def frame_number(image: np.ndarray) -> int:
    """The number that a picture carries."""
    middle = image[image.shape[0] // 2].mean(axis=1)
    centres = ((np.arange(BITS) + 0.5) * len(middle) / BITS).astype(int)
    return sum(1 << bit for bit, value in enumerate(middle[centres]) if value > 127)


def write_numbered_video(
    path: Path,
    timestamps_seconds: Sequence[float],
    *,
    codec: str = "libx264",
    rate: Fraction | int = 30,
    time_base: Fraction = MILLISECOND / 90,
    width: int = 80,
    height: int = 48,
) -> Path:
    """A video whose frame i, shown at ``timestamps_seconds[i]``, carries the number i."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = time_base
        for number, seconds in enumerate(timestamps_seconds):
            frame = av.VideoFrame.from_ndarray(numbered_frame(number, width, height), format="rgb24")
            frame.pts = round(Fraction(seconds).limit_denominator(10**6) / time_base)
            frame.time_base = time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def constant_rate(num_frames: int, fps: Fraction | int) -> list[float]:
    """Presentation times of a constant frame rate."""
    return [float(i / Fraction(fps)) for i in range(num_frames)]


def small_config_file(folder: Path) -> Path:
    """A config of a network that runs in milliseconds."""
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(SMALL_CONFIG))
    return path


def lively_model(seed: int = 0, **changes: dict) -> ActionDetector:
    """A small network whose scores depend strongly on the clip and the boxes (as built, residual branches are 0)."""
    model = build_model(Config.model_validate({**SMALL_CONFIG, **changes}), seed=seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bn.weight"):
                parameter.uniform_(0.8, 1.2, generator=generator)
        model.head.projection.weight.normal_(0, 0.1, generator=generator)
    return model


def save_pyslowfast(model: torch.nn.Module, path: Path) -> Path:
    """A checkpoint as PySlowFast writes it: its key names, under ``model_state``."""
    from ava_detect.models.weights.key_map import PYSLOWFAST

    state = {PYSLOWFAST.to_theirs(name): tensor.clone() for name, tensor in model.state_dict().items()}
    torch.save({"epoch": 19, "model_state": state, "cfg": "TRAIN: {}"}, path)
    return path
