"""The memory that a config asks for, estimated before anything is built. Needs no PyTorch.

The estimate counts the weights and the largest features of one clip only, so that it is never above what is really
needed: a config that it refuses could not run.
"""

from __future__ import annotations

import psutil

from ava_detect.config.schema import Config
from ava_detect.errors import ConfigError, counted

_FLOAT_BYTES = 4
_PROCESS_BYTES = 100 << 20


def require_memory(config: Config, *, num_clips: int = 1, short_side: int | None = None, device: str = "cpu") -> None:
    """Refuse a config whose network and clips cannot fit into this machine's memory.

    Args:
        config: The config.
        num_clips: Number of clips that are in memory at once.
        short_side: Short side of the clips in pixels; None for ``clip.short_side``.
        device: Where the network runs; on ``"cuda"`` this machine's memory holds only the bytes of the frames.

    Raises:
        ConfigError: They need more than the machine has.
    """
    side = config.clip.short_side if short_side is None else short_side
    one_clip = clip_bytes(config, side) if device == "cpu" else 3 * config.clip.num_frames * side**2
    weights, clips = weight_bytes(config), num_clips * one_clip
    machine = psutil.virtual_memory().total
    if weights + clips > machine:
        number = counted(num_clips, "clip")
        raise ConfigError(
            f"the config needs at least {_gib(weights + clips)} of memory, {_gib(weights)} for the weights of model "
            f"and {_gib(clips)} for {number} of {config.clip.num_frames} frames with a short side of {side} pixels, "
            f"and this machine has {_gib(machine)}; lower model.backbone.width or its number of "
            "blocks, clip.num_frames, the short side or the number of clips at once"
        )


def require_memory_of_processes(number: int, name: str) -> None:
    """Refuse more processes than this machine's memory holds, at 100 MiB each; those that load PyTorch need more.

    Args:
        number: Number of processes.
        name: The setting that asks for them, for the message.

    Raises:
        ConfigError: They need more than the machine has.
    """
    machine = psutil.virtual_memory().total
    if number * _PROCESS_BYTES > machine:
        raise ConfigError(
            f"{name} {number:,} asks for more processes than this machine's memory of {_gib(machine)} holds; give at "
            f"most {machine // _PROCESS_BYTES:,}"
        )


def weight_bytes(config: Config) -> int:
    """Estimate the size of the weights in float32; small tensors such as norms are left out.

    Args:
        config: The config.

    Returns:
        Bytes.
    """
    backbone, head = config.model.backbone, config.model.head
    features = sum(backbone.channels) * (2 if config.model.roi.with_global else 1)
    count = backbone.num_weights()
    if (relation := config.model.roi.relation) is not None:
        out = relation.channels or sum(backbone.channels)
        count += (features + sum(backbone.channels)) * out + relation.num_convs * 9 * out**2
        features = out
    hidden = features**2 if head.mlp else 0
    return _FLOAT_BYTES * (count + hidden + features * head.num_classes)


def clip_bytes(config: Config, short_side: int) -> int:
    """Estimate the size of a square clip in float32 and of the backbone's largest features.

    Args:
        config: The config.
        short_side: Side of the clip in pixels.

    Returns:
        Bytes.
    """
    num_frames = config.clip.num_frames
    pixels = 3 * num_frames * short_side**2
    return _FLOAT_BYTES * (pixels + config.model.backbone.num_features(num_frames, short_side))


def _gib(size: int) -> str:
    return f"{size / (1 << 30):,.1f} GiB"
